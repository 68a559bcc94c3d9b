//! Writes a snapshot while the server goes on, publishes it, and opens one.
//!
//! A snapshot is exact: the state after one transaction, frozen by its owner. It becomes a base
//! for recovery by these steps, in this order: written under a temporary name, synced, read back
//! and verified, renamed, the directory synced. Any failure before leaves nothing behind that
//! recovery would look at.

use std::ops::Range;

use super::block::{BLOCK_BYTES, Block, Blocks, bytes_of, to_u64, to_usize};
use super::disk::{Dir, Disk, Durability, Name};
use super::error::Error;
use super::log_format::{Fault, Identity};
use super::map::FileBytes;
use super::recover::corrupt;
use super::segment::Pace;
use super::snapshot_format::{
    CHUNK_BYTES, SECTIONS_MAX, Section, SectionKind, SnapshotHeader, verify,
};
use crate::types::Zxid;

/// Something that can be written as a snapshot: frozen, so that it does not change meanwhile.
pub trait Image {
    /// The state is exactly the one after this transaction. It must be durable in the log.
    fn zxid(&self) -> Zxid;
    /// The tree's digest at that point.
    fn digest(&self) -> i64;
    /// Writes all sections, each begun once, in the order in which a reader wants them.
    fn write(&self, sink: &mut dyn Sink) -> Result<(), Error>;
}

/// Where an image writes its sections.
pub trait Sink {
    /// Begins a section; it starts on a block boundary.
    fn begin(&mut self, kind: SectionKind) -> Result<(), Error>;
    /// Adds to the section that was begun last.
    fn put(&mut self, bytes: &[u8]) -> Result<(), Error>;
}

/// A snapshot that is being written: one chunk of memory, whatever the image's size.
struct Writer<'a, 'p, D> {
    disk: &'a mut D,
    pace: Pace<'p>,
    /// The chunk that is being filled.
    chunk: Blocks,
    /// Bytes of the body that were written before it.
    written: u64,
    sections: Vec<Section>,
    table: Vec<u8>,
}

impl<D: Disk> Writer<'_, '_, D> {
    fn offset(&self) -> u64 {
        to_u64(BLOCK_BYTES) + self.written + to_u64(self.chunk.len())
    }

    fn flush(&mut self) -> Result<(), Error> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        self.chunk.pad_to_block();
        self.table.extend_from_slice(&crc32c::crc32c(self.chunk.bytes()).to_le_bytes());
        let path = self.disk.path(Name::SnapshotTemp);
        let offset = to_u64(BLOCK_BYTES) + self.written;
        self.disk
            .write(Name::SnapshotTemp, offset, self.chunk.as_blocks(), Durability::Later)
            .map_err(Error::io("writing", &path))?;
        self.written += to_u64(self.chunk.len());
        (self.pace)(self.chunk.len());
        self.chunk.clear();
        Ok(())
    }
}

impl<D: Disk> Sink for Writer<'_, '_, D> {
    fn begin(&mut self, kind: SectionKind) -> Result<(), Error> {
        assert!(self.sections.len() < SECTIONS_MAX, "too many sections for the header");
        assert!(self.sections.iter().all(|section| section.kind != kind), "{kind:?} twice");
        self.chunk.pad_to_block();
        if self.chunk.len() >= CHUNK_BYTES {
            self.flush()?;
        }
        self.sections.push(Section { kind, offset: self.offset(), bytes: 0 });
        Ok(())
    }

    fn put(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        let section = self.sections.last_mut().expect("a section was begun");
        section.bytes += to_u64(bytes.len());
        while !bytes.is_empty() {
            let room = CHUNK_BYTES - self.chunk.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.chunk.extend(now);
            bytes = later;
            if self.chunk.len() == CHUNK_BYTES {
                self.flush()?;
            }
        }
        Ok(())
    }
}

/// A snapshot that was published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// Its place in the order.
    pub zxid: Zxid,
    /// Bytes of its file.
    pub bytes: u64,
}

/// Writes, verifies and publishes an image. Blocking, for a background thread.
///
/// # Errors
/// The disk failed or is full, or what was read back differs. No snapshot was published; the ones
/// there are and the log are untouched, so on a full disk the server goes on without it.
pub fn publish<D: Disk>(
    disk: &mut D,
    identity: Identity,
    image: &dyn Image,
    pace: Pace,
) -> Result<Published, Error> {
    let result = write_and_rename(disk, identity, image, pace);
    if result.is_err() {
        // Best effort: recovery removes it as well.
        let _ = disk.remove(Name::SnapshotTemp);
    }
    result
}

fn write_and_rename<D: Disk>(
    disk: &mut D,
    identity: Identity,
    image: &dyn Image,
    pace: Pace,
) -> Result<Published, Error> {
    let temp = disk.path(Name::SnapshotTemp);
    let zxid = image.zxid();
    disk.create(Name::SnapshotTemp).map_err(Error::io("creating", &temp))?;
    let chunk = Blocks::with_capacity(CHUNK_BYTES);
    let (sections, table) = (Vec::new(), Vec::new());
    let mut writer = Writer { disk, pace, chunk, written: 0, sections, table };
    image.write(&mut writer)?;
    writer.flush()?;
    let Writer { sections, table, written, .. } = writer;
    let table_crc = crc32c::crc32c(&table);
    let digest = image.digest();
    let header =
        SnapshotHeader { identity, zxid, digest, sections, body_bytes: written, table_crc };
    let mut blocks = Blocks::with_capacity(table.len());
    blocks.extend(&table);
    blocks.pad_to_block();
    let mut head = Blocks::zeroed(BLOCK_BYTES);
    header.encode(head.bytes_mut());
    for (offset, blocks) in [(header.table_offset(), &blocks), (0, &head)] {
        disk.write(Name::SnapshotTemp, offset, blocks.as_blocks(), Durability::Later)
            .map_err(Error::io("writing", &temp))?;
    }
    if !crate::mutant!("snapshot-published-before-sync") {
        disk.sync(Name::SnapshotTemp).map_err(Error::io("syncing", &temp))?;
    }
    read_back(disk, &header)?;
    let name = Name::Snapshot(zxid);
    disk.rename(Name::SnapshotTemp, name).map_err(Error::io("renaming", &temp))?;
    disk.sync_dir(Dir::Snapshots).map_err(Error::io("syncing the directory of", &temp))?;
    Ok(Published { zxid, bytes: header.file_bytes() })
}

/// Reads a finished temporary file back, chunk by chunk, and compares checksums.
fn read_back<D: Disk>(disk: &mut D, header: &SnapshotHeader) -> Result<(), Error> {
    let path = disk.path(Name::SnapshotTemp);
    let mut read = |offset: u64, into: &mut [Block]| -> Result<(), Error> {
        let wanted = bytes_of(into).len();
        let count = disk
            .read(Name::SnapshotTemp, offset, into)
            .map_err(Error::io("reading back", &path))?;
        if count == wanted {
            return Ok(());
        }
        let fault = Fault::Garbage("a snapshot that ends early when read back");
        Err(corrupt(path.clone(), offset, fault, false))
    };
    let mut head = Blocks::zeroed(BLOCK_BYTES);
    read(0, head.as_blocks_mut())?;
    let found =
        SnapshotHeader::decode(head.bytes(), header.identity, header.zxid, header.file_bytes());
    let table_bytes = to_usize(header.file_bytes() - header.table_offset());
    let mut table = Blocks::zeroed(table_bytes);
    read(header.table_offset(), table.as_blocks_mut())?;
    table.truncate(header.chunks() * 4);
    let good = found.as_ref() == Ok(header) && crc32c::crc32c(table.bytes()) == header.table_crc;
    let mut chunk = Blocks::default();
    for index in 0..if good { header.chunks() } else { 0 } {
        let start = to_u64(index * CHUNK_BYTES);
        let bytes = to_usize(header.body_bytes - start).min(CHUNK_BYTES);
        chunk.clear();
        chunk.extend_zeros(bytes);
        read(to_u64(BLOCK_BYTES) + start, chunk.as_blocks_mut())?;
        let expected = &table.bytes()[index * 4..index * 4 + 4];
        if crc32c::crc32c(chunk.bytes()).to_le_bytes() != *expected {
            let fault = Fault::Garbage("a snapshot's chunk that reads back differently");
            return Err(corrupt(path.clone(), to_u64(BLOCK_BYTES) + start, fault, false));
        }
    }
    if good {
        return Ok(());
    }
    let fault = Fault::Garbage("a snapshot's header that reads back differently");
    Err(corrupt(path.clone(), 0, fault, false))
}

/// A published image, readable in place.
#[derive(Clone)]
pub struct Snapshot {
    header: SnapshotHeader,
    bytes: FileBytes,
}

impl Snapshot {
    /// Opens and verifies a snapshot, every byte of it.
    ///
    /// # Errors
    /// The file cannot be read, or is damaged or foreign.
    pub fn open<D: Disk>(
        disk: &mut D,
        identity: Identity,
        zxid: Zxid,
        threads: usize,
    ) -> Result<Self, Error> {
        let name = Name::Snapshot(zxid);
        let path = disk.path(name);
        let bytes = disk.load(name).map_err(Error::io("reading", &path))?;
        bytes.populate();
        let header = SnapshotHeader::decode(&bytes, identity, zxid, to_u64(bytes.len()));
        let header = header.map_err(|fault| corrupt(path.clone(), 0, fault, false))?;
        verify(&bytes, &header, threads)
            .map_err(|(offset, fault)| corrupt(path, offset, fault, false))?;
        Ok(Self { header, bytes })
    }

    /// The state is exactly the one after this transaction.
    pub fn zxid(&self) -> Zxid {
        self.header.zxid
    }

    /// The tree's digest at that point.
    pub fn digest(&self) -> i64 {
        self.header.digest
    }

    /// Bytes of the file.
    pub fn file_bytes(&self) -> u64 {
        self.header.file_bytes()
    }

    /// The kinds of sections it has.
    pub fn kinds(&self) -> impl Iterator<Item = SectionKind> {
        self.header.sections.iter().map(|section| section.kind)
    }

    /// Where a section lies in [`Snapshot::bytes`].
    pub fn range(&self, kind: SectionKind) -> Option<Range<usize>> {
        let section = self.header.sections.iter().find(|section| section.kind == kind)?;
        let start = to_usize(section.offset);
        Some(start..start + to_usize(section.bytes))
    }

    /// A section's bytes; they begin on a page.
    pub fn section(&self, kind: SectionKind) -> Option<&[u8]> {
        Some(&self.bytes[self.range(kind)?])
    }

    /// The whole file: to be kept by whoever borrows chunks of it for long.
    pub fn bytes(&self) -> &FileBytes {
        &self.bytes
    }
}
