//! What one server does in the ensemble.
//!
//! A [`Replica`] orders what clients ask for: it turns submissions into transactions (`prep`),
//! has them logged and acknowledged by a quorum (`zab`), applies them to the server's own tree,
//! and publishes them to every front. It also owns the sessions' deadlines, the reaper of
//! containers and TTL znodes, and the moment of a snapshot.
//!
//! # How it is driven
//!
//! One [`Input`] to [`Replica::step`], then every [`Output`] in `out`, first to last. What became
//! committed in the step stands in [`Out::batch`], which goes to every front, whole and in order,
//! before the replica's next step is published.
//!
//! # What it promises
//!
//! 1. A transaction is published only when a quorum has it durable; for a quorum of one that is
//!    this server's [`DurableUpTo`](crate::types::DurableUpTo), which only the log can make.
//! 2. Published transactions are contiguous and in zxid order.
//! 3. Every submission ends as a published transaction with its origin, or as `Moved`.

#[allow(clippy::module_inception)]
mod replica;

use std::ops::Range;

pub use replica::{Config, Recovery, Replica, SnapshotJob, Stats};

use crate::types::{ConnId, DurableUpTo, Generation, SessionId, ShardId, Zxid};
use crate::wire::committed::CommitBatch;
use crate::wire::submission::Submission;

/// Everything that can happen to a replica. Nothing else reaches it.
#[derive(Debug)]
pub enum Input<'a> {
    /// A request that needs the one order, from one of this server's fronts.
    Submit(Submission<'a>),
    /// A front asks for a new session.
    OpenSession {
        /// Whose front.
        shard: ShardId,
        /// Whose connection.
        conn: ConnId,
        /// Negotiated.
        timeout_ms: i32,
    },
    /// A client is back with its session's password.
    Reopen {
        /// Whose front.
        shard: ShardId,
        /// Whose connection.
        conn: ConnId,
        /// The session.
        session: SessionId,
        /// Negotiated anew.
        timeout_ms: i32,
    },
    /// Sessions that a front has heard of since its last report.
    Touch(&'a [SessionId]),
    /// The log's contiguous durable prefix has grown.
    Durable(DurableUpTo),
    /// A snapshot that was asked for is published, or failed (the log line says why).
    SnapshotDone {
        /// Of which request.
        generation: Generation,
        /// Its zxid and size on disk in bytes, if it is published.
        result: Result<(Zxid, u64), ()>,
    },
    /// Nothing happened but time. At least four times a tick (`tickTime`), and at
    /// [`Replica::wake_at`].
    Tick,
}

/// What the loop must do: all of it, in the order given.
#[derive(Debug)]
pub enum Output {
    /// Add to the log. The answer is [`Input::Durable`], some time later.
    Append {
        /// Its place; always the one after the last.
        zxid: Zxid,
        /// The role that asks.
        generation: Generation,
        /// The payload (quorum-and-disk 5.2), in [`Out::bytes`].
        payload: Range<usize>,
    },
    /// Answers [`Input::Reopen`].
    Reopened {
        /// The asking front.
        shard: ShardId,
        /// The asking connection.
        conn: ConnId,
        /// The session.
        session: SessionId,
        /// Whether it lives.
        valid: bool,
    },
    /// That connection's session is now owned by another connection.
    Disown {
        /// Its front.
        shard: ShardId,
        /// The connection that loses it.
        conn: ConnId,
    },
    /// A submission came from a connection that does not own its session, or whose session is
    /// over: it is hung up on without a reply.
    Moved {
        /// Its front.
        shard: ShardId,
        /// The connection.
        conn: ConnId,
    },
    /// Write this snapshot in the background. The answer is [`Input::SnapshotDone`].
    Snapshot(Box<SnapshotJob>),
}

/// Outputs of one or more steps, reused from turn to turn so that a step allocates nothing.
#[derive(Debug, Default)]
pub struct Out {
    /// What payload ranges point into.
    pub bytes: Vec<u8>,
    /// In order.
    pub list: Vec<Output>,
    /// What became committed, for every front.
    pub batch: CommitBatch,
}

impl Out {
    /// Forgets everything and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.list.clear();
        self.batch.clear();
    }
}
