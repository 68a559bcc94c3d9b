//! The system's allocator, counting. `BACKTRACES=3` shows where the first three of a count come
//! from.

use std::alloc::{GlobalAlloc, Layout, System};
use std::backtrace::Backtrace;
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static COUNT: AtomicU64 = AtomicU64::new(0);
/// Backtraces that are still to be shown.
static SHOW: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// Constant and without a destructor: asking for it never allocates.
    static EXCLUDED: Cell<bool> = const { Cell::new(false) };
}

/// Leaves out what this thread allocates from now on: it is a client, not the server.
#[allow(dead_code, reason = "a bench without threads leaves out none")]
pub fn exclude_this_thread() {
    EXCLUDED.set(true);
}

/// Allocations that `work` causes, on all threads but the excluded ones.
pub fn allocations_in(work: impl FnOnce()) -> u64 {
    let show = std::env::var("BACKTRACES").ok().and_then(|count| count.parse().ok());
    SHOW.store(show.unwrap_or(0), Ordering::Relaxed);
    let before = COUNT.load(Ordering::Relaxed);
    work();
    let count = COUNT.load(Ordering::Relaxed) - before;
    SHOW.store(0, Ordering::Relaxed);
    count
}

fn count(layout: Layout) {
    if EXCLUDED.get() {
        return;
    }
    COUNT.fetch_add(1, Ordering::Relaxed);
    let one_less = |left: u64| left.checked_sub(1);
    if SHOW.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok() {
        EXCLUDED.set(true);
        let thread = std::thread::current();
        let thread = thread.name().unwrap_or("unnamed");
        eprintln!("{} B on thread {thread}:\n{}", layout.size(), Backtrace::force_capture());
        EXCLUDED.set(false);
    }
}

#[allow(unsafe_code)]
// SAFETY: every call is the system allocator's, with the caller's own arguments.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        count(layout);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(memory, layout, bytes) }
    }
}
