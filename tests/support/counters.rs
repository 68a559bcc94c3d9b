//! Many writers, each with a znode whose data is a counter, and what a crash may do to them: every
//! acknowledged count is there afterwards, or one that was sent later.

use super::zk::{self, Zk};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

/// One writer's znode.
#[derive(Debug, Default)]
struct Counter {
    sent: AtomicU64,
    acked: AtomicU64,
}

/// All the writers.
#[derive(Debug)]
pub struct Counters {
    root: &'static str,
    all: Vec<Counter>,
}

impl Counters {
    /// Makes the znodes `root/w0`, `root/w1`, … at 0.
    pub fn create(address: SocketAddr, root: &'static str, writers: usize) -> Self {
        let counters = Self { root, all: (0..writers).map(|_| Counter::default()).collect() };
        let mut zk = Zk::connect(address).expect("it serves");
        zk.create(root, b"", 0).expect("it answers");
        for writer in 0..writers {
            let reply = zk.create(&counters.path(writer), &data(0, 8), 0).expect("it answers");
            assert_eq!(reply.header.err, 0);
        }
        counters
    }

    fn path(&self, writer: usize) -> String {
        format!("{}/w{writer}", self.root)
    }

    /// Every writer counts on, with data of `bytes` bytes (a multiple of 8), until its socket
    /// breaks. `meanwhile` runs beside them and has to see to it that the sockets do.
    pub fn write_while(&self, address: SocketAddr, bytes: usize, meanwhile: impl FnOnce()) {
        std::thread::scope(|scope| {
            for writer in 0..self.all.len() {
                scope.spawn(move || self.write_until_cut(address, writer, bytes));
            }
            meanwhile();
        });
    }

    fn write_until_cut(&self, address: SocketAddr, writer: usize, bytes: usize) -> Option<()> {
        let mut zk = Zk::connect(address).ok()?;
        let (path, counter) = (self.path(writer), &self.all[writer]);
        loop {
            let count = counter.sent.fetch_add(1, Ordering::SeqCst) + 1;
            let reply = zk.call(&zk::set(&path, &data(count, bytes))).ok()?;
            assert_eq!(reply.header.err, 0, "writer {writer}: a write was refused");
            counter.acked.store(count, Ordering::SeqCst);
        }
    }

    /// The sum of all acknowledged counts.
    pub fn acknowledged(&self) -> u64 {
        self.all.iter().map(|counter| counter.acked.load(Ordering::SeqCst)).sum()
    }

    /// What is there against what may be there, a sentence for each znode that is not as it should
    /// be. What was in flight is decided now: the writers go on from what was found.
    pub fn lost(&self, address: SocketAddr) -> Vec<String> {
        let mut zk = Zk::connect(address).expect("the server serves again");
        let mut lost = Vec::new();
        for (writer, counter) in self.all.iter().enumerate() {
            let found = zk.get(&self.path(writer)).expect("the server answers");
            let found = found.expect("the znode is there");
            let (first, _) = found.split_first_chunk().expect("a counter has 8 bytes");
            let count = u64::from_be_bytes(*first);
            if found != data(count, found.len()) {
                lost.push(format!("writer {writer}: the data was never sent: {found:x?}"));
            }
            let acked = counter.acked.load(Ordering::SeqCst);
            let sent = counter.sent.load(Ordering::SeqCst);
            if !(acked..=sent).contains(&count) {
                lost.push(format!("writer {writer}: {acked} was acknowledged, {count} is there"));
            }
            counter.sent.store(count, Ordering::SeqCst);
            counter.acked.store(count, Ordering::SeqCst);
        }
        lost
    }
}

fn data(count: u64, bytes: usize) -> Vec<u8> {
    count.to_be_bytes().repeat(bytes / 8)
}

/// xorshift: moments that differ from round to round, and are the same in every run.
#[derive(Debug)]
pub struct Moments(u64);

impl Moments {
    /// From the beginning.
    pub fn new() -> Self {
        Self(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}
