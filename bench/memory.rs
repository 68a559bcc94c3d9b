//! What a znode of 100 B with a short name costs in resident memory: the replica's tree and one
//! front's together, and each further front's. Fails above the limits of the first edition.
//!
//! Each figure is a process of its own, so that none inherits another's freed memory; the base, a
//! process without znodes, is taken off. `ZNODES=10000000 cargo bench --bench memory`.

#[path = "support/forest.rs"]
mod forest;
#[path = "support/scale.rs"]
mod scale;

use std::process::Command;

use forest::{Forest, resident};

/// For replica and one front, and for each further front.
const BYTES_MAX: (f64, f64) = (250.0, 70.0);

/// Beside the znodes.
const BASE_BYTES_MAX: f64 = 32.0 * 1024.0 * 1024.0;

/// In a child: how many znodes and readers its forest has.
const CHILD: &str = "RINGKEEPER_MEMORY_CHILD";

fn measure(znodes: usize, readers: usize) -> f64 {
    let this = std::env::current_exe().expect("we run");
    let child = Command::new(this).env(CHILD, format!("{znodes} {readers}")).output();
    let child = child.expect("we can run once more");
    let text = String::from_utf8_lossy(&child.stdout);
    text.trim().parse().unwrap_or_else(|_| panic!("the child says {child:?}"))
}

fn child(task: &str) {
    let (znodes, readers) = task.split_once(' ').expect("two numbers");
    let readers: usize = readers.parse().expect("a number");
    let mut forest = Forest::new(0);
    for _ in 1..readers {
        forest.add_reader();
    }
    for _ in 0..znodes.parse().expect("a number") {
        forest.grow_with_folder();
    }
    println!("{}", resident());
    // The trees are still there when that is said.
    assert_eq!(forest.owner.znode_count(), forest.reader.znode_count());
}

fn main() {
    if let Ok(task) = std::env::var(CHILD) {
        return child(&task);
    }
    let chosen = std::env::var("ZNODES").ok().and_then(|count| count.parse().ok());
    let znodes: u32 = chosen.unwrap_or(if scale::tiny() { 200_000 } else { 1_000_000 });
    let count = usize::try_from(znodes).expect("an address has 32 bits at least");
    let base = measure(0, 1);
    let (two, three) = (measure(count, 1), measure(count, 2));
    let both = (two - base) / f64::from(znodes);
    let further = (three - two) / f64::from(znodes);
    println!(
        "{znodes} znodes: {both:.1} B each in two trees, {further:.1} B in a further one, beside \
         {:.1} MiB",
        base / f64::from(1 << 20)
    );
    assert!(both > 100.0 && further > 0.0, "something was not measured");
    assert!(both <= BYTES_MAX.0 && further <= BYTES_MAX.1, "more than {BYTES_MAX:?} B for a znode");
    assert!(base <= BASE_BYTES_MAX, "the base has grown to {base} B");
}
