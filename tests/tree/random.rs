//! Random transactions through everything at once: the owner's tree, readers that lag, images that
//! are written while the tree goes on, trees loaded from them; all compared with the model.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use std::sync::Arc;

use bytes::Bytes;
use ringkeeper::tree::{
    ChangeKind, Changes, Config, HashKey, Image, OwnerKind, OwnerRules, ReapRules, Tree,
};
use ringkeeper::types::{SessionId, WallTime, Xid, Zxid};
use ringkeeper::wire::committed::Placed;
use ringkeeper::wire::stat::{Acl, AclList};
use ringkeeper::wire::txn::*;
use ringkeeper::wire::{Seq, Text, Writer};

use crate::model::{Model, list};

/// Bytes on a boundary of eight, as a map would be.
struct Aligned(Vec<u64>);

impl AsRef<[u8]> for Aligned {
    fn as_ref(&self) -> &[u8] {
        bytemuck::cast_slice(&self.0)
    }
}

/// The same, to be changed between two loads.
#[derive(Clone)]
struct Shared(Arc<Aligned>);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        (*self.0).as_ref()
    }
}

/// An image's bytes, as if written to a file and mapped.
pub fn mapped(image: &Image) -> Bytes {
    let bytes: Vec<u8> = image.pieces().flatten().copied().collect();
    assert_eq!(bytes.len() as u64, image.len());
    Bytes::from_owner(Aligned(bytes.chunks_exact(8).map(bytemuck::pod_read_unaligned).collect()))
}

struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % limit
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    fn path(&mut self) -> String {
        let long = "x".repeat(300);
        let names = ["a", "b", "c", "a", "b", "a-longer-name", "é中", &long];
        let mut path = String::new();
        for _ in 0..=self.below(4) {
            path.push('/');
            path.push_str(names[self.below(names.len())]);
        }
        match self.below(16) {
            0 | 1 => format!("/zookeeper/quota{path}"),
            2 => format!("/zookeeper/quota{path}/zookeeper_limits"),
            3 => format!("/zookeeper/quota{path}/zookeeper_stats"),
            _ => path,
        }
    }

    fn data(&mut self) -> Option<Vec<u8>> {
        let len = match self.below(400) {
            0..20 => return None,
            20..60 => 0,
            60..100 => return Some(b"count=3,bytes=9".to_vec()),
            100 => 1_500_000,
            101 => 3_000_000,
            102..110 => 200_000,
            _ => self.below(300),
        };
        let byte = u8::try_from(self.below(256)).expect("a byte");
        Some((0..len).map(|k| byte.wrapping_add((k % 7) as u8)).collect())
    }
}

/// What a leader would log; encoded, as it reaches every tree.
fn random_txn(random: &mut Random, model: &Model, inside: bool) -> Vec<u8> {
    let existing: Vec<&String> = model.znodes.keys().collect();
    let mut path =
        if random.below(3) == 0 { random.path() } else { (*random.pick(&existing)).clone() };
    let fresh = random.path();
    let data = random.data();
    let lists = [
        vec![Acl::open()],
        vec![Acl::new(1, "world", "anyone")],
        vec![Acl::new(31, "digest", "bob:x"), Acl::new(1, "ip", "10.0.0.0/8")],
        vec![Acl::new(3, "digest", "eve:x")],
        vec![],
    ];
    let acl = match random.below(8) {
        0..3 => AclList::NULL,
        number => AclList::from(&lists[number - 3][..]),
    };
    let (data, version) = (data.as_deref(), i32::try_from(random.below(100)).expect("small"));
    let parent_cversion = if random.below(3) == 0 { version } else { -1 };
    let closing = [Text::from(path.clone()), Text::from(fresh.clone())];
    let text = Text::from;
    let is_builtin =
        |path: &str| ["/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"].contains(&path);
    let txn = match random.below(if inside { 14 } else { 20 }) {
        0..3 => Txn::Create(CreateTxn {
            path: text(fresh),
            data,
            acl,
            ephemeral: false,
            parent_cversion,
        }),
        3 => Txn::Create2(CreateTxn {
            path: text(path),
            data,
            acl,
            ephemeral: false,
            parent_cversion,
        }),
        4 => Txn::Create2(CreateTxn {
            path: text(fresh),
            data,
            acl,
            ephemeral: true,
            parent_cversion,
        }),
        5 => Txn::CreateContainer(CreateContainerTxn {
            path: text(fresh),
            data,
            acl,
            parent_cversion,
        }),
        6 => Txn::CreateTtl(CreateTtlTxn {
            path: text(fresh),
            data,
            acl,
            parent_cversion,
            ttl: 5000,
        }),
        7..9 => {
            if is_builtin(&path) {
                path = "/nothing".into();
            }
            Txn::Delete(DeleteTxn { path: text(path) })
        }
        9..12 => Txn::SetData(SetDataTxn { path: text(path), data, version }),
        12 if inside => Txn::Check(CheckTxn { path: text(path), version }),
        13 if inside && random.below(4) == 0 => Txn::Error(ErrorTxn { err: -103 }),
        12..15 => Txn::SetData(SetDataTxn { path: text(path), data, version }),
        15 => Txn::SetAcl(SetAclTxn { path: text(path), acl, version }),
        16 => Txn::CreateSession(CreateSessionTxn { timeout_ms: version }),
        17 if random.below(4) > 0 => Txn::Error(ErrorTxn { err: -101 }),
        17 => {
            let listed = !closing.iter().any(|path| is_builtin(path));
            Txn::CloseSession(CloseSessionTxn { paths: listed.then(|| Seq::from(&closing[..])) })
        }
        _ => {
            let parts: Vec<Vec<u8>> =
                (0..random.below(5)).map(|_| random_txn(random, model, true)).collect();
            let parts = parts.iter().map(|part| SubTxn {
                kind: i32::from_be_bytes(part[..4].try_into().expect("four bytes")),
                data: Some(&part[4..]),
            });
            let parts: Vec<SubTxn<'_>> = parts.collect();
            return tagged(&Txn::Multi(MultiTxn { parts: Seq::from(&parts[..]) }));
        }
    };
    tagged(&txn)
}

fn tagged(txn: &Txn<'_>) -> Vec<u8> {
    let mut bytes = txn.kind().to_be_bytes().to_vec();
    txn.encode(&mut Writer::new(&mut bytes));
    bytes
}

fn decode(bytes: &[u8]) -> Txn<'_> {
    let kind = i32::from_be_bytes(bytes[..4].try_into().expect("four bytes"));
    Txn::decode(kind, &mut ringkeeper::wire::Reader::new(&bytes[4..])).expect("it was just encoded")
}

/// Everything that can be asked.
fn compare(tree: &Tree, model: &Model, story: &str) {
    tree.check_all();
    assert_eq!(tree.digest(), model.digest(), "{story}");
    assert_eq!(tree.last_zxid().0, model.zxid, "{story}");
    assert_eq!(tree.data_bytes(), model.data_bytes, "{story}");
    assert_eq!(tree.znode_count(), model.znodes.len(), "{story}");
    let sessions: BTreeMap<i64, i32> = tree.sessions().map(|(id, ms)| (id.0, ms)).collect();
    assert_eq!(sessions, model.sessions, "{story}");
    let limited: BTreeSet<String> = tree.quota_prefixes().map(str::to_owned).collect();
    assert_eq!(limited, model.limited, "{story}");
    let mut owners = BTreeSet::new();
    let mut due = BTreeSet::new();
    for (path, znode) in &model.znodes {
        let id = tree.find(path).unwrap_or_else(|| panic!("{story}: {path} is missing"));
        let stat = tree.stat(id);
        let persisted = tree.persisted(id);
        let longs = [
            stat.czxid.0,
            stat.mzxid.0,
            stat.pzxid.0,
            stat.ctime,
            stat.mtime,
            persisted.ephemeral_owner,
        ];
        assert_eq!(longs, znode.longs, "{story}: {path}");
        let ints = [stat.version, tree.raw_cversion(id), stat.aversion];
        assert_eq!(ints, znode.ints, "{story}: {path}");
        assert_eq!(tree.data(id), znode.data.as_deref(), "{story}: {path}");
        assert_eq!(stat.data_length as usize, znode.data.as_ref().map_or(0, Vec::len), "{story}");
        assert_eq!(list(&tree.acls().entries(tree.acl(id))), znode.acl, "{story}: {path}");
        let children: BTreeSet<&str> = tree.children(id).map(|child| tree.name(child)).collect();
        assert_eq!(children, model.children(path), "{story}: {path}");
        assert_eq!(stat.num_children as usize, children.len(), "{story}: {path}");
        let cversion = znode.ints[1].wrapping_mul(2) - stat.num_children;
        assert_eq!(stat.cversion, cversion, "{story}: {path}");
        assert_eq!(tree.descendants(id), model.below(path).len(), "{story}: {path}");
        match tree.owner_kind(id) {
            OwnerKind::Session(session) => {
                owners.insert(session);
                assert_eq!(stat.ephemeral_owner, session.0);
            }
            OwnerKind::Container if children.is_empty() && znode.ints[1] > 0 => {
                due.insert(id);
            }
            OwnerKind::Ttl(ttl)
                if children.is_empty() && (i64::MAX / 2).saturating_sub(stat.mtime) > ttl =>
            {
                due.insert(id);
            }
            _ => assert_eq!(stat.ephemeral_owner, 0),
        }
    }
    assert_eq!(tree.ephemeral_owners().collect::<BTreeSet<_>>(), owners, "{story}");
    for session in owners {
        let mut path = String::new();
        let mut paths: Vec<String> = Vec::new();
        for id in tree.ephemerals(session) {
            tree.path(id, &mut path);
            paths.push(path.clone());
        }
        paths.sort();
        let mut expected = model.owned_by(session.0);
        expected.sort();
        assert_eq!(paths, expected, "{story}");
    }
    let (mut found, mut from) = (BTreeSet::new(), Some(0));
    let rules = ReapRules { now: WallTime(i64::MAX / 2), never_used_ms: 0 };
    while let Some(place) = from {
        from = tree.reap_candidates(place, 3, rules, |id| {
            found.insert(id);
        });
    }
    assert_eq!(found, due, "{story}");
}

struct Follower {
    tree: Tree,
    behind: VecDeque<(TxnHeader, Vec<u8>, Vec<Placed>)>,
    changes: Changes,
}

impl Follower {
    fn new(owner: &mut Tree) -> Self {
        Self { tree: owner.reader(), behind: VecDeque::new(), changes: Changes::default() }
    }

    fn catch_up(&mut self, lag: usize) {
        while self.behind.len() > lag {
            let (header, bytes, placed) = self.behind.pop_front().expect("it is longer");
            self.tree.follow(&header, &decode(&bytes), &placed, &mut self.changes);
        }
    }
}

/// An image under way: what it must hold, and what was applied since.
struct Writing {
    image: Image,
    then: Model,
    since: Vec<(TxnHeader, Vec<u8>)>,
}

fn run(seed: u64, steps: usize) {
    let owners = OwnerRules { extended_types: true, emulate_353: false };
    let config = Config { owners, digest: true };
    let mut random = Random(seed);
    let mut owner = Tree::new(config, HashKey([seed, 7]));
    let mut model = Model::new(owners);
    let mut followers = vec![Follower::new(&mut owner), Follower::new(&mut owner)];
    let mut writing: VecDeque<Writing> = VecDeque::new();
    let mut changes = Changes::default();
    for step in 0..steps {
        let bytes = random_txn(&mut random, &model, false);
        let zxid = Zxid(model.zxid + i64::from(random.below(20) != 0));
        let session = SessionId(*random.pick(&[1, 2, 3, 0x1_0000_0000, -5]));
        let time = WallTime(*random.pick(&[1000, 1_700_000_000_000, i64::MAX, -1]) - step as i64);
        let header = TxnHeader { session, cxid: Xid(1), zxid, time };
        let txn = decode(&bytes);
        let mut placed = Vec::new();
        let outcome = owner.apply(&header, &txn, &mut placed, &mut changes);
        let (codes, heard) = model.apply(&header, &txn);
        let story = format!("seed {seed} step {step} {:?}", txn.kind());
        let results: Vec<_> = changes.results().iter().map(|result| result.err).collect();
        assert_eq!(results, codes, "{story}");
        let first = codes.into_iter().find(|code| code.code() != 0);
        assert_eq!(outcome.code(), first.map_or(0, |code| code.code()), "{story}");
        let seen = |changes: &Changes, tree: &Tree| -> Vec<(ChangeKind, String, _)> {
            let seen = changes.iter().map(|change| {
                (change.kind, change.path.to_owned(), list(&tree.acls().entries(change.acl)))
            });
            seen.collect()
        };
        let (mut mine, mut theirs) = (seen(&changes, &owner), heard);
        if matches!(txn, Txn::CloseSession(_)) {
            // Which ephemeral goes first is nobody's promise.
            mine.sort_by(|a, b| format!("{a:?}").cmp(&format!("{b:?}")));
            theirs.sort_by(|a, b| format!("{a:?}").cmp(&format!("{b:?}")));
        }
        assert_eq!(mine, theirs, "{story}");
        assert_eq!(owner.digest(), model.digest(), "{story}");

        for (number, follower) in followers.iter_mut().enumerate() {
            follower.behind.push_back((header, bytes.clone(), placed.clone()));
            let lag = random.below(40) * number;
            follower.catch_up(lag);
        }
        for writing in &mut writing {
            writing.since.push((header, bytes.clone()));
        }
        if random.below(300) == 0 && writing.len() < 2 {
            writing.push_back(Writing {
                image: owner.freeze(),
                then: model.clone(),
                since: Vec::new(),
            });
        }
        if random.below(250) == 0 && !writing.is_empty() {
            let Writing { image, then, since } = writing.pop_front().expect("it is not empty");
            let map = mapped(&image);
            drop(image);
            let mut loaded = Tree::from_image(config, &map).expect("it is a whole image");
            compare(&loaded, &then, &format!("{story}: loaded"));
            if random.below(2) == 0 {
                for (header, bytes) in since {
                    loaded.apply(&header, &decode(&bytes), &mut Vec::new(), &mut changes);
                }
                owner = loaded;
                followers = vec![Follower::new(&mut owner), Follower::new(&mut owner)];
                writing.clear();
                compare(&owner, &model, &format!("{story}: replayed"));
            }
        }
        if step % 500 == 499 || step + 1 == steps {
            compare(&owner, &model, &story);
            for follower in &mut followers {
                follower.catch_up(0);
                compare(&follower.tree, &model, &story);
            }
        }
    }
}

#[test]
fn trees_images_and_readers_equal_the_model() {
    let seeds = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    for seed in seeds.map_or(1..=3, |seed: u64| seed..=seed) {
        run(seed, 12_000);
    }
}

#[test]
fn damaged_images_are_refused_or_read_without_a_panic_while_loading() {
    let mut owner = Tree::new(Config::default(), HashKey([1, 7]));
    let mut random = Random(9);
    let mut model = Model::new(OwnerRules::default());
    for step in 0..400 {
        let bytes = random_txn(&mut random, &model, false);
        let zxid = Zxid(step);
        let header = TxnHeader { zxid, session: SessionId(3), ..TxnHeader::default() };
        owner.apply(&header, &decode(&bytes), &mut Vec::new(), &mut Changes::default());
        model.apply(&header, &decode(&bytes));
    }
    let whole = mapped(&owner.freeze());
    let words = whole.chunks_exact(8).map(bytemuck::pod_read_unaligned).collect();
    let mut shared = Shared(Arc::new(Aligned(words)));
    // The header and the tables: everything that loading looks at, and some of the rest.
    for at in (0..600).chain((4096..whole.len()).step_by(4096 + 37)) {
        for value in [0, 0xff, 1] {
            let words = Arc::get_mut(&mut shared.0).expect("the tree is gone");
            bytemuck::cast_slice_mut::<u64, u8>(&mut words.0)[at] = value;
            drop(Tree::from_image(Config::default(), &Bytes::from_owner(shared.clone())));
            let words = Arc::get_mut(&mut shared.0).expect("the tree is gone");
            bytemuck::cast_slice_mut::<u64, u8>(&mut words.0)[at] = whole[at];
        }
    }
    for len in [0, 7, 95, 479, 480, 4096, whole.len() / 2, whole.len() - 8] {
        assert!(Tree::from_image(Config::default(), &whole.slice(..len)).is_err(), "{len}");
    }
    assert!(Tree::from_image(Config::default(), &whole).is_ok());
}
