//! Carries log writes from the log's memory to the core's back end.
//!
//! The only file of this floor that promises something about memory: what [`submit`] hands to the
//! kernel stays in the log's flight until its completion was handed back to the log.

#![allow(unsafe_code)]

use super::Error;
use crate::net::{DiskWrite, Net};
use crate::storage::disk::OpId;
use crate::storage::driver::RealDisk;
use crate::storage::log::Log;

/// Submits every write that the log wants carried out now; `submitted` hears of each.
pub fn submit(
    log: &mut Log,
    disk: &mut RealDisk,
    net: &mut Net,
    mut submitted: impl FnMut(OpId),
) -> Result<(), Error> {
    while let Some(write) = log.next_write() {
        let raw = disk.raw(&write).map_err(Error::LogFile)?;
        submitted(raw.op);
        let write = DiskWrite {
            id: raw.op.0,
            fd: raw.fd,
            address: raw.address,
            len: raw.len,
            offset: raw.offset,
            registered: raw.registered,
        };
        // SAFETY: the log keeps a write's blocks where they are until its completion is handed
        // in, `disk` keeps the file open, and the loops drop `Net` before both.
        unsafe { net.write(write) }.map_err(Error::Net)?;
    }
    Ok(())
}

/// Offers the log's memory to the ring. Without it every write is looked at anew, which costs a
/// little; a small RLIMIT_MEMLOCK is no reason to stop.
pub fn register(log: &Log, net: &mut Net) -> bool {
    // SAFETY: the log names a registered index only while that memory is where it was offered.
    unsafe { net.register_memory(&log.registrable()) }
}
