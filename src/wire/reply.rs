//! What servers answer: headers and bodies (client-protocol sections 3.1, 4.1 and 7.3).
//!
//! The replies of the hot path have encoders of their own that append a complete frame.

use super::frame;
use super::jute::{Record, Seq, Text, Writer};
use super::records::records;
use super::stat::{AclList, Stat};
use crate::types::{Xid, Zxid};

records! {
    /// Before every answer but the first; a body follows only if `err` is 0.
    #[derive(Copy)]
    ReplyHeader {
        /// The request's, [`Xid::PING`] or [`Xid::EVENT`].
        xid: Xid,
        /// The state that the answer shows.
        zxid: Zxid,
        /// An [`super::ErrorCode`].
        err: i32,
    }

    /// create.
    CreateReply<'a> {
        /// With the sequence number.
        path: Text<'a>,
    }

    /// create2, createContainer, createTTL.
    Create2Reply<'a> {
        /// With the sequence number.
        path: Text<'a>,
        /// As it is right after.
        stat: Stat,
    }

    /// exists, setData, setACL.
    #[derive(Copy)]
    StatReply {
        /// As it is right after.
        stat: Stat,
    }

    /// getData, reconfig.
    GetDataReply<'a> {
        /// Null is kept apart from empty.
        data: Option<&'a [u8]>,
        /// Of the same moment.
        stat: Stat,
    }

    /// getACL.
    GetAclReply<'a> {
        /// Digests masked unless the caller may write the list.
        acl: AclList<'a>,
        /// Of the same moment.
        stat: Stat,
    }

    /// getChildren.
    GetChildrenReply<'a> {
        /// Names, not paths, in no particular order.
        children: Seq<'a, Text<'a>>,
    }

    /// getChildren2.
    GetChildren2Reply<'a> {
        /// Names, not paths, in no particular order.
        children: Seq<'a, Text<'a>>,
        /// The parent's.
        stat: Stat,
    }

    /// sync.
    SyncReply<'a> {
        /// The request's, even null.
        path: Option<Text<'a>>,
    }

    /// getEphemerals.
    GetEphemeralsReply<'a> {
        /// Whole paths.
        paths: Seq<'a, Text<'a>>,
    }

    /// getAllChildrenNumber.
    #[derive(Copy)]
    GetAllChildrenNumberReply {
        /// Of all descendants.
        total: i32,
    }

    /// addWatch: an error code in the body, always 0. Also the body of a failed part of a multi.
    #[derive(Copy)]
    ErrorReply {
        /// An [`super::ErrorCode`].
        err: i32,
    }

    /// sasl.
    SaslReply<'a> {
        /// The mechanism's.
        token: Option<&'a [u8]>,
    }

    /// An identity, as whoAmI tells it.
    ClientInfo<'a> {
        /// The scheme.
        scheme: Text<'a>,
        /// Without secrets.
        user: Text<'a>,
    }

    /// whoAmI.
    WhoAmIReply<'a> {
        /// In no particular order.
        infos: Seq<'a, ClientInfo<'a>>,
    }

    /// A change of something watched; its header has [`Xid::EVENT`].
    WatcherEvent<'a> {
        /// One of [`event`].
        kind: i32,
        /// Of the connection: 3 (SyncConnected) is the only one that a server sends.
        state: i32,
        /// Whole.
        path: Text<'a>,
    }
}

/// The kinds of a [`WatcherEvent`] (`Watcher.Event.EventType`).
pub mod event {
    /// A znode was created.
    pub const CREATED: i32 = 1;
    /// A znode was deleted.
    pub const DELETED: i32 = 2;
    /// A znode's data was written.
    pub const DATA_CHANGED: i32 = 3;
    /// A child came or went.
    pub const CHILDREN_CHANGED: i32 = 4;
    /// The state that every event carries.
    pub const SYNC_CONNECTED: i32 = 3;
}

/// Appends a frame of a header alone.
#[inline]
pub fn header_only(out: &mut Vec<u8>, header: ReplyHeader) {
    with_body(out, header, |_| {});
}

/// Appends a frame of a header and whatever `body` writes.
#[inline]
pub fn with_body(out: &mut Vec<u8>, header: ReplyHeader, body: impl FnOnce(&mut Writer<'_>)) {
    let start = frame::begin(out);
    let mut writer = Writer::new(out);
    header.encode(&mut writer);
    body(&mut writer);
    frame::end(out, start);
}

/// Appends a frame with the Stat of exists, setData or setACL.
#[inline]
pub fn stat(out: &mut Vec<u8>, header: ReplyHeader, stat: &Stat) {
    out.reserve(88);
    with_body(out, header, |body| stat.encode(body));
}

/// Appends a frame with the data and Stat of getData.
#[inline]
pub fn data(out: &mut Vec<u8>, header: ReplyHeader, data: Option<&[u8]>, stat: &Stat) {
    out.reserve(92 + data.map_or(0, <[u8]>::len));
    with_body(out, header, |body| {
        body.buffer(data);
        stat.encode(body);
    });
}

/// Appends a frame with the path of create, and with the Stat of create2 if there is one.
#[inline]
pub fn created(out: &mut Vec<u8>, header: ReplyHeader, path: &str, stat: Option<&Stat>) {
    with_body(out, header, |body| {
        body.text(path);
        if let Some(stat) = stat {
            stat.encode(body);
        }
    });
}

/// Appends a frame that tells of a change; `zxid` is -1 for events that setWatches makes up.
#[inline]
pub fn watcher_event(out: &mut Vec<u8>, zxid: Zxid, kind: i32, path: &str) {
    with_body(out, ReplyHeader { xid: Xid::EVENT, zxid, err: 0 }, |body| {
        body.i32(kind);
        body.i32(event::SYNC_CONNECTED);
        body.text(path);
    });
}
