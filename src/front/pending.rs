//! Requests of connections that wait for their turn to be answered.
//!
//! A connection answers in the order of its requests. A request that needs the one order waits
//! for its transaction; whatever came behind it waits for it. All queues of a front share one
//! slab, so an idle connection costs two numbers, and a steady stream allocates nothing.

use std::sync::Arc;

use crate::front::Why;
use crate::types::{Instant, Xid};
use crate::wire::ErrorCode;
use crate::wire::submission::Identity;

/// A waiting request's buffer larger than this is freed when the request is answered.
const SPARE_BUFFER_BYTES_MAX: usize = 4096;

/// No entry.
const NONE: u32 = u32::MAX;

/// What must happen before, and how, a request is answered.
#[derive(Clone, Debug)]
pub(super) enum Waiting {
    /// Its transaction must be committed (or, for a sync, its place in the order reached).
    Ordered,
    /// Nothing but its turn: a read, with who asked.
    Local(Arc<[Identity]>),
    /// Nothing but its turn: the answer is a bare header, and perhaps the end.
    Ready {
        /// The header's error.
        error: ErrorCode,
        /// The header's zxid; the last applied one if `None`.
        zxid: Option<i64>,
        /// Whether the connection ends here.
        hangup: Option<Why>,
    },
}

/// A request that was read and not yet answered.
#[derive(Debug)]
pub(super) struct Pending {
    pub xid: Xid,
    pub op: i32,
    pub waiting: Waiting,
    pub since: Instant,
    /// A local request's body, or the reply's that is decided; empty for the others.
    pub body: Vec<u8>,
    next: u32,
}

/// The queue of one connection: first and last entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Queue {
    head: u32,
    tail: u32,
}

impl Queue {
    pub const EMPTY: Self = Self { head: NONE, tail: NONE };

    pub fn is_empty(self) -> bool {
        self.head == NONE
    }
}

/// The slab behind all queues of a front.
#[derive(Debug, Default)]
pub(super) struct Requests {
    entries: Vec<Pending>,
    free: Vec<u32>,
}

impl Requests {
    /// Queues a request; `body` is copied.
    pub fn push(
        &mut self,
        queue: &mut Queue,
        (xid, op): (Xid, i32),
        waiting: Waiting,
        since: Instant,
        body: &[u8],
    ) {
        let index = if let Some(index) = self.free.pop() {
            let entry = &mut self.entries[index as usize];
            entry.xid = xid;
            entry.op = op;
            entry.waiting = waiting;
            entry.since = since;
            entry.body.extend_from_slice(body);
            entry.next = NONE;
            index
        } else {
            let index = u32::try_from(self.entries.len()).expect("queues are bounded");
            let body = body.to_vec();
            self.entries.push(Pending { xid, op, waiting, since, body, next: NONE });
            index
        };
        if queue.tail == NONE {
            queue.head = index;
        } else {
            self.entries[queue.tail as usize].next = index;
        }
        queue.tail = index;
    }

    /// The request whose turn it is.
    pub fn first(&self, queue: Queue) -> Option<&Pending> {
        (queue.head != NONE).then(|| &self.entries[queue.head as usize])
    }

    /// Takes the body of the first request out, to be given back with [`Requests::pop`].
    pub fn take_body(&mut self, queue: Queue) -> Vec<u8> {
        std::mem::take(&mut self.entries[queue.head as usize].body)
    }

    /// Drops the first request; `body` is what [`Requests::take_body`] gave, or empty.
    pub fn pop(&mut self, queue: &mut Queue, body: Vec<u8>) {
        assert!(queue.head != NONE, "a queue that is popped has an entry");
        let index = queue.head;
        let entry = &mut self.entries[index as usize];
        queue.head = entry.next;
        if queue.head == NONE {
            queue.tail = NONE;
        }
        if body.capacity() > entry.body.capacity() {
            entry.body = body;
        }
        if entry.body.capacity() > SPARE_BUFFER_BYTES_MAX {
            entry.body = Vec::new();
        }
        entry.body.clear();
        // Drops the identities of a local request.
        entry.waiting = Waiting::Ordered;
        self.free.push(index);
    }

    /// Drops every request of a connection. Returns how many there were, and how many of them
    /// had an xid above 0.
    pub fn clear(&mut self, queue: &mut Queue) -> (u32, u32) {
        let mut dropped = (0, 0);
        while let Some(first) = self.first(*queue) {
            dropped.0 += 1;
            dropped.1 += u32::from(first.xid.0 > 0);
            self.pop(queue, Vec::new());
        }
        dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn xids(requests: &mut Requests, queue: &mut Queue) -> Vec<i32> {
        std::iter::from_fn(|| {
            let xid = requests.first(*queue)?.xid.0;
            let body = requests.take_body(*queue);
            assert_eq!(body, [u8::try_from(xid).unwrap()]);
            requests.pop(queue, body);
            Some(xid)
        })
        .collect()
    }

    #[test]
    fn queues_share_a_slab_and_keep_their_order() {
        let mut requests = Requests::default();
        let (mut a, mut b) = (Queue::EMPTY, Queue::EMPTY);
        for round in 0..3 {
            for xid in 0..10 {
                let queue = if xid % 2 == 0 { &mut a } else { &mut b };
                let body = [u8::try_from(xid).unwrap()];
                requests.push(queue, (Xid(xid), 4), Waiting::Ordered, Instant(0), &body);
            }
            assert_eq!(xids(&mut requests, &mut a), [0, 2, 4, 6, 8], "round {round}");
            assert_eq!(requests.clear(&mut b), (5, 5), "round {round}");
            assert!(a.is_empty());
            assert!(b.is_empty());
            assert_eq!(requests.entries.len(), 10, "entries are used again");
        }
    }
}
