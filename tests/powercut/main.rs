//! A real server on a file system whose power is cut at random moments under load. What it has
//! acknowledged is there when the power is back.
//!
//! Unlike kill -9, this forgets whatever was written but not synced. That the rounds can see it is
//! proved by servers with a planted bug, which must lose acknowledged writes in the same rounds.
//! Needs root and loop devices; without them the tests say so on stderr and prove nothing.

#[path = "../support/apache.rs"]
#[allow(dead_code)]
mod apache;
#[path = "../support/counters.rs"]
mod counters;
#[path = "../support/powercut.rs"]
mod powercut;
#[path = "../support/server.rs"]
#[allow(dead_code)]
mod server;
#[path = "../support/zk.rs"]
#[allow(dead_code)]
mod zk;

use counters::{Counters, Moments};
use powercut::CutDisk;
use server::{Options, Running, Server};
use std::io::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

const WRITERS: usize = 64;

/// Room for the segments of all rounds that one file system lives through.
const DISK_BYTES: u64 = 1 << 30;

/// Rounds after which the file system is made anew.
const ROUNDS_PER_DISK: usize = 50;

/// Bytes of the data that is written in a round. The large ones fill a segment before the cut.
const DATA_BYTES: [usize; 4] = [8, 64, 1024, 4096];

/// Rounds in which a planted bug must show.
const MUTANT_ROUNDS_MAX: usize = 30;

/// One at a time: they would only take each other's time.
static TURN: Mutex<()> = Mutex::new(());

fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// To be read without `--nocapture` too.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Whether this machine can do it. Says why not.
fn can_cut() -> bool {
    let tried = CutDisk::new(64 << 20).and_then(|mut disk| {
        disk.cut();
        disk.restore()
    });
    if let Err(why) = &tried {
        say(&format!("no power cuts on this machine (root and loop devices are needed): {why}"));
    }
    tried.is_ok()
}

/// A server on a file system, its writers and what they know. The server ends before the disk.
struct Rig {
    running: Running,
    disk: CutDisk,
    counters: Counters,
    moments: Moments,
    round: usize,
    acknowledged: u64,
    stopped_itself: usize,
}

impl Rig {
    /// Founds a store. `mutant`: the bug that is planted in the server from then on.
    fn new(engine: &str, mutant: Option<&str>, seed: u64) -> Self {
        let disk = CutDisk::new(DISK_BYTES).expect("it was possible a moment ago");
        let config = vec![
            format!("engine={engine}"),
            format!("dataDir={}", disk.mount_point().join("data").display()),
            "maxClientCnxns=0".to_owned(),
            // Snapshots and purges are cut, too.
            "snapCount=200".to_owned(),
            "autopurge.purgeInterval=1".to_owned(),
        ];
        let options = Options { config, ..Options::default() };
        let mut running = Running::start(Server::Ours, &options).expect("ours starts");
        let counters = Counters::create(running.address(), "/powercut", WRITERS);
        if let Some(mutant) = mutant {
            running.stop(Duration::from_secs(20)).expect("it stops");
            running.set_environment("RINGKEEPER_MUTANT", mutant);
            running.start_again().expect("it starts with a bug");
        }
        let mut moments = Moments::new();
        for _ in 0..seed {
            moments.below(1);
        }
        Self { running, disk, counters, moments, round: 0, acknowledged: 0, stopped_itself: 0 }
    }

    /// Load, power cut, power again. What was lost.
    fn round(&mut self) -> Vec<String> {
        let address = self.running.address();
        let before = self.counters.acknowledged();
        let after = Duration::from_millis(15 + self.moments.below(60));
        // What is acknowledged after the cut is a lie: leave a moment for it.
        let then = Duration::from_millis(self.moments.below(6));
        let bytes = DATA_BYTES[self.round % DATA_BYTES.len()];
        let (running, disk) = (&mut self.running, &self.disk);
        self.counters.write_while(address, bytes, || {
            std::thread::sleep(after);
            disk.cut();
            std::thread::sleep(then);
            self.stopped_itself += usize::from(running.has_ended());
            running.kill();
        });
        self.acknowledged += self.counters.acknowledged() - before;
        self.round += 1;
        self.disk.restore().expect("the file system is there again");
        match self.running.start_again() {
            Ok(()) => self.counters.lost(address),
            Err(why) => vec![format!("all, for it does not start after a power cut: {why}")],
        }
    }
}

/// 200 rounds (POWERCUT_ROUNDS chooses others), on both engines in turn.
#[test]
fn acknowledged_writes_survive_power_cuts() {
    let _turn = turn();
    if !can_cut() {
        return;
    }
    let rounds: usize =
        std::env::var("POWERCUT_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(200);
    let (mut done, mut acknowledged, mut stopped_itself) = (0, 0, 0);
    for (seed, engine) in ["auto", "epoll"].into_iter().cycle().enumerate() {
        let mut rig = Rig::new(engine, None, u64::try_from(seed * ROUNDS_PER_DISK).unwrap());
        for _ in 0..ROUNDS_PER_DISK.min(rounds - done) {
            let lost = rig.round();
            assert!(
                lost.is_empty(),
                "engine {engine}, round {}:\n{}\n{}",
                rig.round,
                lost.join("\n"),
                rig.running.log()
            );
            done += 1;
        }
        rig.running.stop(Duration::from_secs(20)).expect("it stops");
        acknowledged += rig.acknowledged;
        stopped_itself += rig.stopped_itself;
        if done == rounds {
            break;
        }
    }
    say(&format!(
        "{rounds} power cuts under load, {acknowledged} acknowledged writes found again; \
         {stopped_itself} times the server had stopped before it was killed"
    ));
    assert!(acknowledged > u64::try_from(rounds * 20).unwrap(), "the load was too small");
}

/// Cuts the power of a server with a planted bug until an acknowledged write is gone.
fn must_lose(mutant: &str) {
    let _turn = turn();
    if cfg!(not(feature = "mutants")) {
        say(&format!("{mutant} is not planted: build with --features mutants"));
        return;
    }
    if !can_cut() {
        return;
    }
    for engine in ["auto", "epoll"] {
        let mut rig = Rig::new(engine, Some(mutant), 0);
        let lost = (0..MUTANT_ROUNDS_MAX).map(|_| rig.round()).find(|lost| !lost.is_empty());
        let lost = lost.unwrap_or_else(|| {
            panic!("{MUTANT_ROUNDS_MAX} power cuts have not shown {mutant}, engine {engine}")
        });
        say(&format!("{mutant}, engine {engine}: round {} lost {}", rig.round, lost[0]));
    }
}

#[test]
fn the_rounds_see_an_answer_before_the_write() {
    must_lose("ack-before-durable");
}

#[test]
fn the_rounds_see_a_missing_sync() {
    must_lose("log-write-not-synced");
}
