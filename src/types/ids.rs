//! Newtypes for the numbers that name things.

use std::fmt;

/// A client's session: survives its connections. May be negative (server ids of 128 and more).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub i64);

impl SessionId {
    /// No session: what a new client sends, and what the server's own transactions carry.
    pub const NONE: Self = Self(0);
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:x}", self.0)
    }
}

/// A socket of one shard: a slot and the generation of its use, so that a late message for a
/// closed connection can never reach the next one in the same slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId {
    /// Index into the shard's table of connections.
    pub slot: u32,
    /// Counts the uses of that slot; 0 is never given out.
    pub generation: u32,
}

impl ConnId {
    /// No connection: requests that the server makes of itself.
    pub const NONE: Self = Self { slot: 0, generation: 0 };

    /// Whether this names a connection at all.
    pub const fn is_some(self) -> bool {
        self.generation != 0
    }
}

impl fmt::Display for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.slot, self.generation)
    }
}

/// One core's thread and all it owns. Fronts are numbered from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId(pub u16);

/// One process of the ensemble; `server.N` of the configuration. Standalone counts as 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerId(pub i64);

/// What a client numbers its requests with; echoed, never interpreted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Xid(pub i32);

impl Xid {
    /// A watch event in place of a reply.
    pub const EVENT: Self = Self(-1);
    /// Every reply to a ping.
    pub const PING: Self = Self(-2);
}
