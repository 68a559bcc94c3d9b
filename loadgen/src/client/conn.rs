//! One connection: its session, what it has outstanding, and the checks on what comes back.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use ringkeeper::types::{SessionId, Xid, Zxid};
use ringkeeper::wire::connect::ConnectResponse;
use ringkeeper::wire::frame::Frames;
use ringkeeper::wire::op::code;
use ringkeeper::wire::reply::ReplyHeader;
use ringkeeper::wire::{Reader, Record};

use super::engine::Script;
use super::failure::Failure;
use super::frames::{self, FRAME_BYTES_MAX, Key, Template};

/// What a request was for. The script sorts answers by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Read,
    Write,
    /// Part of the set-up or of taking leave; not measured.
    Other,
}

/// An answer, with what is known of its request.
pub struct Reply<'a> {
    pub kind: Kind,
    /// When the request should have left: latencies count from here.
    pub intended: Instant,
    /// 0 when the request was done.
    pub err: i32,
    pub body: &'a [u8],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Connecting,
    Handshake,
    Open,
    Closed,
}

struct Outstanding {
    xid: Xid,
    kind: Kind,
    intended: Instant,
}

/// One connection and its session.
pub struct Conn {
    /// Its place among the engine's connections; stays the same.
    pub index: usize,
    /// For the script: which role this connection has, or how far it is.
    pub tag: u32,
    pub addr: SocketAddr,
    /// When connecting began.
    pub started: Instant,
    socket: TcpStream,
    state: State,
    session: SessionId,
    timeout: Duration,
    last_xid: Xid,
    last_zxid: Zxid,
    last_sent: Instant,
    outstanding: VecDeque<Outstanding>,
    inbox: Frames,
    outbox: Vec<u8>,
    outbox_sent: usize,
    pub(super) touched: bool,
    /// The kernel took less than was offered; wait for room.
    blocked: bool,
}

/// Capacity that a connection's buffers shrink back to after a burst.
const BUFFER_BYTES_KEPT: usize = 256 << 10;

impl Conn {
    pub(super) fn new(
        index: usize,
        addr: SocketAddr,
        socket: TcpStream,
        timeout_ms: i32,
        now: Instant,
    ) -> Self {
        Self {
            index,
            tag: 0,
            addr,
            started: now,
            socket,
            state: State::Connecting,
            session: SessionId::NONE,
            timeout: Duration::ZERO,
            last_xid: Xid(0),
            last_zxid: Zxid::default(),
            last_sent: now,
            outstanding: VecDeque::new(),
            inbox: Frames::new(FRAME_BYTES_MAX),
            outbox: frames::connect_request(timeout_ms),
            outbox_sent: 0,
            touched: false,
            blocked: false,
        }
    }

    /// Queues a request; it leaves at the end of the turn.
    pub fn request(&mut self, template: &Template, key: Key, kind: Kind, intended: Instant) {
        assert_eq!(self.state, State::Open, "requests need an open session");
        let xid = self.next_xid();
        template.write(&mut self.outbox, xid, key);
        self.outstanding.push_back(Outstanding { xid, kind, intended });
    }

    /// Asks the server to end the session; the connection closes once it has answered.
    pub fn request_close(&mut self, now: Instant) {
        assert_eq!(self.state, State::Open, "only an open session can be closed");
        let xid = self.next_xid();
        frames::bare_request(&mut self.outbox, xid, code::CloseSession);
        self.outstanding.push_back(Outstanding { xid, kind: Kind::Other, intended: now });
    }

    /// Requests without an answer so far.
    pub fn outstanding(&self) -> usize {
        self.outstanding.len()
    }

    pub fn is_open(&self) -> bool {
        self.state == State::Open
    }

    pub fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    pub(super) fn socket(&mut self) -> &mut TcpStream {
        &mut self.socket
    }

    pub(super) fn mark_closed(&mut self) {
        self.state = State::Closed;
        self.outstanding.clear();
        self.outbox = Vec::new();
        self.inbox = Frames::new(FRAME_BYTES_MAX);
    }

    /// Keeps an idle session alive, and gives up on a handshake that is not answered.
    pub(super) fn tend(&mut self, now: Instant) -> Result<(), Failure> {
        match self.state {
            State::Connecting | State::Handshake => {
                let waited = now.duration_since(self.started);
                if waited < HANDSHAKE_WAIT {
                    return Ok(());
                }
                Err(Failure::NoHandshake { from: self.addr, waited })
            }
            State::Open if now.duration_since(self.last_sent) > self.timeout / 3 => {
                frames::bare_request(&mut self.outbox, Xid::PING, code::Ping);
                self.flush(now)
            }
            State::Open | State::Closed => Ok(()),
        }
    }

    /// The socket became writable.
    pub(super) fn on_writable(&mut self, now: Instant) -> Result<(), Failure> {
        if self.state == State::Connecting {
            let refused = |why| Failure::Connect { to: self.addr, why };
            if let Some(why) = self.socket.take_error().map_err(refused)? {
                return Err(Failure::Connect { to: self.addr, why });
            }
            match self.socket.peer_addr() {
                Ok(_) => self.state = State::Handshake,
                Err(why) if why.kind() == ErrorKind::NotConnected => return Ok(()),
                Err(why) => return Err(Failure::Connect { to: self.addr, why }),
            }
        }
        self.blocked = false;
        self.flush(now)
    }

    /// Gives the kernel what is queued.
    pub(super) fn flush(&mut self, now: Instant) -> Result<(), Failure> {
        if self.blocked || matches!(self.state, State::Connecting | State::Closed) {
            return Ok(());
        }
        while self.outbox_sent < self.outbox.len() {
            match self.socket.write(&self.outbox[self.outbox_sent..]) {
                Ok(count) => self.outbox_sent += count,
                Err(why) if why.kind() == ErrorKind::WouldBlock => {
                    self.blocked = true;
                    return Ok(());
                }
                Err(why) if why.kind() == ErrorKind::Interrupted => {}
                Err(why) => return Err(self.broken(why)),
            }
        }
        if self.outbox_sent > 0 {
            self.last_sent = now;
        }
        self.outbox.clear();
        self.outbox.shrink_to(BUFFER_BYTES_KEPT);
        self.outbox_sent = 0;
        Ok(())
    }

    /// Reads what has come and hands every whole frame to the script. `to_the_end`: the server
    /// has closed its side, and no further edge will tell.
    pub(super) fn on_readable(
        &mut self,
        scratch: &mut [u8],
        to_the_end: bool,
        script: &mut impl Script,
    ) -> Result<(), Failure> {
        loop {
            let count = match self.socket.read(scratch) {
                Ok(0) => return Err(self.hung_up()),
                Ok(count) => count,
                Err(why) if why.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(why) if why.kind() == ErrorKind::Interrupted => continue,
                Err(why) => return Err(self.broken(why)),
            };
            let now = Instant::now();
            self.take_frames(&scratch[..count], script, now)?;
            if count < scratch.len() && !to_the_end {
                return Ok(()); // The kernel had no more: the next edge will tell.
            }
        }
    }

    fn take_frames(
        &mut self,
        mut input: &[u8],
        script: &mut impl Script,
        now: Instant,
    ) -> Result<(), Failure> {
        let mut inbox = std::mem::replace(&mut self.inbox, Frames::new(FRAME_BYTES_MAX));
        loop {
            let mut rest = input;
            match inbox.next(&mut rest) {
                Ok(Some(frame)) => {
                    input = &input[input.len() - rest.len()..];
                    self.on_frame(frame, script, now)?;
                }
                Ok(None) => break,
                Err(_) => return Err(self.nonsense("a frame of absurd length")),
            }
        }
        self.inbox = inbox;
        Ok(())
    }

    fn on_frame(
        &mut self,
        frame: &[u8],
        script: &mut impl Script,
        now: Instant,
    ) -> Result<(), Failure> {
        if self.state == State::Handshake {
            return self.on_handshake(frame, script, now);
        }
        let mut input = Reader::new(frame);
        let header = ReplyHeader::decode(&mut input);
        let header = header.map_err(|_| self.nonsense("a frame too short for a reply"))?;
        if header.xid == Xid::EVENT {
            script.on_event(self, now);
            return Ok(());
        }
        self.check_order(header.zxid)?;
        if header.xid == Xid::PING {
            return Ok(());
        }
        let due = self.outstanding.front().map(|request| request.xid);
        let (Some(request), true) = (self.outstanding.pop_front(), due == Some(header.xid)) else {
            return Err(Failure::OutOfOrder { from: self.addr, expected: due, got: header.xid });
        };
        let reply = Reply {
            kind: request.kind,
            intended: request.intended,
            err: header.err,
            body: input.rest(),
        };
        script.on_reply(self, &reply, now);
        Ok(())
    }

    fn on_handshake(
        &mut self,
        frame: &[u8],
        script: &mut impl Script,
        now: Instant,
    ) -> Result<(), Failure> {
        let granted = ConnectResponse::from_bytes(frame)
            .map_err(|_| self.nonsense("no answer to a handshake in its place"))?;
        if granted.session == SessionId::NONE || granted.timeout_ms <= 0 {
            return Err(Failure::SessionRefused { by: self.addr });
        }
        self.session = granted.session;
        self.timeout = Duration::from_millis(granted.timeout_ms.unsigned_abs().into());
        self.state = State::Open;
        script.on_open(self, now);
        Ok(())
    }

    /// What a session sees may never be older than what it has seen. Zero and below stand for
    /// replies that show no state.
    fn check_order(&mut self, zxid: Zxid) -> Result<(), Failure> {
        if zxid <= Zxid::default() {
            return Ok(());
        }
        if zxid < self.last_zxid {
            return Err(Failure::ZxidBack {
                from: self.addr,
                session: self.session,
                before: self.last_zxid,
                now: zxid,
            });
        }
        self.last_zxid = zxid;
        Ok(())
    }

    fn next_xid(&mut self) -> Xid {
        self.last_xid = Xid(self.last_xid.0.checked_add(1).unwrap_or(1));
        self.last_xid
    }

    fn hung_up(&self) -> Failure {
        match self.state {
            State::Open | State::Closed => {
                Failure::Closed { by: self.addr, outstanding: self.outstanding.len() }
            }
            State::Connecting | State::Handshake => {
                Failure::ClosedAtOnce { by: self.addr, open_before: 0 }
            }
        }
    }

    /// A reset says the same as an orderly close when a server turns connections away.
    fn broken(&self, why: std::io::Error) -> Failure {
        match why.kind() {
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => self.hung_up(),
            _ => Failure::Io { with: self.addr, why },
        }
    }

    fn nonsense(&self, what: &'static str) -> Failure {
        Failure::Nonsense { from: self.addr, what }
    }
}

const HANDSHAKE_WAIT: Duration = Duration::from_secs(10);
