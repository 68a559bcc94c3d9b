//! Apache ZooKeeper: where its jars come from, and how its own script would start it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::StartError;

/// The release that we are compared with, and the logging binding that fits it.
const VERSION: &str = "3.9.5";
const LOGBACK: &str = "1.3.15";

/// What `zkServer.sh` gives the server if nobody says otherwise (`ZK_SERVER_HEAP`).
const HEAP: &str = "-Xmx1000m";

/// The jars of a directory, or those of `tests/apache/pom.xml`, fetched by Maven if they are not
/// there yet.
pub fn class_path(jars: Option<&Path>) -> Result<String, StartError> {
    let jars = match jars {
        Some(dir) if dir.is_dir() => dir.to_owned(),
        Some(dir) => return Err(format!("{} is not a directory with jars", dir.display())),
        None => fetched()?,
    };
    Ok(format!("{}/*", jars.display()))
}

pub fn command(class_path: &str, conf: &Path) -> Command {
    let mut command = Command::new("java");
    let logging = sources().join("logback.xml");
    command
        .arg(HEAP)
        .arg(format!("-Dlogback.configurationFile={}", logging.display()))
        .args(["-cp", class_path, "org.apache.zookeeper.server.quorum.QuorumPeerMain"])
        .arg(conf);
    command
}

/// The folder with the pom and the logging configuration.
fn sources() -> PathBuf {
    super::checkout().join("tests/apache")
}

/// The same cache and lock as the tests': a fetch is made in a folder beside, and published by
/// renaming it.
fn fetched() -> Result<PathBuf, StartError> {
    let program = super::own_program()?;
    let target = program.parent().and_then(Path::parent).ok_or("no target directory")?;
    let cache = target.join("tmp/apache");
    let ready = cache.join(VERSION);
    fs::create_dir_all(&cache).map_err(|why| format!("creating {}: {why}", cache.display()))?;
    let lock = cache.join(format!("{VERSION}.lock"));
    let lock = File::create(&lock).map_err(|why| format!("creating {}: {why}", lock.display()))?;
    lock.lock().map_err(|why| format!("locking the cache of jars: {why}"))?;
    if !ready.is_dir() {
        fetch(&cache.join(format!("{VERSION}.partial")), &ready)?;
    }
    Ok(ready)
}

fn fetch(partial: &Path, ready: &Path) -> Result<(), StartError> {
    eprintln!("fetching Apache ZooKeeper {VERSION} with mvn, once");
    // A fetch that was cut off leaves this behind; the lock says that nobody is at it now.
    let _ = fs::remove_dir_all(partial);
    let output = Command::new("mvn")
        .args(["-q", "-B", "-f"])
        .arg(sources().join("pom.xml"))
        .arg("dependency:copy-dependencies")
        .arg(format!("-DoutputDirectory={}", partial.display()))
        .arg(format!("-Dzookeeper.version={VERSION}"))
        .arg(format!("-Dlogback.version={LOGBACK}"))
        .stdin(Stdio::null())
        .output()
        .map_err(|why| format!("starting mvn ({why}): install it, or give --apache-jars DIR"))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        return Err(format!("fetching Apache ZooKeeper with mvn: {}\n{text}", output.status));
    }
    fs::rename(partial, ready).map_err(|why| format!("publishing {}: {why}", ready.display()))
}
