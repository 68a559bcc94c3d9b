//! What the loops count, and what the operator's words show: plain values, no words.
//!
//! Each loop owns one [`CoreStats`] and adds to it; nothing is shared, nothing is locked, nothing
//! allocates after [`CoreStats::new`]. When a word is asked, the loop that got it gathers a
//! [`Snapshot`] (only the [`Part`]s that `Word::parts` names), adds the other cores' counts with
//! [`CoreStats::add`], and hands it to `four_letter::answer`. `srst` and `crst` come back as an
//! effect that every loop then carries out.

use std::net::SocketAddr;

use jiff::tz::TimeZone;

pub use super::counts::{MinMaxAvg, Sizes, Times};
pub use super::metrics::{Basic, Counter, Timed};

/// What one loop counts. All of it starts again with `srst`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoreStats {
    /// Frames received, four-letter words included.
    pub packets_received: u64,
    /// Frames sent, events and words' answers included.
    pub packets_sent: u64,
    /// Time from a request's arrival to its reply, in ms.
    pub latency: MinMaxAvg,
    /// Sizes of replies to clients, in bytes.
    pub response_sizes: Sizes,
    counters: [u64; Counter::ALL.len()],
    basics: [MinMaxAvg; Basic::ALL.len()],
    timed: Vec<Times>,
}

impl Default for CoreStats {
    fn default() -> Self {
        Self::new()
    }
}

impl CoreStats {
    /// Nothing counted yet. The only place that allocates: about 30 KiB.
    pub fn new() -> Self {
        Self {
            packets_received: 0,
            packets_sent: 0,
            latency: MinMaxAvg::default(),
            response_sizes: Sizes::default(),
            counters: [0; Counter::ALL.len()],
            basics: [MinMaxAvg::default(); Basic::ALL.len()],
            timed: vec![Times::default(); Timed::ALL.len()],
        }
    }

    /// Counts an event, `times` times.
    #[inline]
    pub fn count(&mut self, counter: Counter, times: u64) {
        self.counters[counter.index()] += times;
    }

    /// Takes a value.
    #[inline]
    pub fn put(&mut self, basic: Basic, value: u64) {
        self.basics[basic.index()].put(value);
    }

    /// Takes a time in ms.
    #[inline]
    pub fn time(&mut self, timed: Timed, ms: u64) {
        self.timed[timed.index()].put(ms);
    }

    /// How often an event was counted.
    pub fn counted(&self, counter: Counter) -> u64 {
        self.counters[counter.index()]
    }

    /// What was taken of some values.
    pub fn values(&self, basic: Basic) -> &MinMaxAvg {
        &self.basics[basic.index()]
    }

    /// What was taken of some times.
    pub fn times(&self, timed: Timed) -> &Times {
        &self.timed[timed.index()]
    }

    /// Takes all of another core's.
    pub fn add(&mut self, other: &Self) {
        self.packets_received += other.packets_received;
        self.packets_sent += other.packets_sent;
        self.latency.add(&other.latency);
        self.response_sizes.add(&other.response_sizes);
        for (mine, theirs) in self.counters.iter_mut().zip(&other.counters) {
            *mine += theirs;
        }
        for (mine, theirs) in self.basics.iter_mut().zip(&other.basics) {
            mine.add(theirs);
        }
        for (mine, theirs) in self.timed.iter_mut().zip(&other.timed) {
            mine.add(theirs);
        }
    }

    /// Forgets everything, in place: `srst`.
    pub fn reset(&mut self) {
        (self.packets_received, self.packets_sent) = (0, 0);
        self.latency = MinMaxAvg::default();
        self.response_sizes = Sizes::default();
        self.counters.fill(0);
        self.basics.fill(MinMaxAvg::default());
        self.timed.iter_mut().for_each(Times::reset);
    }
}

/// What a server is doing, as `Mode:` and `zk_server_state` say it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Starting, stopping, or without quorum: most words say so and nothing else.
    #[default]
    NotServing,
    /// One server, alone.
    Standalone,
    /// Leads an ensemble.
    Leader,
    /// Follows, and votes.
    Follower,
    /// Follows, and does not vote.
    Observer,
    /// Without quorum, for read-only clients.
    ReadOnly,
}

impl Mode {
    /// Java's word.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotServing => "null",
            Self::Standalone => "standalone",
            Self::Leader => "leader",
            Self::Follower => "follower",
            Self::Observer => "observer",
            Self::ReadOnly => "read-only",
        }
    }
}

/// A piece of a [`Snapshot`] that costs something to gather.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// [`Snapshot::connections`].
    Connections,
    /// [`Snapshot::sessions`].
    Sessions,
    /// [`Snapshot::ephemerals`].
    Ephemerals,
    /// [`Snapshot::watches`].
    Watches,
    /// [`Snapshot::watch_summary`].
    WatchSummary,
    /// [`Snapshot::digests`].
    Digests,
    /// [`Settings::data_dir_bytes`] and its twin.
    Directories,
    /// [`Snapshot::environment`].
    Environment,
    /// [`Snapshot::stats`], [`Snapshot::gauges`] and [`Snapshot::namespaces`].
    Metrics,
}

/// What holds now, in numbers. Sums over all cores where there are several.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Gauges {
    /// Open client connections, the asking one included.
    pub connections: u64,
    /// Requests read and not yet answered.
    pub outstanding_requests: u64,
    /// Milliseconds since the server began to serve.
    pub uptime_ms: u64,
    /// Znodes as Java counts them: the root twice, so that a fresh tree has 5.
    pub znode_count: u64,
    /// Watches set, of every kind.
    pub watch_count: u64,
    /// Ephemeral znodes.
    pub ephemerals_count: u64,
    /// Bytes of paths and data.
    pub approximate_data_size: u64,
    /// Sessions.
    pub global_sessions: u64,
    /// Sessions known to this server alone.
    pub local_sessions: u64,
    /// Open files of the process; -1 if the system does not say. See `environment::open_files`.
    pub open_files: i64,
    /// Files it may have open; -1 if the system does not say.
    pub open_files_max: i64,
    /// Probability with which a handshake is dropped, 0 to 1.
    pub connection_drop_probability: f64,
    /// TLS handshakes under way.
    pub tls_handshakes: u64,
    /// `addAuth` requests refused.
    pub auth_failed: u64,
    /// Connections without mutual TLS from other machines.
    pub non_mtls_remote: u64,
    /// Connections without mutual TLS from this machine.
    pub non_mtls_local: u64,
}

/// What `conf` shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Port where plain clients connect, as bound; -1 if there is none.
    pub client_port: i32,
    /// Port for TLS; -1 if there is none.
    pub secure_client_port: i32,
    /// Directory of snapshots, as an absolute path with its `version-2`.
    pub data_dir: String,
    /// Bytes of the files in it.
    pub data_dir_bytes: u64,
    /// Directory of the log, likewise.
    pub data_log_dir: String,
    /// Bytes of the files in it.
    pub data_log_dir_bytes: u64,
    /// ms of a tick.
    pub tick_time_ms: u32,
    /// Connections from one address, 0 = no limit.
    pub max_client_cnxns: u32,
    /// Shortest session timeout, in ms.
    pub min_session_timeout_ms: u32,
    /// Longest session timeout, in ms.
    pub max_session_timeout_ms: u32,
    /// listen(2) backlog as configured, -1 if it is not.
    pub listen_backlog: i32,
    /// Id of this server; 0 when it runs alone.
    pub server_id: i64,
}

/// A connection, for `cons`, `stat` and `dump`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionRow {
    /// The client's address.
    pub address: SocketAddr,
    /// What the server waits for on the socket, in Java's bits: 1 to read, 4 to write; 0 for the
    /// connection that asks.
    pub interest_ops: u8,
    /// Requests read and not yet answered.
    pub queued: u64,
    /// Frames received since `crst`.
    pub received: u64,
    /// Frames sent since `crst`.
    pub sent: u64,
    /// When it is closed unless something arrives, in ms since 1970, on the grid of the bucket.
    pub expires_at_ms: i64,
    /// Its session, once it has one.
    pub session: Option<ConnectionSession>,
}

/// What `cons` shows of a connection with a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionSession {
    /// The session.
    pub id: i64,
    /// Four letters for the last operation answered, see [`last_op_name`]; `NA` before any, and
    /// after `crst`.
    pub last_op: &'static str,
    /// When the connection was made, in ms since 1970.
    pub established_ms: i64,
    /// Negotiated timeout in ms.
    pub timeout_ms: u32,
    /// Last xid of a request, if there was one that is not negative.
    pub last_cxid: Option<i32>,
    /// Last zxid of a reply; -1 before any.
    pub last_zxid: i64,
    /// When the last reply left, in ms of the monotonic clock; 0 before any.
    pub last_response_ms: u64,
    /// Latency of the last request, in ms.
    pub last_latency_ms: u64,
    /// Latencies since `crst`.
    pub latency: MinMaxAvg,
}

/// A session, for `dump`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionRow {
    /// The session.
    pub id: i64,
    /// When it expires unless the client is heard, in ms since 1970, on the grid of the ticks.
    pub expires_at_ms: i64,
}

/// How many watches [`Snapshot::watches`] has; child watches are not counted, as with Java.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WatchSummary {
    /// Connections that watch.
    pub connections: u64,
    /// Paths watched.
    pub paths: u64,
    /// Watches.
    pub total: u64,
}

/// Reads and writes below one top-level znode, in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamespaceRow {
    /// Name of the znode, without the slash.
    pub name: String,
    /// Bytes of replies.
    pub reads: MinMaxAvg,
    /// Bytes of requests.
    pub writes: MinMaxAvg,
}

/// Everything that the words may show, at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// What the server is doing.
    pub mode: Mode,
    /// Counts, of all cores together.
    pub stats: CoreStats,
    /// Numbers of now.
    pub gauges: Gauges,
    /// Settings.
    pub settings: Settings,
    /// Last zxid applied.
    pub zxid: i64,
    /// Connections, the asking one included.
    pub connections: Vec<ConnectionRow>,
    /// Sessions.
    pub sessions: Vec<SessionRow>,
    /// Ephemeral znodes: session and path.
    pub ephemerals: Vec<(i64, String)>,
    /// What Java's table of data watches holds: watches on data and existence, persistent and
    /// recursive ones; session and path.
    pub watches: Vec<(i64, String)>,
    /// How many of them.
    pub watch_summary: WatchSummary,
    /// Digests of the tree: zxid and digest, one for 128 zxids, the oldest
    /// first; shown as Java's signed numbers.
    pub digests: Vec<(i64, u64)>,
    /// Traffic by top-level znode; may be empty.
    pub namespaces: Vec<NamespaceRow>,
    /// What `envi` shows: see `environment::gather`.
    pub environment: Vec<(&'static str, String)>,
    /// What `gtmk` shows; 306 until `stmk` says otherwise. Nothing else depends on it.
    pub trace_mask: i64,
    /// Zone in which `dump` shows times.
    pub zone: TimeZone,
}

impl Default for Snapshot {
    fn default() -> Self {
        Self {
            mode: Mode::default(),
            stats: CoreStats::new(),
            gauges: Gauges::default(),
            settings: Settings::default(),
            zxid: 0,
            connections: Vec::new(),
            sessions: Vec::new(),
            ephemerals: Vec::new(),
            watches: Vec::new(),
            watch_summary: WatchSummary::default(),
            digests: Vec::new(),
            namespaces: Vec::new(),
            environment: Vec::new(),
            trace_mask: TRACE_MASK,
            zone: TimeZone::UTC,
        }
    }
}

/// Java's trace mask until `stmk` changes it.
pub const TRACE_MASK: i64 = 306;

/// Four letters for an operation, as `lop=` of `cons` shows it (Apache's `FinalRequestProcessor`).
pub fn last_op_name(op: i32) -> &'static str {
    match op {
        -11 => "CLOS",
        -10 => "SESS",
        1 | 15 | 19 | 21 => "CREA",
        2 | 20 => "DELE",
        3 => "EXIS",
        4 => "GETD",
        5 => "SETD",
        6 => "GETA",
        7 => "SETA",
        8 | 12 => "GETC",
        9 => "SYNC",
        11 => "PING",
        13 => "CHEC",
        14 => "MULT",
        16 => "RECO",
        17 => "CHKW",
        18 => "REMW",
        22 => "MLTR",
        101 => "SETW",
        103 => "GETE",
        104 => "GETACN",
        105 => "STW2",
        106 => "ADDW",
        107 => "HOMI",
        _ => "NA",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_add_up_and_reset_forgets() {
        let (mut one, mut two) = (CoreStats::new(), CoreStats::new());
        one.count(Counter::CommitCount, 2);
        two.count(Counter::CommitCount, 3);
        one.latency.put(4);
        two.latency.put(1);
        two.time(Timed::Readlatency, 7);
        two.put(Basic::Fsynctime, 9);
        two.response_sizes.put(16);
        one.add(&two);
        assert_eq!(one.counted(Counter::CommitCount), 5);
        assert_eq!((one.latency.min(), one.latency.max()), (1, 4));
        assert_eq!(one.times(Timed::Readlatency).percentile(500), 7);
        assert_eq!(one.values(Basic::Fsynctime).sum, 9);
        assert_eq!(one.response_sizes.seen, Some((16, 16, 16)));
        one.reset();
        assert_eq!(one, CoreStats::new());
    }
}
