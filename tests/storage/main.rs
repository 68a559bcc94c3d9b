//! The store on a real file system: what the simulator's disk cannot show.

use std::fs;
use std::path::{Path, PathBuf};

use ringkeeper::storage::block::to_u64;
use ringkeeper::storage::dir::FOLDER;
use ringkeeper::storage::log::LogConfig;
use ringkeeper::storage::{DirConfig, Error, Identity, OpenConfig, OpenedDir, open, segment};
use ringkeeper::types::{Generation, Zxid};

/// A directory of its own, removed at the end.
struct Temp(PathBuf);

impl Temp {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("rk-storage-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("the temporary directory is writable");
        Self(path)
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn config(dir: &Path) -> DirConfig {
    let log = LogConfig {
        segment_bytes: 256 << 10,
        first_segment_bytes: 64 << 10,
        batch_bytes: 16 << 10,
        in_flight_max: 4,
    };
    DirConfig {
        data_dir: dir.to_owned(),
        log_dir: dir.to_owned(),
        mapped: true,
        open: OpenConfig { log, new_identity: Identity([7; 16]), verify_threads: 2 },
    }
}

/// Appends `count` transactions and waits until the last one is durable.
fn write(store: &mut OpenedDir, count: i64) {
    let log = &mut store.opened.log;
    for _ in 0..count {
        let zxid = log.last_appended().next();
        log.append(zxid, &payload(zxid), Generation(1));
    }
    while !log.is_idle() {
        if let Some(order) = log.wants_segment() {
            segment::prepare(&mut store.disk, order, &mut |_| {}).expect("there is space");
            log.segment_ready(order);
        }
        while let Some(write) = log.next_write() {
            let done = store.disk.execute(&write);
            log.complete(done).expect("the disk works");
        }
    }
}

fn payload(zxid: Zxid) -> Vec<u8> {
    zxid.0.to_le_bytes().repeat(100)
}

fn count_tail(store: &mut OpenedDir) -> i64 {
    let mut count = 0;
    while let Some((zxid, bytes)) = store.opened.tail.next(&mut store.disk).expect("undamaged") {
        count += 1;
        assert_eq!((zxid, bytes), (Zxid(count), payload(zxid).as_slice()));
    }
    count
}

#[test]
fn what_was_durable_is_there_after_every_start() {
    let temp = Temp::new("restart");
    for round in 0..4 {
        let mut store = open(&config(&temp.0)).expect("opens");
        assert_eq!(count_tail(&mut store), round * 500);
        write(&mut store, 500);
    }
}

#[test]
fn many_starts_leave_little_behind() {
    let temp = Temp::new("starts");
    for _ in 0..20 {
        drop(open(&config(&temp.0)).expect("opens"));
    }
    let files = fs::read_dir(temp.0.join(FOLDER)).expect("it is there");
    let bytes = files.map(|file| file.expect("listed").metadata().expect("there").len());
    assert!(bytes.sum::<u64>() < to_u64(20 * (12 << 10) + (128 << 10)));
}

#[test]
fn a_second_server_is_kept_out() {
    let temp = Temp::new("lock");
    let first = open(&config(&temp.0)).expect("opens");
    let second = open(&config(&temp.0)).err().expect("refused");
    assert!(matches!(second, Error::InUse { .. }), "{second}");
    drop(first);
    open(&config(&temp.0)).expect("the lock is free again");
}

#[test]
fn a_directory_of_java_is_not_taken_for_an_empty_one() {
    let temp = Temp::new("java");
    let java = temp.0.join("version-2");
    fs::create_dir_all(&java).expect("writable");
    open(&config(&temp.0)).expect("an empty version-2 is no data");
    fs::remove_dir_all(temp.0.join(FOLDER)).expect("ours");
    fs::write(java.join("log.1"), b"ZKLG").expect("writable");
    let refused = open(&config(&temp.0)).err().expect("refused");
    assert!(matches!(refused, Error::JavaDirectory { .. }), "{refused}");
}

#[test]
fn where_no_file_can_be_made_the_path_is_named() {
    let refused = open(&config(Path::new("/proc/self"))).err().expect("refused");
    assert!(refused.to_string().contains("/proc/self"), "{refused}");
}

#[test]
fn a_file_system_in_memory_works() {
    let shm = Path::new("/dev/shm");
    if !shm.is_dir() {
        println!("skipped: no tmpfs at {}", shm.display());
        return;
    }
    let temp = Temp(shm.join(format!("rk-storage-{}", std::process::id())));
    fs::create_dir_all(&temp.0).expect("writable");
    let mut store = open(&config(&temp.0)).expect("opens");
    write(&mut store, 300);
    assert_eq!(store.disk.is_direct(), store.disk.what_is_lost().is_none());
    drop(store);
    assert_eq!(count_tail(&mut open(&config(&temp.0)).expect("opens")), 300);
}
