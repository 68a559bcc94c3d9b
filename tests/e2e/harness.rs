//! Runs one client program against a server of its own and judges what it prints.
//!
//! A program gets `HOST:PORT` as its last argument. It prints `ok NAME` or `FAIL NAME why` for each
//! check and exits with 0 only if none failed. The line `restart` asks the harness to kill the
//! server with SIGKILL and to start it again on the same port and data; the answer is the line
//! `restarted` on the program's standard input.

use crate::server::{Options, Running, Server};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// A whole program of checks takes 5 to 40 s on a quiet machine; what takes this long hangs.
const PROGRAM_MAX: Duration = Duration::from_mins(8);

/// How much of a log is shown with a failure.
const LOG_LINES_SHOWN: usize = 60;

/// Which server to test: ours, or with `E2E_SERVER=apache` Apache's, to check the checks.
fn server() -> Server {
    match std::env::var("E2E_SERVER").as_deref() {
        Err(_) | Ok("ours") => Server::Ours,
        Ok("apache") => Server::Apache395,
        Ok(other) => panic!("E2E_SERVER={other}: it can be `ours` or `apache`"),
    }
}

/// The settings on which the programs rely, and those of `E2E_CONFIG`.
fn options() -> Options {
    let config = ["tickTime=500", "maxSessionTimeout=20000", "maxClientCnxns=0"];
    let flags = [
        "zookeeper.extendedTypesEnabled=true",
        "zookeeper.enforceQuota=true",
        "znode.container.checkIntervalMs=400",
        // The password of `super` is `test`.
        "zookeeper.DigestAuthenticationProvider.superDigest=super:D/InIHSb7yEEbrWz8b9l71RjZJU=",
    ];
    let mut config: Vec<String> = config.map(str::to_owned).into();
    let more = std::env::var("E2E_CONFIG").unwrap_or_default();
    config.extend(more.split(';').filter(|line| !line.is_empty()).map(str::to_owned));
    Options { config, flags: flags.map(str::to_owned).into() }
}

/// Runs `program`, which must print `ok` for exactly these checks, in this order.
pub fn run(name: &str, program: Result<Command, String>, checks: &[&str]) {
    let program = program.unwrap_or_else(|why| panic!("{name}: {why}"));
    let server = Running::start(server(), &options());
    let mut server = server.unwrap_or_else(|why| panic!("{name}: {why}"));
    if let Err(why) = drive(name, program, checks, &mut server) {
        let stderr = fs::read(server.dir().join("client.log")).unwrap_or_default();
        let stderr = String::from_utf8_lossy(&stderr);
        panic!(
            "{name}: {why}\n-- its standard error:\n{}\n-- the server's log:\n{}",
            tail(&stderr),
            tail(&server.log())
        );
    }
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("\n")
}

fn drive(
    name: &str,
    mut program: Command,
    checks: &[&str],
    server: &mut Running,
) -> Result<(), String> {
    let log = File::create(server.dir().join("client.log")).map_err(|why| format!("{why}"))?;
    program.arg(server.address().to_string());
    program.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
    let child = program.spawn().map_err(|why| format!("starting {program:?}: {why}"))?;
    let mut child = KilledWhenDropped(child);
    let mut stdin = child.0.stdin.take().expect("it was asked for");
    let lines = lines_of(&mut child.0);

    let deadline = Instant::now() + PROGRAM_MAX;
    let mut printed: Vec<String> = Vec::new();
    let mut passed: Vec<String> = Vec::new();
    loop {
        let line = match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => line,
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                return Err(format!("hangs after\n{}", printed.join("\n")));
            }
        };
        println!("{name}: {line}");
        if line == "restart" {
            restart(server, &mut stdin)?;
        } else if let Some(check) = line.strip_prefix("ok ") {
            passed.push(check.to_owned());
        }
        printed.push(line);
    }
    let status = child.0.wait().map_err(|why| format!("waiting for it: {why}"))?;
    if !status.success() {
        return Err(format!("ended with {status} after\n{}", printed.join("\n")));
    }
    if passed != checks {
        return Err(format!("passed other checks than it should\n{passed:?}\n{checks:?}"));
    }
    if server.has_ended() {
        return Err("the server has ended".into());
    }
    Ok(())
}

fn restart(server: &mut Running, stdin: &mut ChildStdin) -> Result<(), String> {
    if server.has_ended() {
        return Err("the server had ended before it was killed".into());
    }
    server.kill();
    server.start_again()?;
    stdin.write_all(b"restarted\n").map_err(|why| format!("it does not listen: {why}"))
}

/// The program's lines as they come; the channel ends with its output.
fn lines_of(child: &mut Child) -> Receiver<String> {
    let stdout = child.stdout.take().expect("it was asked for");
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

struct KilledWhenDropped(Child);

impl Drop for KilledWhenDropped {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
