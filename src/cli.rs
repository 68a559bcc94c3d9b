//! The command line: arguments and environment become settings, a check of them, or a text.
//!
//! The forms are those of Apache's mains, so that a script made for them needs another path and
//! nothing else. `main` hands in what the process was given; this module reads neither environment
//! nor clock.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use log::Level;

use crate::admin::{logger, version};
use crate::config::{
    Config, Findings, Flag, Form, Loaded, LogFormat, Place, Sources, Stops, load, manual,
};
use crate::shard::{self, Ended};
use crate::storage;
use crate::storage::dir::FOLDER;
use crate::types::messages;

/// Exit codes that scripts and supervisors know (ops-surface section 7.4).
pub mod exit {
    /// All is well.
    pub const OK: u8 = 0;
    /// Something that nobody expected, or a port that is taken.
    pub const UNEXPECTED: u8 = 1;
    /// Wrong arguments or settings.
    pub const INVALID: u8 = 2;
    /// The data directory cannot be used.
    pub const DATADIR: u8 = 3;
    /// The disk failed while a snapshot was written.
    pub const SNAPSHOT: u8 = 10;
    /// SIGTERM.
    pub const TERMINATED: u8 = 143;
}

const HELP: &str = "\
ringkeeper: a coordination server that speaks Apache ZooKeeper's wire.

USAGE
  ringkeeper [-Dkey=value]... CONFIG
  ringkeeper [-Dkey=value]... PORT DATADIR [TICKTIME [MAXCNXNS]]
  ringkeeper check CONFIG
  ringkeeper --print-config | --version | --help

  CONFIG is a zoo.cfg: Java's properties, one key=value a line. Yours works as it is.
  The second form needs no file: ringkeeper 2181 /tmp/data

EXAMPLES
  A first server, and a client that talks to it:
      ringkeeper 2181 /tmp/ringkeeper &
      echo srvr | nc localhost 2181

  Every key with its default, its unit and what follows from it, to start a file from:
      ringkeeper --print-config > zoo.cfg

  What is wrong in a file, all of it, with line numbers; exit 0 or 2:
      ringkeeper check zoo.cfg

  One setting for one start. A property of Java's keeps its prefix, a key of the file wins over it:
      ringkeeper -Dzookeeper.snapCount=50000 zoo.cfg

  More to read in the log, or lines for a machine to read:
      ringkeeper -Dlog.level.net=DEBUG zoo.cfg
      ringkeeper -Dlog.format=json zoo.cfg

ENVIRONMENT
  SERVER_JVMFLAGS, JVMFLAGS   their -Dkey=value settings are taken, the rest is ignored.

EXIT CODES
  0 ended, 1 unexpected (a port that is taken), 2 wrong arguments or settings, 3 data directory
  missing or not writable, 10 disk failed during a snapshot, 143 SIGTERM.
";

const USAGE: &str = "usage: ringkeeper [-Dkey=value]... CONFIG | PORT DATADIR [TICKTIME [MAXCNXNS]]; --help has more";

/// What the process was given.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// Arguments, without the program's name.
    pub arguments: Vec<String>,
    /// `SERVER_JVMFLAGS`, empty if unset.
    pub server_jvmflags: String,
    /// `JVMFLAGS`, empty if unset.
    pub jvmflags: String,
}

enum Command {
    Start(Sources, Findings),
    Check(Sources),
    Print(String),
    Wrong(String),
}

/// Does what the arguments say and returns the exit code. `start` runs the server until it ends.
pub fn run(given: &Given, start: impl FnOnce(Config) -> u8) -> u8 {
    match command(given) {
        Command::Start(sources, notes) => run_server(&sources, &notes, start),
        Command::Check(sources) => check(&sources),
        Command::Print(text) => {
            print(&mut io::stdout(), &text);
            exit::OK
        }
        Command::Wrong(sentence) => {
            print(&mut io::stderr(), &format!("{}: {sentence}\n", messages::INVALID_ARGUMENTS));
            exit::INVALID
        }
    }
}

/// Writes to a stream that may have nobody at its end.
fn print(stream: &mut impl io::Write, text: &str) {
    let _ = stream.write_all(text.as_bytes());
    let _ = stream.flush();
}

fn command(given: &Given) -> Command {
    let mut notes = Findings::default();
    let mut flags = Vec::new();
    for (origin, text) in
        [("SERVER_JVMFLAGS", &given.server_jvmflags), ("JVMFLAGS", &given.jvmflags)]
    {
        for word in text.split_whitespace() {
            match flag(origin, word) {
                Some(flag) => flags.push(flag),
                None => notes.info(&Place::Flag(origin), format!("{word} has no effect: {NO_JVM}")),
            }
        }
    }
    let mut words: Vec<&str> = Vec::new();
    for argument in &given.arguments {
        match argument.as_str() {
            "--help" | "-h" | "-help" => return Command::Print(HELP.to_owned()),
            "--version" | "-version" => return Command::Print(version_text()),
            "--print-config" => return Command::Print(manual::render()),
            word if word.starts_with("-X") => {
                notes.info(&Place::Argument, format!("{word} has no effect: {NO_JVM}"));
            }
            word => match flag("command line", word) {
                Some(flag) => flags.push(flag),
                None if word.starts_with('-') => {
                    return Command::Wrong(format!("{word} is not an option; {USAGE}"));
                }
                None => words.push(word),
            },
        }
    }
    let is_check = words.first() == Some(&"check");
    let form = match &words[usize::from(is_check)..] {
        [] => return Command::Wrong(USAGE.to_owned()),
        [path] => Form::File(PathBuf::from(path)),
        words => Form::Arguments(words.iter().map(|&word| word.to_owned()).collect()),
    };
    let sources = Sources { form, flags };
    if is_check { Command::Check(sources) } else { Command::Start(sources, notes) }
}

const NO_JVM: &str = "there is no Java virtual machine";

fn flag(origin: &'static str, word: &str) -> Option<Flag> {
    let (key, value) = match word.strip_prefix("-D")?.split_once('=') {
        Some((key, value)) => (key, value),
        None => (word.strip_prefix("-D")?, ""),
    };
    Some(Flag { origin, key: key.to_owned(), value: value.to_owned() })
}

fn version_text() -> String {
    let (own, compatible) = (version::OWN, version::COMPATIBLE);
    format!("{own} ({}), compatible with Apache ZooKeeper {compatible}\n", version::REVISION)
}

fn check(sources: &Sources) -> u8 {
    let Loaded { findings, .. } = load(sources);
    let mut text = String::new();
    let mut warnings = 0;
    for finding in &findings.0 {
        let level = if finding.stops == Stops::Never { finding.level } else { Level::Error };
        warnings += usize::from(finding.stops == Stops::Never && level <= Level::Warn);
        writeln!(text, "{level:<5} {finding}").expect("a string takes everything");
    }
    let errors = findings.errors();
    let notes = findings.0.len() - errors - warnings;
    writeln!(text, "{errors} errors, {warnings} warnings, {notes} notes")
        .expect("a string takes everything");
    print(&mut io::stdout(), &text);
    if errors == 0 { exit::OK } else { exit::INVALID }
}

fn run_server(sources: &Sources, notes: &Findings, start: impl FnOnce(Config) -> u8) -> u8 {
    let Loaded { config, findings } = load(sources);
    if let Some(fatal) = findings.fatal(config.strict) {
        print(&mut io::stderr(), &format!("{}: {fatal}\n", messages::INVALID_CONFIG));
        return exit::INVALID;
    }
    if let Err(error) = logger::install(log_settings(&config)) {
        print(&mut io::stderr(), &format!("{}: the log: {error}\n", messages::UNEXPECTED));
        return exit::UNEXPECTED;
    }
    last_words();
    log::info!("{}", version_text().trim_end());
    if let Form::File(path) = &sources.form {
        log::info!("Reading configuration from: {}", path.display());
    }
    for finding in notes.0.iter().chain(&findings.0) {
        log::log!(finding.level, "{finding}");
    }
    let code = match missing_directory(&config) {
        Some(dir) => {
            log::error!("{}: {dir}, and datadir.autocreate is false", messages::NO_DATADIR);
            exit::DATADIR
        }
        None => start(config),
    };
    log::info!("{}", messages::exiting(code));
    logger::flush();
    code
}

/// With `datadir.autocreate=false`: a directory that no server has used. An empty one may be the
/// place where a disk is not mounted.
fn missing_directory(config: &Config) -> Option<String> {
    let storage = &config.storage;
    let is_used = |dir: &Path| [FOLDER, "version-2"].iter().any(|folder| dir.join(folder).is_dir());
    let dirs = [storage.data_dir.as_path(), storage.log_dir()];
    let missing = dirs.into_iter().find(|dir| !storage.datadir_autocreate && !is_used(dir))?;
    Some(format!("{} holds no server's data", missing.display()))
}

/// Runs the server until it ends, and says with which code.
pub fn serve(config: &Config) -> u8 {
    let error = match shard::run(config) {
        Ok(Ended::Asked) => return exit::OK,
        // What a shell shows for a process that a signal has ended.
        Ok(Ended::Signal(signal)) => return u8::try_from(128 + signal).unwrap_or(exit::TERMINATED),
        Err(error) => error,
    };
    log::error!("{error}");
    let (code, sentence) = outcome(&error);
    log::error!("{sentence}");
    code
}

/// Java's code and closing sentence for what keeps a server from going on.
fn outcome(error: &shard::Error) -> (u8, &'static str) {
    match error {
        shard::Error::Engine(_) | shard::Error::NoPort => (exit::INVALID, messages::INVALID_CONFIG),
        shard::Error::Storage(error) => match error {
            storage::Error::InUse { .. }
            | storage::Error::Foreign { .. }
            | storage::Error::Newer { .. }
            | storage::Error::JavaDirectory { .. } => (exit::INVALID, messages::NO_DATADIR),
            storage::Error::Io { .. } | storage::Error::Full { .. } => {
                (exit::DATADIR, messages::NO_DATADIR)
            }
            storage::Error::Corrupt { .. } | storage::Error::Missing { .. } => {
                (exit::UNEXPECTED, messages::UNABLE_TO_LOAD)
            }
            storage::Error::Write { .. } => (exit::UNEXPECTED, messages::SEVERE),
        },
        shard::Error::State(_) => (exit::UNEXPECTED, messages::UNABLE_TO_LOAD),
        shard::Error::LogFile(_)
        | shard::Error::Net(_)
        | shard::Error::Thread { .. }
        | shard::Error::Bind { .. } => (exit::UNEXPECTED, messages::UNEXPECTED),
    }
}

fn log_settings(config: &Config) -> logger::Settings {
    let log = &config.log;
    logger::Settings {
        json: log.format == LogFormat::Json,
        level: log.level,
        modules: log.modules.clone(),
        threshold: log.threshold,
        lines_per_second_max: log.lines_per_second_max,
        my_id: config.ensemble.my_id.map(|id| id.to_string()).unwrap_or_default(),
    }
}

/// A broken assertion ends the process; its sentence must be in the log by then.
fn last_words() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        log::error!("{}: {panic}", messages::SEVERE);
        logger::flush();
        before(panic);
    }));
}
