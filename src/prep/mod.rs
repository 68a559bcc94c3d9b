//! From a request to a transaction: what the leader decides, once, for everybody.
//!
//! A request is judged against the tree as it *will* be when everything proposed before it is
//! committed: the committed tree with [`Pending`] laid over it. What comes out is the payload of
//! the log (quorum-and-disk section 5.2), the digest of the tree after it included. A request that
//! may not be done becomes a transaction, too: its error keeps its place in the order
//! (client-protocol section 3.5).
//!
//! # How it is driven
//!
//! [`prepare`] for each request in the order of their zxids, then [`Pending::retire`] for each
//! transaction after the tree has applied it. The caller has checked the request's session.
//!
//! # What it promises
//!
//! 1. Errors come in the order of client-protocol section 4.3: the first one that Apache's server
//!    would find. A refused request changes nothing, sequence counters included.
//! 2. Applying what it made never fails, and the tree's digest is then the predicted one.
//! 3. setData allocates nothing in steady state.
//!
//! # Where to read on
//!
//! `create.rs`, the longest list of checks; `pending.rs`, what lies over the tree.

mod create;
mod delete;
mod multi;
mod pending;
mod session;
mod set;
#[cfg(test)]
mod tests;

pub use pending::Pending;

use crate::session::auth;
use crate::tree::{AclId, OwnerRules, Tree};
use crate::types::{WallTime, Zxid};
use crate::wire::op::Request;
use crate::wire::submission::Submission;
use crate::wire::txn::{ErrorTxn, TxnHeader, encode_digest, kind};
use crate::wire::{ErrorCode, Reader, Record, Writer};
use pending::Znode;

/// Rules that an operator chooses. All servers of an ensemble choose alike.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "one for each key of the configuration")]
pub struct Config {
    /// Who may do what.
    pub auth: auth::Config,
    /// Which owners are TTLs, and so whether createTTL exists. The tree's own.
    pub owners: OwnerRules,
    /// `zookeeper.digest.enabled`: transactions tell the digest of the tree after them. The
    /// tree's own.
    pub digest: bool,
    /// `enforceQuota`: writes beyond a hard quota are refused. Off: quotas only count.
    pub enforce_quota: bool,
    /// `reconfigEnabled`.
    pub reconfig: bool,
    /// `zookeeper.closeSessionTxn.enabled`: closeSession lists what it deletes. Off only for peers
    /// older than 3.6.
    pub close_session_lists: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            auth: auth::Config::default(),
            owners: OwnerRules::default(),
            digest: true,
            enforce_quota: false,
            reconfig: false,
            close_session_lists: true,
        }
    }
}

/// What requests are judged by, besides what is pending.
#[derive(Clone, Copy)]
pub struct View<'v> {
    /// What is committed.
    pub tree: &'v Tree,
    /// The rules.
    pub config: &'v Config,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prepared {
    /// A transaction that does what was asked.
    Accepted,
    /// A transaction that does nothing and says why. For a multi: why the first part failed.
    Refused(ErrorCode),
}

/// One request on its way.
struct Step<'s> {
    view: View<'s>,
    pending: &'s mut Pending,
    submission: &'s Submission<'s>,
    zxid: Zxid,
    wall: WallTime,
    out: &'s mut Vec<u8>,
}

/// Appends the transaction of `submission` to `out`: header, record, digest.
///
/// `zxid` is above that of every call before. `wall` is the leader's clock; it becomes the ctime
/// and mtime of what changes.
pub fn prepare(
    view: &View<'_>,
    pending: &mut Pending,
    submission: &Submission<'_>,
    zxid: Zxid,
    wall: WallTime,
    out: &mut Vec<u8>,
) -> Prepared {
    pending.begin(view, zxid);
    let start = out.len();
    let header = TxnHeader { session: submission.session, cxid: submission.xid, zxid, time: wall };
    header.encode(submission.op, &mut Writer::new(out));
    let request = Request::decode_any(submission.op, &mut Reader::new(submission.body));
    let mut step = Step { view: *view, pending, submission, zxid, wall, out };
    let result = match &request {
        // A front answers those itself; whoever does not still gets an answer.
        Err(_) => Err(ErrorCode::MarshallingError),
        Ok(Request::Multi(multi)) => step.multi(multi),
        Ok(request) => step.single(request).map(|()| Prepared::Accepted),
    };
    let prepared = result.unwrap_or_else(|error| {
        step.out.truncate(start);
        header.encode(kind::Error, &mut Writer::new(step.out));
        ErrorTxn { err: error.code() }.encode(&mut Writer::new(step.out));
        Prepared::Refused(error)
    });
    if result.is_ok() && view.config.digest {
        encode_digest(step.pending.digest(), &mut Writer::new(step.out));
    }
    prepared
}

impl Step<'_> {
    /// Any request but a multi: checks it, changes what is pending, appends the record. An error
    /// leaves what is pending as it was, and may leave anything in `out`.
    fn single(&mut self, request: &Request<'_>) -> Result<(), ErrorCode> {
        match request {
            Request::Create(body) | Request::Create2(body) | Request::CreateContainer(body) => {
                self.create(&create::Wish::new(request.code(), body))
            }
            Request::CreateTtl(body) => self.create(&create::Wish::with_ttl(body)),
            Request::Delete(body) => self.delete(body),
            Request::DeleteContainer(body) => self.delete_container(body),
            Request::SetData(body) => self.set_data(body),
            Request::SetAcl(body) => self.set_acl(body),
            Request::Check(body) => self.check(body),
            Request::CreateSession(body) => {
                self.create_session(*body);
                Ok(())
            }
            Request::CloseSession(_) => {
                self.close_session();
                Ok(())
            }
            Request::Reconfig(_) => self.reconfig(),
            // Reads make no transactions, and a multi holds no multi.
            Request::Exists(_)
            | Request::GetData(_)
            | Request::GetAcl(_)
            | Request::GetChildren(_)
            | Request::Sync(_)
            | Request::Ping(_)
            | Request::GetChildren2(_)
            | Request::Multi(_)
            | Request::CheckWatches(_)
            | Request::RemoveWatches(_)
            | Request::MultiRead(_)
            | Request::Auth(_)
            | Request::SetWatches(_)
            | Request::Sasl(_)
            | Request::GetEphemerals(_)
            | Request::GetAllChildrenNumber(_)
            | Request::SetWatches2(_)
            | Request::AddWatch(_)
            | Request::WhoAmI(_) => Err(ErrorCode::Unimplemented),
        }
    }

    /// The znode at `path`, as it will be.
    fn find(&self, path: &str) -> Result<Znode, ErrorCode> {
        self.pending.find(&self.view, path).ok_or(ErrorCode::NoNode)
    }

    /// Whether the submitter has one of the permissions `wanted` on a znode.
    fn check_acl(&self, znode: &Znode, wanted: i32) -> Result<(), ErrorCode> {
        let entries = if let Some(entries) = self.pending.acl(znode) {
            entries
        } else {
            let id = self.view.tree.acl(znode.committed());
            if id == AclId::OPEN {
                return Ok(());
            }
            self.view.tree.acls().entries(id)
        };
        let Submission { identities, .. } = self.submission;
        if auth::allows(&self.view.config.auth, entries, wanted, identities) {
            Ok(())
        } else {
            Err(ErrorCode::NoAuth)
        }
    }

    /// Reconfiguration needs an ensemble; a quorum of one answers as Apache's standalone server.
    fn reconfig(&self) -> Result<(), ErrorCode> {
        if self.view.config.reconfig {
            Err(ErrorCode::Unimplemented)
        } else {
            Err(ErrorCode::ReconfigDisabled)
        }
    }
}

/// The version that a write leaves behind. -1 means any.
fn next_version(current: i32, expected: i32) -> Result<i32, ErrorCode> {
    if expected == -1 || expected == current {
        Ok(current.wrapping_add(1))
    } else {
        Err(ErrorCode::BadVersion)
    }
}

/// Client-protocol section 6.1; null and empty are invalid, too.
fn check_path(path: Option<&str>) -> Result<&str, ErrorCode> {
    let path = path.ok_or(ErrorCode::BadArguments)?;
    crate::types::path::check(path).map_err(|_| ErrorCode::BadArguments)?;
    Ok(path)
}
