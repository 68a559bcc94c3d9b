//! Durable writes to files: what is asked of the back end, and what it answers.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::Arc;

/// One write at a place in a file, durable when it has ended well (RWF_DSYNC).
///
/// The memory belongs to the operation until it has ended.
#[derive(Debug)]
pub struct DiskWrite {
    /// The caller's number for it.
    pub id: u64,
    /// Where to; kept open by the operation.
    pub file: Arc<File>,
    /// Where in the file, in bytes. With O_DIRECT a multiple of the block, like `bytes`.
    pub offset: u64,
    /// The memory.
    pub buffer: Vec<u8>,
    /// Which part of it is written.
    pub bytes: Range<usize>,
}

/// A write has ended, or failed. Never a part of one: what the kernel took in pieces is put
/// together here.
#[derive(Debug)]
pub struct DiskWritten {
    /// [`DiskWrite::id`].
    pub id: u64,
    /// The memory again.
    pub buffer: Vec<u8>,
    /// All of it is durable, or nothing is known.
    pub result: io::Result<()>,
}

/// What the answer of the kernel to one attempt means.
#[derive(Debug)]
pub(super) enum Settled {
    Ended(io::Result<()>),
    /// The rest must be written: `DiskWrite` says so now.
    Again,
}

impl DiskWrite {
    /// Takes the kernel's answer to an attempt to write `bytes`.
    pub(super) fn settle(&mut self, answer: io::Result<usize>) -> Settled {
        match answer {
            Ok(0) => Settled::Ended(Err(io::ErrorKind::WriteZero.into())),
            Ok(count) => {
                assert!(count <= self.bytes.len(), "the kernel wrote more than was asked");
                self.bytes.start += count;
                self.offset += u64::try_from(count).expect("a count of bytes fits");
                if self.bytes.is_empty() { Settled::Ended(Ok(())) } else { Settled::Again }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Settled::Again,
            Err(error) => Settled::Ended(Err(error)),
        }
    }

    pub(super) fn slice(&self) -> &[u8] {
        &self.buffer[self.bytes.clone()]
    }
}
