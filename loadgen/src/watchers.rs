//! Many watchers of one znode: how soon the last of them hears of a write, and how soon the one
//! who wrote has its acknowledgement meanwhile.
//!
//! Each round every watcher reads the znode with a watch; when all have, one more session writes
//! it. Counted from the moment that the write left: the write's reply, each event, the last event.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::client::frames::{Key, Path, Template};
use crate::client::{Conn, Conns, Engine, Failure, Kind, Reply, Script, Turn};
use crate::load::{LEAVE_WAIT, Leave};
use crate::prepare;
use crate::random::Random;
use crate::tally::Tally;

/// One experiment.
#[derive(Clone, Debug)]
pub struct Plan {
    pub servers: Vec<SocketAddr>,
    pub watchers: usize,
    pub rounds: usize,
    pub size: usize,
    pub root: String,
    pub session_timeout_ms: i32,
}

/// What one round showed.
#[derive(Clone, Copy, Debug)]
pub struct Round {
    pub ack: Duration,
    pub first_event: Duration,
    pub last_event: Duration,
}

/// What all rounds showed.
pub struct Outcome {
    pub rounds: Vec<Round>,
    /// Every event's delay.
    pub events: Tally,
}

impl Outcome {
    /// The median over the rounds.
    pub fn median(&self, of: fn(&Round) -> Duration) -> Duration {
        let mut values: Vec<_> = self.rounds.iter().map(of).collect();
        values.sort_unstable();
        values.get(values.len() / 2).copied().unwrap_or_default()
    }
}

/// Rounds that warm the server up and are not counted.
const ROUNDS_UNCOUNTED: usize = 1;
const CONNECTING_MAX: usize = 64;
const ROUND_WAIT: Duration = Duration::from_secs(30);

pub fn run(plan: &Plan, stop: &Arc<AtomicBool>) -> Result<Outcome, Failure> {
    let addr = plan.servers[0];
    let data = Random::new(1).bytes(plan.size);
    prepare::plant_parents(addr, &plan.root, 0)?;
    let znode = format!("{}/watched", plan.root);
    prepare::plant_one(addr, &znode, &data)?;

    let path = Path::fixed(&znode);
    let mut engine = Engine::new()?;
    let mut watch = Watch {
        plan,
        stop,
        get: Template::get(&path, true),
        set: Template::set(&path, &data),
        phase: Phase::Connecting,
        phase_since: Instant::now(),
        waiting_for: 0,
        ack: None,
        first_event: None,
        refused: None,
        outcome: Outcome { rounds: Vec::new(), events: Tally::default() },
        uncounted: ROUNDS_UNCOUNTED,
    };
    engine.run(&mut watch)?;
    let outcome = watch.outcome;
    engine.run(&mut Leave::new(Instant::now() + LEAVE_WAIT))?;
    prepare::uproot_one(addr, &znode)?;
    Ok(outcome)
}

enum Phase {
    Connecting,
    /// Until every watcher has its watch.
    Arming,
    /// Until every event and the acknowledgement are there.
    Firing {
        written: Instant,
    },
}

struct Watch<'a> {
    plan: &'a Plan,
    stop: &'a AtomicBool,
    get: Template,
    set: Template,
    phase: Phase,
    phase_since: Instant,
    /// Replies or events missing in this phase.
    waiting_for: usize,
    ack: Option<Duration>,
    first_event: Option<Duration>,
    refused: Option<i32>,
    outcome: Outcome,
    uncounted: usize,
}

impl Watch<'_> {
    /// The writer is the last connection.
    fn writer(&self) -> usize {
        self.plan.watchers
    }

    fn connect(&mut self, conns: &mut Conns, now: Instant) -> Result<(), Failure> {
        let wanted = self.plan.watchers + 1;
        while conns.len() < wanted && conns.len() - conns.opened() < CONNECTING_MAX {
            let addr = self.plan.servers[conns.len() % self.plan.servers.len()];
            conns.open(addr, self.plan.session_timeout_ms)?;
            self.phase_since = now;
        }
        if conns.opened() == wanted {
            self.arm(conns, now);
        }
        Ok(())
    }

    fn arm(&mut self, conns: &mut Conns, now: Instant) {
        self.phase = Phase::Arming;
        self.phase_since = now;
        self.waiting_for = self.plan.watchers;
        for index in 0..self.plan.watchers {
            conns.touch(index).request(&self.get, Key(0), Kind::Read, now);
        }
    }

    fn fire(&mut self, conns: &mut Conns, now: Instant) {
        self.phase = Phase::Firing { written: now };
        self.phase_since = now;
        self.waiting_for = self.plan.watchers;
        self.ack = None;
        self.first_event = None;
        conns.touch(self.writer()).request(&self.set, Key(0), Kind::Write, now);
    }

    fn finish_round(&mut self, written: Instant, ack: Duration) {
        if self.uncounted > 0 {
            self.uncounted -= 1;
            self.outcome.events.clear();
            return;
        }
        self.outcome.rounds.push(Round {
            ack,
            first_event: self.first_event.unwrap_or_default(),
            last_event: self.phase_since.saturating_duration_since(written),
        });
    }
}

impl Script for Watch<'_> {
    fn on_turn(&mut self, conns: &mut Conns, now: Instant) -> Result<Turn, Failure> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(Failure::Interrupted);
        }
        if let Some(err) = self.refused {
            return Err(Failure::Refused { what: "reading or writing the znode".to_owned(), err });
        }
        match self.phase {
            Phase::Connecting => self.connect(conns, now)?,
            Phase::Arming if self.waiting_for == 0 => self.fire(conns, now),
            Phase::Firing { written } => {
                if let (0, Some(ack)) = (self.waiting_for, self.ack) {
                    self.finish_round(written, ack);
                    if self.outcome.rounds.len() == self.plan.rounds {
                        return Ok(Turn::Done);
                    }
                    self.arm(conns, now);
                }
            }
            Phase::Arming => {}
        }
        let waited = now.saturating_duration_since(self.phase_since);
        if waited > ROUND_WAIT {
            return Err(Failure::Stalled { waited, outstanding: self.waiting_for });
        }
        Ok(Turn::WaitUntil(now + Duration::from_millis(200)))
    }

    fn on_reply(&mut self, _conn: &mut Conn, reply: &Reply<'_>, now: Instant) {
        if reply.err != 0 {
            self.refused = Some(reply.err);
        }
        match reply.kind {
            Kind::Read => self.waiting_for -= 1,
            Kind::Write => self.ack = Some(now.saturating_duration_since(reply.intended)),
            Kind::Other => {}
        }
    }

    fn on_event(&mut self, _conn: &mut Conn, now: Instant) {
        let Phase::Firing { written } = self.phase else { return };
        let delay = now.saturating_duration_since(written);
        self.first_event.get_or_insert(delay);
        self.outcome.events.record(delay, 0);
        self.waiting_for = self.waiting_for.saturating_sub(1);
        self.phase_since = now; // Of the last event, in the end.
    }
}
