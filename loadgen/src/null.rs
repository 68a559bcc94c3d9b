//! `loadgen null`: the floor. A server that does nothing but answer.
//!
//! One epoll thread cuts frames and answers each at once with a reply of the right size, so what it
//! reaches is what kernel, loopback and client cost by themselves. It keeps no tree: every znode
//! exists and has as many bytes of data as the last create or setData brought. Not for anything
//! but measuring.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

use ringkeeper::types::{SessionId, Zxid};
use ringkeeper::wire::connect::{ConnectRequest, ConnectResponse};
use ringkeeper::wire::frame::{self, Frames};
use ringkeeper::wire::op::code;
use ringkeeper::wire::reply::{self, ReplyHeader};
use ringkeeper::wire::request::RequestHeader;
use ringkeeper::wire::{ErrorCode, Reader, Record, Stat, Writer};

use crate::client::frames::FRAME_BYTES_MAX;

/// Runs until the process ends. Prints the port on its first line of output.
pub fn serve(port: u16) -> std::io::Result<()> {
    let mut listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], port)))?;
    println!("null server on port {}", listener.local_addr()?.port());
    std::io::stdout().flush()?;

    let mut poll = Poll::new()?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut events = Events::with_capacity(1024);
    let mut clients: Vec<Option<Client>> = Vec::new();
    let mut scratch = vec![0; SCRATCH_BYTES];
    let mut state = State::default();
    loop {
        if let Err(why) = poll.poll(&mut events, None)
            && why.kind() != ErrorKind::Interrupted
        {
            return Err(why);
        }
        for event in &events {
            if event.token() == LISTENER {
                accept(&listener, &poll, &mut clients)?;
                continue;
            }
            let Token(slot) = event.token();
            let Some(client) = clients[slot].as_mut() else { continue };
            if client.turn(&mut scratch, event.is_read_closed(), &mut state).is_err() {
                clients[slot] = None; // Closing the socket also takes it out of the epoll set.
            }
        }
    }
}

const LISTENER: Token = Token(usize::MAX);
const SCRATCH_BYTES: usize = 256 << 10;

fn accept(
    listener: &TcpListener,
    poll: &Poll,
    clients: &mut Vec<Option<Client>>,
) -> std::io::Result<()> {
    loop {
        let mut socket = match listener.accept() {
            Ok((socket, _)) => socket,
            Err(why) if why.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(why) => return Err(why),
        };
        socket.set_nodelay(true)?;
        let slot = clients.iter().position(Option::is_none).unwrap_or(clients.len());
        let interest = Interest::READABLE | Interest::WRITABLE;
        poll.registry().register(&mut socket, Token(slot), interest)?;
        let client = Client {
            socket,
            greeted: false,
            ending: false,
            inbox: Frames::new(FRAME_BYTES_MAX),
            outbox: Vec::new(),
        };
        if slot == clients.len() {
            clients.push(Some(client));
        } else {
            clients[slot] = Some(client);
        }
    }
}

/// What the answers need to know.
#[derive(Default)]
struct State {
    zxid: Zxid,
    sessions: i64,
    data: Vec<u8>,
}

struct Client {
    socket: TcpStream,
    greeted: bool,
    ending: bool,
    inbox: Frames,
    outbox: Vec<u8>,
}

/// The connection is over, for whatever reason.
struct Over;

impl Client {
    /// `to_the_end`: the client has closed its side, and no further edge will tell.
    fn turn(
        &mut self,
        scratch: &mut [u8],
        to_the_end: bool,
        state: &mut State,
    ) -> Result<(), Over> {
        loop {
            match self.socket.read(scratch) {
                Ok(0) => return Err(Over),
                Ok(count) => {
                    self.answer_all(&scratch[..count], state)?;
                    if count < scratch.len() && !to_the_end {
                        break;
                    }
                }
                Err(why) if why.kind() == ErrorKind::WouldBlock => break,
                Err(_) => return Err(Over),
            }
        }
        self.flush()
    }

    fn flush(&mut self) -> Result<(), Over> {
        let mut sent = 0;
        while sent < self.outbox.len() {
            match self.socket.write(&self.outbox[sent..]) {
                Ok(count) => sent += count,
                Err(why) if why.kind() == ErrorKind::WouldBlock => break,
                Err(_) => return Err(Over),
            }
        }
        self.outbox.drain(..sent);
        if self.ending && self.outbox.is_empty() { Err(Over) } else { Ok(()) }
    }

    fn answer_all(&mut self, mut input: &[u8], state: &mut State) -> Result<(), Over> {
        if !self.greeted && self.inbox.peek(input) == Some(*b"srvr") {
            self.outbox.extend_from_slice(SRVR);
            self.ending = true;
            return Ok(());
        }
        let mut inbox = std::mem::replace(&mut self.inbox, Frames::new(FRAME_BYTES_MAX));
        loop {
            let mut rest = input;
            let Some(request) = inbox.next(&mut rest).map_err(|_| Over)? else { break };
            input = &input[input.len() - rest.len()..];
            self.answer(request, state).ok_or(Over)?;
        }
        self.inbox = inbox;
        Ok(())
    }

    /// `None`: the bytes are no request.
    fn answer(&mut self, request: &[u8], state: &mut State) -> Option<()> {
        if !self.greeted {
            self.greeted = true;
            return self.greet(request, state);
        }
        let mut input = Reader::new(request);
        let RequestHeader { xid, op } = RequestHeader::decode(&mut input).ok()?;
        let writes = [code::Create, code::Create2, code::Delete, code::SetData, code::CloseSession];
        state.zxid.0 += i64::from(writes.contains(&op));
        let mut header = ReplyHeader { xid, zxid: state.zxid, err: 0 };
        let out = &mut self.outbox;
        match op {
            code::SetData => {
                input.buffer().ok()?;
                state.keep(input.buffer().ok()?);
                reply::stat(out, header, &STAT);
            }
            code::GetData => reply::data(out, header, Some(&state.data), &STAT),
            code::Exists => reply::stat(out, header, &STAT),
            code::Create | code::Create2 => {
                let path = input.text().ok()??;
                state.keep(input.buffer().ok()?);
                let stat = (op == code::Create2).then_some(&STAT);
                reply::created(out, header, &path, stat);
            }
            code::Sync => {
                let path = input.buffer().ok()?;
                reply::with_body(out, header, |body| body.buffer(path));
            }
            code::Ping | code::Delete => reply::header_only(out, header),
            code::CloseSession => {
                reply::header_only(out, header);
                self.ending = true;
            }
            _ => {
                header.err = ErrorCode::Unimplemented.code();
                reply::header_only(out, header);
            }
        }
        Some(())
    }

    fn greet(&mut self, request: &[u8], state: &mut State) -> Option<()> {
        let request = ConnectRequest::from_bytes(request).ok()?;
        state.sessions += 1;
        let response = ConnectResponse {
            timeout_ms: request.timeout_ms,
            session: SessionId(state.sessions),
            read_only: request.read_only,
            ..ConnectResponse::default()
        };
        let start = frame::begin(&mut self.outbox);
        response.encode(&mut Writer::new(&mut self.outbox));
        frame::end(&mut self.outbox, start);
        Some(())
    }
}

/// Of no znode in particular.
const STAT: Stat = Stat {
    czxid: Zxid(1),
    mzxid: Zxid(1),
    ctime: 0,
    mtime: 0,
    version: 0,
    cversion: 0,
    aversion: 0,
    ephemeral_owner: 0,
    data_length: 0,
    num_children: 0,
    pzxid: Zxid(1),
};

const SRVR: &[u8] = b"Zookeeper version: loadgen null, which answers and keeps nothing\n\
    Mode: standalone\nNode count: 0\n";

impl State {
    /// From now on, data is as long as this.
    fn keep(&mut self, data: Option<&[u8]>) {
        let data = data.unwrap_or_default();
        if data.len() != self.data.len() {
            self.data = data.to_vec();
        }
    }
}
