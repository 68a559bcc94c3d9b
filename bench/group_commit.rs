//! What the log adds to a write: append entries of 200 B, place them as one batch, complete it.
//! No disk: that is the log's own work. `DISK=/some/folder` writes durable batches there as well.

#[path = "support/scale.rs"]
mod scale;

use std::path::PathBuf;
use std::time::Instant;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group};
use ringkeeper::storage::Identity;
use ringkeeper::storage::block::{BLOCK_BYTES, to_u64};
use ringkeeper::storage::disk::{Completion, OpId, Write};
use ringkeeper::storage::driver::{Dirs, RealDisk};
use ringkeeper::storage::log::{Log, LogConfig, LogEnd, Prepare, SegmentInfo};
use ringkeeper::storage::log_format::{Chain, Durable, Position, SegmentHeader};
use ringkeeper::storage::segment;
use ringkeeper::types::{DurableUpTo, Generation, Zxid};

const IDENTITY: Identity = Identity([7; 16]);
const PAYLOAD: [u8; 200] = [9; 200];
const BATCHES: [u32; 3] = [1, 16, 256];

/// A log whose segment does not end before `bytes`.
fn log_of(bytes: u64) -> Log {
    let end = LogEnd { segment: 1, bytes, last: Zxid::ZERO, chain: Chain::START };
    let first = SegmentInfo { number: 1, base: Zxid::ZERO };
    Log::new(IDENTITY, LogConfig::default(), end, vec![first])
}

/// Appends a batch, has it carried out, and takes the proof.
fn commit(log: &mut Log, entries: u32, carry_out: impl FnOnce(&Write) -> Completion) -> Zxid {
    let mut zxid = log.last_appended();
    for _ in 0..entries {
        zxid = Zxid(zxid.0 + 1);
        log.append(zxid, &PAYLOAD, Generation(1));
    }
    let done = carry_out(&log.next_write().expect("nothing is in flight"));
    let token: Option<DurableUpTo> = log.complete(done).expect("the write was whole");
    let token = token.expect("it is the only one");
    assert_eq!(token.zxid(), zxid);
    zxid
}

fn at_once(write: &Write) -> Completion {
    let op: OpId = write.op;
    Completion { op, result: Ok(write.blocks.len() * BLOCK_BYTES) }
}

fn group_commit(c: &mut Criterion) {
    let mut group = c.benchmark_group("group_commit");
    group.sample_size(20).measurement_time(std::time::Duration::from_secs(1));
    for entries in BATCHES {
        let mut log = log_of(1 << 60);
        group.throughput(Throughput::Elements(u64::from(entries)));
        group.bench_function(BenchmarkId::new("entries", entries), |b| {
            b.iter(|| commit(&mut log, entries, at_once));
        });
    }
    group.finish();
}

/// One durable batch after the other, never two in flight: what a lone writer waits for.
fn durable(folder: PathBuf) {
    const COMMITS: u32 = 200;
    let bytes = 64 << 20;
    let folder = folder.join(format!("ringkeeper-group-commit-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("DISK names a folder that can be written");
    let dirs = Dirs { log: folder.clone(), snapshots: folder.clone() };
    let mut disk = RealDisk::open(dirs, true).expect("the folder can be written");
    println!("O_DIRECT: {}", disk.is_direct());
    for entries in BATCHES {
        segment::prepare(&mut disk, Prepare { number: 1, bytes }, &mut |_| {}).expect("room");
        let at = Position { segment: 1, offset: 2 * to_u64(BLOCK_BYTES) };
        let header = SegmentHeader {
            identity: IDENTITY,
            number: 1,
            prev: 0,
            base: Zxid::ZERO,
            chain: Chain::START,
            durable: Durable { at, zxid: Zxid::ZERO },
            bytes,
        };
        segment::begin(&mut disk, &header).expect("it was prepared");
        let mut log = log_of(bytes);
        let mut took: Vec<_> = (0..if scale::tiny() { 3 } else { COMMITS })
            .map(|_| {
                let start = Instant::now();
                commit(&mut log, entries, |write| disk.execute(write));
                start.elapsed()
            })
            .collect();
        took.sort();
        let (median, worst) = (took[took.len() / 2], took[took.len() - 1]);
        println!(
            "{entries} entries: median {median:?}, {:?} each, worst {worst:?}",
            median / entries
        );
    }
    let _ = std::fs::remove_dir_all(&folder);
}

criterion_group!(benches, group_commit);

fn main() {
    benches();
    Criterion::default().configure_from_args().final_summary();
    if let Some(folder) = std::env::var_os("DISK") {
        durable(folder.into());
    }
}
