//! The content of a finished file: mapped, or read where mapping is not wanted.
//!
//! Only files are mapped that were finished, synced, read back, verified and renamed into place,
//! that the server holds the lock for, and that nobody writes again (purge removes names, which
//! leaves a mapping whole). The log is never mapped.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::ops::Deref;
use std::sync::Arc;

use super::block::Blocks;

/// Bytes of a finished file, aligned to a page; a clone shares them.
#[derive(Clone)]
pub struct FileBytes(Arc<Source>);

enum Source {
    Mapped(memmap2::Mmap),
    Read(Blocks),
}

impl FileBytes {
    /// Maps all of `file`.
    pub fn map(file: &File) -> io::Result<Self> {
        // SAFETY: the file is finished, its name was published after a sync, the directory is
        // locked by this process, and no code of ours opens a published snapshot for writing.
        let map = unsafe { memmap2::Mmap::map(file)? };
        Ok(Self(Arc::new(Source::Mapped(map))))
    }

    /// Holds what was read.
    pub fn read(blocks: Blocks) -> Self {
        Self(Arc::new(Source::Read(blocks)))
    }

    /// Asks the kernel to bring all pages in now, off the serving core. Best effort.
    pub fn populate(&self) {
        if let Source::Mapped(map) = &*self.0 {
            // An older kernel without the advice only loses the head start.
            let _ = map.advise(memmap2::Advice::PopulateRead);
        }
    }
}

impl Deref for FileBytes {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match &*self.0 {
            Source::Mapped(map) => map,
            Source::Read(blocks) => blocks.bytes(),
        }
    }
}
