//! The replica's own core: orders what the fronts send, logs it, and publishes what is committed.

use std::sync::Arc;
use std::sync::atomic::Ordering as Memory;
use std::time::Duration;

use super::mesh::{Batches, Mesh, Publication};
use super::ordering::{Fronts, Ordering};
use super::turn::{self, Spin, Stop};
use super::words::{self, Answered};
use super::{Error, clock};
use crate::admin::stats::Snapshot;
use crate::front;
use crate::net::{DiskWritten, Flow, Net, Service, Wake};
use crate::replica;
use crate::types::{ConnId, Now, ShardId};
use crate::wire::committed::CommitBatch;

/// Messages of one front taken in one turn: every front has its turn.
const MESSAGES_PER_TURN_MAX: usize = 16;

/// How long to wait for a front whose queue is full before looking again.
const FULL_QUEUE_PAUSE: Duration = Duration::from_micros(50);

/// Everything that this loop owns. The order of the fields is the order of their end: the ring
/// goes before the memory and the files that it may still write from and to.
pub struct ReplicaLoop {
    /// The ring: log writes and the bell.
    pub net: Net,
    /// The machine and its log.
    pub ordering: Ordering,
    /// The queues.
    pub mesh: Arc<Mesh>,
    /// Whether to spin before sleeping.
    pub spin: Spin,
    /// Memory of what is published.
    pub batches: Batches,
}

/// The replica's way to the fronts: a message each.
struct ToFronts<'a> {
    mesh: &'a Mesh,
    batches: &'a mut Batches,
    stop: &'a Stop,
}

impl ToFronts<'_> {
    /// Waits for a front that is far behind. No front waits for us, so it will catch up, unless it
    /// has ended: then the server stops, and after a while nobody is told any more.
    fn send(&self, shard: usize, mut publication: Publication) {
        let link = &self.mesh.links[shard];
        while let Err(unsent) = link.publish(publication) {
            publication = unsent;
            if self.stop.is_overdue(clock::mono()) {
                return;
            }
            link.bell.ring();
            std::thread::sleep(FULL_QUEUE_PAUSE);
        }
        link.bell.ring();
    }
}

impl Fronts for ToFronts<'_> {
    fn tell(&mut self, shard: ShardId, input: front::Input<'static>) -> Result<(), Error> {
        self.send(usize::from(shard.0), Publication::Told(input));
        Ok(())
    }

    fn publish(&mut self, batch: &mut CommitBatch) -> Result<(), Error> {
        let shared = self.batches.share(batch);
        for shard in 0..self.mesh.links.len() {
            self.send(shard, Publication::Committed(Arc::clone(&shared)));
        }
        Ok(())
    }
}

/// No sockets here: only the log answers.
struct LogOnly(Vec<DiskWritten>);

impl Service for LogOnly {
    fn accepts(&mut self, _: ConnId) -> bool {
        false
    }
    fn frame(&mut self, _: ConnId, _: std::net::SocketAddr, _: bool, _: &[u8]) -> Flow {
        unreachable!("the replica's core has no clients")
    }
    fn word_argument_len(&self, _: [u8; 4]) -> Option<usize> {
        None
    }
    fn word(&mut self, _: ConnId, _: std::net::SocketAddr, _: [u8; 4], _: &[u8]) {
        unreachable!("the replica's core has no clients")
    }
    fn closed(&mut self, _: ConnId) {}
    fn place(
        &mut self,
        _: std::os::fd::OwnedFd,
        _: std::net::SocketAddr,
    ) -> Option<std::os::fd::OwnedFd> {
        None
    }
    fn written(&mut self, written: DiskWritten) {
        self.0.push(written);
    }
}

impl ReplicaLoop {
    /// Runs until all fronts are quiet and everything they sent is ordered, logged and published.
    pub fn run(mut self, bell: &Wake, stop: &Stop) -> Result<(), Error> {
        self.ordering.attach(&mut self.net)?;
        let mut log = LogOnly(Vec::new());
        let mut now = clock::now();
        loop {
            let timeout = turn::timeout(now, self.ordering.wake_at());
            let spin = self.spin.when(self.ordering.is_busy());
            let (mesh, ordering) = (&self.mesh, &self.ordering);
            let inbox = || mesh.has_requests() || ordering.has_news() || stop.is_new();
            turn::wait(&mut self.net, bell, timeout, spin, inbox)?;

            now = clock::now();
            self.net.deliver(now.mono, &mut log).map_err(Error::Net)?;
            for written in log.0.drain(..) {
                self.ordering.written(now, written)?;
            }
            self.take_requests(now);
            self.ordering.mind_background(now)?;
            if now.mono >= self.ordering.replica.wake_at() {
                self.ordering.step(now, replica::Input::Tick);
            }
            let mut fronts = ToFronts { mesh: &self.mesh, batches: &mut self.batches, stop };
            while self.ordering.carry_out(&mut fronts)? {}
            self.ordering.write(&mut self.net)?;
            self.answer_questions(now);
            if stop.is_asked() {
                stop.seen.store(true, Memory::Relaxed);
                if self.is_drained() || stop.is_overdue(now.mono) {
                    self.mesh.drained.store(true, Memory::Release);
                    self.mesh.ring_all();
                    return Ok(());
                }
            }
        }
    }

    fn take_requests(&mut self, now: Now) {
        for (index, link) in self.mesh.links.iter().enumerate() {
            let shard = ShardId(u16::try_from(index).expect("SHARDS_MAX is small"));
            for _ in 0..MESSAGES_PER_TURN_MAX {
                let Some(requests) = link.receive() else { break };
                requests.replay(shard, |input| self.ordering.step(now, input));
                link.give_back(requests);
            }
        }
    }

    fn answer_questions(&mut self, now: Now) {
        while let Some(question) = self.mesh.questions.pop() {
            let mut part = Box::new(Snapshot::default());
            words::add_replica(&mut part, question.parts, &self.ordering.replica, now);
            let asker = &self.mesh.links[usize::from(question.from.0)];
            // An asker with so many open answers has hung up on some of them.
            let _ = asker.answers.push(Answered { number: question.number, snapshot: part });
            asker.bell.ring();
        }
    }

    fn is_drained(&self) -> bool {
        self.mesh.links.iter().all(|link| link.quiet.load(Memory::Acquire))
            && !self.mesh.has_requests()
            && !self.ordering.is_busy()
    }
}
