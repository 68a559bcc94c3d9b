//! Servers under test: started here on a temporary directory and ended here, or found running.
//!
//! Ours and Apache's are given the same configuration file, so a comparison cannot differ in it.

mod apache;
mod four_letter;
mod ours;

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::Serialize;
use tempfile::TempDir;

use crate::machine;
use crate::procfs;

pub use apache::class_path;
pub use four_letter::ask;

/// What a report says of a server.
#[derive(Clone, Debug, Serialize)]
pub struct Description {
    /// `ringkeeper`, `apache`, `null`, or `given` for one that loadgen did not start.
    pub kind: &'static str,
    /// What it says of itself: the first line of `srvr`, without its label.
    pub version: String,
    pub addresses: Vec<SocketAddr>,
    /// Its command line, without paths of temporary directories. Empty if not started here.
    pub command: Vec<String>,
    /// Its configuration file. Empty if not started here.
    pub configuration: String,
    /// What an acknowledgement of a write means.
    pub durability: &'static str,
    /// Of the data directory; `unknown` if not started here.
    pub file_system: String,
    /// Whether its processor time and memory could be measured.
    pub is_measured: bool,
}

/// A server, and its process if it was started here. Ended when dropped.
pub struct Server {
    pub description: Description,
    pub pids: Vec<i32>,
    process: Option<Process>,
}

struct Process {
    child: Child,
    /// Removed with the server.
    dir: Option<TempDir>,
    command: Vec<String>,
}

/// Why there is no server.
pub type StartError = String;

const START_WAIT: Duration = Duration::from_mins(1);
const END_WAIT: Duration = Duration::from_secs(5);
const ON_DISK: &str = "every write synced to the disk before it is acknowledged (default settings)";

impl Server {
    /// Servers that run already.
    pub fn given(addresses: Vec<SocketAddr>, pids: Vec<i32>) -> Self {
        let found = || addresses.iter().filter_map(|&addr| procfs::listener_of(addr)).collect();
        let mut pids: Vec<i32> = if pids.is_empty() { found() } else { pids };
        pids.sort_unstable();
        pids.dedup();
        let description = Description {
            kind: "given",
            version: version_of(addresses[0]),
            durability: "unknown: not started by loadgen",
            file_system: "unknown".to_owned(),
            is_measured: procfs::usage(&pids).is_some(),
            addresses,
            command: Vec::new(),
            configuration: String::new(),
        };
        Self { description, pids, process: None }
    }

    /// Ours. `program` replaces the server that is built with loadgen.
    pub fn ours(program: Option<&Path>, parent: &Path) -> Result<Self, StartError> {
        let program = match program {
            Some(program) => program.to_owned(),
            None => ours::program()?,
        };
        Self::start("ringkeeper", parent, |conf| {
            let mut command = Command::new(&program);
            command.arg(conf);
            command
        })
    }

    /// Apache's, from the jars of a class path.
    pub fn apache(class_path: &str, parent: &Path) -> Result<Self, StartError> {
        Self::start("apache", parent, |conf| apache::command(class_path, conf))
    }

    /// The floor.
    pub fn null() -> Result<Self, StartError> {
        let program = own_program()?;
        let mut child = Command::new(&program)
            .args(["null", "--port", "0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|why| format!("starting {}: {why}", program.display()))?;
        let mut line = String::new();
        let out = child.stdout.take().expect("it was asked for a pipe");
        let read = BufReader::new(out).read_line(&mut line);
        let port = line.trim_end().rsplit(' ').next().and_then(|port| port.parse().ok());
        let command = vec!["loadgen".to_owned(), "null".to_owned()];
        let process = Process { child, dir: None, command };
        let (Ok(_), Some(port)) = (read, port) else {
            process.end();
            return Err("the null server did not print its port".to_owned());
        };
        let durability = "none: nothing is kept";
        Ok(Self::running("null", port, process, durability, String::new()))
    }

    fn start(
        kind: &'static str,
        parent: &Path,
        command: impl FnOnce(&Path) -> Command,
    ) -> Result<Self, StartError> {
        let dir = tempfile::Builder::new().prefix("loadgen-").tempdir_in(parent);
        let dir =
            dir.map_err(|why| format!("making a directory in {}: {why}", parent.display()))?;
        let port = free_port()?;
        let text = configuration(&dir.path().join("data"), port);
        let conf = dir.path().join("zoo.cfg");
        fs::write(&conf, &text).map_err(|why| format!("writing {}: {why}", conf.display()))?;
        let log_path = dir.path().join("log.txt");
        let log = fs::File::create(&log_path);
        let log = log.map_err(|why| format!("writing {}: {why}", log_path.display()))?;
        let log_too = log.try_clone().map_err(|why| format!("sharing the log file: {why}"))?;
        let mut command = command(&conf);
        let words = words_of(&command, dir.path());
        let child = command
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(log_too)
            .spawn()
            .map_err(|why| format!("starting {}: {why}", words[0]))?;
        let mut process = Process { child, dir: Some(dir), command: words };
        if let Err(why) = process.wait_until_serving(port) {
            let log = fs::read_to_string(&log_path).unwrap_or_default();
            process.end();
            return Err(format!("{kind} did not start: {why}\n{}", last_lines(&log, 15)));
        }
        let text = text.lines().filter(|line| !line.starts_with("dataDir")).collect::<Vec<_>>();
        Ok(Self::running(kind, port, process, ON_DISK, text.join("\n")))
    }

    fn running(
        kind: &'static str,
        port: u16,
        process: Process,
        durability: &'static str,
        configuration: String,
    ) -> Self {
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let dir = process.dir.as_ref().map(TempDir::path);
        let description = Description {
            kind,
            version: version_of(addr),
            addresses: vec![addr],
            command: process.command.iter().map(|word| without_checkout(word)).collect(),
            configuration,
            durability,
            file_system: dir.map_or("none".to_owned(), machine::file_system_of),
            is_measured: true,
        };
        let pid = i32::try_from(process.child.id()).expect("pids are below 2^22");
        Self { description, pids: vec![pid], process: Some(process) }
    }

    pub fn addr(&self) -> SocketAddr {
        self.description.addresses[0]
    }

    /// Kills the process at once and starts the same command on the same directory. The time from
    /// the start to the first answer to `first`.
    pub fn kill_and_restart(
        &mut self,
        mut first: impl FnMut(SocketAddr) -> bool,
    ) -> Result<Duration, StartError> {
        let addr = self.addr();
        let process = self.process.as_mut().ok_or("only a server started here can be killed")?;
        let dir = process.dir.as_ref().ok_or("a server without a directory has nothing to load")?;
        let dir = dir.path().to_owned();
        let _ = process.child.kill();
        let _ = process.child.wait();
        let mut words = process.command.iter();
        let restore = |word: &String| word.replace(DIR_MARK, &dir.to_string_lossy());
        let mut command = Command::new(words.next().map(restore).unwrap_or_default());
        command.args(words.map(restore)).current_dir(&dir).stdin(Stdio::null());
        let log = fs::OpenOptions::new().append(true).open(dir.join("log.txt"));
        let log = log.map_err(|why| format!("opening the log file: {why}"))?;
        let log_too = log.try_clone().map_err(|why| format!("sharing the log file: {why}"))?;
        let started = Instant::now();
        process.child = command
            .stdout(log)
            .stderr(log_too)
            .spawn()
            .map_err(|why| format!("starting the server again: {why}"))?;
        self.pids = vec![i32::try_from(process.child.id()).expect("pids are below 2^22")];
        while started.elapsed() < START_WAIT {
            if first(addr) {
                return Ok(started.elapsed());
            }
            thread::sleep(Duration::from_millis(1));
        }
        Err("the server did not answer after its restart".to_owned())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(process) = self.process.take() {
            process.end();
        }
    }
}

impl Process {
    fn wait_until_serving(&mut self, port: u16) -> Result<(), StartError> {
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let until = Instant::now() + START_WAIT;
        while Instant::now() < until {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("it ended at once with {status}"));
            }
            if ask(addr, "srvr").is_some_and(|answer| answer.contains("Mode:")) {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(20));
        }
        Err(format!("no answer to srvr in {} s", START_WAIT.as_secs()))
    }

    /// Asks it to end, insists after a while, and removes its directory.
    fn end(mut self) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).expect("pids are below 2^22"));
        // It may have ended by itself; then there is nobody to signal, and nothing to do.
        let _ = kill(pid, Signal::SIGTERM);
        let until = Instant::now() + END_WAIT;
        while Instant::now() < until {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Stands for the temporary directory in a [`Description`].
const DIR_MARK: &str = "DIR";

fn words_of(command: &Command, dir: &Path) -> Vec<String> {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy().replace(&*dir.to_string_lossy(), DIR_MARK)).collect()
}

/// Where this checkout lies says nothing about the server.
fn without_checkout(word: &str) -> String {
    word.replace(&*checkout().to_string_lossy(), ".")
}

/// Where this program was built.
fn checkout() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().expect("a member of a workspace")
}

/// The file that every server started here gets: Apache's defaults, but for the number of
/// connections from one address.
fn configuration(data: &Path, port: u16) -> String {
    format!(
        "tickTime=2000\ndataDir={}\nclientPort={port}\nclientPortAddress=127.0.0.1\n\
         maxClientCnxns=0\nadmin.enableServer=false\n4lw.commands.whitelist=srvr,ruok\n",
        data.display()
    )
}

fn own_program() -> Result<PathBuf, StartError> {
    std::env::current_exe().map_err(|why| format!("finding this program's own file: {why}"))
}

/// A port that nobody has at this moment.
fn free_port() -> Result<u16, StartError> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let port = listener.and_then(|listener| listener.local_addr()).map(|addr| addr.port());
    port.map_err(|why| format!("finding a free port: {why}"))
}

fn version_of(addr: SocketAddr) -> String {
    let answer = ask(addr, "srvr").unwrap_or_default();
    let line = answer.lines().next().unwrap_or_default();
    let version = line.strip_prefix("Zookeeper version: ").unwrap_or(line);
    if version.is_empty() { "unknown: no answer to srvr".to_owned() } else { version.to_owned() }
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}
