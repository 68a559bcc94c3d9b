//! The directories of one server: their layout, their lock, and whose they are.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::driver::{Dirs, RealDisk};
use super::error::Error;
use super::open::{OpenConfig, Opened, open_disk};

/// Our folder inside `dataDir` and `dataLogDir`, beside Java's `version-2`.
pub const FOLDER: &str = "ringkeeper";

/// What a start on real directories needs.
#[derive(Clone, Debug)]
pub struct DirConfig {
    /// `dataDir`: snapshots.
    pub data_dir: PathBuf,
    /// `dataLogDir`: log and metadata; the same folder by default.
    pub log_dir: PathBuf,
    /// Whether snapshots are mapped or read.
    pub mapped: bool,
    /// The rest.
    pub open: OpenConfig,
}

/// Holds the directories for this process alone, until it is dropped.
///
/// A ring keeps its writes under way for a moment after the process has died. Whoever drives the
/// log by a ring registers [`Lock::file`] among the ring's files: so the lock lives as long as
/// the last of them, and a successor cannot read what is still being written.
#[derive(Debug)]
pub struct Lock {
    files: Vec<File>,
}

impl Lock {
    /// The lock of the log's directory.
    pub fn file(&self) -> &File {
        &self.files[0]
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // An orderly end: nothing is under way any more, and a ring that still has the file may
        // be torn down later than the next start comes.
        for file in &self.files {
            let _ = file.unlock();
        }
    }
}

/// An open store on real directories.
pub struct OpenedDir {
    /// To be held as long as anything is written.
    pub lock: Lock,
    /// The files, for the thread that drives the log.
    pub disk: RealDisk,
    /// What was found.
    pub opened: Opened,
}

/// Opens the store of a server: locks, recovers, begins a segment. Blocking.
///
/// # Errors
/// One sentence for the operator; the process should exit with it.
pub fn open(config: &DirConfig) -> Result<OpenedDir, Error> {
    let log = config.log_dir.join(FOLDER);
    let snapshots = config.data_dir.join(FOLDER);
    for dir in [&config.data_dir, &config.log_dir] {
        refuse_java(dir, &log)?;
    }
    let mut files = Vec::new();
    for (parent, dir) in [(&config.log_dir, &log), (&config.data_dir, &snapshots)] {
        fs::create_dir_all(dir).map_err(Error::io("creating", dir))?;
        // The folder's own name must be as durable as what will lie in it.
        let up = File::open(parent).and_then(|parent| parent.sync_all());
        up.map_err(Error::io("syncing", parent))?;
        if files.is_empty() || !is_same(&log, &snapshots) {
            files.push(lock(dir)?);
        }
    }
    let dirs = Dirs { log: log.clone(), snapshots };
    let mut disk = RealDisk::open(dirs, config.mapped).map_err(Error::io("writing to", &log))?;
    if let Some(line) = disk.what_is_lost() {
        log::warn!("{line}");
    }
    let opened = open_disk(&mut disk, &config.open)?;
    Ok(OpenedDir { lock: Lock { files }, disk, opened })
}

fn is_same(a: &Path, b: &Path) -> bool {
    match (fs::canonicalize(a), fs::canonicalize(b)) {
        (Ok(a), Ok(b)) => a == b,
        (Ok(_) | Err(_), _) => a == b,
    }
}

/// A killed server holds its lock until its last write has left the kernel; whoever starts the
/// next one at once must not be told that two servers run.
const LOCK_ATTEMPTS: u32 = 150;

/// Between two attempts.
const LOCK_PAUSE: Duration = Duration::from_millis(20);

fn lock(dir: &Path) -> Result<File, Error> {
    let path = dir.join("lock");
    let mut options = OpenOptions::new();
    let file = options.create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(Error::io("opening", &path))?;
    for attempt in 0..LOCK_ATTEMPTS {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if attempt == 0 => {
                log::info!("waiting for another server to let go of {}", dir.display());
            }
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(source)) => {
                return Err(Error::Io { doing: "locking", path, source });
            }
        }
        std::thread::sleep(LOCK_PAUSE);
    }
    Err(Error::InUse { path: dir.to_owned() })
}

/// Java's data without ours beside it must not be taken for an empty directory.
fn refuse_java(dir: &Path, ours: &Path) -> Result<(), Error> {
    let java = dir.join("version-2");
    let Ok(entries) = fs::read_dir(&java) else { return Ok(()) };
    let is_data = |name: &str| {
        ["log.", "snapshot.", "acceptedEpoch", "currentEpoch"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
    };
    let has_data = entries.flatten().any(|entry| entry.file_name().to_str().is_some_and(is_data));
    if has_data && !ours.join("meta").exists() {
        Err(Error::JavaDirectory { path: java })
    } else {
        Ok(())
    }
}
