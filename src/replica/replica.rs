//! The machine: [`Replica`].

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use crate::prep;
use crate::replica::{Input, Out, Output};
use crate::session::tracker::Standing;
use crate::session::{Owner, Tracker};
use crate::tree::{Changes, Image, ReapRules, Tree};
use crate::types::{
    ConnId, DurableUpTo, Generation, Instant, Now, ServerId, SessionId, ShardId, WallTime, Xid,
    Zxid,
};
use crate::wire::committed::{CommitBatch, Origin, Placed};
use crate::wire::op::code;
use crate::wire::submission::{Identity, Submission};
use crate::wire::txn::{LoggedTxn, Txn};
use crate::zab::{Proposal, Proposals, Quorum};

/// Sessions closed for their silence in one step. A storm of expiries comes in pieces, and
/// heartbeats between them.
const EXPIRIES_PER_STEP_MAX: usize = 256;

/// Containers and TTL znodes that the reaper looks at in one step.
const REAP_STEPS_MAX: u32 = 1024;

/// What an operator may change of a replica.
#[derive(Clone, Debug)]
pub struct Config {
    /// `server.N`; standalone is 1. Goes into the top byte of session ids.
    pub server: ServerId,
    /// `tickTime` in milliseconds: the grain of session expiry.
    pub tick_ms: u32,
    /// Rules of preparing transactions.
    pub prep: prep::Config,
    /// `snapCount`: transactions after which a snapshot is taken, once the log is also as large
    /// as the last snapshot.
    pub snap_count: u64,
    /// `snapSizeLimitInKb` in bytes: log bytes after which a snapshot is taken in any case.
    pub snap_log_bytes: u64,
    /// `znode.container.checkIntervalMs`: how often the reaper looks.
    pub reap_interval_ms: u64,
    /// `znode.container.maxPerMinute`: how many znodes the reaper deletes in a minute.
    pub reap_per_minute_max: u64,
    /// `znode.container.maxNeverUsedIntervalMs`: age at which a container that never had a child
    /// goes; 0 is never.
    pub reap_never_used_ms: i64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            server: ServerId(1),
            tick_ms: 3000,
            prep: prep::Config::default(),
            snap_count: 100_000,
            snap_log_bytes: 4 << 30,
            reap_interval_ms: 60_000,
            reap_per_minute_max: 10_000,
            reap_never_used_ms: 0,
        }
    }
}

/// A snapshot to write in the background: an exact image, sessions included.
pub struct SnapshotJob {
    /// For [`Input::SnapshotDone`].
    pub generation: Generation,
    /// Tree and sessions at `zxid`.
    pub image: Image,
    /// The last transaction in it.
    pub zxid: Zxid,
}

impl fmt::Debug for SnapshotJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SnapshotJob").field("zxid", &self.zxid).finish_non_exhaustive()
    }
}

/// What a replica counts; never reset by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Transactions committed since the start.
    pub committed: u64,
    /// Transactions proposed and not yet committed.
    pub outstanding: u64,
    /// Sessions closed for their silence.
    pub expired: u64,
    /// Sessions there are.
    pub sessions: u64,
    /// Times that the session clock stood still because the server did.
    pub stalls: u64,
    /// Snapshots published.
    pub snapshots: u64,
    /// Transactions whose digest was not the predicted one. Anything but 0 is our bug.
    pub digest_mismatches: u64,
    /// Size of the last, the smallest and the largest proposal, in bytes.
    pub proposal_bytes: (u64, u64, u64),
    /// The last committed transaction.
    pub zxid: Zxid,
}

/// The server's state as it is rebuilt from a snapshot and the log behind it.
pub struct Recovery {
    config: Config,
    tree: Tree,
    changes: Changes,
    placed: Vec<Placed>,
    largest_session: i64,
    mismatches: u64,
}

impl Recovery {
    /// From a snapshot's tree, or a fresh one.
    pub fn new(config: Config, tree: Tree) -> Self {
        let largest_session = tree.sessions().map(|(id, _)| id.0).max().unwrap_or(0);
        Self {
            config,
            tree,
            changes: Changes::default(),
            placed: Vec::new(),
            largest_session,
            mismatches: 0,
        }
    }

    /// The last transaction that is in.
    pub fn last_zxid(&self) -> Zxid {
        self.tree.last_zxid()
    }

    /// Applies the next entry of the log. An entry that is no transaction is damage that no
    /// checksum caught: the caller must not go on.
    pub fn replay(&mut self, payload: &[u8]) -> Result<(), &'static str> {
        let logged = LoggedTxn::decode(payload).map_err(|_| "an entry is no transaction")?;
        if logged.header.zxid != self.tree.last_zxid().next() {
            return Err("an entry's zxid does not follow the one before");
        }
        self.placed.clear();
        self.tree.apply(&logged.header, &logged.txn, &mut self.placed, &mut self.changes);
        self.largest_session = self.largest_session.max(logged.header.session.0);
        if logged.digest.is_some_and(|digest| digest != self.tree.digest()) {
            self.mismatches += 1;
            log::error!(
                "the digest after {} differs from the one in the log: this state was computed \
                 differently when it was written",
                logged.header.zxid
            );
        }
        Ok(())
    }

    /// The machine, ready to serve. Every session starts with a full timeout.
    pub fn finish(self, now: Now, generation: Generation) -> Replica {
        let Self { config, tree, changes, largest_session, mismatches, .. } = self;
        let last = tree.last_zxid();
        let mut tracker = Tracker::new(config.tick_ms);
        tracker.advance(now.mono);
        for (session, timeout_ms) in tree.sessions() {
            tracker.add(session, timeout_ms, None);
        }
        let quorum = Quorum::majority(vec![config.server]);
        let by_clock = first_session(config.server, now.wall);
        let next_session = if crate::mutant!("session-ids-by-clock-alone") {
            by_clock
        } else {
            by_clock.max(largest_session + 1)
        };
        let nobody: Arc<[Identity]> = Arc::from([]);
        Replica {
            tree,
            pending: prep::Pending::default(),
            tracker,
            proposals: Proposals::new(config.server, quorum, generation, last),
            generation,
            syncs: VecDeque::new(),
            changes,
            next_session: SessionId(next_session),
            snapshot: SnapshotState::default(),
            reaper: Reaper {
                next_scan: now.mono.plus_millis(config.reap_interval_ms),
                from: 0,
                next_delete: now.mono,
                paths: VecDeque::new(),
            },
            over: Vec::new(),
            nobody,
            now,
            stats: Stats { digest_mismatches: mismatches, zxid: last, ..Stats::default() },
            config,
        }
    }
}

/// `((ms << 24) >>> 8) | (server << 56)` (`SessionTrackerImpl.initializeNextSessionId`).
fn first_session(server: ServerId, wall: WallTime) -> i64 {
    let millis = wall.0.cast_unsigned();
    let id = (((millis << 24) >> 8) | (server.0.cast_unsigned() << 56)).cast_signed();
    // The smallest number marks containers.
    if id == i64::MIN { id + 1 } else { id }
}

/// When the next snapshot is due.
#[derive(Debug, Default)]
struct SnapshotState {
    /// Asked for and not answered.
    running: Option<Generation>,
    asked: u64,
    txns_since: u64,
    log_bytes_since: u64,
    last_bytes: u64,
}

/// Deletes containers and TTL znodes that may go (client-protocol section 9).
#[derive(Debug)]
struct Reaper {
    next_scan: Instant,
    /// Where the scan goes on; 0 is the beginning.
    from: u32,
    next_delete: Instant,
    paths: VecDeque<String>,
}

/// One server's side of the ensemble. The type's module says how it is driven.
pub struct Replica {
    config: Config,
    /// What is committed.
    tree: Tree,
    /// What will be, once the outstanding proposals are committed.
    pending: prep::Pending,
    tracker: Tracker,
    proposals: Proposals,
    generation: Generation,
    /// Syncs, released when the proposals before them are committed.
    syncs: VecDeque<(Zxid, Origin)>,
    changes: Changes,
    next_session: SessionId,
    snapshot: SnapshotState,
    reaper: Reaper,
    over: Vec<SessionId>,
    nobody: Arc<[Identity]>,
    now: Now,
    stats: Stats,
}

impl Replica {
    /// Takes one input and appends what follows from it to `out`.
    pub fn step(&mut self, now: Now, input: Input<'_>, out: &mut Out) {
        assert!(now.mono >= self.now.mono, "time went back");
        self.now = now;
        self.tracker.advance(now.mono);
        match input {
            Input::Submit(submission) => self.on_submit(&submission, out),
            Input::OpenSession { shard, conn, timeout_ms } => {
                self.on_open_session(Owner { shard, conn }, timeout_ms, out);
            }
            Input::Reopen { shard, conn, session, timeout_ms } => {
                self.on_reopen(Owner { shard, conn }, session, timeout_ms, out);
            }
            Input::Touch(sessions) => sessions.iter().for_each(|id| self.tracker.touch(*id)),
            Input::Durable(token) => self.on_durable(token, out),
            Input::SnapshotDone { generation, result } => {
                self.on_snapshot_done(generation, result);
            }
            Input::Tick => self.on_tick(out),
        }
        self.check();
    }

    /// A request from one of our fronts. Silence is an answer: a session whose close is under way
    /// hears nothing more, and its connection ends when the close is committed.
    fn on_submit(&mut self, submission: &Submission<'_>, out: &mut Out) {
        let owner = Owner { shard: submission.shard, conn: submission.conn };
        match self.tracker.standing(submission.session, owner) {
            Standing::Owner => {}
            Standing::Closing => return,
            Standing::Elsewhere | Standing::Unknown => {
                let Owner { shard, conn } = owner;
                return out.list.push(Output::Moved { shard, conn });
            }
        }
        self.tracker.touch(submission.session);
        let origin = Origin { shard: submission.shard, conn: submission.conn, xid: submission.xid };
        match submission.op {
            code::Sync => self.on_sync(origin, out),
            code::CloseSession => {
                self.tracker.set_closing(submission.session);
                self.propose(submission, Some(origin), out);
            }
            _ => self.propose(submission, Some(origin), out),
        }
    }

    /// Answered when everything that was proposed before it is committed here.
    fn on_sync(&mut self, origin: Origin, out: &mut Out) {
        if self.proposals.is_empty() {
            out.batch.push_sync(self.proposals.committed(), origin);
        } else {
            self.syncs.push_back((self.proposals.last(), origin));
        }
    }

    fn on_open_session(&mut self, owner: Owner, timeout_ms: i32, out: &mut Out) {
        let session = self.next_session;
        self.next_session = SessionId(session.0 + 1);
        self.tracker.add(session, timeout_ms, Some(owner));
        let identities = Arc::clone(&self.nobody);
        let submission = Submission {
            session,
            shard: owner.shard,
            conn: owner.conn,
            xid: Xid(0),
            op: code::CreateSession,
            body: &timeout_ms.to_be_bytes(),
            identities: &identities,
        };
        let origin = Origin { shard: owner.shard, conn: owner.conn, xid: Xid(0) };
        self.propose(&submission, Some(origin), out);
    }

    fn on_reopen(&mut self, owner: Owner, session: SessionId, timeout_ms: i32, out: &mut Out) {
        let reopened = self.tracker.reopen(session, timeout_ms, owner);
        if let Some(Some(before)) = reopened {
            out.list.push(Output::Disown { shard: before.shard, conn: before.conn });
        }
        let Owner { shard, conn } = owner;
        let valid = reopened.is_some();
        out.list.push(Output::Reopened { shard, conn, session, valid });
    }

    /// Makes a transaction of a request and starts its way: log, quorum, commit.
    fn propose(&mut self, submission: &Submission<'_>, origin: Option<Origin>, out: &mut Out) {
        let zxid = self.proposals.last().next();
        let start = out.bytes.len();
        prep::prepare(
            &prep::View { tree: &self.tree, config: &self.config.prep },
            &mut self.pending,
            submission,
            zxid,
            self.now.wall,
            &mut out.bytes,
        );
        let payload = start..out.bytes.len();
        assert!(!payload.is_empty(), "every transaction has a header");
        self.proposals.propose(zxid, origin, &out.bytes[payload.clone()]);
        let bytes = u64::try_from(payload.len()).expect("a usize fits");
        let (_, min, max) = self.stats.proposal_bytes;
        let min = if min == 0 { bytes } else { min.min(bytes) };
        self.stats.proposal_bytes = (bytes, min, max.max(bytes));
        out.list.push(Output::Append { zxid, generation: self.generation, payload });
    }

    fn on_durable(&mut self, token: DurableUpTo, out: &mut Out) {
        self.proposals.on_durable(token);
        while let Some(proposal) = self.proposals.next_committed() {
            self.commit(&proposal, &mut out.batch);
            self.proposals.recycle(proposal);
            self.release_syncs(&mut out.batch);
        }
        self.start_snapshot(out);
    }

    fn release_syncs(&mut self, batch: &mut CommitBatch) {
        let committed = self.proposals.committed();
        while self.syncs.front().is_some_and(|(zxid, _)| *zxid <= committed) {
            let (_, origin) = self.syncs.pop_front().expect("it has a front");
            batch.push_sync(committed, origin);
        }
    }

    /// Applies a committed proposal to our tree and puts it into the batch for the fronts.
    fn commit(&mut self, proposal: &Proposal, batch: &mut CommitBatch) {
        let logged = LoggedTxn::decode(&proposal.payload).expect("prep encodes what it decodes");
        assert_eq!(logged.header.zxid, proposal.zxid, "a proposal carries its own zxid");
        let placed = batch.placed.len();
        self.tree.apply(&logged.header, &logged.txn, &mut batch.placed, &mut self.changes);
        self.pending.retire(proposal.zxid);
        if matches!(logged.txn, Txn::CloseSession(_)) {
            self.tracker.remove(logged.header.session);
        }
        if logged.digest.is_some_and(|digest| digest != self.tree.digest()) {
            self.stats.digest_mismatches += 1;
            log::error!("the digest after {} is not the one predicted", proposal.zxid);
        }
        batch.push(proposal.zxid, proposal.origin, &proposal.payload, placed);
        self.stats.committed += 1;
        self.stats.zxid = proposal.zxid;
        self.snapshot.txns_since += 1;
        self.snapshot.log_bytes_since +=
            u64::try_from(proposal.payload.len()).expect("a usize fits");
    }

    /// A snapshot is due when `snapCount` is reached and the log is worth it (design 7.6).
    fn start_snapshot(&mut self, out: &mut Out) {
        let state = &self.snapshot;
        let counted =
            state.txns_since >= self.config.snap_count && state.log_bytes_since >= state.last_bytes;
        let large = state.log_bytes_since >= self.config.snap_log_bytes;
        if state.running.is_some() || !(counted || large) {
            return;
        }
        self.snapshot.asked += 1;
        let generation = Generation(self.snapshot.asked);
        let zxid = self.proposals.committed();
        self.snapshot.running = Some(generation);
        self.snapshot.txns_since = 0;
        self.snapshot.log_bytes_since = 0;
        let image = self.tree.freeze();
        let job = SnapshotJob { generation, image, zxid };
        out.list.push(Output::Snapshot(Box::new(job)));
    }

    fn on_snapshot_done(&mut self, generation: Generation, result: Result<(Zxid, u64), ()>) {
        if self.snapshot.running != Some(generation) {
            return;
        }
        self.snapshot.running = None;
        if let Ok((_, bytes)) = result {
            self.snapshot.last_bytes = bytes;
            self.stats.snapshots += 1;
        }
    }

    fn on_tick(&mut self, out: &mut Out) {
        self.expire(out);
        self.reap(out);
    }

    fn expire(&mut self, out: &mut Out) {
        let mut over = std::mem::take(&mut self.over);
        if self.proposals.has_room() {
            self.tracker.expired(EXPIRIES_PER_STEP_MAX, &mut over);
        }
        for session in over.drain(..) {
            if self.tracker.set_closing(session) {
                log::info!("Expiring session {session}");
                self.stats.expired += 1;
                self.propose_own(session, code::CloseSession, &[], out);
            }
        }
        self.over = over;
    }

    /// Deletes at most one znode a call, spaced as `znode.container.maxPerMinute` asks.
    fn reap(&mut self, out: &mut Out) {
        let now = self.now.mono;
        if now >= self.reaper.next_scan && self.reaper.paths.is_empty() {
            self.scan();
        }
        if now < self.reaper.next_delete || !self.proposals.has_room() {
            return;
        }
        if let Some(path) = self.reaper.paths.pop_front() {
            let pause = 60_000 / self.config.reap_per_minute_max.max(1);
            self.reaper.next_delete = now.plus_millis(pause);
            log::info!("Attempting to delete candidate container: {path}");
            let mut body = Vec::with_capacity(4 + path.len());
            let length = i32::try_from(path.len()).expect("paths fit a frame");
            body.extend_from_slice(&length.to_be_bytes());
            body.extend_from_slice(path.as_bytes());
            self.propose_own(SessionId::NONE, code::DeleteContainer, &body, out);
        }
    }

    /// Looks at the next containers and TTL znodes. A scan that is not through goes on in the next
    /// step.
    fn scan(&mut self) {
        let rules = ReapRules { now: self.now.wall, never_used_ms: self.config.reap_never_used_ms };
        let (tree, paths) = (&self.tree, &mut self.reaper.paths);
        let next = tree.reap_candidates(self.reaper.from, REAP_STEPS_MAX, rules, |id| {
            let mut path = String::new();
            tree.path(id, &mut path);
            paths.push_back(path);
        });
        self.reaper.from = next.unwrap_or(0);
        if next.is_none() {
            let period = self.config.reap_interval_ms.max(1);
            self.reaper.next_scan = self.now.mono.plus_millis(period);
        }
    }

    /// Proposes what no client asked for.
    fn propose_own(&mut self, session: SessionId, op: i32, body: &[u8], out: &mut Out) {
        let identities = Arc::clone(&self.nobody);
        let submission = Submission {
            session,
            shard: ShardId(0),
            conn: ConnId::NONE,
            xid: Xid(0),
            op,
            body,
            identities: &identities,
        };
        self.propose(&submission, None, out);
    }

    /// What holds after every step.
    fn check(&self) {
        assert!(self.proposals.committed() == self.tree.last_zxid());
        assert!(self.syncs.is_empty() || !self.proposals.is_empty());
    }

    /// Step with `Tick` no later than this, and at least four times a tick.
    pub fn wake_at(&self) -> Instant {
        let quarter = self.now.mono.plus_millis(u64::from(self.config.tick_ms).div_ceil(4));
        let reap = if self.reaper.paths.is_empty() {
            self.reaper.next_scan
        } else {
            self.reaper.next_delete
        };
        quarter.min(reap.max(self.now.mono.plus_millis(1)))
    }

    /// Whether the disk or a quorum is being waited for.
    pub fn has_outstanding(&self) -> bool {
        !self.proposals.is_empty()
    }

    /// A front's own tree, equal to ours now. Call it once for each front before the first step.
    pub fn reader(&mut self) -> Tree {
        self.tree.reader()
    }

    /// What is committed here.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// The last transaction that was proposed.
    pub fn last_proposed(&self) -> Zxid {
        self.proposals.last()
    }

    /// Every session: id, timeout in milliseconds, milliseconds until it is over.
    pub fn sessions(&self) -> impl Iterator<Item = (SessionId, i32, u64)> {
        self.tracker.iter()
    }

    /// The counters as they are.
    pub fn stats(&self) -> Stats {
        Stats {
            outstanding: u64::try_from(self.proposals.len()).expect("a usize fits"),
            sessions: u64::try_from(self.tracker.len()).expect("a usize fits"),
            stalls: self.tracker.stalls(),
            ..self.stats
        }
    }
}
