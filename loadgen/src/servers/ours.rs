//! Where our own server's program comes from.
//!
//! It is the program that users run, `ringkeeper`, beside this one in cargo's target directory.
//! `cargo run -p loadgen` builds only loadgen, so under cargo the server is brought up to date
//! first: one command builds and starts both, and what is measured is never older than the source.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{StartError, own_program};

const NAME: &str = "ringkeeper";

/// The server's program; built first if cargo started this one.
pub fn program() -> Result<PathBuf, StartError> {
    let program = own_program()?.with_file_name(NAME);
    if let Some(cargo) = std::env::var_os("CARGO") {
        build(Path::new(&cargo))?;
    }
    if program.is_file() {
        return Ok(program);
    }
    Err(format!(
        "{} is missing: build it with `cargo build --release`, name another with \
         --server-program, or name running servers with --servers",
        program.display()
    ))
}

/// With the profile that this program was built with, so that the two lie side by side.
fn build(cargo: &Path) -> Result<(), StartError> {
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--bin", NAME, "--manifest-path"]);
    command.arg(super::checkout().join("Cargo.toml"));
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    let status = command.stdin(Stdio::null()).status();
    let status = status.map_err(|why| format!("starting {}: {why}", cargo.display()))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("building {NAME}: cargo ended with {status}"))
    }
}
