//! More connections than there are descriptors.

use crate::server::{Options, Running, Server};
use crate::zk::Zk;
use crate::{serves_others, start};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

/// The machine's limit is reached, and 1,000 more knock: whoever is in stays in.
#[test]
fn running_out_of_descriptors_harms_nobody_who_is_in() {
    for engine in crate::ENGINES {
        let options = Options {
            config: vec![format!("engine={engine}"), "maxClientCnxns=0".to_owned()],
            ..Options::default()
        };
        let running = Running::start(Server::Ours, &options).expect("ours starts");
        let mut good = Zk::connect(running.address()).expect("it serves");
        good.create("/in", b"", 0).expect("it answers");
        // As many as a small limit allows; set from outside, while the server runs.
        let status = Command::new("prlimit")
            .args(["--pid", &running.pid().to_string(), "--nofile=300:300"])
            .status()
            .expect("prlimit is part of util-linux: install it");
        assert!(status.success(), "prlimit");
        let mut sockets = Vec::new();
        for _ in 0..1300 {
            let socket = TcpStream::connect_timeout(&running.address(), Duration::from_millis(5));
            sockets.extend(socket);
        }
        for round in 0..100 {
            let reply = good.create(&format!("/in/{round}"), b"", 0).expect("who is in stays in");
            assert_eq!(reply.header.err, 0, "{engine}");
        }
        drop(sockets);
        std::thread::sleep(Duration::from_millis(500));
        serves_others(&running, "after the flood");
    }
}

/// maxClientCnxns is by address: one client cannot take everything.
#[test]
fn one_address_gets_its_share_and_no_more() {
    let mut running = start("auto", &[]);
    drop(running.stop(Duration::from_secs(10)));
    let options = Options { config: vec!["maxClientCnxns=5".to_owned()], ..Options::default() };
    let running = Running::start(Server::Ours, &options).expect("ours starts");
    let inside: Vec<Zk> =
        (0..5).map(|_| Zk::connect(running.address()).expect("a share")).collect();
    assert!(Zk::connect(running.address()).is_err(), "the sixth is closed at once");
    drop(inside);
    std::thread::sleep(Duration::from_millis(500));
    serves_others(&running, "after the five left");
}
