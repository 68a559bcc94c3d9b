//! One binary for all targets: the input's first byte chooses.
#![no_main]

#[path = "../../targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Some((which, rest)) = data.split_first() {
        let (_, target) = targets::TARGETS[usize::from(*which) % targets::TARGETS.len()];
        target(rest);
    }
});
