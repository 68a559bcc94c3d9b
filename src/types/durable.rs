//! Proof that bytes survive a power cut.

use super::Zxid;

/// Which reign of a role asked for something: answers of an earlier one are dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(pub u64);

/// The log holds every entry up to and including `zxid`, whatever happens to the power.
///
/// Only the log makes one, from completions of the disk (`tests/tidy.rs` holds who may call
/// [`DurableUpTo::confirmed_by_disk`]); an acknowledgement cannot be built from anything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DurableUpTo {
    zxid: Zxid,
    generation: Generation,
}

impl DurableUpTo {
    /// For the log alone: the contiguous prefix of completed batches ends at `zxid`.
    pub fn confirmed_by_disk(zxid: Zxid, generation: Generation) -> Self {
        Self { zxid, generation }
    }

    /// The last durable transaction.
    pub fn zxid(self) -> Zxid {
        self.zxid
    }

    /// The role that appended it.
    pub fn generation(self) -> Generation {
        self.generation
    }
}
