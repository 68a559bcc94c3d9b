//! What can be wrong with files, each as one sentence for an operator.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::disk::Name;

/// A file operation failed, or a file holds what we did not write.
///
/// There is no retry. After a failed write or sync the kernel may already have dropped the dirty
/// pages; the only honest way on is to stop, start again, and read what is truly there.
#[derive(Debug)]
pub enum Error {
    /// The system said no while `doing` that.
    Io {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A write of the running log or metadata block failed.
    Write {
        /// Which file.
        file: Name,
        /// Where in it.
        offset: u64,
        /// What the system said.
        source: io::Error,
    },
    /// A checksum or order check failed where a power cut cannot have been the cause.
    Corrupt {
        /// Which file.
        path: PathBuf,
        /// Byte in it.
        offset: u64,
        /// What is there.
        found: &'static str,
        /// Whether acknowledged transactions are certainly among what is damaged.
        acknowledged: bool,
    },
    /// A file that must be there is not.
    Missing {
        /// Which.
        path: PathBuf,
        /// How that is known.
        why: &'static str,
    },
    /// The file belongs to another directory.
    Foreign {
        /// Which.
        path: PathBuf,
    },
    /// The file was written by a newer version.
    Newer {
        /// Which.
        path: PathBuf,
        /// Its version.
        version: u32,
    },
    /// Another server holds the lock on this directory.
    InUse {
        /// Which.
        path: PathBuf,
    },
    /// The directory was written by Apache ZooKeeper and not by us.
    JavaDirectory {
        /// Which.
        path: PathBuf,
    },
    /// There is no space left for even the first segment.
    Full {
        /// Where.
        path: PathBuf,
        /// How many bytes are needed.
        needed: u64,
    },
}

impl Error {
    /// For `map_err`: `File::open(path).map_err(Error::io("opening", path))`.
    pub fn io<'a>(doing: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Self + 'a {
        move |source| Self::Io { doing, path: path.to_owned(), source }
    }

    /// Whether the cause is a full disk or a used-up quota.
    pub fn is_full(&self) -> bool {
        match self {
            Self::Io { source, .. } | Self::Write { source, .. } => {
                matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
            }
            Self::Full { .. } => true,
            Self::Corrupt { .. }
            | Self::Missing { .. }
            | Self::Foreign { .. }
            | Self::Newer { .. }
            | Self::InUse { .. }
            | Self::JavaDirectory { .. } => false,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { doing, path, source } => write!(f, "{doing} {}: {source}", path.display()),
            Self::Write { file, offset, source } => {
                write!(f, "writing {file} at byte {offset}: {source}; nothing acknowledged is lost")
            }
            Self::Corrupt { path, offset, found, acknowledged } => {
                let what = if *acknowledged {
                    "acknowledged transactions are damaged"
                } else {
                    "transactions that may have been acknowledged are damaged"
                };
                let path = path.display();
                write!(f, "{path} at byte {offset}: {found}; {what}, and no server starts on that")
            }
            Self::Missing { path, why } => write!(f, "{} is missing: {why}", path.display()),
            Self::Foreign { path } => {
                write!(f, "{} belongs to another server's directory", path.display())
            }
            Self::Newer { path, version } => write!(
                f,
                "{} is of format version {version}, which is newer than this program's {}",
                path.display(),
                super::log_format::VERSION
            ),
            Self::InUse { path } => write!(f, "{} is held by another server", path.display()),
            Self::JavaDirectory { path } => write!(
                f,
                "{} holds data of Apache ZooKeeper, which this version cannot import; \
                 start on an empty directory",
                path.display()
            ),
            Self::Full { path, needed } => write!(
                f,
                "no space left on {}: a start needs {needed} bytes for the log",
                path.display()
            ),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } | Self::Write { source, .. } => Some(source),
            Self::Corrupt { .. }
            | Self::Missing { .. }
            | Self::Foreign { .. }
            | Self::Newer { .. }
            | Self::InUse { .. }
            | Self::JavaDirectory { .. }
            | Self::Full { .. } => None,
        }
    }
}
