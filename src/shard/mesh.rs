//! Bounded queues between the replica's core and the fronts' cores.
//!
//! Whatever passes is a whole turn's worth: one message of a front holds all that its clients
//! want ordered, one message of the replica all that became committed. Memory goes back and
//! forth with the messages, so that the steady state allocates nothing.

use std::net::SocketAddr;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crossbeam::queue::ArrayQueue;

use super::words::{Answered, Question};
use crate::front;
use crate::net::Wake;
use crate::replica;
use crate::types::{ConnId, SessionId, ShardId, Xid};
use crate::wire::committed::CommitBatch;
use crate::wire::submission::{Identity, Submission};

/// Messages of a front that the replica has not taken. A front that finds no place keeps its
/// message and adds to it: its credits bound what that can grow to.
const REQUESTS_MAX: usize = 64;

/// Messages of the replica that a front has not taken. The replica waits for a front that is so
/// far behind; no front waits for the replica.
pub const PUBLICATIONS_MAX: usize = 256;

/// Accepted sockets that a front has not taken over. One that finds no place is closed.
const SOCKETS_MAX: usize = 1024;

/// Words that a core has not looked at.
const QUESTIONS_MAX: usize = 256;

/// What a front's clients want ordered, gathered over a turn.
#[derive(Debug, Default)]
pub struct Requests {
    bytes: Vec<u8>,
    touched: Vec<SessionId>,
    list: Vec<Request>,
}

#[derive(Debug)]
enum Request {
    Submit {
        session: SessionId,
        conn: ConnId,
        xid: Xid,
        op: i32,
        body: Range<usize>,
        identities: Arc<[Identity]>,
    },
    OpenSession {
        conn: ConnId,
        timeout_ms: i32,
    },
    Reopen {
        conn: ConnId,
        session: SessionId,
        timeout_ms: i32,
    },
    Touch(Range<usize>),
}

impl Requests {
    /// Adds what a front wants; its shard is known to the mesh.
    pub fn push(&mut self, input: &replica::Input<'_>) {
        let request = match *input {
            replica::Input::Submit(submission) => {
                let start = self.bytes.len();
                self.bytes.extend_from_slice(submission.body);
                Request::Submit {
                    session: submission.session,
                    conn: submission.conn,
                    xid: submission.xid,
                    op: submission.op,
                    body: start..self.bytes.len(),
                    identities: Arc::clone(submission.identities),
                }
            }
            replica::Input::OpenSession { conn, timeout_ms, .. } => {
                Request::OpenSession { conn, timeout_ms }
            }
            replica::Input::Reopen { conn, session, timeout_ms, .. } => {
                Request::Reopen { conn, session, timeout_ms }
            }
            replica::Input::Touch(sessions) => {
                let start = self.touched.len();
                self.touched.extend_from_slice(sessions);
                Request::Touch(start..self.touched.len())
            }
            replica::Input::Durable(_)
            | replica::Input::SnapshotDone { .. }
            | replica::Input::Tick => unreachable!("no front says so"),
        };
        self.list.push(request);
    }

    /// Hands everything to `step`, in order.
    pub fn replay(&self, shard: ShardId, mut step: impl FnMut(replica::Input<'_>)) {
        for request in &self.list {
            match request {
                Request::Submit { session, conn, xid, op, body, identities } => {
                    step(replica::Input::Submit(Submission {
                        session: *session,
                        shard,
                        conn: *conn,
                        xid: *xid,
                        op: *op,
                        body: &self.bytes[body.clone()],
                        identities,
                    }));
                }
                Request::OpenSession { conn, timeout_ms } => step(replica::Input::OpenSession {
                    shard,
                    conn: *conn,
                    timeout_ms: *timeout_ms,
                }),
                Request::Reopen { conn, session, timeout_ms } => step(replica::Input::Reopen {
                    shard,
                    conn: *conn,
                    session: *session,
                    timeout_ms: *timeout_ms,
                }),
                Request::Touch(range) => {
                    step(replica::Input::Touch(&self.touched[range.clone()]));
                }
            }
        }
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.touched.clear();
        self.list.clear();
    }
}

/// What the replica tells a front.
#[derive(Debug)]
pub enum Publication {
    /// For every front.
    Committed(Arc<CommitBatch>),
    /// For this one.
    Told(front::Input<'static>),
}

/// One front's queues.
#[derive(Debug)]
pub struct Link {
    requests: ArrayQueue<Requests>,
    used: ArrayQueue<Requests>,
    publications: ArrayQueue<Publication>,
    /// Sockets that another front has accepted for this one.
    pub sockets: ArrayQueue<(OwnedFd, SocketAddr)>,
    /// Words that another core was asked, about this one.
    pub questions: ArrayQueue<Question>,
    /// Other cores' parts of the answers to words that this one was asked.
    pub answers: ArrayQueue<Answered>,
    /// Connections here, for whoever places new ones.
    pub connections: AtomicUsize,
    /// This front takes no more requests: the server stops.
    pub quiet: AtomicBool,
    /// This front's bell.
    pub bell: Arc<Wake>,
}

/// All queues of a server with a replica core.
#[derive(Debug)]
pub struct Mesh {
    /// By [`ShardId`].
    pub links: Vec<Link>,
    /// Words that the replica's core is asked.
    pub questions: ArrayQueue<Question>,
    /// The replica core's bell.
    pub bell: Arc<Wake>,
    /// Everything is ordered, logged and published: fronts may end.
    pub drained: AtomicBool,
}

impl Mesh {
    /// For that many fronts.
    pub fn new(fronts: usize) -> std::io::Result<Self> {
        let link = || -> std::io::Result<Link> {
            Ok(Link {
                requests: ArrayQueue::new(REQUESTS_MAX),
                used: ArrayQueue::new(REQUESTS_MAX),
                publications: ArrayQueue::new(PUBLICATIONS_MAX),
                sockets: ArrayQueue::new(SOCKETS_MAX),
                questions: ArrayQueue::new(QUESTIONS_MAX),
                answers: ArrayQueue::new(QUESTIONS_MAX),
                connections: AtomicUsize::new(0),
                quiet: AtomicBool::new(false),
                bell: Arc::new(Wake::new()?),
            })
        };
        Ok(Self {
            links: (0..fronts).map(|_| link()).collect::<Result<_, _>>()?,
            questions: ArrayQueue::new(QUESTIONS_MAX),
            bell: Arc::new(Wake::new()?),
            drained: AtomicBool::new(false),
        })
    }

    /// Wakes every core.
    pub fn ring_all(&self) {
        self.bell.ring();
        self.links.iter().for_each(|link| link.bell.ring());
    }

    /// Whether the replica has something to take.
    pub fn has_requests(&self) -> bool {
        !self.questions.is_empty() || self.links.iter().any(|link| !link.requests.is_empty())
    }
}

impl Link {
    /// Sends a turn's requests to the replica's core, if there is a place for them, and leaves
    /// `requests` empty then.
    pub fn send(&self, requests: &mut Requests, replica: &Wake) {
        if requests.is_empty() {
            return;
        }
        let empty = self.used.pop().unwrap_or_default();
        match self.requests.push(std::mem::replace(requests, empty)) {
            Ok(()) => replica.ring(),
            Err(unsent) => *requests = unsent,
        }
    }

    /// The replica's core takes a front's next message.
    pub fn receive(&self) -> Option<Requests> {
        self.requests.pop()
    }

    /// The replica's core is done with a message: its memory goes back.
    pub fn give_back(&self, mut requests: Requests) {
        requests.clear();
        // If the front has enough of them, the memory is freed.
        let _ = self.used.push(requests);
    }

    /// The replica tells this front something; it must be tried again if there is no place.
    pub fn publish(&self, publication: Publication) -> Result<(), Publication> {
        self.publications.push(publication)
    }

    /// This front takes the next thing it is told.
    pub fn next_publication(&self) -> Option<Publication> {
        self.publications.pop()
    }

    /// Whether this front has something to take.
    pub fn has_news(&self) -> bool {
        !self.publications.is_empty()
            || !self.sockets.is_empty()
            || !self.questions.is_empty()
            || !self.answers.is_empty()
    }

    /// Counts a connection that is being placed here.
    pub fn expect_connection(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }
}

/// Batches that the replica fills anew once every front has let go of them.
#[derive(Debug, Default)]
pub struct Batches {
    all: Vec<Arc<CommitBatch>>,
    next: usize,
}

impl Batches {
    /// Puts `batch` into shared memory and leaves an empty one.
    pub fn share(&mut self, batch: &mut CommitBatch) -> Arc<CommitBatch> {
        for _ in 0..self.all.len() {
            self.next = (self.next + 1) % self.all.len();
            if let Some(free) = Arc::get_mut(&mut self.all[self.next]) {
                free.clear();
                std::mem::swap(free, batch);
                return Arc::clone(&self.all[self.next]);
            }
        }
        let shared = Arc::new(std::mem::take(batch));
        if self.all.len() < PUBLICATIONS_MAX {
            self.all.push(Arc::clone(&shared));
        }
        shared
    }
}
