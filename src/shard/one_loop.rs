//! Both machines on one core: no queue, no hop, nobody to wait for.

use std::sync::Arc;
use std::sync::atomic::Ordering as Memory;

use super::clients::{Clients, Here, Orderer};
use super::ordering::{Fronts, Ordering};
use super::turn::{self, Spin, Stop};
use super::words::{self, Facts};
use super::{Error, clock};
use crate::front;
use crate::net::Wake;
use crate::replica;
use crate::types::{Now, ShardId};
use crate::wire::committed::CommitBatch;

/// Everything that this loop owns. The order of the fields is the order of their end: the ring
/// goes before the memory and the files that it may still write from and to.
pub struct OneLoop {
    /// The clients' side.
    pub clients: Clients,
    /// The order's side, and the log.
    pub ordering: Ordering,
    /// Its bell.
    pub bell: Arc<Wake>,
    /// For operators' words.
    pub facts: Arc<Facts>,
    /// Whether to spin before sleeping.
    pub spin: Spin,
}

/// The front's way to the replica: a call.
struct ToReplica<'a>(&'a mut Ordering, Now);

impl Orderer for ToReplica<'_> {
    fn request(&mut self, input: replica::Input<'_>) {
        self.0.step(self.1, input);
    }
}

/// The replica's way to the front: a call.
struct ToFront<'a>(&'a mut Clients, Now);

impl Fronts for ToFront<'_> {
    fn tell(&mut self, _: ShardId, input: front::Input<'static>) -> Result<(), Error> {
        self.0.step(self.1, input);
        Ok(())
    }

    fn publish(&mut self, batch: &mut CommitBatch) -> Result<(), Error> {
        self.0.step(self.1, front::Input::Committed(batch));
        Ok(())
    }
}

impl OneLoop {
    /// Runs until it is told to stop and everything that was taken is answered.
    pub fn run(mut self, stop: &Stop) -> Result<(), Error> {
        self.ordering.attach(&mut self.clients.net)?;
        let mut now = clock::now();
        loop {
            let until = self.clients.wake_at().min(self.ordering.wake_at());
            let timeout = turn::timeout(now, until);
            let (net, ordering) = (&mut self.clients.net, &self.ordering);
            let inbox = || ordering.has_news() || stop.is_new();
            turn::wait(net, &self.bell, timeout, self.spin.when(ordering.is_busy()), inbox)?;

            now = clock::now();
            self.clients.take(now, &mut Here)?;
            for index in 0..self.clients.written.len() {
                self.ordering.written(now, self.clients.written[index])?;
            }
            self.clients.written.clear();
            self.ordering.mind_background(now)?;
            if now.mono >= self.ordering.replica.wake_at() {
                self.ordering.step(now, replica::Input::Tick);
            }
            self.carry_out(now)?;
            self.answer_words(now)?;
            self.ordering.write(&mut self.clients.net)?;
            self.clients.flush()?;
            if stop.is_asked() && self.is_drained(now, stop)? {
                return Ok(());
            }
        }
    }

    /// Each machine's outputs are the other's inputs; a turn ends when both have nothing to say.
    fn carry_out(&mut self, now: Now) -> Result<(), Error> {
        loop {
            let said = self.clients.carry_out(&mut ToReplica(&mut self.ordering, now))?;
            let answered = self.ordering.carry_out(&mut ToFront(&mut self.clients, now))?;
            if !said && !answered {
                return Ok(());
            }
        }
    }

    fn answer_words(&mut self, now: Now) -> Result<(), Error> {
        for index in 0..self.clients.asked.len() {
            let asked = self.clients.asked[index];
            let parts =
                if self.facts.allows(asked.word) { asked.word.parts() } else { Default::default() };
            let mut snapshot = self.facts.begin(parts, now);
            words::add_front(&mut snapshot, parts, &self.clients, Some(asked.conn), now);
            words::add_replica(&mut snapshot, parts, &self.ordering.replica, now);
            let (text, effect) = self.facts.answer(&asked, &snapshot);
            words::take_effect(&mut self.clients.front, effect);
            self.clients.answer(asked.conn, &text)?;
        }
        self.clients.asked.clear();
        Ok(())
    }

    /// First no more is taken, then what was taken is ordered, logged and answered.
    fn is_drained(&mut self, now: Now, stop: &Stop) -> Result<bool, Error> {
        if !self.clients.quiet {
            self.clients.quiet = true;
            self.clients.net.stop_listening().map_err(Error::Net)?;
        }
        stop.seen.store(true, Memory::Relaxed);
        Ok(!self.ordering.is_busy() || stop.is_overdue(now.mono))
    }
}
