//! Operators' words, put together from all cores.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use ringkeeper::config::Engine;
use ringkeeper::wire::op::Request;
use ringkeeper::wire::request::{ReadRequest, flags};

use crate::zk::Zk;
use crate::{On, Server, everywhere};

fn ask(server: &Server, word: &str) -> String {
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(word.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn words_tell_of_all_cores(on: &On) {
    let server = Server::start(on);
    assert_eq!(ask(&server, "ruok"), "imok");
    assert!(ask(&server, "srvr").contains("Node count: 5\n"));
    let mut clients: Vec<Zk> = (0..6).map(|_| Zk::connect(server.address).unwrap()).collect();
    for (n, client) in clients.iter_mut().enumerate() {
        let path = format!("/e{n}");
        assert_eq!(client.create(&path, b"", flags::EPHEMERAL).unwrap().header.err, 0);
        let read = ReadRequest { path: path.as_str().into(), watch: true };
        assert_eq!(client.call(&Request::GetData(read)).unwrap().header.err, 0);
    }
    let srvr = ask(&server, "srvr");
    for line in ["Connections: 7\n", "Mode: standalone\n", "Node count: 11\n", "Zxid: 0xc\n"] {
        assert!(srvr.contains(line), "{line} is not in {srvr}");
    }
    assert_eq!(ask(&server, "wchs"), "6 connections watching 6 paths\nTotal watches:6\n");
    let cons = ask(&server, "cons");
    assert_eq!(cons.lines().filter(|line| line.contains("sid=0x")).count(), 6, "{cons}");
    let dump = ask(&server, "dump");
    for client in &clients {
        assert!(dump.contains(&format!("{}", client.session)), "{dump}");
    }
    assert_eq!(ask(&server, "srst"), "Server stats reset.\n");
    assert_eq!(ask(&server, "isro"), "rw");
    assert!(ask(&server, "mntr").contains("zk_znode_count\t11\n"));
}

everywhere! {
    words_tell_of_all_cores
}
