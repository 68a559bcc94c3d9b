//! The report on the terminal.

use std::fmt::Write;

use super::number::{bytes, duration_us, grouped};
use super::{Latency, Load, Report, Sessions, Watchers, addresses};

/// The report, with colours if the reader's terminal has them.
pub fn text(report: &Report, has_colours: bool) -> String {
    let mut out = String::new();
    let server = &report.server;
    let at = addresses(&server.addresses);
    line(&mut out, "server", &format!("{}, {} at {at}", server.kind, server.version));
    let machine = &report.machine;
    let place = format!("{}, {} cores, {}", machine.cpu, machine.cores, machine.kernel);
    line(&mut out, "machine", &place);
    if server.file_system != "unknown" {
        line(&mut out, "disk", &format!("{}; {}", server.file_system, server.durability));
    }
    out.push('\n');
    if let Some(load) = &report.load {
        load_text(&mut out, load);
    }
    if let Some(watchers) = &report.watchers {
        watchers_text(&mut out, watchers);
    }
    if let Some(sessions) = &report.sessions {
        sessions_text(&mut out, sessions);
    }
    out.push('\n');
    let verdict = &report.verdict;
    let (on, off) = match (has_colours, verdict.state) {
        (false, _) => ("", ""),
        (true, "valid") => ("\x1b[32m", "\x1b[0m"),
        (true, "shared") => ("\x1b[33m", "\x1b[0m"),
        (true, _) => ("\x1b[1;31m", "\x1b[0m"),
    };
    line(&mut out, "verdict", &format!("{on}{}{off}", verdict.state));
    for reason in &verdict.reasons {
        line(&mut out, "", reason);
    }
    out
}

fn load_text(out: &mut String, load: &Load) {
    let rate = grouped(load.operations_per_second);
    let worst = load.worst_second_over_mean.map_or(String::new(), |worst| {
        format!("   worst second {:.0} % of the mean", worst * 100.0)
    });
    line(out, "rate", &format!("{rate} operations/s{worst}"));
    latency_text(out, "write ack", load.writes.as_ref());
    latency_text(out, "read", load.reads.as_ref());
    if let Some(lag) = load.lag_p99_us {
        line(out, "schedule", &format!("99 % left at most {} late", duration_us(lag)));
    }
    match &load.server {
        Some(server) => {
            let cpu = duration_us(server.cpu_us_per_operation);
            let text = format!(
                "{cpu} of CPU per operation   {:.2} cores ({:.0} % in the kernel)   busiest \
                 thread {:.0} %",
                server.cores,
                server.system_share * 100.0,
                server.busiest_thread * 100.0
            );
            line(out, "server", &text);
            let before = bytes(server.resident_bytes_before as f64);
            let after = bytes(server.resident_bytes_after as f64);
            line(out, "memory", &format!("{before} resident before, {after} after"));
        }
        None => line(out, "server", "its process is not on this machine: CPU and memory unknown"),
    }
    if let Some(each) = load.bytes_per_znode {
        line(out, "", &format!("{} for each znode created", bytes(each)));
    }
    let client = &load.client;
    let cpu = duration_us(client.cpu_us_per_operation);
    let busiest = client.busiest_thread * 100.0;
    line(out, "client", &format!("{cpu} of CPU per operation   busiest thread {busiest:.0} %"));
    if load.unanswered > 0 {
        line(out, "unanswered", &grouped(load.unanswered as f64));
    }
    for why in load.violations.iter().chain(&load.lost_connections) {
        line(out, "lost", why);
    }
}

fn latency_text(out: &mut String, label: &str, latency: Option<&Latency>) {
    let Some(latency) = latency else { return };
    let text = format!(
        "p50 {}   p90 {}   p99 {}   p99.9 {}   max {}",
        duration_us(latency.p50_us),
        duration_us(latency.p90_us),
        duration_us(latency.p99_us),
        duration_us(latency.p999_us),
        duration_us(latency.max_us)
    );
    line(out, label, &text);
    for error in &latency.errors {
        let count = grouped(error.count as f64);
        line(out, "", &format!("{count} answers were {} ({})", error.name, error.code));
    }
}

fn watchers_text(out: &mut String, watchers: &Watchers) {
    line(out, "write ack", &format!("median {}", duration_us(watchers.ack_median_us)));
    line(out, "first event", &format!("median {}", duration_us(watchers.first_event_median_us)));
    line(out, "last event", &format!("median {}", duration_us(watchers.last_event_median_us)));
    latency_text(out, "all events", watchers.events.as_ref());
}

fn sessions_text(out: &mut String, sessions: &Sessions) {
    for opens in [&sessions.serial, &sessions.parallel] {
        let label = format!("{} at a time", opens.at_once);
        line(out, &label, &format!("{} opens/s", grouped(opens.opens_per_second)));
        latency_text(out, "", opens.latency.as_ref());
    }
    if let Some(idle) = &sessions.idle {
        let each = bytes(idle.bytes_per_session);
        line(out, "idle", &format!("{each} resident for each of {} sessions", idle.sessions));
    }
}

fn line(out: &mut String, label: &str, text: &str) {
    writeln!(out, "  {label:<13}{text}").expect("writing to a string");
}
