//! Whether this machine lets us use io_uring the way we need, and if not, why.

use std::sync::Arc;
use std::{fmt, fs, io, thread};

use super::uring::Uring;
use super::{Backend, Wake};

/// Why there is no io_uring for us: a sentence for the start line.
#[derive(Debug)]
pub struct Missing {
    error: io::Error,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let error = &self.error;
        match error.raw_os_error() {
            Some(libc::ENOSYS) => write!(f, "the kernel or a seccomp profile has no io_uring"),
            Some(libc::EPERM | libc::EACCES) => match disabled_by_sysctl() {
                Some(value) => write!(f, "io_uring is forbidden: kernel.io_uring_disabled={value}"),
                None => write!(f, "io_uring is forbidden, probably by a seccomp profile"),
            },
            Some(libc::ENOMEM) => {
                write!(f, "io_uring may not lock enough memory: raise RLIMIT_MEMLOCK (ulimit -l)")
            }
            Some(libc::EINVAL) => {
                write!(f, "io_uring is too old: rings of provided buffers need Linux 6.0")
            }
            _ => write!(f, "io_uring cannot be opened: {error}"),
        }
    }
}

fn disabled_by_sysctl() -> Option<String> {
    let value = fs::read_to_string("/proc/sys/kernel/io_uring_disabled").ok()?;
    let value = value.trim();
    (value != "0").then(|| value.to_owned())
}

/// Opens a ring as a data core does, and closes it again.
pub fn probe() -> Result<Backend, Missing> {
    // On a thread of its own: a ring that is torn down interrupts system calls of its thread.
    let prober = thread::Builder::new().name("probe".into()).spawn(probe_here);
    let prober = prober.map_err(|error| Missing { error })?;
    prober.join().expect("it does not panic").map_err(|error| Missing { error })
}

fn probe_here() -> io::Result<Backend> {
    let open =
        |deferred| -> io::Result<()> { Uring::open(deferred, 8, Arc::new(Wake::new()?)).map(drop) };
    match open(true) {
        Ok(()) => Ok(Backend::Uring { deferred: true }),
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            open(false).map(|()| Backend::Uring { deferred: false })
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_has_its_sentence() {
        for (errno, word) in [
            (libc::ENOSYS, "seccomp"),
            (libc::EPERM, "forbidden"),
            (libc::ENOMEM, "memlock"),
            (libc::EINVAL, "6.0"),
            (libc::EMFILE, "cannot be opened"),
        ] {
            let missing = Missing { error: io::Error::from_raw_os_error(errno) };
            assert!(missing.to_string().to_lowercase().contains(word), "{missing}");
        }
    }
}
