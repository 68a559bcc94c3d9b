//! What a run found out, in the forms that people and programs read.
//!
//! [`Report`] is the record of a run: `run.json` is its serialization, and text and page are drawn
//! from it alone, so no form can say what another does not.

mod number;
mod page;
pub mod plot;
mod text;
pub mod ticks;

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use crate::client::error_name;
use crate::load;
use crate::machine::{self, Machine};
use crate::servers::Description;
use crate::sessions;
use crate::tally::Tally;
use crate::verdict::{State, Verdict};
use crate::watchers;

pub use number::{bytes, duration_us, grouped, ratio};
pub use page::page;
pub use text::text;

/// The name of the format. Changes when a field changes its meaning or goes.
pub const SCHEMA: &str = "loadgen-run-1";

/// Everything about one run. results/README.md describes every field.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub schema: &'static str,
    pub scenario: &'static str,
    pub started: String,
    pub command: Vec<String>,
    pub loadgen: Program,
    pub machine: Machine,
    pub server: Description,
    pub settings: Settings,
    pub verdict: Judgement,
    pub load: Option<Load>,
    pub watchers: Option<Watchers>,
    pub sessions: Option<Sessions>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Program {
    pub version: &'static str,
    pub commit: String,
}

impl Program {
    pub fn own() -> Self {
        Self { version: env!("CARGO_PKG_VERSION"), commit: machine::commit() }
    }
}

/// What was asked for. Fields that a scenario does not use are 0.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Settings {
    pub writers: usize,
    pub readers: usize,
    pub watchers: usize,
    pub mix: f64,
    pub inflight: usize,
    pub rate: Option<f64>,
    pub size: usize,
    pub keys: u32,
    pub seconds: f64,
    pub warm_up_seconds: f64,
    pub threads: usize,
    pub session_timeout_ms: i32,
}

#[derive(Clone, Debug, Serialize)]
pub struct Judgement {
    pub state: &'static str,
    pub reasons: Vec<String>,
    #[serde(skip)]
    pub is_bad: bool,
}

impl From<&Verdict> for Judgement {
    fn from(verdict: &Verdict) -> Self {
        Self {
            state: verdict.state.name(),
            reasons: verdict.reasons.clone(),
            is_bad: matches!(verdict.state, State::Invalid | State::Wrong),
        }
    }
}

/// Latencies of one kind of request, in microseconds.
#[derive(Clone, Debug, Serialize)]
pub struct Latency {
    pub count: u64,
    pub errors: Vec<ErrorCount>,
    pub mean_us: f64,
    pub p50_us: f64,
    pub p90_us: f64,
    pub p99_us: f64,
    pub p999_us: f64,
    pub max_us: f64,
    /// Pairs of a share (0 to 1) and the latency that it did not exceed.
    pub curve: Vec<(f64, f64)>,
}

#[derive(Clone, Debug, Serialize)]
pub struct ErrorCount {
    pub code: i32,
    pub name: &'static str,
    pub count: u64,
}

/// Shares at which the curve is stored. Evenly spaced on the plot's axis, nearly.
#[rustfmt::skip]
const CURVE: [f64; 22] = [
    0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999,
    0.9995, 0.9998, 0.9999, 0.99995, 0.99999, 1.0,
];

impl Latency {
    /// `None` when there was nothing of the kind.
    fn of(tally: &Tally) -> Option<Self> {
        let count = tally.count();
        if count == 0 {
            return None;
        }
        let at = |share: f64| micros(tally.quantile(share));
        // A share beyond which lies less than one answer says nothing that the maximum does not.
        let told = |share: &&f64| **share >= 1.0 || (1.0 - **share) * count as f64 >= 1.0;
        Some(Self {
            count,
            errors: tally
                .errors()
                .iter()
                .map(|&(code, count)| ErrorCount { code, name: error_name(code), count })
                .collect(),
            mean_us: micros(tally.mean()),
            p50_us: at(0.5),
            p90_us: at(0.9),
            p99_us: at(0.99),
            p999_us: at(0.999),
            max_us: micros(tally.max()),
            curve: CURVE.iter().filter(told).map(|&share| (share, at(share))).collect(),
        })
    }
}

/// The scenarios `load` and `create`.
#[derive(Clone, Debug, Serialize)]
pub struct Load {
    pub measured_seconds: f64,
    pub operations: u64,
    pub operations_per_second: f64,
    pub worst_second_over_mean: Option<f64>,
    pub writes: Option<Latency>,
    pub reads: Option<Latency>,
    pub server: Option<ServerUse>,
    pub client: ClientUse,
    pub machine_idle: f64,
    pub machine_steal: f64,
    pub lag_p99_us: Option<f64>,
    pub bytes_per_znode: Option<f64>,
    pub unanswered: u64,
    pub lost_connections: Vec<String>,
    pub violations: Vec<String>,
    pub seconds: Vec<Second>,
}

#[derive(Clone, Debug, Serialize)]
pub struct ServerUse {
    pub cpu_us_per_operation: f64,
    pub cores: f64,
    pub system_share: f64,
    pub busiest_thread: f64,
    pub resident_bytes_before: u64,
    pub resident_bytes_after: u64,
    pub resident_bytes_peak: u64,
}

#[derive(Clone, Debug, Serialize)]
pub struct ClientUse {
    pub cpu_us_per_operation: f64,
    pub busiest_thread: f64,
    pub starved: f64,
}

#[derive(Clone, Debug, Serialize)]
pub struct Second {
    pub at: f64,
    pub rate: f64,
    pub writes: u64,
    pub reads: u64,
    pub errors: u64,
    pub p50_us: f64,
    pub p99_us: f64,
    pub max_us: f64,
    pub client_cores: f64,
    pub server_cores: Option<f64>,
    pub server_resident_bytes: Option<u64>,
    pub behind: u64,
}

impl Load {
    pub fn of(outcome: &load::Outcome, plan: &load::Plan) -> Self {
        let operations = outcome.operations();
        let per_op = |cpu: Duration| micros(cpu) / operations.max(1) as f64;
        let rate = outcome.rate();
        let is_create = matches!(plan.work, load::Work::Create);
        let grown = outcome.server.filter(|_| is_create).map(|server| {
            let grown = server.resident_after as f64 - server.resident_before as f64;
            grown / outcome.writes.count().max(1) as f64
        });
        // The last second of a run of creates is a part of one.
        let whole = outcome.seconds.iter().filter(|second| second.length > 0.9);
        let worst = whole.map(load::Second::rate).reduce(f64::min);
        Self {
            measured_seconds: outcome.measured.as_secs_f64(),
            operations,
            operations_per_second: rate,
            worst_second_over_mean: worst.filter(|_| rate > 0.0).map(|worst| worst / rate),
            writes: Latency::of(&outcome.writes),
            reads: Latency::of(&outcome.reads),
            server: outcome.server.map(|server| ServerUse {
                cpu_us_per_operation: per_op(server.cpu),
                cores: server.cores,
                system_share: share(server.system, server.cpu),
                busiest_thread: server.busiest,
                resident_bytes_before: server.resident_before,
                resident_bytes_after: server.resident_after,
                resident_bytes_peak: server.resident_peak,
            }),
            client: ClientUse {
                cpu_us_per_operation: per_op(outcome.client.cpu),
                busiest_thread: outcome.client.busiest,
                starved: outcome.client.starved,
            },
            machine_idle: outcome.idle,
            machine_steal: outcome.steal,
            lag_p99_us: plan.rate.map(|_| micros(outcome.lag.quantile(0.99))),
            bytes_per_znode: grown,
            unanswered: outcome.unanswered,
            lost_connections: outcome.lost.clone(),
            violations: outcome.violations.clone(),
            seconds: outcome.seconds.iter().map(Second::of).collect(),
        }
    }
}

impl Second {
    fn of(second: &load::Second) -> Self {
        Self {
            at: second.at,
            rate: second.rate(),
            writes: second.writes,
            reads: second.reads,
            errors: second.errors,
            p50_us: micros(second.p50),
            p99_us: micros(second.p99),
            max_us: micros(second.max),
            client_cores: second.client_cores,
            server_cores: second.server_cores,
            server_resident_bytes: second.server_resident_bytes,
            behind: second.behind,
        }
    }
}

/// The scenario `watchers`.
#[derive(Clone, Debug, Serialize)]
pub struct Watchers {
    pub ack_median_us: f64,
    pub first_event_median_us: f64,
    pub last_event_median_us: f64,
    pub events: Option<Latency>,
    pub rounds: Vec<WatchRound>,
}

#[derive(Clone, Debug, Serialize)]
#[allow(clippy::struct_field_names)] // The names of run.json: each time has its unit.
pub struct WatchRound {
    pub ack_us: f64,
    pub first_event_us: f64,
    pub last_event_us: f64,
}

impl Watchers {
    pub fn of(outcome: &watchers::Outcome) -> Self {
        let round = |round: &watchers::Round| WatchRound {
            ack_us: micros(round.ack),
            first_event_us: micros(round.first_event),
            last_event_us: micros(round.last_event),
        };
        Self {
            ack_median_us: micros(outcome.median(|round| round.ack)),
            first_event_median_us: micros(outcome.median(|round| round.first_event)),
            last_event_median_us: micros(outcome.median(|round| round.last_event)),
            events: Latency::of(&outcome.events),
            rounds: outcome.rounds.iter().map(round).collect(),
        }
    }
}

/// The scenario `sessions`.
#[derive(Clone, Debug, Serialize)]
pub struct Sessions {
    pub serial: Opens,
    pub parallel: Opens,
    pub idle: Option<Idle>,
}

#[derive(Clone, Debug, Serialize)]
#[allow(clippy::struct_field_names)] // The names of run.json.
pub struct Opens {
    pub at_once: usize,
    pub opens_per_second: f64,
    pub latency: Option<Latency>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Idle {
    pub sessions: usize,
    pub resident_bytes_before: u64,
    pub resident_bytes_after: u64,
    pub bytes_per_session: f64,
}

impl Sessions {
    pub fn of(outcome: &sessions::Outcome) -> Self {
        let opens = |opens: &sessions::Opens| Opens {
            at_once: opens.at_once,
            opens_per_second: opens.rate(),
            latency: Latency::of(&opens.latency),
        };
        Self {
            serial: opens(&outcome.serial),
            parallel: opens(&outcome.parallel),
            idle: outcome.idle.map(|idle| Idle {
                sessions: idle.sessions,
                resident_bytes_before: idle.resident_before,
                resident_bytes_after: idle.resident_after,
                bytes_per_session: idle.bytes_per_session(),
            }),
        }
    }
}

impl Report {
    /// The frame that every scenario's results are put into.
    pub fn new(
        scenario: &'static str,
        started: SystemTime,
        server: Description,
        settings: Settings,
        verdict: &Verdict,
    ) -> Self {
        Self {
            schema: SCHEMA,
            scenario,
            started: humantime::format_rfc3339_seconds(started).to_string(),
            command: own_command(),
            loadgen: Program::own(),
            machine: machine::machine(),
            server,
            settings,
            verdict: verdict.into(),
            load: None,
            watchers: None,
            sessions: None,
        }
    }

    /// `run.json`.
    pub fn json(&self) -> String {
        let mut json = serde_json::to_string_pretty(self).expect("no map has keys but strings");
        json.push('\n');
        json
    }
}

/// This program's command line, its own path left away.
pub fn own_command() -> Vec<String> {
    let words = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned());
    std::iter::once("loadgen".to_owned()).chain(words).collect()
}

fn micros(duration: Duration) -> f64 {
    duration.as_nanos() as f64 / 1e3
}

fn share(part: Duration, of: Duration) -> f64 {
    if of.is_zero() { 0.0 } else { part.as_secs_f64() / of.as_secs_f64() }
}

/// `127.0.0.1:2181, 127.0.0.1:2182 and 3 more`.
fn addresses(list: &[SocketAddr]) -> String {
    const SHOWN_MAX: usize = 3;
    let shown: Vec<_> = list.iter().take(SHOWN_MAX).map(ToString::to_string).collect();
    match list.len().saturating_sub(SHOWN_MAX) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
