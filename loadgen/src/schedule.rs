//! The open loop's arithmetic: when each request should leave, whatever the server does.
//!
//! Request `n` is due at `start + n / rate` and goes to connection `n mod connections`. A request
//! that cannot leave because its connection has its full number outstanding keeps its due time, and
//! its latency counts from there: a stalled server is charged for everybody it kept waiting, not
//! only for the requests that happened to be on their way. (Timing from the sending would leave
//! exactly those out; the mistake is known as coordinated omission.)

use std::time::{Duration, Instant};

/// Due times of one worker's requests.
pub struct Schedule {
    start: Instant,
    /// Requests per second.
    rate: f64,
    /// Requests that have become due.
    due: u64,
    /// Per connection: requests that are due and have not left.
    waiting: Vec<u32>,
    /// Per connection: requests that have left.
    sent: Vec<u64>,
}

impl Schedule {
    pub fn new(start: Instant, rate: f64, connections: usize) -> Self {
        assert!(rate > 0.0, "an open loop needs a rate");
        assert!(connections > 0, "an open loop needs a connection");
        Self { start, rate, due: 0, waiting: vec![0; connections], sent: vec![0; connections] }
    }

    /// When the next request will be due.
    pub fn next_due(&self) -> Instant {
        self.time_of(self.due)
    }

    /// The next connection that has something due now, if any. Each call takes one request.
    pub fn pop_due(&mut self, now: Instant) -> Option<usize> {
        if self.next_due() > now {
            return None;
        }
        let slot = self.slot_of(self.due);
        self.due += 1;
        self.waiting[slot] += 1;
        Some(slot)
    }

    /// Takes the oldest request that waits for this connection: when it was due.
    pub fn pop_waiting(&mut self, slot: usize) -> Option<Instant> {
        self.waiting[slot] = self.waiting[slot].checked_sub(1)?;
        let count = self.waiting.len() as u64;
        let number = self.sent[slot] * count + slot as u64;
        assert!(number < self.due, "only what is due can leave");
        self.sent[slot] += 1;
        Some(self.time_of(number))
    }

    /// Requests due and not sent.
    pub fn behind(&self) -> u64 {
        self.waiting.iter().map(|&count| u64::from(count)).sum()
    }

    fn slot_of(&self, number: u64) -> usize {
        usize::try_from(number % self.waiting.len() as u64).expect("below a usize")
    }

    fn time_of(&self, number: u64) -> Instant {
        self.start + Duration::from_secs_f64(number as f64 / self.rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn requests_are_due_evenly_and_go_around() {
        let start = Instant::now();
        let mut schedule = Schedule::new(start, 1000.0, 3);
        assert_eq!(schedule.pop_due(start), Some(0));
        assert_eq!(schedule.pop_due(start), None);
        let now = start + 3 * MS;
        assert_eq!(schedule.pop_due(now), Some(1));
        assert_eq!(schedule.pop_due(now), Some(2));
        assert_eq!(schedule.pop_due(now), Some(0));
        assert_eq!(schedule.pop_due(now), None);
        assert_eq!(schedule.next_due(), start + 4 * MS);
    }

    #[test]
    fn a_stall_is_charged_to_every_request_it_delays() {
        let start = Instant::now();
        let mut schedule = Schedule::new(start, 1000.0, 1);
        let after_stall = start + 100 * MS;
        while schedule.pop_due(after_stall).is_some() {}
        assert_eq!(schedule.behind(), 101);

        let mut waits = Vec::new();
        while let Some(due) = schedule.pop_waiting(0) {
            waits.push((after_stall - due).as_millis());
        }
        assert_eq!(waits.len(), 101);
        assert_eq!((waits[0], waits[50], waits[100]), (100, 50, 0));
        assert_eq!(schedule.behind(), 0);
    }

    #[test]
    fn waiting_requests_keep_their_own_due_times() {
        let start = Instant::now();
        let mut schedule = Schedule::new(start, 1000.0, 2);
        let now = start + 5 * MS;
        while schedule.pop_due(now).is_some() {}
        let dues: Vec<_> = std::iter::from_fn(|| schedule.pop_waiting(1)).collect();
        assert_eq!(dues, [start + MS, start + 3 * MS, start + 5 * MS]);
        assert_eq!(schedule.behind(), 3, "those of connection 0");
    }
}
