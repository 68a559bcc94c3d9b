//! What one transaction costs the replica's tree and one front's together, and the longest that a
//! create takes. (`memory` weighs the trees, `snapshot` freezes and loads them.)
//!
//! `ZNODES=1000000 cargo bench --bench tree_apply`; the default is small.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};

#[path = "support/forest.rs"]
mod forest;
use forest::{Forest, Walk, znodes};

/// A server's turn is as long as its longest step: no table may be rebuilt as a whole.
fn longest_create(forest: &mut Forest) {
    let creates = forest.znodes / 10;
    let mut worst = Duration::ZERO;
    for _ in 0..creates {
        let start = Instant::now();
        forest.grow();
        worst = worst.max(start.elapsed());
    }
    println!("longest of {creates} creates: {worst:?}");
}

fn apply(c: &mut Criterion) {
    let mut forest = Forest::new(znodes());
    longest_create(&mut forest);
    let mut walk = Walk(1);
    let mut group = c.benchmark_group("tree_apply");
    group.sample_size(20).measurement_time(Duration::from_secs(2));
    group.bench_function("set_data in two trees", |b| {
        b.iter(|| forest.set(walk.below(forest.znodes)));
    });
    group.bench_function("create in two trees", |b| b.iter(|| forest.grow()));
    group.bench_function("freeze", |b| b.iter(|| black_box(forest.owner.freeze())));
    group.finish();
}

criterion_group!(benches, apply);
criterion_main!(benches);
