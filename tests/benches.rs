//! No bench stands outside: each is built and run by `cargo test` (`test = true`), and
//! `bench/README.md` says what it answers.

use std::fs;
use std::path::PathBuf;

fn read(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name);
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn every_bench_runs_under_cargo_test_and_is_described() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("bench");
    let entries = fs::read_dir(folder).expect("it is there");
    let names = entries.map(|entry| entry.expect("it is readable").file_name());
    let names = names.map(|name| name.into_string().expect("names are plain"));
    let mut files: Vec<String> =
        names.filter_map(|name| name.strip_suffix(".rs").map(str::to_owned)).collect();
    files.sort();

    let manifest = read("Cargo.toml");
    let mut run: Vec<String> = manifest
        .split("[[bench]]\n")
        .skip(1)
        .map(|target| {
            let name = target.lines().next().and_then(|line| line.split('"').nth(1));
            let name = name.expect("its first line is its name").to_owned();
            let rest = format!("path = \"bench/{name}.rs\"\nharness = false\ntest = true\n");
            assert!(target.contains(&rest), "{name} is not run by cargo test");
            name
        })
        .collect();
    run.sort();
    assert_eq!(files, run, "files of bench/, and targets in Cargo.toml");

    let readme = read("bench/README.md");
    let described = readme.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let mut described: Vec<&str> = described.collect();
    described.sort_unstable();
    assert_eq!(files, described, "files of bench/, and rows of its README");
}
