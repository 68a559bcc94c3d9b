//! Data directories that are somebody else's, in use, unwritable or damaged. Each ends the start
//! with one sentence.

use crate::server::Running;
use crate::start;
use crate::zk::Zk;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

/// Starts a server that is not expected to serve.
fn try_start(config: &str) -> Output {
    let dir = temporary();
    fs::create_dir_all(&dir).expect("the temporary folder is writable");
    let file = dir.join("zoo.cfg");
    fs::write(&file, config).expect("the temporary folder is writable");
    let output = Command::new("timeout")
        .args(["20", env!("CARGO_BIN_EXE_ringkeeper")])
        .arg(&file)
        .output()
        .expect("timeout is part of coreutils");
    let _ = fs::remove_dir_all(&dir);
    output
}

fn temporary() -> PathBuf {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("ringkeeper-bad-{}-{number}", std::process::id()))
}

fn text(output: &Output) -> String {
    let both = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    String::from_utf8_lossy(&both).into_owned()
}

fn refused(data: &Path, expected: &str) {
    let config = format!("clientPort=0\ndataDir={}\n", data.display());
    let output = try_start(&config);
    let text = text(&output);
    assert!(!output.status.success(), "it started:\n{text}");
    assert_ne!(output.status.code(), Some(124), "it runs on:\n{text}");
    assert!(!text.contains("panicked"), "a panic is no answer:\n{text}");
    assert!(text.to_lowercase().contains(expected), "{expected:?} is not in:\n{text}");
}

/// A directory with some acknowledged writes in it.
fn written() -> (Running, PathBuf) {
    let mut running = start("auto", &["snapCount=100", "preAllocSize=256"]);
    let mut zk = Zk::connect(running.address()).expect("it serves");
    for number in 0..500 {
        zk.create(&format!("/n{number}"), &[b'd'; 100], 0).expect("it answers");
    }
    std::thread::sleep(Duration::from_millis(300));
    running.stop(Duration::from_secs(10)).expect("it stops");
    let data = running.dir().join("data");
    (running, data)
}

fn all_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the folder is readable") {
        let path = entry.expect("the folder is readable").path();
        if path.is_dir() { all_files(&path, found) } else { found.push(path) }
    }
}

/// The files of a data directory whose name begins so, by name.
fn files(data: &Path, prefix: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    all_files(data, &mut found);
    found.retain(|path| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("");
        name.starts_with(prefix) && !name.ends_with("tmp")
    });
    found.sort();
    assert!(!found.is_empty(), "{} has no {prefix}*", data.display());
    found
}

#[test]
fn two_servers_on_one_directory_are_one_too_many() {
    let running = start("auto", &[]);
    refused(&running.dir().join("data"), "another server");
}

#[test]
fn a_directory_of_java_is_left_alone() {
    let data = temporary();
    fs::create_dir_all(data.join("version-2")).expect("the temporary folder is writable");
    fs::write(data.join("version-2/log.1"), b"ZKLG").expect("the temporary folder is writable");
    refused(&data, "version-2");
    assert_eq!(fs::read(data.join("version-2/log.1")).expect("it is still there"), b"ZKLG");
    fs::remove_dir_all(&data).expect("it is ours");
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let file = temporary();
    fs::write(&file, b"a file").expect("the temporary folder is writable");
    refused(&file.join("data"), &file.display().to_string().to_lowercase());
    fs::remove_file(&file).expect("it is ours");
}

/// A flipped bit in the middle of what was acknowledged is not mistaken for a torn tail.
#[test]
fn a_damaged_middle_of_the_log_is_refused_and_named() {
    let (running, data) = written();
    for snapshot in files(&data, "snapshot.") {
        fs::remove_file(snapshot).expect("it is ours");
    }
    let log = files(&data, "log.").remove(0);
    let mut bytes = fs::read(&log).expect("the log is readable");
    let at = bytes.windows(6).position(|window| window == b"dddddd").expect("data is in the log");
    bytes[at] ^= 0x40;
    fs::write(&log, &bytes).expect("the log is writable");
    refused(&data, "damage");
    drop(running);
}

/// One bad snapshot is set aside; an older one and the log behind it have everything.
#[test]
fn a_damaged_snapshot_is_passed_over() {
    let (mut running, data) = written();
    let snapshot = files(&data, "snapshot.").pop().expect("there are some");
    let mut bytes = fs::read(&snapshot).expect("it is readable");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&snapshot, &bytes).expect("it is writable");
    running.start_again().expect("an older snapshot and the log have everything");
    let mut zk = Zk::connect(running.address()).expect("it serves");
    for number in 0..500 {
        let data = zk.get(&format!("/n{number}")).expect("it answers");
        assert_eq!(data.as_deref(), Some(&[b'd'; 100][..]), "/n{number}");
    }
}

/// Of the metadata block's two slots, one is enough.
#[test]
fn one_damaged_metadata_slot_is_survived_and_two_are_not() {
    let (mut running, data) = written();
    let meta = files(&data, "meta").remove(0);
    let whole = fs::read(&meta).expect("it is readable");
    let mut bytes = whole.clone();
    bytes[20] ^= 1;
    fs::write(&meta, &bytes).expect("it is writable");
    running.start_again().expect("one slot is enough");
    running.stop(Duration::from_secs(10)).expect("it stops");
    fs::write(&meta, vec![0xaa; whole.len()]).expect("it is writable");
    refused(&data, "meta");
}

#[test]
fn wrong_settings_end_with_exit_2_and_one_sentence() {
    for (config, expected) in [
        ("clientPort=0\n", "datadir"),
        ("dataDir=/tmp/x\nclientPort=eleven\n", "clientport"),
        ("dataDir=/tmp/x\nclientPort=0\ntickTime=0\n", "ticktime"),
        ("dataDir=/tmp/x\nclientPort=0\nminSessionTimeout=9\nmaxSessionTimeout=8\n", "session"),
    ] {
        let output = try_start(config);
        let text = text(&output);
        assert_eq!(output.status.code(), Some(2), "{config}\n{text}");
        assert!(text.to_lowercase().contains(expected), "{expected} is not in:\n{text}");
    }
}
