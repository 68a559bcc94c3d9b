//! A small blocking client for tests: one socket, requests in a window, replies in order.

use ringkeeper::types::{SessionId, Xid, Zxid};
use ringkeeper::wire::connect::{ConnectRequest, ConnectResponse};
use ringkeeper::wire::jute::{Reader, Record, Seq, Writer};
use ringkeeper::wire::op::{Request, code};
use ringkeeper::wire::reply::ReplyHeader;
use ringkeeper::wire::request::{CreateRequest, DeleteRequest, ReadRequest, SetDataRequest};
use ringkeeper::wire::{Acl, ErrorCode};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A connection with a session.
pub struct Zk {
    socket: TcpStream,
    /// The session, as the server named it.
    pub session: SessionId,
    /// Its password.
    pub password: [u8; 16],
    /// Negotiated.
    pub timeout_ms: i32,
    /// The zxid of the last reply.
    pub zxid: Zxid,
    xid: i32,
    received: Vec<u8>,
}

/// A reply: its header, and its body if there is no error.
pub struct Reply {
    /// What the server says of it.
    pub header: ReplyHeader,
    /// What follows the header.
    pub body: Vec<u8>,
}

impl Zk {
    /// A new session.
    pub fn connect(address: SocketAddr) -> io::Result<Self> {
        Self::open(address, SessionId::NONE, [0; 16], 30_000)
    }

    /// A new session, or an old one again.
    pub fn open(
        address: SocketAddr,
        session: SessionId,
        password: [u8; 16],
        timeout_ms: i32,
    ) -> io::Result<Self> {
        let socket = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(Duration::from_secs(20)))?;
        let mut zk = Self {
            socket,
            session,
            password,
            timeout_ms,
            zxid: Zxid::ZERO,
            xid: 0,
            received: Vec::new(),
        };
        let request = ConnectRequest {
            timeout_ms,
            session,
            password: Some(&password),
            read_only: Some(false),
            ..ConnectRequest::default()
        };
        let mut body = Vec::new();
        request.encode(&mut Writer::new(&mut body));
        zk.write_frame(&body)?;
        let frame = zk.read_frame()?;
        let response = ConnectResponse::decode(&mut Reader::new(&frame))
            .map_err(|why| io::Error::other(why.to_string()))?;
        zk.session = response.session;
        zk.password = response.password;
        zk.timeout_ms = response.timeout_ms;
        Ok(zk)
    }

    /// Sends a request and returns its number; the reply is read with [`Zk::reply`].
    pub fn send(&mut self, request: &Request<'_>) -> io::Result<Xid> {
        self.xid += 1;
        let mut frame = Vec::new();
        let mut out = Writer::new(&mut frame);
        let xid = if request.code() == code::Ping { Xid::PING } else { Xid(self.xid) };
        out.i32(xid.0);
        out.i32(request.code());
        request.encode(&mut out);
        self.write_frame(&frame)?;
        Ok(xid)
    }

    /// The next frame: a reply, or an event (whose xid is -1).
    pub fn reply(&mut self) -> io::Result<Reply> {
        let frame = self.read_frame()?;
        let mut reader = Reader::new(&frame);
        let header =
            ReplyHeader::decode(&mut reader).map_err(|why| io::Error::other(why.to_string()))?;
        if header.xid != Xid::EVENT {
            self.zxid = header.zxid;
        }
        Ok(Reply { header, body: reader.rest().to_vec() })
    }

    /// Sends a request and waits for its reply.
    pub fn call(&mut self, request: &Request<'_>) -> io::Result<Reply> {
        let xid = self.send(request)?;
        let reply = self.reply()?;
        assert_eq!(reply.header.xid, xid, "replies come in the order of the requests");
        Ok(reply)
    }

    /// Creates a znode that is open to all.
    pub fn create(&mut self, path: &str, data: &[u8], flags: i32) -> io::Result<Reply> {
        self.call(&create(path, data, flags))
    }

    /// The data of a znode; `None` if it does not exist.
    pub fn get(&mut self, path: &str) -> io::Result<Option<Vec<u8>>> {
        let reply =
            self.call(&Request::GetData(ReadRequest { path: path.into(), watch: false }))?;
        if reply.header.err == ErrorCode::NoNode.code() {
            return Ok(None);
        }
        assert_eq!(reply.header.err, 0, "getData {path}");
        let data = Reader::new(&reply.body).buffer().expect("a reply has its data");
        Ok(Some(data.unwrap_or_default().to_vec()))
    }

    /// The names of a znode's children, sorted.
    pub fn children(&mut self, path: &str) -> io::Result<Vec<String>> {
        let reply =
            self.call(&Request::GetChildren(ReadRequest { path: path.into(), watch: false }))?;
        assert_eq!(reply.header.err, 0, "getChildren {path}");
        let names = Seq::<ringkeeper::wire::Text<'_>>::decode(&mut Reader::new(&reply.body));
        let mut names: Vec<String> =
            names.expect("a reply has its names").iter().map(|name| name.into_owned()).collect();
        names.sort();
        Ok(names)
    }

    /// A second handle of the socket, to cut it from another thread.
    pub fn socket(&self) -> &TcpStream {
        &self.socket
    }

    fn write_frame(&mut self, frame: &[u8]) -> io::Result<()> {
        let length = i32::try_from(frame.len()).expect("test frames are small");
        let mut bytes = length.to_be_bytes().to_vec();
        bytes.extend_from_slice(frame);
        self.socket.write_all(&bytes)
    }

    fn read_frame(&mut self) -> io::Result<Vec<u8>> {
        loop {
            if let Some((length, rest)) = self.received.split_first_chunk::<4>() {
                let length = usize::try_from(i32::from_be_bytes(*length))
                    .map_err(|_| io::Error::other("a frame of negative length"))?;
                if let Some(frame) = rest.get(..length) {
                    let frame = frame.to_vec();
                    self.received.drain(..4 + length);
                    return Ok(frame);
                }
            }
            let mut chunk = [0; 16 << 10];
            match self.socket.read(&mut chunk) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => self.received.extend_from_slice(&chunk[..count]),
                // A process that was stopped and goes on: a read with a timeout says so.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// A create that is open to all.
pub fn create<'a>(path: &'a str, data: &'a [u8], flags: i32) -> Request<'a> {
    static OPEN: [Acl<'static>; 1] = [Acl::open()];
    Request::Create(CreateRequest {
        path: Some(path.into()),
        data: Some(data),
        acl: Seq::from(&OPEN[..]),
        flags,
    })
}

/// A setData of any version.
pub fn set<'a>(path: &'a str, data: &'a [u8]) -> Request<'a> {
    Request::SetData(SetDataRequest { path: Some(path.into()), data: Some(data), version: -1 })
}

/// A delete of any version.
pub fn delete(path: &str) -> Request<'_> {
    Request::Delete(DeleteRequest { path: Some(path.into()), version: -1 })
}
