//! One line per second on standard error: overwritten on a terminal, plain lines elsewhere.

use std::io::{IsTerminal, Write};

use crate::load::Second;
use crate::report::{bytes, duration_us, grouped};

/// Whether and how progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    Silent,
    Lines,
    Overwriting,
}

impl Progress {
    pub fn new(is_quiet: bool) -> Self {
        match (is_quiet, std::io::stderr().is_terminal()) {
            (true, _) => Self::Silent,
            (false, true) => Self::Overwriting,
            (false, false) => Self::Lines,
        }
    }

    pub fn show(self, second: &Second) {
        let text = line(second);
        match self {
            Self::Silent => {}
            Self::Lines => eprintln!("{text}"),
            Self::Overwriting => {
                eprint!("\r\x1b[2K{text}");
                // A terminal that is gone is no reason to stop measuring.
                let _ = std::io::stderr().flush();
            }
        }
    }

    /// A sentence between the lines.
    pub fn say(self, text: &str) {
        if self != Self::Silent {
            eprintln!("{text}");
        }
    }

    /// Nothing more will be overwritten.
    pub fn end(self) {
        if self == Self::Overwriting {
            eprintln!();
        }
    }
}

fn line(second: &Second) -> String {
    let phase = if second.at <= 0.0 { "warm-up" } else { "" };
    let mut text = format!(
        "{phase:>7} {:4.0} s  {:>11}/s   p50 {:>8}   p99 {:>8}   max {:>8}",
        second.at,
        grouped(second.rate()),
        duration_us(second.p50.as_secs_f64() * 1e6),
        duration_us(second.p99.as_secs_f64() * 1e6),
        duration_us(second.max.as_secs_f64() * 1e6),
    );
    if let (Some(cores), Some(resident)) = (second.server_cores, second.server_resident_bytes) {
        text.push_str(&format!("   server {cores:.2} cores, {}", bytes(resident as f64)));
    }
    if second.errors > 0 {
        text.push_str(&format!("   {} errors", grouped(second.errors as f64)));
    }
    if second.behind > 0 {
        text.push_str(&format!("   {} behind schedule", grouped(second.behind as f64)));
    }
    text
}
