//! The tables against a model that is too simple to be wrong.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::tree::{AclId, Change, ChangeKind, HashKey};
use crate::types::{ConnId, path};

/// Apache's two tables, word for word: path, connection, and the set of modes.
#[derive(Default)]
struct Model {
    data: BTreeMap<(String, ConnId), BTreeSet<&'static str>>,
    child: BTreeMap<(String, ConnId), BTreeSet<&'static str>>,
}

impl Model {
    fn add(&mut self, conn: ConnId, path: &str, mode: Mode) {
        let key = || (path.to_owned(), conn);
        match mode {
            Mode::Data => drop(self.data.entry(key()).or_default().insert("standard")),
            Mode::Child => drop(self.child.entry(key()).or_default().insert("standard")),
            Mode::Persistent => {
                self.data.entry(key()).or_default().insert("persistent");
                self.child.entry(key()).or_default().insert("persistent");
            }
            Mode::Recursive => drop(self.data.entry(key()).or_default().insert("recursive")),
        }
    }

    fn trigger(&mut self, kind: ChangeKind, path: &str) -> BTreeSet<ConnId> {
        let mut heard = BTreeSet::new();
        let (data, child) = match kind {
            ChangeKind::Created | ChangeKind::DataChanged => (true, false),
            ChangeKind::Deleted => (true, true),
            ChangeKind::ChildrenChanged => (false, true),
        };
        for (table, on) in [(&mut self.data, data), (&mut self.child, child)] {
            for ((at, conn), modes) in table.iter_mut().filter(|_| on) {
                if at == path {
                    heard.insert(*conn);
                    modes.remove("standard");
                } else if path::ancestors(path).any(|above| above == at)
                    && modes.contains("recursive")
                {
                    heard.insert(*conn);
                }
            }
            table.retain(|_, modes| !modes.is_empty());
        }
        heard
    }

    fn check(&self, conn: ConnId, path: &str, what: WatcherType) -> bool {
        let key = (path.to_owned(), conn);
        let has = |table: &BTreeMap<_, BTreeSet<_>>, mode| {
            table.get(&key).is_some_and(|modes| modes.contains(mode))
        };
        match what {
            WatcherType::Children => has(&self.child, "standard"),
            WatcherType::Data => has(&self.data, "standard"),
            WatcherType::Any => self.child.contains_key(&key) || self.data.contains_key(&key),
            WatcherType::Persistent => has(&self.data, "persistent"),
            WatcherType::Recursive => has(&self.data, "recursive"),
        }
    }

    fn remove(&mut self, conn: ConnId, path: &str, what: WatcherType) -> bool {
        let found = self.check(conn, path, what);
        for (table, is_data) in [(&mut self.data, true), (&mut self.child, false)] {
            let Some(modes) = table.get_mut(&(path.to_owned(), conn)) else { continue };
            match what {
                WatcherType::Children if !is_data => drop(modes.remove("standard")),
                WatcherType::Data if is_data => drop(modes.remove("standard")),
                WatcherType::Any => modes.clear(),
                WatcherType::Persistent => drop(modes.remove("persistent")),
                WatcherType::Recursive => drop(modes.remove("recursive")),
                WatcherType::Children | WatcherType::Data => {}
            }
            table.retain(|_, modes| !modes.is_empty());
        }
        found
    }

    fn drop_conn(&mut self, conn: ConnId) {
        for table in [&mut self.data, &mut self.child] {
            table.retain(|(_, other), _| *other != conn);
        }
    }

    fn counts(&self) -> Counts {
        let conns: BTreeSet<_> = self.data.keys().map(|key| key.1).collect();
        let paths: BTreeSet<_> = self.data.keys().map(|key| &key.0).collect();
        Counts {
            conns: conns.len(),
            paths: paths.len(),
            data: self.data.len(),
            child: self.child.len(),
        }
    }
}

const MODES: [Mode; 4] = [Mode::Data, Mode::Child, Mode::Persistent, Mode::Recursive];
const KINDS: [ChangeKind; 4] = [
    ChangeKind::Created,
    ChangeKind::Deleted,
    ChangeKind::DataChanged,
    ChangeKind::ChildrenChanged,
];
const TYPES: [WatcherType; 5] = [
    WatcherType::Children,
    WatcherType::Data,
    WatcherType::Any,
    WatcherType::Persistent,
    WatcherType::Recursive,
];

fn conn(slot: u32, generation: u32) -> ConnId {
    ConnId { slot, generation }
}

/// Triggers, and asserts that nobody heard twice.
fn trigger(watches: &mut Watches, kind: ChangeKind, path: &str) -> BTreeSet<ConnId> {
    let mut heard = BTreeSet::new();
    let change = Change { kind, path, acl: AclId::OPEN };
    watches.trigger(&change, |conn| assert!(heard.insert(conn), "{conn} heard twice"));
    heard
}

/// Every combination of modes at a znode and above it, every change, every removal before it
/// (ZOOKEEPER-4466, 4471, 4475, 1910: modes overwrote each other, removals took too much).
#[test]
fn every_combination_of_modes_behaves_as_apaches_tables() {
    let me = conn(0, 1);
    for combination in 0_u32..256 {
        for (kind, removed) in KINDS
            .iter()
            .flat_map(|k| TYPES.map(Some).into_iter().chain([None]).map(move |t| (*k, t)))
        {
            let (mut watches, mut model) = (Watches::new(HashKey([1, 2])), Model::default());
            for (bit, mode) in MODES.iter().enumerate() {
                for (at, shift) in [("/a/b", 0), ("/a", 4)] {
                    if combination >> (bit + shift) & 1 == 1 {
                        watches.add(me, at, *mode);
                        model.add(me, at, *mode);
                    }
                }
            }
            if let Some(what) = removed {
                assert_eq!(watches.check(me, "/a/b", what), model.check(me, "/a/b", what));
                assert_eq!(watches.remove(me, "/a/b", what), model.remove(me, "/a/b", what));
            }
            for round in 0..2 {
                let story = format!("{combination:b} {kind:?} {removed:?} round {round}");
                assert_eq!(
                    trigger(&mut watches, kind, "/a/b"),
                    model.trigger(kind, "/a/b"),
                    "{story}"
                );
                assert_eq!(trigger(&mut watches, kind, "/a"), model.trigger(kind, "/a"), "{story}");
                assert_eq!(watches.counts(), model.counts(), "{story}");
            }
        }
    }
}

#[test]
fn random_runs_equal_the_model_and_leave_nothing_behind() {
    let paths = ["/", "/a", "/a/b", "/a/b/c", "/b", "/a/bb", "/zz/top"];
    for seed in 0..4_u64 {
        let (mut watches, mut model) = (Watches::new(HashKey([seed, 2])), Model::default());
        let mut generations = [1_u32; 40];
        let mut state = seed;
        let mut random = |below: usize| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(state >> 33).expect("31 bits") % below
        };
        for step in 0..20_000 {
            let slot = random(if step % 1000 < 500 { 40 } else { 5 });
            let me = conn(u32::try_from(slot).expect("small"), generations[slot]);
            let path = paths[random(paths.len())];
            match random(40) {
                0..20 => {
                    let mode = MODES[random(4)];
                    watches.add(me, path, mode);
                    model.add(me, path, mode);
                }
                20..30 => {
                    let kind = KINDS[random(4)];
                    assert_eq!(
                        trigger(&mut watches, kind, path),
                        model.trigger(kind, path),
                        "{step}"
                    );
                }
                30..38 => {
                    let what = TYPES[random(5)];
                    assert_eq!(watches.check(me, path, what), model.check(me, path, what));
                    assert_eq!(watches.remove(me, path, what), model.remove(me, path, what));
                }
                _ => {
                    watches.drop_conn(me);
                    model.drop_conn(me);
                    generations[slot] += 1;
                    assert!(!watches.check(me, path, WatcherType::Any));
                }
            }
            assert_eq!(watches.counts(), model.counts(), "seed {seed} step {step}");
        }
        let seen: BTreeSet<(String, ConnId)> = watches
            .by_path()
            .flat_map(|(path, conns)| conns.map(move |conn| (path.to_owned(), conn)))
            .collect();
        assert!(seen.iter().eq(model.data.keys()));
        let turned = watches.by_conn().flat_map(|(conn, paths)| {
            paths.into_iter().map(move |path| (path.to_owned(), conn)).collect::<Vec<_>>()
        });
        assert_eq!(turned.collect::<BTreeSet<_>>(), seen);
        for (slot, generation) in generations.into_iter().enumerate() {
            watches.drop_conn(conn(u32::try_from(slot).expect("small"), generation));
        }
        assert_eq!(watches.counts(), Counts::default());
    }
}

#[test]
fn ten_thousand_watchers_hear_once_and_drop_quickly() {
    let mut watches = Watches::new(HashKey([1, 2]));
    for slot in 0..10_000 {
        watches.add(conn(slot, 1), "/hot", Mode::Data);
        watches.add(conn(slot, 1), "/kept", Mode::Persistent);
    }
    assert_eq!(trigger(&mut watches, ChangeKind::DataChanged, "/hot").len(), 10_000);
    assert_eq!(trigger(&mut watches, ChangeKind::DataChanged, "/hot").len(), 0);
    for slot in 0..10_000 {
        watches.drop_conn(conn(slot, 1));
    }
    assert_eq!(trigger(&mut watches, ChangeKind::DataChanged, "/kept").len(), 0);
    assert_eq!(watches.counts(), Counts::default());
}
