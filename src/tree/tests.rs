//! Tables of single transactions. Long random runs against a naive tree are in `tests/tree`.

use super::*;
use crate::types::{SessionId, WallTime, Xid, Zxid};
use crate::wire::ErrorCode;
use crate::wire::committed::Placed;
use crate::wire::stat::AclList;
use crate::wire::txn::{CreateTxn, DeleteTxn, SetDataTxn, Txn, TxnHeader};

fn create(path: &str) -> Txn<'_> {
    let data = Some(&b"data"[..]);
    let acl = AclList::NULL;
    Txn::Create(CreateTxn { path: path.into(), data, acl, ephemeral: false, parent_cversion: -1 })
}

fn delete(path: &str) -> Txn<'_> {
    Txn::Delete(DeleteTxn { path: path.into() })
}

fn apply(tree: &mut Tree, txn: &Txn<'_>, changes: &mut Changes) -> Vec<Placed> {
    let zxid = tree.last_zxid().next();
    let (session, cxid, time) = (SessionId(7), Xid(1), WallTime(1000 + zxid.0));
    let mut placed = Vec::new();
    tree.apply(&TxnHeader { session, cxid, zxid, time }, txn, &mut placed, changes);
    placed
}

fn tree_of(paths: &str) -> Tree {
    let mut tree = Tree::new(Config::default(), HashKey([1, 2]));
    for path in paths.split_whitespace() {
        apply(&mut tree, &create(path), &mut Changes::default());
    }
    tree
}

#[test]
fn a_fresh_tree_is_apaches() {
    let tree = tree_of("");
    assert_eq!(tree.digest(), 1_371_985_504);
    #[rustfmt::skip]
    let table = [
        // path                 cversion  aversion  children
        ("/",                   -1,       0,        1),
        ("/zookeeper",          -2,       0,        2),
        ("/zookeeper/quota",    0,        0,        0),
        ("/zookeeper/config",   0,        -1,       0),
    ];
    for (path, cversion, aversion, children) in table {
        let id = tree.find(path).expect("it is built in");
        let stat = tree.stat(id);
        let seen = (stat.cversion, stat.aversion, stat.num_children);
        assert_eq!(seen, (cversion, aversion, children), "{path}");
        assert_eq!((stat.czxid, stat.ctime, tree.data(id)), (Zxid(0), 0, Some(&b""[..])), "{path}");
    }
    tree.check_all();
}

/// Each row: the znodes there are, one transaction, the changes it reports, and what "/" counts
/// afterwards (cversion, children). The built-in child was never counted as created.
#[test]
fn apply_reports_changes_and_counts_children() {
    use ChangeKind::*;
    #[rustfmt::skip]
    let table: &[(&str, &str, Txn<'_>, &[(ChangeKind, &str)], (i32, i32))] = &[
        ("first child",          "",    create("/a"),   &[(Created, "/a"), (ChildrenChanged, "/")],    (0, 2)),
        ("second child",         "/a",  create("/b"),   &[(Created, "/b"), (ChildrenChanged, "/")],    (1, 3)),
        ("a delete counts up",   "/a",  delete("/a"),   &[(Deleted, "/a"), (ChildrenChanged, "/")],    (1, 1)),
        ("grandchildren do not", "/a",  create("/a/b"), &[(Created, "/a/b"), (ChildrenChanged, "/a")], (0, 2)),
        ("nothing to delete",    "/a",  delete("/b"),   &[],                                           (0, 2)),
        ("nowhere to create",    "/a",  create("/b/c"), &[],                                           (0, 2)),
        ("it is there already",  "/a",  create("/a"),   &[],                                           (2, 2)),
    ];
    for (what, given, txn, expected, (cversion, children)) in table {
        let mut tree = tree_of(given);
        let mut changes = Changes::default();
        apply(&mut tree, txn, &mut changes);
        let seen: Vec<_> = changes.iter().map(|change| (change.kind, change.path)).collect();
        assert_eq!(seen, *expected, "{what}");
        let root = tree.stat(NodeId::ROOT);
        assert_eq!((root.cversion, root.num_children), (*cversion, *children), "{what}");
        assert_eq!(changes.results()[0].err == ErrorCode::Ok, !expected.is_empty(), "{what}");
        tree.check_all();
    }
}

#[test]
fn a_reader_follows_and_slots_are_reused_only_behind_it() {
    let mut owner = tree_of("/a");
    let mut reader = owner.reader();
    let (mut changes, mut more) = (Changes::default(), Changes::default());
    let mut late = Vec::new();
    let text: Vec<String> = (0..500).map(|k| format!("{k:08}")).collect();
    for (k, text) in text.iter().enumerate() {
        let data = Some(text.as_bytes());
        let version = i32::try_from(k).expect("small");
        let txn = Txn::SetData(SetDataTxn { path: "/a".into(), data, version });
        late.push((txn.clone(), apply(&mut owner, &txn, &mut changes)));
        if k % 7 == 0 {
            // The reader is a few transactions behind and must still see each in its turn.
            for (txn, placed) in late.drain(..) {
                let zxid = reader.last_zxid().next();
                let header = TxnHeader { zxid, ..TxnHeader::default() };
                reader.follow(&header, &txn, &placed, &mut more);
                let Txn::SetData(set) = &txn else { unreachable!("only these") };
                let id = reader.find("/a").expect("it is there");
                assert_eq!(reader.data(id), set.data);
            }
        }
    }
    let (used, capacity) = owner.arena_bytes();
    assert!(used < 200, "{used}");
    assert_eq!(capacity, 2 << 20);
}

#[test]
fn long_names_and_data_spill() {
    let name = "n".repeat(3000);
    let path = format!("/{name}");
    let mut tree = tree_of(&path);
    let id = tree.find(&path).expect("it was created");
    assert_eq!(tree.name(id), name);
    for len in [0, 1, 7, 128, 129, 5000, 1 << 20, 3 << 20, (16 << 20) + 5] {
        let data: Vec<u8> = (0..len).map(|k| u8::try_from(k % 251).expect("small")).collect();
        let set = SetDataTxn { path: path.as_str().into(), data: Some(&data), version: 1 };
        apply(&mut tree, &Txn::SetData(set), &mut Changes::default());
        assert!(tree.data(id) == Some(&data[..]), "{len}");
    }
    let set = SetDataTxn { path: path.as_str().into(), data: None, version: 1 };
    apply(&mut tree, &Txn::SetData(set), &mut Changes::default());
    assert_eq!(tree.data(id), None);
    tree.check_all();
    apply(&mut tree, &delete(&path), &mut Changes::default());
    assert_eq!(tree.find(&path), None);
    tree.check_all();
}
