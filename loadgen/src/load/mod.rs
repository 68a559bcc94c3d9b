//! The load: readers and writers in closed or open loop, or a run of creates; measured by second.
//!
//! Workers (one thread each, one by default) drive the connections and count; this thread only
//! wakes once a second to look at the server's processor time and memory and to put together what
//! the workers counted. Latency is from the moment a request left (closed loop) or should have left
//! (open loop, [`crate::schedule`]) to the moment its reply was read.

mod monitor;
mod worker;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32};
use std::time::Duration;

use crate::client::Failure;
use crate::procfs::Usage;
use crate::tally::Tally;
use crate::verdict::Verdict;

pub use monitor::run;
pub use worker::{LEAVE_WAIT, Leave};

/// What the connections ask for.
#[derive(Clone, Debug)]
pub enum Work {
    /// setData and getData of keys chosen evenly at random.
    Mix,
    /// Each key created once, in order. Ends when all are.
    Create,
}

/// One run, all settings checked.
#[derive(Clone, Debug)]
pub struct Plan {
    pub servers: Vec<SocketAddr>,
    pub work: Work,
    pub writers: usize,
    pub readers: usize,
    /// Of the requests of a writer: the share that writes, 0 to 1.
    pub mix: f64,
    /// Requests outstanding on one connection, at most.
    pub inflight: usize,
    pub threads: usize,
    /// Requests per second of all connections together; closed loop when absent.
    pub rate: Option<f64>,
    pub size: usize,
    pub keys: u32,
    pub root: String,
    pub seconds: Duration,
    pub warm_up: Duration,
    pub session_timeout_ms: i32,
    pub seed: u64,
}

impl Plan {
    pub fn connections(&self) -> usize {
        self.writers + self.readers
    }
}

/// What can be shared with the workers while they run.
#[derive(Clone)]
struct Shared {
    plan: Arc<Plan>,
    stop: Arc<AtomicBool>,
    next_key: Arc<AtomicU32>,
}

/// One second of the run, all workers together.
#[derive(Clone, Debug, Default)]
pub struct Second {
    /// End of this second, counted from the end of the warm-up; not above 0 within it.
    pub at: f64,
    /// How long it was. The last one of a run of creates is shorter.
    pub length: f64,
    pub writes: u64,
    pub reads: u64,
    pub errors: u64,
    pub p50: Duration,
    pub p99: Duration,
    pub max: Duration,
    pub client_cores: f64,
    pub server_cores: Option<f64>,
    pub server_resident_bytes: Option<u64>,
    pub behind: u64,
}

impl Second {
    /// Answers per second.
    pub fn rate(&self) -> f64 {
        if self.length > 0.0 { (self.writes + self.reads) as f64 / self.length } else { 0.0 }
    }
}

/// The client's own share of the work.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClientUse {
    pub cpu: Duration,
    /// Of one core, by the busiest worker.
    pub busiest: f64,
    /// Of the time, by the worker that waited longest for a core.
    pub starved: f64,
}

/// The server's processes between the end of the warm-up and the end.
#[derive(Clone, Copy, Debug)]
pub struct ServerUse {
    pub cpu: Duration,
    /// Of it, in the kernel.
    pub system: Duration,
    pub cores: f64,
    /// Of one core, by the busiest thread.
    pub busiest: f64,
    pub resident_before: u64,
    pub resident_after: u64,
    pub resident_peak: u64,
}

impl ServerUse {
    fn between(before: &Usage, after: &Usage, peak: u64) -> Self {
        Self {
            cpu: after.cpu.saturating_sub(before.cpu),
            system: after.system.saturating_sub(before.system),
            cores: after.cores(before),
            busiest: after.busiest_thread(before),
            resident_before: before.resident_bytes,
            resident_after: after.resident_bytes,
            resident_peak: peak.max(before.resident_bytes).max(after.resident_bytes),
        }
    }
}

/// All that a run found out.
pub struct Outcome {
    pub writes: Tally,
    pub reads: Tally,
    pub lag: Tally,
    pub measured: Duration,
    pub seconds: Vec<Second>,
    pub client: ClientUse,
    pub server: Option<ServerUse>,
    /// Of the machine's time: idle, and taken by its host.
    pub idle: f64,
    pub steal: f64,
    /// Connections lost on the way, each with its reason.
    pub lost: Vec<String>,
    /// Replies that broke the protocol's promises.
    pub violations: Vec<String>,
    /// Requests without an answer at the end.
    pub unanswered: u64,
    pub verdict: Verdict,
}

impl Outcome {
    pub fn operations(&self) -> u64 {
        self.writes.count() + self.reads.count()
    }

    /// Answers per second.
    pub fn rate(&self) -> f64 {
        self.operations() as f64 / self.measured.as_secs_f64().max(f64::MIN_POSITIVE)
    }
}

/// Hears of every second while the run goes on.
pub type Progress<'a> = &'a mut dyn FnMut(&Second);

/// What goes from a worker to the monitor.
enum Message {
    Ready,
    Interval(Box<crate::tally::Interval>, i64),
    Lost(Failure),
    /// The load is over; only taking leave is left.
    Finished,
    Ended {
        result: Result<(), Failure>,
        unanswered: u64,
    },
}
