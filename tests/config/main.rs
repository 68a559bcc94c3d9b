//! Configurations, good, wrong and contradictory, and what reading them finds; the table of keys
//! against `conf/zoo.cfg`; and bytes that are no configuration at all.
//!
//! A case (`cases/*.txt`) holds files and flags, then what is found, in order, as
//! `ringkeeper check` prints it. `REWRITE=1` writes what is found now. The same files are given to
//! an Apache 3.9.5 server: it starts and stops on the same ones, save where a case says
//! `apache WHAT IT DOES` and why.

#[path = "../support/apache.rs"]
#[allow(dead_code, reason = "each test target uses a part")]
mod apache;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use ringkeeper::config::key::{Kind, Set, Tried};
use ringkeeper::config::{Config, Flag, Form, Loaded, Sources, Stops, keys, load, manual};

/// A directory of its own, removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = env::temp_dir().join(format!("ringkeeper-config-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).expect("the temporary directory can be written");
        Self(path)
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().expect("a file is in a directory")).expect("writable");
        fs::write(&path, content).expect("writable");
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn read(path: &Path) -> Loaded {
    load(&Sources { form: Form::File(path.to_owned()), flags: Vec::new() })
}

/// What a case gives: files, flags and arguments.
///
/// `file NAME` begins a file whose lines follow, `flag KEY=VALUE` and `args A B` say how the
/// server is started, `apache WHAT` what Apache does where it is something else. `DIR` stands for
/// the case's directory.
#[derive(Default)]
struct Case {
    files: Vec<(String, String)>,
    flags: Vec<(String, String)>,
    arguments: Option<String>,
    apache: Option<String>,
}

impl Case {
    fn parse(text: &str) -> Self {
        let (given, _) = text.split_once("\n---\n").unwrap_or((text, ""));
        let mut case = Self::default();
        for line in given.lines() {
            match line.split_once(' ') {
                Some(("file", name)) => case.files.push((name.to_owned(), String::new())),
                Some(("flag", flag)) => {
                    let (key, value) = flag.split_once('=').unwrap_or((flag, ""));
                    case.flags.push((key.to_owned(), value.to_owned()));
                }
                Some(("args", arguments)) => case.arguments = Some(arguments.to_owned()),
                Some(("apache", what)) => case.apache = Some(what.to_owned()),
                _ => {
                    if let Some((_, content)) = case.files.last_mut() {
                        content.push_str(line);
                        content.push('\n');
                    }
                }
            }
        }
        case
    }

    fn write(&self, scratch: &Scratch, edit: impl Fn(&str) -> String) {
        let dir = scratch.0.display().to_string();
        for (name, content) in &self.files {
            scratch.file(name, edit(content).replace("DIR", &dir));
        }
    }

    fn form(&self, scratch: &Scratch) -> Form {
        let dir = scratch.0.display().to_string();
        match &self.arguments {
            None => Form::File(scratch.0.join("zoo.cfg")),
            Some(words) => {
                Form::Arguments(words.split(' ').map(|word| word.replace("DIR", &dir)).collect())
            }
        }
    }
}

fn run_case(name: &str, text: &str) -> String {
    let scratch = Scratch::new(name);
    let dir = scratch.0.display().to_string();
    let case = Case::parse(text);
    case.write(&scratch, str::to_owned);
    let form = case.form(&scratch);
    let flag = |(key, value): &(String, String)| {
        let (key, value) = (key.clone(), value.clone());
        Flag { origin: "JVMFLAGS", key, value }
    };
    let flags = case.flags.iter().map(flag).collect();
    let loaded = load(&Sources { form, flags });
    let mut found = String::new();
    for finding in &loaded.findings.0 {
        let stops = match finding.stops {
            Stops::Never => "",
            Stops::Strict => " (strict)",
            Stops::Always => " (stops)",
        };
        let line = finding.to_string().replace(&dir, "DIR");
        writeln!(found, "{}{stops} {line}", finding.level).expect("a string takes all");
    }
    match loaded.findings.fatal(loaded.config.strict) {
        Some(finding) => {
            let line = finding.to_string().replace(&dir, "DIR");
            writeln!(found, "=> exit 2: {line}").expect("a string takes all");
        }
        None => {
            let listen = loaded.config.client.socket();
            writeln!(found, "=> starts, clients at {listen:?}").expect("a string takes all");
        }
    }
    found
}

fn cases() -> Vec<PathBuf> {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/cases");
    let mut paths: Vec<_> = fs::read_dir(&cases)
        .expect("the cases stand beside this file")
        .map(|entry| entry.expect("readable").path())
        .collect();
    paths.sort();
    assert!(paths.len() > 30, "the cases are there");
    paths
}

#[test]
fn every_case_finds_what_it_says() {
    let mut wrong = String::new();
    for path in cases() {
        let text = fs::read_to_string(&path).expect("a case is text");
        let name = path.file_stem().expect("a case has a name").to_string_lossy().into_owned();
        let found = run_case(&name, &text);
        let (given, wanted) = text.split_once("\n---\n").unwrap_or((text.trim_end(), ""));
        if found == wanted {
            continue;
        }
        if env::var_os("REWRITE").is_some() {
            fs::write(&path, format!("{given}\n---\n{found}")).expect("writable");
        } else {
            write!(wrong, "\n{name}: wanted\n{wanted}\nfound\n{found}").expect("a string");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Both ways: no key of the file is missing in the table, none of the table in the file, and each
/// with its default.
#[test]
fn the_file_that_documents_every_key_is_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf/zoo.cfg");
    let wanted = manual::render();
    if env::var_os("REWRITE").is_some() {
        fs::write(&path, &wanted).expect("writable");
    }
    let there = fs::read_to_string(&path).expect("conf/zoo.cfg is there");
    assert!(there == wanted, "conf/zoo.cfg is not what the table says; REWRITE=1 writes it");
    for row in keys::rows() {
        let stands = there.lines().filter(|line| {
            let line = line.strip_prefix('#').unwrap_or(line);
            line.split_once('=').is_some_and(|(key, _)| key == row.name)
        });
        assert_eq!(stands.count(), 1, "{row:?} stands once in conf/zoo.cfg");
    }
}

#[test]
fn the_file_that_documents_every_key_starts_a_server() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf/zoo.cfg");
    let loaded = read(&path);
    assert_eq!(loaded.findings.errors(), 0, "{:#?}", loaded.findings);
    assert_eq!(loaded.config.client.port, Some(2181));
}

/// The same file with every key's mark of a comment taken off, save those whose value is no value:
/// each default must be one that its own key takes.
#[test]
fn every_default_can_be_written_down_and_changes_nothing() {
    for row in keys::rows().filter(|row| !row.default.is_empty()) {
        let mut config = Config::default();
        let tried = row.set.put(&mut config, row.kind, row.name, row.default);
        assert_eq!(tried, Tried::Taken, "{row:?}={}", row.default);
        assert_eq!(config, Config::default(), "{row:?}={} is not the default", row.default);
    }
}

#[test]
fn every_key_stands_once_and_acts_or_says_why_not() {
    let mut names: Vec<&str> = Vec::new();
    for row in keys::rows() {
        names.push(row.name);
        names.extend(row.also);
        let is_kept = !matches!(row.set, Set::Check(_));
        assert!(is_kept || !row.idle.is_empty(), "{row:?} neither acts nor says why not");
        assert!(!row.doc.is_empty(), "{row:?} is documented");
        assert!(row.doc.is_ascii(), "{row:?}: a configuration is ISO 8859-1");
    }
    assert!(names.len() > 230, "{} keys", names.len());
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count, "a key stands twice");
}

/// The fixed list of `QuorumPeerConfig` (Apache 3.9.5), and every property that its server reads:
/// names copied from there, so that none can be forgotten in the table.
#[test]
fn every_key_of_apaches_server_has_a_row() {
    let names = include_str!("apache_keys.txt");
    let known = |name: &str| keys::rows().any(|row| row.is_named(name));
    let missing: Vec<_> = names.lines().filter(|name| !known(name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn a_wrong_value_of_a_fixed_key_never_starts_a_server() {
    let scratch = Scratch::new("wrong");
    let mut tried = 0;
    for row in keys::rows().filter(|row| matches!(row.kind, Kind::Fixed | Kind::Own)) {
        let anything = matches!(row.set, Set::Path(_) | Set::Text(_) | Set::List(_))
            || matches!(row.set, Set::Check(ringkeeper::config::key::Type::Text))
            || ["dataDir", "log.config"].contains(&row.name);
        if anything {
            continue;
        }
        let name = row.name.replace(".N", ".1").replace(".*", ".x");
        let path = scratch.file("zoo.cfg", format!("dataDir=/x\nclientPort=1\n{name}=@@\n"));
        let loaded = read(&path);
        let fatal = loaded.findings.fatal(false).map(ToString::to_string).unwrap_or_default();
        assert!(fatal.contains(&format!("zoo.cfg:3: {name}=@@: ")), "{name}: {fatal:?}");
        tried += 1;
    }
    assert!(tried > 40, "{tried} keys have wrong values");
}

#[test]
fn no_finding_and_no_debug_shows_a_secret() {
    let scratch = Scratch::new("secret");
    let names: Vec<_> = keys::rows().filter(|row| row.secret).map(|row| row.name).collect();
    assert!(names.len() > 4, "{names:?}");
    for name in names {
        for value in ["hunter:hunter2", "hunter2"] {
            let file = format!("dataDir=/x\n{name}={value}\n{name}=other-{value}\n");
            let path = scratch.file("zoo.cfg", file);
            let (key, value) = (format!("zookeeper.{name}"), value.to_owned());
            let flags = vec![Flag { origin: "JVMFLAGS", key, value }];
            let loaded = load(&Sources { form: Form::File(path), flags });
            let told = format!("{loaded:?}");
            assert!(!told.contains("hunter2"), "{name}: {told}");
        }
    }
}

/// A small generator; its seed is in every failure's message.
struct Rng(u64);

impl Rng {
    fn below(&mut self, bound: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((self.0 >> 33) % bound as u64).expect("less than bound")
    }
}

/// Any bytes: reading ends, and never panics. The seeds are this repository's own files, cut,
/// joined and damaged.
#[test]
fn bytes_that_are_no_configuration_end_in_findings() {
    let scratch = Scratch::new("bytes");
    let manual = manual::render();
    let pieces: Vec<&[u8]> = manual
        .lines()
        .map(|line| line.strip_prefix('#').unwrap_or(line).as_bytes())
        .chain([
            &b"\\u12"[..],
            b"\\",
            b"\r",
            b"\x00\xff",
            b"=",
            b":",
            b"server.1=a:1:2;",
            b"9999999999999999999",
        ])
        .collect();
    let rounds = 800;
    for seed in 0..rounds {
        let mut rng = Rng(seed);
        let mut bytes = Vec::new();
        for _ in 0..rng.below(12) {
            let piece = pieces[rng.below(pieces.len())];
            let cut = rng.below(piece.len() + 1);
            bytes.extend_from_slice(if rng.below(3) == 0 { &piece[..cut] } else { piece });
            if rng.below(4) != 0 {
                bytes.push(b'\n');
            }
        }
        for _ in 0..rng.below(4) {
            if !bytes.is_empty() {
                let at = rng.below(bytes.len());
                bytes[at] = u8::try_from(rng.below(256)).expect("below 256");
            }
        }
        // Never a path of this machine, nor a name that is looked up.
        let text: Vec<u8> = bytes.into_iter().filter(|byte| *byte != b'/').collect();
        if text.windows(17).any(|window| window == b"clientPortAddress") {
            continue;
        }
        let path = scratch.file("zoo.cfg", &text);
        let loaded = read(&path);
        let fatal = loaded.findings.fatal(loaded.config.strict);
        let has_directory = !loaded.config.storage.data_dir.as_os_str().is_empty();
        assert!(fatal.is_some() || has_directory, "seed {seed}");
        assert!(loaded.findings.0.len() <= 1003, "seed {seed}");
    }
}

#[test]
fn a_file_that_is_too_large_or_no_file_is_one_sentence() {
    let scratch = Scratch::new("large");
    let large = scratch.file("large.cfg", vec![b'#'; (1 << 20) + 1]);
    for (path, why) in [
        (large, "larger than 1 MiB, so it is not a configuration"),
        (scratch.0.join("absent.cfg"), "file is missing"),
        (scratch.0.clone(), "Is a directory"),
    ] {
        let loaded = read(&path);
        let fatal = loaded.findings.fatal(false).expect("it cannot be read").to_string();
        assert!(fatal.contains(why), "{fatal}");
    }
}

/// Longest wait for an Apache server to start or to give up. Generous: the machine may be busy.
const APACHE_WAIT: Duration = Duration::from_secs(90);

/// Time after which a server that opened its directory and still runs counts as started.
const APACHE_SITS: Duration = Duration::from_secs(10);

/// What an Apache 3.9.5 does with a case: `starts` or `exit N`.
fn apache_does(name: &str, case: &Case, class_path: &str) -> String {
    let scratch = Scratch::new(&format!("apache-{name}"));
    // Any free port, and nothing outside the case's own directory.
    case.write(&scratch, |text| {
        text.replace("clientPort=2181", "clientPort=0").replace("/datalog", "DIR/datalog")
    });
    let flags = case.flags.iter().map(|(key, value)| format!("-D{key}={value}"));
    let arguments = match case.form(&scratch) {
        Form::File(path) => vec![path.display().to_string()],
        Form::Arguments(words) => words,
    };
    let mut child = Command::new("java")
        .args(["-cp", class_path, "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
        .arg("-Dzookeeper.admin.enableServer=false")
        .args(flags)
        .arg("org.apache.zookeeper.server.quorum.QuorumPeerMain")
        .args(arguments)
        .current_dir(&scratch.0)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("java is there, as its jars are");
    let started = Instant::now();
    let mut opened = None;
    let does = loop {
        if let Some(status) = child.try_wait().expect("it is our child") {
            break format!("exit {}", status.code().expect("nobody killed it"));
        }
        // One without a port for clients opens its directory and sits there.
        if opened.is_none() && scratch.0.join("data/version-2").is_dir() {
            opened = Some(Instant::now());
        }
        if has_started(&scratch.0) || opened.is_some_and(|at| at.elapsed() > APACHE_SITS) {
            break "starts".to_owned();
        }
        if started.elapsed() > APACHE_WAIT {
            break "neither starts nor ends".to_owned();
        }
        thread::sleep(Duration::from_millis(50));
    };
    let _ = child.kill();
    let _ = child.wait();
    does
}

/// A server that runs alone writes a snapshot when it starts, a member of an ensemble its epoch.
fn has_started(dir: &Path) -> bool {
    let Ok(entries) = fs::read_dir(dir) else { return false };
    entries.filter_map(Result::ok).any(|entry| {
        let name = entry.file_name();
        name == "currentEpoch" || name == "snapshot.0" || has_started(&entry.path())
    })
}

/// About a minute: each case is a start of a Java program.
#[test]
fn apache_starts_and_stops_on_the_same_files() {
    let class_path = apache::class_path(apache::APACHE_395).expect("Apache's jars can be had");
    let paths = cases();
    let next = AtomicUsize::new(0);
    let wrong = Mutex::new(String::new());
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(path) = paths.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let text = fs::read_to_string(path).expect("a case is text");
                    let name = path.file_stem().expect("it has one").to_string_lossy();
                    let case = Case::parse(&text);
                    let ours = if text.contains("\n=> exit 2") { "exit 2" } else { "starts" };
                    let wanted = case.apache.as_deref().unwrap_or(ours);
                    let does = apache_does(&name, &case, &class_path);
                    if !wanted.split(" or ").any(|one| one == does) {
                        let mut wrong = wrong.lock().expect("nobody panics with it");
                        writeln!(wrong, "{name}: Apache {does}, the case says {wanted}")
                            .expect("a string");
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().expect("nobody panics with it");
    assert!(wrong.is_empty(), "{wrong}");
}
