//! Records the golden bytes in `tests/wire/golden` from an Apache 3.9.5 server.
//!
//! Two clients make them: the raw frames of `cases/every_opcode.txt`, and Apache's own Java client
//! (`tests/apache/JavaClient.java`), whose frames are taken on their way through a proxy. One file
//! per operation; `tests/wire/golden/README.md` describes the lines.

use super::apache;
use super::driver::{CONNECT, Driver, NOTIFICATION, Seen};
use super::ops;
use super::server::{Options, Running, Server};
use super::show;
use super::{case::Case, folder};
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

pub fn golden_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wire/golden")
}

/// One line of a golden file.
#[derive(Debug)]
pub struct Line {
    pub is_request: bool,
    pub code: i32,
    pub payload_bytes: usize,
}

/// All lines of all golden files.
pub fn lines() -> Vec<Line> {
    let mut lines = Vec::new();
    for entry in fs::read_dir(golden_folder()).expect("the golden folder is readable") {
        let path = entry.expect("the golden folder is readable").path();
        if path.extension().is_none_or(|extension| extension != "hex") {
            continue;
        }
        let place = path.display();
        let text = fs::read_to_string(&path).expect("golden files are readable");
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let words: Vec<&str> = line.split(' ').collect();
            let [_name, direction, code, hex] = words[..] else { panic!("{place}: {line}") };
            assert!(matches!(direction, "req" | "rep"), "{place}: {line}");
            lines.push(Line {
                is_request: direction == "req",
                code: code.parse().unwrap_or_else(|_| panic!("{place}: {line}")),
                payload_bytes: hex.len() / 2,
            });
        }
    }
    lines
}

/// Writes all golden files anew.
pub fn record() -> Result<(), String> {
    let mut seen = Vec::new();
    let case = Case::load(&folder().join("cases/every_opcode.txt"));
    let mut driver = Driver::new(Server::Apache395);
    for block in &case.blocks {
        driver.answer(&block.commands())?;
    }
    seen.extend(driver.seen.drain(..).map(|seen| ("raw", seen)));
    seen.extend(java_client()?.into_iter().map(|seen| ("java", seen)));

    let mut files: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut counts: HashMap<String, u32> = HashMap::new();
    for (source, seen) in seen {
        let direction = if seen.is_request { "req" } else { "rep" };
        let count = counts.entry(format!("{source}-{}-{direction}", seen.name)).or_default();
        *count += 1;
        let name = format!("{source}-{}-{count}", seen.name);
        let line = format!("{name} {direction} {} {}", seen.code, show::hex(&seen.payload));
        files.entry(seen.name).or_default().push(line);
    }
    for (name, lines) in files {
        let path = golden_folder().join(format!("{name}.hex"));
        fs::write(&path, lines.join("\n") + "\n")
            .map_err(|why| format!("{}: {why}", path.display()))?;
    }
    Ok(())
}

/// What Apache's Java client and an Apache server say to one another.
fn java_client() -> Result<Vec<Seen>, String> {
    let flags = vec!["zookeeper.extendedTypesEnabled=true".to_string()];
    let running = Running::start(Server::Apache395, &Options { config: Vec::new(), flags })?;
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|why| format!("{why}"))?;
    let port = listener.local_addr().map_err(|why| format!("{why}"))?.port();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let server = running.address();
    let kept = Arc::clone(&seen);
    // Ends with the test's process; it waits in accept until then.
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let _ = proxy(client, server, &kept);
        }
    });
    let output = Command::new("java")
        .args(["-cp", &apache::class_path(apache::APACHE_395)?])
        .arg(format!(
            "-Dlogback.configurationFile={}",
            apache::sources().join("logback.xml").display()
        ))
        .arg(apache::sources().join("JavaClient.java"))
        .arg(format!("127.0.0.1:{port}"))
        .output()
        .map_err(|why| format!("java: {why}"))?;
    if !output.status.success() {
        return Err(format!("{}", String::from_utf8_lossy(&output.stderr)));
    }
    let seen = seen.lock().expect("no panic inside");
    Ok(seen.clone())
}

/// Passes frames on in both directions and keeps them.
fn proxy(
    client: TcpStream,
    server: SocketAddr,
    seen: &Arc<Mutex<Vec<Seen>>>,
) -> std::io::Result<()> {
    let server = TcpStream::connect(server)?;
    let codes = Arc::new(Mutex::new(HashMap::new()));
    let ways = [(true, client.try_clone()?, server.try_clone()?), (false, server, client)];
    for (is_request, mut from, mut to) in ways {
        let seen = Arc::clone(seen);
        let codes = Arc::clone(&codes);
        std::thread::spawn(move || {
            let mut is_first = true;
            while let Ok(payload) = read_frame(&mut from) {
                // The client's wish for a broken connection, not a request.
                if payload.windows(8).any(|part| part == b"/hang-up") {
                    break;
                }
                let note = name(is_first, is_request, payload, &codes);
                let length = i32::try_from(note.payload.len()).expect("a short frame");
                let bytes = [&length.to_be_bytes()[..], &note.payload].concat();
                seen.lock().expect("no panic inside").push(note);
                is_first = false;
                if to.write_all(&bytes).is_err() {
                    return;
                }
            }
            let _ = to.shutdown(std::net::Shutdown::Both);
            let _ = from.shutdown(std::net::Shutdown::Both);
        });
    }
    Ok(())
}

fn name(
    is_first: bool,
    is_request: bool,
    payload: Vec<u8>,
    codes: &Mutex<HashMap<i32, i32>>,
) -> Seen {
    let int = |at: usize| i32::from_be_bytes(payload[at..at + 4].try_into().expect("four bytes"));
    let mut codes = codes.lock().expect("no panic inside");
    let (name, code) = if is_first {
        ("connect".to_string(), CONNECT)
    } else if is_request {
        codes.insert(int(0), int(4));
        (op_name(int(4)), int(4))
    } else if int(0) == -1 {
        ("notification".to_string(), NOTIFICATION)
    } else {
        let code = codes.get(&int(0)).copied().expect("a reply answers a request");
        (op_name(code), code)
    };
    Seen { name, is_request, code, payload }
}

fn op_name(code: i32) -> String {
    ops::by_code(code).expect("clients send known operations").name.to_string()
}

fn read_frame(from: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = usize::try_from(i32::from_be_bytes(length)).expect("no negative length");
    let mut payload = vec![0; length];
    from.read_exact(&mut payload)?;
    Ok(payload)
}
