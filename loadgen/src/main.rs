//! Client load for RingKeeper and for any ZooKeeper: see `loadgen --help`.
//!
//! * [`client`] is the engine: many sessions on one thread, every reply checked.
//! * [`load`], [`watchers`] and [`sessions`] are the scenarios; [`schedule`] is the open loop's
//!   arithmetic, [`tally`] the counting, [`verdict`] the judgement whether a run counts.
//! * [`servers`] starts and ends what is measured; [`null`] is the floor to compare with.
//! * [`report`] is what a run leaves behind; [`versus`] sets servers side by side.
//!
//! Of the server it shares the wire alone ([`ringkeeper::wire`]), so that it cannot be fast in a
//! way that no other client could be.

mod cli;
mod client;
mod load;
mod machine;
mod null;
mod prepare;
mod procfs;
mod progress;
mod random;
mod report;
mod run;
mod schedule;
mod servers;
mod sessions;
mod tally;
mod verdict;
mod versus;
mod watchers;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::Parser;

use cli::{Cli, Command, RunArgs};
use progress::Progress;
use report::Report;
use run::After;
use servers::Server;

/// Wrong arguments, as clap answers them.
const EXIT_USAGE: u8 = 2;
/// The run took place and does not count: `INVALID` or `WRONG`.
const EXIT_BAD_RUN: u8 = 3;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli.command {
        Some(Command::Null { port }) => match null::serve(port) {
            Ok(()) => ExitCode::SUCCESS,
            Err(why) => fail(&format!("null server on port {port}: {why}")),
        },
        Some(Command::Versus(args)) => {
            let stop = Arc::new(AtomicBool::new(false));
            on_interrupt(&stop);
            versus::run(&args, &data_parent(args.data_parent.as_deref()), &stop)
        }
        None => run_one(&cli.run),
    }
}

fn run_one(args: &RunArgs) -> ExitCode {
    let placeholder = vec![([127, 0, 0, 1], 0).into()];
    let addresses = match cli::resolve(&args.servers) {
        Ok(list) => list,
        Err(why) => return fail_usage(&why),
    };
    // All that can be wrong with the arguments is said before a server is started.
    if let Err(why) = args.scenario(placeholder) {
        return fail_usage(&why);
    }
    if let Err(why) = run::raise_file_limit(args.connections()) {
        return fail(&why);
    }
    let progress = Progress::new(args.quiet);
    let server = match server_for(args, addresses, progress) {
        Ok(server) => server,
        Err(why) => return fail(&why),
    };
    let scenario = match args.scenario(server.description.addresses.clone()) {
        Ok(scenario) => scenario,
        Err(why) => return fail_usage(&why),
    };
    let is_own = server.description.kind != "given";
    let after = if args.keep || is_own { After::Keep } else { After::Remove };
    let stop = Arc::new(AtomicBool::new(false));
    on_interrupt(&stop);
    let result = run::run(&scenario, &server, after, &stop, &mut |second| progress.show(second));
    progress.end();
    match result {
        Ok(report) => publish(&report, args),
        Err(why) => fail(&why.to_string()),
    }
}

fn server_for(
    args: &RunArgs,
    addresses: Vec<std::net::SocketAddr>,
    progress: Progress,
) -> Result<Server, String> {
    if !addresses.is_empty() {
        return Ok(Server::given(addresses, args.server_pid.clone()));
    }
    let parent = data_parent(args.data_parent.as_deref());
    let server = if args.apache {
        let class_path = servers::class_path(args.apache_jars.as_deref())?;
        Server::apache(&class_path, &parent)?
    } else {
        Server::ours(args.server_program.as_deref(), &parent)?
    };
    let description = &server.description;
    progress.say(&format!(
        "started {} {} at {} (data on {})",
        description.kind,
        description.version,
        server.addr(),
        description.file_system
    ));
    Ok(server)
}

/// Where servers keep their data: the given directory, or the system's for temporary files.
fn data_parent(given: Option<&Path>) -> PathBuf {
    given.map_or_else(std::env::temp_dir, Path::to_owned)
}

/// The first interrupt ends the measuring, and what was measured is still reported; the second
/// ends the process.
fn on_interrupt(stop: &Arc<AtomicBool>) {
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        let twice = signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(stop));
        let once = signal_hook::flag::register(signal, Arc::clone(stop));
        if twice.and(once).is_err() {
            eprintln!("loadgen: cannot catch signal {signal}; an interrupt will lose the report");
        }
    }
}

fn publish(report: &Report, args: &RunArgs) -> ExitCode {
    let out = std::io::stdout();
    let has_colours = out.is_terminal() && std::env::var_os("NO_COLOR").is_none();
    print!("{}", report::text(report, has_colours));
    let forms = [(&args.json, Report::json as fn(&Report) -> String), (&args.html, report::page)];
    for (path, form) in forms {
        let Some(path) = path else { continue };
        if let Err(why) = std::fs::write(path, form(report)) {
            return fail(&format!("writing {}: {why}", path.display()));
        }
    }
    if report.verdict.is_bad { ExitCode::from(EXIT_BAD_RUN) } else { ExitCode::SUCCESS }
}

fn fail(why: &str) -> ExitCode {
    eprintln!("loadgen: {why}");
    ExitCode::FAILURE
}

fn fail_usage(why: &str) -> ExitCode {
    eprintln!("loadgen: {why}");
    ExitCode::from(EXIT_USAGE)
}
