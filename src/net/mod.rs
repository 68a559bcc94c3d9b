//! Sockets and log writes of one data core: bytes in, bytes out, nothing understood.
//!
//! A [`Net`] owns the connections of one core and cuts what they send into frames; it knows a
//! frame's length and the four letters of an operator's word, and no more. Underneath is one of
//! two back ends with equal behaviour: `uring` (one io_uring for sockets, wake-ups and the log)
//! and `epoll` (for machines that forbid io_uring; the log goes through a few threads).
//!
//! # How it is driven
//!
//! One thread, one turn after the other: [`Net::wait`] sleeps until something happens,
//! [`Net::deliver`] hands everything that happened to a [`Service`], the caller answers with
//! [`Net::queue`], [`Net::hang_up`], [`Net::resume`] and [`Net::write`], and [`Net::flush`] sends
//! what was queued, one `send` per connection. Other threads reach it through its [`Wake`].
//!
//! # What it promises
//!
//! 1. Frames of a connection come in order, whole, and only while [`Service::accepts`] says so;
//!    otherwise they wait, and the socket is not read.
//! 2. A connection costs at most [`HANDSHAKE_BYTES_MAX`] before its first frame is complete, and
//!    nothing but its table entry while it is idle. Nothing is allocated for a request in the
//!    steady state.
//! 3. [`Net::hang_up`] sends everything queued before it closes, and never lets unread bytes turn
//!    into a reset that would swallow them.
//! 4. [`Service::closed`] comes once for every connection that had a frame delivered, and nothing
//!    of that connection follows it.
//! 5. A client that does not read is hung up on at [`OUTBOUND_BYTES_PER_CONN_MAX`]; nobody waits
//!    for it.
//!
//! # What it relies on
//!
//! The caller passes a monotonic `now` and calls [`Net::deliver`] a few times a second at least.

mod connection;
mod disk;
mod epoll;
mod inbound;
mod limiter;
mod listen;
#[allow(clippy::module_inception)]
mod net;
mod outbound;
mod probe;
mod uring;
mod wake;

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::{fmt, io};

pub use disk::{DiskWrite, DiskWritten};
pub use listen::{Admission, listen, raise_file_limit, tune};
pub use net::Net;
pub use probe::{Missing, probe};
pub use wake::Wake;

use crate::types::ConnId;
#[allow(unused_imports, reason = "named in the text above")]
use crate::types::limits::{HANDSHAKE_BYTES_MAX, OUTBOUND_BYTES_PER_CONN_MAX};

/// Which way to the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// io_uring; `deferred` says whether completions wait for us (DEFER_TASKRUN, Linux 6.1).
    Uring {
        /// False: COOP_TASKRUN instead, about a tenth more CPU for a request.
        deferred: bool,
    },
    /// epoll, and threads for the log.
    Epoll,
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Uring { deferred: true } => "uring",
            Self::Uring { deferred: false } => "uring (without DEFER_TASKRUN)",
            Self::Epoll => "epoll",
        })
    }
}

/// What an operator may set about connections.
#[derive(Clone, Debug)]
pub struct Config {
    /// Longest frame of a client in bytes (`jute.maxbuffer`). A longer one closes the connection.
    pub frame_bytes_max: usize,
    /// How long a connection may take for its first frame, in ms.
    pub handshake_ms: u64,
    /// How long we wait, after a hang-up, for the client to close its side, in ms.
    pub linger_ms: u64,
    /// Receive buffers that all connections of a core share (io_uring), a power of two.
    pub receive_buffers: u16,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            frame_bytes_max: crate::types::limits::FRAME_BYTES_DEFAULT_MAX,
            handshake_ms: 10_000,
            linger_ms: 2_000,
            receive_buffers: 1024,
        }
    }
}

/// Whether a turn goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// More inputs are welcome.
    Go,
    /// The outputs so far must leave before more inputs are taken.
    Full,
}

/// What a connection's socket is read for. Implemented by the loop.
pub trait Service {
    /// Whether the next frame of an open connection may be handed over.
    fn accepts(&mut self, conn: ConnId) -> bool;

    /// A complete frame, without its length. `first` is the one that must be the handshake.
    fn frame(&mut self, conn: ConnId, peer: SocketAddr, first: bool, frame: &[u8]) -> Flow;

    /// Whether these first four bytes are an operator's word, and how many bytes follow it.
    fn word_argument_len(&self, word: [u8; 4]) -> Option<usize>;

    /// An operator's word. The answer is queued and the connection hung up, now or later.
    fn word(&mut self, conn: ConnId, peer: SocketAddr, word: [u8; 4], argument: &[u8]);

    /// The connection is gone: the other side left, its bytes were no frames, or we hung up.
    fn closed(&mut self, conn: ConnId);

    /// A new connection: `None` keeps it away from this core (it was handed to another one).
    fn place(&mut self, socket: OwnedFd, peer: SocketAddr) -> Option<OwnedFd>;

    /// A log write has ended.
    fn written(&mut self, written: DiskWritten);
}

/// The core's own means failed: its ring, its epoll, its threads. Nothing can go on.
pub type Result<T> = io::Result<T>;
