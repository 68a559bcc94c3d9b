//! The machine: [`Front`].

use std::net::IpAddr;
use std::sync::Arc;

use crate::front::pending::{Queue, Requests, Waiting};
use crate::front::{Input, Out, Output, Why, read, reply};
use crate::session::auth;
use crate::tree::{Change, Changes, OpResult, Tree};
use crate::types::limits::{REQUESTS_PER_CONN_MAX, SUBMISSIONS_PER_SHARD_MAX};
use crate::types::{ConnId, IdMap, Instant, Now, SessionId, ShardId, Xid, Zxid};
use crate::watch::Watches;
use crate::wire::ErrorCode;
use crate::wire::committed::{CommitBatch, Committed, Origin};
use crate::wire::jute::{Reader, Record};
use crate::wire::op::{self, code};
use crate::wire::request::{Class, Empty, Request, SyncRequest};
use crate::wire::submission::Identity;
use crate::wire::txn::{LoggedTxn, Txn};

/// What an operator may change of a front.
#[derive(Clone, Debug)]
pub struct Config {
    /// Which front this is.
    pub shard: ShardId,
    /// `tickTime` in milliseconds; sessions are reported to the replica every half of it.
    pub tick_ms: u32,
    /// Session timeouts are clamped to this range, in milliseconds.
    pub session_timeout_ms: (i32, i32),
    /// `globalOutstandingLimit`, this front's share: requests in process above which a connection
    /// that has one in process is not read.
    pub outstanding_max: usize,
    /// Who may do what.
    pub auth: auth::Config,
    /// `enforce.auth.schemes`: a connection needs an identity of one of these before anything but
    /// authentication; empty is off.
    pub enforce_schemes: Vec<String>,
    /// SASL for clients; `None`: there is none.
    pub sasl: Option<super::connect::SaslConfig>,
    /// `connection_throttle_tokens`: handshakes a connection may burst; 0 is off.
    pub throttle: super::connect::ThrottleConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            shard: ShardId(0),
            tick_ms: 3000,
            session_timeout_ms: (6000, 60_000),
            outstanding_max: 1000,
            auth: auth::Config::default(),
            enforce_schemes: Vec::new(),
            sasl: None,
            throttle: super::connect::ThrottleConfig::default(),
        }
    }
}

/// What a front counts. `reset` words of the operator start the counts anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Frames that clients sent.
    pub received: u64,
    /// Frames that clients were sent.
    pub sent: u64,
    /// Requests read and not yet answered.
    pub outstanding: u64,
    /// Connections with a handshake.
    pub connections: u64,
    /// Requests answered, and the sum, least and most of their latencies in nanoseconds.
    pub latency: Latency,
    /// Connections closed for bad bytes.
    pub malformed: u64,
    /// Handshakes of sessions that were over.
    pub stale_handshakes: u64,
    /// The last transaction applied here.
    pub zxid: Zxid,
}

/// Times from a request's arrival to its answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    /// How many.
    pub count: u64,
    /// Their sum in nanoseconds.
    pub sum_ns: u64,
    /// The shortest in nanoseconds.
    pub min_ns: u64,
    /// The longest in nanoseconds.
    pub max_ns: u64,
}

impl Latency {
    /// Adds one.
    pub fn add(&mut self, nanos: u64) {
        self.min_ns = if self.count == 0 { nanos } else { self.min_ns.min(nanos) };
        self.max_ns = self.max_ns.max(nanos);
        self.count += 1;
        self.sum_ns += nanos;
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// The slot is not in use.
    Free,
    /// The session is not decided yet; nothing more is read.
    Handshaking,
    /// Requests are served.
    Open,
    /// We have hung up; `Closed` will follow.
    Ending,
}

/// One client's connection. Small while idle: a server may hold very many.
#[derive(Debug)]
pub(super) struct Connection {
    pub generation: u32,
    pub state: State,
    /// The handshake had the trailing `readOnly` byte, so the answer has it too.
    pub read_only_byte: bool,
    /// Heard of since the last report.
    pub touched: bool,
    /// Was refused by [`Front::accepts`] and waits for a `Resume`.
    pub waiting: bool,
    pub timeout_ms: i32,
    pub session: SessionId,
    pub identities: Arc<[Identity]>,
    pub sasl: super::connect::Sasl,
    pub queue: Queue,
    pub queued: u32,
    pub info: ConnectionInfo,
}

/// What the operator is told of a connection (`cons`).
#[derive(Clone, Copy, Debug, Default)]
pub struct ConnectionInfo {
    /// Its session.
    pub session: SessionId,
    /// Its session's timeout in milliseconds.
    pub timeout_ms: i32,
    /// Requests read and not yet answered.
    pub queued: u32,
    /// Frames received and sent.
    pub received: u64,
    /// Frames sent.
    pub sent: u64,
    /// When the handshake was complete.
    pub established: Instant,
    /// The last request: xid, opcode.
    pub last_request: (Xid, i32),
    /// The last reply's zxid.
    pub last_zxid: i64,
    /// When the last reply left.
    pub last_reply: Instant,
    /// The last request's latency in nanoseconds.
    pub last_latency_ns: u64,
    /// All latencies of the connection.
    pub latency: Latency,
}

/// One core's clients, its tree and its watches. The type's module says how it is driven.
pub struct Front {
    pub(super) config: Config,
    pub(super) tree: Tree,
    pub(super) watches: Watches,
    pub(super) connections: Vec<Connection>,
    pub(super) sessions: IdMap<SessionId, ConnId>,
    pub(super) requests: Requests,
    pub(super) throttle: super::connect::Throttle,
    /// Submissions that the replica has not answered.
    submitted: usize,
    /// Requests with an xid above 0 in process, for the outstanding limit.
    outstanding: usize,
    /// Connections to reconsider when replies have left.
    waiting: Vec<ConnId>,
    touched: Vec<SessionId>,
    next_report: Instant,
    changes: Changes,
    pub(super) nobody: Arc<[Identity]>,
    pub(super) now: Now,
    pub(super) stats: Stats,
}

impl Front {
    /// A front over its own tree (`Replica::reader`).
    pub fn new(config: Config, tree: Tree, now: Now) -> Self {
        let throttle = super::connect::Throttle::new(&config.throttle, now.mono);
        Self {
            config,
            watches: Watches::new(tree.hash_key()),
            tree,
            connections: Vec::new(),
            sessions: IdMap::default(),
            requests: Requests::default(),
            throttle,
            submitted: 0,
            outstanding: 0,
            waiting: Vec::new(),
            touched: Vec::new(),
            next_report: now.mono,
            changes: Changes::default(),
            nobody: Arc::from([]),
            now,
            stats: Stats::default(),
        }
    }

    /// Takes one input and appends what follows from it to `out`.
    pub fn step(&mut self, now: Now, input: Input<'_>, out: &mut Out) {
        assert!(now.mono >= self.now.mono, "time went back");
        self.now = now;
        match input {
            Input::Connect { conn, peer, frame } => self.on_connect(conn, peer, frame, out),
            Input::Request { conn, frame } => self.on_request(conn, frame, out),
            Input::Closed(conn) => self.on_closed(conn),
            Input::Committed(batch) => self.on_committed(batch, out),
            Input::Reopened { conn, session, valid } => {
                self.on_reopened(conn, session, valid, out);
            }
            Input::Disown(conn) | Input::Moved(conn) => self.hangup(conn, Why::Moved, out),
            Input::Tick => self.on_tick(out),
        }
    }

    /// Whether the next frame of this connection may be handed over now. If not, the connection
    /// gets an [`Output::Resume`] later.
    pub fn accepts(&mut self, conn: ConnId) -> bool {
        let Some(connection) = self.connection(conn) else { return true };
        let accepts = match connection.state {
            // The frames of a connection that we hung up on are dropped.
            State::Free | State::Ending => return true,
            State::Handshaking => false,
            State::Open => {
                let limit = self.outstanding > self.config.outstanding_max;
                let queued = usize::try_from(connection.queued).expect("a u32 fits");
                !(limit && queued > 0)
                    && queued < REQUESTS_PER_CONN_MAX
                    && self.submitted < SUBMISSIONS_PER_SHARD_MAX
            }
        };
        if !accepts && !connection.waiting {
            let slot = usize::try_from(conn.slot).expect("a u32 fits");
            self.connections[slot].waiting = true;
            // One that is in its handshake is resumed when that is decided.
            self.waiting.push(conn);
        }
        accepts
    }

    /// A complete request of an open connection.
    fn on_request(&mut self, conn: ConnId, frame: &[u8], out: &mut Out) {
        let Some(connection) = self.connection_mut(conn) else { return };
        if connection.state != State::Open {
            assert!(connection.state == State::Ending, "a request in the middle of a handshake");
            return;
        }
        connection.info.received += 1;
        let Some((header, body)) = frame.split_at_checked(8) else {
            return self.malformed(conn, "a frame too short for a request", out);
        };
        let (xid, op) = header.split_at(4);
        let xid = Xid(i32::from_be_bytes(xid.try_into().expect("split at 4")));
        let op = i32::from_be_bytes(op.try_into().expect("split at 4 of 8"));
        connection.info.last_request = (xid, op);
        if !connection.touched {
            connection.touched = true;
            let session = connection.session;
            self.touched.push(session);
        }
        self.stats.received += 1;
        match op {
            code::Auth => self.on_auth(conn, xid, body, out),
            code::Sasl => self.on_sasl(conn, xid, body, out),
            _ if self.lacks_enforced_auth(conn) => {
                let error = ErrorCode::SessionClosedRequireSaslAuth;
                let hangup = Some(Why::AuthRefused);
                let xid = if op == code::Ping { Xid::PING } else { xid };
                self.ready(conn, (xid, op), Waiting::Ready { error, zxid: Some(0), hangup }, out);
            }
            code::Ping => {
                self.local(conn, (Xid::PING, op), &Request::Ping(Empty {}), body, out);
            }
            _ => self.on_operation(conn, (xid, op), body, out),
        }
    }

    /// Anything that has a row in the table of operations.
    fn on_operation(&mut self, conn: ConnId, id: (Xid, i32), body: &[u8], out: &mut Out) {
        let (_, op) = id;
        let class = op::class_of(op).filter(|class| *class != Class::Internal);
        let Some(class) = class else {
            let why = Some(Why::UnknownOp(op));
            let error = ErrorCode::Unimplemented;
            return self.ready(
                conn,
                id,
                Waiting::Ready { error, zxid: Some(-1), hangup: why },
                out,
            );
        };
        // Decoded before anything else: what cannot be decoded never becomes a transaction
        // (client-protocol 1.3, hazard).
        match Request::decode(op, &mut Reader::new(body)) {
            Err(_) => {
                let error = ErrorCode::MarshallingError;
                self.ready(conn, id, Waiting::Ready { error, zxid: None, hangup: None }, out);
            }
            // A sync is ordered behind what others have written, too.
            Ok(_) if class == Class::Ordered || op == code::Sync => {
                self.submit(conn, id, body, out);
            }
            Ok(request) => self.local(conn, id, &request, body, out),
        }
    }

    /// Sends a request on its way to the one order.
    fn submit(&mut self, conn: ConnId, (xid, op): (Xid, i32), body: &[u8], out: &mut Out) {
        let connection = self.connection(conn).expect("the caller has it");
        let session = connection.session;
        let identities = Arc::clone(&connection.identities);
        // A sync echoes its path; the others' replies come from their transactions.
        let kept = if op == code::Sync {
            SyncRequest::from_bytes(body).map(|request| request.to_bytes()).unwrap_or_default()
        } else {
            Vec::new()
        };
        self.queue(conn, (xid, op), Waiting::Ordered, &kept);
        let start = out.bytes.len();
        out.bytes.extend_from_slice(body);
        let body = start..out.bytes.len();
        out.list.push(Output::Submit { session, conn, xid, op, body, identities });
        self.submitted += 1;
    }

    /// Serves a read now, or behind what the connection still waits for.
    fn local(
        &mut self,
        conn: ConnId,
        id: (Xid, i32),
        request: &Request<'_>,
        body: &[u8],
        out: &mut Out,
    ) {
        let connection = self.connection(conn).expect("the caller has it");
        let identities = Arc::clone(&connection.identities);
        if connection.queue.is_empty() {
            self.serve(conn, id.0, &identities, request, out);
            self.answered(conn, self.now.mono);
        } else {
            self.queue(conn, id, Waiting::Local(identities), body);
        }
    }

    /// Answers with a bare header now, or behind what the connection still waits for.
    pub(super) fn ready(&mut self, conn: ConnId, id: (Xid, i32), waiting: Waiting, out: &mut Out) {
        self.ready_with(conn, id, waiting, &[], out);
    }

    /// The same with a body behind the header.
    pub(super) fn ready_with(
        &mut self,
        conn: ConnId,
        id: (Xid, i32),
        waiting: Waiting,
        body: &[u8],
        out: &mut Out,
    ) {
        self.queue(conn, id, waiting, body);
        let slot = usize::try_from(conn.slot).expect("a u32 fits");
        if self.connections[slot].queued == 1 {
            self.drain(conn, out);
        }
    }

    fn queue(&mut self, conn: ConnId, id: (Xid, i32), waiting: Waiting, body: &[u8]) {
        let slot = usize::try_from(conn.slot).expect("a u32 fits");
        let connection = &mut self.connections[slot];
        self.requests.push(&mut connection.queue, id, waiting, self.now.mono, body);
        connection.queued += 1;
        self.outstanding += usize::from(id.0.0 > 0);
    }

    /// Answers what has its turn, up to the next request that waits for the order.
    fn drain(&mut self, conn: ConnId, out: &mut Out) {
        loop {
            let Some(connection) = self.connection(conn) else { return };
            if connection.state != State::Open {
                return;
            }
            let queue = connection.queue;
            let Some(first) = self.requests.first(queue) else { return };
            let (id, since) = ((first.xid, first.op), first.since);
            match first.waiting.clone() {
                Waiting::Ordered => return,
                Waiting::Local(identities) => {
                    let body = self.requests.take_body(queue);
                    let request = Request::decode(id.1, &mut Reader::new(&body));
                    let request = request.expect("it was decoded when it came");
                    self.serve(conn, id.0, &identities, &request, out);
                    self.pop(conn, body);
                    self.answered(conn, since);
                }
                Waiting::Ready { error, zxid, hangup } => {
                    let zxid = zxid.unwrap_or(self.tree.last_zxid().0);
                    let body = self.requests.take_body(queue);
                    self.reply(conn, out, |bytes| {
                        reply::decided(bytes, id.0, zxid, error, &body);
                    });
                    self.pop(conn, body);
                    self.answered(conn, since);
                    if let Some(why) = hangup {
                        self.hangup(conn, why, out);
                    }
                }
            }
        }
    }

    /// Takes the first request of a connection off its queue.
    fn pop(&mut self, conn: ConnId, body: Vec<u8>) {
        let slot = usize::try_from(conn.slot).expect("a u32 fits");
        let connection = &mut self.connections[slot];
        let first = self.requests.first(connection.queue).expect("the caller has seen it");
        self.outstanding -= usize::from(first.xid.0 > 0);
        self.requests.pop(&mut connection.queue, body);
        connection.queued -= 1;
    }

    /// Serves a local operation.
    fn serve(
        &mut self,
        conn: ConnId,
        xid: Xid,
        identities: &Arc<[Identity]>,
        request: &Request<'_>,
        out: &mut Out,
    ) {
        let session = self.connection(conn).expect("the caller has it").session;
        let mut read = read::Read {
            tree: &self.tree,
            watches: &mut self.watches,
            auth: &self.config.auth,
            identities,
            conn,
            session,
        };
        let start = out.bytes.len();
        let frames = read.serve(xid, request, &mut out.bytes);
        let bytes = start..out.bytes.len();
        out.list.push(Output::Reply { conn, bytes });
        self.sent(conn, frames);
    }

    /// Appends one frame for a connection.
    pub(super) fn reply(&mut self, conn: ConnId, out: &mut Out, encode: impl FnOnce(&mut Vec<u8>)) {
        let start = out.bytes.len();
        encode(&mut out.bytes);
        out.list.push(Output::Reply { conn, bytes: start..out.bytes.len() });
        self.sent(conn, 1);
    }

    fn sent(&mut self, conn: ConnId, frames: u64) {
        self.stats.sent += frames;
        let zxid = self.tree.last_zxid().0;
        if let Some(connection) = self.connection_mut(conn) {
            connection.info.sent += frames;
            connection.info.last_zxid = zxid;
        }
    }

    fn answered(&mut self, conn: ConnId, since: Instant) {
        let now = self.now.mono;
        let nanos = now.nanos_since(since);
        self.stats.latency.add(nanos);
        if let Some(connection) = self.connection_mut(conn) {
            connection.info.last_reply = now;
            connection.info.last_latency_ns = nanos;
            connection.info.latency.add(nanos);
        }
    }

    /// Transactions became committed: our tree follows, watches fire, replies leave.
    fn on_committed(&mut self, batch: &CommitBatch, out: &mut Out) {
        for item in &batch.items {
            if item.is_sync() {
                self.on_synced(item, out);
            } else {
                self.on_transaction(batch, item, out);
            }
        }
        self.reconsider(out);
    }

    fn on_synced(&mut self, item: &Committed, out: &mut Out) {
        let origin = item.origin.filter(|origin| origin.shard == self.config.shard);
        let Some(origin) = origin else { return };
        assert!(item.zxid <= self.tree.last_zxid(), "a sync is behind what it waited for");
        self.submitted -= 1;
        let Some(body) = self.expects(origin.conn, origin.xid) else { return };
        let zxid = self.tree.last_zxid().0;
        self.reply(origin.conn, out, |bytes| reply::sync(bytes, origin.xid, zxid, &body));
        self.complete(origin.conn, body, out);
    }

    fn on_transaction(&mut self, batch: &CommitBatch, item: &Committed, out: &mut Out) {
        let logged = LoggedTxn::decode(batch.payload(item)).expect("the replica has decoded it");
        assert_eq!(item.zxid, self.tree.last_zxid().next(), "transactions are contiguous");
        let mut changes = std::mem::take(&mut self.changes);
        self.tree.follow(&logged.header, &logged.txn, batch.placed(item), &mut changes);
        // Events first: nobody may see the change before hearing of it.
        if crate::mutant!("reply-before-event") {
            self.answer(item, &logged, changes.results(), out);
        }
        for change in changes.iter() {
            self.on_change(item.zxid, &change, out);
        }
        if !crate::mutant!("reply-before-event") {
            self.answer(item, &logged, changes.results(), out);
        }
        self.changes = changes;
    }

    /// What a transaction means beyond the tree: sessions, and the reply of the one who asked.
    fn answer(
        &mut self,
        item: &Committed,
        logged: &LoggedTxn<'_>,
        results: &[OpResult],
        out: &mut Out,
    ) {
        let origin = item.origin.filter(|origin| origin.shard == self.config.shard);
        let session = logged.header.session;
        match &logged.txn {
            Txn::CreateSession(create) => {
                if let Some(origin) = origin {
                    self.on_session_created(origin.conn, session, create.timeout_ms, out);
                }
                return;
            }
            Txn::CloseSession(_) => self.on_session_closed(session, origin, out),
            _ => {}
        }
        let Some(origin) = origin else { return };
        self.submitted -= 1;
        let Some(body) = self.expects(origin.conn, origin.xid) else { return };
        let op = self.connection(origin.conn).map_or(0, |connection| {
            self.requests.first(connection.queue).expect("it is expected").op
        });
        let start = out.bytes.len();
        reply::committed(&mut out.bytes, origin.xid, op, logged, results);
        out.list.push(Output::Reply { conn: origin.conn, bytes: start..out.bytes.len() });
        self.sent(origin.conn, 1);
        if op == code::CloseSession {
            // What was sent behind it is not answered.
            self.hangup(origin.conn, Why::Finished, out);
        }
        self.complete(origin.conn, body, out);
    }

    /// The body kept for the request that heads the queue of an open connection, if there is such
    /// a connection; it must be the one with this xid.
    fn expects(&mut self, conn: ConnId, xid: Xid) -> Option<Vec<u8>> {
        let connection = self.connection(conn)?;
        if connection.state != State::Open {
            return None;
        }
        let queue = connection.queue;
        let first = self.requests.first(queue).expect("an answered request is queued");
        assert!(matches!(first.waiting, Waiting::Ordered), "the order answers what it was asked");
        assert_eq!(first.xid, xid, "answers come in the order of the requests");
        Some(self.requests.take_body(queue))
    }

    /// The head of the queue has its reply; what waited behind it has its turn.
    fn complete(&mut self, conn: ConnId, body: Vec<u8>, out: &mut Out) {
        let connection = self.connection(conn).expect("the caller has it");
        let since = self.requests.first(connection.queue).expect("it was expected").since;
        self.pop(conn, body);
        self.answered(conn, since);
        self.drain(conn, out);
    }

    /// Tells everybody who watches. One frame serves all watchers.
    fn on_change(&mut self, zxid: Zxid, change: &Change<'_>, out: &mut Out) {
        let mut told = 0;
        let mut bytes = 0..0;
        let (connections, tree, auth) = (&mut self.connections, &self.tree, &self.config.auth);
        self.watches.trigger(change, |conn| {
            let slot = usize::try_from(conn.slot).expect("a u32 fits");
            let Some(connection) = connections.get_mut(slot) else { return };
            if connection.generation != conn.generation || connection.state != State::Open {
                return;
            }
            if !read::allows(auth, tree, change.acl, auth::READ, &connection.identities) {
                return;
            }
            if told == 0 {
                let start = out.bytes.len();
                reply::event(&mut out.bytes, zxid.0, change.kind, change.path);
                bytes = start..out.bytes.len();
            }
            told += 1;
            connection.info.sent += 1;
            out.list.push(Output::Reply { conn, bytes: bytes.clone() });
        });
        self.stats.sent += told;
    }

    /// A session is over for everybody. Its connection ends silently, unless the close came from
    /// there.
    fn on_session_closed(&mut self, session: SessionId, origin: Option<Origin>, out: &mut Out) {
        let Some(conn) = self.sessions.remove(&session) else { return };
        if origin.is_none_or(|origin| origin.conn != conn) {
            self.hangup(conn, Why::SessionOver, out);
        }
    }

    /// The socket is gone: so are the connection's watches and waiting requests. Its session
    /// lives on until its time is over.
    fn on_closed(&mut self, conn: ConnId) {
        if self.connection(conn).is_none() {
            return;
        }
        let slot = usize::try_from(conn.slot).expect("a u32 fits");
        let connection = &mut self.connections[slot];
        let (_, outstanding) = self.requests.clear(&mut connection.queue);
        self.outstanding -= usize::try_from(outstanding).expect("a u32 fits");
        if connection.info.established != Instant(0) {
            self.stats.connections -= 1;
        }
        let session = connection.session;
        connection.state = State::Free;
        connection.identities = Arc::clone(&self.nobody);
        if self.sessions.get(&session) == Some(&conn) {
            self.sessions.remove(&session);
        }
        self.watches.drop_conn(conn);
    }

    /// Ends a connection: what was said before still leaves, nothing more is served.
    pub(super) fn hangup(&mut self, conn: ConnId, why: Why, out: &mut Out) {
        let Some(connection) = self.connection_mut(conn) else { return };
        if connection.state == State::Ending {
            return;
        }
        connection.state = State::Ending;
        self.watches.drop_conn(conn);
        out.list.push(Output::Hangup { conn, why });
    }

    pub(super) fn malformed(&mut self, conn: ConnId, what: &'static str, out: &mut Out) {
        self.stats.malformed += 1;
        self.hangup(conn, Why::Malformed(what), out);
    }

    fn on_tick(&mut self, out: &mut Out) {
        if self.now.mono >= self.next_report {
            self.next_report = self.now.mono.plus_millis(u64::from(self.config.tick_ms / 2));
            self.report_touches(out);
        }
        self.reconsider(out);
    }

    fn report_touches(&mut self, out: &mut Out) {
        if self.touched.is_empty() {
            return;
        }
        let start = out.touched.len();
        out.touched.extend_from_slice(&self.touched);
        for session in self.touched.drain(..) {
            if let Some(conn) = self.sessions.get(&session) {
                let slot = usize::try_from(conn.slot).expect("a u32 fits");
                self.connections[slot].touched = false;
            }
        }
        out.list.push(Output::Touch(start..out.touched.len()));
    }

    /// Lets connections go on that had to wait for replies to leave.
    fn reconsider(&mut self, out: &mut Out) {
        if self.waiting.is_empty() {
            return;
        }
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.retain(|conn| {
            let Some(connection) = self.connection_mut(*conn) else { return false };
            connection.waiting = false;
            let accepts = self.accepts(*conn);
            if accepts {
                out.list.push(Output::Resume(*conn));
            }
            // `accepts` has listed it anew if it still waits.
            false
        });
        waiting.append(&mut self.waiting);
        self.waiting = waiting;
    }

    pub(super) fn connection(&self, conn: ConnId) -> Option<&Connection> {
        let connection = self.connections.get(usize::try_from(conn.slot).ok()?)?;
        let live = connection.generation == conn.generation && connection.state != State::Free;
        live.then_some(connection)
    }

    pub(super) fn connection_mut(&mut self, conn: ConnId) -> Option<&mut Connection> {
        let connection = self.connections.get_mut(usize::try_from(conn.slot).ok()?)?;
        let live = connection.generation == conn.generation && connection.state != State::Free;
        live.then_some(connection)
    }

    /// The counters as they are.
    pub fn stats(&self) -> Stats {
        let outstanding = u64::try_from(self.outstanding).expect("a usize fits");
        Stats { outstanding, zxid: self.tree.last_zxid(), ..self.stats }
    }

    /// Starts the operator's counters anew (`srst`), and those of connections (`crst`).
    pub fn reset_stats(&mut self, server: bool, connections: bool) {
        if server {
            let Stats { connections, .. } = self.stats;
            self.stats = Stats { connections, ..Stats::default() };
        }
        if connections {
            for connection in &mut self.connections {
                connection.info.received = 0;
                connection.info.sent = 0;
                connection.info.latency = Latency::default();
            }
        }
    }

    /// Connections with a handshake, for the operator.
    pub fn connections(&self) -> impl Iterator<Item = (ConnId, ConnectionInfo)> {
        self.connections.iter().enumerate().filter(|(_, c)| c.state == State::Open).map(
            |(slot, c)| {
                let slot = u32::try_from(slot).expect("slots are u32");
                let info = ConnectionInfo {
                    session: c.session,
                    timeout_ms: c.timeout_ms,
                    queued: c.queued,
                    ..c.info
                };
                (ConnId { slot, generation: c.generation }, info)
            },
        )
    }

    /// This core's tree.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// This core's watches.
    pub fn watches(&self) -> &Watches {
        &self.watches
    }

    /// Where a client comes from, as an identity.
    pub(super) fn address_identity(peer: IpAddr) -> Identity {
        Identity { scheme: "ip".into(), id: auth::address_text(peer) }
    }
}
