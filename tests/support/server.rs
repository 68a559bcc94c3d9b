//! One server in a process of its own: ours, or one of Apache's releases, behind one interface.
//!
//! `Running::start` writes a zoo.cfg into a fresh folder under the system's temporary one, starts
//! the server on a free port of the loopback interface and returns when `srvr` names a mode.
//! Dropping it kills the process and removes the folder.

use super::apache::{self, Release};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Which server a test drives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    Apache395,
    Apache384,
    Ours,
}

impl Server {
    fn release(self) -> Option<Release> {
        match self {
            Server::Apache395 => Some(apache::APACHE_395),
            Server::Apache384 => Some(apache::APACHE_384),
            Server::Ours => None,
        }
    }

    /// The program and the arguments that come before the configuration file.
    pub fn command(self, flags: &[String]) -> Result<Command, String> {
        let flags = flags.iter().map(|flag| format!("-D{flag}"));
        let Some(release) = self.release() else {
            let mut command = Command::new(env!("CARGO_BIN_EXE_ringkeeper"));
            command.args(flags);
            return Ok(command);
        };
        let mut command = Command::new("java");
        let logging = apache::sources().join("logback.xml");
        command
            .args(["-cp", &apache::class_path(release)?])
            .args(["-Xmx1g", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"])
            .arg(format!("-Dlogback.configurationFile={}", logging.display()))
            .args(flags)
            .arg("org.apache.zookeeper.server.quorum.QuorumPeerMain");
        Ok(command)
    }
}

/// What a server is started with beside its defaults.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Lines for zoo.cfg, `key=value`. A key given here replaces the rig's own line.
    pub config: Vec<String>,
    /// `key=value` for `-D`.
    pub flags: Vec<String>,
}

/// How long a server may take from its start to the first `srvr` that names a mode. Generous: the
/// machine may be busy with other tests.
const START_MAX: Duration = Duration::from_secs(90);

/// How often a start is tried again when another process took the free port first.
const START_TRIES: u32 = 5;

static FOLDERS: AtomicU32 = AtomicU32::new(0);

/// A server that answers, and all that belongs to it.
#[derive(Debug)]
pub struct Running {
    server: Server,
    options: Options,
    dir: PathBuf,
    port: u16,
    child: Child,
    environment: Vec<(String, String)>,
}

impl Running {
    pub fn start(server: Server, options: &Options) -> Result<Running, String> {
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let name = format!("ringkeeper-test-{}-{number}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        let mut why = String::new();
        for _ in 0..START_TRIES {
            let _ = fs::remove_dir_all(&dir);
            fs::create_dir_all(dir.join("data")).map_err(|why| format!("{why}"))?;
            let port = free_port()?;
            write_config(&dir, port, &options.config)?;
            let child = spawn(server, &dir, &options.flags, &[])?;
            let mut running = Running {
                server,
                options: options.clone(),
                dir: dir.clone(),
                port,
                child,
                environment: Vec::new(),
            };
            match running.wait_until_serving() {
                Ok(()) => return Ok(running),
                Err(log) if log.contains("in use") => why = log,
                Err(log) => return Err(log),
            }
        }
        Err(why)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The folder with zoo.cfg, the data directory `data` and the log `server.log`.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub fn log(&self) -> String {
        let bytes = fs::read(self.dir.join("server.log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Has the process ended by itself?
    pub fn has_ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)))
    }

    /// SIGKILL, as a crash of the process would.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// SIGTERM; returns the exit code, or an error when the process is still there after `max`.
    pub fn stop(&mut self, max: Duration) -> Result<Option<i32>, String> {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status();
        sent.map_err(|why| format!("kill is missing: install it with procps: {why}"))?;
        let deadline = Instant::now() + max;
        while Instant::now() < deadline {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Ok(status.code());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Err(format!("the server runs on {max:?} after SIGTERM\n{}", self.log()))
    }

    /// A variable of the process from its next start on.
    pub fn set_environment(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// Starts the process again on the same folder and port. It must have been ended before.
    pub fn start_again(&mut self) -> Result<(), String> {
        self.child = spawn(self.server, &self.dir, &self.options.flags, &self.environment)?;
        self.wait_until_serving()
    }

    /// Sends a four-letter word and returns all of the answer.
    pub fn word(&self, word: &str) -> std::io::Result<String> {
        let mut socket = TcpStream::connect(self.address())?;
        socket.set_read_timeout(Some(Duration::from_secs(10)))?;
        socket.write_all(word.as_bytes())?;
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    fn wait_until_serving(&mut self) -> Result<(), String> {
        let deadline = Instant::now() + START_MAX;
        while Instant::now() < deadline {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("{:?} ended with {status}\n{}", self.server, self.log()));
            }
            if self.word("srvr").is_ok_and(|answer| answer.contains("\nMode: ")) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err(format!("{:?} does not serve after {START_MAX:?}\n{}", self.server, self.log()))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// A port that nobody listened on a moment ago.
pub fn free_port() -> Result<u16, String> {
    let listener =
        TcpListener::bind("127.0.0.1:0").map_err(|why| format!("no free port: {why}"))?;
    Ok(listener.local_addr().map_err(|why| format!("no free port: {why}"))?.port())
}

fn write_config(dir: &Path, port: u16, extra: &[String]) -> Result<(), String> {
    let data = dir.join("data");
    let mut lines = vec![
        "tickTime=2000".to_string(),
        format!("dataDir={}", data.display()),
        format!("clientPort={port}"),
        "4lw.commands.whitelist=*".to_string(),
        // Its fixed default port would let one server in a machine start.
        "admin.enableServer=false".to_string(),
    ];
    for line in extra {
        let key = line.split('=').next().expect("split yields at least one part");
        lines.retain(|own| own.split('=').next() != Some(key));
        lines.push(line.clone());
    }
    let path = dir.join("zoo.cfg");
    fs::write(&path, lines.join("\n") + "\n").map_err(|why| format!("{}: {why}", path.display()))
}

fn spawn(
    server: Server,
    dir: &Path,
    flags: &[String],
    environment: &[(String, String)],
) -> Result<Child, String> {
    let log = dir.join("server.log");
    let log = File::options().create(true).append(true).open(&log).map_err(|e| format!("{e}"))?;
    let errors = log.try_clone().map_err(|why| format!("{why}"))?;
    server
        .command(flags)?
        .arg(dir.join("zoo.cfg"))
        .current_dir(dir)
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors)
        .spawn()
        .map_err(|why| format!("starting {server:?}: {why}"))
}
