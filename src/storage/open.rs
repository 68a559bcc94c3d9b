//! Start: from whatever a crash left to a log that can be appended to.
//!
//! The order of the durable steps is the proof; each may be the last before the next crash:
//!
//! 1. Names and promises that are there are made durable; a fresh directory is founded: the
//!    metadata block, whole, by rename.
//! 2. A lagging or damaged metadata slot is written again.
//! 3. An intended truncation removes the snapshots beyond it.
//! 4. Segments behind the log's end are removed, newest first, and that is made durable.
//! 5. What counts of the log is synced: a process that was killed may have left it in a cache.
//! 6. The next segment is prepared; then the old one is ended, in one sector; then the new one is
//!    begun. Nothing is ever appended behind a cut, not even behind a clean end.
//! 7. The metadata block remembers that there is a log; the intention to truncate is taken back.

use super::block::{BLOCK_BYTES, to_u64};
use super::disk::{Dir, Disk, Name};
use super::error::Error;
use super::log::{Log, LogConfig, LogEnd, Prepare, SegmentInfo};
use super::log_format::{
    Chain, Durable, Fault, Identity, Position, SEGMENT_HEADER_BYTES, SegmentHeader,
};
use super::meta::{self, Found, Meta, MetaStore};
use super::reader::Reader;
use super::recover::{self, Scan, corrupt};
use super::segment;
use super::snapshot::Snapshot;
use crate::types::Zxid;

/// What a start needs to know.
#[derive(Clone, Copy, Debug)]
pub struct OpenConfig {
    /// For the log's writer.
    pub log: LogConfig,
    /// Random bytes: the identity of the directory, if it has none yet.
    pub new_identity: Identity,
    /// Threads that verify a snapshot's checksums.
    pub verify_threads: usize,
}

/// What an operator hears about a start, and what tests ask.
#[derive(Debug, Default)]
pub struct Report {
    /// The directory was empty.
    pub founded: bool,
    /// The last transaction that is there, from snapshot and log together.
    pub last: Zxid,
    /// Writes that never completed were cut off.
    pub torn: bool,
    /// The reserve was spent: the disk is full.
    pub reserve_spent: bool,
    /// One sentence each.
    pub notes: Vec<String>,
}

/// An open store: state first from `snapshot`, then from `tail`, then from what is appended.
pub struct Opened {
    /// Whose directory.
    pub identity: Identity,
    /// The writer, behind all that is there.
    pub log: Log,
    /// Promises.
    pub meta: MetaStore,
    /// The newest good image.
    pub snapshot: Option<Snapshot>,
    /// The entries after it.
    pub tail: Reader,
    /// What was found.
    pub report: Report,
}

/// Opens the store on a disk; see the module. Blocking.
///
/// # Errors
/// The disk failed, or what may have been acknowledged is damaged. Nothing that recovery needs was
/// changed.
pub fn open_disk<D: Disk>(disk: &mut D, config: &OpenConfig) -> Result<Opened, Error> {
    open_until(disk, config, None)
}

/// Removes every entry and snapshot after `to`, durably, and opens what is left. The log must be
/// idle and is given up; a crash on the way is finished by the next start.
pub fn truncate<D: Disk>(
    disk: &mut D,
    config: &OpenConfig,
    mut meta: MetaStore,
    to: Zxid,
) -> Result<Opened, Error> {
    if crate::mutant!("truncate-without-intent") {
        return open_until(disk, config, Some(to));
    }
    let intent = Meta { truncate_to: Some(to), ..meta.meta() };
    meta.store_blocking(disk, intent)?;
    open_until(disk, config, None)
}

fn open_until<D: Disk>(
    disk: &mut D,
    config: &OpenConfig,
    stop: Option<Zxid>,
) -> Result<Opened, Error> {
    let mut report = Report::default();
    settle(disk)?;
    let mut meta = open_meta(disk, config, &mut report)?;
    let identity = meta.identity();
    let stop = stop.or(meta.meta().truncate_to);
    remove_leftovers(disk)?;

    let headers = recover::headers(disk, identity)?;
    if let Some(stop) = stop {
        remove_snapshots_after(disk, stop)?;
    }
    let snapshot = newest_good(disk, config, identity, &mut report)?;
    let base = snapshot.as_ref().map_or(Zxid::ZERO, Snapshot::zxid);
    let scan = recover::scan(disk, identity, &headers, base, stop)?;
    if scan.is_none() && meta.is_log_begun() {
        let path = disk.path(Name::Segment(1));
        return Err(Error::Missing { path, why: "the metadata block knows of a log" });
    }
    let scan = scan.unwrap_or_else(|| empty(headers.keys().next_back().copied()));

    let last_in_log = scan.last;
    let segments_before = scan.segments.clone();
    report.torn = scan.torn;
    report.last = last_in_log.max(base);
    report.notes.extend(scan.notes.iter().cloned());
    if base > last_in_log && !scan.segments.is_empty() {
        let note =
            format!("the snapshot at {base} is ahead of the log, which ends at {last_in_log}");
        report.notes.push(note);
    }
    let log = go_on(disk, config, identity, scan, &mut report)?;
    if !meta.is_log_begun() {
        meta.remember_log(disk)?;
    }
    if meta.meta().truncate_to.is_some() {
        meta.store_blocking(disk, Meta { truncate_to: None, ..meta.meta() })?;
    }
    let tail = Reader::new(identity, &segments_before, base, last_in_log);
    Ok(Opened { identity, log, meta, snapshot, tail, report })
}

/// Makes durable what is read next and decided upon: a killed process may have left names and
/// promises that the next power cut would take back.
fn settle<D: Disk>(disk: &mut D) -> Result<(), Error> {
    let path = disk.path(Name::Meta);
    let files = disk.list(Dir::Log).map_err(Error::io("listing the directory of", &path))?;
    for dir in [Dir::Log, Dir::Snapshots] {
        disk.sync_dir(dir).map_err(Error::io("syncing the directory of", &path))?;
    }
    if files.iter().any(|file| file.name == Name::Meta) {
        disk.sync(Name::Meta).map_err(Error::io("syncing", &path))
    } else {
        Ok(())
    }
}

/// Before the first segment.
fn empty(number_max: Option<u64>) -> Scan {
    Scan {
        segments: Vec::new(),
        end: Position::default(),
        last: Zxid::ZERO,
        chain: Chain::START,
        next_named: Some(number_max.unwrap_or(1)),
        sync_from: 0,
        torn: false,
        number_max: number_max.unwrap_or(0),
        notes: Vec::new(),
    }
}

fn open_meta<D: Disk>(
    disk: &mut D,
    config: &OpenConfig,
    report: &mut Report,
) -> Result<MetaStore, Error> {
    let path = disk.path(Name::Meta);
    match meta::read(disk)? {
        Found::Good { mut store, repair, damaged } => {
            if damaged {
                report.notes.push(format!("one slot of {} was not whole", path.display()));
            }
            if repair {
                let current = store.meta();
                store.store_blocking(disk, current)?;
            }
            Ok(*store)
        }
        Found::Absent => {
            let is_ours = |name: Name| matches!(name, Name::Segment(_) | Name::Snapshot(_));
            for dir in [Dir::Log, Dir::Snapshots] {
                let files = disk.list(dir).map_err(Error::io("listing the directory of", &path))?;
                if files.iter().any(|file| is_ours(file.name)) {
                    let why = "log or snapshots are there, what the server promised is not";
                    return Err(Error::Missing { path, why });
                }
            }
            report.founded = true;
            meta::found(disk, config.new_identity)
        }
        Found::Unreadable => {
            let fault = Fault::Garbage("neither slot of the metadata block is readable");
            Err(corrupt(path, 0, fault, true))
        }
        Found::Newer(version) => Err(Error::Newer { path, version }),
    }
}

/// Temporary files of work that did not finish. Their removal need not be durable.
fn remove_leftovers<D: Disk>(disk: &mut D) -> Result<(), Error> {
    for dir in [Dir::Log, Dir::Snapshots] {
        let path = disk.path(Name::Meta);
        let files = disk.list(dir).map_err(Error::io("listing the directory of", &path))?;
        for file in files {
            if matches!(file.name, Name::MetaTemp | Name::SnapshotTemp | Name::SegmentTemp) {
                let path = disk.path(file.name);
                disk.remove(file.name).map_err(Error::io("removing", &path))?;
            }
        }
    }
    Ok(())
}

fn snapshots<D: Disk>(disk: &mut D) -> Result<Vec<Zxid>, Error> {
    let path = disk.path(Name::SnapshotTemp);
    let files = disk.list(Dir::Snapshots).map_err(Error::io("listing the directory of", &path))?;
    let mut zxids: Vec<_> = files
        .iter()
        .filter_map(|file| match file.name {
            Name::Snapshot(zxid) => Some(zxid),
            _ => None,
        })
        .collect();
    zxids.sort_unstable();
    Ok(zxids)
}

fn remove_snapshots_after<D: Disk>(disk: &mut D, stop: Zxid) -> Result<(), Error> {
    let mut removed = false;
    for zxid in snapshots(disk)?.into_iter().rev().filter(|zxid| *zxid > stop) {
        let path = disk.path(Name::Snapshot(zxid));
        disk.remove(Name::Snapshot(zxid)).map_err(Error::io("removing", &path))?;
        removed = true;
    }
    let path = disk.path(Name::SnapshotTemp);
    if removed {
        disk.sync_dir(Dir::Snapshots).map_err(Error::io("syncing the directory of", &path))
    } else {
        Ok(())
    }
}

/// The newest snapshot whose every checksum holds. Damaged ones are put aside: the log since an
/// older one stands in for them, or the start fails there.
fn newest_good<D: Disk>(
    disk: &mut D,
    config: &OpenConfig,
    identity: Identity,
    report: &mut Report,
) -> Result<Option<Snapshot>, Error> {
    for zxid in snapshots(disk)?.into_iter().rev() {
        match Snapshot::open(disk, identity, zxid, config.verify_threads) {
            Ok(snapshot) => return Ok(Some(snapshot)),
            Err(error @ Error::Corrupt { .. }) => {
                let path = disk.path(Name::Snapshot(zxid));
                report.notes.push(format!("a damaged snapshot is put aside: {error}"));
                disk.rename(Name::Snapshot(zxid), Name::Damaged(zxid))
                    .map_err(Error::io("putting aside", &path))?;
            }
            Err(other) => return Err(other),
        }
    }
    Ok(None)
}

/// Steps 4 to 6: makes what was found durable and begins a segment of its own behind it.
fn go_on<D: Disk>(
    disk: &mut D,
    config: &OpenConfig,
    identity: Identity,
    scan: Scan,
    report: &mut Report,
) -> Result<Log, Error> {
    if crate::mutant!("append-behind-a-cut") && scan.end.segment > 0 {
        return Ok(append_in_place(config, identity, scan));
    }
    remove_segments_behind(disk, &scan)?;
    let counts = |segment: &&SegmentInfo| {
        segment.number >= scan.sync_from && !crate::mutant!("recovered-not-synced")
    };
    for segment in scan.segments.iter().filter(counts) {
        let path = disk.path(Name::Segment(segment.number));
        disk.sync(Name::Segment(segment.number)).map_err(Error::io("syncing", &path))?;
    }

    let number = scan.next_named.unwrap_or(scan.number_max + 1);
    let smallest = SEGMENT_HEADER_BYTES + to_u64(BLOCK_BYTES);
    let bytes = config.log.first_segment_bytes.clamp(smallest, u64::MAX);
    make_room(disk, Prepare { number, bytes }, report)?;

    let last = report.last;
    let durable = Durable { at: scan.end, zxid: scan.last };
    if scan.next_named.is_none() {
        segment::seal(disk, scan.end, number, (scan.last, scan.chain), durable)?;
    }
    let prev = scan.end.segment;
    let (base, chain) = (last, scan.chain);
    let header = SegmentHeader { identity, number, prev, base, chain, durable, bytes };
    segment::begin(disk, &header)?;
    if prev > 0 {
        // Gives back what the ended segment did not use; either length will do after a crash.
        let path = disk.path(Name::Segment(prev));
        disk.set_len(Name::Segment(prev), scan.end.offset + to_u64(BLOCK_BYTES))
            .map_err(Error::io("cutting", &path))?;
    }
    let mut segments = scan.segments;
    segments.push(SegmentInfo { number, base });
    let end = LogEnd { segment: number, bytes, last, chain };
    Ok(Log::new(identity, config.log, end, segments))
}

/// The planted bug: goes on where the readable part ends, with the rest still lying behind.
fn append_in_place(config: &OpenConfig, identity: Identity, scan: Scan) -> Log {
    let bytes = config.log.segment_bytes.min(config.log.first_segment_bytes);
    let end = LogEnd { segment: scan.end.segment, bytes, last: scan.last, chain: scan.chain };
    Log::behind_a_cut(identity, config.log, end, scan.segments, scan.end.offset)
}

/// Removes what lies behind the log's end, newest first. The segment that the end names stays: it
/// is replaced in one step.
fn remove_segments_behind<D: Disk>(disk: &mut D, scan: &Scan) -> Result<(), Error> {
    let path = disk.path(Name::Meta);
    let files = disk.list(Dir::Log).map_err(Error::io("listing the directory of", &path))?;
    let mut behind: Vec<u64> = files
        .iter()
        .filter_map(|file| match file.name {
            Name::Segment(number) if number > scan.end.segment => Some(number),
            _ => None,
        })
        .filter(|number| scan.next_named != Some(*number))
        .collect();
    behind.sort_unstable();
    for number in behind.iter().rev() {
        let path = disk.path(Name::Segment(*number));
        disk.remove(Name::Segment(*number)).map_err(Error::io("removing", &path))?;
    }
    if behind.is_empty() {
        Ok(())
    } else {
        disk.sync_dir(Dir::Log).map_err(Error::io("syncing the directory of", &path))
    }
}

/// Prepares the first segment; on a full disk, with the space that was kept for this.
fn make_room<D: Disk>(disk: &mut D, order: Prepare, report: &mut Report) -> Result<(), Error> {
    match segment::prepare(disk, order, &mut |_| {}) {
        Err(error) if error.is_full() => {
            let path = disk.path(Name::Reserve);
            if disk.remove(Name::Reserve).is_err() {
                return Err(Error::Full { path, needed: order.bytes });
            }
            report.reserve_spent = true;
            report.notes.push("the disk is full: the space kept in reserve is in use".into());
            // Best effort: what the failed try wrote; the next one overwrites it otherwise.
            let _ = disk.remove(Name::SegmentTemp);
            segment::prepare(disk, order, &mut |_| {}).map_err(|error| {
                if error.is_full() { Error::Full { path, needed: order.bytes } } else { error }
            })
        }
        other => other,
    }
}

/// Makes the reserve, if there is none: space that lets a server start on a full disk. Blocking,
/// for a background thread; a full disk is no error here.
pub fn make_reserve<D: Disk>(disk: &mut D, bytes: u64, pace: segment::Pace) -> Result<(), Error> {
    let path = disk.path(Name::Reserve);
    let files = disk.list(Dir::Log).map_err(Error::io("listing the directory of", &path))?;
    let there = files.iter().any(|file| file.name == Name::Reserve && file.bytes >= bytes);
    if there || bytes == 0 {
        return Ok(());
    }
    let result = segment::fill_with_zeros(disk, Name::Reserve, bytes, pace);
    match result {
        Err(error) if error.is_full() => {
            disk.remove(Name::Reserve).map_err(Error::io("removing", &path))
        }
        other => other,
    }
}
