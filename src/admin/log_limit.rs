//! How many lines one place in the code may write: a budget a second, and a count of the rest.
//! Pure; seconds are handed in.
//!
//! The place is file and line of the `log` macro, so the number of places is bounded by the source,
//! whatever clients send.

use std::collections::HashMap;

/// A `log` macro's place.
pub type Place = (&'static str, u32);

#[derive(Clone, Copy, Debug, Default)]
struct Site {
    second: u64,
    written: u32,
    left_out: u64,
}

/// Budgets of all places.
#[derive(Debug)]
pub struct Limit {
    per_second: u32,
    sites: HashMap<Place, Site>,
}

impl Limit {
    /// `per_second` lines each; 0 is no limit.
    pub fn new(per_second: u32) -> Self {
        Self { per_second, sites: HashMap::new() }
    }

    /// Whether a line may be written; if not, it is counted.
    pub fn admits(&mut self, place: Place, second: u64) -> bool {
        if self.per_second == 0 {
            return true;
        }
        let site = self.sites.entry(place).or_default();
        if site.second != second {
            (site.second, site.written) = (second, 0);
        }
        if site.written < self.per_second {
            site.written += 1;
            return true;
        }
        site.left_out += 1;
        false
    }

    /// Places that left lines out before `second`, and how many; the counts start again.
    pub fn take_left_out(&mut self, second: u64) -> Vec<(Place, u64)> {
        let over = self.sites.iter_mut();
        let over = over.filter(|(_, site)| site.left_out > 0 && site.second < second);
        let mut counts: Vec<_> =
            over.map(|(place, site)| (*place, std::mem::take(&mut site.left_out))).collect();
        counts.sort_unstable();
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_has_its_budget_and_the_rest_is_counted() {
        let mut limit = Limit::new(3);
        let (flood, other) = (("a.rs", 1), ("a.rs", 2));
        let written = (0..1_000_000).filter(|_| limit.admits(flood, 7)).count();
        assert_eq!(written, 3);
        assert!(limit.admits(other, 7), "one place's flood is not another's");
        assert_eq!(limit.take_left_out(7), [], "the second is not over");
        assert!(limit.admits(flood, 8), "a new second has a new budget");
        assert_eq!(limit.take_left_out(9), [(flood, 999_997)]);
        assert_eq!(limit.take_left_out(9), []);
    }

    #[test]
    fn zero_is_no_limit() {
        let mut limit = Limit::new(0);
        assert!((0..1000).all(|_| limit.admits(("a.rs", 1), 7)));
    }
}
