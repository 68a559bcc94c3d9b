//! Both machines of one server, told what happens line by line: the order of replies and events,
//! sessions, and who hears what. Each file of `cases/` is a story.

#[path = "../support/transcript.rs"]
mod transcript;
#[path = "../support/world.rs"]
mod world;

use ringkeeper::types::{ConnId, SessionId, ShardId, Xid};
use ringkeeper::wire::connect::{ConnectRequest, ConnectResponse, password};
use ringkeeper::wire::jute::{Reader, Record, Seq, Writer};
use ringkeeper::wire::op::{Request, code};
use ringkeeper::wire::reply::{ReplyHeader, WatcherEvent};
use ringkeeper::wire::request::{
    AddWatchRequest, AuthRequest, CheckVersionRequest, CreateRequest, DeleteRequest, Empty,
    ReadRequest, SetDataRequest, SetWatchesRequest, SyncRequest,
};
use ringkeeper::wire::{Acl, ErrorCode, multi};
use ringkeeper::{front, replica};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use world::World;

const TICK_MS: u32 = 2000;

struct Peer {
    shard: ShardId,
    conn: ConnId,
    session: SessionId,
    xid: i32,
    ops: BTreeMap<i32, i32>,
    told_hangup: bool,
    shaken: bool,
}

struct Story {
    world: World,
    peers: BTreeMap<String, Peer>,
    appended: usize,
    relative: bool,
}

impl Story {
    fn new() -> Self {
        Self { world: fresh(1), peers: BTreeMap::new(), appended: 0, relative: false }
    }

    fn answer(&mut self, line: &str) -> String {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["shards", count] => self.world = fresh(count.parse().unwrap()),
            ["connect", name] => self.connect(name, ShardId(0), SessionId::NONE, true),
            ["connect", name, "on", shard] => {
                self.connect(name, ShardId(shard.parse().unwrap()), SessionId::NONE, true);
            }
            ["connect", name, "as", other] => {
                let session = self.peers[other].session;
                self.connect(name, ShardId(0), session, true);
            }
            ["connect", name, "as", other, "on", shard] => {
                let session = self.peers[other].session;
                self.connect(name, ShardId(shard.parse().unwrap()), session, true);
            }
            ["connect", name, "as", other, "with-wrong-password"] => {
                let session = self.peers[other].session;
                self.connect(name, ShardId(0), session, false);
            }
            ["durable", "all"] => self.world.sync(usize::MAX),
            ["durable", count] => self.world.sync(count.parse().unwrap()),
            ["quiesce"] => self.world.quiesce(),
            ["pass", millis] => self.world.pass(millis.parse().unwrap(), TICK_MS),
            ["stall", millis] => {
                let millis: u64 = millis.parse().unwrap();
                self.world.now.mono = self.world.now.mono.plus_millis(millis);
                self.world.now.wall.0 += i64::try_from(millis).unwrap();
            }
            ["cut", name] => {
                let peer = &self.peers[name];
                self.world.close(peer.shard, peer.conn);
            }
            ["zxids", "hidden"] => self.relative = true,
            [name, op, ref rest @ ..] if self.peers.contains_key(name) => {
                self.request(name, op, rest);
            }
            _ => panic!("what is {line:?}?"),
        }
        self.world.settle();
        self.what_came_out()
    }

    fn connect(&mut self, name: &str, shard: ShardId, session: SessionId, right: bool) {
        let conn = self.world.open(shard);
        let peer = Peer {
            shard,
            conn,
            session,
            xid: 0,
            ops: BTreeMap::new(),
            told_hangup: false,
            shaken: false,
        };
        self.peers.insert(name.to_owned(), peer);
        let mut secret = password(session);
        if !right {
            secret[0] ^= 1;
        }
        let request = ConnectRequest {
            timeout_ms: 10_000,
            session,
            password: Some(&secret),
            read_only: Some(false),
            ..ConnectRequest::default()
        };
        let mut frame = Vec::new();
        request.encode(&mut Writer::new(&mut frame));
        self.world.receive(shard, conn, &frame);
    }

    fn request(&mut self, name: &str, op: &str, rest: &[&str]) {
        let path = rest.first().copied().unwrap_or("");
        let watch = rest.last() == Some(&"watch");
        let data = rest.get(1).map_or(&b""[..], |word| word.as_bytes());
        let read = ReadRequest { path: path.into(), watch };
        let relative_zxid = ringkeeper::types::Zxid(0);
        let one = [path.into()];
        let none: Seq<'_, ringkeeper::wire::Text<'_>> = Seq::EMPTY;
        let paths = Seq::from(&one[..]);
        let request = match op {
            "create" | "create-ephemeral" | "create-sequential" => create(op, path, data),
            "set" => set(path, data),
            "delete" => Request::Delete(DeleteRequest { path: Some(path.into()), version: -1 }),
            "get" => Request::GetData(read),
            "exists" => Request::Exists(read),
            "children" => Request::GetChildren(read),
            "ping" => Request::Ping(Empty {}),
            "close" => Request::CloseSession(Empty {}),
            "sync" => Request::Sync(SyncRequest { path: Some(path.into()) }),
            "who" => Request::WhoAmI(Empty {}),
            "auth" => {
                Request::Auth(AuthRequest { kind: 0, scheme: Some(path.into()), auth: Some(data) })
            }
            "watch" => Request::AddWatch(AddWatchRequest { path: Some(path.into()), mode: 0 }),
            "watch-recursively" => {
                Request::AddWatch(AddWatchRequest { path: Some(path.into()), mode: 1 })
            }
            "set-watches" => Request::SetWatches(SetWatchesRequest {
                relative_zxid,
                data: paths,
                exist: none,
                child: none,
            }),
            "multi" => return self.multi(name, rest),
            "raw" => {
                let op = path.parse().unwrap();
                return self.send(name, op, data);
            }
            _ => panic!("what is the request {op:?}?"),
        };
        let mut body = Vec::new();
        request.encode(&mut Writer::new(&mut body));
        self.send(name, request.code(), &body);
    }

    /// `multi set:/a:1 create:/b:2 check:/c`.
    fn multi(&mut self, name: &str, parts: &[&str]) {
        let operations: Vec<Request<'_>> = parts
            .iter()
            .map(|part| {
                let mut fields = part.split(':');
                let op = fields.next().unwrap();
                let path = fields.next().unwrap();
                let data = fields.next().unwrap_or("").as_bytes();
                match op {
                    "set" => set(path, data),
                    "create" => create(op, path, data),
                    "check" => {
                        Request::Check(CheckVersionRequest { path: Some(path.into()), version: -1 })
                    }
                    _ => panic!("what is {part:?} in a multi?"),
                }
            })
            .collect();
        let mut body = Vec::new();
        multi::encode_operations(operations, &mut Writer::new(&mut body));
        self.send(name, code::Multi, &body);
    }

    fn send(&mut self, name: &str, op: i32, body: &[u8]) {
        let peer = self.peers.get_mut(name).unwrap();
        peer.xid += 1;
        let xid = match op {
            code::Ping => -2,
            code::Auth => -4,
            _ => peer.xid,
        };
        peer.ops.insert(xid, op);
        let mut frame = Vec::new();
        let mut out = Writer::new(&mut frame);
        out.i32(xid);
        out.i32(op);
        out.bytes(body);
        self.world.receive(peer.shard, peer.conn, &frame);
    }

    fn what_came_out(&mut self) -> String {
        let mut said = String::new();
        let appended = self.world.disk.len() + self.world.log.len();
        if appended > self.appended {
            writeln!(said, "append {}", appended - self.appended).unwrap();
        }
        self.appended = appended;
        let relative = self.relative;
        for (name, peer) in &mut self.peers {
            let client = self.world.clients.get_mut(&(peer.shard, peer.conn)).unwrap();
            while let Some(frame) = client.frames.pop_front() {
                if peer.shaken {
                    writeln!(said, "{name} <- {}", reply(peer, &frame, relative)).unwrap();
                    continue;
                }
                peer.shaken = true;
                let response = ConnectResponse::decode(&mut Reader::new(&frame)).unwrap();
                if response.timeout_ms == 0 {
                    writeln!(said, "{name} <- session over").unwrap();
                } else {
                    let same = peer.session == response.session;
                    let kind = if same { "same" } else { "new" };
                    writeln!(said, "{name} <- {kind} session, {} ms", response.timeout_ms).unwrap();
                    peer.session = response.session;
                }
            }
            if let Some(why) = client.hangup
                && !peer.told_hangup
            {
                peer.told_hangup = true;
                writeln!(said, "{name} hung up: {why:?}").unwrap();
            }
        }
        said
    }
}

fn create<'a>(op: &str, path: &'a str, data: &'a [u8]) -> Request<'a> {
    static OPEN: [Acl<'static>; 1] = [Acl::open()];
    let flags = match op {
        "create-ephemeral" => 1,
        "create-sequential" => 2,
        _ => 0,
    };
    let (path, acl) = (Some(path.into()), Seq::from(&OPEN[..]));
    Request::Create(CreateRequest { path, data: Some(data), acl, flags })
}

fn set<'a>(path: &'a str, data: &'a [u8]) -> Request<'a> {
    Request::SetData(SetDataRequest { path: Some(path.into()), data: Some(data), version: -1 })
}

/// One reply or event in words.
fn reply(peer: &Peer, frame: &[u8], relative: bool) -> String {
    let mut input = Reader::new(frame);
    let header = ReplyHeader::decode(&mut input).expect("a reply has a header");
    let zxid = if relative { String::new() } else { format!(" at {}", header.zxid.0) };
    if header.xid == Xid::EVENT {
        let event = WatcherEvent::decode(&mut input).expect("an event is complete");
        let kind = ["", "created", "deleted", "changed", "children of"][event.kind as usize];
        return format!("event{zxid}: {kind} {}", event.path);
    }
    let op = peer.ops.get(&header.xid.0).copied().unwrap_or(0);
    let name = ringkeeper::wire::op::name_of(op).unwrap_or("?");
    let head = format!("{} {name}{zxid}", header.xid.0);
    if header.err != 0 {
        let error = ErrorCode::from_code(header.err).expect("a code that clients know");
        assert_eq!(input.remaining(), 0, "an error has no body");
        return format!("{head}: {}", error.name());
    }
    let text =
        |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or(b"null")).into_owned();
    match op {
        code::Create | code::GetData | code::Sync => {
            format!("{head}: {}", text(input.buffer().unwrap()))
        }
        code::GetChildren => {
            let names = Seq::<ringkeeper::wire::Text<'_>>::decode(&mut input).unwrap();
            let mut names: Vec<_> = names.iter().map(|name| name.into_owned()).collect();
            names.sort();
            format!("{head}: {names:?}")
        }
        code::Multi => {
            let results: Vec<String> = multi::Results::new(input.rest())
                .map(|result| match result.expect("results are complete") {
                    multi::MultiResult::Created(path) => format!("created {path}"),
                    multi::MultiResult::DataSet(stat) => format!("set to version {}", stat.version),
                    multi::MultiResult::Error(code) => format!("error {code}"),
                    other => format!("{other:?}"),
                })
                .collect();
            format!("{head}: {}", results.join(", "))
        }
        _ => format!("{head}: ok"),
    }
}

fn fresh(shards: u16) -> World {
    let replica = replica::Config { tick_ms: TICK_MS, ..replica::Config::default() };
    let front = front::Config {
        tick_ms: TICK_MS,
        session_timeout_ms: (4000, 40_000),
        ..front::Config::default()
    };
    World::new(replica, front, shards)
}

#[test]
fn stories_come_out_as_written() {
    transcript::run("front/cases", |_| {
        let mut story = Story::new();
        move |line| story.answer(line)
    });
}
