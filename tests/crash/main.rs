//! A real server on a real disk, killed at random moments under load. What it has acknowledged is
//! there when it comes back.
//!
//! kill -9 cannot show a missing sync (the page cache survives it): `tests/powercut` does that.

#[path = "../support/apache.rs"]
#[allow(dead_code)]
mod apache;
#[path = "../support/counters.rs"]
mod counters;
#[path = "../support/server.rs"]
#[allow(dead_code)]
mod server;
#[path = "../support/zk.rs"]
#[allow(dead_code)]
mod zk;

use counters::{Counters, Moments};
use server::{Options, Running, Server};
use std::time::Duration;

const WRITERS: usize = 64;

fn start(engine: &str) -> Running {
    let config = vec![
        format!("engine={engine}"),
        "maxClientCnxns=0".to_owned(),
        "snapCount=2000".to_owned(),
        "preAllocSize=1024".to_owned(),
    ];
    let options = Options { config, ..Options::default() };
    Running::start(Server::Ours, &options).expect("ours starts")
}

/// 200 rounds (CRASH_ROUNDS chooses others), half of them on each engine.
#[test]
fn acknowledged_writes_survive_kill_9() {
    let rounds: usize =
        std::env::var("CRASH_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(200);
    let mut writes = 0;
    for engine in ["auto", "epoll"] {
        let mut running = start(engine);
        let address = running.address();
        let counters = Counters::create(address, "/crash", WRITERS);
        let mut moments = Moments::new();
        for round in 0..rounds / 2 {
            let before = counters.acknowledged();
            let after = Duration::from_millis(10 + moments.below(150));
            counters.write_while(address, 8, || {
                std::thread::sleep(after);
                running.kill();
            });
            writes += counters.acknowledged() - before;
            running.start_again().expect("it starts after a crash");
            let lost = counters.lost(address);
            assert!(lost.is_empty(), "round {round}:\n{}", lost.join("\n"));
        }
        running.stop(Duration::from_secs(10)).expect("it stops");
    }
    println!("{rounds} kills under load, {writes} acknowledged writes found again");
    assert!(writes > u64::try_from(rounds).unwrap() * 20, "the load was too small to prove much");
}
