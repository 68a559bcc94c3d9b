//! Bytes on one socket.

use crate::zk::{self, Zk};
use crate::{ENGINES, resident, serves_others, start};
use ringkeeper::wire::jute::{Record, Writer};
use ringkeeper::wire::op::Request;
use ringkeeper::wire::request::{AuthRequest, ReadRequest};
use ringkeeper::wire::{ErrorCode, multi};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

fn raw(address: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect(address).expect("the port is open");
    socket.set_read_timeout(Some(Duration::from_secs(20))).expect("sockets have timeouts");
    socket
}

/// Whether the server ends the connection without a word.
fn is_closed(mut socket: TcpStream) -> bool {
    let mut byte = [0; 64];
    match socket.read(&mut byte) {
        Ok(0) => true,
        Ok(_) => false,
        Err(why) => why.kind() == std::io::ErrorKind::ConnectionReset,
    }
}

/// Sends bytes behind a good handshake.
fn after_handshake(address: SocketAddr, bytes: &[u8]) -> TcpStream {
    let zk = Zk::connect(address).expect("a good handshake is answered");
    let mut socket = zk.socket().try_clone().expect("sockets can be cloned");
    socket.write_all(bytes).expect("the socket takes bytes");
    socket
}

#[test]
fn lengths_that_lie_close_that_connection() {
    for engine in ENGINES {
        let running = start(engine, &[]);
        for length in [-1, i32::MIN, 0, 3, 7, 0x10_0000, i32::MAX] {
            let mut bytes = length.to_be_bytes().to_vec();
            bytes.extend_from_slice(&[0; 7]);
            let what = format!("{engine}, length {length}");
            let mut socket = raw(running.address());
            socket.write_all(&bytes).expect("the socket takes bytes");
            // 7 bytes or less are no handshake; longer frames are still to come, or refused.
            assert!(is_closed(socket), "{what} before the handshake");
            let socket = after_handshake(running.address(), &bytes);
            assert!(is_closed(socket), "{what} after the handshake");
        }
        let socket = after_handshake(running.address(), b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        assert!(is_closed(socket), "{engine}: a browser");
        serves_others(&running, "lengths that lie");
    }
}

/// A frame that never becomes whole holds what it has sent, and no more.
#[test]
fn half_frames_cost_what_was_sent_and_end_at_the_deadline() {
    const SOCKETS: usize = 500;
    for engine in ENGINES {
        let running = start(engine, &["nio.sessionlessCnxnTimeout=3000"]);
        serves_others(&running, "before");
        let before = resident(running.pid());
        let begin = Instant::now();
        let mut sockets: Vec<TcpStream> = (0..SOCKETS).map(|_| raw(running.address())).collect();
        for socket in &mut sockets {
            // A handshake of almost 4 KiB, of which two bytes come.
            socket.write_all(&[0, 0, 0x0f, 0x00, 1, 2]).expect("the socket takes bytes");
        }
        serves_others(&running, "among half frames");
        let grown = resident(running.pid()).saturating_sub(before);
        assert!(grown < 4096 * 500 + (4 << 20), "{engine}: {grown} bytes for {SOCKETS} sockets");
        for socket in sockets {
            assert!(is_closed(socket), "{engine}: a half handshake outlives its deadline");
        }
        let took = begin.elapsed();
        assert!(took > Duration::from_secs(2), "{engine}: closed after {took:?}");
        assert!(took < Duration::from_secs(19), "{engine}: closed after {took:?}");
    }
}

#[test]
fn bodies_that_cannot_be_decoded_are_answered_and_forgotten() {
    for engine in ENGINES {
        let running = start(engine, &[]);
        let mut zk = Zk::connect(running.address()).expect("it serves");
        let before = zk.create("/x", b"1", 0).expect("it answers").header.zxid;
        // A multi inside a multi.
        let inner = multi::MultiRequest::default();
        let mut body = Vec::new();
        let requests = [Request::Multi(inner)];
        multi::encode_operations(requests, &mut Writer::new(&mut body));
        let mut input = ringkeeper::wire::Reader::new(&body);
        assert!(multi::MultiRequest::decode(&mut input).is_err());
        for (op, body) in [(14, &body[..]), (5, b"\0\0"), (1, b""), (14, b"\xff"), (101, b"\0")] {
            let mut frame = Vec::new();
            frame.extend_from_slice(&i32::try_from(8 + body.len()).unwrap().to_be_bytes());
            frame.extend_from_slice(&77i32.to_be_bytes());
            frame.extend_from_slice(&i32::to_be_bytes(op));
            frame.extend_from_slice(body);
            zk.socket().write_all(&frame).expect("the socket takes bytes");
            let reply = zk.reply().expect("it is answered");
            let error = ErrorCode::MarshallingError.code();
            assert_eq!((reply.header.xid.0, reply.header.err), (77, error), "op {op}");
        }
        let after = zk.call(&zk::set("/x", b"2")).expect("it goes on").header.zxid;
        assert_eq!(after, before.next(), "{engine}: what cannot be decoded takes no place");
    }
}

#[test]
fn a_path_of_a_megabyte_is_a_path() {
    for engine in ENGINES {
        let running = start(engine, &[]);
        let mut zk = Zk::connect(running.address()).expect("it serves");
        let deep = "/a".repeat(300_000);
        let reply = zk.create(&deep, b"", 0).expect("it is answered");
        assert_eq!(reply.header.err, ErrorCode::NoNode.code(), "{engine}");
        let long = format!("/{}", "n".repeat(900_000));
        assert_eq!(zk.create(&long, b"", 0).expect("it is answered").header.err, 0, "{engine}");
        assert_eq!(zk.get(&long).expect("it is answered").as_deref(), Some(&b""[..]));
        assert_eq!(zk.call(&zk::delete(&long)).expect("it is answered").header.err, 0);
        serves_others(&running, "a long path");
    }
}

#[test]
fn an_auth_flood_ends_its_own_connection() {
    let running = start("auto", &[]);
    let mut zk = Zk::connect(running.address()).expect("it serves");
    let mut ended = false;
    for number in 0..1000 {
        let auth = format!("user{number}:secret");
        let request = Request::Auth(AuthRequest {
            kind: 0,
            scheme: Some("digest".into()),
            auth: Some(auth.as_bytes()),
        });
        match zk.call(&request) {
            Ok(reply) if reply.header.err == 0 => {}
            Ok(reply) => {
                assert_eq!(reply.header.err, ErrorCode::AuthFailed.code());
                ended = true;
                break;
            }
            Err(_) => {
                ended = true;
                break;
            }
        }
    }
    assert!(ended, "a connection gathers identities without end");
    assert!(!running.log().contains("secret"), "a secret stands in the log");
    serves_others(&running, "an auth flood");
}

/// Replies that nobody takes: the client is not read any more, others do not notice.
#[test]
fn a_client_that_never_reads_is_not_waited_for() {
    for engine in ENGINES {
        let running = start(engine, &[]);
        let mut zk = Zk::connect(running.address()).expect("it serves");
        zk.create("/big", &vec![7; 900_000], 0).expect("it answers");
        let before = resident(running.pid());
        zk.socket().set_write_timeout(Some(Duration::from_secs(2))).expect("sockets have timeouts");
        let read = Request::GetData(ReadRequest { path: "/big".into(), watch: false });
        // 9 GB of replies are asked for; the socket fills up, or is closed, long before.
        let asked = (0..10_000).take_while(|_| zk.send(&read).is_ok()).count();
        serves_others(&running, "a client that never reads");
        let grown = resident(running.pid()).saturating_sub(before);
        assert!(grown < 200 << 20, "{engine}: {grown} bytes after {asked} requests");
    }
}
