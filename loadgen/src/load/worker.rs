//! One worker: a thread, its connections, and what it counts.

use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender};
use std::time::{Duration, Instant};

use ringkeeper::wire::stat::STAT_BYTES;

use super::{Message, Shared, Work};
use crate::client::frames::{Key, Path, Template, key_path};
use crate::client::{Conn, Conns, Engine, Failure, Kind, Reply, Script, Turn};
use crate::procfs;
use crate::random::Random;
use crate::schedule::Schedule;
use crate::tally::Interval;

/// When the parts of a run begin.
#[derive(Clone, Copy)]
pub struct Timeline {
    pub start: Instant,
    pub measured_from: Instant,
    /// `None`: until the work is done.
    pub until: Option<Instant>,
}

/// The worker's ends of its channels.
pub struct Channels {
    pub out: Sender<Message>,
    pub begin: Receiver<Timeline>,
    pub recycled: Receiver<Box<Interval>>,
}

/// Connects, waits for the others, drives the load, takes leave.
pub fn work(number: usize, shared: &Shared, channels: &Channels) {
    let mut unanswered = 0;
    let result = run(number, shared, channels, &mut unanswered);
    // The monitor may have given up already; then nobody needs to know.
    let _ = channels.out.send(Message::Ended { result, unanswered });
}

fn run(
    number: usize,
    shared: &Shared,
    channels: &Channels,
    unanswered: &mut u64,
) -> Result<(), Failure> {
    let plan = &shared.plan;
    let mut engine = Engine::new()?;
    let mine: Vec<usize> = (number..plan.connections()).step_by(plan.threads).collect();
    engine.run(&mut Connect { shared, todo: &mine, started: 0 })?;
    if channels.out.send(Message::Ready).is_err() {
        return Ok(());
    }
    let Ok(timeline) = channels.begin.recv() else { return Ok(()) };
    let mut load = Load::new(number, shared, channels, timeline, mine.len());
    let result = engine.run(&mut load);
    if load.stopping_since.is_none() {
        load.roll(Instant::now());
    }
    *unanswered = engine.conns.outstanding() as u64;
    let _ = channels.out.send(Message::Finished);
    engine.run(&mut Leave::new(Instant::now() + LEAVE_WAIT))?;
    result
}

/// Opens all sessions, a few at a time: a listen queue is short.
struct Connect<'a> {
    shared: &'a Shared,
    /// Numbers of the run's connections that are this worker's.
    todo: &'a [usize],
    started: usize,
}

/// Handshakes under way at once.
const CONNECTING_MAX: usize = 64;

impl Script for Connect<'_> {
    fn on_turn(&mut self, conns: &mut Conns, now: Instant) -> Result<Turn, Failure> {
        let plan = &self.shared.plan;
        while self.started < self.todo.len() && conns.len() - conns.opened() < CONNECTING_MAX {
            let number = self.todo[self.started];
            let addr = plan.servers[number % plan.servers.len()];
            let conn = conns.open(addr, plan.session_timeout_ms)?;
            conn.tag = u32::from(number >= plan.writers);
            self.started += 1;
        }
        if conns.opened() == self.todo.len() || self.shared.stop.load(Ordering::Relaxed) {
            return Ok(Turn::Done);
        }
        Ok(Turn::WaitUntil(now + Duration::from_millis(100)))
    }

    fn on_reply(&mut self, _conn: &mut Conn, _reply: &Reply<'_>, _now: Instant) {}
}

/// Ends all sessions, so that the server need not wait for them to expire.
pub struct Leave {
    asked: bool,
    until: Instant,
}

impl Leave {
    /// Waits for the server's answers until then, at most.
    pub fn new(until: Instant) -> Self {
        Self { asked: false, until }
    }
}

pub const LEAVE_WAIT: Duration = Duration::from_secs(2);

impl Script for Leave {
    fn on_turn(&mut self, conns: &mut Conns, now: Instant) -> Result<Turn, Failure> {
        if !self.asked {
            self.asked = true;
            for index in 0..conns.len() {
                if conns.touch(index).is_open() {
                    conns.touch(index).request_close(now);
                }
            }
        }
        if conns.alive() == 0 || now >= self.until {
            conns.clear();
            return Ok(Turn::Done);
        }
        Ok(Turn::WaitUntil(self.until))
    }

    fn on_reply(&mut self, _conn: &mut Conn, _reply: &Reply<'_>, _now: Instant) {}

    fn on_failure(&mut self, _conn: &Conn, _failure: Failure) -> Result<(), Failure> {
        Ok(()) // Being hung up on is what was asked for.
    }
}

/// The load itself.
struct Load<'a> {
    number: usize,
    shared: &'a Shared,
    channels: &'a Channels,
    timeline: Timeline,
    begun: bool,
    stopping_since: Option<Instant>,
    set: Template,
    get: Template,
    create: Template,
    random: Random,
    schedule: Option<Schedule>,
    interval: Box<Interval>,
    /// The interval that runs now ends here, and is the `second`-th of the measured time.
    boundary: Instant,
    second: i64,
    cpu_before: Duration,
    starved_before: Duration,
    outstanding: u64,
    /// What a reply without an error is long, behind its header.
    read_bytes: usize,
    write_bytes: usize,
    has_told_misshapen: bool,
}

/// How long the last replies are waited for.
const DRAIN_WAIT: Duration = Duration::from_secs(10);
const SECOND: Duration = Duration::from_secs(1);

impl<'a> Load<'a> {
    fn new(
        number: usize,
        shared: &'a Shared,
        channels: &'a Channels,
        timeline: Timeline,
        connections: usize,
    ) -> Self {
        let plan = &shared.plan;
        let mut random = Random::new(plan.seed ^ (number as u64) << 32);
        let data = random.bytes(plan.size);
        let path = Path::keyed(&plan.root);
        let worker_share = connections as f64 / plan.connections() as f64;
        let warm_up = timeline.measured_from - timeline.start;
        let warm_seconds = warm_up.as_secs_f64().ceil();
        let first = warm_up.as_secs_f64() - (warm_seconds - 1.0);
        let first = if warm_seconds > 0.0 { Duration::from_secs_f64(first) } else { SECOND };
        let (cpu_before, starved_before) = procfs::own_thread();
        Self {
            number,
            shared,
            channels,
            timeline,
            begun: false,
            stopping_since: None,
            set: Template::set(&path, &data),
            get: Template::get(&path, false),
            create: Template::create(&path, &data),
            random,
            schedule: plan
                .rate
                .map(|rate| Schedule::new(timeline.start, rate * worker_share, connections)),
            interval: Box::new(Interval::new(number, timeline.start)),
            boundary: timeline.start + first,
            second: -(warm_seconds as i64),
            cpu_before,
            starved_before,
            outstanding: 0,
            read_bytes: 4 + plan.size + STAT_BYTES,
            write_bytes: match plan.work {
                Work::Mix => STAT_BYTES,
                Work::Create => 4 + key_path(&plan.root, Key(0)).len(),
            },
            has_told_misshapen: false,
        }
    }

    /// Sends one request of whatever kind this connection sends. Nothing when the work is done.
    fn send(&mut self, conn: &mut Conn, intended: Instant) {
        let plan = &self.shared.plan;
        match plan.work {
            Work::Create => {
                let key = Key(self.shared.next_key.fetch_add(1, Ordering::Relaxed));
                if key.0 >= plan.keys {
                    self.shared.next_key.fetch_sub(1, Ordering::Relaxed);
                    return;
                }
                conn.request(&self.create, key, Kind::Write, intended);
            }
            Work::Mix => {
                let key = Key(self.random.below(plan.keys));
                let is_reader = conn.tag == 1;
                if is_reader || !self.random.chance(plan.mix) {
                    conn.request(&self.get, key, Kind::Read, intended);
                } else {
                    conn.request(&self.set, key, Kind::Write, intended);
                }
            }
        }
        self.outstanding += 1;
    }

    fn begin(&mut self, conns: &mut Conns, now: Instant) {
        self.begun = true;
        self.interval.restart(now);
        if self.schedule.is_some() {
            return;
        }
        for _ in 0..self.shared.plan.inflight {
            for index in 0..conns.len() {
                if conns.touch(index).is_open() {
                    self.send(conns.touch(index), now);
                }
            }
        }
    }

    /// Open loop: everything that is due leaves, if its connection has room.
    fn send_due(&mut self, conns: &mut Conns, now: Instant) {
        while let Some(slot) = self.schedule.as_mut().and_then(|due| due.pop_due(now)) {
            let conn = conns.touch(slot);
            if !conn.is_open() || conn.outstanding() >= self.shared.plan.inflight {
                continue; // It waits, and leaves with a later reply.
            }
            let schedule = self.schedule.as_mut().expect("it gave the slot");
            let intended = schedule.pop_waiting(slot).expect("one has become due just now");
            self.interval.lag.record(now.saturating_duration_since(intended), 0);
            self.send(conns.touch(slot), intended);
        }
    }

    /// A reply of another length than its kind has. Told once; a server does not do this once.
    fn check_shape(&mut self, conn: &Conn, reply: &Reply<'_>) {
        let expected = match reply.kind {
            Kind::Read => self.read_bytes,
            Kind::Write => self.write_bytes,
            Kind::Other => return,
        };
        let got = reply.body.len();
        if reply.err == 0 && got != expected && !self.has_told_misshapen {
            self.has_told_misshapen = true;
            let failure = Failure::Misshapen { from: conn.addr, expected, got };
            let _ = self.channels.out.send(Message::Lost(failure));
        }
    }

    /// Hands the interval over and begins the next.
    fn roll(&mut self, now: Instant) {
        let (cpu, starved) = procfs::own_thread();
        self.interval.ended = now;
        self.interval.cpu = cpu.saturating_sub(self.cpu_before);
        self.interval.starved = starved.saturating_sub(self.starved_before);
        self.interval.behind = self.schedule.as_ref().map_or(0, Schedule::behind);
        (self.cpu_before, self.starved_before) = (cpu, starved);
        let next = self.channels.recycled.try_recv();
        let mut next = next.unwrap_or_else(|_| Box::new(Interval::new(self.number, now)));
        next.restart(now);
        let done = std::mem::replace(&mut self.interval, next);
        // The monitor outlives its workers, unless it has failed and nobody needs this.
        let _ = self.channels.out.send(Message::Interval(done, self.second));
        self.second += 1;
        self.boundary += SECOND;
    }

    fn is_finished(&self) -> bool {
        let keys_left = match self.shared.plan.work {
            Work::Create => self.shared.next_key.load(Ordering::Relaxed) < self.shared.plan.keys,
            Work::Mix => true,
        };
        self.stopping_since.is_some() || !keys_left
    }
}

impl Script for Load<'_> {
    fn on_turn(&mut self, conns: &mut Conns, now: Instant) -> Result<Turn, Failure> {
        if !self.begun {
            if now < self.timeline.start {
                return Ok(Turn::WaitUntil(self.timeline.start));
            }
            self.begin(conns, now);
        }
        let over = self.timeline.until.is_some_and(|until| now >= until);
        if self.stopping_since.is_none() && (over || self.shared.stop.load(Ordering::Relaxed)) {
            self.roll(now); // What comes from here on is not counted.
            self.stopping_since = Some(now);
        }
        if conns.alive() == 0 || (self.is_finished() && self.outstanding == 0) {
            return Ok(Turn::Done);
        }
        if let Some(since) = self.stopping_since {
            let until = since + DRAIN_WAIT;
            return Ok(if now >= until { Turn::Done } else { Turn::WaitUntil(until) });
        }
        if now >= self.boundary {
            self.roll(now);
        }
        self.send_due(conns, now);
        let due = self.schedule.as_ref().map(Schedule::next_due);
        let mut wake = due.map_or(self.boundary, |due| due.min(self.boundary));
        if let Some(until) = self.timeline.until {
            wake = wake.min(until);
        }
        Ok(Turn::WaitUntil(wake))
    }

    fn on_reply(&mut self, conn: &mut Conn, reply: &Reply<'_>, now: Instant) {
        self.outstanding -= 1;
        if self.stopping_since.is_some() {
            return;
        }
        self.check_shape(conn, reply);
        let latency = now.saturating_duration_since(reply.intended);
        match reply.kind {
            Kind::Read => self.interval.reads.record(latency, reply.err),
            Kind::Write => self.interval.writes.record(latency, reply.err),
            Kind::Other => {}
        }
        match &mut self.schedule {
            None => self.send(conn, now),
            Some(schedule) => {
                if let Some(intended) = schedule.pop_waiting(conn.index) {
                    self.send(conn, intended);
                }
            }
        }
    }

    fn on_failure(&mut self, conn: &Conn, failure: Failure) -> Result<(), Failure> {
        self.outstanding -= conn.outstanding() as u64;
        let _ = self.channels.out.send(Message::Lost(failure));
        Ok(())
    }
}
