//! The place of a transaction in the one order of the ensemble.

#![allow(clippy::cast_sign_loss, clippy::cast_possible_truncation, reason = "halves of one number")]

use std::fmt;

/// Epoch in the upper 32 bits, counter in the lower 32: the number that every transaction carries.
///
/// Compared as a signed 64-bit integer, as Apache does (`ZxidUtils.java`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Zxid(pub i64);

impl Zxid {
    /// Before every transaction.
    pub const ZERO: Self = Self(0);

    /// Puts an epoch and a counter together.
    pub const fn new(epoch: u32, counter: u32) -> Self {
        Self(((epoch as i64) << 32) | counter as i64)
    }

    /// The leader's reign in which the transaction was proposed.
    pub const fn epoch(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// The place inside the epoch.
    pub const fn counter(self) -> u32 {
        (self.0 & 0xffff_ffff) as u32
    }

    /// The next transaction's zxid. A quorum of one counts on through the epochs as Apache's
    /// standalone server does; a leader must start a new epoch before the counter is used up.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Zxid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:x}", self.0)
    }
}
