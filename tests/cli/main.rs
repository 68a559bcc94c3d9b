//! The program as a person or a script starts it: texts, exit codes, where settings come from.
//! No case here starts a server.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{env, fs};

/// A file of its own, removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str, content: &str) -> Self {
        let dir = env::temp_dir().join(format!("ringkeeper-cli-{}-{name}", std::process::id()));
        fs::create_dir_all(&dir).expect("the temporary directory can be written");
        fs::write(dir.join("zoo.cfg"), content).expect("writable");
        Self(dir)
    }

    fn file(&self) -> String {
        self.0.join("zoo.cfg").display().to_string()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Exit code, standard output, standard error.
fn run(arguments: &[&str], jvmflags: &str) -> (i32, String, String) {
    let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_ringkeeper"))
        .args(arguments)
        .env("JVMFLAGS", jvmflags)
        .env_remove("SERVER_JVMFLAGS")
        .output()
        .expect("the program runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("it writes UTF-8");
    (status.code().expect("it exits"), text(stdout), text(stderr))
}

#[test]
fn help_and_version_are_answers() {
    let (code, out, err) = run(&["--help"], "");
    assert_eq!((code, err.as_str()), (0, ""));
    for taught in ["zoo.cfg", "ringkeeper 2181 /tmp/data", "ringkeeper check", "EXIT CODES"] {
        assert!(out.contains(taught), "{taught}");
    }
    let (code, out, _) = run(&["--version"], "");
    assert_eq!(code, 0);
    assert!(out.starts_with("ringkeeper 0.") && out.contains("ZooKeeper 3.9.5"), "{out}");
}

#[test]
fn the_printed_configuration_is_the_one_in_the_repository() {
    let (code, out, _) = run(&["--print-config"], "");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf/zoo.cfg");
    assert_eq!(code, 0);
    assert!(out == fs::read_to_string(path).expect("it is there"));
}

#[test]
fn wrong_arguments_are_one_sentence_and_exit_2() {
    for (arguments, wanted) in [
        (&[][..], "usage: ringkeeper"),
        (&["check"], "usage: ringkeeper"),
        (&["--verbose"], "--verbose is not an option"),
        (&["a", "b", "c", "d", "e"], "5 arguments; they are CONFIG"),
        (&["port", "/tmp/x"], "clientPort=port: not a whole number"),
        (&["/nowhere/zoo.cfg"], "/nowhere/zoo.cfg: file is missing"),
    ] {
        let (code, out, err) = run(arguments, "");
        assert_eq!(code, 2, "{arguments:?}");
        assert!(err.contains(wanted) && err.contains("exiting abnormally"), "{err}");
        assert_eq!(err.lines().count(), 1, "{err}");
        assert_eq!(out, "", "{arguments:?}");
    }
}

#[test]
fn check_prints_every_finding_and_counts_them() {
    let wrong = "dataDir=/x\nclientPort=1\ntickTime=0\nsnapCuont=5\ninitLimit=5\nforceSync=no\n";
    let scratch = Scratch::new("wrong", wrong);
    let (code, out, err) = run(&["check", &scratch.file()], "");
    assert_eq!((code, err.as_str()), (2, ""));
    let lines: Vec<_> = out.lines().collect();
    let file = scratch.file();
    assert_eq!(lines[0], format!("ERROR {file}:3: tickTime=0: not from 1 to 2147483647"));
    assert!(lines[1].starts_with(&format!("ERROR {file}:4: snapCuont is not a known key; the")));
    assert!(lines[2].starts_with(&format!("INFO  {file}:5: initLimit=5 has no effect: ")));
    assert!(lines[3].starts_with(&format!("WARN  {file}:6: forceSync=no: durability stays on")));
    assert_eq!(lines[4], "2 errors, 1 warnings, 1 notes");

    let scratch = Scratch::new("right", "dataDir=/x\nclientPort=1\n");
    let (code, out, _) = run(&["check", &scratch.file()], "");
    assert_eq!((code, out.as_str()), (0, "0 errors, 0 warnings, 0 notes\n"));
}

#[test]
fn flags_come_from_the_environment_and_the_arguments() {
    let scratch = Scratch::new("flags", "dataDir=/x\nclientPort=1\n");
    let flags = "-Xmx1000m -Dzookeeper.snapCount=many -Djute.maxbuffer=4194304";
    let (code, out, _) =
        run(&["-Dstrict", "-Dzookeeper.skipACL=yes", "check", &scratch.file()], flags);
    assert_eq!(code, 2);
    for line in [
        "ERROR JVMFLAGS: snapCount=many: not a whole number",
        "ERROR command line: strict=: neither true nor false",
        "WARN  command line: skipACL=yes: ACLs are not checked",
    ] {
        assert!(out.contains(line), "{line}\n{out}");
    }
}

#[test]
fn strict_refuses_what_is_else_a_warning() {
    let scratch = Scratch::new("strict", "dataDir=/x\nclientPort=1\nsnapCuont=5\n");
    let (code, out, err) = run(&["-Dstrict=true", &scratch.file()], "");
    assert_eq!((code, out.as_str()), (2, ""));
    let wanted = format!(
        "Invalid config, exiting abnormally: {}:3: snapCuont is not a known key; the nearest is \
         snapCount\n",
        scratch.file()
    );
    assert_eq!(err, wanted);
}

/// The far side of the test below: this program again, told to log instead of to serve.
#[test]
fn far_side_of_the_log() {
    let Ok(file) = env::var("RINGKEEPER_LOG_TEST") else { return };
    let given = ringkeeper::cli::Given { arguments: vec![file], ..Default::default() };
    let code = ringkeeper::cli::run(&given, |_config| {
        log::debug!(target: "ringkeeper::net::engine", "told because net is at DEBUG");
        log::debug!(target: "ringkeeper::front", "never told");
        log::warn!("path {}", "/a\nERROR forged");
        for round in 0..1_000_000 {
            log::warn!("bad frame {round}");
        }
        // The count is told when its second is over.
        std::thread::sleep(std::time::Duration::from_millis(2500));
        0
    });
    assert_eq!(code, 0);
}

#[test]
fn the_log_has_javas_shape_and_no_flood_fills_it() {
    let config = "dataDir=DIR/data\nclientPort=0\nlog.level.net=DEBUG\nlog.linesPerSecond=5\n";
    let scratch = Scratch::new("log", "");
    let dir = scratch.0.display().to_string();
    fs::create_dir_all(scratch.0.join("data")).expect("writable");
    fs::write(scratch.0.join("data/myid"), "7\n").expect("writable");
    fs::write(scratch.0.join("zoo.cfg"), config.replace("DIR", &dir)).expect("writable");
    let output = Command::new(env::current_exe().expect("this program"))
        .args(["far_side_of_the_log", "--exact", "--nocapture"])
        .env("RINGKEEPER_LOG_TEST", scratch.file())
        .output()
        .expect("it runs");
    let out = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(output.status.success(), "{out}");
    let logged: Vec<_> = out.lines().filter(|line| line.contains(" [myid:7] - ")).collect();
    let is_dated = |line: &str| {
        let date: String =
            line.chars().take(24).map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
        date == "0000-00-00 00:00:00,000 "
    };
    assert!(logged.iter().all(|line| is_dated(line)), "{out}");
    let told = |what: &str| logged.iter().filter(|line| line.contains(what)).count();
    assert_eq!(told("Reading configuration from: "), 1, "{out}");
    assert_eq!(told(":engine@"), 1, "{out}");
    assert_eq!(told("never told"), 0, "{out}");
    assert_eq!(told("path /a\\nERROR forged"), 1, "{out}");
    assert!((5..100).contains(&told("bad frame ")), "{out}");
    assert!(told("more lines like those of tests/cli/main.rs:") >= 1, "{out}");
    assert_eq!(told("Exiting JVM with code 0"), 1, "{out}");
    assert!(out.len() < 1 << 20, "{} bytes", out.len());
}

/// An empty directory may be the place where a disk is not mounted.
#[test]
fn a_directory_that_must_not_be_created_is_exit_3() {
    let scratch = Scratch::new("autocreate", "");
    let data = scratch.0.join("data");
    fs::create_dir_all(&data).expect("writable");
    let config = format!("dataDir={}\nclientPort=0\ndatadir.autocreate=false\n", data.display());
    fs::write(scratch.0.join("zoo.cfg"), config).expect("writable");
    let (code, out, _) = run(&[&scratch.file()], "");
    assert_eq!(code, 3, "{out}");
    assert!(out.contains(&format!(
        "Unable to access datadir, exiting abnormally: {} holds no server's data",
        data.display()
    )));
    assert!(out.contains("Exiting JVM with code 3"), "{out}");
    assert_eq!(fs::read_dir(&data).expect("it is there").count(), 0, "nothing was created");
}
