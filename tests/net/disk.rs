//! Log writes through the back ends.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::time::Duration;

use ringkeeper::net::{Backend, DiskWrite};

use crate::on_both;
use crate::server::{Server, temporary_file};

fn writes_end_once_each(backend: Backend) {
    let server = Server::start(backend);
    let name = if backend == Backend::Epoll { "epoll" } else { "uring" };
    let (path, file) = temporary_file(name);
    let memory: Vec<Vec<u8>> = (0..20).map(|id| vec![id; 4096]).collect();
    let write = |file: &File, id: usize| DiskWrite {
        id: u64::try_from(id).unwrap(),
        fd: file.as_raw_fd(),
        address: memory[id].as_ptr(),
        len: 4096,
        offset: u64::try_from(id * 4096).unwrap(),
        registered: None,
    };
    let told = server.write((0..20).map(|id| write(&file, id)).collect());
    let mut ids: Vec<u64> = (0..20)
        .map(|_| {
            let written = told.recv_timeout(Duration::from_secs(10)).unwrap();
            assert_eq!(written.result, Ok(4096));
            written.id
        })
        .collect();
    ids.sort_unstable();
    assert_eq!(ids, (0..20).collect::<Vec<_>>());
    assert!(std::fs::read(&path).unwrap() == memory.concat());

    // A file that cannot be written says so.
    let read_only = File::open(&path).unwrap();
    let told = server.write(vec![write(&read_only, 1)]);
    let written = told.recv_timeout(Duration::from_secs(10)).unwrap();
    assert_eq!(written.result, Err(rustix::io::Errno::BADF.raw_os_error()));
    std::fs::remove_file(path).unwrap();
}

on_both! {
    writes_end_once_each
}
