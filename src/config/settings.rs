//! The settings of one server, typed: what a configuration means once it is read.
//!
//! Plain values with documented fields; `Default` is a server whose file names no key at all. The
//! loops fill each module's own `Config` from these, so no module below reads a key by its name.
//! A count, size or time of 0 that is documented as "off" is a limit that nobody asked for.

#![allow(clippy::struct_excessive_bools)] // they mirror switches that exist, one by one

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use super::members::Ensemble;
pub use crate::session::auth::DigestAlgorithm;

/// Everything an operator can decide about one server.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// Where clients connect, and how many may.
    pub client: ClientConfig,
    /// How long sessions live.
    pub session: SessionConfig,
    /// Files: where they are, how much goes into one.
    pub storage: StorageConfig,
    /// Which old files go, and when.
    pub purge: PurgeConfig,
    /// What one request, and all requests together, may cost.
    pub limits: LimitsConfig,
    /// How many new sessions a second are let in.
    pub throttle: ThrottleConfig,
    /// The znodes: quotas, containers, TTL, digest.
    pub tree: TreeConfig,
    /// Who may do what.
    pub auth: AuthConfig,
    /// The other servers.
    pub ensemble: EnsembleConfig,
    /// Threads, cores and the kernel's interface.
    pub engine: EngineConfig,
    /// The operator's words.
    pub admin: AdminConfig,
    /// Log lines.
    pub log: LogConfig,
    /// Whether an unknown key or a malformed property stops the start (`strict`, default false).
    pub strict: bool,
}

/// Where clients connect, and how many may.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientConfig {
    /// Port for plain connections (`clientPort`). `Some(0)` takes a free one and logs it; `None`,
    /// the default, is refused unless this server's `server.N` names a port.
    pub port: Option<u16>,
    /// Address to bind (`clientPortAddress`, or the client part of this server's `server.N`).
    /// `None`, the default, is every address of the machine, IPv6 and IPv4.
    pub address: Option<IpAddr>,
    /// listen(2) backlog, in connections; -1, the default, lets the engine choose. Too small, and
    /// a reconnect storm sees connections refused by the kernel.
    pub listen_backlog: i32,
    /// Connections from one address (`maxClientCnxns`), 0 = no limit, default 60. The next one
    /// is closed at once.
    pub max_client_cnxns: u32,
    /// Connections in all (`maxCnxns`), 0 = no limit, default 0. The next one is closed at once.
    pub max_cnxns: u32,
    /// SO_KEEPALIVE on client sockets, default false.
    pub tcp_keep_alive: bool,
    /// Milliseconds until a connection without a handshake is closed, default 10 000. Java judges
    /// in buckets of 10 s.
    pub sessionless_timeout_ms: u32,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            port: None,
            address: None,
            listen_backlog: -1,
            max_client_cnxns: 60,
            max_cnxns: 0,
            tcp_keep_alive: false,
            sessionless_timeout_ms: 10_000,
        }
    }
}

impl ClientConfig {
    /// The address to bind for plain connections, or `None` when there is no plain listener. An
    /// unset address is `0.0.0.0`; who can bind both families at once may prefer `[::]`.
    pub fn socket(&self) -> Option<SocketAddr> {
        let address = self.address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        self.port.map(|port| SocketAddr::new(address, port))
    }
}

/// How long sessions live.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionConfig {
    /// The base unit of time, in milliseconds, 1 or more, default 3000. Sessions expire on its
    /// grid; shorter means more wake-ups, longer means later expiry.
    pub tick_time_ms: u32,
    /// Shortest session timeout granted, in milliseconds; `None`, the default, is two ticks.
    pub min_timeout_ms: Option<u32>,
    /// Longest session timeout granted, in milliseconds; `None`, the default, is twenty ticks.
    pub max_timeout_ms: Option<u32>,
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self { tick_time_ms: 3000, min_timeout_ms: None, max_timeout_ms: None }
    }
}

impl SessionConfig {
    /// Shortest timeout that a session is granted, in milliseconds.
    pub fn timeout_ms_min(&self) -> u32 {
        self.min_timeout_ms.unwrap_or(self.tick_time_ms.saturating_mul(2))
    }

    /// Longest timeout that a session is granted, in milliseconds.
    pub fn timeout_ms_max(&self) -> u32 {
        self.max_timeout_ms.unwrap_or(self.tick_time_ms.saturating_mul(20))
    }
}

/// Files: where they are, how much goes into one.
#[derive(Clone, Debug, PartialEq)]
pub struct StorageConfig {
    /// Directory of snapshots, `myid` and, unless `data_log_dir` says otherwise, the log.
    /// No default: a configuration without it is refused.
    pub data_dir: PathBuf,
    /// Directory of the transaction log; `None`, the default, is `data_dir`. A disk of its own
    /// keeps snapshots out of the writes' way.
    pub data_log_dir: Option<PathBuf>,
    /// Transactions between two snapshots, 2 or more, default 100 000. Taken only once the log
    /// since the last snapshot is as large as that snapshot.
    pub snap_count: u32,
    /// Kibibytes of log between two snapshots, 0 = off, default 4 194 304.
    pub snap_size_limit_kb: u64,
    /// Whether a missing data directory is created, default true. False: exit 3.
    pub datadir_autocreate: bool,
    /// Whether an empty database may vote, default true. False: only beside a file `initialize`.
    pub db_autocreate: bool,
    /// Whether a log without any snapshot is believed, default false.
    pub snapshot_trust_empty: bool,
    /// Milliseconds above which a sync is logged as slow, default 1000.
    pub fsync_warning_threshold_ms: u64,
    /// Transactions after which a batch goes to the disk even if more wait, default 1000.
    pub max_batch_size: u32,
}

impl Default for StorageConfig {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::new(),
            data_log_dir: None,
            snap_count: 100_000,
            snap_size_limit_kb: 4_194_304,
            datadir_autocreate: true,
            db_autocreate: true,
            snapshot_trust_empty: false,
            fsync_warning_threshold_ms: 1000,
            max_batch_size: 1000,
        }
    }
}

impl StorageConfig {
    /// Directory of the transaction log.
    pub fn log_dir(&self) -> &std::path::Path {
        self.data_log_dir.as_deref().unwrap_or(&self.data_dir)
    }
}

/// Which old files go, and when. The newest two snapshots and the log behind them always stay.
#[derive(Clone, Debug, PartialEq)]
pub struct PurgeConfig {
    /// Milliseconds between two purges, the first at the start; 0 = off. Default one hour: unlike
    /// Java's, this server does not fill its disk when the key is absent.
    pub interval_ms: u64,
    /// Snapshots kept, 3 or more, default 3, with the log that leads on from the oldest of them.
    pub snap_retain_count: u32,
    /// Hours after which a snapshot goes although `snap_retain_count` would keep it, 0 = off,
    /// default 0.
    pub max_age_hours: u64,
    /// Bytes of snapshots and log above which the oldest go although `snap_retain_count` would
    /// keep them, 0 = off, default 0.
    pub max_bytes: u64,
}

impl Default for PurgeConfig {
    fn default() -> Self {
        Self { interval_ms: 3_600_000, snap_retain_count: 3, max_age_hours: 0, max_bytes: 0 }
    }
}

/// What one request, and all requests together, may cost.
#[derive(Clone, Debug, PartialEq)]
pub struct LimitsConfig {
    /// Longest request, in bytes (`jute.maxbuffer`), default 1 048 575. A longer one closes its
    /// connection with one log line. Clients must be told the same number.
    pub jute_max_buffer: u32,
    /// Room, in bytes, that a record of the log may take beyond it for what the server adds;
    /// `None`, the default, is the same number again.
    pub jute_max_buffer_extra: Option<u32>,
    /// Requests read and not yet answered, on the whole server, above which sockets with a request
    /// outstanding are no longer read; default 1000. Back-pressure, never an error.
    pub global_outstanding_limit: u32,
    /// Requests in the pipeline above which new ones are held back, 0 = off, default 0.
    pub request_throttle_max_requests: u32,
    /// Milliseconds that a held-back request waits at most at a time, default 100.
    pub request_throttle_stall_time_ms: u32,
    /// Whether stale requests are dropped while throttling, default true.
    pub request_throttle_drop_stale: bool,
    /// Whether a request older than its session's timeout is stale, default false.
    pub request_stale_latency_check: bool,
    /// Whether a request whose connection is gone is stale, default true.
    pub request_stale_connection_check: bool,
    /// Milliseconds in a queue after which a request is answered ThrottledOp (-127) and not
    /// executed, 0 = off, default 0. Never pings, session opens and closes.
    pub throttled_op_wait_time_ms: u32,
    /// Bytes above which a request counts as large, 0 = none does, default 0.
    pub large_request_threshold: u32,
    /// Bytes of large requests in flight, default 104 857 600. The one that would exceed it closes
    /// its connection.
    pub large_request_max_bytes: u32,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            jute_max_buffer: 1_048_575,
            jute_max_buffer_extra: None,
            global_outstanding_limit: 1000,
            request_throttle_max_requests: 0,
            request_throttle_stall_time_ms: 100,
            request_throttle_drop_stale: true,
            request_stale_latency_check: false,
            request_stale_connection_check: true,
            throttled_op_wait_time_ms: 0,
            large_request_threshold: 0,
            large_request_max_bytes: 104_857_600,
        }
    }
}

/// How many new sessions a second are let in: Java's BlueThrottle, a bucket of tokens. A handshake
/// that finds too few tokens is closed without a reply.
#[derive(Clone, Debug, PartialEq)]
pub struct ThrottleConfig {
    /// Size of the bucket, in tokens, 0 = no throttle, default 0.
    pub tokens: u32,
    /// Milliseconds between two fills, default 1.
    pub fill_time_ms: u32,
    /// Tokens put in at a fill, default 1.
    pub fill_count: u32,
    /// Milliseconds between two adjustments of the drop probability; -1, the default, never drops
    /// by chance.
    pub freeze_time_ms: i32,
    /// What a freeze period without tokens adds to the drop probability, 0 to 1, default 0.02.
    pub drop_increase: f64,
    /// What a freeze period with enough tokens takes off it, 0 to 1, default 0.002.
    pub drop_decrease: f64,
    /// Share of the bucket that must be free before it is lowered, 0 to 1, default 0.
    pub decrease_ratio: f64,
    /// Whether handshakes cost the weights below instead of one token, default false.
    pub weights_enabled: bool,
    /// Tokens of a new session, default 3.
    pub global_session_weight: u32,
    /// Tokens of a new local session, default 1.
    pub local_session_weight: u32,
    /// Tokens of a session that comes back, default 2.
    pub renew_session_weight: u32,
}

impl Default for ThrottleConfig {
    fn default() -> Self {
        Self {
            tokens: 0,
            fill_time_ms: 1,
            fill_count: 1,
            freeze_time_ms: -1,
            drop_increase: 0.02,
            drop_decrease: 0.002,
            decrease_ratio: 0.0,
            weights_enabled: false,
            global_session_weight: 3,
            local_session_weight: 1,
            renew_session_weight: 2,
        }
    }
}

/// The znodes: quotas, containers, TTL, digest.
#[derive(Clone, Debug, PartialEq)]
pub struct TreeConfig {
    /// Whether znodes with a TTL exist (`extendedTypesEnabled`), default false: creating one is
    /// answered Unimplemented.
    pub extended_types_enabled: bool,
    /// Whether TTL owners of Apache 3.5.3 are understood, default false.
    pub emulate_353_ttl_nodes: bool,
    /// Whether a hard quota refuses the write (QuotaExceeded), default false: it is logged.
    pub enforce_quota: bool,
    /// Whether the digest of the tree is kept per transaction and compared, default true.
    pub digest_enabled: bool,
    /// Whether a close-session transaction names the ephemerals that go, default true.
    pub close_session_txn_enabled: bool,
    /// Milliseconds between two sweeps for empty containers and expired TTL znodes, default 60 000.
    pub container_check_interval_ms: u32,
    /// Znodes a minute that a sweep deletes, default 10 000.
    pub container_max_per_minute: u32,
    /// Milliseconds after which a container that never had a child goes too, 0 = never, default 0
    /// as in Apache 3.9 (3.10: 300 000).
    pub container_max_never_used_ms: u64,
}

impl Default for TreeConfig {
    fn default() -> Self {
        Self {
            extended_types_enabled: false,
            emulate_353_ttl_nodes: false,
            enforce_quota: false,
            digest_enabled: true,
            close_session_txn_enabled: true,
            container_check_interval_ms: 60_000,
            container_max_per_minute: 10_000,
            container_max_never_used_ms: 0,
        }
    }
}

/// A scheme of authentication that a key can register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthProvider {
    /// `ip`, always there.
    Ip,
    /// `digest`, there unless switched off.
    Digest,
    /// `x509`: the client's certificate. Needs TLS.
    X509,
    /// `sasl`: Kerberos or DIGEST-MD5.
    Sasl,
    /// `ensemble`: a client that names its ensemble.
    Ensemble,
}

impl AuthProvider {
    /// The scheme's name in an ACL and in `addAuth`.
    pub fn scheme(self) -> &'static str {
        match self {
            Self::Ip => "ip",
            Self::Digest => "digest",
            Self::X509 => "x509",
            Self::Sasl => "sasl",
            Self::Ensemble => "ensemble",
        }
    }
}

/// A value that no log line, no word and no `Debug` shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Who may do what.
#[derive(Clone, Debug, PartialEq)]
pub struct AuthConfig {
    /// Whether ACLs are ignored altogether (`skipACL=yes`), default false. Each start says so.
    pub skip_acl: bool,
    /// Whether the scheme `digest` is offered, default true.
    pub digest_auth_enabled: bool,
    /// `user:base64(sha1(user:password))` of the identity that passes every ACL, default none.
    pub super_digest: Option<Secret>,
    /// Hash of the `digest` scheme, equal on all servers, default SHA-1.
    pub digest_algorithm: DigestAlgorithm,
    /// Further schemes that `authProvider.*` registers, default none.
    pub providers: Vec<AuthProvider>,
    /// X.500 principal that passes every ACL, default none.
    pub x509_super_user: Option<String>,
    /// File with the users of SASL (`java.security.auth.login.config`), default none.
    pub jaas_file: Option<PathBuf>,
    /// The section of that file; `None`, the default, is `Server`.
    pub jaas_section: Option<String>,
    /// Password of the SASL user super, in place of that file's, default none.
    pub sasl_super_password: Option<Secret>,
    /// Users and passwords of SASL DIGEST-MD5, from the JAAS file; `None`, the default: no SASL.
    pub sasl_users: Option<BTreeMap<String, Secret>>,
    /// Whether a client whose SASL failed is kept, without its identity, default false.
    pub allow_sasl_failed_clients: bool,
    /// ACL id that every SASL user has, default none.
    pub sasl_any: Option<String>,
    /// SASL identities that pass every ACL, default none.
    pub sasl_super_users: Vec<String>,
    /// Names accepted by scheme `ensemble`, default none.
    pub ensemble_names: Vec<String>,
    /// Whether a request of a client that authenticated with none of `enforce_schemes` is answered
    /// -124 and its session closed, default false. `sessionRequireClientSASLAuth=true` is the same
    /// with the one scheme `sasl`.
    pub enforce_auth_enabled: bool,
    /// The schemes that count for it.
    pub enforce_auth_schemes: Vec<String>,
    /// Whether only SASL clients may have a session, default false.
    pub session_require_sasl: bool,
}

impl Default for AuthConfig {
    fn default() -> Self {
        Self {
            skip_acl: false,
            digest_auth_enabled: true,
            super_digest: None,
            digest_algorithm: DigestAlgorithm::Sha1,
            providers: Vec::new(),
            x509_super_user: None,
            jaas_file: None,
            jaas_section: None,
            sasl_super_password: None,
            sasl_users: None,
            allow_sasl_failed_clients: false,
            sasl_any: None,
            sasl_super_users: Vec::new(),
            ensemble_names: Vec::new(),
            enforce_auth_enabled: false,
            enforce_auth_schemes: Vec::new(),
            session_require_sasl: false,
        }
    }
}

/// The other servers. Read and checked whole, so that a file for an ensemble is understood; this
/// release runs alone and refuses more than one voter.
#[derive(Clone, Debug, PartialEq)]
pub struct EnsembleConfig {
    /// What `dataDir/myid` holds; `None` where there is none. Shown in every log line.
    pub my_id: Option<i64>,
    /// `server.N`, `group.N` and `weight.N`.
    pub members: Ensemble,
    /// File that holds them instead (`dynamicConfigFile`), default none.
    pub dynamic_config_file: Option<PathBuf>,
    /// Whether one voter means a server that runs alone, default true.
    pub standalone_enabled: bool,
    /// Whether `reconfig` is allowed, default false: answered ReconfigDisabled.
    pub reconfig_enabled: bool,
    /// Ticks until a learner must have connected and synced, default unset.
    pub init_limit: u32,
    /// Ticks that a learner may lag or be silent, default unset.
    pub sync_limit: u32,
    /// Ticks to connect alone, 0 = `init_limit`, default 0.
    pub connect_to_learner_master_limit: u32,
    /// Whether quorum and election ports are bound on every address, default false.
    pub quorum_listen_on_all_ips: bool,
    /// Whether this server was declared an observer (`peerType`), default false.
    pub peer_type_observer: bool,
    /// Whether an observer logs and snapshots, default true.
    pub sync_enabled: bool,
    /// Whether an address may be several joined with `|`, default false.
    pub multi_address_enabled: bool,
    /// Whether a leader serves clients, default true.
    pub leader_serves: bool,
    /// Whether a server without quorum serves read-only sessions, default false; also puts `isro`
    /// on the white list.
    pub read_only_mode_enabled: bool,
    /// Whether sessions may be known to their server alone, default false.
    pub local_sessions_enabled: bool,
    /// Whether such a session becomes global with its first ephemeral, default false.
    pub local_sessions_upgrading_enabled: bool,
    /// Port where followers serve observers, 0 = off, default 0.
    pub observer_master_port: u16,
    /// Committed transactions kept in memory for learners, default 500.
    pub commit_log_count: u32,
    /// Milliseconds until an election connection is given up, default 5000.
    pub cnx_timeout_ms: u32,
    /// Tries to bind the election port, 0 = for ever, default 3.
    pub election_port_bind_retry: u32,
}

impl Default for EnsembleConfig {
    fn default() -> Self {
        Self {
            my_id: None,
            members: Ensemble::default(),
            dynamic_config_file: None,
            standalone_enabled: true,
            reconfig_enabled: false,
            init_limit: 0,
            sync_limit: 0,
            connect_to_learner_master_limit: 0,
            quorum_listen_on_all_ips: false,
            peer_type_observer: false,
            sync_enabled: true,
            multi_address_enabled: false,
            leader_serves: true,
            read_only_mode_enabled: false,
            local_sessions_enabled: false,
            local_sessions_upgrading_enabled: false,
            observer_master_port: 0,
            commit_log_count: 500,
            cnx_timeout_ms: 5000,
            election_port_bind_retry: 3,
        }
    }
}

/// Which of the kernel's interfaces drives sockets and log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Engine {
    /// io_uring where the kernel and its profile allow it, else epoll; the start line says which
    /// and why.
    #[default]
    Auto,
    /// io_uring, or no start.
    Uring,
    /// epoll and threads.
    Epoll,
}

/// Where the loops run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Cores {
    /// With four CPUs or more: a pinned replica core and a front on each other core. With fewer:
    /// one loop for both.
    #[default]
    Auto,
    /// One loop, pinned nowhere.
    None,
    /// These CPUs: the first for the replica, a front on each other. One alone: one loop there.
    List(Vec<u16>),
}

/// Threads, cores and the kernel's interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EngineConfig {
    /// `engine=auto|uring|epoll`, default auto.
    pub engine: Engine,
    /// `cores=auto|none|LIST`, default auto.
    pub cores: Cores,
}

/// The operator's words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AdminConfig {
    /// Four-letter words that are answered (`4lw.commands.whitelist`), `*` for all; `srvr` always
    /// is. Default empty.
    pub four_letter_whitelist: Vec<String>,
}

/// Shape of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Java's: `2026-11-21 21:06:36,123 [myid:1] - INFO  [main:start@12] - message`.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Log lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// `log.format=text|json`, default text.
    pub format: LogFormat,
    /// Level of every module that has none of its own, default INFO.
    pub level: log::LevelFilter,
    /// Levels of modules (`log.level.MODULE`), by the path below the crate: `front`, `net::engine`.
    pub modules: Vec<(String, log::LevelFilter)>,
    /// Nothing below it is written, whatever the levels say (`console.threshold`); default none.
    pub threshold: log::LevelFilter,
    /// Lines a second that one place in the code may write; the rest is counted and the count is
    /// logged. 0 = no limit, default 100. What keeps a flood of bad frames from filling the disk.
    pub lines_per_second_max: u32,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            format: LogFormat::Text,
            level: log::LevelFilter::Info,
            modules: Vec::new(),
            threshold: log::LevelFilter::Trace,
            lines_per_second_max: 100,
        }
    }
}
