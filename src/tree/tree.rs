//! The tree: one transaction in, what it changed out.

use super::acls::{AclId, Acls};
use super::arena::{BLOB_BYTES_MAX, Reader, Writer};
use super::change::{ChangeKind, Changes, OpResult};
use super::digest;
use super::ephemerals::Ephemerals;
use super::index::{HashKey, Index};
use super::quota::{self, Quotas, Track, Verdict};
use super::reapable::{ReapRules, Reapable};
use super::sessions::Sessions;
use super::znode::{
    CONTAINER_OWNER, NAME_LONG, NAME_PREFIX, Node, NodeId, OwnerKind, OwnerRules, Persisted,
    Znodes, ttl_owner,
};
use crate::types::{SessionId, WallTime, Zxid, path};
use crate::wire::committed::{BlobRef, Placed};
use crate::wire::stat::{Acl, AclList, perms};
use crate::wire::txn::{
    CloseSessionTxn, CreateTxn, MultiTxn, PARENT_CVERSION_UNKNOWN, SetDataTxn, Txn, TxnHeader,
};
use crate::wire::{ErrorCode, Stat};

/// What an operator may choose about a tree. All servers of an ensemble choose alike.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Which owners are TTLs.
    pub owners: OwnerRules,
    /// `zookeeper.digest.enabled`: keep the digest up to date.
    pub digest: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self { owners: OwnerRules::default(), digest: true }
    }
}

/// Names and data, as the owner writes them or a reader sees them.
pub(super) enum Blobs {
    Owner(Box<Writer>),
    Reader(Reader),
}

impl Blobs {
    fn blob(&self, blob: BlobRef) -> &[u8] {
        match self {
            Self::Owner(writer) => writer.blob(blob),
            Self::Reader(reader) => reader.blob(blob),
        }
    }

    fn bytes(&self, offset: u64, len: usize) -> &[u8] {
        match self {
            Self::Owner(writer) => writer.bytes(offset, len),
            Self::Reader(reader) => reader.bytes(offset, len),
        }
    }

    /// Where a name's slot begins, and its length.
    fn name_slot(&self, node: &Node) -> (u64, usize) {
        let (offset, len) = node.name_at();
        if len < NAME_LONG {
            return (offset, len);
        }
        let prefix = self.bytes(offset - NAME_PREFIX as u64, NAME_PREFIX);
        let len = u32::from_le_bytes(prefix.try_into().expect("four bytes"));
        (offset, super::cow::widen(len).min(BLOB_BYTES_MAX))
    }

    fn name(&self, node: &Node) -> &[u8] {
        match self.name_slot(node) {
            (_, 0) => &[],
            (offset, len) => self.bytes(offset, len),
        }
    }
}

/// Where a transaction's names and data go to, or come from.
enum Places<'p> {
    Fill(&'p mut Vec<Placed>),
    Take(std::slice::Iter<'p, Placed>),
}

/// One transaction on its way through the tree.
struct Step<'h, 'p, 'c> {
    header: &'h TxnHeader,
    places: Places<'p>,
    changes: &'c mut Changes,
}

/// A create of any kind.
struct Create<'a> {
    path: &'a str,
    data: Option<&'a [u8]>,
    acl: &'a AclList<'a>,
    parent_cversion: i32,
    owner: i64,
}

/// A tree of znodes: the replica's own, which lays names and data down, or a front's, which shares
/// them. Both go through the same transactions and are equal after each.
pub struct Tree {
    pub(super) config: Config,
    pub(super) key: HashKey,
    pub(super) blobs: Blobs,
    pub(super) znodes: Znodes,
    pub(super) paths: Index,
    pub(super) acls: Acls,
    pub(super) ephemerals: Ephemerals,
    pub(super) reapable: Reapable,
    pub(super) quotas: Quotas,
    pub(super) sessions: Sessions,
    /// Transactions applied by this tree and those it was made from: the pins' measure.
    pub(super) version: u64,
    pub(super) last_zxid: Zxid,
    pub(super) digest: i64,
    pub(super) data_bytes: i64,
    scratch: String,
}

/// Sub-tables of the index of paths: at 10 M znodes one grows in about 0.1 ms.
pub(super) const PATH_TABLES: usize = 1024;
/// Between two looks at what readers have let go.
const COLLECT_EVERY: u64 = 16;

impl Tree {
    /// A fresh tree of the four built-in znodes, and its writer.
    ///
    /// `key` is random and secret: clients choose paths, and must not be able to choose hashes.
    pub fn new(config: Config, key: HashKey) -> Self {
        let mut tree = Self::empty(config, key, Blobs::Owner(Box::new(Writer::new())));
        let read = [Acl::new(perms::READ, "world", "anyone")];
        for (path, acl) in [
            ("/zookeeper", AclList::NULL),
            (quota::QUOTA_ROOT, AclList::NULL),
            ("/zookeeper/config", AclList::from(&read[..])),
        ] {
            let (parent, name) = path::split(path).expect("it is absolute");
            let parent = tree.find(parent).expect("it was just made");
            let acl = tree.acls.hold(&acl);
            let id = tree.znodes.add(0, 0, acl);
            let name = tree.lay_name(name);
            let node = tree.znodes.get_mut(id);
            node.set_name(name);
            // Buffers of the built-in znodes are empty, not null.
            node.data = 0;
            tree.znodes.link(id, parent.0);
            tree.paths.insert(key.hash(path.as_bytes()), id);
            if path == "/zookeeper/config" {
                tree.znodes.side_mut(id).aversion = -1;
            }
        }
        tree.check();
        tree
    }

    /// Only the root.
    pub(super) fn empty(config: Config, key: HashKey, blobs: Blobs) -> Self {
        Self {
            config,
            key,
            blobs,
            znodes: Znodes::new(),
            paths: Index::new(PATH_TABLES),
            acls: Acls::new(key),
            ephemerals: Ephemerals::new(key),
            reapable: Reapable::new(),
            quotas: Quotas::default(),
            sessions: Sessions::new(key),
            version: 0,
            last_zxid: Zxid::ZERO,
            digest: digest::FRESH,
            // Apache's count: the lengths of "/", /zookeeper, …/quota and …/config.
            data_bytes: 44,
            scratch: String::new(),
        }
    }

    /// A further core's tree, equal to this one, sharing names and data, and structs until they
    /// change. Only the writer's tree makes them.
    pub fn reader(&mut self) -> Self {
        let Blobs::Owner(writer) = &mut self.blobs else {
            unreachable!("readers are made by the owner");
        };
        let mut acls = self.acls.clone();
        acls.purge();
        Self {
            config: self.config,
            key: self.key,
            blobs: Blobs::Reader(writer.reader(self.version)),
            znodes: self.znodes.clone(),
            paths: self.paths.clone(),
            acls,
            ephemerals: self.ephemerals.clone(),
            reapable: self.reapable.clone(),
            quotas: self.quotas.clone(),
            sessions: self.sessions.clone(),
            version: self.version,
            last_zxid: self.last_zxid,
            digest: self.digest,
            data_bytes: self.data_bytes,
            scratch: String::new(),
        }
    }

    /// Applies a transaction to the owner's tree; appends to `placed` what its readers need.
    ///
    /// Never fails: what cannot be done (in a fuzzy replay: a znode that is there already, or is
    /// gone) is done as far as Apache's server does it, and said in `changes`. Returns what a reply
    /// says; for a multi the first failure of a part.
    pub fn apply(
        &mut self,
        header: &TxnHeader,
        txn: &Txn<'_>,
        placed: &mut Vec<Placed>,
        changes: &mut Changes,
    ) -> ErrorCode {
        assert!(matches!(self.blobs, Blobs::Owner(_)), "readers follow");
        let mut step = Step { header, places: Places::Fill(placed), changes };
        let outcome = self.run(txn, &mut step);
        if let Blobs::Owner(writer) = &mut self.blobs
            && self.version.is_multiple_of(COLLECT_EVERY)
        {
            writer.collect();
        }
        outcome
    }

    /// Applies a transaction to a reader's tree; `placed` is what the owner said for it.
    pub fn follow(
        &mut self,
        header: &TxnHeader,
        txn: &Txn<'_>,
        placed: &[Placed],
        changes: &mut Changes,
    ) -> ErrorCode {
        assert!(matches!(self.blobs, Blobs::Reader(_)), "the owner applies");
        let mut step = Step { header, places: Places::Take(placed.iter()), changes };
        let outcome = self.run(txn, &mut step);
        let Places::Take(mut rest) = step.places else { unreachable!("it was Take") };
        assert!(rest.next().is_none(), "a reader uses up what the owner placed");
        if let Blobs::Reader(reader) = &mut self.blobs {
            reader.pin.advance(self.version);
        }
        outcome
    }

    fn run(&mut self, txn: &Txn<'_>, step: &mut Step<'_, '_, '_>) -> ErrorCode {
        self.version += 1;
        self.acls.purge();
        step.changes.clear();
        let outcome = match txn {
            Txn::Multi(multi) => self.multi(multi, step),
            single => {
                let result = self.one(single, step);
                step.changes.result(result);
                result.err
            }
        };
        self.last_zxid = self.last_zxid.max(step.header.zxid);
        outcome
    }

    /// All parts, or none if one of them failed when it was prepared.
    fn multi(&mut self, multi: &MultiTxn<'_>, step: &mut Step<'_, '_, '_>) -> ErrorCode {
        let mut outcome = ErrorCode::Ok;
        let failure = multi.failure();
        for (number, part) in multi.iter().enumerate() {
            let result = match (failure, &part) {
                (None, part) => self.one(part, step),
                (Some(_), Txn::Error(error)) => OpResult::failed(code_of(error.err)),
                (Some((at, _)), _) if number < at => OpResult::done(None),
                (Some(_), _) => OpResult::failed(ErrorCode::RuntimeInconsistency),
            };
            if outcome == ErrorCode::Ok {
                outcome = result.err;
            }
            step.changes.result(result);
        }
        outcome
    }

    fn one(&mut self, txn: &Txn<'_>, step: &mut Step<'_, '_, '_>) -> OpResult {
        match txn {
            Txn::Create(create) | Txn::Create2(create) => {
                let CreateTxn { path, data, acl, ephemeral, parent_cversion } = create;
                let owner = if *ephemeral { step.header.session.0 } else { 0 };
                let parent_cversion = *parent_cversion;
                let create = Create { path, data: *data, acl, parent_cversion, owner };
                self.create(&create, step)
            }
            Txn::CreateContainer(create) => {
                let create = Create {
                    path: &create.path,
                    data: create.data,
                    acl: &create.acl,
                    parent_cversion: create.parent_cversion,
                    owner: CONTAINER_OWNER,
                };
                self.create(&create, step)
            }
            Txn::CreateTtl(create) => {
                let owner = ttl_owner(create.ttl);
                let create = Create {
                    path: &create.path,
                    data: create.data,
                    acl: &create.acl,
                    parent_cversion: create.parent_cversion,
                    owner,
                };
                self.create(&create, step)
            }
            Txn::Delete(delete) | Txn::DeleteContainer(delete) => self.delete(&delete.path, step),
            Txn::SetData(set) | Txn::Reconfig(set) => self.set_data(set, step),
            Txn::SetAcl(set) => self.set_acl(&set.path, &set.acl, set.version),
            Txn::CreateSession(create) => {
                self.sessions.open(step.header.session, create.timeout_ms);
                OpResult::done(None)
            }
            Txn::CloseSession(close) => self.close_session(close, step),
            Txn::Error(error) => OpResult::failed(code_of(error.err)),
            // A check changes nothing; a multi inside a multi cannot be decoded.
            Txn::Check(_) | Txn::Multi(_) => OpResult::done(None),
        }
    }

    fn create(&mut self, create: &Create<'_>, step: &mut Step<'_, '_, '_>) -> OpResult {
        let (zxid, time) = (step.header.zxid.0, step.header.time.0);
        let Some((parent_path, name)) = path::split(create.path) else {
            return OpResult::failed(ErrorCode::NoNode);
        };
        let Some(parent) = self.find(parent_path).filter(|_| !name.is_empty()) else {
            return OpResult::failed(ErrorCode::NoNode);
        };
        let existing = self.find(create.path);
        self.digest_out(parent_path, parent);
        let side = self.znodes.side_mut(parent.0);
        let counted = if create.parent_cversion == PARENT_CVERSION_UNKNOWN {
            side.cversion.wrapping_add(1)
        } else {
            create.parent_cversion
        };
        if counted > side.cversion {
            (side.cversion, side.pzxid) = (counted, zxid);
        }
        let acl = self.acls.hold(create.acl);
        if let Some(existing) = existing {
            // A fuzzy snapshot held it already, perhaps with an ACL that the file could not name.
            self.digest_in(parent_path, parent);
            self.replace_acl(existing, acl);
            return OpResult::failed(ErrorCode::NodeExists);
        }

        let placed = self.place(Some(name), create.data, step);
        let id = self.znodes.add(zxid, time, acl);
        let node = self.znodes.get_mut(id);
        node.set_name(placed.name);
        node.data = placed.data.0;
        self.znodes.link(id, parent.0);
        self.paths.insert(self.key.hash(create.path.as_bytes()), id);
        if create.owner != 0 {
            self.znodes.side_mut(id).owner = create.owner;
            match self.config.owners.kind(create.owner) {
                OwnerKind::Persistent => {}
                OwnerKind::Session(session) => {
                    self.ephemerals.add(id, session, &mut self.znodes);
                }
                OwnerKind::Container | OwnerKind::Ttl(_) => {
                    self.reapable.add(id, &mut self.znodes);
                }
            }
        }
        self.digest_in(parent_path, parent);
        self.digest_in(create.path, NodeId(id));
        let bytes = length(create.data);
        self.data_bytes += utf16_len(create.path) + bytes;
        let stat = self.stat(NodeId(id));

        if let Some(subject) = quota::subject(parent_path) {
            if name == quota::LIMITS {
                self.quotas.add(subject);
            } else if name == quota::STATS {
                self.recount(subject, NodeId(id), step);
            }
        }
        self.charge(create.path, (bytes, 1), step);
        let parent_acl = self.znodes.acl(parent.0);
        let (child, parent) = ((create.path, acl), (parent_path, parent_acl));
        step.changes.push_with_parent(ChangeKind::Created, child, parent);
        OpResult::done(Some(stat))
    }

    fn delete(&mut self, path: &str, step: &mut Step<'_, '_, '_>) -> OpResult {
        let Some((parent_path, name)) = path::split(path) else {
            return OpResult::failed(ErrorCode::NoNode);
        };
        let Some(parent) = self.find(parent_path) else {
            return OpResult::failed(ErrorCode::NoNode);
        };
        let id = self.find(path).filter(|id| *id != NodeId::ROOT);
        self.digest_out(parent_path, parent);
        // Even if the child is gone already: then the snapshot may hold the parent from before.
        let side = self.znodes.side_mut(parent.0);
        side.pzxid = side.pzxid.max(step.header.zxid.0);
        let Some(id) = id else {
            self.digest_in(parent_path, parent);
            return OpResult::failed(ErrorCode::NoNode);
        };
        // Only a fuzzy replay deletes what has children; they are created again later in the log.
        while self.znodes.get(id.0).first_child != 0 {
            self.remove_a_leaf_below(id);
        }
        let bytes = self.data(id).map_or(0, |data| length(Some(data)));
        let acl = self.znodes.acl(id.0);
        self.remove(id, path);
        self.digest_in(parent_path, parent);

        if name == quota::LIMITS
            && let Some(subject) = quota::subject(parent_path)
        {
            self.quotas.remove(subject);
        }
        self.charge(path, (-bytes, -1), step);
        let parent_acl = self.znodes.acl(parent.0);
        let (child, parent) = ((path, acl), (parent_path, parent_acl));
        step.changes.push_with_parent(ChangeKind::Deleted, child, parent);
        OpResult::done(None)
    }

    fn remove_a_leaf_below(&mut self, top: NodeId) {
        let mut id = self.znodes.get(top.0).first_child;
        while self.znodes.get(id).first_child != 0 {
            id = self.znodes.get(id).first_child;
        }
        let parent = NodeId(self.znodes.get(id).parent);
        let (mut path, mut parent_path) = (String::new(), String::new());
        self.path(NodeId(id), &mut path);
        self.path(parent, &mut parent_path);
        self.digest_out(&parent_path, parent);
        self.remove(NodeId(id), &path);
        self.digest_in(&parent_path, parent);
        if let Some(subject) = quota::subject(&parent_path)
            && path.ends_with(quota::LIMITS)
        {
            self.quotas.remove(subject);
        }
    }

    /// Takes a childless znode out of everything. Its parent's digest is the caller's.
    fn remove(&mut self, id: NodeId, path: &str) {
        assert!(self.znodes.get(id.0).first_child == 0, "only leaves are removed");
        self.digest_out(path, id);
        self.data_bytes -= utf16_len(path) + self.data(id).map_or(0, |data| length(Some(data)));
        match self.config.owners.kind(self.znodes.owner(id.0)) {
            OwnerKind::Persistent => {}
            OwnerKind::Session(session) => {
                self.ephemerals.remove(id.0, session, &mut self.znodes);
            }
            OwnerKind::Container | OwnerKind::Ttl(_) => {
                self.reapable.remove(id.0, &mut self.znodes);
            }
        }
        self.paths.remove(self.key.hash(path.as_bytes()), id.0);
        self.acls.release(self.znodes.acl(id.0));
        let node = *self.znodes.get(id.0);
        let (name_offset, name_len) = self.blobs.name_slot(&node);
        if let Blobs::Owner(writer) = &mut self.blobs {
            writer.free(node.data(), self.version);
            let prefix = if name_len < NAME_LONG { 0 } else { NAME_PREFIX };
            writer.free_bytes(name_offset - prefix as u64, name_len + prefix, self.version);
        }
        self.znodes.unlink(id.0);
        self.znodes.remove(id.0);
    }

    fn set_data(&mut self, set: &SetDataTxn<'_>, step: &mut Step<'_, '_, '_>) -> OpResult {
        let Some(id) = self.find(&set.path) else {
            return OpResult::failed(ErrorCode::NoNode);
        };
        let more = length(set.data) - self.data(id).map_or(0, |data| length(Some(data)));
        self.digest_out(&set.path, id);
        self.replace_data(id, set.data, step);
        let side = self.znodes.side_mut(id.0);
        (side.mtime, side.mzxid) = (step.header.time.0, step.header.zxid.0);
        side.version = set.version;
        self.digest_in(&set.path, id);
        self.data_bytes += more;
        let stat = self.stat(id);
        self.charge(&set.path, (more, 0), step);
        step.changes.push(ChangeKind::DataChanged, &set.path, self.znodes.acl(id.0));
        OpResult::done(Some(stat))
    }

    fn set_acl(&mut self, path: &str, acl: &AclList<'_>, version: i32) -> OpResult {
        let Some(id) = self.find(path) else {
            return OpResult::failed(ErrorCode::NoNode);
        };
        let acl = self.acls.hold(acl);
        self.digest_out(path, id);
        self.replace_acl(id, acl);
        self.znodes.side_mut(id.0).aversion = version;
        self.digest_in(path, id);
        OpResult::done(Some(self.stat(id)))
    }

    fn replace_acl(&mut self, id: NodeId, acl: AclId) {
        let old = self.znodes.acl(id.0);
        if old != acl {
            self.znodes.side_mut(id.0).acl = acl.0;
        }
        self.acls.release(old);
    }

    fn close_session(
        &mut self,
        close: &CloseSessionTxn<'_>,
        step: &mut Step<'_, '_, '_>,
    ) -> OpResult {
        for path in close.paths.iter().flatten() {
            // Missing ones were deleted since, or the log is replayed over a later snapshot.
            self.delete(&path, step);
        }
        let session = step.header.session;
        loop {
            let first = self.ephemerals.of(session, &self.znodes).next();
            let Some(id) = first else { break };
            let mut path = String::new();
            self.path(NodeId(id), &mut path);
            let result = self.delete(&path, step);
            assert!(result.err == ErrorCode::Ok, "an ephemeral of the index is in the tree");
        }
        self.sessions.close(session);
        OpResult::done(None)
    }

    /// Takes away the ephemerals whose session is not in the table of sessions, without a
    /// transaction, as a leader or a standalone server does when it has loaded its data.
    /// Returns how many.
    pub fn remove_orphans(&mut self, placed: &mut Vec<Placed>, changes: &mut Changes) -> usize {
        assert!(matches!(self.blobs, Blobs::Owner(_)), "readers are made afterwards");
        let owners = self.ephemerals.owners(&self.znodes);
        let orphans: Vec<SessionId> =
            owners.filter(|owner| self.sessions.timeout_ms(*owner).is_none()).collect();
        let before = self.ephemerals.len;
        for session in orphans {
            let header = TxnHeader { session, zxid: self.last_zxid, ..TxnHeader::default() };
            let close = Txn::CloseSession(CloseSessionTxn { paths: None });
            self.apply(&header, &close, placed, changes);
        }
        super::cow::widen(before - self.ephemerals.len)
    }

    /// Puts the usage of a subtree into its stats znode, counted anew. As long as the subtree is
    /// large: Apache's server does the same when such a znode is created.
    fn recount(&mut self, subject: &str, stats: NodeId, step: &mut Step<'_, '_, '_>) {
        let (mut bytes, mut count) = (0, 0);
        if let Some(top) = self.find(subject) {
            for id in std::iter::once(top).chain(self.walk(top)) {
                count += 1;
                bytes += self.data(id).map_or(0, |data| length(Some(data)));
            }
        }
        let mut text = std::mem::take(&mut self.scratch);
        quota::write_numbers(bytes, count, &mut text);
        self.replace_data(stats, Some(text.as_bytes()), step);
        self.scratch = text;
    }

    /// Books a change of znodes and bytes on the deepest quota that `path` is under. Silent: no
    /// version, zxid or watch hears of it.
    fn charge(&mut self, path: &str, more: (i64, i64), step: &mut Step<'_, '_, '_>) {
        let Some(prefix) = self.quotas.deepest(path) else { return };
        let mut text = std::mem::take(&mut self.scratch);
        let stats = self.quota_znode(prefix, quota::STATS, &mut text);
        if let Some(stats) = stats
            && quota::update(self.data(stats), more, &mut text)
        {
            self.replace_data(stats, Some(text.as_bytes()), step);
        }
        self.scratch = text;
    }

    fn quota_znode(&self, prefix: &str, name: &str, path: &mut String) -> Option<NodeId> {
        path.clear();
        for part in [quota::QUOTA_ROOT, prefix, "/", name] {
            path.push_str(part);
        }
        self.find(path)
    }

    fn replace_data(&mut self, id: NodeId, data: Option<&[u8]>, step: &mut Step<'_, '_, '_>) {
        let placed = self.place(None, data, step);
        let node = self.znodes.get_mut(id.0);
        let old = node.data();
        node.data = placed.data.0;
        if let Blobs::Owner(writer) = &mut self.blobs {
            writer.free(old, self.version);
        }
    }

    /// Lays a name and data down, or takes the next of what the owner laid down.
    fn place(
        &mut self,
        name: Option<&str>,
        data: Option<&[u8]>,
        step: &mut Step<'_, '_, '_>,
    ) -> Placed {
        match &mut step.places {
            Places::Fill(list) => {
                let name = name.map_or(BlobRef::NULL, |name| self.lay_name(name));
                let data = data.map_or(BlobRef::NULL, |data| self.writer().put(data));
                let placed = Placed { name, data };
                list.push(placed);
                placed
            }
            Places::Take(rest) => {
                let placed = *rest.next().expect("the owner placed as much as a reader takes");
                assert!(placed.name.is_null() == name.is_none(), "owner and reader place alike");
                assert!(placed.data.is_null() == data.is_none(), "owner and reader place alike");
                placed
            }
        }
    }

    fn writer(&mut self) -> &mut Writer {
        match &mut self.blobs {
            Blobs::Owner(writer) => writer,
            Blobs::Reader(_) => unreachable!("only the owner lays down"),
        }
    }

    fn lay_name(&mut self, name: &str) -> BlobRef {
        let len = u32::try_from(name.len()).expect("a name is in a frame");
        let prefix = len.to_le_bytes();
        let prefix = if name.len() < NAME_LONG { &[][..] } else { &prefix[..] };
        let offset = self.writer().put_prefixed(prefix, name.as_bytes());
        BlobRef::new(offset, len.into()).expect("a name is in a frame")
    }

    fn digest_out(&mut self, path: &str, id: NodeId) {
        if self.config.digest && digest::is_counted(path) {
            self.digest = digest::minus(self.digest, self.node_digest(path, id));
        }
    }

    fn digest_in(&mut self, path: &str, id: NodeId) {
        if self.config.digest && digest::is_counted(path) {
            self.digest = digest::plus(self.digest, self.node_digest(path, id));
        }
    }

    /// What must hold between two transactions. Cheap; the whole tree is walked by
    /// [`Tree::check_all`].
    pub fn check(&self) {
        assert!(super::cow::widen(self.znodes.len) == self.paths.len() + 1, "each path is indexed");
        assert!(self.ephemerals.len >= self.ephemerals.heads.len().try_into().unwrap_or(u32::MAX));
    }
}

/// Reading. Nothing here allocates, except where a `String` is filled.
impl Tree {
    /// The znode at `path`. The empty path is the root, as in Apache's server; other paths that
    /// are not valid are simply not there.
    pub fn find(&self, path: &str) -> Option<NodeId> {
        if path.len() <= 1 {
            return (path.is_empty() || path == "/").then_some(NodeId::ROOT);
        }
        let hash = self.key.hash(path.as_bytes());
        self.paths.find(hash, |id| self.is_at(id, path)).map(NodeId)
    }

    fn is_at(&self, mut id: u32, path: &str) -> bool {
        let mut rest = path.as_bytes();
        while id != NodeId::ROOT.0 {
            let node = self.znodes.get(id);
            let without = rest.strip_suffix(self.blobs.name(node));
            let Some(without) = without.and_then(|rest| rest.strip_suffix(b"/")) else {
                return false;
            };
            (rest, id) = (without, node.parent);
        }
        rest.is_empty()
    }

    /// What clients see of a znode besides its data.
    pub fn stat(&self, id: NodeId) -> Stat {
        let stat = self.znodes.persisted(id.0);
        let children = self.child_count(id);
        let owner = match self.config.owners.kind(stat.ephemeral_owner) {
            OwnerKind::Session(session) => session.0,
            OwnerKind::Persistent | OwnerKind::Container | OwnerKind::Ttl(_) => 0,
        };
        Stat {
            czxid: stat.czxid,
            mzxid: stat.mzxid,
            ctime: stat.ctime,
            mtime: stat.mtime,
            version: stat.version,
            cversion: stat.cversion.wrapping_mul(2).wrapping_sub(children),
            aversion: stat.aversion,
            ephemeral_owner: owner,
            data_length: i32::try_from(self.data(id).map_or(0, <[u8]>::len)).unwrap_or(i32::MAX),
            num_children: children,
            pzxid: stat.pzxid,
        }
    }

    /// What snapshots and the digest have of a znode: raw counters and owner.
    pub fn persisted(&self, id: NodeId) -> Persisted {
        self.znodes.persisted(id.0)
    }

    /// Children ever created; what the next sequential name ends with.
    pub fn raw_cversion(&self, id: NodeId) -> i32 {
        self.znodes.side(id.0).map_or(0, |side| side.cversion)
    }

    /// What the stored owner means.
    pub fn owner_kind(&self, id: NodeId) -> OwnerKind {
        self.config.owners.kind(self.znodes.owner(id.0))
    }

    /// Direct children.
    pub fn child_count(&self, id: NodeId) -> i32 {
        i32::try_from(self.znodes.children(id.0)).unwrap_or(i32::MAX)
    }

    /// Null is `None`.
    pub fn data(&self, id: NodeId) -> Option<&[u8]> {
        let data = self.znodes.get(id.0).data();
        (!data.is_null()).then(|| self.blobs.blob(data))
    }

    /// The znode's ACL list; see [`Tree::acls`].
    pub fn acl(&self, id: NodeId) -> AclId {
        self.znodes.acl(id.0)
    }

    /// The table of ACL lists.
    pub fn acls(&self) -> &Acls {
        &self.acls
    }

    /// The last component; empty for the root.
    pub fn name(&self, id: NodeId) -> &str {
        // Names come from texts; only a damaged map could say otherwise.
        std::str::from_utf8(self.blobs.name(self.znodes.get(id.0))).unwrap_or("\u{fffd}")
    }

    /// `None` for the root.
    pub fn parent(&self, id: NodeId) -> Option<NodeId> {
        (id != NodeId::ROOT).then(|| NodeId(self.znodes.get(id.0).parent))
    }

    /// Writes the znode's path into `path`.
    pub fn path(&self, id: NodeId, path: &mut String) {
        path.clear();
        if id == NodeId::ROOT {
            path.push('/');
            return;
        }
        let chain = || std::iter::successors(Some(id), |id| self.parent(*id));
        let len: usize = chain().map(|id| self.name(id).len() + 1).sum();
        // From the back to the front: the length is known, so nothing is moved.
        let mut bytes = std::mem::take(path).into_bytes();
        bytes.resize(len - 1, b'/');
        let mut end = bytes.len();
        for id in chain().take_while(|id| *id != NodeId::ROOT) {
            let name = self.name(id).as_bytes();
            bytes[end - name.len()..end].copy_from_slice(name);
            end -= name.len() + 1;
        }
        *path = String::from_utf8(bytes).expect("names are texts");
    }

    /// The children, the last created first.
    pub fn children(&self, id: NodeId) -> impl Iterator<Item = NodeId> {
        let first = self.znodes.get(id.0).first_child;
        let next = |id: &u32| Some(self.znodes.get(*id).next).filter(|next| *next != 0);
        std::iter::successors((first != 0).then_some(first), next).map(NodeId)
    }

    /// Everything below a znode, parents before their children. Lazy: take as many as the turn
    /// has time for, and go on with [`Tree::walk_from`].
    pub fn walk(&self, top: NodeId) -> impl Iterator<Item = NodeId> {
        self.walk_from(top, top)
    }

    /// What [`Tree::walk`] of `top` has behind `last`.
    pub fn walk_from(&self, top: NodeId, last: NodeId) -> impl Iterator<Item = NodeId> {
        let after = move |id: &u32| {
            let mut node = self.znodes.get(*id);
            if node.first_child != 0 {
                return Some(node.first_child);
            }
            let mut id = *id;
            while id != top.0 {
                if node.next != 0 {
                    return Some(node.next);
                }
                id = node.parent;
                node = self.znodes.get(id);
            }
            None
        };
        std::iter::successors(after(&last.0), after).map(NodeId)
    }

    /// Everything below a znode, counted (getAllChildrenNumber). For the root at once, else one
    /// step for each.
    pub fn descendants(&self, id: NodeId) -> usize {
        if id == NodeId::ROOT {
            return self.znode_count() - 1;
        }
        self.walk(id).count()
    }

    /// A session's ephemeral znodes, in the order of their creation.
    pub fn ephemerals(&self, session: SessionId) -> impl Iterator<Item = NodeId> {
        self.ephemerals.of(session, &self.znodes).map(NodeId)
    }

    /// Every session that has ephemerals, in no order.
    pub fn ephemeral_owners(&self) -> impl Iterator<Item = SessionId> {
        self.ephemerals.owners(&self.znodes)
    }

    /// Ephemeral znodes in all.
    pub fn ephemeral_count(&self) -> usize {
        super::cow::widen(self.ephemerals.len)
    }

    /// The timeout of a session that was opened and not closed.
    pub fn session_timeout_ms(&self, session: SessionId) -> Option<i32> {
        self.sessions.timeout_ms(session)
    }

    /// Every open session and its timeout in milliseconds, in no order.
    pub fn sessions(&self) -> impl Iterator<Item = (SessionId, i32)> {
        self.sessions.iter()
    }

    /// How many sessions are open.
    pub fn session_count(&self) -> usize {
        self.sessions.len()
    }

    /// Looks at up to `steps` containers and TTL znodes from the place `from` on (0 at first) and
    /// hands out those that may go. Returns where to go on, `None` at the end.
    pub fn reap_candidates(
        &self,
        from: u32,
        steps: u32,
        rules: ReapRules,
        mut found: impl FnMut(NodeId),
    ) -> Option<u32> {
        let rules = (rules, self.config.owners);
        self.reapable.candidates((from, steps), rules, &self.znodes, |id| found(NodeId(id)))
    }

    /// The quota that `path` is under: its subtree, limits, usage. `None` also where Apache's
    /// server only logs: no readable limits or stats.
    pub fn quota<'p>(&self, path: &'p str) -> Option<(&'p str, Track, Track)> {
        let prefix = self.quotas.deepest(path)?;
        let mut text = String::new();
        let limits = self.quota_znode(prefix, quota::LIMITS, &mut text)?;
        let stats = self.quota_znode(prefix, quota::STATS, &mut text)?;
        Some((prefix, Track::parse(self.data(limits))?, Track::parse(self.data(stats))?))
    }

    /// Judges a write at `path` that adds `bytes` and `count`: the quota's subtree and the verdict.
    pub fn judge_quota<'p>(&self, path: &'p str, bytes: i64, count: i64) -> (&'p str, Verdict) {
        self.quota(path).map_or(("", Verdict::Within), |(prefix, limits, used)| {
            (prefix, quota::judge(&limits, &used, (bytes, count)))
        })
    }

    /// The subtrees that have limits.
    pub fn quota_prefixes(&self) -> impl Iterator<Item = &str> {
        self.quotas.iter()
    }

    /// The secret of its hashes, for tables of paths beside it.
    pub fn hash_key(&self) -> HashKey {
        self.key
    }

    /// Apache's digest of the whole tree.
    pub fn digest(&self) -> i64 {
        self.digest
    }

    /// One znode's part in it; `path` must be the znode's.
    pub fn node_digest(&self, path: &str, id: NodeId) -> u32 {
        digest::of_znode(path, self.data(id), &self.znodes.persisted(id.0))
    }

    /// The last transaction applied.
    pub fn last_zxid(&self) -> Zxid {
        self.last_zxid
    }

    /// Sets the zxid that a tree starts from, where it came from elsewhere than transactions.
    pub fn set_last_zxid(&mut self, zxid: Zxid) {
        assert!(zxid >= self.last_zxid, "the zxid never moves backwards");
        self.last_zxid = zxid;
    }

    /// Znodes, the root included. (Apache's `znode_count` is one more: it holds the root twice.)
    pub fn znode_count(&self) -> usize {
        super::cow::widen(self.znodes.len)
    }

    /// Apache's `approximate_data_size`: characters of paths and bytes of data.
    pub fn data_bytes(&self) -> i64 {
        self.data_bytes
    }

    /// Bytes of names and data in use, and of the chunks that hold them; (0, 0) for a reader.
    pub fn arena_bytes(&self) -> (u64, u64) {
        match &self.blobs {
            Blobs::Owner(writer) => (writer.used(), writer.capacity()),
            Blobs::Reader(_) => (0, 0),
        }
    }

    /// The age of a znode's data, for whoever judges by it.
    pub fn age_ms(&self, id: NodeId, now: WallTime) -> i64 {
        now.0.saturating_sub(self.znodes.persisted(id.0).mtime)
    }

    /// Walks everything and compares what is kept with what is there; for tests and simulators.
    /// Panics if anything differs.
    pub fn check_all(&self) {
        self.check();
        let (mut count, mut sum, mut path) = (1, 0, String::from("/"));
        sum = digest::plus(sum, self.node_digest("/", NodeId::ROOT));
        for id in self.walk(NodeId::ROOT) {
            count += 1;
            self.path(id, &mut path);
            assert!(self.find(&path) == Some(id), "{path} is found");
            let node = self.znodes.get(id.0);
            assert!(node.next == 0 || { self.znodes.get(node.next).prev } == id.0, "{path}: links");
            assert!(self.children(id).count() == super::cow::widen(self.znodes.children(id.0)));
            if digest::is_counted(&path) {
                sum = digest::plus(sum, self.node_digest(&path, id));
            }
            if let OwnerKind::Session(session) = self.owner_kind(id) {
                assert!(self.ephemerals(session).any(|other| other == id), "{path}: ephemeral");
            }
        }
        assert!(count == self.znode_count(), "every znode hangs in the tree");
        assert!(!self.config.digest || sum == self.digest, "the digest is the sum of the znodes");
        let ephemerals: usize = self.ephemeral_owners().map(|s| self.ephemerals(s).count()).sum();
        assert!(ephemerals == self.ephemeral_count(), "ephemerals are counted");
    }
}

fn code_of(err: i32) -> ErrorCode {
    // A code that we do not know is still a failure.
    ErrorCode::from_code(err).unwrap_or(ErrorCode::SystemError)
}

fn length(data: Option<&[u8]>) -> i64 {
    i64::try_from(data.map_or(0, <[u8]>::len)).expect("a slice is shorter than 2^63")
}

/// What Java calls the length of a string.
fn utf16_len(text: &str) -> i64 {
    let units = if text.is_ascii() { text.len() } else { text.encode_utf16().count() };
    i64::try_from(units).expect("a string is shorter than 2^63")
}
