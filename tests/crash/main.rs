//! A real server on a real disk, killed at random moments under load. What it has acknowledged is
//! there when it comes back.
//!
//! kill -9 cannot show a missing sync (the page cache survives it): `tests/powercut` does that.

#[path = "../support/apache.rs"]
#[allow(dead_code)]
mod apache;
#[path = "../support/server.rs"]
#[allow(dead_code)]
mod server;
#[path = "../support/zk.rs"]
#[allow(dead_code)]
mod zk;

use server::{Options, Running, Server};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use zk::Zk;

const WRITERS: usize = 64;

/// What one writer knows of its own znode, whose data is a counter.
#[derive(Default)]
struct Writer {
    sent: AtomicU64,
    acked: AtomicU64,
}

fn path(writer: usize) -> String {
    format!("/crash/w{writer}")
}

/// Writes 1, 2, 3, … (from where it was) until the socket breaks.
fn write_until_cut(address: SocketAddr, index: usize, writer: &Writer) -> Option<()> {
    let mut zk = Zk::connect(address).ok()?;
    loop {
        let value = writer.sent.fetch_add(1, Ordering::SeqCst) + 1;
        let reply = zk.call(&zk::set(&path(index), &value.to_be_bytes())).ok()?;
        assert_eq!(reply.header.err, 0, "writer {index}: a write was refused");
        writer.acked.store(value, Ordering::SeqCst);
    }
}

/// Runs the writers for a while, then kills the server under them.
fn kill_under_load(running: &mut Running, writers: &[Writer], after: Duration) {
    let address = running.address();
    std::thread::scope(|scope| {
        for (index, writer) in writers.iter().enumerate() {
            scope.spawn(move || write_until_cut(address, index, writer));
        }
        std::thread::sleep(after);
        running.kill();
    });
}

/// Every writer's znode holds its last acknowledged value, or one that it sent later.
fn check(running: &Running, writers: &[Writer], round: usize) {
    let mut zk = Zk::connect(running.address()).expect("the server serves again");
    for (index, writer) in writers.iter().enumerate() {
        let data = zk.get(&path(index)).expect("the server answers").expect("the znode is there");
        let found = u64::from_be_bytes(data.try_into().expect("a counter has 8 bytes"));
        let acked = writer.acked.load(Ordering::SeqCst);
        let sent = writer.sent.load(Ordering::SeqCst);
        assert!(
            (acked..=sent).contains(&found),
            "round {round}, writer {index}: {acked} was acknowledged, {found} is there"
        );
        // What was in flight is decided now: go on from there.
        writer.sent.store(found, Ordering::SeqCst);
        writer.acked.store(found, Ordering::SeqCst);
    }
}

fn start(engine: &str) -> Running {
    let config = vec![
        format!("engine={engine}"),
        "maxClientCnxns=0".to_owned(),
        "snapCount=2000".to_owned(),
        "preAllocSize=1024".to_owned(),
    ];
    let options = Options { config, flags: Vec::new() };
    let running = Running::start(Server::Ours, &options).expect("ours starts");
    let mut zk = Zk::connect(running.address()).expect("it serves");
    zk.create("/crash", b"", 0).expect("it answers");
    for index in 0..WRITERS {
        let reply = zk.create(&path(index), &0u64.to_be_bytes(), 0).expect("it answers");
        assert_eq!(reply.header.err, 0);
    }
    running
}

/// 200 rounds (CRASH_ROUNDS chooses others), half of them on each engine.
#[test]
fn acknowledged_writes_survive_kill_9() {
    let rounds: usize =
        std::env::var("CRASH_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(200);
    let writes = AtomicU64::new(0);
    for engine in ["auto", "epoll"] {
        let writers: Vec<Writer> = (0..WRITERS).map(|_| Writer::default()).collect();
        let mut running = start(engine);
        let mut seed = 0x2545_f491_4f6c_dd1d_u64;
        for round in 0..rounds / 2 {
            // xorshift: the moments differ, and are the same in every run.
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            let before: u64 = writers.iter().map(|w| w.acked.load(Ordering::SeqCst)).sum();
            kill_under_load(&mut running, &writers, Duration::from_millis(10 + seed % 150));
            let after: u64 = writers.iter().map(|w| w.acked.load(Ordering::SeqCst)).sum();
            writes.fetch_add(after - before, Ordering::SeqCst);
            running.start_again().expect("it starts after a crash");
            check(&running, &writers, round);
        }
        running.stop(Duration::from_secs(10)).expect("it stops");
    }
    let writes = writes.load(Ordering::SeqCst);
    println!("{rounds} kills under load, {writes} acknowledged writes found again");
    assert!(writes > u64::try_from(rounds).unwrap() * 20, "the load was too small to prove much");
}
