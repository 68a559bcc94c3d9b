//! The log's writer: entries in, writes out, and at last the proof that they are durable.
//!
//! A machine without files. What it decides is which bytes go where and when they count:
//!
//! * Entries gather in a buffer; whatever gathered since the last submission becomes a batch. So
//!   a batch is as large as the disk is slow, with nothing to tune.
//! * Up to [`LOG_BATCHES_IN_FLIGHT_MAX`] writes are under way at once, each on blocks of its own,
//!   and complete in any order. Only the contiguous prefix of completed ones is durable.
//! * A segment is prepared ahead, by somebody else: file made, zeroed, synced, its name synced.
//!   When a batch no longer fits, the segment is ended and the next one begun; both are writes
//!   like any other, in the same order and under the same rule.
//!
//! # How it is driven
//!
//! [`Log::append`] any number of times; then [`Log::next_write`] until it has nothing, and each
//! write carried out with its data durable before it is answered; then [`Log::complete`] with each
//! answer. [`Log::wants_segment`] names the segment to prepare, in the background;
//! [`Log::segment_ready`] answers it. When nothing is to do for a few milliseconds, [`Log::mark`].
//!
//! # What it promises
//!
//! [`DurableUpTo`] comes out of `complete` alone, for the contiguous prefix alone. After one
//! failed write no more writes come out and nothing becomes durable: the process must stop.

use std::collections::VecDeque;

use super::block::{BLOCK_BYTES, Blocks, SECTOR_BYTES, to_u64};
use super::disk::{Completion, Name, OpId, Write};
use super::error::Error;
use super::log_format::{
    BATCH_HEADER_BYTES, BatchHeader, BatchKind, Chain, Durable, ENTRY_BYTES_MAX, EntryHeader,
    Identity, Position, SEGMENT_HEADER_BYTES, SegmentHeader, entry_bytes, filler,
};
use crate::types::limits::LOG_BATCHES_IN_FLIGHT_MAX;
use crate::types::{DurableUpTo, Generation, Zxid};

/// Bytes that must have gathered before a third and a fourth write go out beside two.
const DEEPER_BYTES_MIN: usize = 16 << 10;

/// What an operator or a test may choose about the log.
#[derive(Clone, Copy, Debug)]
pub struct LogConfig {
    /// Bytes of a segment. Larger ones are made where one transaction needs it.
    pub segment_bytes: u64,
    /// Bytes of the first segment after a start: it is zeroed while clients wait.
    pub first_segment_bytes: u64,
    /// A batch that has grown to this is closed and the next one begun.
    pub batch_bytes: usize,
    /// Writes under way at once, from 1 to [`LOG_BATCHES_IN_FLIGHT_MAX`].
    pub in_flight_max: usize,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 20,
            first_segment_bytes: 4 << 20,
            batch_bytes: 1 << 20,
            in_flight_max: LOG_BATCHES_IN_FLIGHT_MAX,
        }
    }
}

/// Memory of a batch to begin with: what 64 writers with small values fill.
const BUFFER_BYTES: usize = 256 << 10;

/// A buffer grown beyond this by one giant transaction is not kept.
const BUFFER_KEPT_BYTES_MAX: usize = 4 << 20;

/// Buffers kept for reuse: one gathering, the rest in flight.
const BUFFERS: usize = LOG_BATCHES_IN_FLIGHT_MAX + 1;

/// How often a write may make no progress (EAGAIN, EINTR) before it counts as failed.
const RETRIES_MAX: u8 = 16;

/// A segment that recovery or a roll began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentInfo {
    /// Its number.
    pub number: u64,
    /// The entry before its first one.
    pub base: Zxid,
}

/// The end of the log, from which a writer goes on.
#[derive(Clone, Copy, Debug)]
pub struct LogEnd {
    /// The segment's number; its header is durable and nothing else in it.
    pub segment: u64,
    /// Length of its file.
    pub bytes: u64,
    /// The last entry of the log; it and all before it are durable.
    pub last: Zxid,
    /// The chain up to it.
    pub chain: Chain,
}

/// A segment to be prepared in the background, by [`super::segment::prepare`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prepare {
    /// Its number.
    pub number: u64,
    /// Bytes to zero.
    pub bytes: u64,
}

/// A closed batch that waits for its place.
struct Ready {
    buffer: Blocks,
    count: u32,
    last: Zxid,
    chain: Chain,
    generation: Generation,
}

/// A write that has its place; the deque's order is the order of the log.
struct Flight {
    op: OpId,
    at: Position,
    buffer: Blocks,
    registered: Option<u16>,
    /// Bytes on disk so far, whole blocks.
    written: usize,
    state: State,
    retries: u8,
    /// What is durable once this and all before it are.
    durable: Durable,
    /// Present if entries become durable with it.
    generation: Option<Generation>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Submitted,
    Done,
}

/// The writer; see the module.
pub struct Log {
    identity: Identity,
    config: LogConfig,
    segment: u64,
    segment_bytes: u64,
    /// Where the next batch goes. Block-aligned; a block for the end is always left.
    offset: u64,
    gathering: Option<Ready>,
    /// The last appended entry, and the chain up to it.
    appended: Zxid,
    chain: Chain,
    /// The last entry that has its place, and the chain up to it.
    placed: (Zxid, Chain),
    ready: VecDeque<Ready>,
    flights: VecDeque<Flight>,
    next_op: u64,
    durable: Durable,
    /// What the newest batch header says about durability.
    told: Durable,
    prepared: Option<Prepare>,
    ordered: Option<Prepare>,
    segments: Vec<SegmentInfo>,
    buffers: Vec<Blocks>,
    /// First addresses of the buffers that were offered for registration.
    addresses: [usize; BUFFERS],
    failed: bool,
    bytes_appended: u64,
}

impl Log {
    /// Goes on at `end`; `segments` are the begun ones, oldest first, that of `end` included.
    pub fn new(
        identity: Identity,
        config: LogConfig,
        end: LogEnd,
        segments: Vec<SegmentInfo>,
    ) -> Self {
        assert!((1..=LOG_BATCHES_IN_FLIGHT_MAX).contains(&config.in_flight_max));
        assert!(segments.last().is_some_and(|last| last.number == end.segment));
        let buffer_bytes = BUFFER_BYTES.min(config.batch_bytes.next_multiple_of(BLOCK_BYTES));
        let buffers: Vec<_> = (0..BUFFERS).map(|_| Blocks::with_capacity(buffer_bytes)).collect();
        let mut addresses = [0; BUFFERS];
        for (address, buffer) in addresses.iter_mut().zip(&buffers) {
            *address = buffer.address().addr();
        }
        let at = Position { segment: end.segment, offset: SEGMENT_HEADER_BYTES };
        let durable = Durable { at, zxid: end.last };
        Self {
            identity,
            config,
            segment: end.segment,
            segment_bytes: end.bytes,
            offset: SEGMENT_HEADER_BYTES,
            gathering: None,
            appended: end.last,
            chain: end.chain,
            placed: (end.last, end.chain),
            ready: VecDeque::with_capacity(8),
            flights: VecDeque::with_capacity(8),
            next_op: 1,
            durable,
            told: durable,
            prepared: None,
            ordered: None,
            segments,
            buffers,
            addresses,
            failed: false,
            bytes_appended: 0,
        }
    }

    /// For a planted bug alone: goes on at `offset` of a segment that holds other things.
    pub(super) fn behind_a_cut(
        identity: Identity,
        config: LogConfig,
        end: LogEnd,
        segments: Vec<SegmentInfo>,
        offset: u64,
    ) -> Self {
        let mut log = Self::new(identity, config, end, segments);
        log.offset = offset;
        log.durable.at.offset = offset;
        log
    }

    /// Adds a transaction behind all others. It is durable when [`Log::complete`] says so.
    pub fn append(&mut self, zxid: Zxid, payload: &[u8], generation: Generation) {
        assert!(zxid > self.appended, "{zxid} after {}", self.appended);
        assert!(payload.len() <= ENTRY_BYTES_MAX, "{} bytes under {zxid}", payload.len());
        let header = EntryHeader {
            zxid,
            len: u32::try_from(payload.len()).expect("ENTRY_BYTES_MAX fits"),
            chain: self.chain,
            payload_crc: crc32c::crc32c(payload),
        };
        let full = self.gathering.as_ref().is_some_and(|batch| {
            batch.buffer.len() + entry_bytes(payload.len()) > self.config.batch_bytes
        });
        if full {
            self.ready.extend(self.gathering.take());
        }
        if self.gathering.is_none() {
            let mut buffer = self.buffers.pop().unwrap_or_default();
            buffer.clear();
            buffer.extend_zeros(BATCH_HEADER_BYTES);
            let chain = self.chain;
            self.gathering =
                Some(Ready { buffer, count: 0, last: self.appended, chain, generation });
        }
        let batch = self.gathering.as_mut().expect("made above");
        batch.buffer.extend(&header.encode());
        batch.buffer.extend(payload);
        batch.buffer.extend(filler(payload.len()));
        batch.count += 1;
        batch.last = zxid;
        batch.generation = generation;
        self.appended = zxid;
        self.chain = header.chain_after(self.identity);
        self.bytes_appended += to_u64(entry_bytes(payload.len()));
    }

    /// The next write to carry out, if one may go out now. Call until there is none.
    pub fn next_write(&mut self) -> Option<Write<'_>> {
        if self.failed {
            return None;
        }
        // One that completed before an older one keeps its place: memory stays bounded.
        let under_way = self.flights.iter().filter(|f| f.state != State::Waiting).count();
        if under_way >= self.config.in_flight_max {
            return None;
        }
        // One that was written in part goes on before anything new begins. Two keep the disk busy
        // while the core gathers the next; more help only when much is waiting: small ones cost a
        // core's time each, and slow each other's flush.
        let resumes = self.flights.iter().any(|flight| flight.state == State::Waiting);
        let worth =
            under_way < 2 || !self.ready.is_empty() || self.gathered_bytes() >= DEEPER_BYTES_MIN;
        if !resumes && worth {
            self.place_batch();
        }
        let flight = self.flights.iter_mut().find(|flight| flight.state == State::Waiting)?;
        flight.state = State::Submitted;
        Some(Write {
            op: flight.op,
            file: Name::Segment(flight.at.segment),
            offset: flight.at.offset + to_u64(flight.written),
            blocks: &flight.buffer.as_blocks()[flight.written / BLOCK_BYTES..],
            registered: flight.registered,
        })
    }

    fn gathered_bytes(&self) -> usize {
        self.gathering.as_ref().map_or(0, |batch| batch.buffer.len())
    }

    /// The write of that name again, as long as it is under way.
    pub fn write_of(&self, op: OpId) -> Option<Write<'_>> {
        let flight = self.flights.iter().find(|flight| flight.op == op)?;
        (flight.state == State::Submitted).then(|| Write {
            op,
            file: Name::Segment(flight.at.segment),
            offset: flight.at.offset + to_u64(flight.written),
            blocks: &flight.buffer.as_blocks()[flight.written / BLOCK_BYTES..],
            registered: flight.registered,
        })
    }

    /// Gives the oldest gathered batch its place, if there is one and room for it.
    fn place_batch(&mut self) {
        if self.ready.is_empty() {
            self.ready.extend(self.gathering.take());
        }
        let Some(batch) = self.ready.front() else { return };
        let bytes = to_u64(batch.buffer.len().next_multiple_of(BLOCK_BYTES));
        if self.offset + bytes + to_u64(BLOCK_BYTES) > self.segment_bytes && !self.roll(bytes) {
            return;
        }
        let mut batch = self.ready.pop_front().expect("looked at above");
        let at = Position { segment: self.segment, offset: self.offset };
        let header = BatchHeader {
            kind: BatchKind::Entries,
            at,
            bytes: to_u64(batch.buffer.len()),
            count: batch.count,
            last: batch.last,
            chain: batch.chain,
            durable: self.durable,
        };
        header.encode(batch.buffer.bytes_mut());
        batch.buffer.pad_to_block();
        self.offset += bytes;
        self.told = self.durable;
        self.placed = (batch.last, self.chain_behind(&batch));
        self.push_flight(at, batch.buffer, batch.last, Some(batch.generation));
    }

    /// The chain up to the last entry of `batch`: where the next batch, or nothing yet, begins.
    fn chain_behind(&self, batch: &Ready) -> Chain {
        let next = self.ready.front().or(self.gathering.as_ref());
        assert!(next.is_some() || batch.last == self.appended, "no batch behind {}", batch.last);
        next.map_or(self.chain, |next| next.chain)
    }

    /// Ends the segment and begins the next one; `false` while that is not prepared.
    fn roll(&mut self, needed: u64) -> bool {
        let fits =
            |next: &Prepare| needed + SEGMENT_HEADER_BYTES + to_u64(BLOCK_BYTES) <= next.bytes;
        let Some(next) = self.prepared.filter(fits) else { return false };
        assert!(next.number == self.segment + 1, "segment {} after {}", next.number, self.segment);
        let (last, chain) = self.placed;
        let end = BatchHeader {
            kind: BatchKind::End { next: next.number },
            at: Position { segment: self.segment, offset: self.offset },
            bytes: to_u64(BATCH_HEADER_BYTES),
            count: 0,
            last,
            chain,
            durable: self.durable,
        };
        let mut buffer = Blocks::zeroed(BLOCK_BYTES);
        end.encode(buffer.bytes_mut());
        self.push_flight(end.at, buffer, last, None);

        let header = SegmentHeader {
            identity: self.identity,
            number: next.number,
            prev: self.segment,
            base: last,
            chain,
            durable: self.durable,
            bytes: next.bytes,
        };
        let at = Position { segment: next.number, offset: 0 };
        self.push_flight(at, header_blocks(&header), last, None);
        self.segments.push(SegmentInfo { number: next.number, base: last });
        self.segment = next.number;
        self.segment_bytes = next.bytes;
        self.offset = SEGMENT_HEADER_BYTES;
        self.prepared = None;
        true
    }

    fn push_flight(
        &mut self,
        at: Position,
        buffer: Blocks,
        last: Zxid,
        generation: Option<Generation>,
    ) {
        let end = at.offset + to_u64(buffer.len());
        let address = buffer.address().addr();
        let registered = self.addresses.iter().position(|known| *known == address);
        self.flights.push_back(Flight {
            op: OpId(self.next_op),
            at,
            registered: registered.and_then(|index| u16::try_from(index).ok()),
            buffer,
            written: 0,
            state: State::Waiting,
            retries: 0,
            durable: Durable { at: Position { segment: at.segment, offset: end }, zxid: last },
            generation,
        });
        self.next_op += 1;
    }

    /// Takes the answer to a write. What has become durable with it, if anything has.
    ///
    /// # Errors
    /// Any failed write: nothing more will become durable, the process must stop.
    pub fn complete(&mut self, done: Completion) -> Result<Option<DurableUpTo>, Error> {
        let flight = self.flights.iter_mut().find(|flight| flight.op == done.op);
        let flight = flight.expect("a completion names a write under way");
        assert!(flight.state == State::Submitted, "{:?} was not under way", done.op);
        let left = flight.buffer.len() - flight.written;
        let written = match done.result {
            // Nothing was taken, and the call may be made again.
            Err(libc::EINTR | libc::EAGAIN) => 0,
            Ok(written) if written > 0 && written <= left => written,
            Ok(_) => return Err(self.fail(done.op, libc::EIO)),
            Err(error) => return Err(self.fail(done.op, error)),
        };
        if written == left {
            flight.written += written;
            flight.state = State::Done;
            return Ok(self.advance());
        }
        // A short write: what is on disk of a torn block is written once more.
        flight.retries += 1;
        flight.written += written - written % BLOCK_BYTES;
        flight.state = State::Waiting;
        if flight.retries > RETRIES_MAX {
            return Err(self.fail(done.op, libc::EIO));
        }
        Ok(None)
    }

    fn fail(&mut self, op: OpId, errno: i32) -> Error {
        self.failed = true;
        let flight = self.flights.iter().find(|flight| flight.op == op);
        let at = flight.map_or(Position::default(), |flight| flight.at);
        Error::Write {
            file: Name::Segment(at.segment),
            offset: at.offset,
            source: std::io::Error::from_raw_os_error(errno),
        }
    }

    /// Retires the completed prefix.
    fn advance(&mut self) -> Option<DurableUpTo> {
        if self.failed {
            return None;
        }
        let mut newest = None;
        if crate::mutant!("ack-not-contiguous") {
            let done = self.flights.iter().filter(|flight| flight.state == State::Done);
            newest = done.filter_map(|f| f.generation.map(|g| (f.durable.zxid, g))).next_back();
        }
        if crate::mutant!("ack-before-durable") {
            let out = self.flights.iter().filter(|flight| flight.state != State::Waiting);
            newest = out.filter_map(|f| f.generation.map(|g| (f.durable.zxid, g))).next_back();
        }
        while self.flights.front().is_some_and(|flight| flight.state == State::Done) {
            let flight = self.flights.pop_front().expect("looked at above");
            assert!(flight.durable.at > self.durable.at, "durability went back");
            self.durable = flight.durable;
            newest = newest.max(flight.generation.map(|g| (flight.durable.zxid, g)));
            let keep = self.buffers.len() < BUFFERS
                && flight.buffer.capacity() > BLOCK_BYTES * 2
                && flight.buffer.capacity() <= BUFFER_KEPT_BYTES_MAX;
            if keep {
                self.buffers.push(flight.buffer);
            }
        }
        newest.map(|(zxid, generation)| DurableUpTo::confirmed_by_disk(zxid, generation))
    }

    /// For a planted bug alone: the token for what was appended and never confirmed.
    pub fn unconfirmed(&self) -> Option<DurableUpTo> {
        let batch = self.gathering.as_ref()?;
        Some(DurableUpTo::confirmed_by_disk(batch.last, batch.generation))
    }

    /// Tells the disk what is durable, if no batch has told it and none is about to. To be called
    /// when the log has been quiet for a few milliseconds: from then on, damage to the last batch
    /// is known to be damage, and not a write that never arrived.
    pub fn mark(&mut self) {
        let quiet = self.flights.is_empty() && self.ready.is_empty() && self.gathering.is_none();
        let room = self.offset + 2 * to_u64(BLOCK_BYTES) <= self.segment_bytes;
        if self.failed || !quiet || self.told.zxid == self.durable.zxid || !room {
            return;
        }
        let (last, chain) = self.placed;
        let header = BatchHeader {
            kind: BatchKind::Mark,
            at: Position { segment: self.segment, offset: self.offset },
            bytes: to_u64(BATCH_HEADER_BYTES),
            count: 0,
            last,
            chain,
            durable: self.durable,
        };
        // Quiet is often: all buffers are here, and one of them serves without an allocation.
        let mut buffer = self.buffers.pop().unwrap_or_default();
        buffer.clear();
        buffer.extend_zeros(BLOCK_BYTES);
        header.encode(buffer.bytes_mut());
        self.offset += to_u64(BLOCK_BYTES);
        self.told = self.durable;
        self.push_flight(header.at, buffer, last, None);
    }

    /// The segment that should be prepared now; named once.
    pub fn wants_segment(&mut self) -> Option<Prepare> {
        let largest = self.ready.iter().chain(&self.gathering).map(|batch| batch.buffer.len());
        let needed = largest.max().map_or(0, |len| to_u64(len.next_multiple_of(BLOCK_BYTES)))
            + SEGMENT_HEADER_BYTES
            + to_u64(BLOCK_BYTES);
        let number = self.segment + 1;
        let enough = |prepare: &Prepare| prepare.number == number && prepare.bytes >= needed;
        if self.ordered.is_some() || self.prepared.as_ref().is_some_and(enough) {
            return None;
        }
        // A prepared one that is too small is replaced: nobody may begin it meanwhile.
        self.prepared = None;
        let bytes = self.config.segment_bytes.max(needed);
        self.ordered = Some(Prepare { number, bytes });
        self.ordered
    }

    /// The answer to [`Log::wants_segment`]: the file is there, zeroed, synced, its name too.
    pub fn segment_ready(&mut self, prepare: Prepare) {
        assert!(self.ordered == Some(prepare), "{prepare:?} was not ordered");
        self.ordered = None;
        self.prepared = Some(prepare);
    }

    /// Entries that are not durable yet.
    pub fn is_idle(&self) -> bool {
        self.flights.is_empty() && self.ready.is_empty() && self.gathering.is_none()
    }

    /// Whether entries wait for a segment that is not prepared yet.
    pub fn is_stalled(&self) -> bool {
        self.flights.is_empty() && !self.ready.is_empty()
    }

    /// Writes under way.
    pub fn in_flight(&self) -> usize {
        self.flights.iter().filter(|flight| flight.state == State::Submitted).count()
    }

    /// The last appended entry.
    pub fn last_appended(&self) -> Zxid {
        self.appended
    }

    /// Up to where the log is durable.
    pub fn durable(&self) -> Durable {
        self.durable
    }

    /// The durably begun segments, oldest first; for readers and for purge. One whose header is
    /// still under way does not count: what it continues may not be removed yet.
    pub fn segments(&self) -> &[SegmentInfo] {
        let begun = |segment: &SegmentInfo| segment.number <= self.durable.at.segment;
        &self.segments[..self.segments.partition_point(begun)]
    }

    /// Purge has removed the segments before this one.
    pub fn segments_removed_before(&mut self, number: u64) {
        self.segments.retain(|segment| segment.number >= number || segment.number == self.segment);
    }

    /// The segment that is written now, and the length of its file.
    pub fn segment(&self) -> (Name, u64) {
        (Name::Segment(self.segment), self.segment_bytes)
    }

    /// Bytes of entries appended since the start; for the snapshot trigger.
    pub fn bytes_appended(&self) -> u64 {
        self.bytes_appended
    }

    /// Address and length of each buffer that may be registered with a ring: index `i` is what
    /// [`Write::registered`] names. Ask before the first append.
    pub fn registrable(&self) -> Vec<(*const u8, usize)> {
        self.buffers.iter().map(|buffer| (buffer.address(), buffer.capacity())).collect()
    }
}

/// Both copies of a segment's header, a block each.
pub fn header_blocks(header: &SegmentHeader) -> Blocks {
    let mut blocks = Blocks::zeroed(2 * BLOCK_BYTES);
    let (first, second) = blocks.bytes_mut().split_at_mut(BLOCK_BYTES);
    header.encode(&mut first[..SECTOR_BYTES]);
    header.encode(&mut second[..SECTOR_BYTES]);
    blocks
}
