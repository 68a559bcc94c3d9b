//! create, create2, createContainer, createTTL (client-protocol sections 4.3, 5.2 and 5.3).

use std::fmt::Write;

use super::pending::{After, NewData, Scratch, Znode, length};
use super::{Step, check_path};
use crate::session::auth;
use crate::tree::quota::{self, Verdict};
use crate::tree::{CONTAINER_OWNER, OwnerKind, Persisted, ttl_owner};
use crate::types::path;
use crate::wire::op::code;
use crate::wire::request::{CreateRequest, CreateTtlRequest, flags};
use crate::wire::stat::AclList;
use crate::wire::txn::{CreateContainerTxn, CreateTtlTxn, CreateTxn};
use crate::wire::{ErrorCode, Record, Text, Writer};

/// A TTL's longest, in milliseconds: 40 bits of the owner.
const TTL_MS_MAX: i64 = 0xff_ffff_ffff;

/// Limits for nothing: creating them ends every Apache server that applies it.
const LIMITS_OF_NOTHING: &str = "/zookeeper/quota/zookeeper_limits";

/// A create of any kind, as it was asked for.
pub(super) struct Wish<'a> {
    op: i32,
    path: Option<&'a str>,
    data: Option<&'a [u8]>,
    acl: AclList<'a>,
    flags: i32,
    ttl: i64,
}

impl<'a> Wish<'a> {
    pub(super) fn new(op: i32, body: &'a CreateRequest<'_>) -> Self {
        let path = body.path.as_deref();
        Self { op, path, data: body.data, acl: body.acl, flags: body.flags, ttl: -1 }
    }

    pub(super) fn with_ttl(body: &'a CreateTtlRequest<'_>) -> Self {
        let path = body.path.as_deref();
        let (op, ttl) = (code::CreateTtl, body.ttl);
        Self { op, path, data: body.data, acl: body.acl, flags: body.flags, ttl }
    }

    fn is_sequential(&self) -> bool {
        matches!(
            self.flags,
            flags::PERSISTENT_SEQUENTIAL
                | flags::EPHEMERAL_SEQUENTIAL
                | flags::PERSISTENT_SEQUENTIAL_TTL
        )
    }

    /// The opcode makes a znode a container or gives it a TTL, the flags make it ephemeral.
    fn is_ephemeral(&self) -> bool {
        matches!(self.op, code::Create | code::Create2)
            && matches!(self.flags, flags::EPHEMERAL | flags::EPHEMERAL_SEQUENTIAL)
    }

    /// What can be said without looking at any znode.
    fn check_mode(&self, ttls_exist: bool) -> Result<(), ErrorCode> {
        match self.flags {
            flags::PERSISTENT_TTL | flags::PERSISTENT_SEQUENTIAL_TTL => {
                if !ttls_exist {
                    return Err(ErrorCode::Unimplemented);
                }
                if !(1..=TTL_MS_MAX).contains(&self.ttl) {
                    return Err(ErrorCode::BadArguments);
                }
                Ok(())
            }
            // createTTL without a TTL passes Apache's checks when the TTL is -1, and then ends
            // every server that applies it.
            flags::PERSISTENT..=flags::CONTAINER if self.ttl < 0 && self.op != code::CreateTtl => {
                Ok(())
            }
            _ => Err(ErrorCode::BadArguments),
        }
    }
}

impl Step<'_> {
    pub(super) fn create(&mut self, wish: &Wish<'_>) -> Result<(), ErrorCode> {
        let mut scratch = std::mem::take(&mut self.pending.scratch);
        let result = self.create_with(wish, &mut scratch);
        self.pending.scratch = scratch;
        result
    }

    fn create_with(&mut self, wish: &Wish<'_>, scratch: &mut Scratch) -> Result<(), ErrorCode> {
        let Scratch { acl, path: full } = scratch;
        wish.check_mode(self.view.config.owners.extended_types)?;
        let asked = wish.path.ok_or(ErrorCode::MarshallingError)?;
        let parent_path = match path::split(asked) {
            Some((parent, _)) if !asked.contains('\0') => parent,
            _ => return Err(ErrorCode::BadArguments),
        };
        acl.clear();
        auth::fix_acl(&self.view.config.auth, wish.acl, self.submission.identities, acl)?;
        let parent = self.find(parent_path)?;
        self.check_acl(&parent, auth::CREATE)?;
        let path = if wish.is_sequential() {
            full.clear();
            write!(full, "{asked}{:010}", parent.stat.cversion).expect("a string takes it");
            full.as_str()
        } else {
            asked
        };
        check_path(Some(path))?;
        if self.find(path).is_ok() {
            return Err(ErrorCode::NodeExists);
        }
        let parent_kind = self.view.config.owners.kind(parent.stat.ephemeral_owner);
        if matches!(parent_kind, OwnerKind::Session(_)) {
            return Err(ErrorCode::NoChildrenForEphemerals);
        }
        if path == LIMITS_OF_NOTHING {
            return Err(ErrorCode::BadArguments);
        }
        self.check_quota(path, length(wish.data), 1)?;

        let counted = parent.stat.cversion.wrapping_add(1);
        self.append_create(wish, path, acl, counted);
        self.add_child(parent_path, &parent, counted);
        let (zxid, time) = (self.zxid, self.wall.0);
        let stat = Persisted {
            czxid: zxid,
            mzxid: zxid,
            pzxid: zxid,
            ctime: time,
            mtime: time,
            ephemeral_owner: self.owner(wish),
            ..Persisted::default()
        };
        self.pending.create(&self.view, path, (stat, wish.data, acl));
        Ok(())
    }

    fn append_create(&mut self, wish: &Wish<'_>, path: &str, acl: &[u8], parent_cversion: i32) {
        let mut out = Writer::new(self.out);
        let (path, data) = (Text::Borrowed(path), wish.data);
        let acl = AclList::from_bytes(acl).expect("fixing a list encodes a list");
        match wish.op {
            code::CreateContainer => {
                CreateContainerTxn { path, data, acl, parent_cversion }.encode(&mut out);
            }
            code::CreateTtl => {
                let ttl = wish.ttl;
                CreateTtlTxn { path, data, acl, parent_cversion, ttl }.encode(&mut out);
            }
            _ => {
                let ephemeral = wish.is_ephemeral();
                CreateTxn { path, data, acl, ephemeral, parent_cversion }.encode(&mut out);
            }
        }
    }

    fn owner(&self, wish: &Wish<'_>) -> i64 {
        match wish.op {
            code::CreateContainer => CONTAINER_OWNER,
            code::CreateTtl => ttl_owner(wish.ttl),
            _ if wish.is_ephemeral() => self.submission.session.0,
            _ => 0,
        }
    }

    /// The counter sticks at its end: the tree takes only what is larger.
    fn add_child(&mut self, path: &str, parent: &Znode, counted: i32) {
        let mut stat = parent.stat;
        if counted > stat.cversion {
            (stat.cversion, stat.pzxid) = (counted, self.zxid);
        }
        let after = After { stat, children: parent.children + 1, data: NewData::Same, acl: None };
        self.pending.update(&self.view, path, parent, &after);
    }

    /// Compared with the committed usage, as by Apache's server: what is pending can overshoot.
    pub(super) fn check_quota(&self, path: &str, bytes: i64, count: i64) -> Result<(), ErrorCode> {
        if !self.view.config.enforce_quota {
            return Ok(());
        }
        let (subject, verdict) = self.view.tree.judge_quota(path, bytes, count);
        let (excess, result) = match verdict {
            Verdict::Within => return Ok(()),
            Verdict::Soft(excess) => (excess, Ok(())),
            Verdict::Hard(excess) => (excess, Err(ErrorCode::QuotaExceeded)),
        };
        let quota::Excess { is_bytes, would_be, limit } = excess;
        let what = if is_bytes { "bytes" } else { "count" };
        let kind = if result.is_err() { "hard" } else { "soft" };
        log::warn!(
            "Quota exceeded: {subject} [current {what}={would_be}, {kind} limit={limit}], \
             session {}, path {path}",
            self.submission.session
        );
        result
    }
}
