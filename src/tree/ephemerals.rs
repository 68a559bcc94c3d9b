//! Session to its ephemeral znodes: circles through their side records, and the way to each.

use super::index::{HashKey, Index};
use super::znode::Znodes;
use crate::types::SessionId;

/// Finds one znode of each session that has ephemerals; the others hang in its circle.
#[derive(Clone)]
pub(super) struct Ephemerals {
    key: HashKey,
    pub(super) heads: Index,
    /// Ephemeral znodes in all.
    pub(super) len: u32,
}

impl Ephemerals {
    pub(super) fn new(key: HashKey) -> Self {
        Self { key, heads: Index::new(64), len: 0 }
    }

    pub(super) fn over(key: HashKey, heads: Index, len: u32) -> Self {
        Self { key, heads, len }
    }

    fn hash(&self, session: SessionId) -> u64 {
        self.key.hash_number(session.0.cast_unsigned())
    }

    fn head(&self, session: SessionId, znodes: &Znodes) -> Option<u32> {
        self.heads.find(self.hash(session), |id| znodes.owner(id) == session.0)
    }

    /// Hangs a znode, whose side record names the session already, behind the session's last.
    pub(super) fn add(&mut self, id: u32, session: SessionId, znodes: &mut Znodes) {
        assert!(znodes.owner(id) == session.0, "an ephemeral names its session");
        self.len += 1;
        let head = self.heads.find(self.hash(session), |head| znodes.owner(head) == session.0);
        let Some(head) = head else {
            self.heads.insert(self.hash(session), id);
            let side = znodes.side_mut(id);
            (side.next, side.prev) = (id, id);
            return;
        };
        let last = std::mem::replace(&mut znodes.side_mut(head).prev, id);
        znodes.side_mut(last).next = id;
        let side = znodes.side_mut(id);
        (side.next, side.prev) = (head, last);
    }

    /// Takes a znode out of its session's circle.
    pub(super) fn remove(&mut self, id: u32, session: SessionId, znodes: &mut Znodes) {
        self.len -= 1;
        let side = *znodes.side(id).expect("an ephemeral has a side record");
        let (next, prev) = (side.next, side.prev);
        let hash = self.hash(session);
        if next == id {
            self.heads.remove(hash, id);
            return;
        }
        znodes.side_mut(next).prev = prev;
        znodes.side_mut(prev).next = next;
        if self.head(session, znodes) == Some(id) {
            self.heads.replace(hash, id, next);
        }
    }

    /// The session's znodes, in the order of their creation.
    pub(super) fn of(&self, session: SessionId, znodes: &Znodes) -> impl Iterator<Item = u32> {
        let head = self.head(session, znodes);
        std::iter::successors(head, move |&id| {
            let next = znodes.side(id).map_or(0, |side| side.next);
            (Some(next) != head).then_some(next)
        })
    }

    /// Every session that has ephemerals.
    pub(super) fn owners(&self, znodes: &Znodes) -> impl Iterator<Item = SessionId> {
        self.heads.iter().map(|head| SessionId(znodes.owner(head)))
    }
}
