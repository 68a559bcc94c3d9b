//! What nobody should send, from sockets and from disks: a clear error, bounded memory, nobody
//! else slowed, nothing acknowledged lost. Against the real program, on both engines.

#[path = "../support/apache.rs"]
#[allow(dead_code)]
mod apache;
#[path = "../support/server.rs"]
#[allow(dead_code)]
mod server;
#[path = "../support/zk.rs"]
#[allow(dead_code)]
mod zk;

mod directories;
mod frames;
mod many;

use server::{Options, Running, Server};
use std::fs;
use std::time::{Duration, Instant};
use zk::Zk;

/// Both engines; `auto` is io_uring where the machine has it.
const ENGINES: [&str; 2] = ["auto", "epoll"];

fn start(engine: &str, config: &[&str]) -> Running {
    let mut lines = vec![format!("engine={engine}"), "maxClientCnxns=0".to_owned()];
    lines.extend(config.iter().map(|line| (*line).to_owned()));
    let options = Options { config: lines, ..Options::default() };
    Running::start(Server::Ours, &options).expect("ours starts")
}

/// Resident bytes of a process.
fn resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process lives");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("it has memory");
    let kib = line.split_whitespace().nth(1).expect("VmRSS has a number");
    kib.parse::<u64>().expect("it is a number") * 1024
}

/// A client that did nothing wrong is served, and soon.
fn serves_others(running: &Running, what: &str) {
    let begin = Instant::now();
    let mut zk = Zk::connect(running.address()).unwrap_or_else(|why| {
        panic!("{what}: a good client cannot connect: {why}\n{}", running.log())
    });
    let path = format!("/good-{}", zk.session.0.cast_unsigned());
    assert_eq!(zk.create(&path, b"x", 1).expect(what).header.err, 0, "{what}");
    assert_eq!(zk.get(&path).expect(what).as_deref(), Some(&b"x"[..]), "{what}");
    let took = begin.elapsed();
    assert!(took < Duration::from_secs(5), "{what}: a good client waited {took:?}");
}
