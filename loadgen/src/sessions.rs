//! Sessions: how many can be opened in a second, one after the other and 64 at a time, and what an
//! idle one costs the server in memory.
//!
//! An open is everything from the connect system call to the answer of the handshake. The sessions
//! of a phase stay open until it ends, and are then closed properly.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::client::{Conn, Conns, Engine, Failure, Reply, Script, Turn};
use crate::load::{LEAVE_WAIT, Leave};
use crate::procfs;
use crate::tally::Tally;

/// One experiment.
#[derive(Clone, Debug)]
pub struct Plan {
    pub servers: Vec<SocketAddr>,
    /// Each of the two rates is measured for this long, or until `opens_max` are open.
    pub seconds: Duration,
    pub opens_max: usize,
    /// Sessions of the memory measurement.
    pub idle: usize,
    pub session_timeout_ms: i32,
}

/// Opens at one degree of concurrency.
pub struct Opens {
    pub at_once: usize,
    pub latency: Tally,
    pub took: Duration,
}

impl Opens {
    /// Sessions opened in a second.
    pub fn rate(&self) -> f64 {
        self.latency.count() as f64 / self.took.as_secs_f64().max(f64::MIN_POSITIVE)
    }
}

/// What idle sessions cost.
#[derive(Clone, Copy, Debug)]
pub struct Idle {
    pub sessions: usize,
    pub resident_before: u64,
    pub resident_after: u64,
}

impl Idle {
    /// Resident bytes of the server per idle session. The kernel's socket buffers are not in it.
    pub fn bytes_per_session(&self) -> f64 {
        (self.resident_after as f64 - self.resident_before as f64) / self.sessions.max(1) as f64
    }
}

pub struct Outcome {
    pub serial: Opens,
    pub parallel: Opens,
    pub idle: Option<Idle>,
}

/// Opens of one phase, at most: each holds a file until the phase ends.
pub const OPENS_MAX: usize = 10_000;

/// The degree of the second measurement.
pub const AT_ONCE: usize = 64;

pub fn run(plan: &Plan, pids: &[i32], stop: &Arc<AtomicBool>) -> Result<Outcome, Failure> {
    // The first few teach the server's allocator and its just-in-time compiler what is coming.
    opens(plan, AT_ONCE, Duration::from_millis(500), plan.opens_max, stop)?;
    let serial = opens(plan, 1, plan.seconds, plan.opens_max, stop)?;
    let parallel = opens(plan, AT_ONCE, plan.seconds, plan.opens_max, stop)?;
    let idle = if plan.idle > 0 { idle(plan, pids, stop)? } else { None };
    Ok(Outcome { serial, parallel, idle })
}

fn opens(
    plan: &Plan,
    at_once: usize,
    seconds: Duration,
    count: usize,
    stop: &AtomicBool,
) -> Result<Opens, Failure> {
    let mut engine = Engine::new()?;
    let mut open = Open::new(plan, at_once, seconds, count, stop);
    engine.run(&mut open)?;
    let result = Opens { at_once, latency: open.latency, took: open.took };
    engine.run(&mut Leave::new(Instant::now() + LEAVE_WAIT))?;
    Ok(result)
}

/// Memory is looked at this long after the last handshake, when buffers have been given back.
const SETTLE: Duration = Duration::from_millis(1500);

fn idle(plan: &Plan, pids: &[i32], stop: &AtomicBool) -> Result<Option<Idle>, Failure> {
    let Some(before) = procfs::usage(pids) else { return Ok(None) };
    let mut engine = Engine::new()?;
    engine.run(&mut Open::new(plan, AT_ONCE, Duration::MAX, plan.idle, stop))?;
    thread::sleep(SETTLE);
    let after = procfs::usage(pids);
    engine.run(&mut Leave::new(Instant::now() + LEAVE_WAIT))?;
    Ok(after.map(|after| Idle {
        sessions: plan.idle,
        resident_before: before.resident_bytes,
        resident_after: after.resident_bytes,
    }))
}

struct Open<'a> {
    plan: &'a Plan,
    at_once: usize,
    seconds: Duration,
    count: usize,
    stop: &'a AtomicBool,
    began: Option<Instant>,
    took: Duration,
    latency: Tally,
}

impl<'a> Open<'a> {
    fn new(
        plan: &'a Plan,
        at_once: usize,
        seconds: Duration,
        count: usize,
        stop: &'a AtomicBool,
    ) -> Self {
        Self {
            plan,
            at_once,
            seconds,
            count,
            stop,
            began: None,
            took: Duration::ZERO,
            latency: Tally::default(),
        }
    }
}

impl Script for Open<'_> {
    fn on_turn(&mut self, conns: &mut Conns, now: Instant) -> Result<Turn, Failure> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(Failure::Interrupted);
        }
        let began = *self.began.get_or_insert(now);
        let over = now.saturating_duration_since(began) >= self.seconds;
        while !over && conns.len() < self.count && conns.len() - conns.opened() < self.at_once {
            let addr = self.plan.servers[conns.len() % self.plan.servers.len()];
            conns.open(addr, self.plan.session_timeout_ms)?;
        }
        let all = over || conns.len() == self.count;
        if all && conns.opened() == conns.len() {
            return Ok(Turn::Done);
        }
        Ok(Turn::WaitUntil(now + Duration::from_millis(100)))
    }

    fn on_open(&mut self, conn: &mut Conn, now: Instant) {
        self.latency.record(now.saturating_duration_since(conn.started), 0);
        self.took = now.saturating_duration_since(self.began.unwrap_or(now));
    }

    fn on_reply(&mut self, _conn: &mut Conn, _reply: &Reply<'_>, _now: Instant) {}
}
