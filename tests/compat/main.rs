//! The same requests, as raw frames, to Apache ZooKeeper and to our server: same transcripts.
//!
//! `cases/*.txt` hold the requests and what an Apache 3.9.5 answered. One test runs them against
//! our server, another against Apache itself, so that the committed answers stay true.
//! `REWRITE=1 cargo test --test compat apache` records Apache's answers anew, `REWRITE=ours` ours
//! where they are marked as deviations; `CASE=name` runs the one file of that name. What our server does differently on purpose stands in DEVIATIONS.md.

#![allow(clippy::option_option, reason = "null is a value of the wire, beside bytes that end")]
#![allow(clippy::format_push_string, reason = "transcripts are short")]
#![allow(clippy::format_collect, reason = "transcripts are short")]

#[path = "../support/apache.rs"]
#[allow(dead_code, reason = "each test target uses a part")]
mod apache;
mod case;
mod client;
mod driver;
mod four_letter;
mod golden;
mod ops;
mod sasl;
#[path = "../support/server.rs"]
#[allow(dead_code, reason = "each test target uses a part")]
mod server;
mod show;
mod words;

use case::{Block, Case};
use driver::Driver;
use server::Server;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// How many servers run at a time; they mostly wait.
const AT_ONCE: usize = 4;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compat")
}

fn cases() -> Vec<PathBuf> {
    let wanted = std::env::var("CASE").ok();
    let mut paths = case::all_in(&folder().join("cases"));
    paths.retain(|path| {
        wanted.as_ref().is_none_or(|name| path.file_stem().is_some_and(|stem| stem == &**name))
    });
    assert!(!paths.is_empty(), "no case file to run");
    paths
}

/// Runs a case on a fresh server; returns it with the answers to its blocks.
fn run(server: Server, path: &Path) -> Result<(Case, Vec<String>), String> {
    let case = Case::load(path);
    let mut driver = Driver::new(server);
    let mut answers = Vec::new();
    for block in &case.blocks {
        let answer = driver.answer(&block.commands());
        answers.push(answer.map_err(|why| format!("{}: {}\n{why}", case.name(), block.question))?);
    }
    Ok((case, answers))
}

/// One server's cases at a time: their answers depend on timing, Apache's most of all.
static TURN: Mutex<()> = Mutex::new(());

/// Runs all cases, a few at a time; panics with everything that differs.
fn check_all(server: Server, judge: impl Fn(Case, Vec<String>) -> Vec<String> + Sync) {
    // A failure of the other test is no reason not to run this one.
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let paths = Mutex::new(cases());
    let differences = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let Some(path) = paths.lock().expect("no panic inside").pop() else { return };
                    let found = match run(server, &path) {
                        Ok((case, answers)) => judge(case, answers),
                        Err(why) => vec![why],
                    };
                    differences.lock().expect("no panic inside").extend(found);
                }
            });
        }
    });
    let differences = differences.into_inner().expect("no panic inside");
    assert!(
        differences.is_empty(),
        "{} blocks differ\n\n{}",
        differences.len(),
        differences.join("\n\n")
    );
}

fn difference(case: &Case, block: &Block, expected: &str, answer: &str) -> String {
    let head = format!("{}.txt\n{}", case.name(), block.question);
    format!("{head}\n---- expected\n{expected}\n---- came\n{answer}")
}

/// What `REWRITE` asks for, if it asks.
fn rewrites(what: &str) -> bool {
    std::env::var("REWRITE").is_ok_and(|asked| asked == what)
}

/// The committed answers are what Apache 3.9.5 says today.
#[test]
fn apache_answers_as_recorded() {
    check_all(Server::Apache395, |mut case, answers| {
        let mut differences = Vec::new();
        for (block, answer) in case.blocks.iter_mut().zip(answers) {
            if block.is_apaches(&answer) {
                continue;
            }
            if rewrites("1") {
                block.apache = answer;
            } else {
                let block = block.clone();
                differences.push((block, answer));
            }
        }
        if rewrites("1") {
            case.save();
        }
        let told = differences.iter();
        told.map(|(block, answer)| difference(&case, block, &block.apache, answer)).collect()
    });
}

/// Our server answers as Apache does, but for the deviations that the case files name.
#[test]
fn our_server_gives_the_same_answers() {
    check_all(Server::Ours, |mut case, answers| {
        let mut differences = Vec::new();
        for (block, answer) in case.blocks.iter_mut().zip(answers) {
            let is_right = match &block.ours {
                None => block.is_apaches(&answer),
                Some(ours) => ours.answer == answer,
            };
            match &mut block.ours {
                _ if is_right => {}
                Some(ours) if rewrites("ours") => ours.answer = answer,
                _ => differences.push((block.clone(), answer)),
            }
        }
        if rewrites("ours") {
            case.save();
        }
        let expected = |block: &Block| {
            block.ours.as_ref().map_or(block.apache.clone(), |ours| ours.answer.clone())
        };
        let told = differences.iter();
        told.map(|(block, answer)| difference(&case, block, &expected(block), answer)).collect()
    });
}

/// Every deviation that a case file names is explained, and every one explained has its block.
#[test]
fn deviations_are_explained() {
    let text = std::fs::read_to_string(folder().join("DEVIATIONS.md")).expect("it is readable");
    let mut named = std::collections::BTreeSet::new();
    for path in case::all_in(&folder().join("cases")) {
        for block in Case::load(&path).blocks {
            named.extend(block.ours.map(|ours| ours.name));
        }
    }
    for name in named {
        assert!(text.contains(&format!("\n## {name}\n")), "DEVIATIONS.md lacks {name}");
    }
}

/// Every operation has golden requests and replies, in both directions, and they can be recorded.
#[test]
fn golden_bytes_hold_every_operation() {
    if rewrites("golden") {
        golden::record().unwrap_or_else(|why| panic!("{why}"));
    }
    let lines = golden::lines();
    for op in ops::OPS {
        // Only sent by servers, or only part of a multi, or answered by hanging up.
        if matches!(op.name, "check" | "deleteContainer" | "createSession") {
            continue;
        }
        let sent = |is_request: bool| {
            let least = if is_request { 8 } else { 16 };
            lines.iter().any(|line| {
                line.code == op.code && line.is_request == is_request && line.payload_bytes >= least
            })
        };
        assert!(sent(true), "no golden request of {}", op.name);
        assert!(sent(false), "no golden reply of {}", op.name);
    }
}
