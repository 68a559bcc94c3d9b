//! Clients of all kinds.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ringkeeper::net::Backend;

use crate::on_both;
use crate::server::{Server, eventually, framed, is_closed, receive, send};

fn a_thousand_connections_are_served_at_once(backend: Backend) {
    let server = Server::start(backend);
    let mut streams: Vec<_> = (0..1000).map(|_| server.open()).collect();
    for round in 0..3u32 {
        for stream in &mut streams {
            send(stream, &round.to_be_bytes());
        }
        for stream in &mut streams {
            assert_eq!(receive(stream), round.to_be_bytes());
        }
    }
    assert_eq!(server.admission.open(), 1000);
    drop(streams);
    eventually("all are forgotten", || server.admission.open() == 0);
    assert_eq!(server.shared.closed.load(Ordering::SeqCst), 1000);
}

fn frames_cut_at_every_byte_come_out_whole(backend: Backend) {
    let server = Server::start(backend);
    let bytes = [framed(b"first"), framed(b""), framed(b"third")].concat();
    for split in 1..bytes.len() {
        let mut stream = server.connect();
        stream.set_nodelay(true).unwrap();
        stream.write_all(&bytes[..split]).unwrap();
        std::thread::sleep(Duration::from_millis(2));
        stream.write_all(&bytes[split..]).unwrap();
        assert_eq!(receive(&mut stream), b"first");
        assert_eq!(receive(&mut stream), b"");
        assert_eq!(receive(&mut stream), b"third");
    }
}

fn many_requests_in_one_piece_are_answered_in_order(backend: Backend) {
    let server = Server::start(backend);
    let mut stream = server.open();
    let all: Vec<u8> = (0..20_000u32).flat_map(|n| framed(&n.to_be_bytes())).collect();
    let mut writer = stream.try_clone().unwrap();
    let thread = std::thread::spawn(move || writer.write_all(&all).unwrap());
    for n in 0..20_000u32 {
        assert_eq!(receive(&mut stream), n.to_be_bytes());
    }
    thread.join().unwrap();
}

fn big_frames_go_both_ways(backend: Backend) {
    let server = Server::start(backend);
    let mut stream = server.open();
    let frame: Vec<u8> = (0..0xf_ffffu32).map(|n| u8::try_from(n % 251).unwrap()).collect();
    for _ in 0..3 {
        send(&mut stream, &frame);
        assert!(receive(&mut stream) == frame);
    }
    // One byte more than the limit.
    stream.write_all(&0x10_0000u32.to_be_bytes()).unwrap();
    assert!(is_closed(&mut stream));
}

fn garbage_closes_its_connection_and_no_other(backend: Backend) {
    let server = Server::start(backend);
    let mut good = server.open();
    let garbage: [&[u8]; 5] = [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\xff\xff\xff\xff",
        b"\x00\x10\x00\x00",
        b"\x80\0\0\0",
        b"\x16\x03\x01\x02",
    ];
    for bytes in garbage {
        let mut fresh = server.connect();
        fresh.write_all(bytes).unwrap();
        assert!(is_closed(&mut fresh), "{bytes:?} before the handshake");
        let mut open = server.open();
        send(&mut open, b"the last good one");
        open.write_all(bytes).unwrap();
        assert_eq!(receive(&mut open), b"the last good one");
        assert!(is_closed(&mut open), "{bytes:?} after the handshake");
    }
    // Before the handshake a frame may be 4 KiB long, with its length.
    let mut fresh = server.connect();
    fresh.write_all(&4093u32.to_be_bytes()).unwrap();
    assert!(is_closed(&mut fresh));
    let mut fresh = server.connect();
    send(&mut fresh, &[7; 4092]);
    assert_eq!(receive(&mut fresh).len(), 4092);
    send(&mut good, b"still here");
    assert_eq!(receive(&mut good), b"still here");
}

fn who_says_nothing_or_too_little_is_closed_in_time(backend: Backend) {
    let server = Server::start(backend);
    let mut silent = server.connect();
    let mut slow = server.connect();
    let mut slow_word = server.connect();
    let mut good = server.open();
    let start = Instant::now();
    slow.write_all(&framed(b"hello")[..3]).unwrap();
    slow_word.write_all(b"word1").unwrap();
    std::thread::sleep(Duration::from_millis(200));
    slow.write_all(&framed(b"hello")[3..6]).unwrap();
    for stream in [&mut silent, &mut slow, &mut slow_word] {
        assert!(is_closed(stream));
    }
    assert!(start.elapsed() > Duration::from_millis(300));
    send(&mut good, b"still here");
    assert_eq!(receive(&mut good), b"still here");
}

fn words_are_answered_and_closed(backend: Backend) {
    let server = Server::start(backend);
    for pieces in [&[&b"word12"[..]][..], &[b"wo", b"rd1", b"2"], &[b"word12 and more\n"]] {
        let mut stream = server.connect();
        stream.set_nodelay(true).unwrap();
        for piece in pieces {
            stream.write_all(piece).unwrap();
            std::thread::sleep(Duration::from_millis(2));
        }
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "word12");
    }
    // After the handshake the same bytes are a length.
    let mut stream = server.open();
    stream.write_all(b"word12").unwrap();
    assert!(is_closed(&mut stream));
    // `nc` shuts its side before the answer comes.
    let mut stream = server.connect();
    stream.write_all(b"word34").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "word34");
}

fn a_held_connection_is_not_read_until_it_may_go_on(backend: Backend) {
    let server = Server::start(backend);
    let mut other = server.open();
    let mut stream = server.open();
    let before = server.shared.frames.load(Ordering::SeqCst);
    let mut writer = stream.try_clone().unwrap();
    send(&mut writer, b"hold");
    // More than the socket, our buffers and the kernel's take together: the writer must block.
    let flood = std::thread::spawn(move || {
        for n in 0..30_000u32 {
            send(&mut writer, &[&n.to_be_bytes()[..], &[0; 996]].concat());
        }
    });
    assert_eq!(receive(&mut stream), b"hold");
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(server.shared.frames.load(Ordering::SeqCst), before + 1);
    assert!(!flood.is_finished(), "a connection that is not read makes its client wait");
    send(&mut other, b"meanwhile");
    assert_eq!(receive(&mut other), b"meanwhile");
    server.release();
    for n in 0..30_000u32 {
        assert_eq!(receive(&mut stream)[..4], n.to_be_bytes());
    }
    flood.join().unwrap();
    // Held and let go again and again: nothing is lost, nothing comes twice.
    for n in 0..50u32 {
        let frames = [framed(b"hold"), framed(&n.to_be_bytes()), framed(b"end")].concat();
        stream.write_all(&frames).unwrap();
        assert_eq!(receive(&mut stream), b"hold");
        server.release();
        assert_eq!(receive(&mut stream), n.to_be_bytes());
        assert_eq!(receive(&mut stream), b"end");
    }
}

fn frames_before_the_end_are_served_though_held(backend: Backend) {
    let server = Server::start(backend);
    let mut stream = server.open();
    let before = server.shared.frames.load(Ordering::SeqCst);
    let closed = server.shared.closed.load(Ordering::SeqCst);
    stream.write_all(&[framed(b"hold"), framed(b"closeSession")].concat()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(receive(&mut stream), b"hold");
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(server.shared.closed.load(Ordering::SeqCst), closed);
    server.release();
    eventually("it is closed", || server.shared.closed.load(Ordering::SeqCst) == closed + 1);
    assert_eq!(server.shared.frames.load(Ordering::SeqCst), before + 2);
}

fn a_hang_up_sends_everything_first(backend: Backend) {
    let server = Server::start(backend);
    for round in 0..20 {
        let mut stream = server.open();
        // What follows `bye` is unread when the server closes: a reset would swallow the reply.
        let frames = [framed(b"big 3000000"), framed(b"bye"), framed(&[1; 100_000])].concat();
        let mut writer = stream.try_clone().unwrap();
        let thread = std::thread::spawn(move || {
            let _ = writer.write_all(&frames);
        });
        if round % 2 == 0 {
            std::thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(receive(&mut stream).len(), 3_000_000);
        assert_eq!(receive(&mut stream), b"bye");
        assert_eq!(stream.read(&mut [0; 8]).unwrap(), 0, "an end, not a reset");
        thread.join().unwrap();
    }
    eventually("all are forgotten", || server.admission.open() == 0);
}

fn who_stays_after_a_hang_up_is_closed_in_time(backend: Backend) {
    let server = Server::start(backend);
    let mut stream = server.open();
    send(&mut stream, b"bye");
    assert_eq!(receive(&mut stream), b"bye");
    assert_eq!(stream.read(&mut [0; 8]).unwrap(), 0);
    assert_eq!(server.admission.open(), 1);
    eventually("it is forgotten", || server.admission.open() == 0);
}

fn a_reader_that_never_reads_is_closed_and_harms_nobody(backend: Backend) {
    let server = Server::start(backend);
    let mut good = server.open();
    let mut bad = server.open();
    // One reply above the cap closes at once.
    send(&mut bad, b"big 70000000");
    eventually("it is closed", || server.admission.open() == 1);
    // Many smaller ones only stop the reading of requests.
    let bad = server.open();
    let mut writer = bad.try_clone().unwrap();
    writer.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    let before = server.shared.frames.load(Ordering::SeqCst);
    let requests: Vec<u8> = (0..2_000_000).flat_map(|_| framed(b"big 100000")).collect();
    assert!(writer.write_all(&requests).is_err(), "the server stops reading");
    let served = server.shared.frames.load(Ordering::SeqCst) - before;
    assert!(served < 10_000, "{served} replies of 100 kB wait for a client that does not read");
    send(&mut good, b"still here");
    assert_eq!(receive(&mut good), b"still here");
    drop((bad, writer));
    eventually("it is closed", || server.admission.open() == 1);
}

fn a_full_turn_goes_on_in_the_next(backend: Backend) {
    let server = Server::start(backend);
    let mut streams: Vec<_> = (0..10).map(|_| server.open()).collect();
    for stream in &mut streams {
        let frames: Vec<u8> = (0..100).flat_map(|_| framed(b"full")).collect();
        stream.write_all(&frames).unwrap();
    }
    for stream in &mut streams {
        for _ in 0..100 {
            assert_eq!(receive(stream), b"full");
        }
    }
}

fn churn_leaves_nothing_behind(backend: Backend) {
    let server = Server::start(backend);
    for round in 0..200 {
        let mut a = server.open();
        let b = server.connect();
        let mut c = server.open();
        send(&mut a, b"big 200000");
        match round % 4 {
            0 => drop(a),
            1 => a.shutdown(Shutdown::Write).unwrap(),
            2 => {
                rustix::net::sockopt::set_socket_linger(&a, Some(Duration::ZERO)).unwrap();
                drop(a);
            }
            _ => assert_eq!(receive(&mut a).len(), 200_000),
        }
        drop(b);
        send(&mut c, b"bye");
        assert_eq!(receive(&mut c), b"bye");
    }
    eventually("all are forgotten", || server.admission.open() == 0);
    assert_eq!(server.shared.closed.load(Ordering::SeqCst), 400);
}

on_both! {
    a_thousand_connections_are_served_at_once
    frames_cut_at_every_byte_come_out_whole
    many_requests_in_one_piece_are_answered_in_order
    big_frames_go_both_ways
    garbage_closes_its_connection_and_no_other
    who_says_nothing_or_too_little_is_closed_in_time
    words_are_answered_and_closed
    a_held_connection_is_not_read_until_it_may_go_on
    frames_before_the_end_are_served_though_held
    a_hang_up_sends_everything_first
    who_stays_after_a_hang_up_is_closed_in_time
    a_reader_that_never_reads_is_closed_and_harms_nobody
    a_full_turn_goes_on_in_the_next
    churn_leaves_nothing_behind
}
