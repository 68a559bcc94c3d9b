//! The window of proposals that are not yet decided.
//!
//! Promises: proposals leave in zxid order, without gaps, each once, and only when a quorum has
//! acknowledged them. The buffers of those that left are used again, so that a steady stream of
//! proposals allocates nothing.

use std::collections::VecDeque;

use crate::types::limits::PROPOSALS_OUTSTANDING_MAX;
use crate::types::{DurableUpTo, Generation, ServerId, Zxid};
use crate::wire::committed::Origin;
use crate::zab::Quorum;

/// Buffers kept for reuse; more outstanding proposals than this allocate again.
const SPARE_BUFFERS_MAX: usize = 4096;

/// A spare buffer larger than this is freed: one large write must not keep its memory for ever.
const SPARE_BUFFER_BYTES_MAX: usize = 16 << 10;

/// A transaction on its way to being decided.
#[derive(Debug, Default)]
pub struct Proposal {
    /// Its place.
    pub zxid: Zxid,
    /// Whom to answer, if a client of this server asked.
    pub origin: Option<Origin>,
    /// What is logged (quorum-and-disk 5.2).
    pub payload: Vec<u8>,
}

/// What is proposed and not yet committed, and who has acknowledged how much of it.
#[derive(Debug)]
pub struct Proposals {
    me: ServerId,
    generation: Generation,
    quorum: Quorum,
    /// One for each voter, in the order of `quorum.voters()`.
    acked: Vec<Zxid>,
    /// Contiguous zxids: front is the next to commit.
    window: VecDeque<Proposal>,
    /// The last that was proposed.
    last: Zxid,
    /// The last that has left.
    committed: Zxid,
    spare: Vec<Vec<u8>>,
}

impl Proposals {
    /// A window that goes on after `last`, which is committed and durable here.
    pub fn new(me: ServerId, quorum: Quorum, generation: Generation, last: Zxid) -> Self {
        let acked = vec![Zxid::ZERO; quorum.voters().len()];
        Self {
            me,
            generation,
            quorum,
            acked,
            window: VecDeque::new(),
            last,
            committed: last,
            spare: Vec::new(),
        }
    }

    /// The last zxid that was proposed.
    pub fn last(&self) -> Zxid {
        self.last
    }

    /// The last zxid that was handed out as committed.
    pub fn committed(&self) -> Zxid {
        self.committed
    }

    /// How many are outstanding.
    pub fn len(&self) -> usize {
        self.window.len()
    }

    /// Whether none is outstanding.
    pub fn is_empty(&self) -> bool {
        self.window.is_empty()
    }

    /// Whether another proposal may be made.
    pub fn has_room(&self) -> bool {
        self.window.len() < PROPOSALS_OUTSTANDING_MAX
    }

    /// Adds a proposal; `payload` is copied into a buffer of the window.
    pub fn propose(&mut self, zxid: Zxid, origin: Option<Origin>, payload: &[u8]) {
        assert_eq!(zxid, self.last.next(), "proposals are contiguous");
        assert!(self.has_room(), "more than {PROPOSALS_OUTSTANDING_MAX} proposals outstanding");
        self.last = zxid;
        let mut buffer = self.spare.pop().unwrap_or_default();
        buffer.extend_from_slice(payload);
        self.window.push_back(Proposal { zxid, origin, payload: buffer });
    }

    /// This server's own log is durable up to here: its vote. A token of an earlier role is
    /// dropped.
    pub fn on_durable(&mut self, token: DurableUpTo) {
        if token.generation() == self.generation {
            self.on_ack(self.me, token.zxid());
        }
    }

    /// A voter has everything up to `zxid` durable. Acknowledgements of servers that have no vote
    /// change nothing.
    fn on_ack(&mut self, voter: ServerId, zxid: Zxid) {
        assert!(zxid <= self.last, "{zxid} is acknowledged and was never proposed");
        if let Ok(index) = self.quorum.voters().binary_search(&voter) {
            let acked = &mut self.acked[index];
            *acked = zxid.max(*acked);
        }
    }

    /// The next proposal that a quorum has acknowledged. Give it back with [`Proposals::recycle`].
    pub fn next_committed(&mut self) -> Option<Proposal> {
        let decided = self.quorum.decided(&self.acked);
        if self.window.front()?.zxid > decided {
            return None;
        }
        let proposal = self.window.pop_front().expect("the window has a front");
        assert_eq!(proposal.zxid, self.committed.next(), "commits are contiguous");
        self.committed = proposal.zxid;
        Some(proposal)
    }

    /// Takes a committed proposal's buffer back.
    pub fn recycle(&mut self, mut proposal: Proposal) {
        let reusable = proposal.payload.capacity() <= SPARE_BUFFER_BYTES_MAX;
        if reusable && self.spare.len() < SPARE_BUFFERS_MAX {
            proposal.payload.clear();
            self.spare.push(proposal.payload);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(zxid: i64, generation: u64) -> DurableUpTo {
        DurableUpTo::confirmed_by_disk(Zxid(zxid), Generation(generation))
    }

    fn window(voters: i64) -> Proposals {
        let quorum = Quorum::majority((1..=voters).map(ServerId).collect());
        let mut window = Proposals::new(ServerId(1), quorum, Generation(3), Zxid(10));
        for zxid in 11..=13 {
            window.propose(Zxid(zxid), None, &[u8::try_from(zxid).unwrap()]);
        }
        window
    }

    fn committed(window: &mut Proposals) -> Vec<i64> {
        std::iter::from_fn(|| {
            let proposal = window.next_committed()?;
            assert_eq!(proposal.payload, [u8::try_from(proposal.zxid.0).unwrap()]);
            let zxid = proposal.zxid.0;
            window.recycle(proposal);
            Some(zxid)
        })
        .collect()
    }

    #[test]
    fn a_quorum_of_one_commits_what_its_own_log_holds() {
        let mut window = window(1);
        assert!(committed(&mut window).is_empty());
        window.on_durable(token(12, 3));
        assert_eq!(committed(&mut window), [11, 12]);
        window.on_durable(token(13, 3));
        assert_eq!(committed(&mut window), [13]);
        assert_eq!(window.committed(), window.last());
    }

    #[test]
    fn its_own_log_is_one_vote_of_three() {
        let mut window = window(3);
        window.on_durable(token(13, 3));
        assert!(committed(&mut window).is_empty());
        window.on_ack(ServerId(3), Zxid(11));
        assert_eq!(committed(&mut window), [11]);
        window.on_ack(ServerId(9), Zxid(13));
        assert!(committed(&mut window).is_empty());
        window.on_ack(ServerId(2), Zxid(13));
        assert_eq!(committed(&mut window), [12, 13]);
    }

    #[test]
    fn a_token_of_an_earlier_role_is_no_vote() {
        let mut window = window(1);
        window.on_durable(token(13, 2));
        assert!(committed(&mut window).is_empty());
    }
}
