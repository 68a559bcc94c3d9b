//! Committed transactions on their way from the replica to every front of the server.

use std::ops::Range;

use crate::types::{ConnId, ShardId, Xid, Zxid};

/// Whose reply a transaction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The front that submitted it.
    pub shard: ShardId,
    /// The connection that asked.
    pub conn: ConnId,
    /// The client's number for it.
    pub xid: Xid,
}

/// One committed transaction of a [`CommitBatch`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Its place in the one order.
    pub zxid: Zxid,
    /// Who waits for it on this server.
    pub origin: Option<Origin>,
    /// The logged transaction ([`crate::wire::txn::LoggedTxn`]), in [`CommitBatch::bytes`].
    pub payload: Range<u32>,
    /// Where its names and data were put, in [`CommitBatch::placed`].
    pub placed: Range<u32>,
}

/// Bytes in the arena that all trees of a server share: a 40-bit offset and a 24-bit length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BlobRef(pub u64);

impl BlobRef {
    /// Null, which is not the same as empty.
    pub const NULL: Self = Self(u64::MAX);

    /// How many bits of it are the length.
    const LENGTH_BITS: u32 = 24;
    /// The longest blob.
    pub const LENGTH_MAX: u64 = (1 << Self::LENGTH_BITS) - 1;

    /// `None` for what does not fit, and for the one pair that would be [`BlobRef::NULL`].
    pub const fn new(offset: u64, length: u64) -> Option<Self> {
        let fits = offset < (1 << (u64::BITS - Self::LENGTH_BITS)) && length <= Self::LENGTH_MAX;
        let packed = (offset << Self::LENGTH_BITS) | (length & Self::LENGTH_MAX);
        if fits && packed != u64::MAX { Some(Self(packed)) } else { None }
    }

    /// Whether this is null.
    pub const fn is_null(self) -> bool {
        self.0 == u64::MAX
    }

    /// Where the bytes begin.
    pub const fn offset(self) -> u64 {
        self.0 >> Self::LENGTH_BITS
    }

    /// How many bytes; 0 for null.
    pub const fn length(self) -> u64 {
        if self.is_null() { 0 } else { self.0 & Self::LENGTH_MAX }
    }
}

/// Where the replica's tree has put what a transaction brought, for the fronts' trees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// The created znode's name; null if nothing was created.
    pub name: BlobRef,
    /// Its data.
    pub data: BlobRef,
}

/// Transactions that became committed together, decodable without copying. Reused: cleared and
/// filled again once every front has let go of it.
#[derive(Clone, Debug, Default)]
pub struct CommitBatch {
    /// What [`Committed::payload`] points into.
    pub bytes: Vec<u8>,
    /// In zxid order, without gaps.
    pub items: Vec<Committed>,
    /// What [`Committed::placed`] points into.
    pub placed: Vec<Placed>,
}

impl CommitBatch {
    /// Forgets everything and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.items.clear();
        self.placed.clear();
    }

    /// Adds a transaction; `placed` is where in [`CommitBatch::placed`] its blobs begin.
    pub fn push(&mut self, zxid: Zxid, origin: Option<Origin>, payload: &[u8], placed: usize) {
        assert!(!payload.is_empty(), "every transaction has a header");
        let start = narrow(self.bytes.len());
        self.bytes.extend_from_slice(payload);
        self.items.push(Committed {
            zxid,
            origin,
            payload: start..narrow(self.bytes.len()),
            placed: narrow(placed)..narrow(self.placed.len()),
        });
    }

    /// Adds the answer to a sync: everything up to `zxid` is before it.
    pub fn push_sync(&mut self, zxid: Zxid, origin: Origin) {
        self.items.push(Committed { zxid, origin: Some(origin), payload: 0..0, placed: 0..0 });
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The logged bytes of one of `items`.
    pub fn payload(&self, item: &Committed) -> &[u8] {
        &self.bytes[widen(&item.payload)]
    }

    /// What one of `items` brought.
    pub fn placed(&self, item: &Committed) -> &[Placed] {
        &self.placed[widen(&item.placed)]
    }
}

impl Committed {
    /// Whether this answers a sync, which is no transaction.
    pub fn is_sync(&self) -> bool {
        self.payload.is_empty()
    }
}

fn narrow(at: usize) -> u32 {
    u32::try_from(at).expect("a batch is cut long before 4 GiB")
}

fn widen(range: &Range<u32>) -> Range<usize> {
    let widen = |at: u32| usize::try_from(at).expect("a usize has 32 bits or more");
    widen(range.start)..widen(range.end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blobs_hold_any_offset_and_length_of_the_arena() {
        for offset in [0, 1, 0xff_ffff_fffe, 0xff_ffff_ffff] {
            for length in [0, 1, 0xff_fffe] {
                let blob = BlobRef::new(offset, length).expect("it fits");
                assert_eq!((blob.offset(), blob.length()), (offset, length));
                assert!(!blob.is_null());
            }
        }
        assert_eq!(BlobRef::new(1 << 40, 0), None);
        assert_eq!(BlobRef::new(0, 1 << 24), None);
        assert_eq!(BlobRef::new((1 << 40) - 1, BlobRef::LENGTH_MAX), None, "null looks so");
        assert_eq!((BlobRef::NULL.length(), BlobRef::NULL.is_null()), (0, true));
    }
}
