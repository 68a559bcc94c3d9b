//! Tells the program which revision it is built from, and of which date.
//!
//! The date is the revision's, not the clock's: the same sources give the same program. A tree
//! without a repository gives a revision of zeros.

use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if let Some(log) = git(&["rev-parse", "--git-path", "logs/HEAD"]) {
        println!("cargo:rerun-if-changed={log}");
    }
    let revision = git(&["rev-parse", "HEAD"]).unwrap_or_else(|| "0".repeat(40));
    let format = "--date=format-local:%Y-%m-%d %H:%M";
    let date = git(&["show", "-s", "--format=%cd", format, "HEAD"]);
    let date = date.unwrap_or_else(|| "1970-01-01 00:00".to_owned());
    println!("cargo:rustc-env=RINGKEEPER_REVISION={revision}");
    println!("cargo:rustc-env=RINGKEEPER_DATE={date}");
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).env("TZ", "UTC").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}
