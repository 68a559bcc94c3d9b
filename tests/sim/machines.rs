//! One server, whole but for its engine: the real replica, two fronts, log, snapshots and purge,
//! with clients that pipeline, come back and go away.
//!
//! What is asserted, beside what the machines assert of themselves:
//!
//! * Z1, Z5: every zxid that any client was shown, in a reply or an event, is there after a crash;
//! * T1: the tree after recovery has the digest that the transaction at its end predicted, its
//!   sessions are those of the same history, and all its indexes agree (`Tree::check_all`);
//! * D-3 (by the explorer): an interrupted recovery finds what an undisturbed one finds;
//! * S3: session ids are never given out twice;
//! * S4, S5: replies come in the order of requests, and a session's zxids never go back;
//! * W1: no reply shows a change of a watched znode before its event.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

use ringkeeper::front;
use ringkeeper::replica::{self, Recovery};
use ringkeeper::storage::block::BLOCK_BYTES;
use ringkeeper::storage::disk::{Completion, OpId};
use ringkeeper::storage::log::{Log, Prepare};
use ringkeeper::storage::open::{self, Opened};
use ringkeeper::storage::purge::{Keep, purge};
use ringkeeper::storage::snapshot::publish;
use ringkeeper::storage::tree_image::tree_of;
use ringkeeper::storage::{Identity, segment};
use ringkeeper::tree::{self, HashKey, Tree};
use ringkeeper::types::{ConnId, SessionId, ShardId, WallTime, Xid, Zxid};
use ringkeeper::wire::connect::{ConnectRequest, ConnectResponse, password};
use ringkeeper::wire::jute::{Reader, Record, Seq, Writer};
use ringkeeper::wire::op::{Request, code};
use ringkeeper::wire::reply::{ReplyHeader, WatcherEvent};
use ringkeeper::wire::request::{CreateRequest, DeleteRequest, Empty, ReadRequest, SetDataRequest};
use ringkeeper::wire::txn::{LoggedTxn, Txn};
use ringkeeper::wire::{Acl, Stat, multi};

use crate::disk::SimDisk;
use crate::explore::Server;
use crate::rng::Rng;
use crate::store::CONFIG;
use crate::world::{START, World};

const TICK_MS: u32 = 400;
const SHARDS: u16 = 2;
const PATHS: [&str; 6] = ["/a", "/b", "/a/x", "/a/y", "/b/z", "/c"];

/// What the log held at one zxid, as the leader predicted it.
#[derive(Clone, Debug)]
struct Moment {
    digest: Option<i64>,
    /// Open sessions, by id.
    sessions: Rc<BTreeSet<i64>>,
}

/// What the outside knows.
#[derive(Clone)]
pub struct Oracle {
    /// Everything that was appended and may be on the disk.
    history: BTreeMap<Zxid, Moment>,
    /// The largest zxid that any client was shown.
    shown: Zxid,
    /// Every session id that was ever given out.
    sessions: BTreeSet<i64>,
    wall_ms: i64,
}

impl Oracle {
    fn check(&self, tree: &Tree) -> Result<(), String> {
        let last = tree.last_zxid();
        if last < self.shown {
            return Err(format!("Z1: {} was shown, the log ends at {last}", self.shown));
        }
        let Some(moment) = self.history.get(&last) else {
            return Err(format!("the log ends at {last}, which nobody wrote"));
        };
        if moment.digest.is_some_and(|digest| digest != tree.digest()) {
            return Err(format!("T1: digest {} at {last}: {moment:?}", tree.digest()));
        }
        let sessions: BTreeSet<i64> = tree.sessions().map(|(id, _)| id.0).collect();
        if sessions != *moment.sessions {
            return Err(format!("T1: sessions {sessions:?} at {last}: {moment:?}"));
        }
        tree.check_all();
        Ok(())
    }

    /// What recovery found is the truth from now on.
    fn accept(&mut self, last: Zxid) {
        self.history.split_off(&last.next());
        self.shown = last;
    }

    fn append(&mut self, zxid: Zxid, payload: &[u8]) {
        let logged = LoggedTxn::decode(payload).expect("prep wrote it");
        let before = &self.history.last_key_value().expect("there is a beginning").1.sessions;
        let mut sessions = Rc::clone(before);
        match logged.txn {
            Txn::CreateSession(_) => {
                Rc::make_mut(&mut sessions).insert(logged.header.session.0);
            }
            Txn::CloseSession(_) => {
                Rc::make_mut(&mut sessions).remove(&logged.header.session.0);
            }
            _ => {}
        }
        self.history.insert(zxid, Moment { digest: logged.digest, sessions });
    }
}

/// A client: one connection at a time, one session as long as it lives.
#[derive(Debug)]
struct Client {
    shard: ShardId,
    conn: ConnId,
    session: SessionId,
    shaken: bool,
    xid: i32,
    /// Requests without a reply: xid, opcode, and for getData the path and whether to watch it.
    sent: VecDeque<(i32, i32, Option<(&'static str, bool)>)>,
    zxid: Zxid,
    /// Paths with a data watch: the mzxid that was seen when it was set.
    watched: BTreeMap<String, Zxid>,
}

/// A running server and its clients.
pub struct Machines {
    disk: SimDisk,
    oracle: Rc<RefCell<Oracle>>,
    world: World,
    log: Log,
    identity: Identity,
    in_flight: Vec<OpId>,
    ordered: Option<Prepare>,
    clients: Vec<Client>,
    found: (Zxid, i64, usize),
}

fn replica_config() -> replica::Config {
    replica::Config {
        tick_ms: TICK_MS,
        snap_count: 40,
        snap_log_bytes: 20_000,
        ..replica::Config::default()
    }
}

fn front_config() -> front::Config {
    front::Config { tick_ms: TICK_MS, session_timeout_ms: (800, 8000), ..front::Config::default() }
}

/// Opens the store and replays it into a tree.
fn recover(disk: &mut SimDisk) -> Result<Result<(Recovery, Opened), String>, String> {
    let mut opened = match open::open_disk(disk, &CONFIG) {
        Ok(opened) => opened,
        Err(refusal) => return Ok(Err(refusal.to_string())),
    };
    let config = tree::Config::default();
    let tree = match &opened.snapshot {
        Some(snapshot) => tree_of(snapshot, config).map_err(|why| why.to_string())?,
        None => Tree::new(config, HashKey([3, 5])),
    };
    let mut recovery = Recovery::new(replica_config(), tree);
    while let Some((zxid, payload)) = opened.tail.next(disk).map_err(|error| error.to_string())? {
        recovery.replay(payload).map_err(|why| format!("replaying {zxid}: {why}"))?;
    }
    Ok(Ok((recovery, opened)))
}

impl Server for Machines {
    type Oracle = Oracle;
    type Found = (Zxid, i64, usize);

    fn oracle(_: &mut Rng) -> Oracle {
        let nobody = Moment { digest: None, sessions: Rc::default() };
        Oracle {
            history: BTreeMap::from([(Zxid::ZERO, nobody)]),
            shown: Zxid::ZERO,
            sessions: BTreeSet::new(),
            wall_ms: START.wall.0,
        }
    }

    fn start(
        mut disk: SimDisk,
        oracle: Rc<RefCell<Oracle>>,
    ) -> Result<Result<Self, String>, String> {
        let (recovery, opened) = match recover(&mut disk)? {
            Ok(recovered) => recovered,
            Err(refusal) => return Ok(Err(refusal)),
        };
        // The clock goes on while a server is down, now and then backwards.
        let mut now = START;
        now.wall = WallTime(oracle.borrow().wall_ms);
        let world = World::start(recovery, front_config(), SHARDS, now);
        let tree = world.replica.tree();
        oracle.borrow().check(tree)?;
        let found = (tree.last_zxid(), tree.digest(), tree.znode_count());
        Ok(Ok(Self {
            disk,
            oracle,
            log: opened.log,
            identity: opened.identity,
            world,
            in_flight: Vec::new(),
            ordered: None,
            clients: Vec::new(),
            found,
        }))
    }

    fn found(&self) -> Self::Found {
        self.found
    }

    fn serve(&mut self) {
        self.oracle.borrow_mut().accept(self.found.0);
    }

    fn turn(&mut self, rng: &mut Rng) -> Result<Result<(), String>, String> {
        let result = match rng.below(100) {
            0..34 => {
                self.act(rng);
                Ok(())
            }
            34..52 => self.submit(rng),
            52..76 => self.complete(rng),
            76..80 => self.prepare(),
            80..83 => self.snapshot(),
            83..85 => self.purge(),
            85..87 => {
                self.log.mark();
                Ok(())
            }
            87..93 => {
                self.pass(rng);
                Ok(())
            }
            _ => {
                self.leave(rng);
                Ok(())
            }
        };
        if let Err(stopped) = result {
            return Ok(Err(stopped));
        }
        self.deliver(rng);
        self.hear()?;
        Ok(Ok(()))
    }

    fn finish(&mut self, rng: &mut Rng) -> Result<(), String> {
        if rng.percent(60) {
            return Ok(());
        }
        for _ in 0..300 {
            self.world.settle();
            self.take_appended();
            self.hear()?;
            for step in [Self::submit, Self::complete] {
                if step(self, rng).is_err() {
                    return Ok(());
                }
            }
            if self.prepare().is_err() {
                return Ok(());
            }
        }
        self.world.settle();
        self.hear()?;
        if self.world.replica.has_outstanding() {
            return Err("a quiet server has proposals that never end".into());
        }
        for client in self.clients.iter().filter(|client| client.shaken) {
            let open = self.world.clients[&(client.shard, client.conn)].hangup.is_none();
            if open && !client.sent.is_empty() {
                return Err(format!("S4: {client:?} was never answered"));
            }
        }
        let digest = self.world.replica.tree().digest();
        for front in &self.world.fronts {
            if front.tree().digest() != digest {
                return Err("T1: a front's tree is not the replica's".into());
            }
            front.tree().check_all();
        }
        match self.world.replica.stats().digest_mismatches {
            0 => Ok(()),
            count => Err(format!("T1: {count} digests were not the predicted ones")),
        }
    }
}

impl Machines {
    /// A client does something.
    fn act(&mut self, rng: &mut Rng) {
        if self.clients.len() < 4 && (self.clients.is_empty() || rng.percent(25)) {
            return self.connect(rng);
        }
        let index = rng.below(self.clients.len());
        if rng.percent(4) {
            // Back on another front, with the session if there is one.
            let client = self.clients.remove(index);
            if rng.percent(50) {
                self.world.close(client.shard, client.conn);
            }
            return self.greet(client.session, rng);
        }
        if !self.clients[index].shaken {
            return;
        }
        for _ in 0..1 + rng.below(4) {
            self.request(index, rng);
        }
    }

    fn connect(&mut self, rng: &mut Rng) {
        // Somebody else's session from before a crash, or a new one.
        let known: Vec<i64> = self.oracle.borrow().sessions.iter().copied().collect();
        let taken = |id: i64| self.clients.iter().any(|client| client.session.0 == id);
        let old = known.get(rng.below(known.len())).copied().filter(|id| !taken(*id));
        let session = match (old, rng.percent(40)) {
            (Some(old), true) => SessionId(old),
            _ => SessionId::NONE,
        };
        self.greet(session, rng);
    }

    fn greet(&mut self, session: SessionId, rng: &mut Rng) {
        let shard = ShardId(if rng.percent(50) { 0 } else { 1 });
        let conn = self.world.open(shard);
        let secret = password(session);
        let request = ConnectRequest {
            timeout_ms: 2000,
            session,
            password: Some(&secret),
            ..ConnectRequest::default()
        };
        let mut frame = Vec::new();
        request.encode(&mut Writer::new(&mut frame));
        self.clients.push(Client {
            shard,
            conn,
            session,
            shaken: false,
            xid: 0,
            sent: VecDeque::new(),
            zxid: Zxid::ZERO,
            watched: BTreeMap::new(),
        });
        self.world.receive(shard, conn, &frame);
    }

    fn request(&mut self, index: usize, rng: &mut Rng) {
        static OPEN: [Acl<'static>; 1] = [Acl::open()];
        let path = PATHS[rng.below(PATHS.len())];
        let byte = [u8::try_from(rng.below(256)).expect("a byte")];
        let big = vec![byte[0]; rng.below(600)];
        let data = Some(if rng.percent(20) { &big[..] } else { &byte[..] });
        let acl = Seq::from(&OPEN[..]);
        let flags = [0, 0, 1, 2, 3][rng.below(5)];
        let create = |path: &'static str| {
            Request::Create(CreateRequest { path: Some(path.into()), data, acl, flags })
        };
        let set = |path: &'static str, version| {
            Request::SetData(SetDataRequest { path: Some(path.into()), data, version })
        };
        let delete = |path: &'static str| {
            Request::Delete(DeleteRequest { path: Some(path.into()), version: -1 })
        };
        let read = |watch| ReadRequest { path: path.into(), watch };
        let request = match rng.below(100) {
            0..25 => create(path),
            25..45 => set(path, if rng.percent(80) { -1 } else { 1 }),
            45..57 => delete(path),
            57..75 => Request::GetData(read(rng.percent(50))),
            75..80 => Request::GetChildren(read(false)),
            80..84 => Request::Ping(Empty {}),
            84..86 => Request::CloseSession(Empty {}),
            _ => {
                let other = PATHS[rng.below(PATHS.len())];
                let parts = [set(path, -1), create(other), delete(path), set(other, -1)];
                let count = 1 + rng.below(parts.len());
                let mut body = Vec::new();
                multi::encode_operations(
                    parts.into_iter().take(count),
                    &mut Writer::new(&mut body),
                );
                return self.send(index, code::Multi, None, &body);
            }
        };
        let watched = match &request {
            Request::GetData(read) => Some((path, read.watch)),
            _ => None,
        };
        let mut body = Vec::new();
        request.encode(&mut Writer::new(&mut body));
        self.send(index, request.code(), watched, &body);
    }

    fn send(&mut self, index: usize, op: i32, read: Option<(&'static str, bool)>, body: &[u8]) {
        let client = &mut self.clients[index];
        client.xid += 1;
        let xid = if op == code::Ping { -2 } else { client.xid };
        client.sent.push_back((xid, op, read));
        let mut frame = Vec::new();
        let mut out = Writer::new(&mut frame);
        out.i32(xid);
        out.i32(op);
        out.bytes(body);
        let (shard, conn) = (client.shard, client.conn);
        self.world.receive(shard, conn, &frame);
    }

    /// A client's socket breaks.
    fn leave(&mut self, rng: &mut Rng) {
        if self.clients.len() > 1 && rng.percent(30) {
            let client = self.clients.swap_remove(rng.below(self.clients.len()));
            self.world.close(client.shard, client.conn);
        }
    }

    fn pass(&mut self, rng: &mut Rng) {
        let millis =
            if rng.percent(10) { 5000 } else { 1 + u64::try_from(rng.below(100)).unwrap() };
        self.world.now.mono = self.world.now.mono.plus_millis(millis);
        self.world.now.wall.0 += i64::try_from(millis).unwrap();
        self.oracle.borrow_mut().wall_ms = self.world.now.wall.0;
        for shard in 0..SHARDS {
            self.world.step_front(ShardId(shard), front::Input::Tick);
        }
        self.world.step_replica(replica::Input::Tick);
    }

    /// Some of what cores told each other arrives.
    fn deliver(&mut self, rng: &mut Rng) {
        for _ in 0..rng.below(6) {
            match rng.below(3) {
                0 => self.world.deliver_to_replica(),
                shard => self.world.deliver_to_front(ShardId(u16::try_from(shard - 1).unwrap())),
            };
        }
        self.take_appended();
    }

    /// What the replica appended goes to the log.
    fn take_appended(&mut self) {
        let mut oracle = self.oracle.borrow_mut();
        while let Some((zxid, generation, payload)) = self.world.log.pop_front() {
            oracle.append(zxid, &payload);
            self.log.append(zxid, &payload, generation);
        }
    }

    /// What clients were sent.
    fn hear(&mut self) -> Result<(), String> {
        let mut oracle = self.oracle.borrow_mut();
        for client in &mut self.clients {
            let socket = self.world.clients.get_mut(&(client.shard, client.conn)).expect("open");
            while let Some(frame) = socket.frames.pop_front() {
                if client.shaken {
                    client.hear(&frame, &mut oracle)?;
                } else {
                    client.shake(&frame, &mut oracle)?;
                }
            }
        }
        let world = &self.world;
        self.clients.retain(|c| world.clients[&(c.shard, c.conn)].hangup.is_none());
        Ok(())
    }

    fn submit(&mut self, rng: &mut Rng) -> Result<(), String> {
        for _ in 0..1 + rng.below(4) {
            let Some(write) = self.log.next_write() else { break };
            let (op, submitted) = (write.op, self.disk.submit(&write));
            match submitted {
                Ok(()) => self.in_flight.push(op),
                Err(errno) => return self.answer(Completion { op, result: Err(errno) }),
            }
        }
        Ok(())
    }

    fn complete(&mut self, rng: &mut Rng) -> Result<(), String> {
        if self.in_flight.is_empty() {
            return Ok(());
        }
        let op = self.in_flight.swap_remove(rng.below(self.in_flight.len()));
        let write = self.log.write_of(op).expect("under way");
        let bytes = write.blocks.len() * BLOCK_BYTES;
        let result = match rng.below(100) {
            0..4 => Ok(512 * (1 + rng.below(bytes / 512))),
            _ => Ok(bytes),
        };
        self.disk.finish(&write, result.unwrap_or(0));
        self.answer(Completion { op, result })
    }

    fn answer(&mut self, done: Completion) -> Result<(), String> {
        if let Some(token) = self.log.complete(done).map_err(|error| error.to_string())? {
            self.world.step_replica(replica::Input::Durable(token));
        }
        Ok(())
    }

    fn prepare(&mut self) -> Result<(), String> {
        let Some(order) = self.ordered.take().or_else(|| self.log.wants_segment()) else {
            return Ok(());
        };
        segment::prepare(&mut self.disk.clone(), order, &mut |_| {})
            .map_err(|error| error.to_string())?;
        self.log.segment_ready(order);
        Ok(())
    }

    /// Writes a snapshot that the replica asked for, some time after it did.
    fn snapshot(&mut self) -> Result<(), String> {
        let Some(job) = self.world.snapshots.pop() else { return Ok(()) };
        let mut disk = self.disk.clone();
        let result = match publish(&mut disk, self.identity, &job.image, &mut |_| {}) {
            Ok(published) => Ok((published.zxid, published.bytes)),
            Err(error) if error.is_full() => Err(()),
            Err(error) => return Err(error.to_string()),
        };
        let generation = job.generation;
        drop(job);
        self.world.step_replica(replica::Input::SnapshotDone { generation, result });
        Ok(())
    }

    fn purge(&mut self) -> Result<(), String> {
        let segment_bytes = CONFIG.log.segment_bytes;
        let keep = Keep { snapshots: 1, age_secs: None, bytes: None, segment_bytes };
        let segments = self.log.segments().to_vec();
        let purged =
            purge(&mut self.disk.clone(), keep, &segments, 0).map_err(|error| error.to_string())?;
        self.log.segments_removed_before(purged.first_segment);
        Ok(())
    }
}

impl Client {
    fn shake(&mut self, frame: &[u8], oracle: &mut Oracle) -> Result<(), String> {
        let response = ConnectResponse::decode(&mut Reader::new(frame)).expect("we wrote it");
        if response.timeout_ms == 0 {
            return Ok(());
        }
        let fresh = self.session == SessionId::NONE;
        if fresh && !oracle.sessions.insert(response.session.0) {
            return Err(format!("S3: session {} is given out twice", response.session));
        }
        self.session = response.session;
        self.shaken = true;
        Ok(())
    }

    fn hear(&mut self, frame: &[u8], oracle: &mut Oracle) -> Result<(), String> {
        let mut input = Reader::new(frame);
        let header = ReplyHeader::decode(&mut input).expect("we wrote it");
        oracle.shown = oracle.shown.max(header.zxid);
        if header.xid == Xid::EVENT {
            let event = WatcherEvent::decode(&mut input).expect("we wrote it");
            self.watched.remove(event.path.as_ref());
            return Ok(());
        }
        let (xid, op, read) = self.sent.pop_front().ok_or("S4: a reply that nobody asked for")?;
        if header.xid.0 != xid {
            return Err(format!("S4: reply {} in place of {xid} (op {op})", header.xid.0));
        }
        if header.zxid < self.zxid {
            return Err(format!("S5: zxid {} after {}", header.zxid, self.zxid));
        }
        self.zxid = header.zxid;
        if op == code::GetData && header.err == 0 {
            let _ = input.buffer().expect("getData has data");
            let stat = Stat::decode(&mut input).expect("getData has a Stat");
            return self.saw(read, stat.mzxid);
        }
        Ok(())
    }

    /// A watched znode must not be seen changed before its event.
    fn saw(&mut self, read: Option<(&'static str, bool)>, mzxid: Zxid) -> Result<(), String> {
        let (path, watch) = read.expect("a getData was for a path");
        if let Some(before) = self.watched.get(path)
            && *before < mzxid
        {
            let before = *before;
            return Err(format!("W1: {path}, watched at {before}, is at {mzxid} without an event"));
        }
        if watch {
            self.watched.insert(path.to_owned(), mzxid);
        }
        Ok(())
    }
}
