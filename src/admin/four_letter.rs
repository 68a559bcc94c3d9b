//! The four-letter words: which there are, who may ask them, and what they answer.
//!
//! A word is the first four bytes of a connection that has no session; the server answers and
//! closes. Rendering is pure: a [`Snapshot`] becomes text, byte for byte in the form of Apache
//! 3.9.5 (`server/command/*.java`, ops-surface section 2), because probes, exporters and agents
//! take it apart with regular expressions.
//!
//! The caller reads `Word::extra_bytes` more bytes, gathers `Word::parts`, calls [`answer`], carries
//! out the [`Effect`], sends the text and closes.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use jiff::Timestamp;
use jiff::fmt::strtime;

use super::metrics::{Basic, Counter, Timed};
use super::stats::{ConnectionRow, MinMaxAvg, Mode, Part, Snapshot};
use super::version;

/// Longest answer, in bytes. A server with more watches than that answers with the first of them:
/// a word is no way to copy a million paths, and its text must not be what ends the memory.
pub const ANSWER_BYTES_MAX: usize = 64 << 20;

const NOT_SERVING: &str = "This ZooKeeper instance is not currently serving requests";

/// Declares the words. One row is all there is to know of one, save its text: name, whether it
/// answers before the server serves, and what of a snapshot it shows.
macro_rules! words {
    ($($word:ident $name:literal $bytes:expr, $when:ident [$($part:ident)*])*) => {
        /// A four-letter word.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs)]
        pub enum Word { $($word,)* }

        impl Word {
            /// Every word.
            pub const ALL: &[Self] = &[$(Self::$word,)*];

            /// What a client sends.
            pub const fn bytes(self) -> [u8; 4] {
                match self { $(Self::$word => *$bytes,)* }
            }

            /// The word in text and in the white list.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$word => $name,)* }
            }

            /// What of a snapshot its answer shows.
            pub const fn parts(self) -> &'static [Part] {
                match self { $(Self::$word => &[$(Part::$part,)*],)* }
            }

            const fn answers_always(self) -> bool {
                match self { $(Self::$word => words!(@$when),)* }
            }
        }
    };
    (@Always) => { true };
    (@Serving) => { false };
}

words! {
    Conf "conf" b"conf", Serving [Directories]
    Cons "cons" b"cons", Serving [Connections]
    Crst "crst" b"crst", Serving []
    Dirs "dirs" b"dirs", Serving [Directories]
    Dump "dump" b"dump", Serving [Sessions Ephemerals Connections]
    Envi "envi" b"envi", Always [Environment]
    Gtmk "gtmk" b"gtmk", Always []
    Hash "hash" b"hash", Serving [Digests]
    Isro "isro" b"isro", Serving []
    Mntr "mntr" b"mntr", Serving [Metrics]
    Ruok "ruok" b"ruok", Always []
    Srst "srst" b"srst", Serving []
    Srvr "srvr" b"srvr", Serving [Metrics]
    Stat "stat" b"stat", Serving [Metrics Connections]
    Stmk "stmk" b"stmk", Always []
    Wchc "wchc" b"wchc", Serving [Watches]
    Wchp "wchp" b"wchp", Serving [Watches]
    Wchs "wchs" b"wchs", Serving [WatchSummary]
    TelnetClose "telnet close" b"\xff\xf4\xff\xfd", Always []
}

/// The word that a connection begins with; `None` if its first bytes are a length.
pub fn word(first: [u8; 4]) -> Option<Word> {
    Word::ALL.iter().copied().find(|word| word.bytes() == first)
}

impl Word {
    /// Bytes that follow the word and belong to it; whatever else follows is ignored.
    pub const fn extra_bytes(self) -> usize {
        match self {
            Self::Stmk => size_of::<i64>(),
            _ => 0,
        }
    }

    const fn bit(self) -> u32 {
        1 << (self as u32)
    }
}

/// The words that are answered (`4lw.commands.whitelist`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WhiteList {
    bits: u32,
}

impl WhiteList {
    /// Those named, `*` for all; `srvr` always, and `isro` where read-only mode is configured.
    /// What names no word is ignored, as Java does.
    pub fn new(names: &[String], read_only_mode: bool) -> Self {
        let mut bits = Word::Srvr.bit();
        if read_only_mode {
            bits |= Word::Isro.bit();
        }
        for word in Word::ALL {
            if names.iter().any(|name| name == "*" || name == word.name()) {
                bits |= word.bit();
            }
        }
        Self { bits }
    }

    /// Whether a word is answered.
    pub const fn allows(self, word: Word) -> bool {
        self.bits & word.bit() != 0
    }
}

/// What the loops have to do besides sending the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Effect {
    /// Nothing.
    #[default]
    None,
    /// `CoreStats::reset` on every core.
    ResetStats,
    /// Counts, latencies and last operation of every connection start again.
    ResetConnections,
    /// The trace mask is this from now on.
    SetTraceMask(i64),
}

/// What a word is answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The text; may be empty.
    pub text: String,
    /// What else to do.
    pub effect: Effect,
}

/// Answers a word. `extra` is what came behind it, as far as `Word::extra_bytes` asks.
pub fn answer(word: Word, extra: &[u8], snapshot: &Snapshot, white_list: WhiteList) -> Answer {
    if !white_list.allows(word) {
        let text = format!("{} is not executed because it is not in the whitelist.\n", word.name());
        return Answer { text, effect: Effect::None };
    }
    if snapshot.mode == Mode::NotServing && !word.answers_always() {
        let text = match word {
            Word::Isro => "null".to_owned(),
            Word::Hash => NOT_SERVING.to_owned(),
            _ => format!("{NOT_SERVING}\n"),
        };
        return Answer { text, effect: Effect::None };
    }
    let mut out = String::new();
    let effect = render(word, extra, snapshot, &mut out);
    Answer { text: out, effect }
}

fn render(word: Word, extra: &[u8], snapshot: &Snapshot, out: &mut String) -> Effect {
    match word {
        Word::Ruok => out.push_str("imok"),
        Word::Isro => out.push_str(if snapshot.mode == Mode::ReadOnly { "ro" } else { "rw" }),
        Word::Gtmk => put(out, format_args!("{}", snapshot.trace_mask)),
        Word::Stmk => {
            if let Some(mask) = extra.first_chunk() {
                let mask = i64::from_be_bytes(*mask);
                put(out, format_args!("{mask}"));
                return Effect::SetTraceMask(mask);
            }
        }
        Word::Srst => {
            out.push_str("Server stats reset.\n");
            return Effect::ResetStats;
        }
        Word::Crst => {
            out.push_str("Connection stats reset.\n");
            return Effect::ResetConnections;
        }
        Word::Conf => conf(snapshot, out),
        Word::Cons => {
            for connection in &snapshot.connections {
                put_connection(connection, true, out);
            }
            out.push('\n');
        }
        Word::Dirs => {
            let settings = &snapshot.settings;
            put(out, format_args!("datadir_size: {}\n", settings.data_dir_bytes));
            put(out, format_args!("logdir_size: {}\n", settings.data_log_dir_bytes));
        }
        Word::Dump => dump(snapshot, out),
        Word::Envi => {
            out.push_str("Environment:\n");
            for (key, value) in &snapshot.environment {
                put(out, format_args!("{key}={value}\n"));
            }
        }
        Word::Hash => {
            for (zxid, digest) in &snapshot.digests {
                put(out, format_args!("{zxid:x}: {}\n", digest.cast_signed()));
            }
        }
        Word::Mntr => mntr(snapshot, out),
        Word::Srvr => srvr(snapshot, false, out),
        Word::Stat => srvr(snapshot, true, out),
        Word::Wchc => {
            let by_session = snapshot.watches.iter().map(|(id, path)| (*id, path.as_str()));
            grouped(by_session, |id, out| put(out, format_args!("0x{id:x}")), str::to_owned, out);
        }
        Word::Wchp => {
            let by_path = snapshot.watches.iter().map(|(id, path)| (path.as_str(), *id));
            grouped(by_path, |path, out| out.push_str(path), |id| format!("0x{id:x}"), out);
        }
        Word::Wchs => {
            let summary = &snapshot.watch_summary;
            let (connections, paths) = (summary.connections, summary.paths);
            put(out, format_args!("{connections} connections watching {paths} paths\n"));
            put(out, format_args!("Total watches:{}\n", summary.total));
        }
        Word::TelnetClose => {}
    }
    Effect::None
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    if out.len() < ANSWER_BYTES_MAX {
        out.write_fmt(text).expect("a string takes everything");
    }
}

fn srvr(snapshot: &Snapshot, with_clients: bool, out: &mut String) {
    put(out, format_args!("Zookeeper version: {}\n", version::FULL));
    if snapshot.mode == Mode::ReadOnly {
        out.push_str("READ-ONLY mode; serving only read-only clients\n");
    }
    if with_clients {
        out.push_str("Clients:\n");
        for connection in &snapshot.connections {
            put_connection(connection, false, out);
        }
        out.push('\n');
    }
    let (stats, gauges) = (&snapshot.stats, &snapshot.gauges);
    let latency = &stats.latency;
    let average = double(latency.average());
    put(out, format_args!("Latency min/avg/max: {}/{average}/{}\n", latency.min(), latency.max()));
    put(out, format_args!("Received: {}\n", stats.packets_received));
    put(out, format_args!("Sent: {}\n", stats.packets_sent));
    put(out, format_args!("Connections: {}\n", gauges.connections));
    put(out, format_args!("Outstanding: {}\n", gauges.outstanding_requests));
    put(out, format_args!("Zxid: 0x{:x}\n", snapshot.zxid));
    put(out, format_args!("Mode: {}\n", snapshot.mode.name()));
    put(out, format_args!("Node count: {}\n", gauges.znode_count));
}

fn conf(snapshot: &Snapshot, out: &mut String) {
    let settings = &snapshot.settings;
    put(out, format_args!("clientPort={}\n", settings.client_port));
    put(out, format_args!("secureClientPort={}\n", settings.secure_client_port));
    put(out, format_args!("dataDir={}\n", settings.data_dir));
    put(out, format_args!("dataDirSize={}\n", settings.data_dir_bytes));
    put(out, format_args!("dataLogDir={}\n", settings.data_log_dir));
    put(out, format_args!("dataLogSize={}\n", settings.data_log_dir_bytes));
    put(out, format_args!("tickTime={}\n", settings.tick_time_ms));
    put(out, format_args!("maxClientCnxns={}\n", settings.max_client_cnxns));
    put(out, format_args!("minSessionTimeout={}\n", settings.min_session_timeout_ms));
    put(out, format_args!("maxSessionTimeout={}\n", settings.max_session_timeout_ms));
    put(out, format_args!("clientPortListenBacklog={}\n", settings.listen_backlog));
    put(out, format_args!("serverId={}\n", settings.server_id));
}

/// One line of `cons`, or of the clients of `stat`.
fn put_connection(row: &ConnectionRow, with_session: bool, out: &mut String) {
    let ConnectionRow { interest_ops, queued, received, sent, .. } = row;
    let address = java_address(row.address);
    put(
        out,
        format_args!(" {address}[{interest_ops:x}](queued={queued},recved={received},sent={sent}"),
    );
    if let Some(session) = row.session.as_ref().filter(|_| with_session) {
        let (id, op, to) = (session.id, session.last_op, session.timeout_ms);
        put(out, format_args!(",sid=0x{id:x},lop={op},est={},to={to}", session.established_ms));
        if let Some(cxid) = session.last_cxid {
            put(out, format_args!(",lcxid=0x{cxid:x}"));
        }
        let latency = &session.latency;
        // Java keeps whole milliseconds of a connection's mean.
        let mean = latency.sum.checked_div(latency.count).unwrap_or(0);
        put(
            out,
            format_args!(
                ",lzxid=0x{:x},lresp={},llat={},minlat={},avglat={mean},maxlat={}",
                session.last_zxid,
                session.last_response_ms,
                session.last_latency_ms,
                latency.min(),
                latency.max()
            ),
        );
    }
    out.push_str(")\n");
}

/// An address as `java.net.InetSocketAddress` prints one without a name.
pub fn java_address(address: SocketAddr) -> String {
    let port = address.port();
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => format!("/{ip}:{port}"),
        IpAddr::V6(ip) => {
            let parts: Vec<_> = ip.segments().iter().map(|part| format!("{part:x}")).collect();
            format!("/[{}]:{port}", parts.join(":"))
        }
    }
}

/// Groups pairs by their first half: a line for it, and one behind a tab for each second half; an
/// empty line at the end.
fn grouped<K: Ord, V: Ord>(
    pairs: impl Iterator<Item = (K, V)>,
    head: impl Fn(&K, &mut String),
    line: impl Fn(V) -> String,
    out: &mut String,
) {
    let mut groups: BTreeMap<K, Vec<V>> = BTreeMap::new();
    for (key, value) in pairs {
        groups.entry(key).or_default().push(value);
    }
    for (key, mut values) in groups {
        if out.len() >= ANSWER_BYTES_MAX {
            break;
        }
        head(&key, out);
        out.push('\n');
        values.sort_unstable();
        for value in values {
            put(out, format_args!("\t{}\n", line(value)));
        }
    }
    out.push('\n');
}

fn dump(snapshot: &Snapshot, out: &mut String) {
    out.push_str("SessionTracker dump:\nSession ");
    let sessions = snapshot.sessions.iter();
    let sessions = sessions.map(|row| (row.expires_at_ms, format!("0x{:x}", row.id)));
    put_expiry(snapshot, sessions, out);

    out.push_str("ephemeral nodes dump:\n");
    let mut by_session: BTreeMap<i64, Vec<&str>> = BTreeMap::new();
    for (session, path) in &snapshot.ephemerals {
        by_session.entry(*session).or_default().push(path);
    }
    put(out, format_args!("Sessions with Ephemerals ({}):\n", by_session.len()));
    for (session, mut paths) in by_session {
        put(out, format_args!("0x{session:x}:\n"));
        paths.sort_unstable();
        for path in paths {
            put(out, format_args!("\t{path}\n"));
        }
    }

    out.push_str("Connections dump:\nConnections ");
    let connections = snapshot.connections.iter().map(|row| {
        let session = row.session.as_ref().map_or(0, |session| session.id);
        let address = java_address(row.address);
        (row.expires_at_ms, format!("ip: {address} sessionId: 0x{session:x}"))
    });
    put_expiry(snapshot, connections, out);
}

/// Java's `ExpiryQueue.dump`: what expires together, under the moment when it does.
fn put_expiry(snapshot: &Snapshot, rows: impl Iterator<Item = (i64, String)>, out: &mut String) {
    let mut sets: BTreeMap<i64, Vec<String>> = BTreeMap::new();
    let mut count = 0;
    for (expires_at_ms, line) in rows {
        sets.entry(expires_at_ms).or_default().push(line);
        count += 1;
    }
    put(out, format_args!("Sets ({})/({count}):\n", sets.len()));
    for (expires_at_ms, lines) in sets {
        let date = java_date(expires_at_ms, snapshot);
        put(out, format_args!("{} expire at {date}:\n", lines.len()));
        for line in lines {
            put(out, format_args!("\t{line}\n"));
        }
    }
}

/// A moment as `java.util.Date` prints it.
fn java_date(ms: i64, snapshot: &Snapshot) -> String {
    let moment = Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MIN);
    let moment = moment.to_zoned(snapshot.zone.clone());
    strtime::format("%a %b %d %H:%M:%S %Z %Y", &moment).unwrap_or_default()
}

/// A double as Java prints one, within what a mean or a probability can be.
fn double(value: f64) -> String {
    if value.fract() == 0.0 { format!("{value:.1}") } else { format!("{value}") }
}

fn mntr(snapshot: &Snapshot, out: &mut String) {
    let (stats, gauges) = (&snapshot.stats, &snapshot.gauges);
    let mut line = |key: &str, value: &dyn std::fmt::Display| {
        put(out, format_args!("zk_{key}\t{value}\n"));
    };
    line("version", &version::FULL);
    line("server_state", &snapshot.mode.name());
    let sizes = stats.response_sizes.seen;
    let size = |pick: fn((u64, u64, u64)) -> u64| -> String {
        sizes.map_or_else(|| "-1".to_owned(), |seen| pick(seen).to_string())
    };
    line("ephemerals_count", &gauges.ephemerals_count);
    line("num_alive_connections", &gauges.connections);
    line("avg_latency", &double(stats.latency.average()));
    line("outstanding_requests", &gauges.outstanding_requests);
    line("znode_count", &gauges.znode_count);
    line("global_sessions", &gauges.global_sessions);
    line("non_mtls_remote_conn_count", &gauges.non_mtls_remote);
    line("last_client_response_size", &size(|(last, _, _)| last));
    line("packets_sent", &stats.packets_sent);
    line("packets_received", &stats.packets_received);
    line("max_client_response_size", &size(|(_, _, max)| max));
    line("connection_drop_probability", &double(gauges.connection_drop_probability));
    line("watch_count", &gauges.watch_count);
    line("auth_failed_count", &gauges.auth_failed);
    line("min_latency", &stats.latency.min());
    line("max_file_descriptor_count", &gauges.open_files_max);
    line("approximate_data_size", &gauges.approximate_data_size);
    line("open_file_descriptor_count", &gauges.open_files);
    line("local_sessions", &gauges.local_sessions);
    line("uptime", &gauges.uptime_ms);
    line("max_latency", &stats.latency.max());
    line("outstanding_tls_handshake", &gauges.tls_handshakes);
    line("min_client_response_size", &size(|(_, min, _)| min));
    line("non_mtls_local_conn_count", &gauges.non_mtls_local);
    for counter in Counter::ALL {
        line(counter.name(), &stats.counted(*counter));
    }
    for basic in Basic::ALL {
        put_values(basic.name(), stats.values(*basic), &mut line);
    }
    for timed in Timed::ALL {
        let times = stats.times(*timed);
        put_values(timed.name(), &times.all, &mut line);
        for (name, per_mille) in [("p50", 500), ("p95", 950), ("p99", 990), ("p999", 999)] {
            line(&format!("{name}_{}", timed.name()), &times.percentile(per_mille));
        }
    }
    for namespace in &snapshot.namespaces {
        for (kind, values) in [("read", &namespace.reads), ("write", &namespace.writes)] {
            if values.count > 0 {
                let name = format!("{}_{kind}_per_namespace", namespace.name);
                put_values(&name, values, &mut line);
            }
        }
    }
}

fn put_values(name: &str, values: &MinMaxAvg, line: &mut impl FnMut(&str, &dyn std::fmt::Display)) {
    line(&format!("avg_{name}"), &double(values.average()));
    line(&format!("min_{name}"), &values.min());
    line(&format!("max_{name}"), &values.max());
    line(&format!("cnt_{name}"), &values.count);
    line(&format!("sum_{name}"), &values.sum);
}
