//! Loops: where the pure machines meet cores, clocks, sockets and files.
//!
//! A loop turns what happened into inputs, steps its machine, and carries out what the machine
//! says, first to last. It contains no rule of ZooKeeper: an `if` about zxids, paths or sessions
//! belongs in a machine.
//!
//! # Which loops there are
//!
//! * [`one_loop`]: both machines on one core and one ring, without a hop. What a machine of fewer
//!   than four CPUs gets, and `cores=none`.
//! * [`replica_loop`] and a [`front_loop`] on each further core, pinned, with the queues of
//!   [`mesh`] between them.
//!
//! Beside them run two threads for files ([`background`]). With io_uring all threads are glommio
//! executors of one task each ([`engine`]); a data core's task waits in the core's own ring, since
//! there is no other task that it could keep from running.
//!
//! # Who may wait for whom
//!
//! ```text
//! front loop       --waits-->  nothing but its sockets and its inbox
//! replica loop     --waits-->  a front whose queue of publications is full
//! background       --waits-->  the disk; its answers have reserved places in the loop's inbox
//! log writes       --wait-->   nothing: they are operations of the loop's ring (or of a few
//!                              threads, with epoll), and their completions are events
//! ```
//!
//! There is no circle. A front submits without waiting because its machine holds credits
//! (`SUBMISSIONS_PER_SHARD_MAX`): out of credit it stops reading. If the replica's queue is full,
//! the front's message stays and grows by what the credits allow. A client that does not read is
//! hung up on by [`crate::net`].
//!
//! # A turn
//!
//! 1. Wait; spin first if an answer is about to come and the core is ours ([`turn`]).
//! 2. Read both clocks, once ([`clock`]).
//! 3. Take what arrived: frames, completions of the disk, messages.
//! 4. Carry out what the machines say, until they have nothing more to say.
//! 5. Hand the gathered batch to the disk; send to each connection once.

mod arrange;
mod background;
mod clients;
pub mod clock;
mod engine;
mod front_loop;
mod log_writes;
mod mesh;
mod one_loop;
mod ordering;
mod replica_loop;
mod settings;
mod start;
mod turn;
mod words;

use std::net::SocketAddr;
use std::{fmt, io};

pub use start::{Ended, Running, run, start};

use crate::storage;

/// Why a server does not start, or does not go on.
#[derive(Debug)]
pub enum Error {
    /// The files cannot be used, or a write failed.
    Storage(storage::Error),
    /// The file of the log cannot be opened.
    LogFile(io::Error),
    /// A core's ring or epoll failed.
    Net(io::Error),
    /// io_uring was asked for and is not to be had; one sentence.
    Engine(String),
    /// A thread could not be started, or died.
    Thread {
        /// Which.
        name: String,
        /// Why.
        error: String,
    },
    /// The port cannot be opened.
    Bind {
        /// Where.
        address: SocketAddr,
        /// Why.
        error: io::Error,
    },
    /// What the log or a snapshot holds is no state of ours, though its checksums are right.
    State(&'static str),
    /// The configuration opens no port for clients.
    NoPort,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Storage(error) => write!(f, "{error}"),
            Self::LogFile(error) => write!(f, "opening the log's segment: {error}"),
            Self::Net(error) => write!(f, "waiting for sockets: {error}"),
            Self::Engine(why) => write!(f, "engine=uring cannot be had: {why}"),
            Self::Thread { name, error } => write!(f, "the thread {name}: {error}"),
            Self::Bind { address, error } => write!(f, "listening on {address}: {error}"),
            Self::State(what) => write!(f, "the stored state cannot be read: {what}"),
            Self::NoPort => write!(f, "no clientPort is configured: nobody could connect"),
        }
    }
}

impl std::error::Error for Error {}
