//! The tools of other languages, and the folder where built clients are kept.
//!
//! A missing tool is installed with apt-get where that is possible (root on Debian), otherwise one
//! sentence says what to install. What was fetched and compiled stays under `target/tmp/e2e`, keyed
//! by the sources it was made from; it is built under a file lock and published by rename, so tests
//! that run at the same time, in one process or in several, see all of it or nothing.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

/// The folder of the client programs' sources.
pub fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e")
}

/// The folder of what was built.
pub fn cache() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("e2e")
}

/// Makes sure that a program can be started; `package` is Debian's name for it.
pub fn need(program: &str, package: &str) -> Result<(), String> {
    need_if(|| !starts(program), program, package)
}

/// As `need`, for a file that a package brings.
pub fn need_file(path: &str, package: &str) -> Result<(), String> {
    need_if(|| !Path::new(path).exists(), path, package)
}

fn need_if(missing: impl Fn() -> bool, what: &str, package: &str) -> Result<(), String> {
    static APT: Mutex<()> = Mutex::new(());
    if !missing() {
        return Ok(());
    }
    let sentence = format!("{what} is missing: install it with `apt-get install {package}`.");
    let _one_at_a_time = APT.lock().map_err(|_| sentence.clone())?;
    if !missing() {
        return Ok(());
    }
    if !is_root() || !starts("apt-get") {
        return Err(sentence);
    }
    // The lists may be stale or absent; a failed update shows in the install that follows.
    let _ = quiet(Command::new("apt-get").args(["update", "-qq"]));
    let mut install = Command::new("apt-get");
    install.args(["install", "-y", "-qq", "--no-install-recommends", package]);
    quiet(install.env("DEBIAN_FRONTEND", "noninteractive"))
        .map_err(|why| format!("{sentence} Trying that failed: {why}"))?;
    if missing() { Err(sentence) } else { Ok(()) }
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output();
    output.is_ok_and(|output| output.stdout == b"0\n")
}

fn starts(program: &str) -> bool {
    let mut command = Command::new(program);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok()
}

/// Runs a command to its end; its output is shown only when it fails.
pub fn quiet(command: &mut Command) -> Result<(), String> {
    let name = format!("{command:?}");
    let output = command.stdin(Stdio::null()).output().map_err(|why| format!("{name}: {why}"))?;
    if output.status.success() {
        return Ok(());
    }
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    Err(format!("{name}: {}\n{stdout}\n{stderr}", output.status))
}

/// The folder `name` for exactly these inputs (files, or folders of files); `build` fills it when
/// it is not there yet.
pub fn cached(
    name: &str,
    inputs: &[PathBuf],
    build: impl FnOnce(&Path) -> Result<(), String>,
) -> Result<PathBuf, String> {
    let key = key(inputs).map_err(|why| format!("reading the sources of {name}: {why}"))?;
    let folder = cache().join(format!("{name}-{key:016x}"));
    fs::create_dir_all(cache()).map_err(|why| format!("creating {}: {why}", cache().display()))?;
    let lock = File::create(cache().join(format!("{name}.lock")));
    let lock = lock.map_err(|why| format!("creating the lock of {name}: {why}"))?;
    lock.lock().map_err(|why| format!("locking {name}: {why}"))?;
    if !folder.is_dir() {
        let partial = cache().join(format!("{name}.partial"));
        // Left behind by a build that was cut off; the lock says that nobody is at it now.
        let _ = fs::remove_dir_all(&partial);
        fs::create_dir_all(&partial).map_err(|why| format!("creating a folder: {why}"))?;
        build(&partial)?;
        fs::rename(&partial, &folder).map_err(|why| format!("publishing {name}: {why}"))?;
    }
    Ok(folder)
}

fn key(inputs: &[PathBuf]) -> std::io::Result<u64> {
    let mut hasher = DefaultHasher::new();
    for path in files(inputs)? {
        hasher.write(path.file_name().expect("a file has a name").as_encoded_bytes());
        hasher.write(&fs::read(&path)?);
    }
    Ok(hasher.finish())
}

/// All files among and directly within `inputs`, in a fixed order.
pub fn files(inputs: &[PathBuf]) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for input in inputs {
        if input.is_dir() {
            for entry in fs::read_dir(input)? {
                files.push(entry?.path());
            }
        } else {
            files.push(input.clone());
        }
    }
    files.retain(|path| path.is_file());
    files.sort();
    Ok(files)
}
