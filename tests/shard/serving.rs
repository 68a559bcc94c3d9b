//! What clients get.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use ringkeeper::config::Engine;
use ringkeeper::types::Xid;
use ringkeeper::wire::ErrorCode;
use ringkeeper::wire::op::Request;
use ringkeeper::wire::request::{ReadRequest, SyncRequest, flags};

use crate::zk::{self, Zk};
use crate::{On, Server, everywhere};

fn a_client_creates_reads_changes_and_watches(on: &On) {
    let server = Server::start(on);
    let mut a = Zk::connect(server.address).unwrap();
    let mut b = Zk::connect(server.address).unwrap();
    assert_ne!(a.session, b.session);
    assert_eq!(a.create("/a", b"one", 0).unwrap().header.err, 0);
    assert_eq!(a.create("/a", b"one", 0).unwrap().header.err, ErrorCode::NodeExists.code());
    assert_eq!(a.get("/a").unwrap().unwrap(), b"one");

    // The other client may be on another core, which need not have heard of it yet: sync.
    let sync = b.call(&Request::Sync(SyncRequest { path: Some("/a".into()) }));
    assert_eq!(sync.unwrap().header.err, 0);
    let read = ReadRequest { path: "/a".into(), watch: true };
    assert_eq!(b.call(&Request::GetData(read)).unwrap().header.err, 0);
    assert_eq!(a.call(&zk::set("/a", b"two")).unwrap().header.err, 0);
    let event = b.reply().unwrap();
    assert_eq!(event.header.xid, Xid::EVENT);
    assert_eq!(b.get("/a").unwrap().unwrap(), b"two");
    assert_eq!(a.call(&zk::delete("/a")).unwrap().header.err, 0);
    assert_eq!(a.get("/a").unwrap(), None);
}

fn a_window_of_writes_is_answered_in_order(on: &On) {
    let server = Server::start(on);
    let mut clients: Vec<Zk> = (0..8).map(|_| Zk::connect(server.address).unwrap()).collect();
    for (n, client) in clients.iter_mut().enumerate() {
        assert_eq!(client.create(&format!("/{n}"), b"", 0).unwrap().header.err, 0);
    }
    for round in 0..20u32 {
        let mut sent = Vec::new();
        for (n, client) in clients.iter_mut().enumerate() {
            let path = format!("/{n}");
            for write in 0..50u32 {
                let data = (round * 50 + write).to_be_bytes();
                sent.push(client.send(&zk::set(&path, &data)).unwrap());
                let read = ReadRequest { path: path.as_str().into(), watch: false };
                sent.push(client.send(&Request::GetData(read)).unwrap());
            }
        }
        let mut sent = sent.into_iter();
        for client in &mut clients {
            for write in 0..50u32 {
                let reply = client.reply().unwrap();
                assert_eq!((Some(reply.header.xid), reply.header.err), (sent.next(), 0));
                let reply = client.reply().unwrap();
                assert_eq!((Some(reply.header.xid), reply.header.err), (sent.next(), 0));
                let data = (round * 50 + write).to_be_bytes();
                assert_eq!(reply.body[4..8], data, "a read sees its session's write");
            }
        }
    }
}

fn sessions_end_and_take_their_ephemerals(on: &On) {
    let server = Server::with(on, |config| config.session.tick_time_ms = 100);
    let mut watcher = Zk::connect(server.address).unwrap();
    let mut closes = Zk::connect(server.address).unwrap();
    let mut dies = Zk::open(server.address, Default::default(), [0; 16], 200).unwrap();
    assert_eq!(closes.create("/closes", b"", flags::EPHEMERAL).unwrap().header.err, 0);
    assert_eq!(dies.create("/dies", b"", flags::EPHEMERAL).unwrap().header.err, 0);
    closes.call(&Request::CloseSession(Default::default())).unwrap();
    assert!(closes.reply().is_err(), "the server ends the connection");
    assert_eq!(watcher.create("/order", b"", 0).unwrap().header.err, 0);
    assert_eq!(watcher.get("/closes").unwrap(), None);
    // Silent, and over before long.
    let gone = (0..100).any(|_| {
        std::thread::sleep(Duration::from_millis(20));
        watcher.get("/dies").unwrap().is_none()
    });
    assert!(gone, "a silent session is over");
}

fn a_client_moves_to_another_connection(on: &On) {
    let server = Server::start(on);
    let mut old = Zk::connect(server.address).unwrap();
    assert_eq!(old.create("/mine", b"", flags::EPHEMERAL).unwrap().header.err, 0);
    for _ in 0..4 {
        let mut new = Zk::open(server.address, old.session, old.password, 30_000).unwrap();
        assert_eq!(new.session, old.session);
        assert!(new.get("/mine").unwrap().is_some());
        assert!(old.reply().is_err(), "the old connection is ended");
        old = new;
    }
    let wrong = Zk::open(server.address, old.session, [1; 16], 30_000).unwrap();
    assert_eq!(wrong.session, Default::default(), "a wrong password is an expired session");
}

fn bytes_that_are_no_request_end_their_connection_alone(on: &On) {
    let server = Server::start(on);
    let mut good = Zk::connect(server.address).unwrap();
    for bytes in [&b"GET / HTTP/1.0\r\n\r\n"[..], &[0xff; 64], &[0; 64]] {
        let mut bad = TcpStream::connect(server.address).unwrap();
        bad.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        bad.write_all(bytes).unwrap();
        let mut rest = Vec::new();
        // An end or a reset, and no answer.
        let _ = bad.read_to_end(&mut rest);
        assert!(rest.is_empty(), "{bytes:?}");
    }
    assert_eq!(good.create("/still-here", b"", 0).unwrap().header.err, 0);
}

everywhere! {
    a_client_creates_reads_changes_and_watches
    a_window_of_writes_is_answered_in_order
    sessions_end_and_take_their_ephemerals
    a_client_moves_to_another_connection
    bytes_that_are_no_request_end_their_connection_alone
}
