//! Bytes of the log: segment headers, batch headers, entries, and the chain through them. Pure.
//!
//! The layout is drawn in [`super`]. Every structure carries its own place (segment, offset) and
//! a CRC-32C, so that a block which landed elsewhere, or is left from an earlier life, is seen.

use std::hash::Hasher;

use siphasher::sip::SipHasher13;

use super::block::{BLOCK_BYTES, SECTOR_BYTES, to_u64};
use crate::types::Zxid;

/// The version of all formats of this module. A directory of a newer one is refused.
pub const VERSION: u32 = 1;

/// Where the first batch of a segment begins: two blocks hold the two copies of the header.
pub const SEGMENT_HEADER_BYTES: u64 = 2 * BLOCK_BYTES as u64;

/// Bytes of a batch's header.
pub const BATCH_HEADER_BYTES: usize = 96;

/// Bytes of an entry's header.
pub const ENTRY_HEADER_BYTES: usize = 32;

/// The largest payload of one transaction. A close of a session with a hundred thousand long
/// ephemeral paths fits; whoever builds transactions checks it before giving out a zxid.
pub const ENTRY_BYTES_MAX: usize = 512 << 20;

const SEGMENT_MAGIC: u64 = u64::from_le_bytes(*b"RKLOGSEG");
const BATCH_MAGIC: u32 = u32::from_le_bytes(*b"RKBA");
const ENTRY_MAGIC: u32 = u32::from_le_bytes(*b"RKEN");
const SEGMENT_CRC_AT: usize = SECTOR_BYTES - 4;

/// What is behind an entry up to a multiple of eight. Not zero: the last sector of an entry that
/// was written is thereby never all zero.
const FILLER: u8 = 0xa5;

/// Which directory bytes belong to: random, made when the directory was founded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Identity(pub [u8; 16]);

/// A place in the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The segment's number; 0 before the first.
    pub segment: u64,
    /// Byte in its file.
    pub offset: u64,
}

/// Everything before `at` was durable, the last entry being `zxid`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Durable {
    /// Behind the last durable batch.
    pub at: Position,
    /// Its last entry.
    pub zxid: Zxid,
}

/// A hash of all entries up to one; keyed by the directory's identity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Chain(pub u64);

impl Chain {
    /// Before the first entry.
    pub const START: Self = Self(0);

    /// The chain after one more entry.
    #[must_use]
    pub fn then(self, identity: Identity, zxid: Zxid, len: u32, payload_crc: u32) -> Self {
        let key = u128::from_le_bytes(identity.0).to_le_bytes();
        let mut hasher = SipHasher13::new_with_key(&key);
        hasher.write_u64(self.0);
        hasher.write_i64(zxid.0);
        hasher.write_u32(len);
        hasher.write_u32(payload_crc);
        Self(hasher.finish())
    }
}

/// Why bytes are not what was looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The sector is all zero: nothing was written there, or it did not arrive.
    Zero,
    /// Some sector of the structure is all zero, the rest is there: it did not arrive whole.
    Torn,
    /// Neither valid nor zero.
    Garbage(&'static str),
    /// Valid, of another directory.
    Foreign,
    /// Valid, of a version that this program does not know.
    Newer(u32),
}

fn get<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().expect("the range has N bytes")
}

fn get_u32(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(get(bytes, at))
}

fn get_u64(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(get(bytes, at))
}

fn get_zxid(bytes: &[u8], at: usize) -> Zxid {
    Zxid(i64::from_le_bytes(get(bytes, at)))
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    bytes[at..at + value.len()].copy_from_slice(value);
}

/// The head of a segment, there twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentHeader {
    /// Whose log.
    pub identity: Identity,
    /// The segment's number.
    pub number: u64,
    /// The segment before it; 0 if it is the first of the directory.
    pub prev: u64,
    /// The entry before its first one.
    pub base: Zxid,
    /// The chain up to `base`.
    pub chain: Chain,
    /// What was durable when the header was made.
    pub durable: Durable,
    /// Length of the file as prepared.
    pub bytes: u64,
}

impl SegmentHeader {
    /// Fills one sector; both copies are equal.
    pub fn encode(&self, sector: &mut [u8]) {
        sector[..SECTOR_BYTES].fill(0);
        put(sector, 0, &SEGMENT_MAGIC.to_le_bytes());
        put(sector, 8, &VERSION.to_le_bytes());
        put(sector, 16, &self.identity.0);
        put(sector, 32, &self.number.to_le_bytes());
        put(sector, 40, &self.prev.to_le_bytes());
        put(sector, 48, &self.base.0.to_le_bytes());
        put(sector, 56, &self.chain.0.to_le_bytes());
        put(sector, 64, &self.durable.at.segment.to_le_bytes());
        put(sector, 72, &self.durable.at.offset.to_le_bytes());
        put(sector, 80, &self.durable.zxid.0.to_le_bytes());
        put(sector, 88, &self.bytes.to_le_bytes());
        let crc = crc32c::crc32c(&sector[..SEGMENT_CRC_AT]);
        put(sector, SEGMENT_CRC_AT, &crc.to_le_bytes());
    }

    /// Reads one copy. `number` is what the file's name says.
    pub fn decode(sector: &[u8], identity: Identity, number: u64) -> Result<Self, Fault> {
        let sector = &sector[..SECTOR_BYTES];
        if super::block::is_zero(sector) {
            return Err(Fault::Zero);
        }
        if crc32c::crc32c(&sector[..SEGMENT_CRC_AT]) != get_u32(sector, SEGMENT_CRC_AT) {
            return Err(Fault::Garbage("a segment header with a wrong checksum"));
        }
        if get_u64(sector, 0) != SEGMENT_MAGIC {
            return Err(Fault::Garbage("no segment header"));
        }
        let version = get_u32(sector, 8);
        if version > VERSION {
            return Err(Fault::Newer(version));
        }
        let header = Self {
            identity: Identity(get(sector, 16)),
            number: get_u64(sector, 32),
            prev: get_u64(sector, 40),
            base: get_zxid(sector, 48),
            chain: Chain(get_u64(sector, 56)),
            durable: Durable {
                at: Position { segment: get_u64(sector, 64), offset: get_u64(sector, 72) },
                zxid: get_zxid(sector, 80),
            },
            bytes: get_u64(sector, 88),
        };
        if header.identity != identity {
            return Err(Fault::Foreign);
        }
        if header.number != number {
            return Err(Fault::Garbage("a segment header of another number"));
        }
        Ok(header)
    }
}

/// What a batch is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchKind {
    /// Entries, written together.
    Entries,
    /// No entry: only tells what is durable, when the log has gone quiet.
    Mark,
    /// The segment ends here, whatever lies behind; the log goes on in segment `next`.
    End {
        /// The number of the segment that follows.
        next: u64,
    },
}

/// The head of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    /// What for.
    pub kind: BatchKind,
    /// Its own place.
    pub at: Position,
    /// Header and entries, without the padding to a whole block.
    pub bytes: u64,
    /// Entries.
    pub count: u32,
    /// The last entry of the log up to here. Behind a batch whose entries go further, an end with
    /// a smaller `last` takes the further ones back.
    pub last: Zxid,
    /// The chain before its first entry; of an end: up to `last`.
    pub chain: Chain,
    /// What was durable when the batch was made.
    pub durable: Durable,
}

impl BatchHeader {
    /// Fills the first [`BATCH_HEADER_BYTES`] of `out`.
    pub fn encode(&self, out: &mut [u8]) {
        let (kind, next) = match self.kind {
            BatchKind::Entries => (1u32, 0),
            BatchKind::Mark => (2, 0),
            BatchKind::End { next } => (3, next),
        };
        out[..BATCH_HEADER_BYTES].fill(0);
        put(out, 0, &BATCH_MAGIC.to_le_bytes());
        put(out, 4, &kind.to_le_bytes());
        put(out, 8, &self.at.segment.to_le_bytes());
        put(out, 16, &self.at.offset.to_le_bytes());
        put(out, 24, &self.bytes.to_le_bytes());
        put(out, 32, &self.count.to_le_bytes());
        put(out, 40, &self.last.0.to_le_bytes());
        put(out, 48, &self.chain.0.to_le_bytes());
        put(out, 56, &self.durable.at.segment.to_le_bytes());
        put(out, 64, &self.durable.at.offset.to_le_bytes());
        put(out, 72, &self.durable.zxid.0.to_le_bytes());
        put(out, 80, &next.to_le_bytes());
        let crc = crc32c::crc32c(&out[..BATCH_HEADER_BYTES - 4]);
        put(out, BATCH_HEADER_BYTES - 4, &crc.to_le_bytes());
    }

    /// Reads the header that should be at `at`; `sector` begins there.
    pub fn decode(sector: &[u8], at: Position) -> Result<Self, Fault> {
        if super::block::is_zero(&sector[..SECTOR_BYTES.min(sector.len())]) {
            return Err(Fault::Zero);
        }
        if sector.len() < BATCH_HEADER_BYTES {
            return Err(Fault::Garbage("a batch header beyond the end of the file"));
        }
        let crc = get_u32(sector, BATCH_HEADER_BYTES - 4);
        if crc32c::crc32c(&sector[..BATCH_HEADER_BYTES - 4]) != crc {
            return Err(Fault::Garbage("a batch header with a wrong checksum"));
        }
        let kind = match (get_u32(sector, 0), get_u32(sector, 4)) {
            (BATCH_MAGIC, 1) => BatchKind::Entries,
            (BATCH_MAGIC, 2) => BatchKind::Mark,
            (BATCH_MAGIC, 3) => BatchKind::End { next: get_u64(sector, 80) },
            _ => return Err(Fault::Garbage("no batch header")),
        };
        let header = Self {
            kind,
            at: Position { segment: get_u64(sector, 8), offset: get_u64(sector, 16) },
            bytes: get_u64(sector, 24),
            count: get_u32(sector, 32),
            last: get_zxid(sector, 40),
            chain: Chain(get_u64(sector, 48)),
            durable: Durable {
                at: Position { segment: get_u64(sector, 56), offset: get_u64(sector, 64) },
                zxid: get_zxid(sector, 72),
            },
        };
        if header.at != at {
            return Err(Fault::Garbage("a batch that belongs elsewhere"));
        }
        if header.bytes < to_u64(BATCH_HEADER_BYTES) {
            return Err(Fault::Garbage("a batch shorter than its header"));
        }
        Ok(header)
    }

    /// Where the next batch begins.
    pub fn next_offset(&self) -> Option<u64> {
        let behind = self.at.offset.checked_add(self.bytes)?;
        behind.checked_next_multiple_of(to_u64(BLOCK_BYTES))
    }
}

/// The head of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryHeader {
    /// Which transaction.
    pub zxid: Zxid,
    /// Bytes of its payload.
    pub len: u32,
    /// The chain before it.
    pub chain: Chain,
    /// CRC-32C of the payload.
    pub payload_crc: u32,
}

impl EntryHeader {
    /// The header's bytes.
    pub fn encode(&self) -> [u8; ENTRY_HEADER_BYTES] {
        let mut out = [0; ENTRY_HEADER_BYTES];
        put(&mut out, 0, &ENTRY_MAGIC.to_le_bytes());
        put(&mut out, 4, &self.len.to_le_bytes());
        put(&mut out, 8, &self.zxid.0.to_le_bytes());
        put(&mut out, 16, &self.chain.0.to_le_bytes());
        put(&mut out, 24, &self.payload_crc.to_le_bytes());
        let crc = crc32c::crc32c(&out[..ENTRY_HEADER_BYTES - 4]);
        put(&mut out, ENTRY_HEADER_BYTES - 4, &crc.to_le_bytes());
        out
    }

    /// Reads a header; `None` if it is none.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..ENTRY_HEADER_BYTES)?;
        let crc = get_u32(bytes, ENTRY_HEADER_BYTES - 4);
        let good = crc32c::crc32c(&bytes[..ENTRY_HEADER_BYTES - 4]) == crc
            && get_u32(bytes, 0) == ENTRY_MAGIC;
        good.then(|| Self {
            zxid: get_zxid(bytes, 8),
            len: get_u32(bytes, 4),
            chain: Chain(get_u64(bytes, 16)),
            payload_crc: get_u32(bytes, 24),
        })
    }

    /// The chain after it.
    pub fn chain_after(&self, identity: Identity) -> Chain {
        self.chain.then(identity, self.zxid, self.len, self.payload_crc)
    }
}

/// Bytes that a payload of `len` takes in a batch, its header and filler included.
pub fn entry_bytes(len: usize) -> usize {
    ENTRY_HEADER_BYTES + (len + 1).next_multiple_of(8)
}

/// The filler behind a payload of `len` bytes: one to eight of them.
pub fn filler(len: usize) -> &'static [u8] {
    &[FILLER; 8][..(len + 1).next_multiple_of(8) - len]
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: Identity = Identity([7; 16]);

    fn header() -> SegmentHeader {
        SegmentHeader {
            identity: ID,
            number: 3,
            prev: 2,
            base: Zxid::new(1, 9),
            chain: Chain(77),
            durable: Durable { at: Position { segment: 2, offset: 8192 }, zxid: Zxid::new(1, 8) },
            bytes: 65536,
        }
    }

    #[test]
    fn a_segment_header_comes_back_and_every_flipped_bit_is_seen() {
        let mut sector = [0; SECTOR_BYTES];
        header().encode(&mut sector);
        assert_eq!(SegmentHeader::decode(&sector, ID, 3), Ok(header()));
        assert_eq!(SegmentHeader::decode(&sector, Identity([8; 16]), 3), Err(Fault::Foreign));
        assert!(matches!(SegmentHeader::decode(&sector, ID, 4), Err(Fault::Garbage(_))));
        assert_eq!(SegmentHeader::decode(&[0; SECTOR_BYTES], ID, 3), Err(Fault::Zero));
        for bit in 0..SECTOR_BYTES * 8 {
            sector[bit / 8] ^= 1 << (bit % 8);
            assert!(SegmentHeader::decode(&sector, ID, 3).is_err(), "bit {bit}");
            sector[bit / 8] ^= 1 << (bit % 8);
        }
    }

    #[test]
    fn a_newer_version_is_named_as_such() {
        let mut sector = [0; SECTOR_BYTES];
        header().encode(&mut sector);
        sector[8] = 2;
        let crc = crc32c::crc32c(&sector[..SEGMENT_CRC_AT]);
        put(&mut sector, SEGMENT_CRC_AT, &crc.to_le_bytes());
        assert_eq!(SegmentHeader::decode(&sector, ID, 3), Err(Fault::Newer(2)));
    }

    #[test]
    fn a_batch_header_comes_back_and_every_flipped_bit_is_seen() {
        let at = Position { segment: 3, offset: 12288 };
        for kind in [BatchKind::Entries, BatchKind::Mark, BatchKind::End { next: 4 }] {
            let header = BatchHeader {
                kind,
                at,
                bytes: 500,
                count: 2,
                last: Zxid::new(1, 11),
                chain: Chain(5),
                durable: Durable::default(),
            };
            let mut sector = [0; SECTOR_BYTES];
            header.encode(&mut sector);
            assert_eq!(BatchHeader::decode(&sector, at), Ok(header));
            assert_eq!(header.next_offset(), Some(16384));
            let elsewhere = Position { segment: 3, offset: 8192 };
            assert!(matches!(BatchHeader::decode(&sector, elsewhere), Err(Fault::Garbage(_))));
            for bit in 0..BATCH_HEADER_BYTES * 8 {
                sector[bit / 8] ^= 1 << (bit % 8);
                assert!(BatchHeader::decode(&sector, at).is_err(), "bit {bit}");
                sector[bit / 8] ^= 1 << (bit % 8);
            }
        }
    }

    #[test]
    fn an_entry_never_ends_in_a_zero_byte() {
        for len in 0..40 {
            assert!(!filler(len).is_empty());
            assert_eq!((ENTRY_HEADER_BYTES + len + filler(len).len()), entry_bytes(len));
            assert_eq!(entry_bytes(len) % 8, 0);
        }
    }

    #[test]
    fn the_chain_depends_on_every_part() {
        let base = Chain(1).then(ID, Zxid(5), 6, 7);
        let others = [
            Chain(2).then(ID, Zxid(5), 6, 7),
            Chain(1).then(Identity([8; 16]), Zxid(5), 6, 7),
            Chain(1).then(ID, Zxid(6), 6, 7),
            Chain(1).then(ID, Zxid(5), 7, 7),
            Chain(1).then(ID, Zxid(5), 6, 8),
        ];
        assert!(others.iter().all(|other| *other != base));
    }
}
