//! Log writes through the back ends.

use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use ringkeeper::net::{Backend, DiskWrite};

use crate::on_both;
use crate::server::{Server, temporary_file};

fn writes_end_once_each_with_their_memory(backend: Backend) {
    let server = Server::start(backend);
    let name = if backend == Backend::Epoll { "epoll" } else { "uring" };
    let (path, file) = temporary_file(name);
    let write = |id: u64| DiskWrite {
        id,
        file: Arc::clone(&file),
        offset: id * 4096,
        buffer: vec![u8::try_from(id).unwrap(); 5000],
        bytes: 100..4196,
    };
    let told = server.write((0..20).map(write).collect());
    let mut ids: Vec<u64> = (0..20)
        .map(|_| {
            let written = told.recv_timeout(Duration::from_secs(10)).unwrap();
            written.result.unwrap();
            assert_eq!(written.buffer, vec![u8::try_from(written.id).unwrap(); 5000]);
            written.id
        })
        .collect();
    ids.sort_unstable();
    assert_eq!(ids, (0..20).collect::<Vec<_>>());
    let expected: Vec<u8> = (0..20u8).flat_map(|id| [id; 4096]).collect();
    assert!(std::fs::read(&path).unwrap() == expected);

    // A file that cannot be written says so.
    let read_only = Arc::new(File::open(&path).unwrap());
    let told = server.write(vec![DiskWrite { file: read_only, ..write(1) }]);
    assert!(told.recv_timeout(Duration::from_secs(10)).unwrap().result.is_err());
    std::fs::remove_file(path).unwrap();
}

on_both! {
    writes_end_once_each_with_their_memory
}
