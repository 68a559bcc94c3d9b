//! Work on files that may take its time: making segments ahead, purging, writing snapshots.
//!
//! Two threads beside the loops: one for segments and purge, so that the log never waits for a
//! snapshot, and one for snapshots. Both leave the disk to the log by pausing between pieces.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crossbeam::channel::{Receiver, Sender, bounded};
use crossbeam::queue::ArrayQueue;

use super::Error;
use super::engine::{Engine, Thread};
use crate::net::Wake;
use crate::replica::SnapshotJob;
use crate::storage::driver::RealDisk;
use crate::storage::log::{Prepare, SegmentInfo};
use crate::storage::purge::{self, Keep, Purged};
use crate::storage::snapshot::{self, Published};
use crate::storage::{self, Identity, segment};
use crate::types::{Generation, messages};

/// Jobs that wait. The log orders one segment at a time, the replica one snapshot; purges follow
/// snapshots.
const JOBS_MAX: usize = 16;

/// The pause after each MiB, unless the log is waiting for it.
const PAUSE_PER_MIB: Duration = Duration::from_millis(3);

/// How long to wait before a segment is tried again on a full disk.
const FULL_DISK_PAUSE: Duration = Duration::from_secs(1);

enum Job {
    Prepare(Prepare),
    Purge(Vec<SegmentInfo>),
}

/// What came of a job.
pub enum Done {
    /// The segment is ready, or the disk failed.
    Prepared(Prepare, Result<(), storage::Error>),
    /// Old files are gone, or the disk failed.
    Purged(Result<Purged, storage::Error>),
    /// A snapshot is published, or was given up.
    Snapshot(Generation, Result<Published, storage::Error>),
}

/// Both threads, and the way back.
pub struct Background {
    files: Option<Sender<Job>>,
    snapshots: Option<Sender<Box<SnapshotJob>>>,
    shared: Arc<Shared>,
    threads: Vec<Thread<()>>,
}

struct Shared {
    done: ArrayQueue<Done>,
    bell: Arc<Wake>,
    /// The log stands still until its segment is there.
    hurry: AtomicBool,
    stop: AtomicBool,
}

impl Background {
    /// Starts the threads; `bell` is rung when something is done.
    pub fn start(
        engine: &Engine,
        disk: &RealDisk,
        identity: Identity,
        keep: Keep,
        bell: Arc<Wake>,
    ) -> Result<Self, Error> {
        let shared = Arc::new(Shared {
            done: ArrayQueue::new(4 * JOBS_MAX),
            bell,
            hurry: AtomicBool::new(false),
            stop: AtomicBool::new(false),
        });
        let (files, file_jobs) = bounded(JOBS_MAX);
        let (snapshots, snapshot_jobs) = bounded(JOBS_MAX);
        let threads = vec![
            engine.spawn("files", None, {
                let (disk, shared) = (disk.another(), Arc::clone(&shared));
                move || work_on_files(disk, keep, &file_jobs, &shared)
            })?,
            engine.spawn("snapshots", None, {
                let (disk, shared) = (disk.another(), Arc::clone(&shared));
                move || write_snapshots(disk, identity, &snapshot_jobs, &shared)
            })?,
        ];
        Ok(Self { files: Some(files), snapshots: Some(snapshots), shared, threads })
    }

    /// Makes a segment; the answer is [`Done::Prepared`].
    pub fn prepare(&self, prepare: Prepare) {
        self.give(Job::Prepare(prepare));
    }

    /// Removes old files; the answer is [`Done::Purged`]. Skipped if purges pile up.
    pub fn purge(&self, segments: Vec<SegmentInfo>) {
        if let Some(files) = self.files.as_ref().filter(|files| files.len() < JOBS_MAX / 2) {
            // A thread that is gone has said why; the next segment will tell.
            let _ = files.try_send(Job::Purge(segments));
        }
    }

    fn give(&self, job: Job) {
        let files = self.files.as_ref().expect("they are open until the end");
        // The log orders the next segment only when it has this one, so there is a place.
        assert!(files.try_send(job).is_ok(), "the thread for files has a place for a segment");
    }

    /// Writes a snapshot; the answer is [`Done::Snapshot`].
    pub fn snapshot(&self, job: Box<SnapshotJob>) {
        let snapshots = self.snapshots.as_ref().expect("they are open until the end");
        assert!(snapshots.try_send(job).is_ok(), "the replica asks for one at a time");
    }

    /// Whether the log stands still until its next segment is there.
    pub fn hurry(&self, hurry: bool) {
        self.shared.hurry.store(hurry, Ordering::Relaxed);
    }

    /// What is done meanwhile.
    pub fn next_done(&self) -> Option<Done> {
        self.shared.done.pop()
    }

    /// Whether something is done.
    pub fn has_done(&self) -> bool {
        !self.shared.done.is_empty()
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        (self.files, self.snapshots) = (None, None);
        for thread in self.threads.drain(..) {
            if let Err(error) = thread.join() {
                log::error!("a thread for background work ended badly: {error}");
            }
        }
    }
}

impl Shared {
    fn answer(&self, done: Done) {
        // There are fewer jobs than places; a loop that is gone needs no answer.
        let _ = self.done.push(done);
        self.bell.ring();
    }

    /// Leaves the disk to the log for a moment, in proportion to what was just written.
    fn pace(&self, bytes: usize) {
        if !self.hurry.load(Ordering::Relaxed) && !self.stop.load(Ordering::Relaxed) {
            let pieces = u32::try_from(bytes.div_ceil(1 << 20)).unwrap_or(u32::MAX);
            std::thread::sleep(PAUSE_PER_MIB.saturating_mul(pieces));
        }
    }
}

fn work_on_files(mut disk: RealDisk, keep: Keep, jobs: &Receiver<Job>, shared: &Shared) {
    while let Ok(job) = jobs.recv() {
        if shared.stop.load(Ordering::Relaxed) {
            return;
        }
        match job {
            Job::Prepare(prepare) => {
                let result = prepare_segment(&mut disk, prepare, shared);
                shared.answer(Done::Prepared(prepare, result));
            }
            Job::Purge(segments) => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                let result = purge::purge(&mut disk, keep, &segments, now.as_secs());
                shared.answer(Done::Purged(result));
            }
        }
    }
}

/// A full disk is waited for: what is logged is safe, and new writes wait for room.
fn prepare_segment(
    disk: &mut RealDisk,
    prepare: Prepare,
    shared: &Shared,
) -> Result<(), storage::Error> {
    let mut told = false;
    loop {
        let result = segment::prepare(disk, prepare, &mut |bytes| shared.pace(bytes));
        match result {
            Err(error) if error.is_full() && !shared.stop.load(Ordering::Relaxed) => {
                if !told {
                    log::error!("{error}; writes wait until there is room for the next segment");
                    told = true;
                }
                std::thread::sleep(FULL_DISK_PAUSE);
            }
            result => {
                if told && result.is_ok() {
                    log::info!("there is room again: the next segment is ready");
                }
                return result;
            }
        }
    }
}

fn write_snapshots(
    mut disk: RealDisk,
    identity: Identity,
    jobs: &Receiver<Box<SnapshotJob>>,
    shared: &Shared,
) {
    while let Ok(job) = jobs.recv() {
        if shared.stop.load(Ordering::Relaxed) {
            return;
        }
        let SnapshotJob { generation, image, zxid } = *job;
        let name = storage::disk::Name::Snapshot(zxid);
        log::info!("{}", messages::snapshotting(zxid, name));
        let mut pace = |bytes| shared.pace(bytes);
        let result = snapshot::publish(&mut disk, identity, &image, &mut pace);
        // Before the answer: the tree's owner copies less as soon as its pieces are free.
        drop(image);
        shared.answer(Done::Snapshot(generation, result));
    }
}
