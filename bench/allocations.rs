//! How often an operation allocates in the steady state: 0 for a read, 0 for a write. Fails if
//! that is not so. The machines alone; `allocations_server` counts a whole server.

#[path = "support/loopback.rs"]
mod loopback;

use loopback::{Loopback, gets, sets};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};

struct Counting;

static COUNT: AtomicU64 = AtomicU64::new(0);

#[allow(unsafe_code)]
// SAFETY: every call is the system allocator's, with the caller's own arguments.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(memory, layout, bytes) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() {
    const KEYS: usize = 1000;
    const ROUNDS: usize = 20;
    let mut server = Loopback::new(KEYS);
    let mut failed = false;
    for (name, frames) in [("getData", gets(KEYS)), ("setData of 100 B", sets(KEYS))] {
        for _ in 0..3 {
            frames.iter().for_each(|frame| server.request(frame));
        }
        let before = COUNT.load(Ordering::Relaxed);
        for _ in 0..ROUNDS {
            frames.iter().for_each(|frame| server.request(frame));
        }
        let count = COUNT.load(Ordering::Relaxed) - before;
        println!("{name}: {count} allocations in {} operations", ROUNDS * KEYS);
        failed |= count > 0;
    }
    assert!(server.replied > 0, "nothing was answered");
    assert!(!failed, "an operation allocates in the steady state");
}
