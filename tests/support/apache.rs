//! Apache ZooKeeper's jars, fetched once per version and kept under `target/`.
//!
//! `tests/apache/pom.xml` pins what is fetched. A fetch happens under a file lock, into a folder
//! beside the final one, and is published by rename: tests that run at the same time, in one
//! process or in several, see all of it or nothing.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// One release of Apache ZooKeeper and the logging binding that fits its slf4j.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Release {
    pub version: &'static str,
    logback: &'static str,
}

pub const APACHE_395: Release = Release { version: "3.9.5", logback: "1.3.15" };
pub const APACHE_384: Release = Release { version: "3.8.4", logback: "1.2.13" };

/// The folder with the pom and the logging configuration.
pub fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/apache")
}

/// Says in one sentence which tool is missing, if one is.
pub fn check_tools(tools: &[(&str, &str)]) -> Result<(), String> {
    for (tool, install) in tools {
        let found = Command::new(tool)
            .arg("--version")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if found.is_err() {
            return Err(format!("{tool} is missing: install it with `{install}`."));
        }
    }
    Ok(())
}

/// The class path of a release; fetches it first if this is the first call on this machine.
pub fn class_path(release: Release) -> Result<String, String> {
    let jars = jars(release)?;
    Ok(format!("{}/*", jars.display()))
}

/// The folder that holds a release's jars.
pub fn jars(release: Release) -> Result<PathBuf, String> {
    check_tools(&[("java", "apt-get install openjdk-17-jre-headless")])?;
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("apache");
    let ready = cache.join(release.version);
    fs::create_dir_all(&cache).map_err(|why| format!("creating {}: {why}", cache.display()))?;
    let lock = cache.join(format!("{}.lock", release.version));
    let lock = File::create(&lock).map_err(|why| format!("creating {}: {why}", lock.display()))?;
    lock.lock().map_err(|why| format!("locking the cache of jars: {why}"))?;
    if !ready.is_dir() {
        fetch(release, &cache, &ready)?;
    }
    Ok(ready)
}

fn fetch(release: Release, cache: &Path, ready: &Path) -> Result<(), String> {
    check_tools(&[("mvn", "apt-get install maven")])?;
    let partial = cache.join(format!("{}.partial", release.version));
    // A fetch that was cut off leaves this behind; the lock says that nobody is at it now.
    let _ = fs::remove_dir_all(&partial);
    let output = Command::new("mvn")
        .args(["-q", "-B", "-f"])
        .arg(sources().join("pom.xml"))
        .arg("dependency:copy-dependencies")
        .arg(format!("-DoutputDirectory={}", partial.display()))
        .arg(format!("-Dzookeeper.version={}", release.version))
        .arg(format!("-Dlogback.version={}", release.logback))
        .stdin(Stdio::null())
        .output()
        .map_err(|why| format!("starting mvn: {why}"))?;
    if !output.status.success() {
        return Err(format!(
            "fetching Apache ZooKeeper {} with mvn: {}\n{}",
            release.version,
            output.status,
            String::from_utf8_lossy(&output.stdout)
        ));
    }
    fs::rename(&partial, ready).map_err(|why| format!("publishing {}: {why}", ready.display()))
}
