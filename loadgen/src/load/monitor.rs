//! Starts the workers, looks at the server once a second, and puts everything together.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use super::worker::{self, Channels, Timeline};
use super::{ClientUse, Message, Outcome, Plan, Progress, Second, ServerUse, Shared, Work};
use crate::client::Failure;
use crate::procfs::{self, MachineTime, Usage};
use crate::tally::{Interval, Tally};
use crate::verdict::{self, Facts};

/// Runs the plan. `pids` are the server's processes on this machine, if any are known.
///
/// Fails when the load could not begin; what goes wrong later stands in the outcome.
pub fn run(
    plan: &Plan,
    pids: &[i32],
    stop: &Arc<AtomicBool>,
    progress: Progress<'_>,
) -> Result<Outcome, Failure> {
    let shared = Shared {
        plan: Arc::new(plan.clone()),
        stop: Arc::clone(stop),
        next_key: Arc::new(AtomicU32::new(0)),
    };
    let (out, messages) = mpsc::channel();
    let mut workers = Vec::new();
    for number in 0..plan.threads {
        let (begin, begin_of_worker) = mpsc::channel();
        let (recycle, recycled) = mpsc::channel();
        let channels = Channels { out: out.clone(), begin: begin_of_worker, recycled };
        let shared = shared.clone();
        let thread = thread::Builder::new()
            .name(format!("loadgen-{number}"))
            .spawn(move || worker::work(number, &shared, &channels))
            .map_err(|why| Failure::System { what: "starting a thread", why })?;
        workers.push(Worker { thread, begin, recycle });
    }
    drop(out);

    let mut monitor = Monitor::new(plan, pids, &workers);
    let result = monitor.watch(&messages, progress);
    for Worker { thread, begin, .. } in workers {
        drop(begin); // A worker that still waits for the others goes home.
        thread.join().expect("workers report their failures and do not panic");
    }
    result?;
    Ok(monitor.outcome())
}

struct Worker {
    thread: thread::JoinHandle<()>,
    begin: Sender<Timeline>,
    recycle: Sender<Box<Interval>>,
}

struct Monitor<'a> {
    plan: &'a Plan,
    pids: &'a [i32],
    begin: Vec<Sender<Timeline>>,
    recycle: Vec<Sender<Box<Interval>>>,
    /// Seconds of which some workers' intervals are in.
    open: BTreeMap<i64, Merged>,
    total: Merged,
    client: Vec<WorkerUse>,
    seconds: Vec<Second>,
    /// The server at each whole second; number 0 is the end of the warm-up.
    samples: BTreeMap<i64, Usage>,
    sampling: Sampling,
    resident_peak: u64,
    machine: Option<(MachineTime, MachineTime)>,
    measured: Duration,
    lost: Vec<String>,
    violations: Vec<String>,
    unanswered: u64,
}

/// When the server is looked at: each whole second of the measured time.
struct Sampling {
    from: Instant,
    next: i64,
    /// The last one. Open until the load is over when nobody knows how long it takes.
    last: Option<i64>,
}

impl Sampling {
    fn next_at(&self) -> Instant {
        let is_over = self.last.is_some_and(|last| self.next > last);
        let at = self.from + Duration::from_secs(self.next.cast_unsigned());
        if is_over { at + SAMPLING_OVER } else { at }
    }
}

#[derive(Clone, Copy, Default)]
struct WorkerUse {
    wall: Duration,
    cpu: Duration,
    starved: Duration,
}

/// Intervals of all workers for one second, or for the whole run.
#[derive(Default)]
struct Merged {
    parts: usize,
    length: Duration,
    writes: Tally,
    reads: Tally,
    lag: Tally,
    cpu: Duration,
    behind: u64,
}

impl Merged {
    fn add(&mut self, interval: &Interval) {
        self.parts += 1;
        self.length = self.length.max(interval.ended - interval.started);
        self.writes.add(&interval.writes);
        self.reads.add(&interval.reads);
        self.lag.add(&interval.lag);
        self.cpu += interval.cpu;
        self.behind += interval.behind;
    }
}

/// Reasons kept of each kind. A server that drops thousands does so for one.
const REASONS_KEPT_MAX: usize = 20;

impl<'a> Monitor<'a> {
    fn new(plan: &'a Plan, pids: &'a [i32], workers: &[Worker]) -> Self {
        Self {
            plan,
            pids,
            begin: workers.iter().map(|worker| worker.begin.clone()).collect(),
            recycle: workers.iter().map(|worker| worker.recycle.clone()).collect(),
            open: BTreeMap::new(),
            total: Merged::default(),
            client: vec![WorkerUse::default(); workers.len()],
            seconds: Vec::new(),
            samples: BTreeMap::new(),
            sampling: Sampling { from: Instant::now(), next: 0, last: None },
            resident_peak: 0,
            machine: None,
            measured: Duration::ZERO,
            lost: Vec::new(),
            violations: Vec::new(),
            unanswered: 0,
        }
    }

    fn watch(
        &mut self,
        messages: &Receiver<Message>,
        progress: Progress<'_>,
    ) -> Result<(), Failure> {
        self.wait_until_ready(messages)?;
        let start = Instant::now() + START_DELAY;
        let measured_from = start + self.plan.warm_up;
        let until = match self.plan.work {
            Work::Mix => Some(measured_from + self.plan.seconds),
            Work::Create => None,
        };
        for begin in self.begin.drain(..) {
            // A worker that has failed meanwhile says so in its last message.
            let _ = begin.send(Timeline { start, measured_from, until });
        }

        self.sampling = Sampling {
            from: measured_from,
            next: 0,
            last: until.map(|_| self.plan.seconds.as_secs().cast_signed()),
        };
        let (mut finished, mut ended) = (0, 0);
        let mut failed = None;
        while ended < self.client.len() {
            let wait = self.sampling.next_at().saturating_duration_since(Instant::now());
            match messages.recv_timeout(wait) {
                Ok(Message::Ready) => unreachable!("each worker is ready once"),
                Ok(Message::Interval(interval, second)) => self.absorb(interval, second, progress),
                Ok(Message::Lost(failure)) => self.note(&failure),
                Ok(Message::Finished) => {
                    finished += 1;
                    if finished == self.client.len() && self.sampling.last.is_none() {
                        self.sample();
                        self.sampling.last = Some(self.sampling.next - 1);
                    }
                }
                Ok(Message::Ended { result, unanswered }) => {
                    ended += 1;
                    self.unanswered += unanswered;
                    failed = failed.or(result.err());
                }
                Err(RecvTimeoutError::Timeout) => self.sample(),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        failed.map_or(Ok(()), Err)
    }

    fn wait_until_ready(&self, messages: &Receiver<Message>) -> Result<(), Failure> {
        for _ in 0..self.client.len() {
            match messages.recv() {
                Ok(Message::Ended { result, .. }) => {
                    return result.and(Err(Failure::Interrupted));
                }
                Ok(_) => {}
                Err(_) => return Err(Failure::Interrupted),
            }
        }
        Ok(())
    }

    /// Looks at the server and at the machine, as the next sample that is due.
    fn sample(&mut self) {
        let machine = procfs::machine_time();
        let first = self.machine.map_or(machine, |(first, _)| first);
        self.machine = Some((first, machine));
        if let Some(usage) = procfs::usage(self.pids) {
            self.resident_peak = self.resident_peak.max(usage.resident_bytes);
            self.samples.insert(self.sampling.next, usage);
        }
        self.sampling.next += 1;
    }

    fn absorb(&mut self, interval: Box<Interval>, second: i64, progress: Progress<'_>) {
        let worker = interval.worker;
        let merged = self.open.entry(second).or_default();
        merged.add(&interval);
        if second >= 0 {
            self.total.add(&interval);
            let used = &mut self.client[worker];
            used.wall += interval.ended - interval.started;
            used.cpu += interval.cpu;
            used.starved += interval.starved;
        }
        let complete = merged.parts == self.client.len();
        // A worker at its end needs no more intervals.
        let _ = self.recycle[worker].send(interval);
        if complete {
            if self.sampling.next_at() <= Instant::now() {
                self.sample(); // It is due, and belongs to this row.
            }
            let merged = self.open.remove(&second).expect("it was just there");
            let row = self.row(second, &merged);
            progress(&row);
            if second >= 0 {
                self.measured += merged.length;
                self.seconds.push(row);
            }
        }
    }

    fn row(&self, second: i64, merged: &Merged) -> Second {
        let mut all = merged.writes.clone();
        all.add(&merged.reads);
        let length = merged.length.as_secs_f64();
        let used = self.samples.get(&second).zip(self.samples.get(&(second + 1)));
        Second {
            at: if second >= 0 { second as f64 + length } else { (second + 1) as f64 },
            length,
            writes: merged.writes.count(),
            reads: merged.reads.count(),
            errors: all.error_count(),
            p50: all.quantile(0.5),
            p99: all.quantile(0.99),
            max: all.max(),
            client_cores: merged.cpu.as_secs_f64() / length.max(f64::MIN_POSITIVE),
            server_cores: used.map(|(before, after)| after.cores(before)),
            server_resident_bytes: used.map(|(_, after)| after.resident_bytes),
            behind: merged.behind,
        }
    }

    fn note(&mut self, failure: &Failure) {
        let list = match failure {
            Failure::OutOfOrder { .. }
            | Failure::Misshapen { .. }
            | Failure::ZxidBack { .. }
            | Failure::Nonsense { .. } => &mut self.violations,
            _ => &mut self.lost,
        };
        if list.len() < REASONS_KEPT_MAX {
            list.push(failure.to_string());
        }
    }

    fn outcome(self) -> Outcome {
        let ends = self.samples.values().next().zip(self.samples.values().next_back());
        let server = ends
            .filter(|(before, after)| after.at > before.at)
            .map(|(before, after)| ServerUse::between(before, after, self.resident_peak));
        let (idle, steal) =
            self.machine.map_or((0.0, 0.0), |(before, after)| after.idle_and_steal(before));
        let share = |part: fn(&WorkerUse) -> Duration| {
            let shares = self.client.iter().map(|used| {
                part(used).as_secs_f64() / used.wall.as_secs_f64().max(f64::MIN_POSITIVE)
            });
            shares.fold(0.0, f64::max)
        };
        let client = ClientUse {
            cpu: self.client.iter().map(|used| used.cpu).sum(),
            busiest: share(|used| used.cpu),
            starved: share(|used| used.starved),
        };
        let mut all = self.total.writes.clone();
        all.add(&self.total.reads);
        let cores = thread::available_parallelism().map_or(1, usize::from) as f64;
        let client_cores = client.cpu.as_secs_f64() / self.measured.as_secs_f64().max(1e-9);
        let others =
            server.map(|server| 1.0 - idle - steal - (server.cores + client_cores) / cores);
        let verdict = verdict::judge(&Facts {
            is_open_loop: self.plan.rate.is_some(),
            answers: all.count(),
            p99: all.quantile(0.99),
            lag_p99: self.total.lag.quantile(0.99),
            client_busiest: client.busiest,
            client_starved: client.starved,
            server_busiest: server.map(|server| server.busiest),
            idle,
            steal,
            others,
            lost: self.lost.len(),
            errors: all.error_count(),
            violations: self.violations.len(),
        });
        Outcome {
            writes: self.total.writes,
            reads: self.total.reads,
            lag: self.total.lag,
            measured: self.measured,
            seconds: self.seconds,
            client,
            server,
            idle,
            steal,
            lost: self.lost,
            violations: self.violations,
            unanswered: self.unanswered,
            verdict,
        }
    }
}

/// So that all workers are awake when the first request is due.
const START_DELAY: Duration = Duration::from_millis(20);
/// Far enough that nothing is sampled while the last replies are waited for.
const SAMPLING_OVER: Duration = Duration::from_hours(1);
