//! Making, beginning and ending a segment: the blocking steps, in the order that a crash forgives.

use super::block::{BLOCK_BYTES, Blocks, to_u64, to_usize};
use super::disk::{Dir, Disk, Durability, Name};
use super::error::Error;
use super::log::{Prepare, header_blocks};
use super::log_format::{
    BATCH_HEADER_BYTES, BatchHeader, BatchKind, Chain, Durable, Fault, Identity, Position,
    SegmentHeader,
};
use crate::types::Zxid;

/// Bytes zeroed or read by one call.
pub const CHUNK_BYTES: usize = 1 << 20;

/// Bytes of the first read of a segment: most that is ended at once is short.
const FIRST_READ_BYTES: usize = 64 << 10;

/// Zeros in a row after which the rest of a segment is taken for unwritten. More than all batches
/// in flight at once can leave out, giants apart.
const ZEROS_TO_STOP: usize = 8 << 20;

/// Called with the number of bytes just written; may sleep, to leave the disk to others.
pub type Pace<'a> = &'a mut dyn FnMut(usize);

/// Makes a segment: zeroed, synced, under its name, the name synced. Blocking, for a background
/// thread. An old segment that was kept is taken and zeroed again; a file of that name that was
/// never begun is replaced.
pub fn prepare<D: Disk>(disk: &mut D, prepare: Prepare, pace: Pace) -> Result<(), Error> {
    let temp = disk.path(Name::SegmentTemp);
    let bytes = prepare.bytes.next_multiple_of(to_u64(BLOCK_BYTES));
    let files = disk.list(Dir::Log).map_err(Error::io("listing", &temp))?;
    let kept = files.iter().find(|file| file.name == Name::SegmentTemp);
    let same = kept.is_some_and(|file| file.bytes == bytes);
    if !(same && crate::mutant!("recycled-not-zeroed")) {
        if !same {
            disk.create(Name::SegmentTemp).map_err(Error::io("creating", &temp))?;
        }
        zero(disk, Name::SegmentTemp, bytes, pace)?;
    }
    disk.sync(Name::SegmentTemp).map_err(Error::io("syncing", &temp))?;
    let name = Name::Segment(prepare.number);
    disk.rename(Name::SegmentTemp, name).map_err(Error::io("renaming", &temp))?;
    if crate::mutant!("directory-not-synced") {
        return Ok(());
    }
    let path = disk.path(name);
    disk.sync_dir(Dir::Log).map_err(Error::io("syncing the directory of", &path))
}

/// Writes zeros over the first `bytes` bytes of a file.
fn zero<D: Disk>(disk: &mut D, name: Name, bytes: u64, pace: Pace) -> Result<(), Error> {
    let path = disk.path(name);
    let zeros = Blocks::zeroed(CHUNK_BYTES.min(to_usize(bytes)));
    let mut offset = 0;
    while offset < bytes {
        let count = to_usize((bytes - offset).min(to_u64(zeros.len())));
        let blocks = &zeros.as_blocks()[..count / BLOCK_BYTES];
        disk.write(name, offset, blocks, Durability::Later).map_err(Error::io("zeroing", &path))?;
        offset += to_u64(count);
        pace(count);
    }
    Ok(())
}

/// Makes a file of `bytes` zero bytes, a multiple of a block, and syncs it.
pub fn fill_with_zeros<D: Disk>(
    disk: &mut D,
    name: Name,
    bytes: u64,
    pace: Pace,
) -> Result<(), Error> {
    let path = disk.path(name);
    disk.create(name).map_err(Error::io("creating", &path))?;
    zero(disk, name, bytes, pace)?;
    disk.sync(name).map_err(Error::io("syncing", &path))
}

/// Writes both copies of the header of a prepared segment; durable when it returns.
pub fn begin<D: Disk>(disk: &mut D, header: &SegmentHeader) -> Result<(), Error> {
    let name = Name::Segment(header.number);
    let path = disk.path(name);
    disk.write(name, 0, header_blocks(header).as_blocks(), Durability::Now)
        .map_err(Error::io("writing the header of", &path))
}

/// Ends a segment at a place for good: what lies behind is never read again.
pub fn seal<D: Disk>(
    disk: &mut D,
    at: Position,
    next: u64,
    (last, chain): (Zxid, Chain),
    durable: Durable,
) -> Result<(), Error> {
    let header = BatchHeader {
        kind: BatchKind::End { next },
        at,
        bytes: to_u64(BATCH_HEADER_BYTES),
        count: 0,
        last,
        chain,
        durable,
    };
    let mut blocks = Blocks::zeroed(BLOCK_BYTES);
    header.encode(blocks.bytes_mut());
    let name = Name::Segment(at.segment);
    let path = disk.path(name);
    let when = if crate::mutant!("seal-not-durable") { Durability::Later } else { Durability::Now };
    disk.write(name, at.offset, blocks.as_blocks(), when).map_err(Error::io("sealing", &path))
}

/// A segment's header: the first good copy of the two.
///
/// # Errors
/// The outer one: the file cannot be read. The inner one: no copy is good; `Zero` means that the
/// segment was prepared and never begun.
pub fn read_header<D: Disk>(
    disk: &mut D,
    identity: Identity,
    number: u64,
) -> Result<Result<SegmentHeader, Fault>, Error> {
    let name = Name::Segment(number);
    let path = disk.path(name);
    let mut blocks = Blocks::zeroed(2 * BLOCK_BYTES);
    disk.read(name, 0, blocks.as_blocks_mut()).map_err(Error::io("reading", &path))?;
    let copy = |index: usize| {
        let sector = &blocks.bytes()[index * BLOCK_BYTES..];
        SegmentHeader::decode(sector, identity, number)
    };
    Ok(match (copy(0), copy(1)) {
        (Ok(header), _) | (_, Ok(header)) => Ok(header),
        (Err(Fault::Zero), Err(other)) | (Err(other), _) => Err(other),
    })
}

/// A segment's bytes from its beginning up to its end, or up to a long run of zeros.
pub fn load<D: Disk>(disk: &mut D, number: u64) -> Result<Blocks, Error> {
    let name = Name::Segment(number);
    let path = disk.path(name);
    let mut blocks = Blocks::default();
    let mut zeros = 0;
    loop {
        let start = blocks.len();
        let chunk = if start == 0 { FIRST_READ_BYTES } else { CHUNK_BYTES };
        blocks.extend_zeros(chunk);
        let into = &mut blocks.as_blocks_mut()[start / BLOCK_BYTES..];
        let offset = to_u64(start);
        let read = disk.read(name, offset, into).map_err(Error::io("reading", &path))?;
        let new = &blocks.bytes()[start..start + read];
        zeros = if super::block::is_zero(new) { zeros + read } else { 0 };
        if read < chunk || zeros >= ZEROS_TO_STOP {
            blocks.truncate(start + read);
            return Ok(blocks);
        }
    }
}
