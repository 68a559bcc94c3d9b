//! What the log's files hold, by the decision table of a corruption-tolerant log.
//!
//! Let D be the furthest position that any header speaks of as durable.
//!
//! | at the first bad batch                                        | verdict | then |
//! |---|---|---|
//! | none: zeros up to the end                                     | whole   | go on in a new segment |
//! | at or behind D, some sector of what is bad is all zero        | torn    | cut before it, for good |
//! | at or behind D, neither valid nor zero                        | damaged | refuse: it may have been acknowledged |
//! | before D                                                      | damaged | refuse: it was acknowledged |
//! | a segment is missing, of another directory, of a newer version | damaged | refuse, naming it |
//!
//! Nothing is changed here; [`super::open`] carries out what follows from the verdict. A batch is
//! taken whole or not at all: what is behind a batch that did not arrive was never acknowledged.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::block::Blocks;
use super::disk::{Dir, Disk, Name};
use super::error::Error;
use super::log::SegmentInfo;
use super::log_format::{
    BatchKind, Chain, Durable, Fault, Identity, Position, SEGMENT_HEADER_BYTES, SegmentHeader,
};
use super::scan::{Batch, Entries, Segment};
use super::segment;
use crate::types::Zxid;

/// Where a readable log ends.
#[derive(Debug)]
pub struct Scan {
    /// The begun segments up to the last readable one, oldest first.
    pub segments: Vec<SegmentInfo>,
    /// Behind the last batch that counts.
    pub end: Position,
    /// The last entry that counts, and the chain up to it.
    pub last: Zxid,
    /// The chain up to `last`.
    pub chain: Chain,
    /// The segment is ended already, and names this one as the next, which was never begun.
    pub next_named: Option<u64>,
    /// The first segment whose content may not have been durable: to be synced before use.
    pub sync_from: u64,
    /// Something behind the end was there, and is cut off.
    pub torn: bool,
    /// The highest number any segment's file has.
    pub number_max: u64,
    /// What an operator should hear.
    pub notes: Vec<String>,
}

/// Makes the error for a fault.
pub fn corrupt(path: PathBuf, offset: u64, fault: Fault, acknowledged: bool) -> Error {
    let found = match fault {
        Fault::Foreign => return Error::Foreign { path },
        Fault::Newer(version) => return Error::Newer { path, version },
        Fault::Zero => "zeros where a batch was written",
        Fault::Torn => "a batch that is not whole",
        Fault::Garbage(found) => found,
    };
    Error::Corrupt { path, offset, found, acknowledged }
}

/// The headers of all segments there are, by number.
pub type Headers = BTreeMap<u64, Result<SegmentHeader, Fault>>;

/// Reads every segment's header.
pub fn headers<D: Disk>(disk: &mut D, identity: Identity) -> Result<Headers, Error> {
    let path = disk.path(Name::Meta);
    let files = disk.list(Dir::Log).map_err(Error::io("listing the directory of", &path))?;
    let mut headers = Headers::new();
    for file in files {
        if let Name::Segment(number) = file.name {
            let header = segment::read_header(disk, identity, number)?;
            match header {
                Err(fault @ (Fault::Foreign | Fault::Newer(_))) => {
                    return Err(corrupt(disk.path(file.name), 0, fault, false));
                }
                Ok(_) | Err(Fault::Zero | Fault::Torn | Fault::Garbage(_)) => {
                    headers.insert(number, header);
                }
            }
        }
    }
    Ok(headers)
}

/// Reads the log from the segment that holds what follows `after`. Entries behind `stop` are left
/// out, whatever is there: they are being removed.
///
/// `Ok(None)` is an empty log: no segment was ever begun.
///
/// # Errors
/// What was or may have been acknowledged cannot be read.
pub fn scan<D: Disk>(
    disk: &mut D,
    identity: Identity,
    headers: &Headers,
    after: Zxid,
    stop: Option<Zxid>,
) -> Result<Option<Scan>, Error> {
    let begun: Vec<SegmentHeader> = headers.values().filter_map(|h| h.ok()).collect();
    if begun.is_empty() {
        return match (after > Zxid::ZERO, headers.iter().find(|(_, h)| **h != Err(Fault::Zero))) {
            (_, Some((number, Err(fault)))) => {
                Err(corrupt(disk.path(Name::Segment(*number)), 0, *fault, false))
            }
            (true, _) => Err(missing(disk, 1, "a snapshot is there, the log that made it is not")),
            (false, _) => Ok(None),
        };
    }
    let Some(start) = begun.iter().rposition(|header| header.base <= after) else {
        let number = begun[0].prev.max(1);
        return Err(missing(disk, number, "the log begins behind the newest good snapshot"));
    };
    let first = begun[start];
    let mut walk = Walk {
        disk,
        identity,
        headers,
        stop,
        scan: Scan {
            segments: contiguous(&begun[..=start]),
            end: Position { segment: first.number, offset: SEGMENT_HEADER_BYTES },
            last: first.base,
            chain: first.chain,
            next_named: None,
            sync_from: first.number,
            torn: false,
            number_max: headers.keys().next_back().copied().unwrap_or(0),
            notes: Vec::new(),
        },
        durable: first.durable,
    };
    walk.run()?;
    let mut scan = walk.scan;
    scan.sync_from = first.number.max(walk.durable.at.segment.min(scan.end.segment));
    Ok(Some(scan))
}

/// The last of `begun` and those before it without a gap: a purge may not have finished.
fn contiguous(begun: &[SegmentHeader]) -> Vec<SegmentInfo> {
    let gap = |pair: &[SegmentHeader]| pair[1].prev != pair[0].number;
    let from = begun.windows(2).rposition(gap).map_or(0, |index| index + 1);
    begun[from..].iter().map(info).collect()
}

fn info(header: &SegmentHeader) -> SegmentInfo {
    SegmentInfo { number: header.number, base: header.base }
}

fn missing<D: Disk>(disk: &D, number: u64, why: &'static str) -> Error {
    Error::Missing { path: disk.path(Name::Segment(number)), why }
}

/// A walk over the segments, oldest first.
struct Walk<'a, D> {
    disk: &'a mut D,
    identity: Identity,
    headers: &'a Headers,
    stop: Option<Zxid>,
    scan: Scan,
    durable: Durable,
}

/// What follows from one batch.
enum Step {
    On,
    /// The next segment goes on here.
    Enter(SegmentHeader),
    Finished,
}

impl<D: Disk> Walk<'_, D> {
    fn run(&mut self) -> Result<(), Error> {
        let mut blocks = self.load(self.scan.end.segment)?;
        loop {
            let number = self.scan.end.segment;
            let bytes = blocks.bytes();
            let segment = Segment { identity: self.identity, number, bytes };
            match self.step(&segment)? {
                Step::On => {}
                Step::Finished => return Ok(()),
                Step::Enter(header) => {
                    blocks = self.load(header.number)?;
                    self.scan.segments.push(info(&header));
                    let offset = SEGMENT_HEADER_BYTES;
                    self.scan.end = Position { segment: header.number, offset };
                    self.note(header.durable);
                }
            }
        }
    }

    fn load(&mut self, number: u64) -> Result<Blocks, Error> {
        segment::load(self.disk, number)
    }

    fn note(&mut self, durable: Durable) {
        if durable.at > self.durable.at {
            self.durable = durable;
        }
    }

    /// Takes one batch.
    fn step(&mut self, segment: &Segment) -> Result<Step, Error> {
        if self.stop.is_some_and(|stop| self.scan.last >= stop) {
            return Ok(Step::Finished);
        }
        let (last, chain) = (self.scan.last, self.scan.chain);
        let offset = self.scan.end.offset;
        let batch = match segment.batch(offset, last, chain) {
            Ok(batch) => batch,
            Err(fault) => return self.on_bad(segment, fault),
        };
        self.note(batch.header.durable);
        match batch.header.kind {
            BatchKind::Entries => return Ok(self.take(segment, &batch)),
            BatchKind::Mark if batch.header.last == last => {
                self.scan.end.offset = batch.next;
                return Ok(Step::On);
            }
            BatchKind::End { next } if batch.header.last == last && batch.chain == chain => {
                return self.on_end(next);
            }
            BatchKind::Mark | BatchKind::End { .. } => {}
        }
        let fault = Fault::Garbage("a mark that contradicts the entries before it");
        Err(corrupt(self.disk.path(Name::Segment(segment.number)), offset, fault, true))
    }

    /// Counts a batch of entries: without those that the end behind it takes back (they are dead,
    /// whatever their zxid), and without those that are being removed.
    fn take(&mut self, segment: &Segment, batch: &Batch) -> Step {
        let alive = match segment.header(batch.next) {
            Ok(next) if matches!(next.kind, BatchKind::End { .. }) => {
                next.last.min(batch.header.last)
            }
            Ok(_) | Err(_) => batch.header.last,
        };
        let stop = self.stop.unwrap_or(Zxid(i64::MAX));
        for (entry, _) in Entries(batch.entries) {
            if entry.zxid > alive.min(stop) {
                break;
            }
            self.scan.last = entry.zxid;
            self.scan.chain = entry.chain_after(self.identity);
            self.scan.end.offset = batch.next;
        }
        if alive > stop {
            return Step::Finished;
        }
        self.scan.end.offset = batch.next;
        Step::On
    }

    /// The segment ends here and names the next.
    fn on_end(&mut self, next: u64) -> Result<Step, Error> {
        let path = self.disk.path(Name::Segment(next));
        match self.headers.get(&next) {
            None => Err(Error::Missing { path, why: "the segment before it goes on in it" }),
            Some(Ok(header)) => {
                if self.continues(header) {
                    return Ok(Step::Enter(*header));
                }
                if header.prev == self.scan.end.segment && header.base > self.scan.last {
                    let why =
                        "entries between two segments are gone, the snapshot that had them too";
                    return Err(Error::Missing { path, why });
                }
                let fault = Fault::Garbage("a segment that does not continue the one before it");
                Err(corrupt(path, 0, fault, true))
            }
            Some(Err(Fault::Zero)) => {
                let blocks = self.load(next)?;
                let bytes = blocks.bytes();
                let segment = Segment { identity: self.identity, number: next, bytes };
                let begun = Position { segment: next, offset: SEGMENT_HEADER_BYTES };
                if segment.durable_behind(0).is_some_and(|durable| durable.at >= begun) {
                    return Err(corrupt(path, 0, Fault::Zero, true));
                }
                self.scan.next_named = Some(next);
                Ok(Step::Finished)
            }
            Some(Err(fault)) => Err(corrupt(path, 0, *fault, false)),
        }
    }

    fn continues(&self, header: &SegmentHeader) -> bool {
        let chained = header.chain == self.scan.chain || crate::mutant!("chain-not-checked");
        header.prev == self.scan.end.segment && header.base == self.scan.last && chained
    }

    /// The first thing that is not as written: torn, or damaged?
    fn on_bad(&mut self, segment: &Segment, fault: Fault) -> Result<Step, Error> {
        let at = self.scan.end;
        let next = self.headers.range(at.segment + 1..).find_map(|(_, header)| header.ok());
        if let Some(header) = next.filter(|header| self.continues(header)) {
            let from = Name::Segment(at.segment);
            self.scan.notes.push(format!("{from} has lost its end; the next one continues it"));
            return Ok(Step::Enter(header));
        }
        let headers = self.headers;
        for (number, header) in headers.range(at.segment..) {
            if let Ok(header) = header {
                self.note(header.durable);
            }
            let blocks = if *number == at.segment { None } else { Some(self.load(*number)?) };
            let bytes = blocks.as_ref().map_or(segment.bytes, Blocks::bytes);
            let behind = Segment { identity: self.identity, number: *number, bytes };
            let from = if blocks.is_none() { at.offset } else { 0 };
            if let Some(durable) = behind.durable_behind(from) {
                self.note(durable);
                self.scan.torn = true;
            }
        }
        self.scan.torn |= fault != Fault::Zero;
        if crate::mutant!("damage-taken-for-torn") {
            return Ok(Step::Finished);
        }
        let path = self.disk.path(Name::Segment(at.segment));
        if self.durable.at > at {
            return Err(corrupt(path, at.offset, fault, true));
        }
        match fault {
            Fault::Zero | Fault::Torn => Ok(Step::Finished),
            Fault::Garbage(_) | Fault::Foreign | Fault::Newer(_) => {
                Err(corrupt(path, at.offset, fault, false))
            }
        }
    }
}
