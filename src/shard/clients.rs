//! One core's front with its sockets: frames in, replies out, what needs the one order onwards.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use super::Error;
use super::words::Asked;
use crate::admin::{Word, word};
use crate::front::{self, Front, Output};
use crate::net::{DiskWritten, Flow, Net, Service};
use crate::replica;
use crate::types::{ConnId, Instant, Now, ShardId};
use crate::wire::submission::Submission;

/// Bytes of replies after which a turn takes no more requests, so that they leave first.
const TURN_BYTES_MAX: usize = 4 << 20;

/// Words that one core works on at a time; more are hung up on.
const WORDS_ASKED_MAX: usize = 64;

/// Where requests go that need the one order.
pub trait Orderer {
    /// One of them, or a report of who was heard of.
    fn request(&mut self, input: replica::Input<'_>);
}

/// Who takes a connection that was accepted on this core.
pub trait Placement {
    /// Gives the socket back if it is for this core.
    fn place(&mut self, socket: OwnedFd, peer: SocketAddr) -> Option<OwnedFd>;
}

/// All connections belong to this core.
pub struct Here;

impl Placement for Here {
    fn place(&mut self, socket: OwnedFd, _: SocketAddr) -> Option<OwnedFd> {
        Some(socket)
    }
}

/// A front and its sockets.
pub struct Clients {
    /// The sockets; also the way to wait.
    pub net: Net,
    /// The machine.
    pub front: Front,
    shard: ShardId,
    out: front::Out,
    /// Operator's words that were not looked at yet.
    pub asked: Vec<Asked>,
    /// Log writes that have ended, in the arrangement in which this core drives the log.
    pub written: Vec<DiskWritten>,
    next_tick: Instant,
    half_tick_ms: u64,
    /// The server stops: no more requests are taken.
    pub quiet: bool,
}

impl Clients {
    /// A core's part.
    pub fn new(net: Net, front: Front, shard: ShardId, tick_ms: u32) -> Self {
        Self {
            net,
            front,
            shard,
            out: front::Out::default(),
            asked: Vec::new(),
            written: Vec::new(),
            next_tick: Instant::default(),
            half_tick_ms: u64::from(tick_ms.div_ceil(2)),
            quiet: false,
        }
    }

    /// Takes what has happened at the sockets.
    pub fn take(&mut self, now: Now, placement: &mut impl Placement) -> Result<(), Error> {
        let mut turn = Turn {
            front: &mut self.front,
            out: &mut self.out,
            asked: &mut self.asked,
            written: &mut self.written,
            placement,
            now,
            quiet: self.quiet,
        };
        self.net.deliver(now.mono, &mut turn).map_err(Error::Net)?;
        if now.mono >= self.next_tick {
            self.next_tick = now.mono.plus_millis(self.half_tick_ms.div_ceil(2));
            self.step(now, front::Input::Tick);
        }
        Ok(())
    }

    /// Steps the machine.
    pub fn step(&mut self, now: Now, input: front::Input<'_>) {
        self.front.step(now, input, &mut self.out);
    }

    /// Carries out what the machine has said since the last call. Whether there was anything.
    pub fn carry_out(&mut self, orderer: &mut impl Orderer) -> Result<bool, Error> {
        if self.out.list.is_empty() {
            return Ok(false);
        }
        let shard = self.shard;
        for output in self.out.list.drain(..) {
            match output {
                Output::Reply { conn, bytes } => {
                    self.net.queue(conn, &self.out.bytes[bytes]).map_err(Error::Net)?;
                }
                Output::Hangup { conn, why } => {
                    log::debug!("closing connection {conn}: {why:?}");
                    self.net.hang_up(conn).map_err(Error::Net)?;
                }
                Output::Resume(conn) => self.net.resume(conn).map_err(Error::Net)?,
                Output::Submit { session, conn, xid, op, body, identities } => {
                    let body = &self.out.bytes[body];
                    let identities = &identities;
                    orderer.request(replica::Input::Submit(Submission {
                        session,
                        shard,
                        conn,
                        xid,
                        op,
                        body,
                        identities,
                    }));
                }
                Output::OpenSession { conn, timeout_ms } => {
                    orderer.request(replica::Input::OpenSession { shard, conn, timeout_ms });
                }
                Output::Reopen { conn, session, timeout_ms } => {
                    orderer.request(replica::Input::Reopen { shard, conn, session, timeout_ms });
                }
                Output::Touch(sessions) => {
                    orderer.request(replica::Input::Touch(&self.out.touched[sessions]));
                }
            }
        }
        self.out.clear();
        Ok(true)
    }

    /// Sends what was queued.
    pub fn flush(&mut self) -> Result<(), Error> {
        self.net.flush().map_err(Error::Net)
    }

    /// Answers an operator's word.
    pub fn answer(&mut self, conn: ConnId, text: &str) -> Result<(), Error> {
        self.net.queue(conn, text.as_bytes()).map_err(Error::Net)?;
        self.net.hang_up(conn).map_err(Error::Net)
    }

    /// Come back no later than this.
    pub fn wake_at(&self) -> Instant {
        self.next_tick
    }
}

/// What the sockets talk to during a turn.
struct Turn<'a, P> {
    front: &'a mut Front,
    out: &'a mut front::Out,
    asked: &'a mut Vec<Asked>,
    written: &'a mut Vec<DiskWritten>,
    placement: &'a mut P,
    now: Now,
    quiet: bool,
}

impl<P: Placement> Service for Turn<'_, P> {
    fn accepts(&mut self, conn: ConnId) -> bool {
        !self.quiet && self.front.accepts(conn)
    }

    fn frame(&mut self, conn: ConnId, peer: SocketAddr, first: bool, frame: &[u8]) -> Flow {
        let input = if first {
            front::Input::Connect { conn, peer: peer.ip(), frame }
        } else {
            front::Input::Request { conn, frame }
        };
        self.front.step(self.now, input, self.out);
        if self.out.bytes.len() > TURN_BYTES_MAX { Flow::Full } else { Flow::Go }
    }

    fn word_argument_len(&self, first: [u8; 4]) -> Option<usize> {
        word(first).map(Word::extra_bytes)
    }

    fn word(&mut self, conn: ConnId, peer: SocketAddr, first: [u8; 4], argument: &[u8]) {
        let word = word(first).expect("it was one a moment ago");
        if self.asked.len() < WORDS_ASKED_MAX {
            let extra = argument.first_chunk().copied();
            self.asked.push(Asked { conn, peer, word, extra });
        }
    }

    fn closed(&mut self, conn: ConnId) {
        self.front.step(self.now, front::Input::Closed(conn), self.out);
    }

    fn place(&mut self, socket: OwnedFd, peer: SocketAddr) -> Option<OwnedFd> {
        self.placement.place(socket, peer)
    }

    fn written(&mut self, written: DiskWritten) {
        self.written.push(written);
    }
}
