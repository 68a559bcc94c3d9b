//! How often an operation allocates in the steady state: 0 for a read, 0 for a write. Fails if
//! that is not so. The machines alone; `allocations_server` counts a whole server.

#[path = "support/counting.rs"]
mod counting;
#[path = "support/loopback.rs"]
mod loopback;

use counting::allocations_in;
use loopback::{Loopback, gets, sets};

fn main() {
    const KEYS: usize = 1000;
    const ROUNDS: usize = 20;
    let mut server = Loopback::new(KEYS);
    let mut failed = false;
    for (name, frames) in [("getData", gets(KEYS)), ("setData of 100 B", sets(KEYS))] {
        for _ in 0..3 {
            frames.iter().for_each(|frame| server.request(frame));
        }
        let count = allocations_in(|| {
            for _ in 0..ROUNDS {
                frames.iter().for_each(|frame| server.request(frame));
            }
        });
        println!("{name}: {count} allocations in {} operations", ROUNDS * KEYS);
        failed |= count > 0;
    }
    assert!(server.replied > 0, "nothing was answered");
    assert!(!failed, "an operation allocates in the steady state");
}
