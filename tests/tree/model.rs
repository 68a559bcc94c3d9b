//! A tree that is too simple to be wrong: a map from paths to znodes, everything else looked for.

use std::collections::{BTreeMap, BTreeSet};

use ringkeeper::tree::quota::Track;
use ringkeeper::tree::{CONTAINER_OWNER, ChangeKind, OwnerKind, OwnerRules, ttl_owner};
use ringkeeper::types::path;
use ringkeeper::wire::ErrorCode;
use ringkeeper::wire::stat::AclList;
use ringkeeper::wire::txn::{Txn, TxnHeader};

/// Permissions, scheme and id of each entry.
pub type List = Vec<(i32, String, String)>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Znode {
    pub data: Option<Vec<u8>>,
    pub acl: List,
    /// czxid, mzxid, pzxid, ctime, mtime, owner.
    pub longs: [i64; 6],
    /// version, raw cversion, aversion.
    pub ints: [i32; 3],
}

#[derive(Clone, Default)]
pub struct Model {
    pub znodes: BTreeMap<String, Znode>,
    pub sessions: BTreeMap<i64, i32>,
    pub limited: BTreeSet<String>,
    pub zxid: i64,
    /// Apache's approximate_data_size, which does not hear of silent updates of usage.
    pub data_bytes: i64,
    pub owners: OwnerRules,
}

pub type Heard = Vec<(ChangeKind, String, List)>;

pub fn list(acl: &AclList<'_>) -> List {
    if acl.is_null() {
        return vec![(31, "world".into(), "anyone".into())];
    }
    acl.iter().map(|entry| (entry.perms, entry.scheme().into(), entry.id().into())).collect()
}

fn code_of(err: i32) -> ErrorCode {
    ErrorCode::from_code(err).expect("a known code")
}

fn utf16(path: &str) -> i64 {
    path.encode_utf16().count() as i64
}

impl Model {
    pub fn new(owners: OwnerRules) -> Self {
        let znode = |acl: i32, aversion| Znode {
            data: Some(Vec::new()),
            acl: vec![(acl, "world".into(), "anyone".into())],
            longs: [0; 6],
            ints: [0, 0, aversion],
        };
        let mut model = Self { owners, data_bytes: 44, ..Self::default() };
        for path in ["/", "/zookeeper", "/zookeeper/quota"] {
            model.znodes.insert(path.into(), znode(31, 0));
        }
        model.znodes.insert("/zookeeper/config".into(), znode(1, -1));
        model
    }

    pub fn children(&self, parent: &str) -> BTreeSet<&str> {
        let child = |path: &&String| path::split(path).is_some_and(|(above, _)| above == parent);
        let children = self.znodes.keys().filter(|path| *path != "/").filter(child);
        children.map(|path| path::split(path).expect("it is absolute").1).collect()
    }

    pub fn below(&self, top: &str) -> Vec<String> {
        let below = |path: &&String| path::ancestors(path).any(|above| above == top);
        self.znodes.keys().filter(below).cloned().collect()
    }

    /// The sum over all znodes, each computed anew.
    pub fn digest(&self) -> i64 {
        let counted = self.znodes.iter().filter(|(path, _)| !path.starts_with("/zookeeper/"));
        let parts = counted.map(|(path, znode)| {
            let mut bytes = if path == "/" { Vec::new() } else { path.clone().into_bytes() };
            bytes.extend_from_slice(znode.data.as_deref().unwrap_or_default());
            znode.longs[..5].iter().for_each(|long| bytes.extend_from_slice(&long.to_be_bytes()));
            znode.ints.iter().for_each(|int| bytes.extend_from_slice(&int.to_be_bytes()));
            bytes.extend_from_slice(&znode.longs[5].to_be_bytes());
            i64::from(crc32fast::hash(&bytes))
        });
        parts.fold(0, i64::wrapping_add)
    }

    pub fn apply(&mut self, header: &TxnHeader, txn: &Txn<'_>) -> (Vec<ErrorCode>, Heard) {
        let mut heard = Vec::new();
        let codes = match txn {
            Txn::Multi(multi) => match multi.failure() {
                None => multi.iter().map(|part| self.one(header, &part, &mut heard)).collect(),
                Some((at, _)) => {
                    let code = |(number, part)| match part {
                        Txn::Error(error) => code_of(error.err),
                        _ if number < at => ErrorCode::Ok,
                        _ => ErrorCode::RuntimeInconsistency,
                    };
                    multi.iter().enumerate().map(code).collect()
                }
            },
            single => vec![self.one(header, single, &mut heard)],
        };
        self.zxid = self.zxid.max(header.zxid.0);
        (codes, heard)
    }

    fn one(&mut self, header: &TxnHeader, txn: &Txn<'_>, heard: &mut Heard) -> ErrorCode {
        match txn {
            Txn::Create(create) | Txn::Create2(create) => {
                let owner = if create.ephemeral { header.session.0 } else { 0 };
                let new = (create.data, list(&create.acl), create.parent_cversion, owner);
                self.create(header, &create.path, new, heard)
            }
            Txn::CreateContainer(create) => {
                let new = (create.data, list(&create.acl), create.parent_cversion, CONTAINER_OWNER);
                self.create(header, &create.path, new, heard)
            }
            Txn::CreateTtl(create) => {
                let owner = ttl_owner(create.ttl);
                let new = (create.data, list(&create.acl), create.parent_cversion, owner);
                self.create(header, &create.path, new, heard)
            }
            Txn::Delete(delete) | Txn::DeleteContainer(delete) => {
                self.delete(header, &delete.path, heard)
            }
            Txn::SetData(set) | Txn::Reconfig(set) => {
                let Some(znode) = self.znodes.get_mut(&*set.path) else {
                    return ErrorCode::NoNode;
                };
                let before = znode.data.as_ref().map_or(0, Vec::len) as i64;
                znode.data = set.data.map(<[u8]>::to_vec);
                (znode.longs[1], znode.longs[4]) = (header.zxid.0, header.time.0);
                znode.ints[0] = set.version;
                let acl = znode.acl.clone();
                let after = set.data.map_or(0, <[u8]>::len) as i64;
                self.data_bytes += after - before;
                self.charge(&set.path, after - before, 0);
                heard.push((ChangeKind::DataChanged, set.path.to_string(), acl));
                ErrorCode::Ok
            }
            Txn::SetAcl(set) => {
                let Some(znode) = self.znodes.get_mut(&*set.path) else {
                    return ErrorCode::NoNode;
                };
                znode.acl = list(&set.acl);
                znode.ints[2] = set.version;
                ErrorCode::Ok
            }
            Txn::CreateSession(create) => {
                self.sessions.insert(header.session.0, create.timeout_ms);
                ErrorCode::Ok
            }
            Txn::CloseSession(close) => {
                for path in close.paths.iter().flatten() {
                    self.delete(header, &path, heard);
                }
                for path in self.owned_by(header.session.0) {
                    self.delete(header, &path, heard);
                }
                self.sessions.remove(&header.session.0);
                ErrorCode::Ok
            }
            Txn::Error(error) => code_of(error.err),
            Txn::Check(_) | Txn::Multi(_) => ErrorCode::Ok,
        }
    }

    /// In the order of creation, which zxid and path give away.
    pub fn owned_by(&self, session: i64) -> Vec<String> {
        let owner = |znode: &Znode| self.owners.kind(znode.longs[5]);
        let is_it = |znode: &Znode| matches!(owner(znode), OwnerKind::Session(s) if s.0 == session);
        let owned = self.znodes.iter().filter(|(_, znode)| is_it(znode));
        let mut owned: Vec<(i64, &String)> =
            owned.map(|(path, znode)| (znode.longs[0], path)).collect();
        owned.sort();
        owned.into_iter().map(|(_, path)| path.clone()).collect()
    }

    fn create(
        &mut self,
        header: &TxnHeader,
        path: &str,
        (data, acl, cversion, owner): (Option<&[u8]>, List, i32, i64),
        heard: &mut Heard,
    ) -> ErrorCode {
        let Some((above, name)) = path::split(path) else { return ErrorCode::NoNode };
        let Some(parent) = self.znodes.get_mut(above).filter(|_| !name.is_empty()) else {
            return ErrorCode::NoNode;
        };
        let next = if cversion == -1 { parent.ints[1].wrapping_add(1) } else { cversion };
        if next > parent.ints[1] {
            (parent.ints[1], parent.longs[2]) = (next, header.zxid.0);
        }
        let parent_acl = parent.acl.clone();
        if let Some(existing) = self.znodes.get_mut(path) {
            existing.acl = acl;
            return ErrorCode::NodeExists;
        }
        let (zxid, time) = (header.zxid.0, header.time.0);
        let longs = [zxid, zxid, zxid, time, time, owner];
        let data = data.map(<[u8]>::to_vec);
        let bytes = data.as_ref().map_or(0, Vec::len) as i64;
        self.data_bytes += utf16(path) + bytes;
        self.znodes.insert(path.into(), Znode { data, acl: acl.clone(), longs, ints: [0; 3] });
        if let Some(subject) = above.strip_prefix("/zookeeper/quota").filter(|s| !s.is_empty()) {
            if name == "zookeeper_limits" {
                self.limited.insert(subject.into());
            }
            if name == "zookeeper_stats" {
                let mut paths = self.below(subject);
                paths.extend(self.znodes.contains_key(subject).then(|| subject.to_owned()));
                let bytes = |path: &String| self.znodes[path].data.as_ref().map_or(0, Vec::len);
                let bytes: usize = paths.iter().map(bytes).sum();
                let text = format!("count={},bytes={bytes}", paths.len());
                self.znodes.get_mut(path).expect("just made").data = Some(text.into_bytes());
            }
        }
        self.charge(path, bytes, 1);
        heard.push((ChangeKind::Created, path.into(), acl));
        heard.push((ChangeKind::ChildrenChanged, above.into(), parent_acl));
        ErrorCode::Ok
    }

    fn delete(&mut self, header: &TxnHeader, path: &str, heard: &mut Heard) -> ErrorCode {
        let Some((above, name)) = path::split(path) else { return ErrorCode::NoNode };
        let Some(parent) = self.znodes.get_mut(above) else { return ErrorCode::NoNode };
        parent.longs[2] = parent.longs[2].max(header.zxid.0);
        let parent_acl = parent.acl.clone();
        let Some(gone) = self.znodes.remove(path) else { return ErrorCode::NoNode };
        self.data_bytes -= utf16(path) + gone.data.as_ref().map_or(0, Vec::len) as i64;
        for path in self.below(path) {
            let gone = self.znodes.remove(&path).expect("it was just listed");
            self.data_bytes -= utf16(&path) + gone.data.map_or(0, |data| data.len()) as i64;
            let subject = path.strip_suffix("/zookeeper_limits");
            subject
                .and_then(|s| s.strip_prefix("/zookeeper/quota"))
                .map(|s| self.limited.remove(s));
        }
        if name == "zookeeper_limits" {
            above.strip_prefix("/zookeeper/quota").map(|subject| self.limited.remove(subject));
        }
        self.charge(path, -(gone.data.as_ref().map_or(0, Vec::len) as i64), -1);
        heard.push((ChangeKind::Deleted, path.into(), gone.acl));
        heard.push((ChangeKind::ChildrenChanged, above.into(), parent_acl));
        ErrorCode::Ok
    }

    fn charge(&mut self, path: &str, bytes: i64, count: i64) {
        let mut chain = std::iter::once(path).chain(path::ancestors(path));
        let Some(prefix) = chain.find(|above| self.limited.contains(*above)) else { return };
        let stats = format!("/zookeeper/quota{prefix}/zookeeper_stats");
        let Some(znode) = self.znodes.get_mut(&stats) else { return };
        if let Some(used) = Track::parse(znode.data.as_deref()) {
            let text = format!("count={},bytes={}", used.count + count, used.bytes + bytes);
            znode.data = Some(text.into_bytes());
        }
    }
}
