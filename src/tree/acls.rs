//! ACL lists, each stored once, with a count of the znodes that have it.
//!
//! Lists are kept as the bytes of their record. A list whose last znode went stays until the next
//! transaction, because events about that znode are still to be checked against it.

use std::sync::Arc;

use super::index::{HashKey, Index};
use crate::wire::stat::{Acl, AclList};
use crate::wire::{Record, Writer};

/// A list in a tree's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AclId(pub u32);

impl AclId {
    /// Everybody may do anything. Always there, never counted.
    pub const OPEN: Self = Self(0);
}

#[derive(Clone)]
struct Entry {
    /// Znodes that have it; 0 for a free place.
    refs: u32,
    bytes: Arc<[u8]>,
}

/// The table.
#[derive(Clone)]
pub struct Acls {
    key: HashKey,
    pieces: Vec<Arc<Vec<Entry>>>,
    len: u32,
    index: Index,
    free: Vec<u32>,
    /// Lists that may have lost their last znode in this transaction.
    leaving: Vec<u32>,
    scratch: Vec<u8>,
    open: Arc<[u8]>,
}

/// Entries that are copied together when one changes under an image.
const PIECE: usize = 256;

impl Acls {
    pub(super) fn new(key: HashKey) -> Self {
        let list = [Acl::open()];
        let open: Arc<[u8]> = AclList::from(&list[..]).to_bytes().into();
        let mut acls = Self {
            key,
            pieces: Vec::new(),
            len: 0,
            index: Index::new(16),
            free: Vec::new(),
            leaving: Vec::new(),
            scratch: Vec::new(),
            open: Arc::clone(&open),
        };
        acls.push(Entry { refs: 1, bytes: open });
        acls
    }

    /// The entries of a list. A list that is not there any more is open to nobody.
    pub fn entries(&self, id: AclId) -> AclList<'_> {
        let bytes: &[u8] = if id.0 < self.len { &self.entry(id.0).bytes } else { &[] };
        AclList::from_bytes(bytes).unwrap_or_default()
    }

    /// How many different lists there are.
    pub fn len(&self) -> usize {
        self.index.len() + 1
    }

    /// Never: the open list is always there.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// How many znodes have a list that is not the open one.
    pub fn refs(&self, id: AclId) -> u32 {
        self.entry(id.0).refs
    }

    fn entry(&self, id: u32) -> &Entry {
        let id = super::cow::widen(id);
        &self.pieces[id / PIECE][id % PIECE]
    }

    fn entry_mut(&mut self, id: u32) -> &mut Entry {
        let id = super::cow::widen(id);
        &mut Arc::make_mut(&mut self.pieces[id / PIECE])[id % PIECE]
    }

    fn push(&mut self, entry: Entry) -> u32 {
        let id = self.len;
        if super::cow::widen(id) == self.pieces.len() * PIECE {
            self.pieces.push(Arc::new(Vec::with_capacity(PIECE)));
        }
        Arc::make_mut(self.pieces.last_mut().expect("it was just made")).push(entry);
        self.len += 1;
        id
    }

    /// One more znode has `list`.
    pub(super) fn hold(&mut self, list: &AclList<'_>) -> AclId {
        if list.is_null() {
            return AclId::OPEN;
        }
        let mut bytes = std::mem::take(&mut self.scratch);
        bytes.clear();
        list.encode(&mut Writer::new(&mut bytes));
        let id = self.hold_bytes(&bytes);
        self.scratch = bytes;
        id
    }

    fn hold_bytes(&mut self, bytes: &[u8]) -> AclId {
        if *bytes == *self.open {
            return AclId::OPEN;
        }
        let hash = self.key.hash(bytes);
        if let Some(id) = self.index.find(hash, |id| *self.entry(id).bytes == *bytes) {
            let refs = &mut self.entry_mut(id).refs;
            *refs = refs.checked_add(1).expect("there are fewer znodes than 2^32");
            return AclId(id);
        }
        let entry = Entry { refs: 1, bytes: bytes.into() };
        let id = if let Some(id) = self.free.pop() {
            *self.entry_mut(id) = entry;
            id
        } else {
            self.push(entry)
        };
        self.index.insert(hash, id);
        AclId(id)
    }

    /// One znode less has it.
    pub(super) fn release(&mut self, id: AclId) {
        if id == AclId::OPEN {
            return;
        }
        let entry = self.entry_mut(id.0);
        assert!(entry.refs > 0, "a list is released as often as it is held");
        entry.refs -= 1;
        if entry.refs == 0 {
            self.leaving.push(id.0);
        }
    }

    /// Forgets the lists that nobody has since the transaction before this one.
    pub(super) fn purge(&mut self) {
        while let Some(id) = self.leaving.pop() {
            if self.entry(id).refs > 0 || self.entry(id).bytes.is_empty() {
                continue;
            }
            let hash = self.key.hash(&self.entry(id).bytes);
            self.index.remove(hash, id);
            *self.entry_mut(id) = Entry { refs: 0, bytes: Arc::new([]) };
            self.free.push(id);
        }
    }

    /// For an image: count and length of each list, then the bytes.
    pub(super) fn to_image(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for id in 1..self.len {
            let Entry { refs, bytes } = self.entry(id);
            out.extend_from_slice(&refs.to_le_bytes());
            // A list without a znode is not kept; its place is.
            let len = if *refs == 0 { 0 } else { bytes.len() };
            out.extend_from_slice(&u32::try_from(len).expect("below a frame").to_le_bytes());
            out.extend_from_slice(&bytes[..len]);
        }
        out
    }

    /// The table of an image.
    pub(super) fn from_image(key: HashKey, mut bytes: &[u8]) -> Result<Self, &'static str> {
        const CUT: &str = "the table of ACLs ends too early";
        let mut acls = Self::new(key);
        while !bytes.is_empty() {
            let (refs, rest) = bytes.split_first_chunk().ok_or(CUT)?;
            let (len, rest) = rest.split_first_chunk().ok_or(CUT)?;
            let (refs, len) = (u32::from_le_bytes(*refs), u32::from_le_bytes(*len));
            let (list, rest) = rest.split_at_checked(super::cow::widen(len)).ok_or(CUT)?;
            let entry = Entry { refs, bytes: list.into() };
            if (refs == 0) != list.is_empty() {
                return Err("an ACL list without its znodes");
            }
            let hash = acls.key.hash(list);
            let id = acls.push(entry);
            if refs == 0 {
                acls.free.push(id);
            } else {
                acls.index.insert(hash, id);
            }
            bytes = rest;
        }
        // Places are reused in the order in which a tree that never stopped would: the last first.
        Ok(acls)
    }
}
