//! The two machines of one server, joined by queues instead of cores and by a list instead of a
//! disk. Nothing happens but what a test lets happen.

use ringkeeper::front::{self, Front};
use ringkeeper::replica::{self, Recovery, Replica, SnapshotJob};
use ringkeeper::tree::{self, HashKey, Tree};
use ringkeeper::types::{
    ConnId, DurableUpTo, Generation, Instant, Now, SessionId, ShardId, WallTime, Xid, Zxid,
};
use ringkeeper::wire::committed::CommitBatch;
use ringkeeper::wire::submission::{Identity, Submission};
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

/// What a front tells the replica.
#[derive(Clone, Debug)]
pub enum ToReplica {
    Submit {
        shard: ShardId,
        session: SessionId,
        conn: ConnId,
        xid: Xid,
        op: i32,
        body: Vec<u8>,
        identities: Arc<[Identity]>,
    },
    OpenSession {
        shard: ShardId,
        conn: ConnId,
        timeout_ms: i32,
    },
    Reopen {
        shard: ShardId,
        conn: ConnId,
        session: SessionId,
        timeout_ms: i32,
    },
    Touch(Vec<SessionId>),
}

/// What the replica tells a front.
#[derive(Clone, Debug)]
pub enum ToFront {
    Committed(Arc<CommitBatch>),
    Reopened { conn: ConnId, session: SessionId, valid: bool },
    Disown(ConnId),
    Moved(ConnId),
}

/// What a client of the world has been sent.
#[derive(Debug, Default)]
pub struct Client {
    /// Whole frames, without their lengths.
    pub frames: VecDeque<Vec<u8>>,
    /// Why we hung up, if we did.
    pub hangup: Option<front::Why>,
    /// Frames that the front did not accept yet.
    pub backlog: VecDeque<Vec<u8>>,
    /// Whether the first frame was handed over.
    pub greeted: bool,
}

/// One server without its engine.
pub struct World {
    pub now: Now,
    pub replica: Replica,
    pub fronts: Vec<Front>,
    pub to_replica: VecDeque<ToReplica>,
    pub to_front: Vec<VecDeque<ToFront>>,
    /// Appended entries that are not durable yet.
    pub log: VecDeque<(Zxid, Generation, Vec<u8>)>,
    /// Durable entries.
    pub disk: Vec<(Zxid, Vec<u8>)>,
    pub snapshots: Vec<SnapshotJob>,
    pub clients: BTreeMap<(ShardId, ConnId), Client>,
    next_conn: u32,
    replica_out: replica::Out,
    front_out: front::Out,
}

/// When a world begins.
pub const START: Now = Now { mono: Instant::from_millis(1000), wall: WallTime(1_700_000_000_000) };

impl World {
    /// A fresh server.
    pub fn new(config: replica::Config, front: front::Config, shards: u16) -> Self {
        let tree = Tree::new(tree::Config::default(), HashKey([7, 7]));
        Self::start(Recovery::new(config, tree), front, shards, START)
    }

    /// A server that was recovered from what a disk held.
    pub fn start(recovery: Recovery, front: front::Config, shards: u16, now: Now) -> Self {
        let mut replica = recovery.finish(now, Generation(1));
        let fronts = (0..shards)
            .map(|shard| {
                let config = front::Config { shard: ShardId(shard), ..front.clone() };
                Front::new(config, replica.reader(), now)
            })
            .collect();
        Self {
            now,
            replica,
            fronts,
            to_replica: VecDeque::new(),
            to_front: vec![VecDeque::new(); usize::from(shards)],
            log: VecDeque::new(),
            disk: Vec::new(),
            snapshots: Vec::new(),
            clients: BTreeMap::new(),
            next_conn: 0,
            replica_out: replica::Out::default(),
            front_out: front::Out::default(),
        }
    }

    /// A new socket; nothing is sent yet.
    pub fn open(&mut self, shard: ShardId) -> ConnId {
        self.next_conn += 1;
        let conn = ConnId { slot: self.next_conn, generation: self.next_conn };
        self.clients.insert((shard, conn), Client::default());
        conn
    }

    /// A client sends a frame.
    pub fn receive(&mut self, shard: ShardId, conn: ConnId, frame: &[u8]) {
        let client = self.clients.get_mut(&(shard, conn)).expect("the socket is open");
        client.backlog.push_back(frame.to_vec());
        self.read(shard, conn);
    }

    /// The client's socket breaks.
    pub fn close(&mut self, shard: ShardId, conn: ConnId) {
        self.step_front(shard, front::Input::Closed(conn));
    }

    /// Hands over what the front accepts.
    fn read(&mut self, shard: ShardId, conn: ConnId) {
        loop {
            let index = usize::from(shard.0);
            let Some(client) = self.clients.get_mut(&(shard, conn)) else { return };
            if client.hangup.is_some() || client.backlog.is_empty() {
                return;
            }
            let first = !client.greeted;
            if !first && !self.fronts[index].accepts(conn) {
                return;
            }
            client.greeted = true;
            let frame = client.backlog.pop_front().expect("it was not empty");
            let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
            let input = if first {
                front::Input::Connect { conn, peer, frame: &frame }
            } else {
                front::Input::Request { conn, frame: &frame }
            };
            self.step_front(shard, input);
        }
    }

    /// One step of a front, and what it asks for.
    pub fn step_front(&mut self, shard: ShardId, input: front::Input<'_>) {
        let index = usize::from(shard.0);
        let mut out = std::mem::take(&mut self.front_out);
        self.fronts[index].step(self.now, input, &mut out);
        let mut resumed = Vec::new();
        for output in out.list.drain(..) {
            match output {
                front::Output::Reply { conn, bytes } => {
                    let mut rest = &out.bytes[bytes];
                    let client = self.clients.get_mut(&(shard, conn)).expect("it is open");
                    while let Some((length, tail)) = rest.split_first_chunk::<4>() {
                        let length = usize::try_from(i32::from_be_bytes(*length)).unwrap();
                        client.frames.push_back(tail[..length].to_vec());
                        rest = &tail[length..];
                    }
                    assert!(rest.is_empty(), "a reply is whole frames");
                }
                front::Output::Hangup { conn, why } => {
                    let client = self.clients.get_mut(&(shard, conn)).expect("it is open");
                    assert!(client.hangup.is_none(), "one hang-up is enough");
                    client.hangup = Some(why);
                    resumed.push((conn, true));
                }
                front::Output::Resume(conn) => resumed.push((conn, false)),
                front::Output::Submit { session, conn, xid, op, body, identities } => {
                    let body = out.bytes[body].to_vec();
                    self.to_replica.push_back(ToReplica::Submit {
                        shard,
                        session,
                        conn,
                        xid,
                        op,
                        body,
                        identities,
                    });
                }
                front::Output::OpenSession { conn, timeout_ms } => {
                    self.to_replica.push_back(ToReplica::OpenSession { shard, conn, timeout_ms })
                }
                front::Output::Reopen { conn, session, timeout_ms } => self
                    .to_replica
                    .push_back(ToReplica::Reopen { shard, conn, session, timeout_ms }),
                front::Output::Touch(range) => {
                    self.to_replica.push_back(ToReplica::Touch(out.touched[range].to_vec()));
                }
            }
        }
        out.clear();
        self.front_out = out;
        for (conn, hung_up) in resumed {
            if hung_up {
                self.close(shard, conn);
            } else {
                self.read(shard, conn);
            }
        }
    }

    /// One step of the replica, and what it asks for.
    pub fn step_replica(&mut self, input: replica::Input<'_>) {
        let mut out = std::mem::take(&mut self.replica_out);
        self.replica.step(self.now, input, &mut out);
        for output in out.list.drain(..) {
            match output {
                replica::Output::Append { zxid, generation, payload } => {
                    self.log.push_back((zxid, generation, out.bytes[payload].to_vec()));
                }
                replica::Output::Reopened { shard, conn, session, valid } => self.to_front
                    [usize::from(shard.0)]
                .push_back(ToFront::Reopened { conn, session, valid }),
                replica::Output::Disown { shard, conn } => {
                    self.to_front[usize::from(shard.0)].push_back(ToFront::Disown(conn));
                }
                replica::Output::Moved { shard, conn } => {
                    self.to_front[usize::from(shard.0)].push_back(ToFront::Moved(conn));
                }
                replica::Output::Snapshot(job) => self.snapshots.push(*job),
            }
        }
        if !out.batch.is_empty() {
            let batch = Arc::new(out.batch.clone());
            for queue in &mut self.to_front {
                queue.push_back(ToFront::Committed(Arc::clone(&batch)));
            }
        }
        out.clear();
        self.replica_out = out;
    }

    /// The next message to the replica arrives. False if there is none.
    pub fn deliver_to_replica(&mut self) -> bool {
        let Some(message) = self.to_replica.pop_front() else { return false };
        match &message {
            ToReplica::Submit { shard, session, conn, xid, op, body, identities } => {
                let submission = Submission {
                    session: *session,
                    shard: *shard,
                    conn: *conn,
                    xid: *xid,
                    op: *op,
                    body,
                    identities,
                };
                self.step_replica(replica::Input::Submit(submission));
            }
            ToReplica::OpenSession { shard, conn, timeout_ms } => {
                let (shard, conn, timeout_ms) = (*shard, *conn, *timeout_ms);
                self.step_replica(replica::Input::OpenSession { shard, conn, timeout_ms });
            }
            ToReplica::Reopen { shard, conn, session, timeout_ms } => {
                let (shard, conn, session) = (*shard, *conn, *session);
                let timeout_ms = *timeout_ms;
                self.step_replica(replica::Input::Reopen { shard, conn, session, timeout_ms });
            }
            ToReplica::Touch(sessions) => self.step_replica(replica::Input::Touch(sessions)),
        }
        true
    }

    /// The next message to a front arrives. False if there is none.
    pub fn deliver_to_front(&mut self, shard: ShardId) -> bool {
        let index = usize::from(shard.0);
        let Some(message) = self.to_front[index].pop_front() else { return false };
        match message {
            ToFront::Committed(batch) => {
                self.step_front(shard, front::Input::Committed(&batch));
            }
            ToFront::Reopened { conn, session, valid } => {
                self.step_front(shard, front::Input::Reopened { conn, session, valid });
            }
            ToFront::Disown(conn) => self.step_front(shard, front::Input::Disown(conn)),
            ToFront::Moved(conn) => self.step_front(shard, front::Input::Moved(conn)),
        }
        true
    }

    /// Everything that was said arrives, and what follows from it.
    pub fn settle(&mut self) {
        loop {
            let mut moved = self.deliver_to_replica();
            for shard in 0..self.fronts.len() {
                moved |= self.deliver_to_front(ShardId(u16::try_from(shard).unwrap()));
            }
            if !moved {
                return;
            }
        }
    }

    /// The first `count` appended entries become durable.
    pub fn sync(&mut self, count: usize) {
        let mut last = None;
        for _ in 0..count {
            let Some((zxid, generation, payload)) = self.log.pop_front() else { break };
            self.disk.push((zxid, payload));
            last = Some((zxid, generation));
        }
        if let Some((zxid, generation)) = last {
            let token = DurableUpTo::confirmed_by_disk(zxid, generation);
            self.step_replica(replica::Input::Durable(token));
        }
    }

    /// Lets everything happen that can happen without time.
    pub fn quiesce(&mut self) {
        self.settle();
        while !self.log.is_empty() {
            self.sync(usize::MAX);
            self.settle();
        }
    }

    /// Time passes, in quarters of a tick, with everything happening at once.
    pub fn pass(&mut self, millis: u64, tick_ms: u32) {
        let until = self.now.mono.plus_millis(millis);
        while self.now.mono < until {
            let step = u64::from(tick_ms / 4).min((until - self.now.mono).as_millis() as u64);
            self.now.mono = self.now.mono.plus_millis(step);
            self.now.wall.0 += i64::try_from(step).unwrap();
            for shard in 0..self.fronts.len() {
                self.step_front(ShardId(u16::try_from(shard).unwrap()), front::Input::Tick);
            }
            self.settle();
            self.step_replica(replica::Input::Tick);
            self.quiesce();
        }
    }
}
