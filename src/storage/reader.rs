//! Reads entries back, oldest first: the tail at start, and what a learner lacks later.

use std::ops::Range;

use super::block::{Blocks, to_usize};
use super::disk::{Disk, Name};
use super::error::Error;
use super::log::SegmentInfo;
use super::log_format::{
    BATCH_HEADER_BYTES, BatchKind, Chain, ENTRY_HEADER_BYTES, EntryHeader, Fault, Identity,
    SEGMENT_HEADER_BYTES, SegmentHeader, entry_bytes,
};
use super::scan::Segment;
use super::segment;
use crate::types::Zxid;

/// Walks over the durable entries after one zxid up to another; see [`Reader::next`].
pub struct Reader {
    identity: Identity,
    segments: Vec<u64>,
    /// The segment held, by index; its bytes come with it.
    held: Option<(usize, Blocks)>,
    /// Where the next batch begins.
    offset: u64,
    last: Zxid,
    chain: Chain,
    /// What of the current batch is still to be given out.
    batch: Range<usize>,
    /// Entries of this batch beyond it were taken back.
    batch_last: Zxid,
    after: Zxid,
    until: Zxid,
}

impl Reader {
    /// Entries after `after` up to `until`, which must be durable. `segments` are the begun ones,
    /// oldest first.
    pub fn new(identity: Identity, segments: &[SegmentInfo], after: Zxid, until: Zxid) -> Self {
        let start = segments.iter().rposition(|segment| segment.base <= after).unwrap_or(0);
        Self {
            identity,
            segments: segments[start..].iter().map(|segment| segment.number).collect(),
            held: None,
            offset: 0,
            last: Zxid::ZERO,
            chain: Chain::START,
            batch: 0..0,
            batch_last: Zxid::ZERO,
            after,
            until,
        }
    }

    /// The next entry: zxid and payload. `None` behind the last one.
    ///
    /// # Errors
    /// What was durable cannot be read, or is not what was written.
    pub fn next<D: Disk>(&mut self, disk: &mut D) -> Result<Option<(Zxid, &[u8])>, Error> {
        let (zxid, payload) = loop {
            if self.batch.is_empty() {
                if self.last.max(self.after) >= self.until || !self.next_batch(disk)? {
                    return Ok(None);
                }
                continue;
            }
            let (_, blocks) = self.held.as_ref().expect("a batch lies in a held segment");
            let rest = &blocks.bytes()[self.batch.clone()];
            let entry = EntryHeader::decode(rest).expect("the batch was verified");
            let start = self.batch.start + ENTRY_HEADER_BYTES;
            let len = to_usize(entry.len.into());
            self.batch.start += entry_bytes(len);
            if entry.zxid > self.batch_last {
                continue;
            }
            self.last = entry.zxid;
            self.chain = entry.chain_after(self.identity);
            if entry.zxid > self.after && entry.zxid <= self.until {
                break (entry.zxid, start..start + len);
            }
        };
        let (_, blocks) = self.held.as_ref().expect("a batch lies in a held segment");
        Ok(Some((zxid, &blocks.bytes()[payload])))
    }

    /// Finds the next batch of entries; `false` behind the last segment.
    fn next_batch<D: Disk>(&mut self, disk: &mut D) -> Result<bool, Error> {
        let index = match &self.held {
            None => {
                if self.segments.is_empty() {
                    return Ok(false);
                }
                self.hold(disk, 0)?;
                0
            }
            Some((index, _)) => *index,
        };
        let (_, blocks) = self.held.as_ref().expect("held above");
        let number = self.segments[index];
        let segment = Segment { identity: self.identity, number, bytes: blocks.bytes() };
        let batch = match segment.batch(self.offset, self.last, self.chain) {
            Ok(batch) => batch,
            Err(fault) => return self.enter_or(disk, index + 1, number, fault),
        };
        self.offset = batch.next;
        match batch.header.kind {
            BatchKind::Mark => Ok(true),
            BatchKind::End { .. } if index + 1 < self.segments.len() => {
                self.hold(disk, index + 1).map(|()| true)
            }
            BatchKind::End { .. } => Ok(false),
            BatchKind::Entries => {
                let start = to_usize(batch.header.at.offset) + BATCH_HEADER_BYTES;
                self.batch = start..start + batch.entries.len();
                self.batch_last = batch.header.last;
                if let Ok(next) = segment.header(batch.next) {
                    self.batch_last = self.batch_last.min(next.last);
                }
                Ok(true)
            }
        }
    }

    /// A segment may have lost its end, and nothing else: then the next one goes on right here.
    fn enter_or<D: Disk>(
        &mut self,
        disk: &mut D,
        index: usize,
        number: u64,
        fault: Fault,
    ) -> Result<bool, Error> {
        if let Some(next) = self.segments.get(index) {
            let header = segment::read_header(disk, self.identity, *next)?;
            let goes_on = |header: SegmentHeader| {
                header.prev == number && header.base == self.last && header.chain == self.chain
            };
            if header.is_ok_and(goes_on) {
                return self.hold(disk, index).map(|()| true);
            }
        }
        Err(self.damaged(disk, number, fault))
    }

    fn hold<D: Disk>(&mut self, disk: &mut D, index: usize) -> Result<(), Error> {
        let number = self.segments[index];
        let header = match segment::read_header(disk, self.identity, number)? {
            Ok(header) => header,
            Err(fault) => return Err(self.damaged(disk, number, fault)),
        };
        if index > 0 && header.chain != self.chain && !crate::mutant!("chain-not-checked") {
            let fault = Fault::Garbage("a segment that does not continue the one before it");
            return Err(self.damaged(disk, number, fault));
        }
        self.held = Some((index, segment::load(disk, number)?));
        self.offset = SEGMENT_HEADER_BYTES;
        self.last = header.base;
        self.chain = header.chain;
        Ok(())
    }

    fn damaged<D: Disk>(&self, disk: &D, number: u64, fault: Fault) -> Error {
        let path = disk.path(Name::Segment(number));
        super::recover::corrupt(path, self.offset, fault, true)
    }
}
