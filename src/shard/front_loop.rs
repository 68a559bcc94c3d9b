//! A front's core, where the replica has one of its own.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering as Memory;

use super::clients::{Clients, Orderer, Placement};
use super::mesh::{Mesh, Publication, Requests};
use super::turn::{self, Spin, Stop};
use super::words::{self, Answered, Asked, Facts, Question};
use super::{Error, clock};
use crate::admin::Effect;
use crate::admin::stats::Snapshot;
use crate::front;
use crate::net::Admission;
use crate::replica;
use crate::types::{Now, ShardId};

/// Publications taken in one turn: with each come replies, and those should leave.
const PUBLICATIONS_PER_TURN_MAX: usize = 64;

/// Everything that this loop owns.
pub struct FrontLoop {
    /// The clients' side.
    pub clients: Clients,
    /// Which front this is.
    pub shard: ShardId,
    /// The queues.
    pub mesh: Arc<Mesh>,
    /// For sockets that find no place.
    pub admission: Arc<Admission>,
    /// For operators' words.
    pub facts: Arc<Facts>,
    /// Whether to spin before sleeping.
    pub spin: Spin,
    requests: Requests,
    words: Vec<Pending>,
    next_word: u64,
}

/// A word whose answer the other cores have still to add to.
struct Pending {
    number: u64,
    asked: Asked,
    snapshot: Box<Snapshot>,
    missing: usize,
}

/// The front's way to the replica: a message a turn.
struct ToReplica<'a>(&'a mut Requests);

impl Orderer for ToReplica<'_> {
    fn request(&mut self, input: replica::Input<'_>) {
        self.0.push(&input);
    }
}

/// The first front accepts for all, and gives each connection to whoever has the fewest.
struct Spread<'a> {
    shard: ShardId,
    mesh: &'a Mesh,
    admission: &'a Admission,
}

impl Placement for Spread<'_> {
    fn place(&mut self, socket: OwnedFd, peer: SocketAddr) -> Option<OwnedFd> {
        let links = self.mesh.links.iter().enumerate();
        let (index, link) = links
            .min_by_key(|(_, link)| link.connections.load(Memory::Relaxed))
            .expect("there is a front at least");
        if index == usize::from(self.shard.0) {
            return Some(socket);
        }
        link.expect_connection();
        if link.sockets.push((socket, peer)).is_err() {
            log::warn!("{peer} is refused: too many connections at once");
            self.admission.release(peer.ip());
        }
        link.bell.ring();
        None
    }
}

impl FrontLoop {
    /// A front's loop.
    pub fn new(
        clients: Clients,
        shard: ShardId,
        mesh: Arc<Mesh>,
        admission: Arc<Admission>,
        facts: Arc<Facts>,
    ) -> Self {
        Self {
            clients,
            shard,
            mesh,
            admission,
            facts,
            spin: Spin::Allowed,
            requests: Requests::default(),
            words: Vec::new(),
            next_word: 0,
        }
    }

    /// Runs until the replica's loop says that everything is drained.
    pub fn run(mut self, stop: &Stop) -> Result<(), Error> {
        let mesh = Arc::clone(&self.mesh);
        let link = &mesh.links[usize::from(self.shard.0)];
        let mut now = clock::now();
        loop {
            let unsent = !self.requests.is_empty();
            let timeout = turn::timeout(now, self.clients.wake_at());
            // A message that found no place is tried again soon.
            let timeout = if unsent { timeout.min(RETRY) } else { timeout };
            let busy = self.clients.front.stats().outstanding > 0;
            let quiet = self.clients.quiet;
            let inbox = || {
                link.has_news() || (stop.is_asked() && !quiet) || mesh.drained.load(Memory::Acquire)
            };
            turn::wait(&mut self.clients.net, &link.bell, timeout, self.spin.when(busy), inbox)?;

            now = clock::now();
            let mut spread = Spread { shard: self.shard, mesh: &mesh, admission: &self.admission };
            self.clients.take(now, &mut spread)?;
            while let Some((socket, peer)) = link.sockets.pop() {
                self.clients.net.adopt(socket, peer).map_err(Error::Net)?;
            }
            for _ in 0..PUBLICATIONS_PER_TURN_MAX {
                match link.next_publication() {
                    None => break,
                    Some(Publication::Committed(batch)) => {
                        self.clients.step(now, front::Input::Committed(&batch));
                    }
                    Some(Publication::Told(input)) => self.clients.step(now, input),
                }
            }
            while self.clients.carry_out(&mut ToReplica(&mut self.requests))? {}
            link.send(&mut self.requests, &mesh.bell);
            self.mind_words(now)?;
            self.clients.flush()?;
            link.connections.store(self.clients.net.connections(), Memory::Relaxed);
            if stop.is_asked() {
                self.become_quiet()?;
                let over = mesh.drained.load(Memory::Acquire) && !link.has_news();
                if over || stop.is_overdue(now.mono) {
                    return Ok(());
                }
            }
        }
    }

    fn become_quiet(&mut self) -> Result<(), Error> {
        if !self.clients.quiet {
            self.clients.quiet = true;
            self.clients.net.stop_listening().map_err(Error::Net)?;
        }
        if self.requests.is_empty() {
            self.mesh.links[usize::from(self.shard.0)].quiet.store(true, Memory::Release);
            self.mesh.bell.ring();
        }
        Ok(())
    }

    /// Asks the other cores for their parts of words, tells them ours, and answers what is whole.
    fn mind_words(&mut self, now: Now) -> Result<(), Error> {
        let mesh = Arc::clone(&self.mesh);
        let link = &mesh.links[usize::from(self.shard.0)];
        for index in 0..self.clients.asked.len() {
            self.ask(self.clients.asked[index], now)?;
        }
        self.clients.asked.clear();
        while let Some(question) = link.questions.pop() {
            words::take_effect(&mut self.clients.front, question.effect);
            let mut part = Box::new(Snapshot::default());
            words::add_front(&mut part, question.parts, &self.clients, None, now);
            let asker = &mesh.links[usize::from(question.from.0)];
            // An asker with so many open answers has hung up on some of them.
            let _ = asker.answers.push(Answered { number: question.number, snapshot: part });
            asker.bell.ring();
        }
        while let Some(answered) = link.answers.pop() {
            let Some(at) = self.words.iter().position(|word| word.number == answered.number) else {
                continue;
            };
            let word = &mut self.words[at];
            words::add_answered(&mut word.snapshot, *answered.snapshot);
            word.missing -= 1;
            if word.missing == 0 {
                let word = self.words.swap_remove(at);
                self.finish(&word)?;
            }
        }
        Ok(())
    }

    fn ask(&mut self, asked: Asked, now: Now) -> Result<(), Error> {
        let parts =
            if self.facts.allows(asked.word) { asked.word.parts() } else { Default::default() };
        let mut snapshot = Box::new(self.facts.begin(parts, now));
        words::add_front(&mut snapshot, parts, &self.clients, Some(asked.conn), now);
        self.next_word += 1;
        let mut word = Pending { number: self.next_word, asked, snapshot, missing: 0 };
        let local = parts.is_empty();
        if !local {
            word.missing = self.tell_all(word.number, parts, Effect::None);
        }
        if word.missing == 0 {
            return self.finish(&word);
        }
        self.words.push(word);
        Ok(())
    }

    /// Puts a question to every other core; how many will answer.
    fn tell_all(
        &self,
        number: u64,
        parts: &'static [crate::admin::stats::Part],
        effect: Effect,
    ) -> usize {
        let question = Question { from: self.shard, number, parts, effect };
        let mut answers = usize::from(self.mesh.questions.push(question).is_ok());
        self.mesh.bell.ring();
        for (index, link) in self.mesh.links.iter().enumerate() {
            if index != usize::from(self.shard.0) {
                answers += usize::from(link.questions.push(question).is_ok());
                link.bell.ring();
            }
        }
        answers
    }

    fn finish(&mut self, word: &Pending) -> Result<(), Error> {
        let (text, effect) = self.facts.answer(&word.asked, &word.snapshot);
        if effect != Effect::None {
            words::take_effect(&mut self.clients.front, effect);
            // Number 0 is nobody's: the answers are dropped.
            self.tell_all(0, &[], effect);
        }
        self.clients.answer(word.asked.conn, &text)
    }
}

/// When a message that found no place is tried again.
const RETRY: std::time::Duration = std::time::Duration::from_micros(200);
