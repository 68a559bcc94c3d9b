//! One operation through both machines, without sockets and disk: decode, prepare, commit, apply
//! twice, reply.

#[path = "support/loopback.rs"]
mod loopback;
#[path = "support/scale.rs"]
mod scale;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use loopback::{Loopback, gets, sets};

fn keys() -> usize {
    if scale::tiny() { 100 } else { 100_000 }
}

fn machines(c: &mut Criterion) {
    let keys = keys();
    let mut server = Loopback::new(keys);
    let mut group = c.benchmark_group("machines");
    group.throughput(Throughput::Elements(1));
    for (name, frames) in [("getData", gets(keys)), ("setData of 100 B", sets(keys))] {
        group.bench_function(name, |b| {
            let mut next = 0;
            b.iter(|| {
                // A large odd step: no two neighbours, every key.
                next = (next + 7919) % frames.len();
                server.request(&frames[next]);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, machines);
criterion_main!(benches);
