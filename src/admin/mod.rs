//! The operator's window: four-letter words, counts, log lines.
//!
//! Nothing here is on the path of a request. What the words show is handed in as plain values
//! ([`stats::Snapshot`]) and becomes text in [`four_letter`]; what the loops count are the plain
//! arrays of [`stats::CoreStats`]; log lines arrive through the `log` macros and leave through
//! [`logger`], which never lets a loop wait.

pub mod counts;
pub mod environment;
pub mod four_letter;
pub mod log_limit;
pub mod log_line;
pub mod logger;
pub mod metrics;
pub mod stats;
pub mod version;

pub use four_letter::{Answer, Effect, WhiteList, Word, answer, word};
