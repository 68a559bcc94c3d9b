//! The real file system: blocking calls, and the description of a write for a ring or a pool.
//!
//! Segments and snapshots are written past the page cache (`O_DIRECT`) where the file system can,
//! each write of the log durable by itself (`RWF_DSYNC`). Where it cannot, the same calls go
//! through the cache; durability is the same, the cost is not, and [`RealDisk::open`] says so.
#![allow(unsafe_code)]

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use rustix::io::{ReadWriteFlags, pwritev2};

use super::block::{BLOCK_BYTES, Block, Blocks, bytes_of, bytes_of_mut, to_u64, to_usize};
use super::disk::{Completion, Dir, Disk, Durability, Entry, Name, OpId, Write};
use super::map::FileBytes;

/// Open files of one disk. More than recovery, a snapshot and two segments need at once.
const FILES_OPEN_MAX: usize = 16;

/// How to reach the files.
#[derive(Clone, Debug)]
pub struct Dirs {
    /// For log, metadata and reserve.
    pub log: PathBuf,
    /// For snapshots.
    pub snapshots: PathBuf,
}

/// The files of one server, as one thread sees them.
pub struct RealDisk {
    dirs: Dirs,
    direct: bool,
    mapped: bool,
    files: BTreeMap<Name, File>,
}

impl RealDisk {
    /// Finds out whether the file system can write past the page cache. `mapped`: whether
    /// finished snapshots are mapped, or read into memory.
    pub fn open(dirs: Dirs, mapped: bool) -> io::Result<Self> {
        let direct = can_direct(&dirs.log)?;
        Ok(Self { dirs, direct, mapped, files: BTreeMap::new() })
    }

    /// The same files, for another thread.
    #[must_use]
    pub fn another(&self) -> Self {
        let dirs = self.dirs.clone();
        Self { dirs, direct: self.direct, mapped: self.mapped, files: BTreeMap::new() }
    }

    /// Whether writes go past the page cache.
    pub fn is_direct(&self) -> bool {
        self.direct
    }

    /// What the start line says where they do not.
    pub fn what_is_lost(&self) -> Option<String> {
        let path = self.dirs.log.display();
        (!self.direct).then(|| {
            format!(
                "{path} cannot be written past the page cache (O_DIRECT): every log write is \
                 copied once more and takes cache from the system; durability is unchanged"
            )
        })
    }

    fn dir(&self, dir: Dir) -> &Path {
        match dir {
            Dir::Log => &self.dirs.log,
            Dir::Snapshots => &self.dirs.snapshots,
        }
    }

    fn options(&self) -> OpenOptions {
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        if self.direct && !crate::mutant!("log-write-not-synced") {
            options.custom_flags(libc::O_DIRECT);
        }
        options
    }

    /// The open file of that name. The least is closed when there are too many: it is the oldest
    /// segment.
    fn file(&mut self, name: Name) -> io::Result<&File> {
        if !self.files.contains_key(&name) {
            if self.files.len() >= FILES_OPEN_MAX {
                self.files.pop_first();
            }
            let file = self.options().open(self.path(name))?;
            self.files.insert(name, file);
        }
        Ok(&self.files[&name])
    }

    /// A write as plain numbers, for a ring or another thread. The blocks must stay where they
    /// are, and this disk must live, until it is complete.
    pub fn raw(&mut self, write: &Write) -> io::Result<RawWrite> {
        let bytes = bytes_of(write.blocks);
        let fd = self.file(write.file)?.as_raw_fd();
        Ok(RawWrite {
            op: write.op,
            fd,
            address: bytes.as_ptr(),
            len: bytes.len(),
            offset: write.offset,
            rw_flags: libc::RWF_DSYNC,
            registered: write.registered,
        })
    }

    /// Carries out a write of the log or of the metadata block here and now.
    pub fn execute(&mut self, write: &Write) -> Completion {
        let result = self
            .file(write.file)
            .and_then(|file| write_durably(file.as_fd(), bytes_of(write.blocks), write.offset));
        Completion { op: write.op, result: result.map_err(|error| errno(&error)) }
    }
}

fn errno(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(libc::EIO)
}

/// A write as a ring wants it: `IORING_OP_WRITE` (or `_FIXED`) with these fields.
#[derive(Clone, Copy, Debug)]
pub struct RawWrite {
    /// To be named in the completion.
    pub op: OpId,
    /// The open file.
    pub fd: RawFd,
    /// First byte, aligned to a block.
    pub address: *const u8,
    /// Bytes, a multiple of a block.
    pub len: usize,
    /// Place in the file, a multiple of a block.
    pub offset: u64,
    /// `RWF_DSYNC`.
    pub rw_flags: i32,
    /// Index of the registered buffer that holds it, if any.
    pub registered: Option<u16>,
}

// SAFETY: the address is only read, and `RealDisk::raw` says how long it must stay.
unsafe impl Send for RawWrite {}

impl RawWrite {
    /// Carries it out, blocking: what a thread of a small pool does.
    ///
    /// # Safety
    /// The file is open and the memory unchanged and alive until this returns.
    pub unsafe fn execute(&self) -> Completion {
        // SAFETY: as the caller promises.
        let (fd, bytes) = unsafe {
            (BorrowedFd::borrow_raw(self.fd), std::slice::from_raw_parts(self.address, self.len))
        };
        let result = write_durably(fd, bytes, self.offset);
        Completion { op: self.op, result: result.map_err(|error| errno(&error)) }
    }
}

/// One call: data durable when it returns. May be short.
fn write_durably(fd: BorrowedFd, bytes: &[u8], offset: u64) -> io::Result<usize> {
    match pwritev2(fd, &[IoSlice::new(bytes)], offset, ReadWriteFlags::DSYNC) {
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => {
            let written = rustix::io::pwrite(fd, bytes, offset)?;
            rustix::fs::fdatasync(fd)?;
            Ok(written)
        }
        other => Ok(other?),
    }
}

/// Tries it: some file systems refuse the flag, some the write.
fn can_direct(dir: &Path) -> io::Result<bool> {
    let path = dir.join("probe.tmp");
    let block = Blocks::zeroed(BLOCK_BYTES);
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).custom_flags(libc::O_DIRECT);
    let result = options.open(&path).and_then(|file| file.write_at(block.bytes(), 0));
    let removed = fs::remove_file(&path);
    match result {
        Ok(_) => removed.map(|()| true),
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(false),
        // A full disk says nothing about O_DIRECT; the first real write will tell.
        Err(error) if error.kind() == io::ErrorKind::StorageFull => Ok(true),
        Err(error) => Err(error),
    }
}

impl Disk for RealDisk {
    fn list(&mut self, dir: Dir) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(self.dir(dir))? {
            let entry = entry?;
            let name = entry.file_name().to_str().and_then(Name::parse);
            let Some(name) = name.filter(|name| name.dir() == dir) else { continue };
            let about = entry.metadata()?;
            let modified = about.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
            let (bytes, modified_secs) = (about.len(), modified.as_secs());
            entries.push(Entry { name, bytes, modified_secs });
        }
        Ok(entries)
    }

    fn create(&mut self, name: Name) -> io::Result<()> {
        self.files.remove(&name);
        let mut options = self.options();
        options.create(true).truncate(true);
        let file = options.open(self.path(name))?;
        self.files.insert(name, file);
        Ok(())
    }

    fn write(
        &mut self,
        name: Name,
        offset: u64,
        blocks: &[Block],
        when: Durability,
    ) -> io::Result<()> {
        let file = self.file(name)?;
        let bytes = bytes_of(blocks);
        let mut done = 0;
        while done < bytes.len() {
            let at = offset + to_u64(done);
            let result = match when {
                Durability::Now => write_durably(file.as_fd(), &bytes[done..], at),
                Durability::Later => file.write_at(&bytes[done..], at),
            };
            match result {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => done += written,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            // What is on disk of a torn block is written once more: the memory stays aligned.
            done -= if done < bytes.len() { done % BLOCK_BYTES } else { 0 };
        }
        Ok(())
    }

    fn read(&mut self, name: Name, offset: u64, into: &mut [Block]) -> io::Result<usize> {
        let file = self.file(name)?;
        let bytes = bytes_of_mut(into);
        let mut done = 0;
        while done < bytes.len() {
            match file.read_at(&mut bytes[done..], offset + to_u64(done)) {
                Ok(0) => break,
                Ok(read) => done += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            if done % BLOCK_BYTES != 0 {
                // The end of the file: behind it an aligned read cannot go on.
                break;
            }
        }
        Ok(done)
    }

    fn set_len(&mut self, name: Name, bytes: u64) -> io::Result<()> {
        self.file(name)?.set_len(bytes)
    }

    fn sync(&mut self, name: Name) -> io::Result<()> {
        self.file(name)?.sync_all()
    }

    fn rename(&mut self, from: Name, to: Name) -> io::Result<()> {
        assert!(from.dir() == to.dir(), "{from} and {to} are not in one directory");
        self.files.remove(&from);
        self.files.remove(&to);
        fs::rename(self.path(from), self.path(to))
    }

    fn remove(&mut self, name: Name) -> io::Result<()> {
        self.files.remove(&name);
        fs::remove_file(self.path(name))
    }

    fn sync_dir(&mut self, dir: Dir) -> io::Result<()> {
        File::open(self.dir(dir))?.sync_all()
    }

    fn load(&mut self, name: Name) -> io::Result<FileBytes> {
        if self.mapped {
            return FileBytes::map(&File::open(self.path(name))?);
        }
        let bytes = to_usize(fs::metadata(self.path(name))?.len());
        let mut blocks = Blocks::zeroed(bytes.next_multiple_of(BLOCK_BYTES));
        let read = self.read(name, 0, blocks.as_blocks_mut())?;
        blocks.truncate(read);
        Ok(FileBytes::read(blocks))
    }

    fn path(&self, name: Name) -> PathBuf {
        self.dir(name.dir()).join(name.to_string())
    }
}
