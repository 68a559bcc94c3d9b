//! Runs a server, and at every change of its disk asks: what if the power went now?
//!
//! A *life* is one process: it opens what the last one left, works a while, ends. At each step of
//! it that changes what a crash would leave, crash states are drawn from the disk's model, and a
//! life of its own starts from each, with the same questions asked inside it: crashes during
//! recovery are thereby nested as deep as [`Limits::depth`]. Every life begins with the oracle's
//! check of what recovery found.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::disk::{Fault, Image, SimDisk, State};
use crate::rng::Rng;

/// A server that can be crashed: what the explorer must know of it, and nothing else.
pub trait Server: Sized {
    /// What has left the server, and so must hold after any crash.
    type Oracle: Clone;
    /// What two recoveries of one disk must agree in.
    type Found: PartialEq + std::fmt::Debug;

    /// Before the first life.
    fn oracle(rng: &mut Rng) -> Self::Oracle;

    /// Opens what is on the disk. The outer error is a broken promise; the inner one is the
    /// server's own refusal to start.
    fn start(
        disk: SimDisk,
        oracle: Rc<RefCell<Self::Oracle>>,
    ) -> Result<Result<Self, String>, String>;

    /// What recovery found.
    fn found(&self) -> Self::Found;

    /// Recovery is over and checked: the server takes up work.
    fn serve(&mut self);

    /// Takes one step of work; an inner refusal is a clean stop after a fault of the disk.
    fn turn(&mut self, rng: &mut Rng) -> Result<Result<(), String>, String>;

    /// Called when the disk shows no faults, after the life's last turn.
    fn finish(&mut self, rng: &mut Rng) -> Result<(), String>;
}

/// How far to look.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Crashes inside one another.
    pub depth: usize,
    /// Lives one after the other, each ending in a crash.
    pub lives: usize,
    /// Steps of a life.
    pub turns: usize,
    /// Crash states to draw in this run at most.
    pub states: u64,
    /// Of a hundred lives, how many find a damaged disk.
    pub rot_percent: usize,
    /// Of a hundred lives, how many have a disk that fails an operation.
    pub fault_percent: usize,
}

/// What a run counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Crash states recovered from.
    pub states: u64,
    /// Of these, inside how many others: by depth.
    pub by_depth: [u64; 4],
    /// Damaged disks, and how many of them were refused.
    pub rotten: u64,
    pub refused: u64,
    /// Disks that failed an operation.
    pub faulty: u64,
    /// A hash of everything that was found, for the proof that a seed repeats.
    pub hash: u64,
}

/// A run over one seed.
pub struct Explorer<S: Server> {
    limits: Limits,
    counts: Cell<Counts>,
    failure: RefCell<Option<String>>,
    server: std::marker::PhantomData<fn() -> S>,
}

/// What a life starts from.
#[derive(Clone)]
enum From {
    Crash(Image),
    Kill(State),
}

impl From {
    fn disk(&self) -> SimDisk {
        match self {
            Self::Crash(image) => SimDisk::from_image(image),
            Self::Kill(state) => SimDisk::from_state(state.clone()),
        }
    }
}

impl<S: Server + 'static> Explorer<S> {
    /// Explores one seed; the counts, or what was broken.
    pub fn run(seed: u64, limits: Limits) -> Result<Counts, String> {
        let explorer = Rc::new(Self {
            limits,
            counts: Cell::default(),
            failure: RefCell::default(),
            server: std::marker::PhantomData,
        });
        let mut rng = Rng::new(seed);
        let oracle = Rc::new(RefCell::new(S::oracle(&mut rng)));
        let mut from = From::Crash(Image::default());
        for _ in 0..limits.lives {
            let disk = from.disk();
            let turns = 1 + rng.below(limits.turns);
            let mut life = Life { depth: 0, turns, rot: None, expected: None, hooked: true };
            life.turns = turns;
            explorer.live(disk.clone(), oracle.clone(), life, &mut rng);
            if explorer.is_over() {
                break;
            }
            let state = disk.freeze();
            from = if rng.percent(25) {
                From::Kill(state.kill(&mut rng))
            } else {
                From::Crash(state.crash(&mut rng))
            };
        }
        let failure = explorer.failure.borrow_mut().take();
        match failure {
            Some(failure) => Err(failure),
            None => Ok(explorer.counts.get()),
        }
    }

    fn is_over(&self) -> bool {
        self.failure.borrow().is_some() || self.counts.get().states >= self.limits.states
    }

    fn fail(&self, why: String) {
        let mut failure = self.failure.borrow_mut();
        if failure.is_none() {
            *failure = Some(why);
        }
    }

    fn count(&self, change: impl FnOnce(&mut Counts)) {
        let mut counts = self.counts.get();
        change(&mut counts);
        self.counts.set(counts);
    }

    /// One life, from opening to its last turn.
    fn live(
        self: &Rc<Self>,
        disk: SimDisk,
        oracle: Rc<RefCell<S::Oracle>>,
        life: Life<S>,
        rng: &mut Rng,
    ) {
        let mut disk = disk;
        let recovering = Rc::new(RefCell::new(life.expected));
        if life.hooked && life.depth < self.limits.depth {
            let explorer = Rc::downgrade(self);
            let (oracle, recovering) = (oracle.clone(), recovering.clone());
            let hook_rng = RefCell::new(rng.fork());
            disk.set_hook(Rc::new(move |state| {
                let Some(explorer) = explorer.upgrade() else { return };
                let expected = recovering.borrow();
                let rng = &mut hook_rng.borrow_mut();
                explorer.on_change(state, &oracle, life.depth, expected.clone(), rng);
            }));
        }
        let faulty = life.depth > 0 && life.rot.is_none() && rng.percent(self.limits.fault_percent);
        if faulty {
            let errno = [libc::ENOSPC, libc::EIO][rng.below(2)];
            let fault = Fault { after: rng.below(40), count: 1 + rng.below(20), errno };
            disk.set_fault(Some(fault));
            self.count(|counts| counts.faulty += 1);
        }
        let refused = self.work(&disk, &oracle, &recovering, life.turns, rng);
        match refused {
            Ok(None) => {}
            Ok(Some(_)) if life.rot.is_some() => self.count(|counts| counts.refused += 1),
            Ok(Some(_)) if faulty => {
                // The process has stopped. Space or disk comes back, and it starts again.
                disk.set_fault(None);
                let mut after = if rng.percent(50) {
                    SimDisk::from_state(disk.freeze().kill(rng))
                } else {
                    SimDisk::from_image(&disk.freeze().crash(rng))
                };
                after.set_hook(Rc::new(|_| {}));
                let none = Rc::new(RefCell::new(None));
                match self.work(&after, &oracle, &none, 3, rng) {
                    Ok(None) => {}
                    Ok(Some(why)) => self.fail(format!("refused after the fault was over: {why}")),
                    Err(why) => self.fail(why),
                }
            }
            Ok(Some(why)) => self.fail(format!("refused to start without damage: {why}")),
            Err(why) => match life.rot {
                Some(rot) => self.fail(format!("{rot}: {why}")),
                None => self.fail(why),
            },
        }
    }

    /// Start and turns; the refusal, if it stopped by itself.
    fn work(
        &self,
        disk: &SimDisk,
        oracle: &Rc<RefCell<S::Oracle>>,
        recovering: &Rc<RefCell<Option<Rc<S::Found>>>>,
        turns: usize,
        rng: &mut Rng,
    ) -> Result<Option<String>, String> {
        let mut server = match S::start(disk.clone(), oracle.clone())? {
            Ok(server) => server,
            Err(refusal) => return Ok(Some(refusal)),
        };
        let found = server.found();
        let text = format!("{found:?}");
        self.count(|counts| {
            for byte in text.bytes() {
                counts.hash = (counts.hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
            }
        });
        // D-3: a recovery that was interrupted and begun again finds the same.
        if let Some(expected) = recovering.borrow_mut().take() {
            if *expected != found {
                return Err(format!("D-3: recovery found {found:?}, earlier {expected:?}"));
            }
        }
        server.serve();
        for _ in 0..turns {
            if self.is_over() {
                return Ok(None);
            }
            if let Err(stopped) = server.turn(rng)? {
                return Ok(Some(stopped));
            }
        }
        server.finish(rng)?;
        Ok(None)
    }

    /// The disk of a life has changed: draws crash states and looks into some of them.
    fn on_change(
        self: &Rc<Self>,
        state: &State,
        oracle: &Rc<RefCell<S::Oracle>>,
        depth: usize,
        expected: Option<Rc<S::Found>>,
        rng: &mut Rng,
    ) {
        let draws = match depth {
            0 => 1 + rng.below(3),
            1 => usize::from(rng.percent(40)),
            _ => usize::from(rng.percent(30)),
        };
        for _ in 0..draws {
            if self.is_over() {
                return;
            }
            self.look(state, oracle, depth + 1, expected.clone(), rng);
        }
    }

    /// Recovers from one crash state, and lives on in it for a while.
    fn look(
        self: &Rc<Self>,
        state: &State,
        oracle: &Rc<RefCell<S::Oracle>>,
        depth: usize,
        expected: Option<Rc<S::Found>>,
        rng: &mut Rng,
    ) {
        let mut from = if rng.percent(15) {
            From::Kill(state.kill(rng))
        } else {
            From::Crash(state.crash(rng))
        };
        let mut rot = None;
        if let From::Crash(image) = &mut from {
            if rng.percent(self.limits.rot_percent) {
                let what = if rng.percent(85) { image.flip(rng) } else { image.lose(rng) };
                rot = what;
            }
        }
        self.count(|counts| {
            counts.states += 1;
            counts.by_depth[depth.min(3)] += 1;
            counts.rotten += u64::from(rot.is_some());
        });
        let fork = || Rc::new(RefCell::new(oracle.borrow().clone()));
        // Half of the lives are looked into; for these recovery runs once undisturbed, to know
        // what every interrupted one must find.
        let hooked = rot.is_none() && depth < self.limits.depth && rng.percent(50);
        let turns = if rng.percent(40) { 1 + rng.below(12) } else { 0 };
        // What a killed process left in a cache may be found now and lost in the next power cut.
        let durable = matches!(from, From::Crash(_)) && rot.is_none();
        let mut expected = if durable { expected } else { None };
        if hooked && durable && expected.is_none() {
            match S::start(from.disk(), fork()) {
                Ok(Ok(server)) => expected = Some(Rc::new(server.found())),
                Ok(Err(why)) => return self.fail(format!("refused without damage: {why}")),
                Err(why) => return self.fail(why),
            }
        }
        let life = Life { depth, turns, rot, expected, hooked };
        self.live(from.disk(), fork(), life, rng);
    }
}

struct Life<S: Server> {
    depth: usize,
    turns: usize,
    /// How the disk was damaged.
    rot: Option<String>,
    expected: Option<Rc<S::Found>>,
    hooked: bool,
}
