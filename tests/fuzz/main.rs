//! The fuzz targets over their corpora: every file and golden capture as it is, cut short, and
//! changed in a thousand small ways that are the same in each run. `libfuzzer/` looks for new ones.

mod targets;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use targets::{TARGETS, Target};

/// Changed copies of each input; FUZZ_MUTATIONS chooses others.
const MUTATIONS: usize = 300;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.sort();
    files
}

/// Frames that real clients and servers sent: `name req|rep opcode hex` a line.
fn golden() -> Vec<Vec<u8>> {
    let mut inputs = Vec::new();
    for path in files(&root().join("tests/wire/golden")) {
        if path.extension().is_none_or(|ending| ending != "hex") {
            continue;
        }
        let text = fs::read_to_string(&path).expect("captures are text");
        for hex in text.lines().filter_map(|line| line.split(' ').nth(3)) {
            let bytes = (0..hex.len() / 2)
                .map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).expect("hex"));
            inputs.push(bytes.collect());
        }
    }
    inputs
}

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let own = files(&root().join("tests/fuzz/corpus").join(target));
    let mut inputs: Vec<Vec<u8>> =
        own.iter().map(|path| fs::read(path).expect("the corpus is readable")).collect();
    inputs.extend(golden());
    inputs
}

struct Rng(u64);

impl Rng {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).expect("31 bits fit") % bound.max(1)
    }
}

/// Numbers that break careless length checks.
const NASTY: [i32; 10] = [-1, -2, 0, 1, 3, 0xffff, 0x10_0000, i32::MAX, i32::MIN, 0x00ff_ffff];

fn mutate(input: &[u8], others: &[Vec<u8>], rng: &mut Rng) -> Vec<u8> {
    let mut data = input.to_vec();
    for _ in 0..=rng.below(3) {
        let at = rng.below(data.len());
        match rng.below(6) {
            0 if !data.is_empty() => data[at] ^= 1 << rng.below(8),
            1 => data.truncate(at),
            2 if data.len() >= at + 4 => {
                data[at..at + 4].copy_from_slice(&NASTY[rng.below(NASTY.len())].to_be_bytes());
            }
            3 => {
                let other = &others[rng.below(others.len())];
                let from = rng.below(other.len());
                data.splice(at..at, other[from..].iter().copied());
            }
            4 if !data.is_empty() => data[at] = u8::try_from(rng.below(256)).expect("a byte"),
            _ => data.extend_from_slice(&[0; 4]),
        }
    }
    data
}

fn try_one((name, target): Target, data: &[u8]) {
    if catch_unwind(AssertUnwindSafe(|| target(data))).is_err() {
        let hex: String = data.iter().map(|byte| format!("{byte:02x}")).collect();
        panic!("{name} fails on {hex}");
    }
}

#[test]
fn no_target_panics_on_its_corpus_or_near_it() {
    let mutations =
        std::env::var("FUZZ_MUTATIONS").ok().and_then(|n| n.parse().ok()).unwrap_or(MUTATIONS);
    let mut tried = 0;
    for target in TARGETS {
        let inputs = corpus(target.0);
        assert!(inputs.len() > 100, "{}: the corpus is too small to mean anything", target.0);
        let mut rng = Rng(0x9e37_79b9_7f4a_7c15);
        for input in &inputs {
            try_one(*target, input);
            for length in 0..input.len().min(512) {
                try_one(*target, &input[..length]);
            }
            for _ in 0..mutations {
                try_one(*target, &mutate(input, &inputs, &mut rng));
            }
            tried += mutations + input.len();
        }
    }
    println!("{} targets, {tried} inputs", TARGETS.len());
}
