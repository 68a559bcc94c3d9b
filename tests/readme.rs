//! Every command of the README works as written, in a shell, from the root of the checkout.
//!
//! Blocks fenced as `sh` are scripts, run one after the other with `bash -euo pipefail`. Left out
//! is the one line that runs the tests themselves, this one among them.

use std::path::Path;
use std::process::Command;

const TEST_COMMAND: &str = "cargo test --release ";

/// The `sh` blocks of the README, in order, with the heading above each.
fn blocks(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut heading = String::new();
    let mut block: Option<String> = None;
    for line in text.lines() {
        match (&mut block, line) {
            (None, "```sh") => block = Some(String::new()),
            (Some(_), "```") => {
                found.push((heading.clone(), block.take().expect("a block is open")));
            }
            (Some(script), line) => {
                script.push_str(line);
                script.push('\n');
            }
            (None, line) if line.starts_with('#') => heading = line.to_owned(),
            (None, _) => {}
        }
    }
    assert!(block.is_none(), "a block is not closed");
    found
}

#[test]
fn every_command_of_the_readme_works() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("README.md")).expect("there is a README");
    let blocks = blocks(&text);
    assert!(blocks.len() >= 4, "the README shows how to start, test, use and measure");
    let tests: Vec<_> =
        blocks.iter().filter(|(_, script)| script.starts_with(TEST_COMMAND)).collect();
    assert_eq!(tests.len(), 1, "one command passes the tests");
    assert_eq!(tests[0].1.lines().count(), 1, "and it stands alone");
    for (heading, script) in &blocks {
        if script.starts_with(TEST_COMMAND) {
            continue;
        }
        println!("== {heading}\n{script}");
        let output = Command::new("timeout")
            .args(["600", "bash", "-euo", "pipefail", "-c", script])
            .current_dir(root)
            .env_remove("RINGKEEPER_MUTANT")
            .output()
            .expect("bash and timeout are there");
        let out = String::from_utf8_lossy(&output.stdout);
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{heading}: {}\n{script}\n{out}\n{err}", output.status);
    }
}
