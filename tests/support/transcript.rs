//! Runs case files: prose, a command, what came out.

use std::path::PathBuf;
use std::{env, fs};

/// Runs every case file of a folder of `tests`, handing `start` each file's name and its answers
/// each command. `REWRITE=1 cargo test` writes what came out into the file; read the diff, and
/// commit it only if you can say why each line changed.
pub fn run<A: FnMut(&str) -> String>(folder: &str, mut start: impl FnMut(&str) -> A) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder);
    let entries = fs::read_dir(&folder).expect("the folder of cases is there");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("readable").path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{}: no cases", folder.display());
    for path in paths {
        let text = fs::read_to_string(&path).expect("case files are readable");
        let name = path.file_stem().and_then(|stem| stem.to_str()).expect("a plain name");
        let mut answer = start(name);
        let mut actual = Vec::new();
        for block in text.trim_end().split("\n\n") {
            let question = block.split("\n----").next().expect("split yields one piece");
            let commands = question.lines().filter(|line| !line.starts_with('#'));
            let answers: String = commands.map(&mut answer).collect();
            let answers = if answers.is_empty() { "nothing\n" } else { &answers };
            actual.push(format!("{question}\n----\n{answers}"));
        }
        let actual = actual.join("\n");
        if env::var_os("REWRITE").is_some() {
            fs::write(&path, &actual).expect("case files are writable");
        } else {
            assert_eq!(actual, text, "{}", path.display());
        }
    }
}
