//! The server's program: hands what the process was given to the command line.

use std::env;
use std::process::ExitCode;

use ringkeeper::cli::{self, Given};

fn main() -> ExitCode {
    #[cfg(feature = "mutants")]
    if let Ok(name) = env::var("RINGKEEPER_MUTANT") {
        ringkeeper::types::mutant::plant_for_process(name);
    }
    let given = Given {
        arguments: env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect(),
        server_jvmflags: env::var("SERVER_JVMFLAGS").unwrap_or_default(),
        jvmflags: env::var("JVMFLAGS").unwrap_or_default(),
    };
    ExitCode::from(cli::run(&given, |config| cli::serve(&config)))
}
