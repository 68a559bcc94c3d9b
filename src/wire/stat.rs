//! The records that requests, replies and transactions share.

use super::jute::{Seq, Text};
use super::records::records;
use crate::types::Zxid;

records! {
    /// What a reply tells about a znode besides its data: 68 bytes (client-protocol section 5.1).
    #[derive(Copy)]
    Stat {
        /// The transaction that created it.
        czxid: Zxid,
        /// The transaction that last wrote its data.
        mzxid: Zxid,
        /// Milliseconds since 1970, stamped by the leader. A learner never reads its own clock.
        ctime: i64,
        /// The same, of the last write of its data.
        mtime: i64,
        /// Counts the writes of its data.
        version: i32,
        /// Counts the creates and deletes of children.
        cversion: i32,
        /// Counts the writes of its ACL.
        aversion: i32,
        /// The owning session of an ephemeral, else 0: containers and TTL znodes show 0, too.
        ephemeral_owner: i64,
        /// Bytes; 0 for null.
        data_length: i32,
        /// Direct children.
        num_children: i32,
        /// The transaction that last created or deleted a child.
        pzxid: Zxid,
    }

    /// Who may do what: one entry of a list.
    Acl<'a> {
        /// A sum of [`perms`]; stored as sent, unknown bits included.
        perms: i32,
        /// How `id` is to be understood. Null only in what a client sent.
        scheme: Option<Text<'a>>,
        /// Who. Null only in what a client sent.
        id: Option<Text<'a>>,
    }
}

/// How long a [`Stat`] is, in bytes.
pub const STAT_BYTES: usize = 68;

/// The permissions of an ACL entry (`ZooDefs.Perms`).
pub mod perms {
    /// Data and children may be read.
    pub const READ: i32 = 1;
    /// Data may be written.
    pub const WRITE: i32 = 2;
    /// Children may be created.
    pub const CREATE: i32 = 4;
    /// Children may be deleted.
    pub const DELETE: i32 = 8;
    /// The ACL may be written.
    pub const ADMIN: i32 = 16;
    /// All of them.
    pub const ALL: i32 = 31;
}

impl<'a> Acl<'a> {
    /// One entry.
    pub const fn new(perms: i32, scheme: &'a str, id: &'a str) -> Self {
        Self { perms, scheme: Some(Text::Borrowed(scheme)), id: Some(Text::Borrowed(id)) }
    }

    /// Everybody may do anything: what a znode has whose list is null.
    pub const fn open() -> Self {
        Self::new(perms::ALL, "world", "anyone")
    }

    /// The scheme, "" for null.
    pub fn scheme(&self) -> &str {
        self.scheme.as_deref().unwrap_or_default()
    }

    /// The id, "" for null.
    pub fn id(&self) -> &str {
        self.id.as_deref().unwrap_or_default()
    }
}

/// The ACL of a znode or a request.
pub type AclList<'a> = Seq<'a, Acl<'a>>;
