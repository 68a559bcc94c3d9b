//! Lines about bad clients, at most a few a second: nobody can flood the log.

use crate::types::Instant;

/// Lines of one core within a second about connections that were refused or cut.
const LINES_PER_SECOND_MAX: u32 = 10;

/// Counts lines and swallows those above the limit.
#[derive(Debug, Default)]
pub(super) struct Limiter {
    second: u64,
    lines: u32,
    swallowed: u64,
}

impl Limiter {
    /// Whether a line may be written now. `Some(n)`: yes, and `n` lines were swallowed before it.
    pub(super) fn admit(&mut self, now: Instant) -> Option<u64> {
        let second = now.millis() / 1000;
        if second != self.second {
            self.second = second;
            self.lines = 0;
        }
        if self.lines == LINES_PER_SECOND_MAX {
            self.swallowed += 1;
            return None;
        }
        self.lines += 1;
        Some(std::mem::take(&mut self.swallowed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_lines_a_second_and_a_count_of_the_rest() {
        let mut limiter = Limiter::default();
        let at = |ms| Instant::from_millis(ms);
        assert!((0..10).all(|n| limiter.admit(at(5000 + n)) == Some(0)));
        assert!((0..7).all(|n| limiter.admit(at(5500 + n)).is_none()));
        assert_eq!(limiter.admit(at(6000)), Some(7));
        assert_eq!(limiter.admit(at(6001)), Some(0));
    }
}
