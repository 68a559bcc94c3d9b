//! What one core tells its clients.
//!
//! A [`Front`] holds everything that belongs to the clients of one core: their connections and
//! sessions, the core's replica of the tree, and the watches on it. It decides what a client is
//! told and in which order; who leads, what is durable and what the disk does is not its concern.
//!
//! # How it is driven
//!
//! The loop hands one [`Input`] to [`Front::step`] and carries out every [`Output`] in `out`,
//! first to last, before the turn ends. A frame is handed over only while [`Front::accepts`] says
//! so for its connection; otherwise the loop keeps the bytes, stops reading that socket, and goes
//! on when it sees [`Output::Resume`].
//!
//! # What it promises to a client (client-protocol section 3.4)
//!
//! 1. Replies leave in the order of the requests, one each, or the connection closes.
//! 2. A read reflects every earlier write of its session, and never an older state than an
//!    earlier reply.
//! 3. The event of a change leaves before any reply that could show the change.
//! 4. Setting a watch and reading what is watched is one step.
//!
//! # What it relies on
//!
//! [`Input::Committed`] names every committed transaction once, in order, without gaps.

mod connect;
#[allow(clippy::module_inception)]
mod front;
mod pending;
mod read;
mod reply;

use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;

pub use connect::{SaslConfig, ThrottleConfig};
pub use front::{Config, ConnectionInfo, Front, Latency, Stats};

use crate::types::{ConnId, SessionId, Xid};
use crate::wire::committed::CommitBatch;
use crate::wire::submission::Identity;

/// Everything that can happen to a front. Nothing else reaches it.
#[derive(Debug)]
pub enum Input<'a> {
    /// A socket's first complete frame, without its length: the handshake.
    Connect {
        /// The new connection.
        conn: ConnId,
        /// Where it comes from.
        peer: IpAddr,
        /// The ConnectRequest record.
        frame: &'a [u8],
    },
    /// A complete frame after the handshake, without its length.
    Request {
        /// Its connection; unknown or closed ones are ignored.
        conn: ConnId,
        /// RequestHeader and body.
        frame: &'a [u8],
    },
    /// The socket is gone, or the loop has hung up.
    Closed(ConnId),
    /// Transactions became committed; all fronts get the same batches in the same order.
    Committed(&'a CommitBatch),
    /// The replica's answer to [`Output::Reopen`].
    Reopened {
        /// Who asked.
        conn: ConnId,
        /// The session that it wants to go on with.
        session: SessionId,
        /// Whether that session lives.
        valid: bool,
    },
    /// The session of this connection is now owned by another one: hang up.
    Disown(ConnId),
    /// The replica refuses a submission of a connection whose session is gone or owned elsewhere.
    Moved(ConnId),
    /// Nothing happened but time. At least twice a tick (`tickTime`).
    Tick,
}

/// What the loop must do: all of it, in the order given.
#[derive(Debug)]
pub enum Output {
    /// Complete frames for a connection, behind everything sent before.
    Reply {
        /// To whom.
        conn: ConnId,
        /// Where in [`Out::bytes`]; lengths included.
        bytes: Range<usize>,
    },
    /// Send what is queued, then close. `Input::Closed` follows.
    Hangup {
        /// Which connection.
        conn: ConnId,
        /// For the log; a client hears nothing.
        why: Why,
    },
    /// The connection may be read again: [`Front::accepts`] it.
    Resume(ConnId),
    /// A request that needs the one order.
    Submit {
        /// On whose behalf.
        session: SessionId,
        /// Whose reply it will be.
        conn: ConnId,
        /// The client's number for it.
        xid: Xid,
        /// The opcode.
        op: i32,
        /// The request's body behind its header, in [`Out::bytes`].
        body: Range<usize>,
        /// Who the connection was authenticated as when the request arrived.
        identities: Arc<[Identity]>,
    },
    /// A new session is wanted. The answer is a committed createSession with this origin.
    OpenSession {
        /// Who asked.
        conn: ConnId,
        /// Negotiated already.
        timeout_ms: i32,
    },
    /// A client is back, with the right password. The answer is [`Input::Reopened`].
    Reopen {
        /// Who asked.
        conn: ConnId,
        /// Its session.
        session: SessionId,
        /// Negotiated anew.
        timeout_ms: i32,
    },
    /// These sessions were heard of since the last report, in [`Out::touched`].
    Touch(Range<usize>),
}

/// Why a connection is closed by us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The client asked for it, or was told that its session is over.
    Finished,
    /// The session ended (expired, or closed by another connection).
    SessionOver,
    /// The session goes on elsewhere.
    Moved,
    /// The bytes were no request.
    Malformed(&'static str),
    /// The client has seen a later transaction than this server.
    ZxidAhead,
    /// Authentication failed or is required.
    AuthRefused,
    /// An opcode that no client may send.
    UnknownOp(i32),
    /// A limit was reached: which one.
    Limit(&'static str),
}

/// Outputs of one or more steps, reused from turn to turn so that a step allocates nothing.
#[derive(Debug, Default)]
pub struct Out {
    /// What ranges in `list` point into.
    pub bytes: Vec<u8>,
    /// In order.
    pub list: Vec<Output>,
    /// What [`Output::Touch`] points into.
    pub touched: Vec<SessionId>,
}

impl Out {
    /// Forgets everything and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.list.clear();
        self.touched.clear();
    }
}
