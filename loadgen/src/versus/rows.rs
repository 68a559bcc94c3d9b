//! What is compared, and what is to be reached.

use crate::report::{bytes, duration_us, grouped};

pub const RATE: &str = "rate";
pub const CPU: &str = "CPU/op";
pub const P50: &str = "p50";
pub const P99: &str = "p99";
pub const LAST_EVENT: &str = "last event";
pub const ACK: &str = "write ack";
pub const OPENS_SERIAL: &str = "opens, serial";
pub const OPENS_PARALLEL: &str = "opens, 64 at a time";
pub const IDLE_BYTES: &str = "idle session";
pub const ZNODE_BYTES: &str = "znode";
pub const RESTART: &str = "kill -9 to first read";

/// One load, the same on every side.
pub struct Row {
    pub name: &'static str,
    pub title: &'static str,
    pub kind: Kind,
    pub metrics: &'static [Metric],
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// 64 connections.
    Load {
        mix: f64,
        inflight: usize,
    },
    Watchers,
    Sessions,
    /// Idle sessions, weighed.
    Idle,
    /// Fill, weigh, kill, start again.
    Znodes,
}

impl Kind {
    /// Memory says something only of a server that has done nothing else: one that was busy has
    /// room already. These rows are measured once, after the rounds, on servers of their own.
    pub fn is_on_fresh_server(self) -> bool {
        matches!(self, Self::Idle | Self::Znodes)
    }
}

/// One figure of a row.
pub struct Metric {
    pub name: &'static str,
    pub unit: Unit,
    /// How many times Apache's is to be reached: its quotient, turned so that more is better.
    pub goal_apache: Option<f64>,
    /// Which share of the null server's.
    pub goal_null: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    PerSecond,
    Micros,
    Bytes,
    Count,
}

impl Unit {
    /// More of it is better. Otherwise less is.
    pub fn is_more_better(self) -> bool {
        matches!(self, Self::PerSecond | Self::Count)
    }

    pub fn show(self, value: f64) -> String {
        match self {
            Self::PerSecond => format!("{}/s", grouped(value)),
            Self::Micros => duration_us(value),
            Self::Bytes => bytes(value),
            Self::Count => grouped(value),
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::PerSecond => "1/s",
            Self::Micros => "us",
            Self::Bytes => "B",
            Self::Count => "1",
        }
    }

    /// How much better `ours` is than `other`; above 1 is better.
    pub fn times(self, ours: f64, other: f64) -> f64 {
        if self.is_more_better() { ours / other } else { other / ours }
    }
}

pub fn metric(row: &Row, name: &str) -> Option<&'static Metric> {
    row.metrics.iter().find(|metric| metric.name == name)
}

const fn of(name: &'static str, unit: Unit, apache: f64, null: f64) -> Metric {
    const fn some(goal: f64) -> Option<f64> {
        if goal > 0.0 { Some(goal) } else { None }
    }
    Metric { name, unit, goal_apache: some(apache), goal_null: some(null) }
}

/// The goals stand in the last two columns: times Apache, share of null; 0 for none.
#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    Row { name: "set-1", title: "setData, 64 connections x 1", kind: Kind::Load { mix: 1.0, inflight: 1 }, metrics: &[
        of(RATE,           Unit::PerSecond, 2.2, 0.65),
        of(CPU,            Unit::Micros,    2.3, 0.55),
        of(P50,            Unit::Micros,    0.0, 0.0),
        of(P99,            Unit::Micros,    4.0, 0.0),
    ] },
    Row { name: "set-16", title: "setData, 64 connections x 16", kind: Kind::Load { mix: 1.0, inflight: 16 }, metrics: &[
        of(RATE,           Unit::PerSecond, 5.0, 0.25),
        of(CPU,            Unit::Micros,    6.0, 0.2),
        of(P50,            Unit::Micros,    0.0, 0.0),
        of(P99,            Unit::Micros,    5.0, 0.0),
    ] },
    Row { name: "get-1", title: "getData, 64 connections x 1", kind: Kind::Load { mix: 0.0, inflight: 1 }, metrics: &[
        of(RATE,           Unit::PerSecond, 2.2, 0.85),
        of(CPU,            Unit::Micros,    2.3, 0.75),
        of(P50,            Unit::Micros,    0.0, 0.0),
        of(P99,            Unit::Micros,    0.0, 0.0),
    ] },
    Row { name: "get-16", title: "getData, 64 connections x 16", kind: Kind::Load { mix: 0.0, inflight: 16 }, metrics: &[
        of(RATE,           Unit::PerSecond, 9.0, 0.5),
        of(CPU,            Unit::Micros,    11., 0.4),
        of(P50,            Unit::Micros,    0.0, 0.0),
        of(P99,            Unit::Micros,    0.0, 0.0),
    ] },
    Row { name: "mix-1", title: "10 % writes, 64 connections x 1", kind: Kind::Load { mix: 0.1, inflight: 1 }, metrics: &[
        of(RATE,           Unit::PerSecond, 0.0, 0.0),
        of(CPU,            Unit::Micros,    0.0, 0.0),
        of(P50,            Unit::Micros,    0.0, 0.0),
        of(P99,            Unit::Micros,    0.0, 0.0),
    ] },
    Row { name: "mix-16", title: "10 % writes, 64 connections x 16", kind: Kind::Load { mix: 0.1, inflight: 16 }, metrics: &[
        of(RATE,           Unit::PerSecond, 0.0, 0.0),
        of(CPU,            Unit::Micros,    0.0, 0.0),
        of(P50,            Unit::Micros,    0.0, 0.0),
        of(P99,            Unit::Micros,    0.0, 0.0),
    ] },
    Row { name: "watchers", title: "watchers of one znode", kind: Kind::Watchers, metrics: &[
        of(LAST_EVENT,     Unit::Micros,    4.0, 0.0),
        of(ACK,            Unit::Micros,    20., 0.0),
    ] },
    Row { name: "sessions", title: "sessions", kind: Kind::Sessions, metrics: &[
        of(OPENS_SERIAL,   Unit::PerSecond, 1.4, 0.0),
        of(OPENS_PARALLEL, Unit::PerSecond, 8.0, 0.0),
    ] },
    Row { name: "idle", title: "idle sessions, resident bytes each (once)", kind: Kind::Idle, metrics: &[
        of(IDLE_BYTES,     Unit::Bytes,     20., 0.0),
    ] },
    Row { name: "znodes", title: "znodes of 100 B: fill, weigh, kill, start again (once)", kind: Kind::Znodes, metrics: &[
        of(RATE,           Unit::PerSecond, 0.0, 0.0),
        of(ZNODE_BYTES,    Unit::Bytes,     4.4, 0.0),
        of(RESTART,        Unit::Micros,    35., 0.0),
    ] },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_is_above_one_where_ours_is_better() {
        let near = |left: f64, right: f64| (left - right).abs() < 1e-9;
        assert!(near(Unit::PerSecond.times(300.0, 100.0), 3.0));
        assert!(near(Unit::Micros.times(2.0, 8.0), 4.0));
        assert!(near(Unit::Bytes.times(10.0, 5.0), 0.5));
    }
}
