//! Servers side by side: ours, Apache's and the floor, in alternating rounds.
//!
//! All sides run from the beginning to the end, so a just-in-time compiler stays warm and no side
//! pays for another's start; only one of them has load at a time. Every round runs every row on
//! every side, and every other round in the opposite order, so whatever the machine does slowly is
//! shared out. What is reported is the median over the rounds, and their range.

mod record;
mod rows;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};

use crate::cli::{Scenario, VersusArgs};
use crate::client::Failure;
use crate::client::frames::{Key, key_path};
use crate::load;
use crate::prepare;
use crate::procfs;
use crate::report::{Latency, Report};
use crate::run::{self, After};
use crate::servers::{self, Server};
use crate::sessions;
use crate::watchers;

use record::Record;
use rows::{Kind, ROWS, Row};

/// A server of one name.
struct Side {
    name: &'static str,
    server: Server,
}

/// One measured value of one cell, named as in [`rows`].
type Values = Vec<(&'static str, f64)>;

/// Measures and writes the result's folder.
pub fn run(args: &VersusArgs, parent: &Path, stop: &Arc<AtomicBool>) -> ExitCode {
    match measure(args, parent, stop).and_then(|record| {
        println!("\n{}", record.table());
        let folder = record.write(&args.out)?;
        println!("written to {}", folder.display());
        Ok(())
    }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("loadgen: {why}");
            ExitCode::FAILURE
        }
    }
}

fn measure(args: &VersusArgs, parent: &Path, stop: &Arc<AtomicBool>) -> Result<Record, String> {
    let rows = chosen_rows(&args.rows)?;
    run::raise_file_limit(sessions::OPENS_MAX.max(args.watchers + 1))?;
    let started = SystemTime::now();
    let starter = Starter::new(args, parent)?;
    let mut sides = Vec::new();
    for name in &starter.names {
        let server = starter.start(name)?;
        eprintln!("started {name}: {}", server.description.version);
        sides.push(Side { name, server });
    }
    let descriptions = sides.iter().map(|side| side.server.description.clone()).collect();
    let names = sides.iter().map(|side| side.name).collect();
    let mut record = Record::new(started, args, names, descriptions, &rows);

    let failed = |why: Failure| why.to_string();
    warm_up(args, &sides, stop).map_err(failed)?;
    for round in 0..args.rounds {
        for &row in rows.iter().filter(|row| !row.kind.is_on_fresh_server()) {
            let mut order: Vec<usize> = (0..sides.len()).collect();
            if round % 2 == 1 {
                order.reverse();
            }
            for number in order {
                let side = &sides[number];
                if row.kind == Kind::Watchers && side.name == "null" {
                    continue; // It knows no watches.
                }
                let report = cell(args, row, side, stop).map_err(failed)?;
                if stop.load(Ordering::Relaxed) {
                    return Err("interrupted".to_owned());
                }
                let values = values_of(&report);
                say(round + 1, row, side.name, &values);
                record.add(row, number, &values, &report);
            }
        }
    }
    drop(sides);
    for &row in rows.iter().filter(|row| row.kind.is_on_fresh_server()) {
        for (number, name) in starter.names.iter().enumerate() {
            if *name == "null" {
                continue; // It keeps nothing.
            }
            let side = Side { name, server: starter.start(name)? };
            let (values, report) = match row.kind {
                Kind::Znodes => znodes(args, side.server, stop)?,
                _ => idle(args, row, &side, stop).map_err(failed)?,
            };
            say(1, row, name, &values);
            record.add(row, number, &values, &report);
        }
    }
    Ok(record)
}

fn chosen_rows(names: &[String]) -> Result<Vec<&'static Row>, String> {
    if names.is_empty() {
        return Ok(ROWS.iter().collect());
    }
    let find = |name: &String| {
        let known = || ROWS.iter().map(|row| row.name).collect::<Vec<_>>().join(", ");
        let row = ROWS.iter().find(|row| row.name == name);
        row.ok_or_else(|| format!("--rows: there is no {name}; there are {}", known()))
    };
    names.iter().map(find).collect()
}

/// Knows how to start each side.
struct Starter<'a> {
    args: &'a VersusArgs,
    parent: &'a Path,
    names: Vec<&'static str>,
    class_path: Option<String>,
}

const SIDES: [&str; 3] = ["ringkeeper", "apache", "null"];

impl<'a> Starter<'a> {
    fn new(args: &'a VersusArgs, parent: &'a Path) -> Result<Self, String> {
        let find = |name: &String| {
            let side = SIDES.into_iter().find(|side| side == name);
            side.ok_or_else(|| format!("--sides: there is no {name}; there are {SIDES:?}"))
        };
        let names = args.sides.iter().map(find).collect::<Result<Vec<_>, _>>()?;
        let class_path = if names.contains(&"apache") {
            Some(servers::class_path(args.apache_jars.as_deref())?)
        } else {
            None
        };
        Ok(Self { args, parent, names, class_path })
    }

    fn start(&self, name: &str) -> Result<Server, String> {
        match (name, &self.class_path) {
            ("apache", Some(class_path)) => Server::apache(class_path, self.parent),
            ("null", _) => Server::null(),
            _ => Server::ours(self.args.server_program.as_deref(), self.parent),
        }
    }
}

/// Writes and reads, so that what compiles at run time has compiled, and files have grown.
fn warm_up(args: &VersusArgs, sides: &[Side], stop: &Arc<AtomicBool>) -> Result<(), Failure> {
    for side in sides {
        let seconds = if side.name == "apache" { args.jit_warm_up } else { 1 };
        let half = Duration::from_secs_f64((seconds as f64 / 2.0).max(1.0).round());
        for mix in [1.0, 0.0] {
            let mut plan = plan(args, side, mix, 16);
            (plan.seconds, plan.warm_up) = (half, Duration::ZERO);
            run_on(side, &Scenario::Load(plan), stop)?;
        }
    }
    Ok(())
}

fn cell(
    args: &VersusArgs,
    row: &Row,
    side: &Side,
    stop: &Arc<AtomicBool>,
) -> Result<Report, Failure> {
    let servers = side.server.description.addresses.clone();
    let scenario = match row.kind {
        Kind::Load { mix, inflight } => Scenario::Load(plan(args, side, mix, inflight)),
        Kind::Watchers => Scenario::Watchers(watchers::Plan {
            servers,
            watchers: args.watchers,
            rounds: 3,
            size: SIZE,
            root: ROOT.to_owned(),
            session_timeout_ms: SESSION_TIMEOUT_MS,
        }),
        Kind::Sessions => Scenario::Sessions(sessions::Plan {
            servers,
            seconds: Duration::from_secs(args.secs.min(3)),
            opens_max: sessions::OPENS_MAX,
            idle: 0,
            session_timeout_ms: SESSION_TIMEOUT_MS,
        }),
        Kind::Idle => Scenario::Sessions(sessions::Plan {
            servers,
            seconds: Duration::from_secs(1),
            opens_max: IDLE_OPENS_BEFORE,
            idle: IDLE_SESSIONS,
            session_timeout_ms: SESSION_TIMEOUT_MS,
        }),
        Kind::Znodes => unreachable!("that row has a function of its own"),
    };
    run_on(side, &scenario, stop)
}

fn run_on(side: &Side, scenario: &Scenario, stop: &Arc<AtomicBool>) -> Result<Report, Failure> {
    run::run(scenario, &side.server, After::Keep, stop, &mut |_| {})
}

const CONNECTIONS: usize = 64;
const KEYS: u32 = 1000;
const SIZE: usize = 100;
const ROOT: &str = "/loadgen";
const SESSION_TIMEOUT_MS: i32 = 30_000;
/// Enough that the server's own fixed parts do not show.
const IDLE_SESSIONS: usize = 5000;
/// Opened and closed before, so that what is allocated once is not weighed.
const IDLE_OPENS_BEFORE: usize = 64;

fn plan(args: &VersusArgs, side: &Side, mix: f64, inflight: usize) -> load::Plan {
    load::Plan {
        servers: side.server.description.addresses.clone(),
        work: load::Work::Mix,
        writers: CONNECTIONS,
        readers: 0,
        mix,
        inflight,
        threads: 1,
        rate: None,
        size: SIZE,
        keys: KEYS,
        root: ROOT.to_owned(),
        seconds: Duration::from_secs(args.secs),
        warm_up: Duration::from_secs(args.warm_up),
        session_timeout_ms: SESSION_TIMEOUT_MS,
        seed: 1,
    }
}

/// Weighs idle sessions on a fresh server.
fn idle(
    args: &VersusArgs,
    row: &Row,
    side: &Side,
    stop: &Arc<AtomicBool>,
) -> Result<(Values, Report), Failure> {
    let report = cell(args, row, side, stop)?;
    let weighed = report.sessions.as_ref().and_then(|sessions| sessions.idle.as_ref());
    let values = weighed.map(|idle| (rows::IDLE_BYTES, idle.bytes_per_session));
    Ok((values.into_iter().collect(), report))
}

/// Memory is looked at this long after the last create.
const SETTLE: Duration = Duration::from_secs(2);

/// Fills a fresh server, weighs it, kills it and starts it again.
fn znodes(
    args: &VersusArgs,
    mut server: Server,
    stop: &Arc<AtomicBool>,
) -> Result<(Values, Report), String> {
    let before = procfs::usage(&server.pids).map_or(0, |usage| usage.resident_bytes);
    let fill = load::Plan {
        servers: server.description.addresses.clone(),
        work: load::Work::Create,
        writers: CONNECTIONS,
        readers: 0,
        mix: 1.0,
        inflight: 16,
        threads: 1,
        rate: None,
        size: SIZE,
        keys: args.znodes,
        root: ROOT.to_owned(),
        seconds: Duration::from_secs(1),
        warm_up: Duration::ZERO,
        session_timeout_ms: SESSION_TIMEOUT_MS,
        seed: 1,
    };
    let scenario = Scenario::Load(fill);
    let report = run::run(&scenario, &server, After::Keep, stop, &mut |_| {})
        .map_err(|why| why.to_string())?;
    thread::sleep(SETTLE);
    let after = procfs::usage(&server.pids).map_or(0, |usage| usage.resident_bytes);
    let each = (after as f64 - before as f64) / f64::from(args.znodes);

    let path = key_path(ROOT, Key(args.znodes - 1));
    let restart = server.kill_and_restart(|addr| prepare::can_read(addr, &path))?;
    let rate = report.load.as_ref().map_or(0.0, |load| load.operations_per_second);
    let values = vec![
        (rows::RATE, rate),
        (rows::ZNODE_BYTES, each),
        (rows::RESTART, restart.as_secs_f64() * 1e6),
    ];
    Ok((values, report))
}

/// The values of a cell under their names.
fn values_of(report: &Report) -> Values {
    let mut values = Vec::new();
    if let Some(load) = &report.load {
        values.push((rows::RATE, load.operations_per_second));
        values.extend(load.server.as_ref().map(|server| (rows::CPU, server.cpu_us_per_operation)));
        // With both kinds, the writes: they are what a user waits for.
        if let Some(latency) = load.writes.as_ref().or(load.reads.as_ref()) {
            values.push((rows::P50, latency.p50_us));
            values.push((rows::P99, latency.p99_us));
        }
    }
    if let Some(watchers) = &report.watchers {
        values.push((rows::LAST_EVENT, watchers.last_event_median_us));
        values.push((rows::ACK, watchers.ack_median_us));
    }
    if let Some(sessions) = &report.sessions {
        values.push((rows::OPENS_SERIAL, sessions.serial.opens_per_second));
        values.push((rows::OPENS_PARALLEL, sessions.parallel.opens_per_second));
    }
    values
}

/// The distribution that a row's plot shows.
fn curve_of(report: &Report) -> Option<&Latency> {
    if let Some(load) = &report.load {
        return load.writes.as_ref().or(load.reads.as_ref());
    }
    if let Some(watchers) = &report.watchers {
        return watchers.events.as_ref();
    }
    report.sessions.as_ref().and_then(|sessions| sessions.parallel.latency.as_ref())
}

fn say(round: usize, row: &Row, side: &str, values: &Values) {
    let told = values.iter().map(|&(name, value)| {
        let unit = rows::metric(row, name).map_or(rows::Unit::Count, |metric| metric.unit);
        format!("{name} {}", unit.show(value))
    });
    let told: Vec<_> = told.collect();
    eprintln!("round {round}  {:<9} {side:<11} {}", row.name, told.join("   "));
}
