//! One scenario on one server: from settings to a report.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::SystemTime;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::cli::Scenario;
use crate::client::Failure;
use crate::load::{self, Work};
use crate::prepare;
use crate::random::Random;
use crate::report::{Load, Report, Sessions, Settings, Watchers};
use crate::servers::Server;
use crate::sessions;
use crate::verdict::{State, Verdict};
use crate::watchers;

/// Whether the znodes of a run are removed after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    Remove,
    Keep,
}

/// Runs it. `on_second` hears of every second of a load.
pub fn run(
    scenario: &Scenario,
    server: &Server,
    after: After,
    stop: &Arc<AtomicBool>,
    on_second: load::Progress<'_>,
) -> Result<Report, Failure> {
    let started = SystemTime::now();
    let description = server.description.clone();
    match scenario {
        Scenario::Load(plan) => {
            let outcome = run_load(plan, server, after, stop, on_second)?;
            let name = if matches!(plan.work, Work::Create) { "create" } else { "load" };
            let settings = load_settings(plan);
            let mut report = Report::new(name, started, description, settings, &outcome.verdict);
            report.load = Some(Load::of(&outcome, plan));
            Ok(report)
        }
        Scenario::Watchers(plan) => {
            let outcome = watchers::run(plan, stop)?;
            let settings = Settings {
                watchers: plan.watchers,
                size: plan.size,
                session_timeout_ms: plan.session_timeout_ms,
                ..Settings::default()
            };
            let mut report = Report::new("watchers", started, description, settings, &NO_RIVAL);
            report.watchers = Some(Watchers::of(&outcome));
            Ok(report)
        }
        Scenario::Sessions(plan) => {
            let outcome = sessions::run(plan, &server.pids, stop)?;
            let settings = Settings {
                seconds: plan.seconds.as_secs_f64(),
                session_timeout_ms: plan.session_timeout_ms,
                ..Settings::default()
            };
            let mut report = Report::new("sessions", started, description, settings, &NO_RIVAL);
            report.sessions = Some(Sessions::of(&outcome));
            Ok(report)
        }
    }
}

/// These scenarios wait for single answers; the client has nothing to do meanwhile.
const NO_RIVAL: Verdict = Verdict { state: State::Valid, reasons: Vec::new() };

fn run_load(
    plan: &load::Plan,
    server: &Server,
    after: After,
    stop: &Arc<AtomicBool>,
    on_second: load::Progress<'_>,
) -> Result<load::Outcome, Failure> {
    let addr = plan.servers[0];
    match plan.work {
        Work::Create => prepare::plant_parents(addr, &plan.root, plan.keys)?,
        Work::Mix => {
            let data = Random::new(plan.seed).bytes(plan.size);
            prepare::plant(addr, &plan.root, plan.keys, &data)?;
        }
    }
    let outcome = load::run(plan, &server.pids, stop, on_second);
    if after == After::Remove {
        clean_up(addr, plan);
    }
    outcome
}

fn clean_up(addr: SocketAddr, plan: &load::Plan) {
    if let Err(why) = prepare::uproot(addr, &plan.root, plan.keys) {
        eprintln!("loadgen: {why}; what is left lies below {}", plan.root);
    }
}

fn load_settings(plan: &load::Plan) -> Settings {
    let is_create = matches!(plan.work, Work::Create);
    Settings {
        writers: plan.writers,
        readers: plan.readers,
        watchers: 0,
        mix: plan.mix,
        inflight: plan.inflight,
        rate: plan.rate,
        size: plan.size,
        keys: plan.keys,
        seconds: if is_create { 0.0 } else { plan.seconds.as_secs_f64() },
        warm_up_seconds: plan.warm_up.as_secs_f64(),
        threads: plan.threads,
        session_timeout_ms: plan.session_timeout_ms,
    }
}

/// Files of this process besides connections.
const FILES_SPARE: u64 = 64;

/// Makes sure that so many connections can be open at once, or says what to do.
pub fn raise_file_limit(connections: usize) -> Result<(), String> {
    let wanted = connections as u64 + FILES_SPARE;
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)
        .map_err(|why| format!("reading the limit of open files: {why}"))?;
    if soft >= wanted {
        return Ok(());
    }
    if hard < wanted {
        return Err(format!(
            "{connections} connections need {wanted} open files, and this process may have {hard}: \
             raise the limit with `ulimit -Hn {wanted}` as root, or ask for fewer"
        ));
    }
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)
        .map_err(|why| format!("raising the limit of open files: {why}"))
}
