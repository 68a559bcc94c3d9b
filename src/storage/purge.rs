//! Removes snapshots and segments that no recovery needs.
//!
//! Kept are the newest snapshots by count, fewer if they are too old or take too much room, but
//! never fewer than [`SNAPSHOTS_KEPT_MIN`]; and every segment that holds an entry after the oldest
//! kept snapshot, so that a damaged newest snapshot costs nothing but time.

use super::disk::{Dir, Disk, Entry, Name};
use super::error::Error;
use super::log::SegmentInfo;
use crate::types::Zxid;

/// Snapshots that neither age nor bytes remove.
pub const SNAPSHOTS_KEPT_MIN: usize = 2;

/// What to keep.
#[derive(Clone, Copy, Debug)]
pub struct Keep {
    /// Snapshots, as Java's `autopurge.snapRetainCount` counts them.
    pub snapshots: usize,
    /// Snapshots younger than this.
    pub age_secs: Option<u64>,
    /// As many as fit into this, log included.
    pub bytes: Option<u64>,
    /// Segments of this length are kept for reuse, one at a time.
    pub segment_bytes: u64,
}

/// What a purge did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    /// Snapshots removed.
    pub snapshots: usize,
    /// Segments removed or kept for reuse.
    pub segments: usize,
    /// The oldest segment left: for [`super::log::Log::segments_removed_before`].
    pub first_segment: u64,
}

/// Removes what `keep` does not ask for. Blocking, for the same background thread that prepares
/// segments. `segments` are the log's begun ones, oldest first; `now_secs` is since 1970.
///
/// # Errors
/// The disk failed; what was removed is not needed.
pub fn purge<D: Disk>(
    disk: &mut D,
    keep: Keep,
    segments: &[SegmentInfo],
    now_secs: u64,
) -> Result<Purged, Error> {
    let path = disk.path(Name::SnapshotTemp);
    let images = disk.list(Dir::Snapshots).map_err(Error::io("listing the directory of", &path))?;
    let log_files = disk.list(Dir::Log).map_err(Error::io("listing the directory of", &path))?;
    let newest_first = snapshots(&images);
    let kept = count_kept(&newest_first, &log_files, segments, keep, now_secs);
    let mut purged = Purged::default();
    for (zxid, _) in &newest_first[kept..] {
        let path = disk.path(Name::Snapshot(*zxid));
        disk.remove(Name::Snapshot(*zxid)).map_err(Error::io("removing", &path))?;
        purged.snapshots += 1;
    }
    let mut damaged = images.iter().filter(|file| matches!(file.name, Name::Damaged(_)));
    damaged.next();
    for file in damaged {
        let path = disk.path(file.name);
        disk.remove(file.name).map_err(Error::io("removing", &path))?;
    }
    if purged.snapshots > 0 {
        disk.sync_dir(Dir::Snapshots).map_err(Error::io("syncing the directory of", &path))?;
    }

    let oldest = newest_first[..kept].last().map_or(Zxid::ZERO, |(zxid, _)| *zxid);
    let needed_from = first_needed(segments, oldest);
    let mut recycled = log_files.iter().any(|file| file.name == Name::SegmentTemp);
    let first = segments.get(needed_from).map_or(0, |segment| segment.number);
    let mut old: Vec<_> = log_files
        .iter()
        .filter(|file| matches!(file.name, Name::Segment(number) if number < first))
        .collect();
    old.sort_unstable_by_key(|file| file.name);
    for file in old {
        let name = file.name;
        let path = disk.path(name);
        let result = if file.bytes == keep.segment_bytes && !recycled {
            recycled = true;
            disk.rename(name, Name::SegmentTemp)
        } else {
            disk.remove(name)
        };
        result.map_err(Error::io("removing", &path))?;
        purged.segments += 1;
    }
    if purged.segments > 0 {
        // Before the next prepare: a segment may be zeroed only when it is surely not in the log.
        disk.sync_dir(Dir::Log).map_err(Error::io("syncing the directory of", &path))?;
    }
    purged.first_segment = first;
    Ok(purged)
}

fn snapshots(files: &[Entry]) -> Vec<(Zxid, Entry)> {
    let mut found: Vec<_> = files
        .iter()
        .filter_map(|file| match file.name {
            Name::Snapshot(zxid) => Some((zxid, *file)),
            _ => None,
        })
        .collect();
    found.sort_unstable_by_key(|(zxid, _)| std::cmp::Reverse(*zxid));
    found
}

/// The first segment that may hold an entry after `oldest`, by index.
fn first_needed(segments: &[SegmentInfo], oldest: Zxid) -> usize {
    if crate::mutant!("purge-too-early") {
        return segments.len().saturating_sub(1);
    }
    segments.iter().rposition(|segment| segment.base <= oldest).unwrap_or(0)
}

/// How many of the newest snapshots stay.
fn count_kept(
    newest_first: &[(Zxid, Entry)],
    log_files: &[Entry],
    segments: &[SegmentInfo],
    keep: Keep,
    now_secs: u64,
) -> usize {
    let mut kept = keep.snapshots.max(1).min(newest_first.len());
    let least = SNAPSHOTS_KEPT_MIN.min(kept);
    if let Some(age) = keep.age_secs {
        let young = newest_first[..kept].iter();
        let young = young.filter(|(_, file)| file.modified_secs.saturating_add(age) >= now_secs);
        kept = young.count().clamp(least, kept);
    }
    if let Some(bytes) = keep.bytes {
        let total = |kept: usize| {
            let oldest = newest_first[..kept].last().map_or(Zxid::ZERO, |(zxid, _)| *zxid);
            let from = first_needed(segments, oldest);
            let first = segments.get(from).map_or(0, |segment| segment.number);
            let log = log_files
                .iter()
                .filter(|file| matches!(file.name, Name::Segment(number) if number >= first));
            let images = newest_first[..kept].iter().map(|(_, file)| file.bytes);
            images.sum::<u64>() + log.map(|file| file.bytes).sum::<u64>()
        };
        while kept > least && total(kept) > bytes {
            kept -= 1;
        }
    }
    kept
}
