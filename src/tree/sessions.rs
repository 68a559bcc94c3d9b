//! The sessions that committed transactions opened and did not close, with their timeouts. Nobody's
//! deadline is here: that is the tracker's; this is what a snapshot has to keep.

use bytemuck::{Pod, Zeroable};

use super::cow::Slab;
use super::index::{HashKey, Index};
use crate::types::SessionId;

#[repr(C, packed(4))]
#[derive(Clone, Copy, Pod, Zeroable)]
pub(super) struct Row {
    pub(super) session: i64,
    pub(super) timeout_ms: i32,
    /// The next free row, while this one is free.
    pub(super) next: u32,
}

/// The table. Row 0 is never used.
#[derive(Clone)]
pub(super) struct Sessions {
    pub(super) key: HashKey,
    pub(super) rows: Slab<Row>,
    pub(super) index: Index,
    pub(super) free: u32,
}

impl Sessions {
    pub(super) fn new(key: HashKey) -> Self {
        Self { key, rows: Slab::new(), index: Index::new(64), free: 0 }
    }

    fn find(&self, session: SessionId) -> (u64, Option<u32>) {
        let hash = self.key.hash_number(session.0.cast_unsigned());
        (hash, self.index.find(hash, |row| { self.rows.get(row).session } == session.0))
    }

    pub(super) fn open(&mut self, session: SessionId, timeout_ms: i32) {
        let (hash, found) = self.find(session);
        if let Some(row) = found {
            self.rows.get_mut(row).timeout_ms = timeout_ms;
            return;
        }
        let row = Row { session: session.0, timeout_ms, next: 0 };
        let number = if self.free == 0 {
            self.rows.push(row)
        } else {
            let number = self.free;
            self.free = self.rows.get(number).next;
            *self.rows.get_mut(number) = row;
            number
        };
        self.index.insert(hash, number);
    }

    pub(super) fn close(&mut self, session: SessionId) {
        let (hash, found) = self.find(session);
        let Some(row) = found else { return };
        self.index.remove(hash, row);
        *self.rows.get_mut(row) = Row { session: 0, timeout_ms: 0, next: self.free };
        self.free = row;
    }

    pub(super) fn timeout_ms(&self, session: SessionId) -> Option<i32> {
        let row = self.find(session).1?;
        Some(self.rows.get(row).timeout_ms)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (SessionId, i32)> {
        let row = |row| {
            let Row { session, timeout_ms, .. } = *self.rows.get(row);
            (SessionId(session), timeout_ms)
        };
        self.index.iter().map(row)
    }

    pub(super) fn len(&self) -> usize {
        self.index.len()
    }
}
