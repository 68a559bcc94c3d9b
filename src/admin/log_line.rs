//! A log record as one line: Java's shape, or JSON. Pure.
//!
//! A line never holds a control character from a client's bytes, and never more than
//! [`LINE_BYTES_MAX`]: what an attacker sends cannot forge a second line or fill the disk with one.

use std::fmt::Write as _;

use jiff::Zoned;
use log::Level;

/// Longest message, in bytes. The rest is cut and marked.
pub const LINE_BYTES_MAX: usize = 8 << 10;

/// What one line tells.
#[derive(Clone, Debug)]
pub struct Line<'a> {
    /// When.
    pub time: Zoned,
    /// How bad.
    pub level: Level,
    /// Name of the thread.
    pub thread: &'a str,
    /// Module, as a path.
    pub module: &'a str,
    /// Line of the source, 0 if it is not known.
    pub line: u32,
    /// What.
    pub message: &'a str,
}

/// `2026-11-21 21:06:36,123 [myid:1] - INFO  [main:start@12] - message`, as Java's pattern
/// `%d{ISO8601} [myid:%X{myid}] - %-5p [%t:%C{1}@%L] - %m%n` has it, in the zone of the time.
pub fn text(line: &Line<'_>, my_id: &str, out: &mut String) {
    let time = line.time.strftime("%Y-%m-%d %H:%M:%S,%3f");
    let class = line.module.rsplit("::").next().unwrap_or(line.module);
    let (level, thread, number) = (line.level, line.thread, line.line);
    write!(out, "{time} [myid:{my_id}] - {level:<5} [{thread}:{class}@{number}] - ")
        .expect("a string takes everything");
    for c in bounded(line.message) {
        if c.is_control() { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out.push('\n');
}

/// One JSON object: `time` (RFC 3339, UTC), `level`, `myid`, `thread`, `module`, `line`, `message`.
pub fn json(line: &Line<'_>, my_id: &str, out: &mut String) {
    let time = line.time.with_time_zone(jiff::tz::TimeZone::UTC);
    let time = time.strftime("%Y-%m-%dT%H:%M:%S.%3fZ");
    write!(out, "{{\"time\":\"{time}\",\"level\":\"{}\",\"myid\":", line.level)
        .expect("a string takes everything");
    put_string(my_id, out);
    out.push_str(",\"thread\":");
    put_string(line.thread, out);
    out.push_str(",\"module\":");
    put_string(line.module, out);
    write!(out, ",\"line\":{},\"message\":", line.line).expect("a string takes everything");
    put_string(line.message, out);
    out.push_str("}\n");
}

fn put_string(text: &str, out: &mut String) {
    out.push('"');
    for c in bounded(text) {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            c if c.is_control() => {
                write!(out, "\\u{:04x}", u32::from(c)).expect("a string takes everything");
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

fn bounded(text: &str) -> impl Iterator<Item = char> {
    let end = text.floor_char_boundary(LINE_BYTES_MAX);
    let mark = if end < text.len() { "…" } else { "" };
    text[..end].chars().chain(mark.chars())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(message: &str) -> Line<'_> {
        let time: Zoned = "2026-11-21T21:06:36.0129+01:00[+01:00]".parse().expect("a time");
        let module = "ringkeeper::shard::start";
        Line { time, level: Level::Info, thread: "main", module, line: 12, message }
    }

    #[test]
    fn text_has_javas_shape() {
        let mut out = String::new();
        text(&line("binding to port /0.0.0.0:2181"), "1", &mut out);
        let wanted = "2026-11-21 21:06:36,012 [myid:1] - INFO  [main:start@12] - binding to port \
                      /0.0.0.0:2181\n";
        assert_eq!(out, wanted);
    }

    #[test]
    fn json_is_one_object_a_line() {
        let mut out = String::new();
        json(&line("say \"hi\" \\ to\n\u{7}é"), "", &mut out);
        let wanted = "{\"time\":\"2026-11-21T20:06:36.012Z\",\"level\":\"INFO\",\"myid\":\"\",\
                      \"thread\":\"main\",\"module\":\"ringkeeper::shard::start\",\"line\":12,\
                      \"message\":\"say \\\"hi\\\" \\\\ to\\n\\u0007é\"}\n";
        assert_eq!(out, wanted);
    }

    #[test]
    fn no_client_forges_a_line_or_writes_without_end() {
        let mut out = String::new();
        text(&line("path /a\n2026-11-21 21:06:36,013 [myid:1] - ERROR\r\u{1b}[2J"), "1", &mut out);
        assert_eq!(out.matches('\n').count(), 1);
        assert!(out.contains("/a\\n2026") && out.contains("\\r\\u{1b}[2J"), "{out}");
        for render in [text, json] {
            let long = "é".repeat(LINE_BYTES_MAX);
            let mut out = String::new();
            render(&line(&long), "1", &mut out);
            assert!(out.len() < LINE_BYTES_MAX + 200, "{}", out.len());
            assert!(out.contains('…'));
        }
    }
}
