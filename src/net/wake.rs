//! How another thread gets a core's attention: an eventfd, rung only when the core is asleep.
//!
//! The core calls [`Wake::prepare_sleep`], looks into its inboxes once more, and only then waits.
//! Whoever puts something into an inbox calls [`Wake::ring`] afterwards. Either the core sees the
//! message in its last look, or the ringer sees that it sleeps.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering, fence};

use rustix::event::{EventfdFlags, eventfd};

/// One core's bell.
#[derive(Debug)]
pub struct Wake {
    bell: OwnedFd,
    asleep: AtomicBool,
}

impl Wake {
    /// A bell for a core that is about to be started.
    pub fn new() -> io::Result<Self> {
        Ok(Self { bell: eventfd(0, EventfdFlags::CLOEXEC)?, asleep: AtomicBool::new(false) })
    }

    /// Wakes the core if it sleeps. Call it after the message is in its inbox.
    pub fn ring(&self) {
        fence(Ordering::SeqCst);
        if self.asleep.load(Ordering::Relaxed) && self.asleep.swap(false, Ordering::AcqRel) {
            // It blocks or fails only at 2^64 - 1 rings that nobody read.
            let _ = rustix::io::write(&self.bell, &1u64.to_ne_bytes());
        }
    }

    /// The core is about to wait, unless its inboxes turn out not to be empty.
    pub fn prepare_sleep(&self) {
        self.asleep.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// The core is at work: nobody needs to ring.
    pub fn awake(&self) {
        self.asleep.store(false, Ordering::Relaxed);
    }

    /// Empties the bell; only after it was reported readable.
    pub(super) fn silence(&self) {
        let mut count = [0; 8];
        let _ = rustix::io::read(&self.bell, &mut count);
    }
}

impl AsFd for Wake {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
}
