//! What one transaction costs the replica's tree and one front's together, how much memory a znode
//! takes in both, and how long a freeze and a load from an image take.
//!
//! `ZNODES=1000000 cargo bench --bench tree_apply`; the default is small.

use std::hint::black_box;
use std::time::Instant;

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use ringkeeper::tree::{Config, Tree};

#[path = "support/forest.rs"]
mod forest;
use forest::{Forest, Walk, resident, znodes};

struct Aligned(Vec<u64>);

impl AsRef<[u8]> for Aligned {
    fn as_ref(&self) -> &[u8] {
        bytemuck::cast_slice(&self.0)
    }
}

fn memory(znodes: usize) -> Forest {
    let before = resident();
    let start = Instant::now();
    let mut forest = Forest::new(znodes);
    let took = start.elapsed();
    let both = resident() - before;
    // A further core's tree shares everything until it changes; what it can come to own:
    let each = (both.saturating_sub(forest.owner.arena_bytes().1.try_into().expect("small"))) / 2;
    println!(
        "{znodes} znodes in {took:?}: {} B resident each in two trees, {} B for a further one",
        both / znodes,
        each / znodes
    );
    let mut worst = std::time::Duration::ZERO;
    for _ in 0..znodes / 10 {
        let start = Instant::now();
        forest.grow();
        worst = worst.max(start.elapsed());
    }
    println!("longest of {} creates: {worst:?}", znodes / 10);
    forest
}

fn image(forest: &mut Forest) {
    let start = Instant::now();
    let image = forest.owner.freeze();
    let frozen = start.elapsed();
    let bytes: Vec<u8> = image.pieces().flatten().copied().collect();
    let bytes = bytes.chunks_exact(8).map(bytemuck::pod_read_unaligned).collect();
    let map = Bytes::from_owner(Aligned(bytes));
    let start = Instant::now();
    let tree = Tree::from_image(Config::default(), &map).expect("it is whole");
    let loaded = start.elapsed();
    assert_eq!(tree.digest(), forest.owner.digest());
    println!("frozen in {frozen:?}, loaded in {loaded:?}, {} MiB", map.len() >> 20);
}

fn apply(c: &mut Criterion) {
    let mut forest = memory(znodes());
    image(&mut forest);
    let mut walk = Walk(1);
    let mut group = c.benchmark_group("tree_apply");
    group.sample_size(20).measurement_time(std::time::Duration::from_secs(2));
    group.bench_function("set_data in two trees", |b| {
        b.iter(|| forest.set(walk.below(forest.znodes)));
    });
    group.bench_function("create in two trees", |b| b.iter(|| forest.grow()));
    group.bench_function("freeze", |b| b.iter(|| black_box(forest.owner.freeze())));
    group.finish();
}

criterion_group!(benches, apply);
criterion_main!(benches);
