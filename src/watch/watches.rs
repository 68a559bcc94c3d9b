//! The tables: paths with their connections, connections with their paths.

use super::conn_set::{ConnSet, Modes};
use crate::tree::index::{HashKey, Index};
use crate::tree::{Change, ChangeKind};
use crate::types::{ConnId, path};

/// What a registration asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// exists, getData: once, for the znode itself.
    Data,
    /// getChildren: once, for the list of its children.
    Child,
    /// addWatch with mode 0: both, until it is removed.
    Persistent,
    /// addWatch with mode 1: the znode and everything below, until it is removed.
    Recursive,
}

impl Mode {
    fn modes(self) -> Modes {
        match self {
            Self::Data => Modes::DATA,
            Self::Child => Modes::CHILD,
            Self::Persistent => Modes::PERSISTENT,
            Self::Recursive => Modes::RECURSIVE,
        }
    }
}

/// What checkWatches and removeWatches are about (`Watcher.WatcherType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatcherType {
    /// 1: standard watches of children.
    Children,
    /// 2: standard watches of data, those of exists included.
    Data,
    /// 3: everything at that path.
    Any,
    /// 4: the persistent one.
    Persistent,
    /// 5: the recursive one.
    Recursive,
}

impl WatcherType {
    /// By its number on the wire.
    pub fn from_code(code: i32) -> Option<Self> {
        match code {
            1 => Some(Self::Children),
            2 => Some(Self::Data),
            3 => Some(Self::Any),
            4 => Some(Self::Persistent),
            5 => Some(Self::Recursive),
            _ => None,
        }
    }

    fn modes(self) -> Modes {
        match self {
            Self::Children => Modes::CHILD,
            Self::Data => Modes::DATA,
            Self::Any => Modes::ALL,
            Self::Persistent => Modes::PERSISTENT,
            Self::Recursive => Modes::RECURSIVE,
        }
    }
}

/// What Apache's server keeps in its table of data watches, and counts for `wchs`.
const DATA_TABLE: Modes = Modes::DATA.with(Modes::PERSISTENT).with(Modes::RECURSIVE);
/// And in its table of child watches.
const CHILD_TABLE: Modes = Modes::CHILD.with(Modes::PERSISTENT);

/// How many watches there are, counted as Apache's server does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections with a data watch (`wchs`).
    pub conns: usize,
    /// Paths with a data watch (`wchs`).
    pub paths: usize,
    /// Data watches: pairs of both (`wchs`).
    pub data: usize,
    /// Child watches. A persistent watch is one of each.
    pub child: usize,
}

#[derive(Default)]
struct PathEntry {
    text: String,
    set: ConnSet,
    /// Members in the table of data watches.
    data: u32,
}

#[derive(Default)]
struct Conn {
    /// Of the connection that has the slot; 0 for none.
    generation: u32,
    /// Paths that it watches.
    live: u32,
    /// Of those, paths with a data watch.
    data: u32,
    /// The last change that it heard of.
    heard: u64,
    /// Every path that it watches, and some that it did once.
    paths: Vec<u32>,
}

/// The watches of one core.
pub struct Watches {
    key: HashKey,
    index: Index,
    paths: Vec<PathEntry>,
    free: Vec<u32>,
    conns: Vec<Conn>,
    counts: Counts,
    recursive: usize,
    /// Counts changes, so that nobody hears of one twice.
    changes: u64,
}

/// A forgotten path's buffer is kept up to this length.
const TEXT_KEPT_MAX: usize = 256;
/// A connection's list of paths is tidied when it is twice as long as need be, and this much.
const STALE_MAX: usize = 16;

impl Watches {
    /// No watches. `key` keeps clients from choosing paths that collide.
    pub fn new(key: HashKey) -> Self {
        Self {
            key,
            index: Index::new(64),
            paths: Vec::new(),
            free: Vec::new(),
            conns: Vec::new(),
            counts: Counts::default(),
            recursive: 0,
            changes: 0,
        }
    }

    /// Registers; again is the same as once.
    pub fn add(&mut self, conn: ConnId, path: &str, mode: Mode) {
        assert!(conn.is_some(), "only connections watch");
        self.enter(conn);
        let id = self.find(path).unwrap_or_else(|| self.add_path(path));
        let before = self.paths[widen(id)].set.get(conn.slot);
        self.change(id, conn.slot, before, before.with(mode.modes()));
        if before == Modes::NONE {
            self.note(conn.slot, id);
        }
    }

    /// Makes room for a connection in its slot.
    fn enter(&mut self, conn: ConnId) {
        let slot = widen(conn.slot);
        if self.conns.len() <= slot {
            self.conns.resize_with(slot + 1, Conn::default);
        }
        let entry = &mut self.conns[slot];
        if entry.generation != conn.generation {
            assert!(entry.live == 0, "a connection's watches go before its slot is used again");
            entry.paths.clear();
            entry.generation = conn.generation;
        }
    }

    /// Writes down that a connection watches a path, tidying its list now and then.
    fn note(&mut self, slot: u32, id: u32) {
        let Self { conns, paths, .. } = self;
        let conn = &mut conns[widen(slot)];
        if conn.paths.len() >= 2 * widen(conn.live) + STALE_MAX {
            conn.paths.sort_unstable();
            conn.paths.dedup();
            conn.paths.retain(|id| paths[widen(*id)].set.get(slot) != Modes::NONE);
        }
        conn.paths.push(id);
    }

    /// Tells everybody who waits for a change, each once; standard watches are used up.
    pub fn trigger(&mut self, change: &Change<'_>, mut heard: impl FnMut(ConnId)) {
        if self.index.is_empty() {
            return;
        }
        let (wanted, gone) = match change.kind {
            ChangeKind::Created | ChangeKind::DataChanged => (DATA_TABLE, Modes::DATA),
            ChangeKind::Deleted => (Modes::ALL, Modes::DATA.with(Modes::CHILD)),
            ChangeKind::ChildrenChanged => (CHILD_TABLE, Modes::CHILD),
        };
        self.changes += 1;
        if let Some(id) = self.find(change.path) {
            self.sweep(id, (wanted, gone), &mut heard);
        }
        if self.recursive == 0 || change.kind == ChangeKind::ChildrenChanged {
            return;
        }
        for above in path::ancestors(change.path) {
            let Some(id) = self.find(above) else { continue };
            let Self { conns, paths, changes, .. } = &mut *self;
            for (slot, modes) in paths[widen(id)].set.iter() {
                let conn = &mut conns[widen(slot)];
                if modes.has_any(Modes::RECURSIVE) && conn.heard != *changes {
                    conn.heard = *changes;
                    heard(ConnId { slot, generation: conn.generation });
                }
            }
        }
    }

    fn sweep(&mut self, id: u32, modes: (Modes, Modes), heard: &mut impl FnMut(ConnId)) {
        let Self { conns, paths, counts, changes, .. } = &mut *self;
        let PathEntry { set, data, .. } = &mut paths[widen(id)];
        set.sweep(modes, |slot, before| {
            let conn = &mut conns[widen(slot)];
            conn.heard = *changes;
            heard(ConnId { slot, generation: conn.generation });
            recount(before, before.without(modes.1), (counts, conn, data));
        });
        if set.len() == 0 {
            self.remove_path(id);
        }
    }

    /// Whether a connection has such a watch (checkWatches).
    pub fn check(&self, conn: ConnId, path: &str, what: WatcherType) -> bool {
        let modes =
            self.find(path).map_or(Modes::NONE, |id| self.paths[widen(id)].set.get(conn.slot));
        self.is_here(conn) && modes.has_any(what.modes())
    }

    /// Takes such watches away (removeWatches); `false` if there is none.
    pub fn remove(&mut self, conn: ConnId, path: &str, what: WatcherType) -> bool {
        if !self.check(conn, path, what) {
            return false;
        }
        let id = self.find(path).expect("it was just found");
        let before = self.paths[widen(id)].set.get(conn.slot);
        self.change(id, conn.slot, before, before.without(what.modes()));
        true
    }

    /// Takes all watches of a connection away: it is gone.
    pub fn drop_conn(&mut self, conn: ConnId) {
        if !self.is_here(conn) {
            return;
        }
        let paths = std::mem::take(&mut self.conns[widen(conn.slot)].paths);
        for id in paths {
            let before = self.paths[widen(id)].set.get(conn.slot);
            self.change(id, conn.slot, before, Modes::NONE);
        }
        let entry = &mut self.conns[widen(conn.slot)];
        assert!(entry.live == 0, "a connection's list has all of its paths");
        entry.generation = 0;
    }

    fn is_here(&self, conn: ConnId) -> bool {
        let entry = self.conns.get(widen(conn.slot));
        conn.is_some() && entry.is_some_and(|entry| entry.generation == conn.generation)
    }

    fn change(&mut self, id: u32, slot: u32, before: Modes, after: Modes) {
        if before == after {
            return;
        }
        let recursive = |modes: Modes| usize::from(modes.has_any(Modes::RECURSIVE));
        self.recursive = self.recursive + recursive(after) - recursive(before);
        let PathEntry { set, data, .. } = &mut self.paths[widen(id)];
        set.set(slot, after);
        recount(before, after, (&mut self.counts, &mut self.conns[widen(slot)], data));
        if set.len() == 0 {
            self.remove_path(id);
        }
    }

    fn find(&self, path: &str) -> Option<u32> {
        if self.index.is_empty() {
            return None;
        }
        let hash = self.key.hash(path.as_bytes());
        self.index.find(hash, |id| self.paths[widen(id)].text == path)
    }

    fn add_path(&mut self, path: &str) -> u32 {
        let id = self.free.pop().unwrap_or_else(|| {
            self.paths.push(PathEntry::default());
            u32::try_from(self.paths.len() - 1).expect("fewer than 2^32 paths are watched")
        });
        self.paths[widen(id)].text.push_str(path);
        self.index.insert(self.key.hash(path.as_bytes()), id);
        id
    }

    fn remove_path(&mut self, id: u32) {
        let entry = &mut self.paths[widen(id)];
        assert!(entry.set.len() == 0, "a path is forgotten when nobody watches it");
        assert!(entry.data == 0, "data watches are counted");
        self.index.remove(self.key.hash(entry.text.as_bytes()), id);
        if entry.text.capacity() > TEXT_KEPT_MAX {
            entry.text = String::new();
        }
        entry.text.clear();
        self.free.push(id);
    }

    /// How many there are.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Paths with data watches and who has them (`wchp`), in no order.
    pub fn by_path(&self) -> impl Iterator<Item = (&str, impl Iterator<Item = ConnId>)> {
        let watched = self.paths.iter().filter(|entry| entry.data > 0);
        watched.map(|entry| {
            let members = entry.set.iter().filter(|(_, modes)| modes.has_any(DATA_TABLE));
            let conn = |(slot, _)| ConnId { slot, generation: self.conns[widen(slot)].generation };
            (entry.text.as_str(), members.map(conn))
        })
    }

    /// Connections with data watches and their paths (`wchc`), in no order.
    pub fn by_conn(&self) -> impl Iterator<Item = (ConnId, Vec<&str>)> {
        let watching = self.conns.iter().enumerate().filter(|(_, conn)| conn.data > 0);
        watching.map(|(slot, conn)| {
            let slot = u32::try_from(slot).expect("slots are 32 bits wide");
            let mut ids = conn.paths.clone();
            ids.sort_unstable();
            ids.dedup();
            let entries = ids.into_iter().map(|id| &self.paths[widen(id)]);
            let watched = entries.filter(|entry| entry.set.get(slot).has_any(DATA_TABLE));
            let generation = conn.generation;
            (ConnId { slot, generation }, watched.map(|entry| entry.text.as_str()).collect())
        })
    }
}

/// Books one pair's change of modes.
fn recount(
    before: Modes,
    after: Modes,
    (counts, conn, path_data): (&mut Counts, &mut Conn, &mut u32),
) {
    match (before == Modes::NONE, after == Modes::NONE) {
        (true, false) => conn.live += 1,
        (false, true) => conn.live -= 1,
        _ => {}
    }
    match (before.has_any(DATA_TABLE), after.has_any(DATA_TABLE)) {
        (false, true) => {
            counts.data += 1;
            counts.conns += usize::from(conn.data == 0);
            counts.paths += usize::from(*path_data == 0);
            (conn.data, *path_data) = (conn.data + 1, *path_data + 1);
        }
        (true, false) => {
            (conn.data, *path_data) = (conn.data - 1, *path_data - 1);
            counts.data -= 1;
            counts.conns -= usize::from(conn.data == 0);
            counts.paths -= usize::from(*path_data == 0);
        }
        _ => {}
    }
    match (before.has_any(CHILD_TABLE), after.has_any(CHILD_TABLE)) {
        (false, true) => counts.child += 1,
        (true, false) => counts.child -= 1,
        _ => {}
    }
}

fn widen(id: u32) -> usize {
    usize::try_from(id).expect("a usize has 32 bits or more")
}
