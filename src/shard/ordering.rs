//! The replica with its log: steps the machine, carries out what it says, brings back what the
//! disk answers.

use std::collections::VecDeque;
use std::os::fd::AsFd;

use super::Error;
use super::background::{Background, Done};
use super::log_writes;
use crate::front;
use crate::net::{DiskWritten, Net};
use crate::replica::{self, Output, Replica};
use crate::storage::Lock;
use crate::storage::disk::{Completion, OpId};
use crate::storage::driver::RealDisk;
use crate::storage::log::Log;
use crate::types::{Instant, Now, ShardId, messages};
use crate::wire::committed::CommitBatch;

/// Quiet time of the log after which the disk is told what is durable, in ms.
const MARK_AFTER_MS: u64 = 5;

/// Where the replica's answers go.
pub trait Fronts {
    /// One front is told something.
    fn tell(&mut self, shard: ShardId, input: front::Input<'static>) -> Result<(), Error>;
    /// Every front is told what became committed. The batch may be swapped for an empty one.
    fn publish(&mut self, batch: &mut CommitBatch) -> Result<(), Error>;
}

/// Settings of this part.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// A log write that takes longer is worth a line, in ms.
    pub slow_write_ms: u64,
    /// Time between two purges in ms, 0 for none.
    pub purge_interval_ms: u64,
}

/// The replica, its log, and the threads that work for it.
pub struct Ordering {
    config: Config,
    /// The machine.
    pub replica: Replica,
    out: replica::Out,
    log: Log,
    disk: RealDisk,
    background: Background,
    now: Now,
    /// When each write under way was submitted.
    under_way: VecDeque<(OpId, Instant)>,
    /// When the log last had something to do, until it is marked.
    busy_at: Option<Instant>,
    purge_at: Option<Instant>,
    lock: Lock,
}

impl Ordering {
    /// From an open store and the machine that was recovered from it.
    pub fn new(
        config: Config,
        replica: Replica,
        log: Log,
        disk: RealDisk,
        lock: Lock,
        background: Background,
        now: Now,
    ) -> Self {
        let purge_at = (config.purge_interval_ms > 0).then_some(now.mono);
        Self {
            config,
            replica,
            out: replica::Out::default(),
            log,
            disk,
            background,
            now,
            under_way: VecDeque::new(),
            busy_at: None,
            purge_at,
            lock,
        }
    }

    /// Makes the core that drives this one's log ready for it.
    pub fn attach(&mut self, net: &mut Net) -> Result<(), Error> {
        net.keep_open(self.lock.file().as_fd()).map_err(Error::Net)?;
        if !log_writes::register(&self.log, net) {
            log::debug!("the log's memory is not registered with the kernel");
        }
        self.order_segment();
        Ok(())
    }

    /// Steps the machine.
    pub fn step(&mut self, now: Now, input: replica::Input<'_>) {
        self.now = now;
        self.replica.step(now, input, &mut self.out);
    }

    /// A log write has ended.
    pub fn written(&mut self, now: Now, written: DiskWritten) -> Result<(), Error> {
        let op = OpId(written.id);
        if let Some(at) = self.under_way.iter().position(|(known, _)| *known == op) {
            let (_, since) = self.under_way.remove(at).expect("it was found there");
            self.mind_slow_write(now.mono.nanos_since(since) / 1_000_000);
        }
        let done = Completion { op, result: written.result };
        if let Some(durable) = self.log.complete(done).map_err(Error::Storage)? {
            self.step(now, replica::Input::Durable(durable));
        }
        Ok(())
    }

    fn mind_slow_write(&self, took_ms: u64) {
        if took_ms > self.config.slow_write_ms {
            let (name, bytes) = self.log.segment();
            log::warn!("{}", messages::slow_sync(name, took_ms, bytes));
        }
    }

    /// Carries out what the machine has said since the last call. Whether there was anything.
    pub fn carry_out(&mut self, fronts: &mut impl Fronts) -> Result<bool, Error> {
        if self.out.list.is_empty() && self.out.batch.is_empty() {
            return Ok(false);
        }
        // What is committed is known before any answer that was given after it.
        if !self.out.batch.is_empty() {
            fronts.publish(&mut self.out.batch)?;
        }
        for output in self.out.list.drain(..) {
            match output {
                Output::Append { zxid, generation, payload } => {
                    self.log.append(zxid, &self.out.bytes[payload], generation);
                    self.busy_at = Some(self.now.mono);
                }
                Output::Reopened { shard, conn, session, valid } => {
                    fronts.tell(shard, front::Input::Reopened { conn, session, valid })?;
                }
                Output::Disown { shard, conn } => {
                    fronts.tell(shard, front::Input::Disown(conn))?;
                }
                Output::Moved { shard, conn } => fronts.tell(shard, front::Input::Moved(conn))?,
                Output::Snapshot(job) => self.background.snapshot(job),
            }
        }
        self.out.clear();
        if crate::mutant!("ack-before-durable")
            && let Some(unconfirmed) = self.log.unconfirmed()
        {
            self.step(self.now, replica::Input::Durable(unconfirmed));
        }
        Ok(true)
    }

    /// Takes what the background has done, and gives it what is due.
    pub fn mind_background(&mut self, now: Now) -> Result<(), Error> {
        while let Some(done) = self.background.next_done() {
            match done {
                Done::Prepared(prepare, result) => {
                    result.map_err(Error::Storage)?;
                    self.log.segment_ready(prepare);
                }
                Done::Purged(Ok(purged)) => {
                    self.log.segments_removed_before(purged.first_segment);
                    let (snapshots, segments) = (purged.snapshots, purged.segments);
                    log::info!(
                        "{} {snapshots} snapshots and {segments} segments of the log are gone",
                        messages::PURGE_COMPLETED
                    );
                }
                Done::Purged(Err(error)) => log::error!("Purge task failed: {error}"),
                Done::Snapshot(generation, result) => {
                    let result = match result {
                        Ok(published) => Ok((published.zxid, published.bytes)),
                        Err(error) => {
                            log::error!("no snapshot: {error}");
                            Err(())
                        }
                    };
                    if result.is_ok() && self.config.purge_interval_ms > 0 {
                        self.purge_at = Some(now.mono);
                    }
                    self.step(now, replica::Input::SnapshotDone { generation, result });
                }
            }
        }
        if self.purge_at.is_some_and(|at| now.mono >= at) {
            self.purge_at = Some(now.mono.plus_millis(self.config.purge_interval_ms));
            log::info!("{}", messages::PURGE_STARTED);
            self.background.purge(self.log.segments().to_vec());
        }
        self.order_segment();
        Ok(())
    }

    fn order_segment(&mut self) {
        if let Some(prepare) = self.log.wants_segment() {
            self.background.prepare(prepare);
        }
        self.background.hurry(self.log.is_stalled());
    }

    /// Hands to the disk what was appended, and marks a log that has become quiet.
    pub fn write(&mut self, net: &mut Net) -> Result<(), Error> {
        let quiet_since = self.busy_at.filter(|_| self.log.is_idle());
        if quiet_since.is_some_and(|at| self.now.mono >= at.plus_millis(MARK_AFTER_MS)) {
            self.busy_at = None;
            self.log.mark();
        }
        let (now, under_way) = (self.now.mono, &mut self.under_way);
        log_writes::submit(&mut self.log, &mut self.disk, net, |op| {
            under_way.push_back((op, now));
        })?;
        self.order_segment();
        Ok(())
    }

    /// Whether an answer of the disk is awaited, or something of the background is here.
    pub fn is_busy(&self) -> bool {
        self.replica.has_outstanding() || !self.log.is_idle()
    }

    /// Whether the background has an answer.
    pub fn has_news(&self) -> bool {
        self.background.has_done()
    }

    /// Step with `Tick` no later than this.
    pub fn wake_at(&self) -> Instant {
        let tick = self.replica.wake_at();
        let mark = self.busy_at.filter(|_| self.log.is_idle());
        mark.map_or(tick, |at| tick.min(at.plus_millis(MARK_AFTER_MS)))
    }
}
