//! Both machines of one server, joined by function calls: what an operation costs without sockets
//! and disk. Used by benches that count time and allocations.

use ringkeeper::front::{self, Front};
use ringkeeper::replica::{self, Recovery, Replica};
use ringkeeper::tree::{self, HashKey, Tree};
use ringkeeper::types::{
    ConnId, DurableUpTo, Generation, Instant, Now, SessionId, ShardId, WallTime,
};
use ringkeeper::wire::connect::ConnectRequest;
use ringkeeper::wire::jute::{Record, Seq, Writer};
use ringkeeper::wire::op::Request;
use ringkeeper::wire::request::{CreateRequest, ReadRequest, SetDataRequest};
use ringkeeper::wire::submission::Submission;
use ringkeeper::wire::{Acl, Text};
use std::net::{IpAddr, Ipv4Addr};

/// A server whose log is durable at once.
pub struct Loopback {
    front: Front,
    replica: Replica,
    front_out: front::Out,
    replica_out: replica::Out,
    now: Now,
    /// Bytes of replies so far.
    pub replied: usize,
}

/// The connection that everything comes from.
pub const CONN: ConnId = ConnId { slot: 0, generation: 1 };

impl Loopback {
    /// A server with one session and `keys` znodes `/k0`, `/k1`, … of 100 bytes.
    pub fn new(keys: usize) -> Self {
        let now = Now { mono: Instant::from_millis(1), wall: WallTime(1_700_000_000_000) };
        let tree = Tree::new(tree::Config::default(), HashKey([1, 2]));
        let config = replica::Config { snap_count: u64::MAX, ..replica::Config::default() };
        let mut replica = Recovery::new(config, tree).finish(now, Generation(1));
        let front = Front::new(front::Config::default(), replica.reader(), now);
        let mut server = Self {
            front,
            replica,
            front_out: front::Out::default(),
            replica_out: replica::Out::default(),
            now,
            replied: 0,
        };
        let hello = ConnectRequest {
            timeout_ms: 30_000,
            session: SessionId::NONE,
            password: Some(&[0; 16]),
            ..ConnectRequest::default()
        };
        let mut frame = Vec::new();
        hello.encode(&mut Writer::new(&mut frame));
        let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
        server.step(front::Input::Connect { conn: CONN, peer, frame: &frame });
        static OPEN: [Acl<'static>; 1] = [Acl::open()];
        for key in 0..keys {
            let path = format!("/k{key}");
            server.request(&request(
                1,
                &Request::Create(CreateRequest {
                    path: Some(Text::Owned(path)),
                    data: Some(&[7; 100]),
                    acl: Seq::from(&OPEN[..]),
                    flags: 0,
                }),
            ));
        }
        server
    }

    /// Hands over a frame and does all that follows from it.
    pub fn request(&mut self, frame: &[u8]) {
        assert!(self.front.accepts(CONN), "every request before it was answered");
        self.step(front::Input::Request { conn: CONN, frame });
    }

    fn step(&mut self, input: front::Input<'_>) {
        self.now.mono.0 += 1000;
        self.front.step(self.now, input, &mut self.front_out);
        self.carry_out();
    }

    fn carry_out(&mut self) {
        let Self { front, replica, front_out, replica_out, now, replied } = self;
        let shard = ShardId(0);
        for output in front_out.list.drain(..) {
            let input = match output {
                front::Output::Reply { bytes, .. } => {
                    *replied += bytes.len();
                    continue;
                }
                front::Output::Submit { session, conn, xid, op, body, identities } => {
                    let (body, identities) = (&front_out.bytes[body], &identities);
                    let submission = Submission { session, shard, conn, xid, op, body, identities };
                    replica.step(*now, replica::Input::Submit(submission), replica_out);
                    continue;
                }
                front::Output::OpenSession { conn, timeout_ms } => {
                    replica::Input::OpenSession { shard, conn, timeout_ms }
                }
                front::Output::Touch(range) => replica::Input::Touch(&front_out.touched[range]),
                front::Output::Resume(_) => continue,
                other => panic!("{other:?} is not part of this bench"),
            };
            replica.step(*now, input, replica_out);
        }
        front_out.clear();
        let mut last = None;
        for output in replica_out.list.drain(..) {
            if let replica::Output::Append { zxid, generation, .. } = output {
                last = Some(DurableUpTo::confirmed_by_disk(zxid, generation));
            }
        }
        let Some(token) = last else { return };
        replica_out.clear();
        replica.step(*now, replica::Input::Durable(token), replica_out);
        front.step(*now, front::Input::Committed(&replica_out.batch), front_out);
        replica_out.clear();
        for output in front_out.list.drain(..) {
            if let front::Output::Reply { bytes, .. } = output {
                *replied += bytes.len();
            }
        }
        front_out.clear();
    }
}

/// A request's frame.
pub fn request(xid: i32, request: &Request<'_>) -> Vec<u8> {
    let mut frame = Vec::new();
    let mut out = Writer::new(&mut frame);
    out.i32(xid);
    out.i32(request.code());
    request.encode(&mut out);
    frame
}

/// Frames that read each key once.
pub fn gets(keys: usize) -> Vec<Vec<u8>> {
    let get = |key| Request::GetData(ReadRequest { path: format!("/k{key}").into(), watch: false });
    (0..keys).map(|key| request(1, &get(key))).collect()
}

/// Frames that write each key once.
pub fn sets(keys: usize) -> Vec<Vec<u8>> {
    (0..keys)
        .map(|key| {
            let path = Some(Text::Owned(format!("/k{key}")));
            let data = Some(&[8; 100][..]);
            request(1, &Request::SetData(SetDataRequest { path, data, version: -1 }))
        })
        .collect()
}
