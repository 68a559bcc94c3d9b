//! Counting: latencies in an HDR histogram, errors by code, one tally per second and kind.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

/// Latencies and error codes of one kind of request.
#[derive(Clone)]
pub struct Tally {
    /// Nanoseconds, three significant digits.
    latency: Histogram<u64>,
    /// Few codes ever occur, so a list does.
    errors: Vec<(i32, u64)>,
}

/// A longer wait is counted as this one.
const LATENCY_MAX: Duration = Duration::from_secs(100);

impl Default for Tally {
    fn default() -> Self {
        let max = u64::try_from(LATENCY_MAX.as_nanos()).expect("100 s fit");
        let latency = Histogram::new_with_bounds(1, max, 3).expect("bounds that hdr takes");
        Self { latency, errors: Vec::new() }
    }
}

impl Tally {
    pub fn record(&mut self, latency: Duration, err: i32) {
        let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self.latency.saturating_record(nanos);
        if err != 0 {
            self.count_error(err, 1);
        }
    }

    pub fn add(&mut self, other: &Self) {
        self.latency.add(&other.latency).expect("same bounds");
        for &(code, count) in &other.errors {
            self.count_error(code, count);
        }
    }

    pub fn clear(&mut self) {
        self.latency.reset();
        self.errors.clear();
    }

    /// Answers, errors included.
    pub fn count(&self) -> u64 {
        self.latency.len()
    }

    pub fn errors(&self) -> &[(i32, u64)] {
        &self.errors
    }

    pub fn error_count(&self) -> u64 {
        self.errors.iter().map(|&(_, count)| count).sum()
    }

    /// The latency that `share` (0 to 1) of all answers did not exceed. Zero when there are none.
    pub fn quantile(&self, share: f64) -> Duration {
        Duration::from_nanos(self.latency.value_at_quantile(share))
    }

    pub fn max(&self) -> Duration {
        Duration::from_nanos(self.latency.max())
    }

    pub fn mean(&self) -> Duration {
        Duration::from_nanos(self.latency.mean() as u64)
    }

    fn count_error(&mut self, code: i32, count: u64) {
        match self.errors.iter_mut().find(|(known, _)| *known == code) {
            Some((_, total)) => *total += count,
            None => self.errors.push((code, count)),
        }
    }
}

/// What one worker counted between two moments.
pub struct Interval {
    pub worker: usize,
    pub started: Instant,
    pub ended: Instant,
    pub writes: Tally,
    pub reads: Tally,
    /// Open loop: how late requests left although their connection had room. The client's fault.
    pub lag: Tally,
    /// Processor time of the worker's thread.
    pub cpu: Duration,
    /// Time for which the worker's thread wanted a core and had none.
    pub starved: Duration,
    /// Requests that were due and could not leave at the end: the server's fault.
    pub behind: u64,
}

impl Interval {
    pub fn new(worker: usize, started: Instant) -> Self {
        Self {
            worker,
            started,
            ended: started,
            writes: Tally::default(),
            reads: Tally::default(),
            lag: Tally::default(),
            cpu: Duration::ZERO,
            starved: Duration::ZERO,
            behind: 0,
        }
    }

    pub fn restart(&mut self, started: Instant) {
        self.started = started;
        self.ended = started;
        self.writes.clear();
        self.reads.clear();
        self.lag.clear();
        self.cpu = Duration::ZERO;
        self.starved = Duration::ZERO;
        self.behind = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tally_keeps_three_digits_and_counts_errors_by_code() {
        let mut tally = Tally::default();
        for micros in 1..=1000 {
            tally.record(Duration::from_micros(micros), if micros % 10 == 0 { -101 } else { 0 });
        }
        let mut more = Tally::default();
        more.record(Duration::from_secs(1000), -4);
        tally.add(&more);

        let close = |share: f64, micros: f64| {
            let got = tally.quantile(share).as_secs_f64() * 1e6;
            assert!((got / micros - 1.0).abs() < 0.002, "{share}: {got} is not {micros}");
        };
        close(0.5, 501.0);
        close(0.99, 991.0);
        assert_eq!(tally.count(), 1001);
        assert_eq!(tally.errors(), [(-101, 100), (-4, 1)]);
        assert_eq!(tally.error_count(), 101);
        assert!(tally.max() >= LATENCY_MAX, "what is longer than the range is its end");
    }
}
