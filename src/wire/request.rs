//! What clients ask for: the bodies of requests (client-protocol section 4.1).
//!
//! A path is `Option` where null has an answer of its own, and `Text` where null is undecodable.

pub use super::op::{Class, Request};

use super::jute::{Seq, Text};
use super::records::records;
use super::stat::AclList;
use crate::types::{Xid, Zxid};

/// A list of paths; a null among them is undecodable.
pub type Paths<'a> = Seq<'a, Text<'a>>;

records! {
    /// Before the body of every request but the first.
    #[derive(Copy)]
    RequestHeader {
        /// The client's number for it.
        xid: Xid,
        /// The opcode.
        op: i32,
    }

    /// The body of operations that have none.
    #[derive(Copy)]
    Empty {}

    /// create, create2, createContainer.
    CreateRequest<'a> {
        /// Completed by a number if sequential.
        path: Option<Text<'a>>,
        /// Null is kept apart from empty.
        data: Option<&'a [u8]>,
        /// Who may do what with it.
        acl: AclList<'a>,
        /// One of [`flags`].
        flags: i32,
    }

    /// createTTL.
    CreateTtlRequest<'a> {
        /// Completed by a number if sequential.
        path: Option<Text<'a>>,
        /// Null is kept apart from empty.
        data: Option<&'a [u8]>,
        /// Who may do what with it.
        acl: AclList<'a>,
        /// One of [`flags`].
        flags: i32,
        /// Milliseconds without a write and without children, after which it may go.
        ttl: i64,
    }

    /// delete.
    DeleteRequest<'a> {
        /// Which znode.
        path: Option<Text<'a>>,
        /// -1 for any.
        version: i32,
    }

    /// check, only inside a multi.
    CheckVersionRequest<'a> {
        /// Which znode.
        path: Option<Text<'a>>,
        /// -1 for any.
        version: i32,
    }

    /// exists, getData, getChildren, getChildren2.
    ReadRequest<'a> {
        /// Which znode.
        path: Text<'a>,
        /// Whether to hear of the next change.
        watch: bool,
    }

    /// setData.
    SetDataRequest<'a> {
        /// Which znode.
        path: Option<Text<'a>>,
        /// Null is kept apart from empty.
        data: Option<&'a [u8]>,
        /// -1 for any.
        version: i32,
    }

    /// getACL, getAllChildrenNumber.
    PathRequest<'a> {
        /// Which znode.
        path: Text<'a>,
    }

    /// setACL.
    SetAclRequest<'a> {
        /// Which znode.
        path: Option<Text<'a>>,
        /// Who may do what with it.
        acl: AclList<'a>,
        /// Compared with the version of the ACL; -1 for any.
        version: i32,
    }

    /// sync.
    SyncRequest<'a> {
        /// Echoed, even null; never looked up.
        path: Option<Text<'a>>,
    }

    /// reconfig.
    ReconfigRequest<'a> {
        /// Member lines, separated by commas.
        joining: Option<Text<'a>>,
        /// Server ids, separated by commas.
        leaving: Option<Text<'a>>,
        /// A whole new configuration in place of the two above.
        new_members: Option<Text<'a>>,
        /// The version that the configuration must have; -1 for any.
        config_id: i64,
    }

    /// checkWatches, removeWatches.
    CheckWatchesRequest<'a> {
        /// Where; null is where no watch is.
        path: Option<Text<'a>>,
        /// 1 children, 2 data, 3 any, 4 persistent, 5 persistent and recursive.
        kind: i32,
    }

    /// deleteContainer: the leader's own.
    DeleteContainerRequest<'a> {
        /// UTF-8, in a buffer.
        path: Option<&'a [u8]>,
    }

    /// auth.
    AuthRequest<'a> {
        /// Ignored.
        kind: i32,
        /// Who shall judge `auth`.
        scheme: Option<Text<'a>>,
        /// The credentials.
        auth: Option<&'a [u8]>,
    }

    /// sasl.
    SaslRequest<'a> {
        /// The mechanism's.
        token: Option<&'a [u8]>,
    }

    /// setWatches: what a client waits for that comes back.
    SetWatchesRequest<'a> {
        /// What the client has seen.
        relative_zxid: Zxid,
        /// Of getData, and of exists on a znode that was there.
        data: Paths<'a>,
        /// Of exists on a znode that was missing.
        exist: Paths<'a>,
        /// Of getChildren.
        child: Paths<'a>,
    }

    /// setWatches2.
    SetWatches2Request<'a> {
        /// What the client has seen.
        relative_zxid: Zxid,
        /// Of getData, and of exists on a znode that was there.
        data: Paths<'a>,
        /// Of exists on a znode that was missing.
        exist: Paths<'a>,
        /// Of getChildren.
        child: Paths<'a>,
        /// Of addWatch with mode 0.
        persistent: Paths<'a>,
        /// Of addWatch with mode 1.
        persistent_recursive: Paths<'a>,
    }

    /// getEphemerals.
    GetEphemeralsRequest<'a> {
        /// A string's beginning, not a path; null, blank and "/" mean all.
        prefix: Option<Text<'a>>,
    }

    /// addWatch.
    AddWatchRequest<'a> {
        /// Where; neither validated nor looked up. Null is accepted, and nothing happens there.
        path: Option<Text<'a>>,
        /// 0 persistent, 1 persistent and recursive.
        mode: i32,
    }

    /// createSession: the server's own.
    #[derive(Copy)]
    CreateSessionRequest {
        /// Negotiated, in milliseconds.
        timeout_ms: i32,
    }
}

/// The `flags` of a create (`CreateMode.java`).
pub mod flags {
    /// Stays until it is deleted.
    pub const PERSISTENT: i32 = 0;
    /// Goes with its session.
    pub const EPHEMERAL: i32 = 1;
    /// The name is completed by the parent's counter.
    pub const PERSISTENT_SEQUENTIAL: i32 = 2;
    /// Both.
    pub const EPHEMERAL_SEQUENTIAL: i32 = 3;
    /// May go when its last child went.
    pub const CONTAINER: i32 = 4;
    /// May go after some time without writes and children.
    pub const PERSISTENT_TTL: i32 = 5;
    /// The same, with a completed name.
    pub const PERSISTENT_SEQUENTIAL_TTL: i32 = 6;
}
