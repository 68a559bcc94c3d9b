//! Why a connection or a run ended, told so that the reader knows what to do next.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use ringkeeper::types::{SessionId, Xid, Zxid};
use ringkeeper::wire::ErrorCode;

/// What went wrong with one connection.
#[derive(Debug)]
pub enum Failure {
    /// The connection could not be made.
    Connect { to: SocketAddr, why: io::Error },
    /// Accepted, then closed before the session was open.
    ClosedAtOnce { by: SocketAddr, open_before: usize },
    /// Connected, but the handshake was not answered.
    NoHandshake { from: SocketAddr, waited: Duration },
    /// The server answered the handshake with "no session".
    SessionRefused { by: SocketAddr },
    /// The server closed an open session's connection.
    Closed { by: SocketAddr, outstanding: usize },
    /// Reading or writing failed.
    Io { with: SocketAddr, why: io::Error },
    /// The bytes are not the protocol.
    Nonsense { from: SocketAddr, what: &'static str },
    /// A reply to another request than the oldest outstanding one.
    OutOfOrder { from: SocketAddr, expected: Option<Xid>, got: Xid },
    /// A reply whose body is not as long as what was asked for.
    Misshapen { from: SocketAddr, expected: usize, got: usize },
    /// A session saw the order of transactions go backwards.
    ZxidBack { from: SocketAddr, session: SessionId, before: Zxid, now: Zxid },
    /// The system refused something this program needs for itself.
    System { what: &'static str, why: io::Error },
    /// A request of the set-up was refused.
    Refused { what: String, err: i32 },
    /// Nothing was answered any more.
    Stalled { waited: Duration, outstanding: usize },
    /// The user asked to stop.
    Interrupted,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect { to, why } => match why.kind() {
                io::ErrorKind::ConnectionRefused => write!(
                    f,
                    "connecting to {to}: refused. Nothing listens there; start the server, correct \
                     --servers, or leave --servers away and loadgen starts one of its own"
                ),
                _ => write!(f, "connecting to {to}: {why}"),
            },
            Self::ClosedAtOnce { by, open_before } => write!(
                f,
                "{by} accepted the connection and closed it at once, with {open_before} sessions \
                 open before it. maxClientCnxns is 60 per client address by default: set \
                 maxClientCnxns=0 in the server's configuration, or ask for fewer connections. \
                 A server that has no quorum yet does the same"
            ),
            Self::NoHandshake { from, waited } => write!(
                f,
                "{from} accepted the connection but did not answer the handshake in {} s: is it a \
                 ZooKeeper client port, without TLS, and has its ensemble a quorum?",
                waited.as_secs()
            ),
            Self::SessionRefused { by } => {
                write!(f, "{by} refused to open a session (it answered session 0)")
            }
            Self::Closed { by, outstanding } => write!(
                f,
                "{by} closed a connection with {outstanding} requests outstanding; its log says why"
            ),
            Self::Io { with, why } => write!(f, "talking to {with}: {why}"),
            Self::Nonsense { from, what } => {
                write!(f, "{from} sent {what}: that is not the ZooKeeper client protocol")
            }
            Self::OutOfOrder { from, expected: Some(expected), got } => {
                write!(
                    f,
                    "{from} answered xid {} where {} was due: replies out of order",
                    got.0, expected.0
                )
            }
            Self::OutOfOrder { from, expected: None, got } => {
                write!(f, "{from} answered xid {}, which nobody asked", got.0)
            }
            Self::Misshapen { from, expected, got } => {
                write!(f, "{from} answered with a body of {got} bytes where {expected} were due")
            }
            Self::ZxidBack { from, session, before, now } => write!(
                f,
                "{from}: session {session} saw zxid {before} and then {now}: the order of transactions \
                 went backwards"
            ),
            Self::System { what, why } => write!(f, "{what}: {why}"),
            Self::Refused { what, err } => {
                write!(f, "{what}: the server answered {} ({err})", error_name(*err))
            }
            Self::Stalled { waited, outstanding } => write!(
                f,
                "no reply for {} s with {outstanding} requests outstanding",
                waited.as_secs()
            ),
            Self::Interrupted => write!(f, "interrupted"),
        }
    }
}

impl std::error::Error for Failure {}

/// Java's name of an error code.
pub fn error_name(code: i32) -> &'static str {
    ErrorCode::from_code(code).map_or("an unknown code", ErrorCode::name)
}
