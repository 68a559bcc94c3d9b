//! The simulator: one thread, one seed, a disk that forgets, and a crash at every step.
//!
//! `cargo sim` runs it. `SEED=n` repeats one seed, `SIM_STATES=n` sets how many crash states are
//! recovered from in all. A failure prints the line that repeats it.

#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_possible_wrap)]

mod disk;
mod explore;
mod machines;
#[cfg(feature = "mutants")]
mod mutants;
mod rng;
mod rules;
mod store;
#[path = "../support/world.rs"]
#[allow(dead_code)]
mod world;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use explore::{Counts, Explorer, Limits, Server};
use machines::Machines;
use store::Store;

const LIMITS: Limits =
    Limits { depth: 3, lives: 4, turns: 120, states: u64::MAX, rot_percent: 4, fault_percent: 4 };

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Crash states to look at: a share of continuous integration when optimised, a taste when not.
fn states_wanted() -> u64 {
    number("SIM_STATES").unwrap_or(if cfg!(debug_assertions) { 40_000 } else { 1_000_000 })
}

fn replay_line(seed: u64, which: &str) -> String {
    format!("SEED={seed} cargo test --release --features mutants --test sim -- {which} --nocapture")
}

/// Runs seeds on all cores until so many states were recovered from.
fn explore_many<S: Server + 'static>(wanted: u64, which: &str) -> Counts {
    let (next, done) = (AtomicU64::new(1), AtomicU64::new(0));
    let sum = Mutex::new(Counts::default());
    let failure = Mutex::new(None);
    let threads = std::thread::available_parallelism().map_or(2, |count| count.get().min(8));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while done.load(Ordering::Relaxed) < wanted && failure.lock().unwrap().is_none() {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    match Explorer::<S>::run(seed, LIMITS) {
                        Ok(counts) => {
                            done.fetch_add(counts.states, Ordering::Relaxed);
                            add(&mut sum.lock().unwrap(), counts);
                        }
                        Err(why) => *failure.lock().unwrap() = Some((seed, why)),
                    }
                }
            });
        }
    });
    if let Some((seed, why)) = failure.into_inner().unwrap() {
        panic!("{why}\nrepeat with: {}", replay_line(seed, which));
    }
    println!("{} seeds", next.into_inner() - 1);
    sum.into_inner().unwrap()
}

fn add(sum: &mut Counts, more: Counts) {
    sum.states += more.states;
    sum.rotten += more.rotten;
    sum.refused += more.refused;
    sum.faulty += more.faulty;
    for (sum, more) in sum.by_depth.iter_mut().zip(more.by_depth) {
        *sum += more;
    }
}

/// One seed if SEED names it, else as many as it takes.
fn explore<S: Server + 'static>(wanted: u64, which: &str) {
    if let Some(seed) = number("SEED") {
        match Explorer::<S>::run(seed, LIMITS) {
            Ok(counts) => println!("seed {seed}: {counts:?}"),
            Err(why) => panic!("{why}\nrepeat with: {}", replay_line(seed, which)),
        }
        return;
    }
    let counts = explore_many::<S>(wanted, which);
    println!("{which}: {} crash states recovered from: {counts:?}", counts.states);
    assert!(counts.states >= wanted);
    assert!(counts.by_depth[1..].iter().all(|count| *count > 0), "no crash inside a recovery");
    assert!(counts.refused > 0, "no damaged disk was ever refused");
}

/// Whatever the disk forgets, tears or reorders, wherever the power goes: D-1 to D-4 hold.
#[test]
fn store_keeps_what_it_acknowledged_at_every_crash() {
    explore::<Store>(states_wanted(), "store");
}

/// The same for a whole server: real replica, fronts, tree, log and snapshots, with clients.
#[test]
fn machines_keep_what_they_told_their_clients_at_every_crash() {
    // A whole server is slower to bring back than a store.
    explore::<Machines>(states_wanted() / 10, "machines");
}

/// The same seed is the same run, to the last state found.
#[test]
fn runs_repeat() {
    for seed in 1..4 {
        let first = Explorer::<Store>::run(seed, LIMITS);
        assert_eq!(first, Explorer::<Store>::run(seed, LIMITS), "store, seed {seed}");
        let first = Explorer::<Machines>::run(seed, LIMITS);
        assert_eq!(first, Explorer::<Machines>::run(seed, LIMITS), "machines, seed {seed}");
    }
}
