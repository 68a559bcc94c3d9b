//! Who owns the threads and how they reach the kernel: glommio and io_uring, or neither.
//!
//! With io_uring glommio places, names and joins the threads; each runs exactly one task, and a
//! data core's task is its loop, which waits in the core's own ring. Without io_uring there is no
//! glommio, since its executors need one: the same loops run on plain threads over epoll.

use std::fmt;
use std::io;
use std::time::Duration;

use crossbeam::channel::{Receiver, bounded};
use glommio::{LocalExecutorBuilder, Placement};

use super::Error;
use crate::config;
use crate::net::{Backend, probe};

/// What an executor registers for files that we never open through it: the least it takes.
const EXECUTOR_MEMORY_BYTES: usize = 64 << 10;

/// When an executor would look around between tasks: never, since it has one. glommio 0.9.0 parks
/// for ever with its first task unrun if this expires before the task is first looked at, which a
/// busy machine needs only a millisecond for (`LocalExecutor::run_task_queues` says "nothing ran").
const PREEMPT_TIMER: Duration = Duration::from_hours(30 * 24);

/// The choice, and why.
#[derive(Clone, Debug)]
pub struct Engine {
    /// What the data cores use.
    pub backend: Backend,
    /// Why not io_uring, if it was not asked for otherwise.
    pub why: Option<String>,
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.backend)?;
        match &self.why {
            Some(why) => write!(f, " ({why})"),
            None => Ok(()),
        }
    }
}

impl Engine {
    /// Looks what the machine allows.
    ///
    /// # Errors
    /// io_uring was asked for, and is not to be had: one sentence names the cause.
    pub fn choose(wanted: config::Engine) -> Result<Self, Error> {
        let missing = match wanted {
            config::Engine::Epoll => {
                return Ok(Self { backend: Backend::Epoll, why: Some("as configured".into()) });
            }
            config::Engine::Auto | config::Engine::Uring => match probe() {
                Err(missing) => missing.to_string(),
                Ok(backend) => match try_executor() {
                    Ok(()) => return Ok(Self { backend, why: None }),
                    Err(error) => format!("glommio cannot start: {error}"),
                },
            },
        };
        match wanted {
            config::Engine::Uring => Err(Error::Engine(missing)),
            config::Engine::Auto | config::Engine::Epoll => {
                Ok(Self { backend: Backend::Epoll, why: Some(missing) })
            }
        }
    }

    /// Starts a thread, on that CPU if one is named.
    pub fn spawn<T: Send + 'static>(
        &self,
        name: &str,
        cpu: Option<u16>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<Thread<T>, Error> {
        let failed = |error: String| Error::Thread { name: name.to_owned(), error };
        match self.backend {
            Backend::Uring { .. } => {
                let placement =
                    cpu.map_or(Placement::Unbound, |cpu| Placement::Fixed(usize::from(cpu)));
                let (sender, result) = bounded(1);
                let handle = executor(placement)
                    .name(name)
                    .spawn(move || async move {
                        // Nobody may wait for it any more.
                        let _ = sender.send(work());
                    })
                    .map_err(|error| failed(error.to_string()))?;
                Ok(Thread::Glommio { result, handle })
            }
            Backend::Epoll => {
                let builder = std::thread::Builder::new().name(name.to_owned());
                let handle = builder.spawn(move || {
                    pin(cpu);
                    work()
                });
                handle.map(Thread::Plain).map_err(|error| failed(error.to_string()))
            }
        }
    }
}

fn executor(placement: Placement) -> LocalExecutorBuilder {
    LocalExecutorBuilder::new(placement)
        .io_memory(EXECUTOR_MEMORY_BYTES)
        .preempt_timer(PREEMPT_TIMER)
}

/// An executor says only when it is joined that it could not start.
fn try_executor() -> io::Result<()> {
    let other = |error: glommio::GlommioError<()>| io::Error::other(error.to_string());
    let (sender, result) = bounded(1);
    let task = move || async move {
        let _ = sender.send(());
    };
    let handle = executor(Placement::Unbound).name("probe").spawn(task).map_err(other)?;
    // As in `Thread::join`.
    match result.recv() {
        Ok(()) => Ok(()),
        Err(_) => handle.join().map_err(other),
    }
}

/// A CPU that does not exist, or that is not ours, is not worth a stop: the loop runs anyway.
fn pin(cpu: Option<u16>) {
    let Some(cpu) = cpu else { return };
    let mut set = rustix::thread::CpuSet::new();
    set.set(usize::from(cpu));
    if let Err(error) = rustix::thread::sched_setaffinity(None, &set) {
        log::warn!("cannot run on CPU {cpu}: {error}");
    }
}

/// A thread that was started.
pub enum Thread<T: Send + 'static> {
    /// With an executor on it, which is not waited for once its one task has its result:
    /// glommio 0.9.0 can go to sleep although that task is over, and would be waited for forever.
    Glommio {
        /// What the task came to; nothing comes if it panicked, or if its executor did not start.
        result: Receiver<T>,
        /// The thread, which then knows why.
        handle: glommio::ExecutorJoinHandle<()>,
    },
    /// Without.
    Plain(std::thread::JoinHandle<T>),
}

impl<T: Send + 'static> Thread<T> {
    /// Waits for its end.
    ///
    /// # Errors
    /// It panicked, or its executor could not start.
    pub fn join(self) -> Result<T, String> {
        match self {
            Self::Glommio { result, handle } => match result.recv() {
                Ok(result) => Ok(result),
                Err(_) => match handle.join() {
                    Ok(()) => Err("it ended without a result".to_owned()),
                    Err(error) => Err(error.to_string()),
                },
            },
            Self::Plain(handle) => handle.join().map_err(|_| "it panicked".to_owned()),
        }
    }
}
