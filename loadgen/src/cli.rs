//! The command line: what can be asked for, and which combinations make no sense.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::client::frames::KEYS_MAX;
use crate::load;
use crate::sessions;
use crate::watchers;

/// Client load for RingKeeper and Apache ZooKeeper, with honest latency figures.
///
/// Opens sessions over the ZooKeeper client protocol, keeps them busy, and reports rate,
/// latency percentiles, and the server's processor time and memory. Without --servers it starts a
/// RingKeeper of its own on a temporary directory and ends it afterwards.
#[derive(Debug, Parser)]
#[command(name = "loadgen", version, args_conflicts_with_subcommands = true, after_long_help = HELP)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub run: RunArgs,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the null server: answers everything at once, keeps nothing. The floor to compare with
    Null {
        /// Port on 127.0.0.1; 0 takes a free one, which is printed
        #[arg(long, default_value_t = 0)]
        port: u16,
    },
    /// Measure RingKeeper, Apache ZooKeeper and the null server side by side, in alternating rounds
    Versus(VersusArgs),
}

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Load")]
#[allow(clippy::struct_excessive_bools)] // Each is a flag of its own.
pub struct RunArgs {
    /// Connections that write (setData), unless --mix says otherwise
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub writers: usize,
    /// Connections that read (getData)
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub readers: usize,
    /// Share of a writer's requests that write; the others read
    #[arg(long, value_name = "0..1", default_value_t = 1.0)]
    pub mix: f64,
    /// Requests outstanding per connection. Open loop: at most (default 1; 1024 with --rate)
    #[arg(long, value_name = "K")]
    pub inflight: Option<usize>,
    /// Open loop: requests per second of all connections together, timed from their due times
    #[arg(long, value_name = "R")]
    pub rate: Option<f64>,
    /// Bytes of data per znode
    #[arg(long, value_name = "BYTES", default_value_t = 100)]
    pub size: usize,
    /// Znodes that are read and written, chosen evenly at random
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub keys: u32,
    /// Measured time
    #[arg(long, value_name = "S", default_value_t = 10)]
    pub secs: u64,
    /// Time before, not counted
    #[arg(long, value_name = "S", default_value_t = 2)]
    pub warm_up: u64,
    /// Client threads
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub threads: usize,
    /// Session timeout to ask for
    #[arg(long, value_name = "MS", default_value_t = 30_000)]
    pub session_timeout: i32,
    /// Where the znodes of the run are made, and removed again
    #[arg(long, value_name = "PATH", default_value = "/loadgen")]
    pub root: String,
    /// Leave the znodes where they are
    #[arg(long)]
    pub keep: bool,

    /// Scenario: N sessions watch one znode, another writes it
    #[arg(long, value_name = "N", help_heading = "Scenarios", group = "scenario")]
    pub watchers: Option<usize>,
    /// Scenario: how fast sessions open, one by one and 64 at a time, and what an idle one costs
    #[arg(long, help_heading = "Scenarios", group = "scenario")]
    pub sessions: bool,
    /// Scenario: create N znodes, pipelined over --writers connections (default 64 x 16)
    #[arg(long, value_name = "N", help_heading = "Scenarios", group = "scenario")]
    pub create: Option<u32>,
    /// Rounds of --watchers
    #[arg(long, value_name = "N", help_heading = "Scenarios", default_value_t = 5)]
    pub rounds: usize,
    /// Idle sessions of --sessions, for the memory measurement; 0 leaves it away
    #[arg(long, value_name = "N", help_heading = "Scenarios", default_value_t = 2000)]
    pub idle: usize,

    /// Servers that run already, host:port, separated by commas. Connections are spread over them
    #[arg(long, value_name = "LIST", help_heading = "Server", value_delimiter = ',')]
    pub servers: Vec<String>,
    /// Process of the server, if it is on this machine and cannot be found by its port
    #[arg(long, value_name = "PID", help_heading = "Server")]
    pub server_pid: Vec<i32>,
    /// The server to start, in place of the one that is built with loadgen
    #[arg(long, value_name = "FILE", help_heading = "Server", conflicts_with = "servers")]
    pub server_program: Option<PathBuf>,
    /// Start Apache ZooKeeper in place of RingKeeper
    #[arg(long, help_heading = "Server", conflicts_with_all = ["servers", "server_program"])]
    pub apache: bool,
    /// Apache ZooKeeper's jars, in place of those that Maven fetches
    #[arg(long, value_name = "DIR", help_heading = "Server")]
    pub apache_jars: Option<PathBuf>,
    /// Where the started server keeps its data, in a directory of its own
    #[arg(long, value_name = "DIR", help_heading = "Server", conflicts_with = "servers")]
    pub data_parent: Option<PathBuf>,

    /// Write everything that was measured (results/README.md describes the fields)
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub json: Option<PathBuf>,
    /// Write a page with plots; one file, nothing else needed
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub html: Option<PathBuf>,
    /// No progress, only the report
    #[arg(long, help_heading = "Output")]
    pub quiet: bool,
}

#[derive(Clone, Debug, Args)]
pub struct VersusArgs {
    /// Rounds; medians over them are reported
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub rounds: usize,
    /// Measured time of each cell of each round
    #[arg(long, value_name = "S", default_value_t = 5)]
    pub secs: u64,
    /// Warm-up of each cell of each round
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub warm_up: u64,
    /// Load before the first round, for the just-in-time compiler
    #[arg(long, value_name = "S", default_value_t = 10)]
    pub jit_warm_up: u64,
    /// Rows, separated by commas; all of them if absent: set-1, set-16, get-1, get-16, mix-1,
    /// mix-16, watchers, sessions, idle, znodes
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub rows: Vec<String>,
    /// Watchers of the row `watchers`
    #[arg(long, value_name = "N", default_value_t = 5000)]
    pub watchers: usize,
    /// Znodes of the row `znodes` (created once per side, then kill -9 and start again)
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    pub znodes: u32,
    /// Sides, separated by commas: ringkeeper, apache, null
    #[arg(long, value_name = "LIST", value_delimiter = ',',
          default_values_t = ["ringkeeper", "apache", "null"].map(String::from))]
    pub sides: Vec<String>,
    /// RingKeeper's program, in place of the one that is built with loadgen
    #[arg(long, value_name = "FILE")]
    pub server_program: Option<PathBuf>,
    /// Apache ZooKeeper's jars, in place of those that Maven fetches
    #[arg(long, value_name = "DIR")]
    pub apache_jars: Option<PathBuf>,
    /// Where the servers keep their data, each in a directory of its own
    #[arg(long, value_name = "DIR")]
    pub data_parent: Option<PathBuf>,
    /// Where the result's folder is made
    #[arg(long, value_name = "DIR", default_value = "results")]
    pub out: PathBuf,
}

const HELP: &str = "\
Examples:
  loadgen --writers 64                          64 sessions write to a server of ours
  loadgen --writers 64 --inflight 16            the same, 16 requests outstanding each
  loadgen --writers 64 --mix 0.1 --secs 60      10 % writes, for a minute
  loadgen --readers 64 --servers zk1:2181,zk2:2181,zk3:2181
  loadgen --writers 64 --rate 5000              open loop: 5,000 a second, whatever the server does
  loadgen --writers 64 --json run.json --html run.html
  loadgen --watchers 5000 --apache              fan-out of Apache ZooKeeper, started here
  loadgen --sessions                            session opens per second, bytes per idle session
  loadgen --create 1000000                      fill a server, bytes per znode
  loadgen versus                                ours, Apache's and the floor, in alternating rounds

How to read the figures:
  Closed loop (the default): each connection sends again when it has its answer. Latency is from the
  moment a request left to the moment its reply was read. A slow server is asked less often, so this
  flatters it.
  Open loop (--rate): requests are due at fixed times, and latency counts from the due time even when
  the request had to wait for its connection. This is what users of a service see.
  Every reply is checked: replies in the order of requests, xids match, no session sees zxids go back.
  The report ends with valid, shared (client and server both at their limit: the rate is a lower
  bound), INVALID (the client was the bottleneck: the figures are the client's, not the server's) or
  WRONG (the server broke a promise of the protocol).
  If connections are closed at once: maxClientCnxns is 60 per address by default.";

/// What a run without a subcommand does.
#[derive(Clone, Debug)]
pub enum Scenario {
    Load(load::Plan),
    Watchers(watchers::Plan),
    Sessions(sessions::Plan),
}

/// Requests outstanding on one connection of an open loop, if nobody says otherwise.
const INFLIGHT_OPEN_LOOP: usize = 1024;
const INFLIGHT_MAX: usize = 1 << 16;
/// Apache's `jute.maxbuffer` default, less what a request has besides data.
const SIZE_MAX: usize = (1 << 20) - 4096;
const THREADS_MAX: usize = 64;
const SECONDS_MAX: u64 = 7 * 24 * 3600;

impl RunArgs {
    /// The scenario for these servers, or one sentence that says what is wrong.
    pub fn scenario(&self, servers: Vec<SocketAddr>) -> Result<Scenario, String> {
        self.check()?;
        if let Some(watchers) = self.watchers {
            return Ok(Scenario::Watchers(watchers::Plan {
                servers,
                watchers,
                rounds: self.rounds,
                size: self.size,
                root: self.root.clone(),
                session_timeout_ms: self.session_timeout,
            }));
        }
        if self.sessions {
            return Ok(Scenario::Sessions(sessions::Plan {
                servers,
                seconds: Duration::from_secs(self.secs),
                opens_max: sessions::OPENS_MAX,
                idle: self.idle,
                session_timeout_ms: self.session_timeout,
            }));
        }
        let (writers, inflight) = match (self.create, self.writers) {
            (Some(_), 0) => (64, self.inflight.unwrap_or(16)),
            (_, writers) => (writers, self.inflight.unwrap_or(self.inflight_default())),
        };
        Ok(Scenario::Load(load::Plan {
            servers,
            work: if self.create.is_some() { load::Work::Create } else { load::Work::Mix },
            writers,
            readers: self.readers,
            mix: self.mix,
            inflight,
            threads: self.threads,
            rate: self.rate,
            size: self.size,
            keys: self.create.unwrap_or(self.keys),
            root: self.root.clone(),
            seconds: Duration::from_secs(self.secs),
            warm_up: Duration::from_secs(if self.create.is_some() { 0 } else { self.warm_up }),
            session_timeout_ms: self.session_timeout,
            seed: 1,
        }))
    }

    /// Sessions that are open at once.
    pub fn connections(&self) -> usize {
        let load = match (self.create, self.writers) {
            (Some(_), 0) => 64,
            _ => self.writers + self.readers,
        };
        let sessions = if self.sessions { sessions::OPENS_MAX.max(self.idle) } else { 0 };
        load.max(sessions).max(self.watchers.map_or(0, |count| count + 1))
    }

    fn inflight_default(&self) -> usize {
        if self.rate.is_some() { INFLIGHT_OPEN_LOOP } else { 1 }
    }

    fn check(&self) -> Result<(), String> {
        let in_range = |name: &str, value: u64, from: u64, to: u64| {
            if (from..=to).contains(&value) {
                return Ok(());
            }
            Err(format!("--{name} {value} is out of range: {from} to {to}"))
        };
        let is_load = self.watchers.is_none() && !self.sessions && self.create.is_none();
        if is_load && self.writers + self.readers == 0 {
            return Err("nothing to do: give --writers N, --readers N or a scenario \
                        (--watchers, --sessions, --create); --help has examples"
                .to_owned());
        }
        if !is_load && self.readers > 0 {
            return Err("--readers has no place in a scenario".to_owned());
        }
        if !(0.0..=1.0).contains(&self.mix) {
            return Err(format!("--mix {} is no share: 0 (all read) to 1 (all write)", self.mix));
        }
        if let Some(rate) = self.rate
            && !(rate > 0.0 && rate <= 1e8)
        {
            return Err(format!("--rate {rate} is out of range: above 0, up to 100,000,000"));
        }
        if self.rate.is_some() && self.create.is_some() {
            return Err("--create fills as fast as it can: leave --rate away".to_owned());
        }
        let root_is_fine =
            self.root.len() > 1 && ringkeeper::types::path::check(&self.root).is_ok();
        if !root_is_fine || self.root.starts_with("/zookeeper") {
            return Err(format!("--root {} is no path to make znodes below", self.root));
        }
        in_range("writers", self.writers as u64, 0, 1_000_000)?;
        in_range("readers", self.readers as u64, 0, 1_000_000)?;
        in_range("watchers", self.watchers.unwrap_or(1) as u64, 1, 1_000_000)?;
        in_range("idle", self.idle as u64, 0, 1_000_000)?;
        in_range("rounds", self.rounds as u64, 1, 100_000)?;
        in_range("inflight", self.inflight.unwrap_or(1) as u64, 1, INFLIGHT_MAX as u64)?;
        in_range("threads", self.threads as u64, 1, THREADS_MAX as u64)?;
        in_range("size", self.size as u64, 0, SIZE_MAX as u64)?;
        in_range("keys", self.keys.into(), 1, KEYS_MAX.into())?;
        in_range("create", self.create.unwrap_or(1).into(), 1, KEYS_MAX.into())?;
        in_range("secs", self.secs, 1, SECONDS_MAX)?;
        in_range("warm-up", self.warm_up, 0, SECONDS_MAX)?;
        if self.session_timeout <= 0 {
            return Err(format!("--session-timeout {} is not positive", self.session_timeout));
        }
        if is_load && self.threads > self.writers + self.readers {
            return Err(format!("--threads {} is more than there are connections", self.threads));
        }
        Ok(())
    }
}

/// Addresses of `host:port` texts, IPv4 before IPv6. The port may be left away.
pub fn resolve(servers: &[String]) -> Result<Vec<SocketAddr>, String> {
    let resolve_one = |text: &String| {
        let text = text.trim();
        let has_port = text.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let full = if has_port { text.to_owned() } else { format!("{text}:2181") };
        let found = full.to_socket_addrs();
        let found = found.map_err(|why| format!("--servers: {text} cannot be resolved: {why}"))?;
        let mut found: Vec<_> = found.collect();
        found.sort_by_key(SocketAddr::is_ipv6);
        found.first().copied().ok_or_else(|| format!("--servers: {text} has no address"))
    };
    servers.iter().map(resolve_one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn fault(line: &str) -> String {
        let words = std::iter::once("loadgen").chain(line.split_whitespace());
        match Cli::try_parse_from(words) {
            Err(why) => why.to_string(),
            Ok(cli) => match cli.run.scenario(vec!["127.0.0.1:1".parse().unwrap()]) {
                Err(why) => why,
                Ok(_) => "none".to_owned(),
            },
        }
    }

    #[test]
    fn the_command_line_is_consistent_in_itself() {
        Cli::command().debug_assert();
    }

    #[test]
    fn senseless_arguments_are_refused_with_a_sentence() {
        #[rustfmt::skip]
        let table = [
            ("--writers 64",                        "none"),
            ("--watchers 5",                        "none"),
            ("--create 10",                         "none"),
            ("",                                    "nothing to do"),
            ("--writers x",                         "invalid value"),
            ("--writers 1 --mix 1.5",               "no share"),
            ("--writers 1 --mix nan",               "no share"),
            ("--writers 1 --rate 0",                "--rate 0 is out of range"),
            ("--writers 1 --rate=-5",               "--rate -5 is out of range"),
            ("--writers 1 --inflight 0",            "--inflight 0 is out of range"),
            ("--writers 1 --size 2000000",          "--size 2000000 is out of range"),
            ("--writers 1 --keys 0",                "--keys 0 is out of range"),
            ("--writers 1 --secs 0",                "--secs 0 is out of range"),
            ("--writers 1 --threads 2",             "more than there are connections"),
            ("--writers 1 --root x",                "no path"),
            ("--writers 1 --root /",                "no path"),
            ("--writers 1 --root /zookeeper/x",     "no path"),
            ("--create 5 --rate 1",                 "leave --rate away"),
            ("--watchers 5 --create 5",             "cannot be used with"),
            ("--watchers 5 --readers 5",            "no place"),
            ("--writers 1 --servers a --apache",    "cannot be used with"),
            ("--writers 1 null",                    "subcommand"),
        ];
        for (line, part) in table {
            assert!(fault(line).contains(part), "{line}: {}", fault(line));
        }
    }

    #[test]
    fn server_lists_may_leave_the_port_away() {
        let list = ["127.0.0.1".to_owned(), " 127.0.0.1:99".to_owned(), "[::1]:7".to_owned()];
        let ports: Vec<_> = resolve(&list).unwrap().iter().map(SocketAddr::port).collect();
        assert_eq!(ports, [2181, 99, 7]);
        assert!(resolve(&["no such host".to_owned()]).unwrap_err().contains("resolved"));
    }
}
