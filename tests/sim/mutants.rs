//! The proof that the simulator bites: each planted bug must be caught, and the code without it
//! must pass the very same run.

use std::panic::{AssertUnwindSafe, catch_unwind};

use ringkeeper::types::mutant::plant;

use crate::explore::{Explorer, Limits, Server};
use crate::machines::Machines;
use crate::store::Store;
use crate::{LIMITS, rules};

/// Crash states looked at before a planted bug counts as missed.
const STATES_PER_MUTANT: u64 = 600_000;

/// Takes the bug out again, also when the test fails.
struct Planted;

impl Planted {
    fn new(name: &'static str) -> Self {
        plant(Some(name));
        Self
    }
}

impl Drop for Planted {
    fn drop(&mut self) {
        plant(None);
    }
}

/// Explores seeds until the bug shows; the same seed without the bug must be clean.
fn is_caught_by_crashes<S: Server + 'static>(name: &'static str) {
    let mut states = 0;
    for seed in 1.. {
        let planted = Planted::new(name);
        // An assertion that fails is a catch, too.
        let run = AssertUnwindSafe(|| Explorer::<S>::run(seed, LIMITS));
        let result = catch_unwind(run).unwrap_or_else(|_| Err("an assertion failed".into()));
        drop(planted);
        match result {
            Ok(counts) => states += counts.states,
            Err(why) => {
                println!("{name}: caught by seed {seed}: {why}");
                let clean = Explorer::<S>::run(seed, Limits { states: 20_000, ..LIMITS });
                assert!(clean.is_ok(), "seed {seed} fails without the bug: {clean:?}");
                return;
            }
        }
        assert!(states < STATES_PER_MUTANT, "{name} survived {states} crash states");
    }
}

macro_rules! caught_by_crashes {
    ($($test:ident $server:ident $name:literal)*) => {$(
        #[test]
        fn $test() {
            is_caught_by_crashes::<$server>($name);
        }
    )*};
}

caught_by_crashes! {
    mutant_ack_before_durable Store "ack-before-durable"
    mutant_ack_not_contiguous Store "ack-not-contiguous"
    mutant_directory_not_synced Store "directory-not-synced"
    mutant_append_behind_a_cut Store "append-behind-a-cut"
    mutant_metadata_slots_not_alternated Store "metadata-slots-not-alternated"
    mutant_seal_not_durable Store "seal-not-durable"
    mutant_snapshot_published_before_sync Store "snapshot-published-before-sync"
    mutant_purge_too_early Store "purge-too-early"
    mutant_truncate_without_intent Store "truncate-without-intent"
    mutant_recycled_not_zeroed Store "recycled-not-zeroed"
    mutant_recovered_not_synced Store "recovered-not-synced"
    mutant_damage_taken_for_torn Store "damage-taken-for-torn"
    mutant_whole_server_ack_before_durable Machines "ack-before-durable"
    mutant_session_ids_by_clock_alone Machines "session-ids-by-clock-alone"
    mutant_reply_before_event Machines "reply-before-event"
}

#[test]
fn mutant_chain_not_checked() {
    rules::a_segment_of_another_history_is_refused().expect("refused without the bug");
    let planted = Planted::new("chain-not-checked");
    let result = rules::a_segment_of_another_history_is_refused();
    drop(planted);
    assert!(result.is_err(), "a segment of another history was accepted and nobody noticed");
}
