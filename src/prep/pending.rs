//! The tree as it will be once everything outstanding is committed.
//!
//! One slot for each znode that an outstanding transaction changes, found by path. A slot lives
//! until the last transaction that touched it is retired; slots, paths and queues are used again,
//! so that the steady state allocates nothing.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;

use super::View;
use crate::tree::index::Index;
use crate::tree::{HashKey, NodeId, OwnerKind, Persisted, digest};
use crate::types::{SessionId, Zxid};
use crate::wire::Record;
use crate::wire::stat::AclList;

/// Sub-tables of the index of paths.
const TABLES: usize = 16;
/// A path or list longer than this is not kept for the next use of its slot.
const KEPT_BYTES_MAX: usize = 512;
/// Slots kept when nothing is outstanding. A storm's are given back.
const KEPT_SLOTS_MAX: usize = 1 << 14;
/// What a free slot says was the last to touch it.
const NEVER: Zxid = Zxid(-1);

/// What is known of a znode that will change.
#[derive(Clone, Debug, Default)]
struct State {
    exists: bool,
    stat: Persisted,
    children: i32,
    data_bytes: i64,
    /// The digest's part over path and data, before the numbers.
    prefix: u32,
    /// Whether `acl` is set; else the znode is committed, and so is its list.
    has_acl: bool,
    /// A jute vector.
    acl: Vec<u8>,
}

struct Slot {
    path: String,
    hash: u64,
    /// The last transaction that touched it.
    zxid: Zxid,
    state: State,
}

/// What a failed multi takes back, last first.
enum Undo {
    /// The slot was not there.
    Forget(u32),
    /// It was there, and like this.
    Restore(u32, Zxid, State),
}

/// Where a path is looked for.
#[derive(Clone, Copy)]
struct Place {
    hash: u64,
    slot: Option<u32>,
}

/// A znode as it will be.
#[derive(Clone, Copy)]
pub(super) struct Znode {
    place: Place,
    /// Only asked for where there is no slot.
    id: Option<NodeId>,
    /// Its numbers.
    pub(super) stat: Persisted,
    /// Its direct children.
    pub(super) children: i32,
    /// The length of its data, 0 for null.
    pub(super) data_bytes: i64,
}

impl Znode {
    /// Its place in the tree: it is committed, and its ACL does not change.
    pub(super) fn committed(&self) -> NodeId {
        self.id.expect("a znode without a pending list is committed")
    }
}

/// What becomes of a znode's data.
pub(super) enum NewData<'d> {
    Same,
    Set(Option<&'d [u8]>),
}

/// What an update leaves as it was, or sets.
pub(super) struct After<'d> {
    pub(super) stat: Persisted,
    pub(super) children: i32,
    pub(super) data: NewData<'d>,
    /// `None`: stays. Else a jute vector.
    pub(super) acl: Option<&'d [u8]>,
}

/// Buffers for the making of one transaction.
#[derive(Default)]
pub(super) struct Scratch {
    pub(super) acl: Vec<u8>,
    pub(super) path: String,
}

/// What lies over the committed tree.
pub struct Pending {
    /// Clients choose paths: the tree's secret keeps them from choosing hashes.
    key: HashKey,
    index: Index,
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// Which transaction touched which slot, in order.
    touched: VecDeque<(Zxid, u32)>,
    /// Slots of ephemerals that are not committed.
    ephemerals: BTreeSet<(SessionId, u32)>,
    /// Of the whole tree, after the last transaction.
    digest: i64,
    last: Zxid,
    retired: Zxid,
    /// Kept while a multi is prepared.
    undo: Option<Vec<Undo>>,
    pub(super) scratch: Scratch,
}

impl Default for Pending {
    fn default() -> Self {
        Self {
            key: HashKey::default(),
            index: Index::new(TABLES),
            slots: Vec::new(),
            free: Vec::new(),
            touched: VecDeque::new(),
            ephemerals: BTreeSet::new(),
            digest: 0,
            last: Zxid::ZERO,
            retired: Zxid::ZERO,
            undo: None,
            scratch: Scratch::default(),
        }
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending")
            .field("last", &self.last)
            .field("retired", &self.retired)
            .field("znodes", &self.len())
            .finish_non_exhaustive()
    }
}

impl Pending {
    /// The tree has applied every transaction up to `zxid`.
    pub fn retire(&mut self, zxid: Zxid) {
        assert!(zxid >= self.retired, "transactions are applied in order");
        self.retired = zxid;
        while let Some((touched, slot)) = self.touched.front().copied()
            && touched <= zxid
        {
            self.touched.pop_front();
            if self.slot(slot).zxid == touched {
                self.release(slot);
            }
        }
        if !self.is_outstanding() {
            assert!(self.is_empty(), "nothing is pending when nothing is outstanding");
            if self.slots.len() > KEPT_SLOTS_MAX {
                self.clear();
            }
        }
    }

    /// Forgets everything: what was outstanding will never be committed.
    pub fn clear(&mut self) {
        *self = Self { last: self.retired, retired: self.retired, ..Self::default() };
    }

    /// How many znodes will change.
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Whether no znode will change.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn is_outstanding(&self) -> bool {
        self.last > self.retired
    }

    /// Starts a transaction.
    pub(super) fn begin(&mut self, view: &View<'_>, zxid: Zxid) {
        assert!(zxid > self.last, "zxids grow");
        assert!(zxid > view.tree.last_zxid(), "a transaction is prepared before it is applied");
        if !self.is_outstanding() {
            self.digest = view.tree.digest();
            self.key = view.tree.hash_key();
        }
        self.last = zxid;
    }

    /// Of the tree after everything outstanding.
    pub(super) fn digest(&self) -> i64 {
        self.digest
    }

    /// The znode at `path`, as it will be; `None` if it will not be there.
    pub(super) fn find(&self, view: &View<'_>, path: &str) -> Option<Znode> {
        // The empty path is the root to the tree; nothing that is prepared means it.
        if path.is_empty() {
            return None;
        }
        let place = self.place(path);
        if let Some(slot) = place.slot {
            let State { exists, stat, children, data_bytes, has_acl, .. } = self.slot(slot).state;
            let id = if exists && !has_acl { view.tree.find(path) } else { None };
            return exists.then_some(Znode { place, id, stat, children, data_bytes });
        }
        let id = view.tree.find(path)?;
        Some(Znode {
            place,
            id: Some(id),
            stat: view.tree.persisted(id),
            children: view.tree.child_count(id),
            data_bytes: length(view.tree.data(id)),
        })
    }

    /// The znode's ACL, if it is pending.
    pub(super) fn acl(&self, znode: &Znode) -> Option<AclList<'_>> {
        let state = &self.slot(znode.place.slot?).state;
        let bytes = state.has_acl.then_some(&state.acl)?;
        Some(AclList::from_bytes(bytes).expect("lists are encoded by us"))
    }

    /// A znode changes.
    pub(super) fn update(
        &mut self,
        view: &View<'_>,
        path: &str,
        before: &Znode,
        after: &After<'_>,
    ) {
        let with_digest = view.config.digest && digest::is_counted(path);
        let old_prefix = || match before.place.slot {
            Some(slot) => self.slot(slot).state.prefix,
            None => digest::of_prefix(path, view.tree.data(before.committed())),
        };
        let (mut prefix, mut part) = (0, 0);
        if with_digest {
            let old = old_prefix();
            part = digest::of_numbers(old, &before.stat);
            prefix = match after.data {
                NewData::Same => old,
                NewData::Set(data) => digest::of_prefix(path, data),
            };
        }
        if with_digest {
            self.digest = digest::minus(self.digest, part);
            self.digest = digest::plus(self.digest, digest::of_numbers(prefix, &after.stat));
        }
        let slot = self.touch(before.place, path);
        let state = &mut self.slot_mut(slot).state;
        state.exists = true;
        state.stat = after.stat;
        state.children = after.children;
        state.prefix = prefix;
        state.data_bytes = match after.data {
            NewData::Same => before.data_bytes,
            NewData::Set(data) => length(data),
        };
        if let Some(acl) = after.acl {
            state.has_acl = true;
            state.acl.clear();
            state.acl.extend_from_slice(acl);
        }
    }

    /// A znode comes to be. `owner` if it is an ephemeral.
    pub(super) fn create(
        &mut self,
        view: &View<'_>,
        path: &str,
        (stat, data, acl): (Persisted, Option<&[u8]>, &[u8]),
    ) {
        let mut prefix = 0;
        if view.config.digest && digest::is_counted(path) {
            prefix = digest::of_prefix(path, data);
            self.digest = digest::plus(self.digest, digest::of_numbers(prefix, &stat));
        }
        let slot = self.touch(self.place(path), path);
        let state = &mut self.slot_mut(slot).state;
        state.exists = true;
        state.stat = stat;
        state.children = 0;
        state.data_bytes = length(data);
        state.prefix = prefix;
        state.has_acl = true;
        state.acl.clear();
        state.acl.extend_from_slice(acl);
        if let OwnerKind::Session(owner) = view.config.owners.kind(stat.ephemeral_owner) {
            self.ephemerals.insert((owner, slot));
        }
    }

    /// A znode goes.
    pub(super) fn delete(&mut self, view: &View<'_>, path: &str, before: &Znode) {
        if view.config.digest && digest::is_counted(path) {
            let prefix = match before.place.slot {
                Some(slot) => self.slot(slot).state.prefix,
                None => digest::of_prefix(path, view.tree.data(before.committed())),
            };
            self.digest = digest::minus(self.digest, digest::of_numbers(prefix, &before.stat));
        }
        let slot = self.touch(before.place, path);
        self.ephemerals.remove(&(SessionId(before.stat.ephemeral_owner), slot));
        let state = &mut self.slot_mut(slot).state;
        state.exists = false;
        state.has_acl = false;
        state.acl.clear();
    }

    /// The paths of the session's ephemerals that are not committed yet.
    pub(super) fn uncommitted_ephemerals(&self, session: SessionId) -> impl Iterator<Item = &str> {
        let range = (session, 0)..=(session, u32::MAX);
        self.ephemerals.range(range).map(|(_, slot)| self.slot(*slot).path.as_str())
    }

    /// From here on everything can be taken back.
    pub(super) fn start_multi(&mut self) -> i64 {
        assert!(self.undo.is_none(), "a multi holds no multi");
        self.undo = Some(Vec::new());
        self.digest
    }

    /// The multi is as it should be.
    pub(super) fn keep_multi(&mut self) {
        self.undo = None;
    }

    /// Takes everything back since `start_multi`, which returned `digest`.
    pub(super) fn roll_back(&mut self, digest: i64) {
        let undo = self.undo.take().expect("a multi was started");
        for step in undo.into_iter().rev() {
            match step {
                Undo::Forget(slot) => self.release(slot),
                Undo::Restore(number, zxid, state) => {
                    self.forget_ephemeral(number);
                    let owner = SessionId(state.stat.ephemeral_owner);
                    if state.exists && state.has_acl && owner != SessionId::NONE {
                        self.ephemerals.insert((owner, number));
                    }
                    let slot = self.slot_mut(number);
                    (slot.zxid, slot.state) = (zxid, state);
                }
            }
        }
        while self.touched.back().is_some_and(|(zxid, _)| *zxid == self.last) {
            self.touched.pop_back();
        }
        self.digest = digest;
    }

    fn place(&self, path: &str) -> Place {
        let hash = self.key.hash(path.as_bytes());
        Place { hash, slot: self.index.find(hash, |slot| self.slot(slot).path == path) }
    }

    /// The slot of a path that the current transaction changes.
    fn touch(&mut self, place: Place, path: &str) -> u32 {
        let last = self.last;
        if let Some(number) = place.slot {
            let slot = &mut self.slots[widen(number)];
            if slot.zxid != last {
                if let Some(undo) = &mut self.undo {
                    undo.push(Undo::Restore(number, slot.zxid, slot.state.clone()));
                }
                slot.zxid = last;
                self.touched.push_back((last, number));
            }
            return number;
        }
        let number = self.free.pop().unwrap_or_else(|| {
            let number = u32::try_from(self.slots.len()).expect("proposals are bounded");
            let state = State::default();
            self.slots.push(Slot { path: String::new(), hash: 0, zxid: NEVER, state });
            number
        });
        let slot = &mut self.slots[widen(number)];
        slot.path.push_str(path);
        (slot.hash, slot.zxid) = (place.hash, last);
        self.index.insert(place.hash, number);
        self.touched.push_back((last, number));
        if let Some(undo) = &mut self.undo {
            undo.push(Undo::Forget(number));
        }
        number
    }

    /// Makes a slot free.
    fn release(&mut self, number: u32) {
        self.forget_ephemeral(number);
        let slot = &mut self.slots[widen(number)];
        let hash = slot.hash;
        slot.zxid = NEVER;
        slot.path.clear();
        slot.path.shrink_to(KEPT_BYTES_MAX);
        let mut acl = std::mem::take(&mut slot.state.acl);
        acl.clear();
        acl.shrink_to(KEPT_BYTES_MAX);
        slot.state = State { acl, ..State::default() };
        self.index.remove(hash, number);
        self.free.push(number);
    }

    fn forget_ephemeral(&mut self, number: u32) {
        if !self.ephemerals.is_empty() {
            let owner = SessionId(self.slot(number).state.stat.ephemeral_owner);
            self.ephemerals.remove(&(owner, number));
        }
    }

    fn slot(&self, number: u32) -> &Slot {
        &self.slots[widen(number)]
    }

    fn slot_mut(&mut self, number: u32) -> &mut Slot {
        &mut self.slots[widen(number)]
    }
}

fn widen(number: u32) -> usize {
    usize::try_from(number).expect("a usize has 32 bits or more")
}

/// The length of data; 0 for null.
pub(super) fn length(data: Option<&[u8]>) -> i64 {
    i64::try_from(data.map_or(0, <[u8]>::len)).expect("data fits a frame")
}
