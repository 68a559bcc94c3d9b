//! Trees of a given size for the benches, and what they cost in memory.

#![allow(dead_code, reason = "each bench uses a part of it")]

use std::fmt::Write;

use ringkeeper::tree::{Changes, Config, HashKey, Tree};
use ringkeeper::types::{SessionId, WallTime, Xid, Zxid};
use ringkeeper::wire::committed::Placed;
use ringkeeper::wire::stat::AclList;
use ringkeeper::wire::txn::{CreateTxn, SetDataTxn, Txn, TxnHeader};

/// Children of each directory: three components, names of up to 11 bytes.
const FAN: usize = 1000;

/// The owner's tree, a front's, and the buffers between them.
pub struct Forest {
    pub owner: Tree,
    pub reader: Tree,
    /// Further fronts' trees, if a bench wants them.
    pub others: Vec<Tree>,
    pub placed: Vec<Placed>,
    pub changes: Changes,
    pub znodes: usize,
    path: String,
}

impl Forest {
    /// `znodes` znodes with 100 bytes of data in both trees.
    pub fn new(znodes: usize) -> Self {
        let mut owner = Tree::new(Config::default(), HashKey([3, 4]));
        let reader = owner.reader();
        let (placed, changes, path) = (Vec::new(), Changes::default(), String::new());
        let others = Vec::new();
        let mut forest = Self { owner, reader, others, placed, changes, znodes: 0, path };
        forest.create("/app");
        for _ in 0..znodes {
            forest.grow_with_folder();
        }
        forest
    }

    /// One more front's tree; it follows from now on.
    pub fn add_reader(&mut self) {
        self.others.push(self.owner.reader());
    }

    /// One more znode, and its parent if it is the first there.
    pub fn grow_with_folder(&mut self) {
        if self.znodes.is_multiple_of(FAN) {
            write!(self.path, "/app/dir-{:05}", self.znodes / FAN).expect("a string");
            self.create_here();
        }
        self.grow();
    }

    /// One more znode.
    pub fn grow(&mut self) {
        self.path_of(self.znodes);
        self.create_here();
        self.znodes += 1;
    }

    fn path_of(&mut self, number: usize) {
        self.path.clear();
        let (dir, name) = (number / FAN, number % FAN);
        write!(self.path, "/app/dir-{dir:05}/node-{name:05}").expect("a string");
    }

    fn create_here(&mut self) {
        let path = std::mem::take(&mut self.path);
        self.create(&path);
        self.path = path;
        self.path.clear();
    }

    fn create(&mut self, path: &str) {
        let data = Some(&[b'x'; 100][..]);
        let (acl, path) = (AclList::NULL, path.into());
        let ephemeral = false;
        let txn = Txn::Create(CreateTxn { path, data, acl, ephemeral, parent_cversion: -1 });
        self.both(&txn);
    }

    /// setData of one znode in both trees.
    pub fn set(&mut self, number: usize) {
        self.path_of(number);
        let path = std::mem::take(&mut self.path);
        let data = Some(&[b'y'; 100][..]);
        let set = SetDataTxn { path: path.as_str().into(), data, version: 1 };
        self.both(&Txn::SetData(set));
        self.path = path;
    }

    fn both(&mut self, txn: &Txn<'_>) {
        let header = self.header();
        self.placed.clear();
        self.owner.apply(&header, txn, &mut self.placed, &mut self.changes);
        self.reader.follow(&header, txn, &self.placed, &mut self.changes);
        for other in &mut self.others {
            other.follow(&header, txn, &self.placed, &mut self.changes);
        }
    }

    fn header(&self) -> TxnHeader {
        let zxid = Zxid(self.owner.last_zxid().0 + 1);
        TxnHeader { session: SessionId(1), cxid: Xid(1), zxid, time: WallTime(1_700_000_000_000) }
    }

    /// A random znode's path.
    pub fn path(&mut self, number: usize) -> &str {
        self.path_of(number);
        &self.path
    }
}

/// Resident bytes of this process.
pub fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<usize>().ok());
    pages.unwrap_or_default() * 4096
}

/// A cheap sequence that looks random.
pub struct Walk(pub u64);

impl Walk {
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from(self.0 >> 33).expect("31 bits") % limit
    }
}

/// How many znodes: `ZNODES`, else 10,000, so that a run of all benches stays short.
pub fn znodes() -> usize {
    std::env::var("ZNODES").ok().and_then(|n| n.parse().ok()).unwrap_or(10_000)
}
