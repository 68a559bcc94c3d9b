//! The program as its users start it: against the null server, and against servers that misbehave.

#![allow(clippy::unwrap_used)] // What fails here fails the test.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread;

use serde_json::Value;

const LOADGEN: &str = env!("CARGO_BIN_EXE_loadgen");

fn loadgen(line: &str) -> Output {
    let output = Command::new(LOADGEN).args(line.split_whitespace()).stdin(Stdio::null()).output();
    output.expect("the program starts")
}

/// The null server on a port of its own; killed when dropped.
struct Null {
    child: Child,
    port: u16,
}

impl Null {
    fn start() -> Self {
        let mut child =
            Command::new(LOADGEN).arg("null").stdout(Stdio::piped()).spawn().expect("it starts");
        let mut line = String::new();
        let out = child.stdout.take().expect("a pipe");
        BufReader::new(out).read_line(&mut line).expect("a line");
        let port = line.trim().rsplit(' ').next().expect("a last word").parse().expect("a port");
        Self { child, port }
    }
}

impl Drop for Null {
    fn drop(&mut self) {
        self.child.kill().expect("it runs until it is killed");
        self.child.wait().expect("it is ours");
    }
}

/// Runs against a null server and returns run.json and the page.
fn run_and_read(line: &str) -> (Value, String) {
    let null = Null::start();
    let dir = tempfile::tempdir().unwrap();
    let (json, html) = (dir.path().join("run.json"), dir.path().join("run.html"));
    let (port, json_name, html_name) = (null.port, json.display(), html.display());
    let output = loadgen(&format!(
        "{line} --servers 127.0.0.1:{port} --json {json_name} --html {html_name}"
    ));
    // On a busy machine the run may be judged INVALID (3); it is a run nevertheless.
    let code = output.status.code();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(matches!(code, Some(0 | 3)), "{line}: {code:?}\n{errors}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("verdict"), "{text}");
    let json = std::fs::read_to_string(json).unwrap();
    (serde_json::from_str(&json).unwrap(), std::fs::read_to_string(html).unwrap())
}

/// Fields of run.json as results/README.md has them: path and type.
fn documented() -> Vec<(String, String)> {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../results/README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    let table = readme.split("## run.json of a run").nth(1).expect("the chapter is there");
    let table = table.split("\n## ").next().expect("split yields at least one piece");
    let cells = table.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| `")?.split(" | ");
        let path = cells.next()?.trim_end_matches('`').to_owned();
        Some((path, cells.next()?.trim().to_owned()))
    });
    cells.collect()
}

/// Every value with its path: `a.b`, and `a[]` for the elements of a list.
fn flatten(path: &str, value: &Value, out: &mut Vec<(String, &'static str)>) {
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    };
    if !path.is_empty() {
        out.push((path.to_owned(), kind));
    }
    match value {
        Value::Array(elements) => {
            for element in elements {
                flatten(&format!("{path}[]"), element, out);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                let dot = if path.is_empty() { "" } else { "." };
                flatten(&format!("{path}{dot}{name}"), field, out);
            }
        }
        _ => {}
    }
}

/// Both directions: nothing undocumented is written, nothing documented below `scenario` is
/// missing.
fn check_against_documentation(json: &Value, scenario: &str) {
    let documented = documented();
    assert!(documented.len() > 60, "the table is read: {}", documented.len());
    let mut found = Vec::new();
    flatten("", json, &mut found);
    // All distributions have the same fields, documented once.
    let distributions = [
        "load.writes",
        "load.reads",
        "watchers.events",
        "sessions.serial.latency",
        "sessions.parallel.latency",
    ];
    let canonical = |path: &str| {
        let of = distributions.iter().find(|of| path.starts_with(&format!("{of}.")));
        of.map_or(path.to_owned(), |of| format!("LATENCY{}", &path[of.len()..]))
    };
    for (path, kind) in &found {
        let path = canonical(path);
        let row = documented.iter().find(|(name, _)| *name == path);
        let (_, types) = row.unwrap_or_else(|| panic!("{path} is not in results/README.md"));
        assert!(types.split(" or ").any(|one| one == *kind), "{path} is {kind}, not {types}");
    }
    let found: Vec<_> = found.iter().map(|(path, _)| canonical(path)).collect();
    for (path, types) in &documented {
        let is_other = ["load", "watchers", "sessions"]
            .iter()
            .any(|other| *other != scenario && path.starts_with(&format!("{other}.")));
        let is_element = path.contains("[]");
        if !is_other && !is_element {
            assert!(found.contains(path), "{path} ({types}) is documented and was not written");
        }
    }
}

/// One file, all plots, no errors of the kind that a template makes.
fn check_page(html: &str, plots: usize) {
    assert!(html.starts_with("<!doctype html>") && html.trim_end().ends_with("</html>"));
    assert_eq!(html.matches("<svg").count(), plots);
    assert_eq!(html.matches("</svg>").count(), plots);
    for tag in ["table", "div", "figure", "h2", "p"] {
        let opened =
            html.matches(&format!("<{tag}>")).count() + html.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, html.matches(&format!("</{tag}>")).count(), "{tag}");
    }
    for wrong in ["NaN", "inf ", "<script", "src=", "href=", "url("] {
        assert!(!html.contains(wrong), "{wrong}");
    }
    assert!(html.contains("prefers-color-scheme:dark"));
    let curve = html.split("class=\"line s0\" d=\"").nth(1).unwrap();
    assert!(curve.split('"').next().unwrap().matches('L').count() >= 5, "the curve has points");
}

#[test]
fn a_second_of_mixed_load_leaves_a_whole_record_and_page() {
    let (json, html) = run_and_read("--writers 8 --mix 0.5 --secs 2 --warm-up 0");
    check_against_documentation(&json, "load");
    check_page(&html, 5);
    let load = &json["load"];
    let (writes, reads) = (&load["writes"]["count"], &load["reads"]["count"]);
    let (writes, reads) = (writes.as_f64().unwrap(), reads.as_f64().unwrap());
    assert!(writes > 100.0 && reads > 100.0, "{writes} and {reads}");
    assert!((0.8..1.25).contains(&(writes / reads)), "half and half: {writes} and {reads}");
    let rate = load["operations_per_second"].as_f64().unwrap();
    let counted = load["operations"].as_f64().unwrap();
    let seconds = load["measured_seconds"].as_f64().unwrap();
    assert!((rate * seconds / counted - 1.0).abs() < 0.01, "{rate} {seconds} {counted}");
    assert!((1.9..3.0).contains(&seconds), "{seconds}");
    assert_eq!(load["seconds"].as_array().unwrap().len(), 2);
    assert!(load["server"]["cpu_us_per_operation"].as_f64().unwrap() > 0.1, "found by its port");
    assert!(load["violations"].as_array().unwrap().is_empty());
    assert_eq!(load["unanswered"], 0);
}

#[test]
fn an_open_loop_keeps_its_rate() {
    let (json, _) = run_and_read("--writers 4 --rate 1000 --secs 2 --warm-up 1");
    check_against_documentation(&json, "load");
    let counted = json["load"]["operations"].as_f64().unwrap();
    assert!((1900.0..2100.0).contains(&counted), "{counted} of 2000");
    assert!(json["load"]["lag_p99_us"].as_f64().unwrap() > 0.0);
}

#[test]
fn creates_and_sessions_leave_records_too() {
    let (json, html) = run_and_read("--create 3000");
    check_against_documentation(&json, "load");
    check_page(&html, 5);
    assert_eq!(json["load"]["operations"], 3000);
    let (json, html) = run_and_read("--sessions --secs 1 --idle 50");
    check_against_documentation(&json, "sessions");
    check_page(&html, 1);
    assert_eq!(json["sessions"]["idle"]["sessions"], 50);
    assert!(json["sessions"]["parallel"]["opens_per_second"].as_f64().unwrap() > 50.0);
}

/// A server that answers each connection with `answer` after it has read something.
fn answering(answer: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    thread::spawn(move || {
        for socket in listener.incoming() {
            let Ok(mut socket) = socket else { return };
            let mut bytes = [0; 4096];
            if !answer.is_empty() && socket.read(&mut bytes).is_ok() {
                // The test looks at what the client makes of it.
                let _ = socket.write_all(answer);
                let _ = socket.read(&mut bytes);
            }
        }
    });
    addr
}

#[test]
fn servers_that_misbehave_are_named_with_what_they_did() {
    const HTTP: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\r\n";
    const REFUSED: &[u8] = &[
        0, 0, 0, 37, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ];
    // A session, and at once a reply that nobody asked for (xid 77).
    const OUT_OF_ORDER: &[u8] = &[
        0, 0, 0, 37, 0, 0, 0, 0, 0, 0, 39, 16, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 16, 1, 1, 1, 1, 1,
        1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 16, 0, 0, 0, 77, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0,
        0, 0,
    ];
    let table = [
        ("closes at once", answering(b""), "maxClientCnxns is 60"),
        ("is no ZooKeeper", answering(HTTP), "not the ZooKeeper client protocol"),
        ("refuses the session", answering(REFUSED), "refused to open a session"),
        ("answers what nobody asked", answering(OUT_OF_ORDER), "xid 77"),
    ];
    for (what, addr, part) in table {
        let output = loadgen(&format!("--writers 2 --secs 1 --servers {addr}"));
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{what}: {errors}");
        assert!(errors.contains(part), "{what}: {errors}");
    }
    let output = loadgen("--writers 1 --servers 127.0.0.1:1");
    assert!(String::from_utf8_lossy(&output.stderr).contains("Nothing listens there"));
    assert_eq!(loadgen("--writers 0").status.code(), Some(2));
}

#[test]
fn the_help_teaches() {
    let output = loadgen("--help");
    let help = String::from_utf8(output.stdout).unwrap();
    for part in ["Examples:", "loadgen --writers 64", "Closed loop", "INVALID", "maxClientCnxns"] {
        assert!(help.contains(part), "{part} is missing in\n{help}");
    }
    assert!(loadgen("versus --help").status.success());
}
