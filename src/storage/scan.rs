//! Reads batches and entries out of a segment's bytes, and says what is wrong where. Pure.
//!
//! [`Segment::batch`] verifies one batch whole: place, checksums, order of zxids, chain. A batch
//! is taken as a whole or not at all: nothing of a batch that did not arrive whole was ever
//! acknowledged.

use super::block::{BLOCK_BYTES, SECTOR_BYTES, is_zero, to_u64, to_usize};
use super::log_format::{
    BATCH_HEADER_BYTES, BatchHeader, BatchKind, Chain, Durable, ENTRY_HEADER_BYTES, EntryHeader,
    Fault, Identity, Position, SEGMENT_HEADER_BYTES, entry_bytes,
};
use crate::types::Zxid;

/// The bytes of one segment, from its beginning. What is missing at the end counts as zero.
#[derive(Clone, Copy)]
pub struct Segment<'a> {
    /// Whose log.
    pub identity: Identity,
    /// The segment's number.
    pub number: u64,
    /// Header blocks included.
    pub bytes: &'a [u8],
}

/// A verified batch.
#[derive(Clone, Copy)]
pub struct Batch<'a> {
    /// Its header.
    pub header: BatchHeader,
    /// Its entries' bytes.
    pub entries: &'a [u8],
    /// The chain after its last entry.
    pub chain: Chain,
    /// Where the next one begins.
    pub next: u64,
}

const ZERO_SECTOR: &[u8] = &[0; SECTOR_BYTES];

impl<'a> Segment<'a> {
    fn place(&self, offset: u64) -> Position {
        Position { segment: self.number, offset }
    }

    /// The batch header at `offset`, verified for itself.
    pub fn header(&self, offset: u64) -> Result<BatchHeader, Fault> {
        let rest = self.bytes.get(to_usize(offset)..).filter(|rest| !rest.is_empty());
        BatchHeader::decode(rest.unwrap_or(ZERO_SECTOR), self.place(offset))
    }

    /// The batch at `offset`, which must continue behind the entry `last` with `chain`.
    pub fn batch(&self, offset: u64, last: Zxid, chain: Chain) -> Result<Batch<'a>, Fault> {
        let header = self.header(offset)?;
        let next = header.next_offset().ok_or(Fault::Garbage("a batch of impossible length"))?;
        let continues = header.chain == chain || matches!(header.kind, BatchKind::End { .. });
        if !continues && !crate::mutant!("chain-not-checked") {
            return Err(Fault::Garbage("a batch that does not continue the one before it"));
        }
        if matches!(header.kind, BatchKind::End { .. } | BatchKind::Mark) {
            return Ok(Batch { header, entries: &[], chain: header.chain, next });
        }
        let start = to_usize(offset);
        let end = start + to_usize(header.bytes);
        let Some(all) = self.bytes.get(start..end) else {
            // The loader stops behind a long run of zeros, or the file was cut: not all arrived.
            return Err(Fault::Torn);
        };
        let entries = &all[BATCH_HEADER_BYTES..];
        let chain = self.verify(&header, entries, start + BATCH_HEADER_BYTES, last)?;
        Ok(Batch { header, entries, chain, next })
    }

    /// Walks over a batch's entries; the chain after the last one.
    fn verify(
        &self,
        header: &BatchHeader,
        entries: &[u8],
        file_offset: usize,
        mut last: Zxid,
    ) -> Result<Chain, Fault> {
        let mut chain = header.chain;
        let mut at = 0;
        for _ in 0..header.count {
            let from = file_offset + at;
            let Some(entry) = EntryHeader::decode(&entries[at..]) else {
                return Err(self.torn_or("an entry header with a wrong checksum", from, from + 1));
            };
            let len = to_usize(entry.len.into());
            let Some(payload) = entries[at + ENTRY_HEADER_BYTES..].get(..len) else {
                return Err(Fault::Garbage("an entry longer than its batch"));
            };
            let to = from + entry_bytes(len);
            if crc32c::crc32c(payload) != entry.payload_crc {
                return Err(self.torn_or("an entry with a wrong checksum", from, to));
            }
            if entry.zxid <= last {
                return Err(Fault::Garbage("entries out of order"));
            }
            if entry.chain != chain && !crate::mutant!("chain-not-checked") {
                return Err(Fault::Garbage("an entry that does not continue the one before it"));
            }
            last = entry.zxid;
            chain = entry.chain_after(self.identity);
            at += entry_bytes(len);
        }
        if at != entries.len() || last != header.last {
            return Err(Fault::Garbage("a batch that does not hold what its header says"));
        }
        Ok(chain)
    }

    /// Torn if one of the sectors that hold `from..to` is all zero, else garbage.
    fn torn_or(&self, found: &'static str, from: usize, to: usize) -> Fault {
        let first = from - from % SECTOR_BYTES;
        // An entry header may reach into the next sector.
        let to = to.max(from + ENTRY_HEADER_BYTES).next_multiple_of(SECTOR_BYTES);
        let sectors = &self.bytes[first..to.min(self.bytes.len())];
        if sectors.chunks(SECTOR_BYTES).any(is_zero) { Fault::Torn } else { Fault::Garbage(found) }
    }

    /// The furthest durable position that any batch header at or behind `offset` speaks of.
    ///
    /// Behind a batch that did not arrive, others of the same flight may have; and where a batch
    /// of the middle has rotted, those behind it prove that it once was durable.
    pub fn durable_behind(&self, offset: u64) -> Option<Durable> {
        let from = offset.max(SEGMENT_HEADER_BYTES);
        (from..to_u64(self.bytes.len()))
            .step_by(BLOCK_BYTES)
            .filter_map(|offset| self.header(offset).ok())
            .map(|header| header.durable)
            .max_by_key(|durable| durable.at)
    }
}

/// The entries of a verified batch.
#[derive(Clone)]
pub struct Entries<'a>(pub &'a [u8]);

impl<'a> Iterator for Entries<'a> {
    type Item = (EntryHeader, &'a [u8]);
    fn next(&mut self) -> Option<Self::Item> {
        let header = EntryHeader::decode(self.0)?;
        let len = to_usize(header.len.into());
        let payload = self.0.get(ENTRY_HEADER_BYTES..ENTRY_HEADER_BYTES + len)?;
        self.0 = self.0.get(entry_bytes(len)..)?;
        Some((header, payload))
    }
}
