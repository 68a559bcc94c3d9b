//! What the rules of storage may ask of a file system, and how it answers.
//!
//! Two ways exist. While the server runs, the log and the metadata block are sans-IO machines:
//! they hand out [`Write`]s and take [`Completion`]s, so that a ring, a thread pool or the
//! simulator can do the writing. Everything else (start, segments made ahead, snapshots, purge,
//! truncation) is plain blocking code over the trait [`Disk`], run where blocking harms nobody.
//!
//! Files are named by [`Name`], never by strings: the rules cannot touch a file of somebody else.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::block::Block;
use super::map::FileBytes;
use crate::types::Zxid;

/// The two directories; they may be the same folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dir {
    /// Segments, metadata block, reserve: under `dataLogDir`.
    Log,
    /// Snapshots: under `dataDir`.
    Snapshots,
}

/// Every file that storage knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Name {
    /// `log.<number>`: a segment of the log.
    Segment(u64),
    /// `segment.tmp`: a segment being zeroed, or an old one kept to be zeroed again.
    SegmentTemp,
    /// `meta`: the metadata block.
    Meta,
    /// `meta.tmp`: the metadata block of a directory being founded.
    MetaTemp,
    /// `reserve`: space kept for a start on a full disk.
    Reserve,
    /// `snapshot.<zxid>`: a finished, verified image.
    Snapshot(Zxid),
    /// `snapshot.tmp`: an image being written.
    SnapshotTemp,
    /// `damaged.<zxid>`: an image whose checksums failed, kept for a look.
    Damaged(Zxid),
}

impl Name {
    /// Where the file lives.
    pub fn dir(self) -> Dir {
        match self {
            Self::Segment(_) | Self::SegmentTemp | Self::Meta | Self::MetaTemp | Self::Reserve => {
                Dir::Log
            }
            Self::Snapshot(_) | Self::SnapshotTemp | Self::Damaged(_) => Dir::Snapshots,
        }
    }

    /// The name of a directory entry, if it is one of ours.
    pub fn parse(text: &str) -> Option<Self> {
        let number = |digits: &str| match digits.len() {
            16 => u64::from_str_radix(digits, 16).ok(),
            _ => None,
        };
        let zxid = |digits: &str| number(digits).map(|bits| Zxid(bits.cast_signed()));
        match text {
            "segment.tmp" => Some(Self::SegmentTemp),
            "meta" => Some(Self::Meta),
            "meta.tmp" => Some(Self::MetaTemp),
            "reserve" => Some(Self::Reserve),
            "snapshot.tmp" => Some(Self::SnapshotTemp),
            _ => match text.split_once('.')? {
                ("log", digits) => number(digits).map(Self::Segment),
                ("snapshot", digits) => zxid(digits).map(Self::Snapshot),
                ("damaged", digits) => zxid(digits).map(Self::Damaged),
                _ => None,
            },
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Segment(number) => write!(f, "log.{number:016x}"),
            Self::SegmentTemp => f.write_str("segment.tmp"),
            Self::Meta => f.write_str("meta"),
            Self::MetaTemp => f.write_str("meta.tmp"),
            Self::Reserve => f.write_str("reserve"),
            Self::Snapshot(zxid) => write!(f, "snapshot.{:016x}", zxid.0),
            Self::SnapshotTemp => f.write_str("snapshot.tmp"),
            Self::Damaged(zxid) => write!(f, "damaged.{:016x}", zxid.0),
        }
    }
}

/// A directory entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Which file.
    pub name: Name,
    /// Its length in bytes.
    pub bytes: u64,
    /// When it was last changed, in seconds since 1970; for purge by age.
    pub modified_secs: u64,
}

/// Whether a write must survive a power cut before it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// A later [`Disk::sync`] of the file makes it durable.
    Later,
    /// Durable when the call returns (`RWF_DSYNC`).
    Now,
}

/// A file system, as far as storage needs one. Each call blocks.
///
/// What was written is durable after [`Disk::sync`] of its file; a name that was created,
/// renamed or removed is durable after [`Disk::sync_dir`] of its directory. Nothing else is.
pub trait Disk {
    /// The files of ours in that directory, in no order; others are left alone.
    fn list(&mut self, dir: Dir) -> io::Result<Vec<Entry>>;
    /// Makes an empty file, or empties the one there is.
    fn create(&mut self, name: Name) -> io::Result<()>;
    /// Writes all of `blocks` at `offset`, a multiple of a block.
    fn write(
        &mut self,
        name: Name,
        offset: u64,
        blocks: &[Block],
        when: Durability,
    ) -> io::Result<()>;
    /// Reads at `offset` until `into` is full or the file ends; the number of bytes read.
    fn read(&mut self, name: Name, offset: u64, into: &mut [Block]) -> io::Result<usize>;
    /// Cuts or extends the file.
    fn set_len(&mut self, name: Name, bytes: u64) -> io::Result<()>;
    /// Makes content and length durable.
    fn sync(&mut self, name: Name) -> io::Result<()>;
    /// Moves `from` to `to` in one step, over whatever was there. Same directory.
    fn rename(&mut self, from: Name, to: Name) -> io::Result<()>;
    /// Removes the name.
    fn remove(&mut self, name: Name) -> io::Result<()>;
    /// Makes the directory's names durable.
    fn sync_dir(&mut self, dir: Dir) -> io::Result<()>;
    /// The whole content of a finished file that nobody changes any more.
    fn load(&mut self, name: Name) -> io::Result<FileBytes>;
    /// How an operator knows the file.
    fn path(&self, name: Name) -> PathBuf;
}

/// Names a write until it is complete. Never used twice by one machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpId(pub u64);

/// A write to carry out, durable before it is answered.
#[derive(Clone, Copy)]
pub struct Write<'a> {
    /// To be named in the completion.
    pub op: OpId,
    /// Which file; it exists and is long enough.
    pub file: Name,
    /// Where, a multiple of a block.
    pub offset: u64,
    /// What. Stays where it is, unchanged, until the completion is handed in.
    pub blocks: &'a [Block],
    /// The index under which the memory was offered for registration, if it still is that memory.
    pub registered: Option<u16>,
}

/// How a write ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Completion {
    /// Which.
    pub op: OpId,
    /// Bytes written and durable, or the system's error number (positive).
    pub result: Result<usize, i32>,
}
