//! The only reading of the clocks: once a turn, both of them.

use std::sync::OnceLock;
use std::time::{Instant as StdInstant, SystemTime, UNIX_EPOCH};

use crate::types::{Instant, Now, WallTime};

/// Where the monotonic clock begins, the same for all cores, so that their instants compare.
static ORIGIN: OnceLock<StdInstant> = OnceLock::new();

/// Both clocks, now.
pub fn now() -> Now {
    Now { mono: mono(), wall: wall() }
}

/// The monotonic clock, now.
pub fn mono() -> Instant {
    let elapsed = ORIGIN.get_or_init(StdInstant::now).elapsed();
    Instant(u64::try_from(elapsed.as_nanos()).expect("a process runs less than 500 years"))
}

/// Milliseconds since 1970. A clock before that counts as 1970.
fn wall() -> WallTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    WallTime(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
