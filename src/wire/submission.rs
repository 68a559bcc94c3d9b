//! A request on its way from the front that received it to the server that orders it.

use std::sync::Arc;

use crate::types::{ConnId, SessionId, ShardId, Xid};

/// Who a connection is, as one scheme sees it. Java's name is `Id`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    /// `ip`, `digest`, `x509`, `sasl`, `super`.
    pub scheme: String,
    /// Whatever that scheme calls somebody.
    pub id: String,
}

impl Identity {
    /// From borrowed text.
    pub fn new(scheme: &str, id: &str) -> Self {
        Self { scheme: scheme.to_owned(), id: id.to_owned() }
    }
}

/// A request that needs the one order.
#[derive(Clone, Copy, Debug)]
pub struct Submission<'a> {
    /// On whose behalf; [`SessionId::NONE`] for the server's own.
    pub session: SessionId,
    /// The front that waits for it.
    pub shard: ShardId,
    /// The connection whose reply it will be; [`ConnId::NONE`] for the server's own.
    pub conn: ConnId,
    /// The client's number for it, 0 for the server's own.
    pub xid: Xid,
    /// The opcode.
    pub op: i32,
    /// What follows the request's header; checked by the front to be decodable.
    pub body: &'a [u8],
    /// Who the connection was when the request arrived.
    pub identities: &'a Arc<[Identity]>,
}
