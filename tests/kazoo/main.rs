//! kazoo's own whole test suite, run against our server.
//!
//! kazoo's harness starts its servers as `java … -Dkey=value … QuorumPeerMain zoo.cfg`. It finds our
//! server under that name on its PATH: a shim that passes the -D flags and the file on. With one
//! server in the ensemble five of its tests cannot pass, on Apache's server neither; all others must.
//! The suite takes several minutes. `KAZOO_SERVER=apache` runs it against Apache 3.9.5 instead, and
//! `KAZOO_TESTS='-k lock'` gives pytest further words.

#[path = "../support/apache.rs"]
#[allow(dead_code, reason = "each test target uses a part")]
mod apache;
mod report;
#[path = "../support/server.rs"]
#[allow(dead_code, reason = "each test target uses a part")]
mod server;

use report::{Outcome, Report};
use server::Server;
use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The server under test unless KAZOO_SERVER says otherwise.
const UNDER_TEST: Server = Server::Ours;

/// What Apache 3.9.5 alone gives. The tests skipped are the same ones over gevent and eventlet in the
/// place of threads (their packages are not among the requirements), and those that want a KDC.
const PASSED_MIN: usize = 311;
const SKIPPED_MAX: usize = 177;

/// Tests that need an ensemble.
const NEED_AN_ENSEMBLE: &[&str] = &[
    "test_client.TestClient.test_update_host_list",
    "test_client.TestReconfig.test_no_super_auth",
    "test_client.TestReconfig.test_add_remove_observer",
    "test_client.TestReconfig.test_bad_input",
    "test_connection.TestReadOnlyMode.test_read_only",
];

/// Tests that need TLS, which our server does not have yet.
const NEED_TLS: &[&str] = &["test_client.TestSSLClient.test_create"];

#[test]
fn kazoos_own_suite_passes() {
    let server = match std::env::var("KAZOO_SERVER").as_deref() {
        Ok("apache") => Server::Apache395,
        Ok("ours") => Server::Ours,
        _ => UNDER_TEST,
    };
    let (report, output) = run(server).unwrap_or_else(|why| panic!("{why}"));
    let unexpected: Vec<&str> =
        report.names(Outcome::Failed).filter(|name| !is_expected(server, name)).collect();
    let passed = report.names(Outcome::Passed).count();
    let skipped = report.names(Outcome::Skipped).count();
    println!("{server:?}: {passed} passed, {skipped} skipped; {}", output.display());
    assert!(unexpected.is_empty(), "failed:\n{}\n{}", unexpected.join("\n"), output.display());
    if std::env::var_os("KAZOO_TESTS").is_none() {
        let least = PASSED_MIN - if server == Server::Ours { NEED_TLS.len() } else { 0 };
        assert!(passed >= least, "{passed} passed, not {least}");
        assert!(skipped <= SKIPPED_MAX, "{skipped} skipped, not {SKIPPED_MAX}");
    }
}

/// Whether a test may fail: it needs what one server, or this release, does not have.
fn is_expected(server: Server, name: &str) -> bool {
    NEED_AN_ENSEMBLE.contains(&name) || (server == Server::Ours && NEED_TLS.contains(&name))
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("kazoo")
}

/// Runs the suite; returns its report and the file that holds what pytest printed.
fn run(server: Server) -> Result<(Report, PathBuf), String> {
    let python = python()?;
    let work = folder().join(format!("{server:?}"));
    let _ = fs::remove_dir_all(&work);
    fs::create_dir_all(work.join("bin")).map_err(|why| format!("{}: {why}", work.display()))?;
    let output = work.join("pytest.txt");
    let junit = work.join("junit.xml");
    let file = |path: &Path| File::create(path).map_err(|why| format!("{}: {why}", path.display()));

    let mut command = Command::new(python);
    command
        .args(["-m", "pytest", "--pyargs", "kazoo.tests", "-p", "no:cacheprovider"])
        .args(["--timeout=180", "-ra", "-q"])
        .arg(format!("--junitxml={}", junit.display()))
        .args(std::env::var("KAZOO_TESTS").unwrap_or_default().split_whitespace())
        .env("ZOOKEEPER_VERSION", "3.9.5")
        .env("ZOOKEEPER_CLUSTER_SIZE", "1")
        .env("ZOOKEEPER_PORT_OFFSET", ports()?.to_string())
        .current_dir(&work)
        .stdout(file(&output)?)
        .stderr(file(&work.join("servers.txt"))?);
    match server {
        Server::Ours => {
            shim(&work.join("bin/java"))?;
            let path = std::env::var("PATH").unwrap_or_default();
            command.env("PATH", format!("{}:{path}", work.join("bin").display()));
            command.env("ZOOKEEPER_CLASSPATH", "none");
        }
        Server::Apache395 | Server::Apache384 => {
            command.env("ZOOKEEPER_CLASSPATH", apache::class_path(apache::APACHE_395)?);
        }
    }
    // Its code says no more than the report does.
    command.status().map_err(|why| format!("starting pytest: {why}"))?;
    let text = fs::read_to_string(&junit)
        .map_err(|why| format!("{}: {why}; see {}", junit.display(), output.display()))?;
    Ok((Report::parse(&text), output))
}

/// The python of a virtual environment with kazoo and what its tests import.
fn python() -> Result<PathBuf, String> {
    apache::check_tools(&[("python3", "apt-get install python3 python3-venv")])?;
    let ready = folder().join("venv");
    fs::create_dir_all(folder()).map_err(|why| format!("{}: {why}", folder().display()))?;
    let lock = folder().join("venv.lock");
    let lock = File::create(&lock).map_err(|why| format!("{}: {why}", lock.display()))?;
    lock.lock().map_err(|why| format!("locking the virtual environment: {why}"))?;
    let stamp = ready.join("complete");
    let wanted = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kazoo/requirements.txt");
    let wanted_text = fs::read_to_string(&wanted).map_err(|why| format!("{why}"))?;
    if fs::read_to_string(&stamp).ok().as_ref() != Some(&wanted_text) {
        // Scripts inside name their own place, so it cannot be made elsewhere and renamed.
        let _ = fs::remove_dir_all(&ready);
        let venv = Command::new("python3").args(["-m", "venv"]).arg(&ready).output();
        let venv = venv.map_err(|why| format!("python3: {why}"))?;
        if !venv.status.success() {
            return Err(
                "python3 has no venv: install it with `apt-get install python3-venv`.".into()
            );
        }
        let pip = Command::new(ready.join("bin/python"))
            .args(["-m", "pip", "install", "-q", "--disable-pip-version-check", "-r"])
            .arg(&wanted)
            .output()
            .map_err(|why| format!("pip: {why}"))?;
        if !pip.status.success() {
            let said = String::from_utf8_lossy(&pip.stderr).into_owned();
            return Err(format!("installing kazoo with pip (it needs a C compiler): {said}"));
        }
        fs::write(&stamp, wanted_text).map_err(|why| format!("{}: {why}", stamp.display()))?;
    }
    Ok(ready.join("bin/python"))
}

/// Writes the program that kazoo's harness starts as `java`.
fn shim(path: &Path) -> Result<(), String> {
    let text = format!(
        "#!/bin/sh\n\
         # Passes on what concerns a server: the settings and the last word, its file, from which\n\
         # it takes the secure port: this release has no TLS.\n\
         for word; do\n\
         \tshift\n\
         \tcase \"$word\" in\n\
         \t-D*) set -- \"$@\" \"$word\";;\n\
         \t*.cfg) sed -i '/^secureClientPort=/d' \"$word\"; set -- \"$@\" \"$word\";;\n\
         \tesac\n\
         done\n\
         exec {} \"$@\"\n",
        env!("CARGO_BIN_EXE_ringkeeper")
    );
    fs::write(path, text).map_err(|why| format!("{}: {why}", path.display()))?;
    let mode = fs::Permissions::from_mode(0o755);
    fs::set_permissions(path, mode).map_err(|why| format!("{}: {why}", path.display()))
}

/// The first of ten free ports, below those that the system gives to clients: the suite restarts
/// its server on the same ones.
fn ports() -> Result<u16, String> {
    let is_free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    (21_000..32_000)
        .step_by(10)
        .find(|first| (*first..*first + 10).all(is_free))
        .ok_or_else(|| "no ten free ports in a row".to_string())
}
