//! Durable writes to files: what is asked of the back end, and what it answers.

use std::os::fd::RawFd;

use rustix::io::ReadWriteFlags;

/// One write at a place in a file, durable when it is answered (RWF_DSYNC). Plain numbers: the
/// memory stays with whoever asks, which is why [`super::Net::write`] must be trusted.
#[derive(Clone, Copy, Debug)]
pub struct DiskWrite {
    /// The caller's number for it.
    pub id: u64,
    /// The open file.
    pub fd: RawFd,
    /// The first byte.
    pub address: *const u8,
    /// How many bytes.
    pub len: usize,
    /// Where in the file. With O_DIRECT all three are multiples of the block.
    pub offset: u64,
    /// The index of the registered buffer that holds all of it, if one does
    /// ([`super::Net::register_memory`]).
    pub registered: Option<u16>,
}

// SAFETY: the address is only read, and the caller of `Net::write` keeps it alive wherever the
// write is carried out.
#[allow(unsafe_code)]
unsafe impl Send for DiskWrite {}

/// A write has ended: the kernel's answer to one attempt, which may be short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskWritten {
    /// [`DiskWrite::id`].
    pub id: u64,
    /// Bytes that are durable now, or the system's error number.
    pub result: Result<usize, i32>,
}

/// What makes each write durable by itself.
pub(super) fn durably() -> ReadWriteFlags {
    if crate::mutant!("log-write-not-synced") {
        ReadWriteFlags::empty()
    } else {
        ReadWriteFlags::DSYNC
    }
}
