//! What a change costs that 0, 1, 64 or 10,000 connections wait for, and what a watch weighs.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use ringkeeper::tree::{AclId, Change, ChangeKind, HashKey};
use ringkeeper::types::ConnId;
use ringkeeper::watch::{Mode, Watches};

#[path = "support/forest.rs"]
mod forest;

const CHANGE: Change<'_> =
    Change { kind: ChangeKind::DataChanged, path: "/app/config/live", acl: AclId::OPEN };

fn watched_by(conns: u32, mode: Mode) -> Watches {
    let mut watches = Watches::new(HashKey([1, 2]));
    watches.add(ConnId { slot: 0, generation: 1 }, "/other", Mode::Data);
    for slot in 0..conns {
        watches.add(ConnId { slot, generation: 1 }, CHANGE.path, mode);
    }
    watches
}

fn memory() {
    const CONNS: u32 = 1000;
    const PATHS: u32 = 1000;
    let mut watches = Watches::new(HashKey([1, 2]));
    for slot in 0..CONNS {
        watches.add(ConnId { slot, generation: 1 }, "/warm", Mode::Data);
    }
    let before = forest::resident();
    for path in 0..PATHS {
        let path = format!("/app/config/item-{path}");
        for slot in 0..CONNS {
            watches.add(ConnId { slot, generation: 1 }, &path, Mode::Data);
        }
    }
    let taken = forest::resident() - before;
    let each = taken as f64 / f64::from(CONNS * PATHS);
    println!("{each:.1} B for each of {} watches on {PATHS} paths", CONNS * PATHS);
    black_box(watches);
}

fn fanout(c: &mut Criterion) {
    memory();
    let mut group = c.benchmark_group("watch_fanout");
    group.sample_size(20).measurement_time(std::time::Duration::from_secs(1));
    for conns in [0, 1, 64, 10_000] {
        let mut watches = watched_by(conns, Mode::Persistent);
        group.bench_function(BenchmarkId::new("persistent", conns), |b| {
            b.iter(|| {
                let mut heard = 0;
                watches.trigger(&CHANGE, |_| heard += 1);
                assert_eq!(heard, conns);
            });
        });
        group.bench_function(BenchmarkId::new("standard, set again", conns), |b| {
            let mut watches = watched_by(conns, Mode::Data);
            b.iter(|| {
                let mut heard = 0;
                watches.trigger(&CHANGE, |_| heard += 1);
                assert_eq!(heard, conns);
                for slot in 0..conns {
                    watches.add(ConnId { slot, generation: 1 }, CHANGE.path, Mode::Data);
                }
            });
        });
    }
    group.finish();
}

criterion_group!(benches, fanout);
criterion_main!(benches);
