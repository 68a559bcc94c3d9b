//! How a loop waits, and how it learns that the server stops.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::{Error, clock};
use crate::net::{Net, Wake};
use crate::types::{Instant, Now};

/// How long a core of ours spins before it sleeps while the disk or another core is about to
/// answer. Waking a halted CPU takes 30–50 µs; this is about as long as a commit takes to come
/// back, and counts as CPU of the request.
const SPIN: Duration = Duration::from_micros(40);

/// No loop sleeps longer: deadlines of connections are looked at now and then.
const SLEEP_MAX: Duration = Duration::from_millis(200);

/// How long a stop may take to drain what was taken, in ms.
const STOP_MS_MAX: u64 = 5_000;

/// Whether a loop spins before it sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spin {
    /// The CPU is ours alone.
    Allowed,
    /// Others want it.
    Never,
}

impl Spin {
    /// Only while an answer is about to come.
    pub fn when(self, busy: bool) -> Self {
        if busy { self } else { Self::Never }
    }
}

/// The server's wish to stop, as all loops see it.
#[derive(Debug, Default)]
pub struct Stop {
    asked: AtomicBool,
    /// A loop has begun to drain: there is nothing new in the wish.
    pub seen: AtomicBool,
    since_ns: AtomicU64,
}

impl Stop {
    /// Asks for it. The loops' bells must be rung afterwards.
    pub fn ask(&self) {
        self.since_ns.store(clock::mono().0, Ordering::Relaxed);
        self.asked.store(true, Ordering::Release);
    }

    /// Whether somebody asked.
    pub fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Acquire)
    }

    /// Whether somebody asked and no loop has looked at it.
    pub fn is_new(&self) -> bool {
        self.is_asked() && !self.seen.load(Ordering::Relaxed)
    }

    /// Whether it has taken too long.
    pub fn is_overdue(&self, now: Instant) -> bool {
        let since = Instant(self.since_ns.load(Ordering::Relaxed));
        self.is_asked() && now >= since.plus_millis(STOP_MS_MAX)
    }
}

/// From now until a deadline, bounded.
pub fn timeout(now: Now, until: Instant) -> Duration {
    (until - now.mono).min(SLEEP_MAX)
}

/// Waits until something has happened at the sockets or `inbox` is not empty: spins first if it
/// may, then sleeps.
pub fn wait(
    net: &mut Net,
    bell: &Wake,
    timeout: Duration,
    spin: Spin,
    inbox: impl Fn() -> bool,
) -> Result<(), Error> {
    if timeout.is_zero() || inbox() {
        return net.wait(Some(Duration::ZERO)).map_err(Error::Net);
    }
    if spin == Spin::Allowed {
        let start = clock::mono();
        while clock::mono() - start < SPIN {
            net.wait(Some(Duration::ZERO)).map_err(Error::Net)?;
            if net.has_events() || inbox() {
                return Ok(());
            }
            std::hint::spin_loop();
        }
    }
    bell.prepare_sleep();
    let timeout = if inbox() { Duration::ZERO } else { timeout };
    let result = net.wait(Some(timeout)).map_err(Error::Net);
    bell.awake();
    result
}
