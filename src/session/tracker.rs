//! The deadlines of sessions, in buckets of one tick.
//!
//! A touch writes one number; the session moves to its new bucket only when the old one comes
//! due. So a touch costs the same with ten sessions and with a million, and expiry looks only at
//! sessions whose bucket is due.
//!
//! The tracker's clock is not the caller's: it leaves out every gap between two calls that is
//! longer than half a tick ([`Tracker::advance`]). A server that was stopped, starved or stalled
//! heard nobody during the gap, so the gap is evidence of nothing.
//!
//! Source: `SessionTrackerImpl.java`, `ExpiryQueue.java`; client-protocol section 8.2.

use std::collections::BTreeMap;

use crate::types::{ConnId, IdMap, Instant, SessionId, ShardId};

/// The connection that may speak for a session. Every other one is hung up on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Its front.
    pub shard: ShardId,
    /// Its connection there.
    pub conn: ConnId,
}

#[derive(Clone, Copy, Debug)]
struct Session {
    timeout_ms: i32,
    /// Over when the tracker's clock has passed this bucket. Never below `queued_in`.
    due: u64,
    /// The bucket that lists the session.
    queued_in: u64,
    owner: Option<Owner>,
    /// From the moment its closeSession is proposed: it can no longer do anything.
    closing: bool,
}

/// What the tracker knows of a session when a request of it arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Open, and this connection speaks for it.
    Owner,
    /// Open, and another connection speaks for it.
    Elsewhere,
    /// Its close is under way.
    Closing,
    /// There is no such session.
    Unknown,
}

/// All sessions of the ensemble, as the server that expires them sees them.
#[derive(Debug)]
pub struct Tracker {
    tick_ms: u64,
    sessions: IdMap<SessionId, Session>,
    /// Bucket -> the sessions queued in it.
    buckets: BTreeMap<u64, Vec<SessionId>>,
    /// When we were last called.
    seen: Option<Instant>,
    /// Our clock, in nanoseconds: the caller's without the gaps.
    clock_ns: u64,
    /// How often a gap was left out.
    stalls: u64,
}

impl Tracker {
    /// An empty tracker; `tick_ms` is `tickTime`.
    pub fn new(tick_ms: u32) -> Self {
        assert!(tick_ms > 0, "a tick of 0 ms has no buckets");
        Self {
            tick_ms: u64::from(tick_ms),
            sessions: IdMap::default(),
            buckets: BTreeMap::new(),
            seen: None,
            clock_ns: 0,
            stalls: 0,
        }
    }

    /// Moves the tracker's clock. To be called at every step, at least four times a tick.
    pub fn advance(&mut self, now: Instant) {
        let seen = self.seen.unwrap_or(now);
        assert!(now >= seen, "time went back from {seen:?} to {now:?}");
        let gap = now.nanos_since(seen);
        if gap <= self.tick_ms * 500_000 {
            self.clock_ns += gap;
        } else {
            self.stalls += 1;
        }
        self.seen = Some(now);
    }

    /// Starts to track a session that is being created or was recovered, with a full timeout.
    pub fn add(&mut self, session: SessionId, timeout_ms: i32, owner: Option<Owner>) {
        let due = self.bucket_after(timeout_ms);
        let state = Session { timeout_ms, due, queued_in: due, owner, closing: false };
        let before = self.sessions.insert(session, state);
        assert!(before.is_none(), "session {session} exists already");
        self.buckets.entry(due).or_default().push(session);
    }

    /// Forgets a session: its closeSession is committed.
    pub fn remove(&mut self, session: SessionId) {
        // Its entry in a bucket is skipped when that comes due.
        self.sessions.remove(&session);
    }

    /// The session was heard of.
    pub fn touch(&mut self, session: SessionId) {
        let Some(timeout_ms) = self.sessions.get(&session).map(|s| s.timeout_ms) else { return };
        let due = self.bucket_after(timeout_ms);
        if let Some(state) = self.sessions.get_mut(&session)
            && !state.closing
        {
            state.due = state.due.max(due);
        }
    }

    /// A client is back on another connection. Returns the connection that owned the session
    /// until now, or `None` if the session does not live.
    pub fn reopen(
        &mut self,
        session: SessionId,
        timeout_ms: i32,
        owner: Owner,
    ) -> Option<Option<Owner>> {
        let due = self.bucket_after(timeout_ms);
        let state = self.sessions.get_mut(&session).filter(|state| !state.closing)?;
        // Apache's standalone server goes on with the newly negotiated timeout, a shorter one too.
        state.timeout_ms = timeout_ms;
        state.due = due;
        if due < state.queued_in {
            // Its entry in the later bucket is skipped when that comes due.
            state.queued_in = due;
            self.buckets.entry(due).or_default().push(session);
        }
        let before = state.owner.replace(owner);
        Some(before.filter(|before| *before != owner))
    }

    /// How a session stands to a connection. An unowned one (recovered, not yet claimed) belongs
    /// to whoever speaks first.
    pub fn standing(&mut self, session: SessionId, from: Owner) -> Standing {
        match self.sessions.get_mut(&session) {
            None => Standing::Unknown,
            Some(state) if state.closing => Standing::Closing,
            Some(state) => {
                if *state.owner.get_or_insert(from) == from {
                    Standing::Owner
                } else {
                    Standing::Elsewhere
                }
            }
        }
    }

    /// From here on the session can do nothing more: its closeSession is proposed. False if it
    /// does not live.
    pub fn set_closing(&mut self, session: SessionId) -> bool {
        match self.sessions.get_mut(&session) {
            Some(state) if !state.closing => {
                state.closing = true;
                true
            }
            _ => false,
        }
    }

    /// Names up to `max` sessions whose time is over. Each is named once: the caller closes it.
    pub fn expired(&mut self, max: usize, over: &mut Vec<SessionId>) {
        let current = self.clock_ms() / self.tick_ms;
        while over.len() < max {
            let Some(entry) = self.buckets.first_entry() else { return };
            let bucket = *entry.key();
            if bucket > current {
                return;
            }
            let mut queued = entry.remove();
            while over.len() < max
                && let Some(id) = queued.pop()
            {
                let Some(state) = self.sessions.get_mut(&id) else { continue };
                if state.closing || state.queued_in != bucket {
                    continue;
                }
                if state.due <= current {
                    over.push(id);
                } else {
                    state.queued_in = state.due;
                    self.buckets.entry(state.due).or_default().push(id);
                }
            }
            if !queued.is_empty() {
                self.buckets.insert(bucket, queued);
            }
        }
    }

    /// How many sessions there are, closing ones included.
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// How often the clock stood still because the server did.
    pub fn stalls(&self) -> u64 {
        self.stalls
    }

    /// Every session: id, timeout in milliseconds, and milliseconds until it is over.
    pub fn iter(&self) -> impl Iterator<Item = (SessionId, i32, u64)> {
        let now = self.clock_ms();
        self.sessions
            .iter()
            .map(move |(id, s)| (*id, s.timeout_ms, (s.due * self.tick_ms).saturating_sub(now)))
    }

    fn clock_ms(&self) -> u64 {
        self.clock_ns / 1_000_000
    }

    /// `((now + timeout) / tick + 1)`: a session lives at least its timeout, at most a tick more.
    fn bucket_after(&self, timeout_ms: i32) -> u64 {
        let timeout = u64::try_from(timeout_ms).unwrap_or(0);
        (self.clock_ms() + timeout) / self.tick_ms + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK_MS: u32 = 100;
    const A: SessionId = SessionId(0xa);
    const B: SessionId = SessionId(0xb);

    fn owner(slot: u32) -> Owner {
        Owner { shard: ShardId(0), conn: ConnId { slot, generation: 1 } }
    }

    /// Steps in quarters of a tick, as a loop does, and says when which session was over.
    fn run(tracker: &mut Tracker, from_ms: u64, to_ms: u64) -> Vec<(u64, SessionId)> {
        let mut found = Vec::new();
        let mut over = Vec::new();
        for ms in (from_ms..=to_ms).step_by(25) {
            tracker.advance(Instant::from_millis(ms));
            over.clear();
            tracker.expired(10, &mut over);
            for session in &over {
                assert!(tracker.set_closing(*session), "an expired session is open");
                found.push((ms, *session));
            }
        }
        found
    }

    #[test]
    fn a_session_lives_its_timeout_and_at_most_a_tick_more() {
        for start in (0..300).step_by(25) {
            let mut tracker = Tracker::new(TICK_MS);
            run(&mut tracker, 0, start);
            tracker.add(A, 1000, None);
            let over = run(&mut tracker, start, start + 2000);
            assert_eq!(over.len(), 1, "start {start}");
            let lived = over[0].0 - start;
            assert!((1000..=1100).contains(&lived), "start {start}: lived {lived} ms");
        }
    }

    #[test]
    fn touches_keep_a_session_alive_and_only_that_one() {
        let mut tracker = Tracker::new(TICK_MS);
        tracker.advance(Instant(0));
        tracker.add(A, 500, None);
        tracker.add(B, 500, None);
        for ms in (0..3000).step_by(100) {
            let over = run(&mut tracker, ms, ms + 100);
            assert!(over.iter().all(|(_, id)| *id == B), "{over:?}");
            tracker.touch(A);
        }
        assert!(!tracker.set_closing(B), "B is closing");
        assert_eq!(run(&mut tracker, 3000, 4000).len(), 1);
    }

    #[test]
    fn a_stalled_server_expires_nobody_for_its_own_stall() {
        let mut tracker = Tracker::new(TICK_MS);
        tracker.advance(Instant(0));
        tracker.add(A, 1000, None);
        run(&mut tracker, 0, 200);
        // Ten seconds in which nothing ran: afterwards 800 ms are left, as before.
        assert_eq!(run(&mut tracker, 10_200, 10_900), []);
        assert_eq!(tracker.stalls(), 1);
        assert_eq!(run(&mut tracker, 10_925, 11_200).len(), 1);
    }

    #[test]
    fn one_connection_speaks_for_a_session() {
        let mut tracker = Tracker::new(TICK_MS);
        tracker.advance(Instant(0));
        tracker.add(A, 1000, Some(owner(1)));
        assert_eq!(tracker.standing(A, owner(1)), Standing::Owner);
        assert_eq!(tracker.standing(A, owner(2)), Standing::Elsewhere);
        assert_eq!(tracker.reopen(A, 1000, owner(2)), Some(Some(owner(1))));
        assert_eq!(tracker.standing(A, owner(1)), Standing::Elsewhere);
        assert_eq!(tracker.standing(A, owner(2)), Standing::Owner);
        assert_eq!(tracker.reopen(A, 1000, owner(2)), Some(None));
        assert!(tracker.set_closing(A));
        assert_eq!(tracker.reopen(A, 1000, owner(3)), None);
        assert_eq!(tracker.standing(A, owner(2)), Standing::Closing);
        tracker.remove(A);
        assert_eq!(tracker.standing(A, owner(2)), Standing::Unknown);
    }

    #[test]
    fn a_recovered_session_belongs_to_who_speaks_first() {
        let mut tracker = Tracker::new(TICK_MS);
        tracker.advance(Instant(0));
        tracker.add(A, 1000, None);
        assert_eq!(tracker.standing(A, owner(7)), Standing::Owner);
        assert_eq!(tracker.standing(A, owner(8)), Standing::Elsewhere);
    }

    #[test]
    fn a_storm_of_expiries_comes_in_bounded_pieces() {
        let mut tracker = Tracker::new(TICK_MS);
        tracker.advance(Instant(0));
        for id in 1..=1000 {
            tracker.add(SessionId(id), 100, None);
        }
        for ms in (0..=400).step_by(25) {
            tracker.advance(Instant::from_millis(ms));
        }
        let mut over = Vec::new();
        let mut total = 0;
        loop {
            over.clear();
            tracker.expired(64, &mut over);
            if over.is_empty() {
                break;
            }
            assert!(over.len() <= 64);
            total += over.len();
            over.iter().for_each(|id| assert!(tracker.set_closing(*id)));
        }
        assert_eq!(total, 1000);
    }
}
