//! Answers to operators' words: each core tells its part, the one that was asked puts them
//! together.
//!
//! Nothing is counted for this on the path of a request beside what the machines count anyway;
//! a word costs what it shows, when it is asked.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering as Memory};

use jiff::tz::TimeZone;

use super::clients::Clients;
use crate::admin::stats::{
    ConnectionRow, ConnectionSession, Counter, MinMaxAvg, Mode, Part, SessionRow, Settings,
    Snapshot, last_op_name,
};
use crate::admin::{Effect, WhiteList, Word, answer, environment};
use crate::front::{ConnectionInfo, Front, Latency};
use crate::replica::Replica;
use crate::types::{ConnId, Instant, Now, SessionId, ShardId, messages};

/// Java's buckets of idle connections, in ms.
const IDLE_BUCKET_MS: i64 = 10_000;

/// A word that a client sent instead of a handshake.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// Its connection, to be answered and closed.
    pub conn: ConnId,
    /// Where it comes from.
    pub peer: SocketAddr,
    /// The word.
    pub word: Word,
    /// What came behind it.
    pub extra: Option<[u8; 8]>,
}

/// A core wants to know another core's part, or wants it to start its counts anew.
#[derive(Clone, Copy, Debug)]
pub struct Question {
    /// The core that asks.
    pub from: ShardId,
    /// Its number for it.
    pub number: u64,
    /// What it wants to know.
    pub parts: &'static [Part],
    /// What to do.
    pub effect: Effect,
}

/// A core's part.
#[derive(Debug)]
pub struct Answered {
    /// The asker's number for it.
    pub number: u64,
    /// The part.
    pub snapshot: Box<Snapshot>,
}

/// What is the same for all words and all cores.
#[derive(Debug)]
pub struct Facts {
    /// Which words are answered.
    pub white_list: WhiteList,
    /// What `conf` shows.
    pub settings: Settings,
    /// For the sizes of the directories.
    pub dirs: [PathBuf; 2],
    /// When serving began.
    pub since: Instant,
    /// What `gtmk` shows and `stmk` sets. Nothing else depends on it.
    pub trace_mask: AtomicI64,
}

impl Facts {
    /// Whether the word is answered at all; if not, nothing needs to be gathered.
    pub fn allows(&self, word: Word) -> bool {
        self.white_list.allows(word)
    }

    /// A snapshot with what no core has to be asked for.
    pub fn begin(&self, parts: &[Part], now: Now) -> Snapshot {
        let mut snapshot = Snapshot {
            mode: Mode::Standalone,
            settings: self.settings.clone(),
            trace_mask: self.trace_mask.load(Memory::Relaxed),
            zone: TimeZone::system(),
            ..Snapshot::default()
        };
        snapshot.gauges.uptime_ms = now.mono.nanos_since(self.since) / 1_000_000;
        if parts.contains(&Part::Environment) {
            snapshot.environment = environment::gather();
        }
        if parts.contains(&Part::Metrics) {
            let (open, max) = environment::open_files();
            (snapshot.gauges.open_files, snapshot.gauges.open_files_max) = (open, max);
        }
        if parts.contains(&Part::Directories) {
            snapshot.settings.data_dir_bytes = bytes_in(&self.dirs[0]);
            snapshot.settings.data_log_dir_bytes = bytes_in(&self.dirs[1]);
        }
        snapshot
    }

    /// The text for a word, and what else it asks for.
    pub fn answer(&self, asked: &Asked, snapshot: &Snapshot) -> (String, Effect) {
        let extra = asked.extra.as_ref().map_or(&[][..], |extra| &extra[..]);
        let answer = answer(asked.word, extra, snapshot, self.white_list);
        if let Effect::SetTraceMask(mask) = answer.effect {
            self.trace_mask.store(mask, Memory::Relaxed);
        }
        log::info!("{}", messages::word(asked.word.name(), asked.peer));
        (answer.text, answer.effect)
    }
}

fn bytes_in(dir: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    entries.flatten().filter_map(|entry| entry.metadata().ok()).map(|about| about.len()).sum()
}

/// Carries out on a front what a word asks for besides its answer.
pub fn take_effect(front: &mut Front, effect: Effect) {
    match effect {
        Effect::None | Effect::SetTraceMask(_) => {}
        Effect::ResetStats => front.reset_stats(true, false),
        Effect::ResetConnections => front.reset_stats(false, true),
    }
}

/// Adds what a front knows. `asking` is the connection that the word came from, if it is here.
pub fn add_front(
    snapshot: &mut Snapshot,
    parts: &[Part],
    clients: &Clients,
    asking: Option<ConnId>,
    now: Now,
) {
    let front = &clients.front;
    let stats = front.stats();
    snapshot.zxid = snapshot.zxid.max(stats.zxid.0);
    if parts.contains(&Part::Metrics) {
        add_metrics(snapshot, clients);
    }
    let watches = front.watches();
    if parts.contains(&Part::WatchSummary) {
        let counts = watches.counts();
        snapshot.watch_summary.connections += to_u64(counts.conns);
        snapshot.watch_summary.paths += to_u64(counts.paths);
        snapshot.watch_summary.total += to_u64(counts.data);
    }
    if parts.contains(&Part::Watches) {
        let sessions: HashMap<ConnId, SessionId> =
            front.connections().map(|(conn, info)| (conn, info.session)).collect();
        for (path, conns) in watches.by_path() {
            for session in conns.filter_map(|conn| sessions.get(&conn)) {
                snapshot.watches.push((session.0, path.to_owned()));
            }
        }
    }
    if parts.contains(&Part::Connections) {
        let known: HashMap<ConnId, ConnectionInfo> = front.connections().collect();
        for (conn, address) in clients.net.peers() {
            let ops = u8::from(asking != Some(conn));
            let row = connection_row(address, ops, known.get(&conn), now);
            snapshot.connections.push(row);
        }
    }
}

fn add_metrics(snapshot: &mut Snapshot, clients: &Clients) {
    let front = &clients.front;
    let (stats, counts) = (front.stats(), front.watches().counts());
    let core = &mut snapshot.stats;
    core.packets_received += stats.received;
    core.packets_sent += stats.sent;
    core.latency.add(&in_ms(stats.latency));
    core.count(Counter::ConnectionRequestCount, stats.connections);
    core.count(Counter::StaleSessionsExpired, stats.stale_handshakes);
    let gauges = &mut snapshot.gauges;
    gauges.connections += to_u64(clients.net.connections());
    gauges.outstanding_requests += stats.outstanding;
    gauges.watch_count += to_u64(counts.data + counts.child);
}

/// Adds what the replica knows.
pub fn add_replica(snapshot: &mut Snapshot, parts: &[Part], replica: &Replica, now: Now) {
    let (tree, stats) = (replica.tree(), replica.stats());
    snapshot.zxid = snapshot.zxid.max(stats.zxid.0);
    if parts.contains(&Part::Metrics) {
        let gauges = &mut snapshot.gauges;
        // Java counts the root twice: its tree has an entry for "" and one for "/".
        gauges.znode_count = to_u64(tree.znode_count() + 1);
        gauges.approximate_data_size = u64::try_from(tree.data_bytes()).unwrap_or(0);
        gauges.ephemerals_count = to_u64(tree.ephemeral_count());
        gauges.global_sessions = stats.sessions;
        let core = &mut snapshot.stats;
        core.count(Counter::CommitCount, stats.committed);
        core.count(Counter::ProposalCount, stats.committed);
        core.count(Counter::SnapCount, stats.snapshots);
        core.count(Counter::DigestMismatchesCount, stats.digest_mismatches);
    }
    if parts.contains(&Part::Sessions) {
        for (session, _, left_ms) in replica.sessions() {
            let expires_at_ms = now.wall.0.saturating_add_unsigned(left_ms);
            snapshot.sessions.push(SessionRow { id: session.0, expires_at_ms });
        }
    }
    if parts.contains(&Part::Ephemerals) {
        for session in tree.ephemeral_owners() {
            for id in tree.ephemerals(session) {
                let mut path = String::new();
                tree.path(id, &mut path);
                snapshot.ephemerals.push((session.0, path));
            }
        }
    }
    if parts.contains(&Part::Digests) {
        snapshot.digests.push((tree.last_zxid().0, tree.digest().cast_unsigned()));
    }
}

/// Adds what another core has told.
pub fn add_answered(snapshot: &mut Snapshot, other: Snapshot) {
    snapshot.zxid = snapshot.zxid.max(other.zxid);
    snapshot.stats.add(&other.stats);
    let (mine, theirs) = (&mut snapshot.gauges, &other.gauges);
    mine.connections += theirs.connections;
    mine.outstanding_requests += theirs.outstanding_requests;
    mine.watch_count += theirs.watch_count;
    mine.znode_count += theirs.znode_count;
    mine.approximate_data_size += theirs.approximate_data_size;
    mine.ephemerals_count += theirs.ephemerals_count;
    mine.global_sessions += theirs.global_sessions;
    snapshot.watch_summary.connections += other.watch_summary.connections;
    snapshot.watch_summary.paths += other.watch_summary.paths;
    snapshot.watch_summary.total += other.watch_summary.total;
    snapshot.connections.extend(other.connections);
    snapshot.sessions.extend(other.sessions);
    snapshot.ephemerals.extend(other.ephemerals);
    snapshot.watches.extend(other.watches);
    snapshot.digests.extend(other.digests);
}

fn connection_row(
    address: SocketAddr,
    interest_ops: u8,
    info: Option<&ConnectionInfo>,
    now: Now,
) -> ConnectionRow {
    let mut row = ConnectionRow {
        address,
        interest_ops,
        queued: 0,
        received: 0,
        sent: 0,
        expires_at_ms: in_bucket(now.wall.0 + IDLE_BUCKET_MS),
        session: None,
    };
    let Some(info) = info else { return row };
    let since = |at: Instant| {
        let ago = i64::try_from(now.mono.nanos_since(at) / 1_000_000).unwrap_or(i64::MAX);
        now.wall.0.saturating_sub(ago)
    };
    row.queued = u64::from(info.queued);
    row.received = info.received;
    row.sent = info.sent;
    row.expires_at_ms = in_bucket(since(info.last_reply) + i64::from(info.timeout_ms));
    let (xid, op) = info.last_request;
    row.session = Some(ConnectionSession {
        id: info.session.0,
        last_op: last_op_name(op),
        established_ms: since(info.established),
        timeout_ms: u32::try_from(info.timeout_ms).unwrap_or(0),
        last_cxid: (xid.0 >= 0 && info.received > 0).then_some(xid.0),
        last_zxid: info.last_zxid,
        last_response_ms: info.last_reply.millis(),
        last_latency_ms: info.last_latency_ns / 1_000_000,
        latency: in_ms(info.latency),
    });
    row
}

fn in_bucket(at_ms: i64) -> i64 {
    (at_ms / IDLE_BUCKET_MS).saturating_add(1).saturating_mul(IDLE_BUCKET_MS)
}

fn in_ms(latency: Latency) -> MinMaxAvg {
    let ms = |nanos: u64| nanos / 1_000_000;
    MinMaxAvg::of(latency.count, ms(latency.sum_ns), ms(latency.min_ns), ms(latency.max_ns))
}

fn to_u64(count: usize) -> u64 {
    u64::try_from(count).expect("a usize has 64 bits at most")
}
