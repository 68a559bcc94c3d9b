//! Before and after a run: the znodes that it needs, made and removed by one pipelined session.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use ringkeeper::wire::ErrorCode;

use crate::client::frames::{KEYS_PER_PARENT, Key, Path, Template, parent_path};
use crate::client::{Conn, Conns, Engine, Failure, Kind, Reply, Script, Turn};
use crate::load::{LEAVE_WAIT, Leave};

/// Makes the root, and the parents of `keys` keys.
pub fn plant_parents(addr: SocketAddr, root: &str, keys: u32) -> Result<(), Failure> {
    let paths = parents(root, keys);
    let make = |number: u64| {
        let path = &paths[usize::try_from(number).expect("an index")];
        (Template::create(&Path::fixed(path), b""), Key(0))
    };
    run(addr, "making the parents", paths.len() as u64, &[ErrorCode::NodeExists], make)?;
    Ok(())
}

/// Makes the root, the parents and `keys` keys with this data, whatever is there already.
pub fn plant(addr: SocketAddr, root: &str, keys: u32, data: &[u8]) -> Result<(), Failure> {
    plant_parents(addr, root, keys)?;
    let path = Path::keyed(root);
    let create = Template::create(&path, data);
    let what = "making the znodes of the run";
    let there = run_each(addr, what, &create, keys, &[ErrorCode::NodeExists])?;
    if there > 0 {
        run_each(addr, what, &Template::set(&path, data), keys, &[])?;
    }
    Ok(())
}

/// Removes what [`plant`] made. What somebody else put there stays.
pub fn uproot(addr: SocketAddr, root: &str, keys: u32) -> Result<(), Failure> {
    let allowed = [ErrorCode::NoNode, ErrorCode::NotEmpty];
    let what = "removing the znodes of the run";
    run_each(addr, what, &Template::delete(&Path::keyed(root)), keys, &allowed)?;
    let mut paths = parents(root, keys);
    paths.reverse();
    let make = |number: u64| {
        let path = &paths[usize::try_from(number).expect("an index")];
        (Template::delete(&Path::fixed(path)), Key(0))
    };
    run(addr, what, paths.len() as u64, &allowed, make)?;
    Ok(())
}

/// Sets one znode up with some data; it may exist.
pub fn plant_one(addr: SocketAddr, path: &str, data: &[u8]) -> Result<(), Failure> {
    let allowed = [ErrorCode::NodeExists];
    let make = |_| (Template::create(&Path::fixed(path), data), Key(0));
    run(addr, "making the znode of the run", 1, &allowed, make)?;
    Ok(())
}

/// Removes one znode, and leaves its ancestors.
pub fn uproot_one(addr: SocketAddr, path: &str) -> Result<(), Failure> {
    let make = |_| (Template::delete(&Path::fixed(path)), Key(0));
    run(addr, "removing the znode of the run", 1, &[ErrorCode::NoNode], make)?;
    Ok(())
}

/// Whether the server answers a getData of this znode now.
pub fn can_read(addr: SocketAddr, path: &str) -> bool {
    let make = |_| (Template::get(&Path::fixed(path), false), Key(0));
    run(addr, "reading a znode", 1, &[], make).is_ok()
}

/// Every ancestor of the keys, from the top.
fn parents(root: &str, keys: u32) -> Vec<String> {
    let steps = root.match_indices('/').skip(1).map(|(at, _)| root[..at].to_owned());
    let own = (0..keys.div_ceil(KEYS_PER_PARENT)).map(|parent| parent_path(root, parent));
    steps.chain([root.to_owned()]).chain(own).collect()
}

fn run_each(
    addr: SocketAddr,
    what: &str,
    template: &Template,
    keys: u32,
    allowed: &[ErrorCode],
) -> Result<u64, Failure> {
    let mut batch = Batch::new(what, u64::from(keys), allowed, |conn: &mut Conn, number, now| {
        let key = Key(u32::try_from(number).expect("below the number of keys"));
        conn.request(template, key, Kind::Other, now);
    });
    batch.run(addr)
}

fn run(
    addr: SocketAddr,
    what: &str,
    total: u64,
    allowed: &[ErrorCode],
    make: impl Fn(u64) -> (Template, Key),
) -> Result<u64, Failure> {
    let mut batch = Batch::new(what, total, allowed, |conn: &mut Conn, number, now| {
        let (template, key) = make(number);
        conn.request(&template, key, Kind::Other, now);
    });
    batch.run(addr)
}

/// A fixed number of requests, in order, over one session.
struct Batch<'a, F> {
    what: &'a str,
    total: u64,
    allowed: &'a [ErrorCode],
    ask: F,
    asked: u64,
    answered: u64,
    /// Answers with one of the allowed errors.
    excused: u64,
    refused: Option<i32>,
    last_answer: Instant,
}

/// Outstanding at once: Apache stops reading at 1,000.
const WINDOW: u64 = 256;
const STALL_WAIT: Duration = Duration::from_secs(30);
const SESSION_TIMEOUT_MS: i32 = 30_000;

impl<'a, F: FnMut(&mut Conn, u64, Instant)> Batch<'a, F> {
    fn new(what: &'a str, total: u64, allowed: &'a [ErrorCode], ask: F) -> Self {
        Self {
            what,
            total,
            allowed,
            ask,
            asked: 0,
            answered: 0,
            excused: 0,
            refused: None,
            last_answer: Instant::now(),
        }
    }

    /// How many answers were errors that are allowed.
    fn run(&mut self, addr: SocketAddr) -> Result<u64, Failure> {
        let mut engine = Engine::new()?;
        engine.conns.open(addr, SESSION_TIMEOUT_MS)?;
        engine.run(self)?;
        engine.run(&mut Leave::new(Instant::now() + LEAVE_WAIT))?;
        match self.refused {
            Some(err) => Err(Failure::Refused { what: self.what.to_owned(), err }),
            None => Ok(self.excused),
        }
    }
}

impl<F: FnMut(&mut Conn, u64, Instant)> Script for Batch<'_, F> {
    fn on_turn(&mut self, conns: &mut Conns, now: Instant) -> Result<Turn, Failure> {
        if self.answered == self.total || self.refused.is_some() {
            return Ok(Turn::Done);
        }
        let waited = now.saturating_duration_since(self.last_answer);
        if waited > STALL_WAIT {
            return Err(Failure::Stalled { waited, outstanding: conns.outstanding() });
        }
        let conn = conns.touch(0);
        while conn.is_open() && self.asked < self.total && self.asked - self.answered < WINDOW {
            (self.ask)(conn, self.asked, now);
            self.asked += 1;
        }
        Ok(Turn::WaitUntil(now + STALL_WAIT))
    }

    fn on_reply(&mut self, _conn: &mut Conn, reply: &Reply<'_>, now: Instant) {
        self.last_answer = now;
        self.answered += 1;
        if reply.err == 0 {
            return;
        }
        match ErrorCode::from_code(reply.err) {
            Some(code) if self.allowed.contains(&code) => self.excused += 1,
            _ => self.refused = Some(reply.err),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_come_before_their_children() {
        assert_eq!(parents("/a/b", 1001), ["/a", "/a/b", "/a/b/00000", "/a/b/00001"]);
        assert_eq!(parents("/r", 1), ["/r", "/r/00000"]);
    }
}
