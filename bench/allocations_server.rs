//! How often a whole server allocates for an operation in the steady state, over a real socket and
//! a real log: fewer than one in a thousand operations may. Fails if that is not so.
//!
//! What remains is not an operation's: a log segment that ends and the next one that is made ahead
//! (once in 64 MiB), the mark behind a log that went quiet, and what a background thread does.
//!
//! `ENGINE=uring|epoll` and `CORES=0,1` (the replica's CPU, then the fronts') choose what
//! it runs on; the default is what the server would choose, in one loop.

#[path = "support/counting.rs"]
mod counting;
#[allow(dead_code)]
#[path = "../tests/support/zk.rs"]
mod zk;

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use counting::{allocations_in, exclude_this_thread};
use ringkeeper::config::{Config, Cores, Engine};
use ringkeeper::shard;
use ringkeeper::wire::op::Request;
use ringkeeper::wire::request::{ReadRequest, SetDataRequest};
use zk::Zk;

const KEYS: usize = 1000;

/// Enough for a rate of one in a thousand to say something, and a second's work.
const OPERATIONS: usize = 20_000;

/// Requests that the client sends before it reads the replies: a slow disk is not waited for long.
const WINDOW: usize = 200;

fn config(data_dir: &Path) -> Config {
    let mut config = Config::default();
    config.storage.data_dir = data_dir.to_owned();
    config.client.port = Some(0);
    config.client.address = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
    config.engine.engine = match std::env::var("ENGINE").as_deref() {
        Ok("uring") => Engine::Uring,
        Ok("epoll") => Engine::Epoll,
        _ => Engine::Auto,
    };
    let cores = std::env::var("CORES").unwrap_or_default();
    let cores: Vec<u16> = cores.split(',').filter_map(|cpu| cpu.parse().ok()).collect();
    config.engine.cores = if cores.is_empty() { Cores::None } else { Cores::List(cores) };
    config
}

/// One request for each of `count` keys, in turn.
fn run(zk: &mut Zk, count: usize, request: impl Fn(usize) -> Request<'static>) {
    let mut key = 0;
    for _ in 0..count / WINDOW {
        for _ in 0..WINDOW {
            key = (key + 1) % KEYS;
            zk.send(&request(key)).expect("the server reads");
        }
        for _ in 0..WINDOW {
            assert_eq!(zk.reply().expect("the server answers").header.err, 0);
        }
    }
}

fn get(key: usize) -> Request<'static> {
    Request::GetData(ReadRequest { path: format!("/k{key}").into(), watch: false })
}

fn set(key: usize) -> Request<'static> {
    let path = Some(format!("/k{key}").into());
    Request::SetData(SetDataRequest { path, data: Some(&[8; 100]), version: -1 })
}

fn main() {
    exclude_this_thread();
    let name = format!("ringkeeper-allocations-{}", std::process::id());
    let data_dir = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&data_dir).expect("the folder for temporary files can be written");
    let server = shard::start(&config(&data_dir)).expect("it starts");
    let mut zk = Zk::connect(server.address()).expect("it lets us in");
    for key in 0..KEYS {
        assert_eq!(zk.create(&format!("/k{key}"), &[7; 100], 0).expect("answered").header.err, 0);
    }
    let mut counts = Vec::new();
    for (name, request) in [("getData", get as fn(usize) -> _), ("setData of 100 B", set)] {
        // Every buffer has grown, and the short first segment of the log is behind us.
        run(&mut zk, OPERATIONS, request);
        let count = allocations_in(|| run(&mut zk, OPERATIONS, request));
        println!("{name}: {count} allocations in {OPERATIONS} operations");
        counts.push((name, count));
    }
    drop(zk);
    server.stop().expect("it stops in good order");
    let _ = std::fs::remove_dir_all(&data_dir);
    let max = u64::try_from(OPERATIONS / 1000).expect("it is small");
    for (name, count) in counts {
        assert!(count < max, "{name} allocates in the steady state: {count} of {max} allowed");
    }
}
