//! How many may come in.

use std::fs::File;
use std::net::TcpStream;
use std::process::Command;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ringkeeper::net::Backend;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::on_both;
use crate::server::{Limits, Server, eventually, is_closed, receive, send, uring};

fn an_address_has_its_limit(backend: Backend) {
    let server = Server::with(backend, Limits { address_max: 3, ..Limits::default() });
    let first = server.open();
    let _others = [server.open(), server.open()];
    assert!(is_closed(&mut server.connect()));
    drop(first);
    eventually("a place is free", || server.admission.open() == 2);
    server.open();
}

fn all_have_a_limit(backend: Backend) {
    let server = Server::with(backend, Limits { open_max: 2, ..Limits::default() });
    let _two = [server.open(), server.open()];
    assert!(is_closed(&mut server.connect()));
}

fn accepting_pauses_where_descriptors_end(backend: Backend) {
    let server = Server::with(backend, Limits { files_max: 5, ..Limits::default() });
    let mut inside: Vec<TcpStream> = (0..5).map(|_| server.open()).collect();
    let mut outside: Vec<TcpStream> = (0..20).map(|_| server.connect()).collect();
    for stream in &mut outside {
        send(stream, b"hello");
    }
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(server.admission.open(), 5);
    for stream in &mut inside {
        send(stream, b"unharmed");
        assert_eq!(receive(stream), b"unharmed");
    }
    // Whoever waited outside is served as soon as there is room.
    drop(inside);
    for mut stream in outside {
        assert_eq!(receive(&mut stream), b"hello");
    }
}

on_both! {
    an_address_has_its_limit
    all_have_a_limit
    accepting_pauses_where_descriptors_end
}

/// The limit of open files belongs to the process, so these two run in one of their own.
#[test]
#[ignore = "run by refused_descriptors_pause_accepting"]
fn child_without_descriptors() {
    let backend =
        if std::env::var_os("NET_TEST_EPOLL").is_some() { Backend::Epoll } else { uring() };
    let limit = getrlimit(Resource::Nofile);
    // Before the server starts: a multishot accept keeps the limit it was given under.
    setrlimit(Resource::Nofile, Rlimit { current: Some(100), ..limit }).unwrap();
    let server = Server::start(backend);
    let mut open = server.open();
    let mut waiting: Vec<TcpStream> = (0..8).map(|_| server.connect()).collect();
    eventually("all are in", || server.shared.opened.load(Ordering::SeqCst) == 9);
    let mut files: Vec<File> = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        files.push(file);
    }
    // The client's socket takes the only descriptor, so that the server gets none.
    files.pop();
    let mut late = server.connect();
    send(&mut late, b"hello");
    for _ in 0..5 {
        std::thread::sleep(Duration::from_millis(50));
        send(&mut open, b"unharmed");
        assert_eq!(receive(&mut open), b"unharmed");
    }
    assert_eq!(server.shared.opened.load(Ordering::SeqCst), 9);
    waiting.clear();
    assert_eq!(receive(&mut late), b"hello");
}

#[test]
fn refused_descriptors_pause_accepting() {
    for epoll in [false, true] {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "limits::child_without_descriptors", "--ignored"]);
        if epoll {
            command.env("NET_TEST_EPOLL", "1");
        }
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("1 passed"), "epoll {epoll}: {text}");
    }
}
