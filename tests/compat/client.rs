//! One connection of a transcript: frames out, frames in, and what each answers.

use super::ops::Op;
use super::sasl::Sasl;
use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// What a frame from the server may be the answer to.
#[derive(Clone, Copy, Debug)]
pub enum Expected {
    Connect,
    Reply {
        xid: i32,
        op: Op,
    },
    /// An answer to bytes that no operation of ours made.
    Unknown,
    /// The `sync` that the rig sends after each block.
    Barrier {
        xid: i32,
    },
}

impl Expected {
    pub fn has_xid(&self, xid: i32) -> bool {
        match self {
            Expected::Reply { xid: sent, .. } | Expected::Barrier { xid: sent } => *sent == xid,
            Expected::Connect | Expected::Unknown => false,
        }
    }
}

/// What reading gave.
#[derive(Debug)]
pub enum Received {
    Frame(Vec<u8>),
    Closed,
    Silence,
}

#[derive(Debug)]
pub struct Client {
    socket: TcpStream,
    unread: Vec<u8>,
    unsent: Vec<u8>,
    pub expected: VecDeque<Expected>,
    next_xid: i32,
    pub sasl: Sasl,
    pub is_established: bool,
    pub is_muted: bool,
    pub is_closed: bool,
}

impl Client {
    pub fn open(address: SocketAddr) -> std::io::Result<Client> {
        let socket = TcpStream::connect(address)?;
        // Fails when the server closed at once, which is for `receive` to find.
        let _ = socket.set_nodelay(true);
        Ok(Client {
            socket,
            unread: Vec::new(),
            unsent: Vec::new(),
            expected: VecDeque::new(),
            next_xid: 1,
            sasl: Sasl::default(),
            is_established: false,
            is_muted: false,
            is_closed: false,
        })
    }

    pub fn take_xid(&mut self) -> i32 {
        self.next_xid += 1;
        self.next_xid - 1
    }

    /// Adds bytes to the segment that `flush` sends.
    pub fn push(&mut self, bytes: &[u8]) {
        self.unsent.extend(bytes);
    }

    /// Adds a frame: its length, then `payload`.
    pub fn push_frame(&mut self, payload: &[u8]) {
        let length = i32::try_from(payload.len()).expect("a frame of the tests is short");
        self.push(&length.to_be_bytes());
        self.push(payload);
    }

    /// The answers to bytes whose meaning the rig does not know. The first is the handshake's.
    pub fn expect_frames(&mut self, count: usize) {
        for _ in 0..count {
            let is_first = !self.is_established && self.expected.is_empty();
            self.expected.push_back(if is_first { Expected::Connect } else { Expected::Unknown });
        }
    }

    /// Sends what was pushed, in one write. A connection that the server closed is found closed.
    pub fn flush(&mut self) {
        let bytes = std::mem::take(&mut self.unsent);
        let _ = self.socket.write_all(&bytes);
    }

    /// The next frame, waiting `max` at most.
    pub fn receive(&mut self, max: Duration) -> Received {
        let deadline = Instant::now() + max;
        loop {
            if let Some(frame) = self.cut() {
                return Received::Frame(frame);
            }
            if self.is_closed {
                return Received::Closed;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Received::Silence;
            }
            self.socket.set_read_timeout(Some(left)).expect("a timeout above zero can be set");
            let mut bytes = vec![0; 64 * 1024];
            match self.socket.read(&mut bytes) {
                Ok(0) => self.is_closed = true,
                Ok(count) => self.unread.extend(&bytes[..count]),
                Err(why) if matches!(why.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return Received::Silence;
                }
                // A reset is how a close looks to somebody who had more to say.
                Err(_) => self.is_closed = true,
            }
        }
    }

    /// Takes the expectation that a reply with this xid answers: FIFO but for a reply that overtook.
    pub fn expectation(&mut self, xid: i32) -> Option<Expected> {
        match self.expected.iter().position(|expected| expected.has_xid(xid)) {
            Some(place) => self.expected.remove(place),
            None => self.expected.pop_front(),
        }
    }

    fn cut(&mut self) -> Option<Vec<u8>> {
        let length = self.unread.get(..4)?.try_into().expect("four bytes are an int");
        let length = usize::try_from(i32::from_be_bytes(length)).expect("no negative length");
        let frame = self.unread.get(4..4 + length)?.to_vec();
        self.unread.drain(..4 + length);
        Some(frame)
    }
}
