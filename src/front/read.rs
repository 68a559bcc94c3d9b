//! Operations that this core answers by itself: one function each, tree and watches to reply.
//!
//! The order of the checks is that of client-protocol section 4.4.

use std::sync::Arc;

use crate::front::reply::{self, Frame};
use crate::session::auth;
use crate::tree::{AclId, ChangeKind, NodeId, Tree};
use crate::types::{ConnId, SessionId, Xid};
use crate::watch::{Mode, WatcherType, Watches};
use crate::wire::ErrorCode;
use crate::wire::jute::Seq;
use crate::wire::op::code;
use crate::wire::request::{
    AddWatchRequest, CheckWatchesRequest, GetEphemeralsRequest, PathRequest, ReadRequest, Request,
    SetWatches2Request, SetWatchesRequest,
};
use crate::wire::submission::Identity;

/// What a local operation may look at and change: nothing else of the front.
pub(super) struct Read<'a> {
    pub tree: &'a Tree,
    pub watches: &'a mut Watches,
    pub auth: &'a auth::Config,
    pub identities: &'a Arc<[Identity]>,
    pub conn: ConnId,
    pub session: SessionId,
}

impl Read<'_> {
    /// Appends the reply, and events that a re-registration has found before it. Returns how many
    /// frames that were.
    pub fn serve(&mut self, xid: Xid, request: &Request<'_>, out: &mut Vec<u8>) -> u64 {
        let zxid = self.tree.last_zxid().0;
        let caught_up = match request {
            Request::SetWatches(request) => self.catch_up(&with_persistent(request), out),
            Request::SetWatches2(request) => self.catch_up(request, out),
            _ => Ok(0),
        };
        let events = match caught_up {
            Ok(events) => events,
            Err(error) => {
                reply::header(out, xid, zxid, error);
                return 1;
            }
        };
        let mut frame = Frame::start(out, xid, zxid);
        match self.answer(request, &mut frame) {
            Ok(()) => frame.finish(),
            Err(error) => frame.fail(error),
        }
        events + 1
    }

    /// Appends the reply's body.
    fn answer(&mut self, request: &Request<'_>, frame: &mut Frame<'_>) -> Result<(), ErrorCode> {
        match request {
            Request::GetData(request) => self.get_data(request, frame),
            Request::Exists(request) => self.exists(request, frame),
            Request::GetChildren(request) => self.get_children(request, false, frame),
            Request::GetChildren2(request) => self.get_children(request, true, frame),
            Request::GetAcl(request) => self.get_acl(request, frame),
            Request::GetAllChildrenNumber(request) => self.get_all_children_number(request, frame),
            Request::GetEphemerals(request) => self.get_ephemerals(request, frame),
            Request::AddWatch(request) => self.add_watch(request, frame),
            Request::CheckWatches(request) => self.check_watches(request, false),
            Request::RemoveWatches(request) => self.check_watches(request, true),
            Request::MultiRead(request) => self.multi_read(request.iter(), frame),
            Request::WhoAmI(_) => self.who_am_i(frame),
            Request::Ping(_) | Request::SetWatches(_) | Request::SetWatches2(_) => Ok(()),
            other => unreachable!("{other:?} is not answered by a front alone"),
        }
    }

    fn exists(
        &mut self,
        request: &ReadRequest<'_>,
        frame: &mut Frame<'_>,
    ) -> Result<(), ErrorCode> {
        let path = path_of(&request.path);
        if path.contains('\0') {
            return Err(ErrorCode::BadArguments);
        }
        let node = self.tree.find(path);
        if let Some(node) = node {
            self.check_acl(node, auth::READ)?;
        }
        // Registered even where there is nothing: that is how one waits for a znode.
        if request.watch {
            self.watches.add(self.conn, path, Mode::Data);
        }
        frame.stat(&self.tree.stat(node.ok_or(ErrorCode::NoNode)?));
        Ok(())
    }

    fn get_data(
        &mut self,
        request: &ReadRequest<'_>,
        frame: &mut Frame<'_>,
    ) -> Result<(), ErrorCode> {
        let path = path_of(&request.path);
        let node = self.readable(path)?;
        if request.watch {
            self.watches.add(self.conn, path, Mode::Data);
        }
        frame.buffer(self.tree.data(node));
        frame.stat(&self.tree.stat(node));
        Ok(())
    }

    fn get_children(
        &mut self,
        request: &ReadRequest<'_>,
        with_stat: bool,
        frame: &mut Frame<'_>,
    ) -> Result<(), ErrorCode> {
        let path = path_of(&request.path);
        let node = self.readable(path)?;
        if request.watch {
            self.watches.add(self.conn, path, Mode::Child);
        }
        let stat = self.tree.stat(node);
        frame.count(stat.num_children);
        let tree = self.tree;
        tree.children(node).for_each(|child| frame.string(tree.name(child)));
        if with_stat {
            frame.stat(&stat);
        }
        Ok(())
    }

    fn get_acl(
        &mut self,
        request: &PathRequest<'_>,
        frame: &mut Frame<'_>,
    ) -> Result<(), ErrorCode> {
        let path = path_of(&request.path);
        let node = self.tree.find(path).ok_or(ErrorCode::NoNode)?;
        self.check_acl(node, auth::READ | auth::ADMIN)?;
        let masked = self.check_acl(node, auth::ADMIN).is_err();
        let entries = self.tree.acls().entries(self.tree.acl(node));
        frame.count(i32::try_from(entries.len()).expect("ACL lists fit a frame"));
        for entry in entries {
            frame.int(entry.perms);
            frame.string(entry.scheme());
            frame.string(if masked { auth::masked(&entry) } else { entry.id().into() }.as_ref());
        }
        frame.stat(&self.tree.stat(node));
        Ok(())
    }

    fn get_all_children_number(
        &mut self,
        request: &PathRequest<'_>,
        frame: &mut Frame<'_>,
    ) -> Result<(), ErrorCode> {
        let node = self.readable(path_of(&request.path))?;
        frame.int(i32::try_from(self.tree.descendants(node)).unwrap_or(i32::MAX));
        Ok(())
    }

    fn get_ephemerals(
        &mut self,
        request: &GetEphemeralsRequest<'_>,
        frame: &mut Frame<'_>,
    ) -> Result<(), ErrorCode> {
        let prefix = request.prefix.as_deref().unwrap_or("");
        let all = prefix.trim().is_empty() || prefix == "/";
        let mut count = 0;
        let at = frame.count(0);
        let mut path = String::new();
        for node in self.tree.ephemerals(self.session) {
            self.tree.path(node, &mut path);
            if all || path.starts_with(prefix) {
                count += 1;
                frame.string(&path);
            }
        }
        frame.set_count(at, count);
        Ok(())
    }

    fn add_watch(
        &mut self,
        request: &AddWatchRequest<'_>,
        frame: &mut Frame<'_>,
    ) -> Result<(), ErrorCode> {
        let mode = match request.mode {
            0 => Mode::Persistent,
            1 => Mode::Recursive,
            _ => return Err(ErrorCode::MarshallingError),
        };
        if let Some(path) = &request.path {
            self.watches.add(self.conn, path_of(path), mode);
        }
        frame.int(0);
        Ok(())
    }

    fn check_watches(
        &mut self,
        request: &CheckWatchesRequest<'_>,
        remove: bool,
    ) -> Result<(), ErrorCode> {
        let kind = WatcherType::from_code(request.kind).ok_or(ErrorCode::MarshallingError)?;
        let path = path_of(request.path.as_deref().ok_or(ErrorCode::NoWatcher)?);
        let found = if remove {
            self.watches.remove(self.conn, path, kind)
        } else {
            self.watches.check(self.conn, path, kind)
        };
        if found { Ok(()) } else { Err(ErrorCode::NoWatcher) }
    }

    /// Each read stands alone: its error is its own result.
    fn multi_read<'a>(
        &mut self,
        reads: impl Iterator<Item = Request<'a>>,
        frame: &mut Frame<'_>,
    ) -> Result<(), ErrorCode> {
        for read in reads {
            let at = frame.multi_header(0);
            let (kind, result) = match read {
                Request::GetData(mut request) => {
                    request.watch = false;
                    (code::GetData, self.get_data(&request, frame))
                }
                Request::GetChildren(mut request) => {
                    request.watch = false;
                    (code::GetChildren, self.get_children(&request, false, frame))
                }
                other => unreachable!("{other:?} is not decoded in a multiRead"),
            };
            frame.set_multi_header(at, kind, result);
        }
        frame.multi_end();
        Ok(())
    }

    fn who_am_i(&self, frame: &mut Frame<'_>) -> Result<(), ErrorCode> {
        frame.count(i32::try_from(self.identities.len()).expect("identities are bounded"));
        for identity in self.identities.iter() {
            frame.string(&identity.scheme);
            frame.string(auth::user_name(identity));
        }
        Ok(())
    }

    /// Registers what a client had, and tells what it missed (client-protocol 7.5).
    fn catch_up(
        &mut self,
        request: &SetWatches2Request<'_>,
        out: &mut Vec<u8>,
    ) -> Result<u64, ErrorCode> {
        let since = request.relative_zxid;
        let lists = [
            &request.data,
            &request.exist,
            &request.child,
            &request.persistent,
            &request.persistent_recursive,
        ];
        if lists.iter().any(|list| list.is_null()) {
            return Err(ErrorCode::MarshallingError);
        }
        let mut events = 0;
        let mut tell = |kind, path: &str| {
            reply::event(out, -1, kind, path);
            events += 1;
        };
        let tree = self.tree;
        for path in request.data {
            match tree.find(&path).map(|node| tree.stat(node).mzxid > since) {
                None => tell(ChangeKind::Deleted, &path),
                Some(true) => tell(ChangeKind::DataChanged, &path),
                Some(false) => self.watches.add(self.conn, &path, Mode::Data),
            }
        }
        for path in request.exist {
            match tree.find(&path) {
                Some(_) => tell(ChangeKind::Created, &path),
                None => self.watches.add(self.conn, &path, Mode::Data),
            }
        }
        for path in request.child {
            match tree.find(&path).map(|node| tree.stat(node).pzxid > since) {
                None => tell(ChangeKind::Deleted, &path),
                Some(true) => tell(ChangeKind::ChildrenChanged, &path),
                Some(false) => self.watches.add(self.conn, &path, Mode::Child),
            }
        }
        for path in request.persistent {
            self.watches.add(self.conn, &path, Mode::Persistent);
        }
        for path in request.persistent_recursive {
            self.watches.add(self.conn, &path, Mode::Recursive);
        }
        Ok(events)
    }

    /// The znode at `path`, if it exists and may be read.
    fn readable(&self, path: &str) -> Result<NodeId, ErrorCode> {
        let node = self.tree.find(path).ok_or(ErrorCode::NoNode)?;
        self.check_acl(node, auth::READ)?;
        Ok(node)
    }

    fn check_acl(&self, node: NodeId, perms: i32) -> Result<(), ErrorCode> {
        if allows(self.auth, self.tree, self.tree.acl(node), perms, self.identities) {
            Ok(())
        } else {
            Err(ErrorCode::NoAuth)
        }
    }
}

/// The older re-registration as the newer one, which knows two kinds of watch more.
fn with_persistent<'a>(request: &SetWatchesRequest<'a>) -> SetWatches2Request<'a> {
    let SetWatchesRequest { relative_zxid, data, exist, child } = request.clone();
    SetWatches2Request {
        relative_zxid,
        data,
        exist,
        child,
        persistent: Seq::EMPTY,
        persistent_recursive: Seq::EMPTY,
    }
}

/// Whether somebody with these identities has one of the permissions in a list of the tree.
pub(super) fn allows(
    config: &auth::Config,
    tree: &Tree,
    acl: AclId,
    perms: i32,
    identities: &[Identity],
) -> bool {
    // The usual list is known by its number.
    acl == AclId::OPEN || auth::allows(config, tree.acls().entries(acl), perms, identities)
}

/// Reads do not validate paths; the empty path is an alias of the root (client-protocol 4.4).
fn path_of(path: &str) -> &str {
    if path.is_empty() { "/" } else { path }
}
