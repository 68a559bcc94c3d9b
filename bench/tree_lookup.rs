//! What finding a znode by its path costs, with its data and Stat, and listing its children.
//!
//! `ZNODES=1000000 cargo bench --bench tree_lookup`; the default is small.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};

#[path = "support/forest.rs"]
mod forest;
use forest::{Forest, Walk, znodes};

fn lookup(c: &mut Criterion) {
    let mut forest = Forest::new(znodes());
    let mut walk = Walk(1);
    let mut group = c.benchmark_group("tree_lookup");
    group.sample_size(20).measurement_time(std::time::Duration::from_secs(2));
    group.bench_function("path to data and Stat", |b| {
        b.iter(|| {
            let number = walk.below(forest.znodes);
            let path = forest.path(number).to_owned();
            let id = forest.reader.find(&path).expect("it was created");
            let data = forest.reader.data(id).map(|data| data[0]);
            black_box((data, forest.reader.stat(id)))
        });
    });
    group.bench_function("a path that is not there", |b| {
        b.iter(|| {
            let number = walk.below(forest.znodes) + (1 << 40);
            let path = forest.path(number).to_owned();
            black_box(forest.reader.find(&path))
        });
    });
    group.bench_function("names of 1000 children", |b| {
        b.iter(|| {
            let id = forest.reader.find("/app/dir-00000").expect("it was created");
            forest.reader.children(id).map(|child| forest.reader.name(child).len()).sum::<usize>()
        });
    });
    group.finish();
}

criterion_group!(benches, lookup);
criterion_main!(benches);
