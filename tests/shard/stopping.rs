//! Stops and starts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use ringkeeper::config::Engine;

use crate::zk::{self, Zk};
use crate::{On, Server, everywhere};

fn what_was_acknowledged_is_there_after_a_stop(on: &On) {
    let mut server = Server::start(on);
    let mut client = Zk::connect(server.address).unwrap();
    for n in 0..100 {
        assert_eq!(client.create(&format!("/n{n}"), b"x", 0).unwrap().header.err, 0);
    }
    for round in 0..3 {
        server.restart();
        // The session lived on, too.
        let mut client = Zk::open(server.address, client.session, client.password, 30_000).unwrap();
        assert_ne!(client.session, Default::default());
        assert_eq!(client.children("/").unwrap().len(), 101 + round);
        assert_eq!(client.create(&format!("/r{round}"), b"", 0).unwrap().header.err, 0);
    }
}

fn a_stop_under_load_is_quick_and_loses_nothing(on: &On) {
    let mut server = Server::start(on);
    let address = server.address;
    let writing = Arc::new(AtomicU32::new(0));
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let writing = Arc::clone(&writing);
            std::thread::spawn(move || {
                let mut client = Zk::connect(address).unwrap();
                let path = format!("/w{writer}");
                client.create(&path, b"", 0).unwrap();
                let mut acknowledged = 0u32;
                for n in 1u32.. {
                    match client.call(&zk::set(&path, &n.to_be_bytes())) {
                        Ok(reply) => assert_eq!(reply.header.err, 0),
                        Err(_) => break,
                    }
                    acknowledged = n;
                    if n == 20 {
                        writing.fetch_add(1, Ordering::SeqCst);
                    }
                }
                acknowledged
            })
        })
        .collect();
    while writing.load(Ordering::SeqCst) < 4 {
        std::thread::sleep(Duration::from_millis(5));
    }
    let start = Instant::now();
    server.stop();
    assert!(start.elapsed() < Duration::from_secs(6));
    server.restart();
    let mut client = Zk::connect(server.address).unwrap();
    for (writer, thread) in writers.into_iter().enumerate() {
        let acknowledged = thread.join().unwrap();
        let data = client.get(&format!("/w{writer}")).unwrap().unwrap();
        let found = u32::from_be_bytes(data.try_into().unwrap());
        assert!(found == acknowledged || found == acknowledged + 1, "{found} {acknowledged}");
    }
}

fn snapshots_are_taken_while_serving_and_loaded_at_the_next_start(on: &On) {
    let mut server = Server::with(on, |config| {
        config.storage.snap_count = 200;
        config.purge.interval_ms = 1;
    });
    let folder = server.data_dir().join("ringkeeper");
    let snapshots = || {
        let names = std::fs::read_dir(&folder).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with("snapshot.0")).count()
    };
    let mut client = Zk::connect(server.address).unwrap();
    for n in 0..1000u32 {
        let path = format!("/n{n}");
        assert_eq!(client.create(&path, &n.to_be_bytes(), 0).unwrap().header.err, 0);
    }
    let seen = snapshots();
    assert!((1..=5).contains(&seen), "{seen} snapshots: they are taken, and purged");
    for round in 0..2u32 {
        server.restart();
        let mut client = Zk::open(server.address, client.session, client.password, 30_000).unwrap();
        assert_eq!(client.children("/").unwrap().len(), 1001);
        for n in [0, 1, 199, 200, 201, 777, 999u32] {
            let path = format!("/n{n}");
            let expected = if round == 0 { n } else { n + 1 };
            assert_eq!(client.get(&path).unwrap().unwrap(), expected.to_be_bytes());
            let set = zk::set(&path, &[0; 4]);
            assert_eq!(client.call(&set).unwrap().header.err, 0);
            let data = (n + 1).to_be_bytes();
            assert_eq!(client.call(&zk::set(&path, &data)).unwrap().header.err, 0);
        }
    }
}

everywhere! {
    snapshots_are_taken_while_serving_and_loaded_at_the_next_start
    what_was_acknowledged_is_there_after_a_stop
    a_stop_under_load_is_quick_and_loses_nothing
}
