//! Bytes of a snapshot: a header, named sections on block boundaries, a checksum for each MiB.
//! Pure. The layout is drawn in [`super`].

use super::block::{BLOCK_BYTES, to_u64, to_usize};
use super::log_format::{Fault, Identity, VERSION};
use crate::types::Zxid;

/// Bytes under one checksum.
pub const CHUNK_BYTES: usize = 1 << 20;

/// Sections of one image. The table of them fits in the header block.
pub const SECTIONS_MAX: usize = 64;

const MAGIC: u64 = u64::from_le_bytes(*b"RKSNAPSH");
const TABLE_AT: usize = 128;
const ROW_BYTES: usize = 24;
const CRC_AT: usize = BLOCK_BYTES - 4;

/// What a section holds: a number that the image's owner gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SectionKind(pub u32);

/// Where a section lies in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Section {
    /// What it holds.
    pub kind: SectionKind,
    /// Where it begins; a multiple of a block.
    pub offset: u64,
    /// Its bytes.
    pub bytes: u64,
}

/// The head of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotHeader {
    /// Whose.
    pub identity: Identity,
    /// The image is exactly the state after this transaction.
    pub zxid: Zxid,
    /// The tree's digest at that point.
    pub digest: i64,
    /// The sections, in the order of the file.
    pub sections: Vec<Section>,
    /// Bytes from the first section to the end of the last one, padded to whole blocks.
    pub body_bytes: u64,
    /// CRC-32C of the table of checksums, which follows the body.
    pub table_crc: u32,
}

impl SnapshotHeader {
    /// Chunks of the body, each with a checksum.
    pub fn chunks(&self) -> usize {
        to_usize(self.body_bytes).div_ceil(CHUNK_BYTES)
    }

    /// Where the table of checksums begins.
    pub fn table_offset(&self) -> u64 {
        to_u64(BLOCK_BYTES) + self.body_bytes
    }

    /// Bytes of the whole file.
    pub fn file_bytes(&self) -> u64 {
        let table = to_u64((self.chunks() * 4).next_multiple_of(BLOCK_BYTES));
        self.table_offset() + table
    }

    /// Fills the first block.
    pub fn encode(&self, block: &mut [u8]) {
        assert!(self.sections.len() <= SECTIONS_MAX, "{} sections", self.sections.len());
        block.fill(0);
        let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &MAGIC.to_le_bytes());
        put(8, &u64::from(VERSION).to_le_bytes());
        put(16, &self.identity.0);
        put(32, &self.zxid.0.to_le_bytes());
        put(40, &self.digest.to_le_bytes());
        put(48, &self.body_bytes.to_le_bytes());
        put(56, &to_u64(CHUNK_BYTES).to_le_bytes());
        put(64, &self.table_crc.to_le_bytes());
        put(72, &to_u64(self.sections.len()).to_le_bytes());
        for (index, section) in self.sections.iter().enumerate() {
            let at = TABLE_AT + index * ROW_BYTES;
            put(at, &section.kind.0.to_le_bytes());
            put(at + 8, &section.offset.to_le_bytes());
            put(at + 16, &section.bytes.to_le_bytes());
        }
        let crc = crc32c::crc32c(&block[..CRC_AT]);
        block[CRC_AT..BLOCK_BYTES].copy_from_slice(&crc.to_le_bytes());
    }

    /// Reads the first block of a file that is `file_bytes` long and named after `zxid`.
    pub fn decode(
        block: &[u8],
        identity: Identity,
        zxid: Zxid,
        file_bytes: u64,
    ) -> Result<Self, Fault> {
        let Some(block) = block.get(..BLOCK_BYTES) else {
            return Err(Fault::Garbage("a snapshot shorter than its header"));
        };
        let u64_at =
            |at: usize| u64::from_le_bytes(block[at..at + 8].try_into().expect("eight bytes"));
        let u32_at =
            |at: usize| u32::from_le_bytes(block[at..at + 4].try_into().expect("four bytes"));
        if crc32c::crc32c(&block[..CRC_AT]) != u32_at(CRC_AT) || u64_at(0) != MAGIC {
            return Err(Fault::Garbage("a snapshot header with a wrong checksum"));
        }
        if u64_at(8) > u64::from(VERSION) {
            return Err(Fault::Newer(u32::try_from(u64_at(8)).unwrap_or(u32::MAX)));
        }
        let count = to_usize(u64_at(72));
        if count > SECTIONS_MAX || u64_at(56) != to_u64(CHUNK_BYTES) {
            return Err(Fault::Garbage("a snapshot header with impossible numbers"));
        }
        let sections = (0..count).map(|index| {
            let at = TABLE_AT + index * ROW_BYTES;
            let kind = SectionKind(u32_at(at));
            Section { kind, offset: u64_at(at + 8), bytes: u64_at(at + 16) }
        });
        let header = Self {
            identity: Identity(block[16..32].try_into().expect("sixteen bytes")),
            zxid: Zxid(u64_at(32).cast_signed()),
            digest: u64_at(40).cast_signed(),
            sections: sections.collect(),
            body_bytes: u64_at(48),
            table_crc: u32_at(64),
        };
        if header.identity != identity {
            return Err(Fault::Foreign);
        }
        let fits = header.body_bytes <= file_bytes && header.file_bytes() <= file_bytes;
        let inside = |section: &Section| {
            let end = section.offset.checked_add(section.bytes);
            section.offset.is_multiple_of(to_u64(BLOCK_BYTES))
                && section.offset >= to_u64(BLOCK_BYTES)
                && end.is_some_and(|end| end <= header.table_offset())
        };
        if header.zxid != zxid || !fits || !header.sections.iter().all(inside) {
            return Err(Fault::Garbage("a snapshot whose header does not fit its file"));
        }
        Ok(header)
    }
}

/// The checksums of the chunks of `body`, one after the other.
pub fn checksums(body: &[u8]) -> impl Iterator<Item = u32> {
    body.chunks(CHUNK_BYTES).map(crc32c::crc32c)
}

/// Verifies every byte of a snapshot against its checksums, on `threads` threads.
///
/// # Errors
/// The offset of the first damaged chunk, and what is wrong.
pub fn verify(file: &[u8], header: &SnapshotHeader, threads: usize) -> Result<(), (u64, Fault)> {
    let table_at = to_usize(header.table_offset());
    let table = &file[table_at..table_at + header.chunks() * 4];
    if crc32c::crc32c(table) != header.table_crc {
        let fault = Fault::Garbage("a table of checksums with a wrong checksum");
        return Err((header.table_offset(), fault));
    }
    let body = &file[BLOCK_BYTES..table_at];
    let chunks: Vec<(usize, &[u8])> = body.chunks(CHUNK_BYTES).enumerate().collect();
    let bad = |(index, chunk): &&(usize, &[u8])| {
        let expected = &table[index * 4..index * 4 + 4];
        crc32c::crc32c(chunk).to_le_bytes() != *expected
    };
    let share = chunks.len().div_ceil(threads.max(1)).max(1);
    let first_bad = if threads > 1 && chunks.len() > 1 {
        std::thread::scope(|scope| {
            let parts = chunks.chunks(share);
            let workers: Vec<_> =
                parts.map(|part| scope.spawn(move || part.iter().find(bad).copied())).collect();
            let found = workers.into_iter().map(|worker| worker.join().expect("no panic inside"));
            found.flatten().next()
        })
    } else {
        chunks.iter().find(bad).copied()
    };
    match first_bad {
        None => Ok(()),
        Some((index, _)) => {
            let offset = to_u64(BLOCK_BYTES + index * CHUNK_BYTES);
            Err((offset, Fault::Garbage("a snapshot's chunk with a wrong checksum")))
        }
    }
}
