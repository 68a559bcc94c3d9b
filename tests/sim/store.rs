//! The store alone as a server: log, metadata, recovery, snapshots and purge, under a toy state.
//!
//! The state is sixteen numbers and a hash of everything that ever happened; transactions are
//! random bytes. What is asserted of every recovery:
//!
//! * D-1: epochs are those promised or newer, and the current one is not above the accepted one;
//! * D-2: every acknowledged transaction is there, and nothing that was never appended;
//! * D-3 (by the explorer): an interrupted recovery finds what an undisturbed one finds;
//! * D-4: snapshot and log after it give the state that the same history gave when it was written.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use ringkeeper::storage::block::BLOCK_BYTES;
use ringkeeper::storage::disk::{Completion, OpId, Write};
use ringkeeper::storage::log::{Log, LogConfig, Prepare};
use ringkeeper::storage::meta::{Meta, MetaStore};
use ringkeeper::storage::open::{self, Opened};
use ringkeeper::storage::purge::{Keep, purge};
use ringkeeper::storage::reader::Reader;
use ringkeeper::storage::segment;
use ringkeeper::storage::snapshot::{Image, Sink, Snapshot, publish};
use ringkeeper::storage::snapshot_format::SectionKind;
use ringkeeper::storage::{Error, Identity, OpenConfig};
use ringkeeper::types::{Generation, Zxid};

use crate::disk::SimDisk;
use crate::explore::Server;
use crate::rng::Rng;

const CELLS: SectionKind = SectionKind(1);
const BALLAST: SectionKind = SectionKind(2);
const SEGMENT_BYTES: u64 = 48 << 10;

/// Tiny segments and batches: everything that takes hours in earnest happens in every run.
pub const CONFIG: OpenConfig = OpenConfig {
    log: LogConfig {
        segment_bytes: SEGMENT_BYTES,
        first_segment_bytes: 20 << 10,
        batch_bytes: 6 << 10,
        in_flight_max: 4,
    },
    new_identity: Identity([0x5a; 16]),
    verify_threads: 1,
};

/// Sixteen numbers, and a hash of the history that made them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cells {
    cells: [u64; 16],
    hash: u64,
    zxid: Zxid,
}

impl Cells {
    fn apply(&mut self, zxid: Zxid, payload: &[u8]) {
        let crc = u64::from(crc32c::crc32c(payload));
        let cell = payload.first().map_or(0, |byte| usize::from(byte % 16));
        self.cells[cell] = self.cells[cell].wrapping_mul(31) ^ crc;
        self.hash = (self.hash ^ crc ^ zxid.0 as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.zxid = zxid;
    }

    fn bytes(&self) -> Vec<u8> {
        let numbers = self.cells.iter().chain([&self.hash]);
        numbers.flat_map(|number| number.to_le_bytes()).collect()
    }

    fn from_snapshot(snapshot: &Snapshot) -> Result<Self, String> {
        let bytes = snapshot.section(CELLS).ok_or("a snapshot without its section")?;
        let number = |index: usize| {
            u64::from_le_bytes(bytes[index * 8..index * 8 + 8].try_into().expect("eight bytes"))
        };
        let mut cells = Self { zxid: snapshot.zxid(), hash: number(16), ..Self::default() };
        for (index, cell) in cells.cells.iter_mut().enumerate() {
            *cell = number(index);
        }
        if snapshot.digest() as u64 != cells.hash {
            return Err("a snapshot whose digest is not its content's".into());
        }
        let ballast = snapshot.section(BALLAST).ok_or("a snapshot without its ballast")?;
        if ballast.iter().all(|byte| *byte == ballast_byte(cells.zxid)) {
            Ok(cells)
        } else {
            Err("a snapshot with another one's ballast".into())
        }
    }
}

fn ballast_byte(zxid: Zxid) -> u8 {
    (zxid.0 as u8) | 1
}

impl Image for Cells {
    fn zxid(&self) -> Zxid {
        self.zxid
    }
    fn digest(&self) -> i64 {
        self.hash as i64
    }
    fn write(&self, sink: &mut dyn Sink) -> Result<(), Error> {
        sink.begin(CELLS)?;
        sink.put(&self.bytes())?;
        sink.begin(BALLAST)?;
        for _ in 0..self.zxid.0 % 5 {
            sink.put(&[ballast_byte(self.zxid); 1000])?;
        }
        Ok(())
    }
}

/// What the outside knows.
#[derive(Clone)]
pub struct Oracle {
    /// The state after each transaction that was appended and may be on the disk.
    states: BTreeMap<Zxid, Cells>,
    /// The last acknowledged transaction.
    acked: Zxid,
    /// What the metadata block was acknowledged to hold, and what it was asked to hold.
    promised: Meta,
    asked: Meta,
    /// Entries after this are being removed: they may be there or not, all of them.
    truncating: Option<Zxid>,
    /// The largest transaction, in bytes; and whether zeros may fill one.
    payload_bytes: usize,
    with_zeros: bool,
}

impl Oracle {
    /// D-1, D-2 and D-4, for what a recovery found. Accepts it as the truth from now on.
    fn check(&mut self, meta: &Meta, cells: &Cells) -> Result<(), String> {
        let (promised, asked) = (&self.promised, &self.asked);
        let epochs_hold = meta.current_epoch <= meta.accepted_epoch
            && meta.accepted_epoch >= promised.accepted_epoch
            && meta.current_epoch >= promised.current_epoch
            && meta.accepted_epoch <= asked.accepted_epoch
            && meta.current_epoch <= asked.current_epoch;
        if !epochs_hold {
            return Err(format!("D-1: epochs {meta:?}, promised {promised:?}, asked {asked:?}"));
        }
        let last = cells.zxid;
        let held = match self.truncating {
            Some(to) => last == to || last >= self.acked,
            None => last >= self.acked,
        };
        if !held {
            return Err(format!(
                "D-2: the log ends at {last}, acknowledged is {}, truncating {:?}",
                self.acked, self.truncating
            ));
        }
        match self.states.get(&last) {
            Some(expected) if expected == cells => {}
            expected => return Err(format!("D-4: at {last} is {cells:?}, written {expected:?}")),
        }
        // From here on clients see it: it may never be lost again.
        self.states.split_off(&last.next());
        self.acked = last;
        self.promised = *meta;
        self.asked = *meta;
        self.truncating = None;
        Ok(())
    }

    fn last(&self) -> Zxid {
        self.states.last_key_value().map_or(Zxid::ZERO, |(zxid, _)| *zxid)
    }

    fn at(&self, zxid: Zxid) -> Cells {
        self.states.get(&zxid).copied().unwrap_or_default()
    }
}

/// A running store.
pub struct Store {
    disk: SimDisk,
    oracle: Rc<RefCell<Oracle>>,
    opened: Option<Parts>,
    found: (Zxid, u64, i64, i64),
    in_flight: Vec<OpId>,
    meta_op: Option<OpId>,
    ordered: Option<Prepare>,
    snapshots: Vec<Zxid>,
    generation: Generation,
    checked: Cells,
    meta_found: Meta,
}

struct Parts {
    log: Log,
    meta: MetaStore,
    identity: Identity,
}

/// Opens the store and replays it.
fn recover(disk: &mut SimDisk) -> Result<Result<(Opened, Cells), String>, String> {
    match open::open_disk(disk, &CONFIG) {
        Ok(opened) => replay(disk, opened),
        Err(error) => Ok(Err(error.to_string())),
    }
}

fn replay(
    disk: &mut SimDisk,
    mut opened: Opened,
) -> Result<Result<(Opened, Cells), String>, String> {
    let mut cells = match &opened.snapshot {
        Some(snapshot) => Cells::from_snapshot(snapshot)?,
        None => Cells::default(),
    };
    while let Some((zxid, payload)) = opened.tail.next(disk).map_err(|error| error.to_string())? {
        cells.apply(zxid, payload);
    }
    if cells.zxid != opened.report.last {
        return Err(format!("the tail ends at {}, said {}", cells.zxid, opened.report.last));
    }
    Ok(Ok((opened, cells)))
}

impl Server for Store {
    type Oracle = Oracle;
    type Found = (Zxid, u64, i64, i64);

    fn oracle(rng: &mut Rng) -> Oracle {
        Oracle {
            states: BTreeMap::from([(Zxid::ZERO, Cells::default())]),
            acked: Zxid::ZERO,
            promised: Meta::default(),
            asked: Meta::default(),
            truncating: None,
            payload_bytes: [40, 300, 1500, 9000][rng.below(4)],
            with_zeros: false,
        }
    }

    fn start(
        mut disk: SimDisk,
        oracle: Rc<RefCell<Oracle>>,
    ) -> Result<Result<Self, String>, String> {
        let (opened, cells) = match recover(&mut disk)? {
            Ok(found) => found,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let meta = opened.meta.meta();
        // Checked now, accepted in `serve`: until then nobody has seen it.
        oracle.borrow().clone().check(&meta, &cells)?;
        let snapshots = opened.snapshot.iter().map(Snapshot::zxid).collect();
        let (log, identity) = (opened.log, opened.identity);
        Ok(Ok(Self {
            disk,
            oracle,
            found: (cells.zxid, cells.hash, meta.accepted_epoch, meta.current_epoch),
            opened: Some(Parts { log, meta: opened.meta, identity }),
            in_flight: Vec::new(),
            meta_op: None,
            ordered: None,
            snapshots,
            generation: Generation(1),
            checked: cells,
            meta_found: meta,
        }))
    }

    fn found(&self) -> Self::Found {
        self.found
    }

    fn serve(&mut self) {
        let mut oracle = self.oracle.borrow_mut();
        oracle.check(&self.meta_found, &self.checked).expect("checked in start");
    }

    fn turn(&mut self, rng: &mut Rng) -> Result<Result<(), String>, String> {
        let result = match rng.below(100) {
            0..30 => self.append(rng),
            30..52 => self.submit(rng),
            52..78 => self.complete(rng),
            78..84 => self.prepare(rng),
            84..88 => self.change_meta(rng),
            88..91 => self.snapshot(),
            91..93 => self.purge(),
            93..95 => self.mark(),
            95..97 => self.read_back(rng)?,
            97..99 => return self.truncate(rng),
            _ => {
                self.generation.0 += 1;
                Ok(())
            }
        };
        Ok(result.map_err(|error| error.to_string()))
    }

    fn finish(&mut self, rng: &mut Rng) -> Result<(), String> {
        // Half of the lives end in the middle of things, half of them quietly.
        if rng.percent(50) {
            return Ok(());
        }
        for _ in 0..200 {
            let quiet = self.parts().log.is_idle() && self.in_flight.is_empty();
            if quiet && self.meta_op.is_none() && !self.parts().meta.is_busy() {
                break;
            }
            for step in [Self::prepare, Self::submit, Self::complete] {
                if step(self, rng).is_err() {
                    // A failing disk: the life is over.
                    return Ok(());
                }
            }
        }
        let oracle = self.oracle.borrow();
        let last = oracle.last();
        if oracle.acked == last {
            Ok(())
        } else {
            Err(format!("a quiet log is durable to {}, appended {last}", oracle.acked))
        }
    }
}

impl Store {
    fn parts(&mut self) -> &mut Parts {
        self.opened.as_mut().expect("open, but for a moment inside a truncation")
    }

    fn append(&mut self, rng: &mut Rng) -> Result<(), Error> {
        let oracle = self.oracle.clone();
        for _ in 0..1 + rng.below(5) {
            let mut oracle = oracle.borrow_mut();
            let last = oracle.last();
            if last.0 - oracle.acked.0 > 40 {
                return Ok(());
            }
            let zxid = if rng.percent(3) { Zxid::new(last.epoch() + 1, 1) } else { last.next() };
            let len = rng.below(oracle.payload_bytes);
            let with_zeros = oracle.with_zeros && rng.percent(20);
            let payload: Vec<u8> = (0..len)
                .map(|at| if with_zeros && at > 8 { 0 } else { (rng.bits() as u8) | 1 })
                .collect();
            let mut cells = oracle.at(last);
            cells.apply(zxid, &payload);
            oracle.states.insert(zxid, cells);
            let generation = self.generation;
            self.parts().log.append(zxid, &payload, generation);
        }
        Ok(())
    }

    fn submit(&mut self, rng: &mut Rng) -> Result<(), Error> {
        let disk = self.disk.clone();
        for _ in 0..1 + rng.below(4) {
            let parts = self.parts();
            let Some(write) = parts.log.next_write() else { break };
            let (op, submitted) = (write.op, disk.submit(&write));
            match submitted {
                Ok(()) => self.in_flight.push(op),
                Err(errno) => return self.answer(Completion { op, result: Err(errno) }),
            }
        }
        if let Some(write) = self.parts().meta.next_write() {
            let (op, submitted) = (write.op, disk.submit(&write));
            match submitted {
                Ok(()) => self.meta_op = Some(op),
                Err(errno) => return self.answer_meta(Completion { op, result: Err(errno) }),
            }
        }
        Ok(())
    }

    /// Answers one write under way, whichever: completions come in any order.
    fn complete(&mut self, rng: &mut Rng) -> Result<(), Error> {
        let disk = self.disk.clone();
        if rng.percent(30) {
            if let Some(op) = self.meta_op.take() {
                let write = self.parts().meta.write_of(op).expect("under way");
                disk.finish(&write, BLOCK_BYTES);
                return self.answer_meta(Completion { op, result: Ok(BLOCK_BYTES) });
            }
        }
        if self.in_flight.is_empty() {
            return Ok(());
        }
        let op = self.in_flight.swap_remove(rng.below(self.in_flight.len()));
        let write: Write = self.parts().log.write_of(op).expect("under way");
        let bytes = write.blocks.len() * BLOCK_BYTES;
        let result = match rng.below(100) {
            0..4 => Ok(512 * (1 + rng.below(bytes / 512))),
            4..6 => Err([libc::EINTR, libc::EAGAIN][rng.below(2)]),
            _ => Ok(bytes),
        };
        disk.finish(&write, result.unwrap_or(0));
        self.answer(Completion { op, result })
    }

    fn answer(&mut self, done: Completion) -> Result<(), Error> {
        let durable = self.parts().log.complete(done)?;
        if let Some(durable) = durable {
            let mut oracle = self.oracle.borrow_mut();
            oracle.acked = oracle.acked.max(durable.zxid());
        }
        Ok(())
    }

    fn answer_meta(&mut self, done: Completion) -> Result<(), Error> {
        if let Some(durable) = self.parts().meta.complete(done)? {
            self.oracle.borrow_mut().promised = durable.meta;
        }
        Ok(())
    }

    fn prepare(&mut self, _rng: &mut Rng) -> Result<(), Error> {
        let Some(order) = self.ordered.take().or_else(|| self.parts().log.wants_segment()) else {
            return Ok(());
        };
        let mut disk = self.disk.clone();
        segment::prepare(&mut disk, order, &mut |_| {})?;
        self.parts().log.segment_ready(order);
        Ok(())
    }

    fn change_meta(&mut self, rng: &mut Rng) -> Result<(), Error> {
        let oracle = self.oracle.clone();
        let generation = self.generation;
        let parts = self.parts();
        if parts.meta.is_busy() {
            return Ok(());
        }
        let mut meta = parts.meta.meta();
        if meta.current_epoch < meta.accepted_epoch && rng.percent(50) {
            meta.current_epoch = meta.accepted_epoch
        } else {
            meta.accepted_epoch += 1
        }
        oracle.borrow_mut().asked = meta;
        parts.meta.store(meta, generation);
        Ok(())
    }

    /// What is applied is what is acknowledged: so much may be frozen.
    fn snapshot(&mut self) -> Result<(), Error> {
        let cells = {
            let oracle = self.oracle.borrow();
            oracle.at(oracle.acked)
        };
        if cells.zxid == Zxid::ZERO || self.snapshots.contains(&cells.zxid) {
            return Ok(());
        }
        let identity = self.parts().identity;
        let mut disk = self.disk.clone();
        match publish(&mut disk, identity, &cells, &mut |_| {}) {
            Ok(published) => self.snapshots.push(published.zxid),
            // A full disk costs the snapshot, not the server.
            Err(error) if error.is_full() => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn purge(&mut self) -> Result<(), Error> {
        let keep = Keep { snapshots: 1, age_secs: None, bytes: None, segment_bytes: SEGMENT_BYTES };
        let mut disk = self.disk.clone();
        let segments = self.parts().log.segments().to_vec();
        let purged = purge(&mut disk, keep, &segments, 0)?;
        self.parts().log.segments_removed_before(purged.first_segment);
        self.snapshots.sort_unstable();
        let newest = self.snapshots.pop();
        self.snapshots = newest.into_iter().collect();
        Ok(())
    }

    fn mark(&mut self) -> Result<(), Error> {
        self.parts().log.mark();
        Ok(())
    }

    /// What is durable can be read back from any place that is still there.
    fn read_back(&mut self, rng: &mut Rng) -> Result<Result<(), Error>, String> {
        let oracle = self.oracle.borrow().clone();
        let mut disk = self.disk.clone();
        let parts = self.parts();
        let until = parts.log.durable().zxid;
        let oldest = parts.log.segments()[0].base;
        let from: Vec<Zxid> = oracle.states.range(oldest..=until).map(|(zxid, _)| *zxid).collect();
        let Some(after) = from.get(rng.below(from.len())) else { return Ok(Ok(())) };
        let mut reader = Reader::new(parts.identity, parts.log.segments(), *after, until);
        let mut cells = oracle.at(*after);
        loop {
            match reader.next(&mut disk) {
                Ok(Some((zxid, payload))) => cells.apply(zxid, payload),
                Ok(None) => break,
                // A refusal: right on a damaged disk, wrong on any other.
                Err(error) => return Ok(Err(error)),
            }
        }
        if cells == oracle.at(until) {
            Ok(Ok(()))
        } else {
            Err(format!("reading from {after} to {until} gave {cells:?}"))
        }
    }

    /// A leader takes back what it never had: as a learner does before it follows.
    fn truncate(&mut self, rng: &mut Rng) -> Result<Result<(), String>, String> {
        let quiet = self.parts().log.is_idle() && !self.parts().meta.is_busy();
        if !quiet || !rng.percent(40) {
            return Ok(Ok(()));
        }
        let oldest = self.snapshots.iter().min().copied().unwrap_or(Zxid::ZERO);
        let oldest = oldest.max(self.parts().log.segments()[0].base);
        let to = {
            let mut oracle = self.oracle.borrow_mut();
            let from: Vec<Zxid> = oracle.states.range(oldest..).map(|(zxid, _)| *zxid).collect();
            let to = from[from.len() - 1 - rng.below(from.len().min(12))];
            oracle.truncating = Some(to);
            to
        };
        let parts = self.opened.take().expect("open");
        let mut disk = self.disk.clone();
        let opened = match open::truncate(&mut disk, &CONFIG, parts.meta, to) {
            Ok(opened) => opened,
            Err(error) => return Ok(Err(error.to_string())),
        };
        let (opened, cells) = match replay(&mut disk, opened)? {
            Ok(found) => found,
            Err(refusal) => return Err(refusal),
        };
        if cells.zxid != to {
            return Err(format!("truncated to {to}, there is {}", cells.zxid));
        }
        {
            let mut oracle = self.oracle.borrow_mut();
            oracle.acked = to;
            oracle.check(&opened.meta.meta(), &cells)?;
        }
        self.snapshots.retain(|zxid| *zxid <= to);
        let (log, identity) = (opened.log, opened.identity);
        self.opened = Some(Parts { log, meta: opened.meta, identity });
        self.ordered = None;
        Ok(Ok(()))
    }
}
