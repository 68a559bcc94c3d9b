//! Limits and usage of subtrees, kept in znodes under /zookeeper/quota (client-protocol section 10).
//!
//! For a subtree P the znode `/zookeeper/quota` + P + `/zookeeper_limits` holds limits, and
//! `…/zookeeper_stats` the usage, both as text. Here is which subtrees have limits, and what the
//! texts mean. Text that Apache's server dies of (a stats znode that is null or unreadable, limits
//! for an empty P) is left alone.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::Arc;

use crate::types::path;

/// Below which quotas live.
pub const QUOTA_ROOT: &str = "/zookeeper/quota";
/// The name of the znode with limits.
pub const LIMITS: &str = "zookeeper_limits";
/// The name of the znode with usage.
pub const STATS: &str = "zookeeper_stats";

/// The subtrees that have limits.
#[derive(Clone, Default)]
pub(super) struct Quotas {
    prefixes: Arc<BTreeSet<Box<str>>>,
}

impl Quotas {
    pub(super) fn add(&mut self, prefix: &str) {
        if !self.prefixes.contains(prefix) {
            Arc::make_mut(&mut self.prefixes).insert(prefix.into());
        }
    }

    pub(super) fn remove(&mut self, prefix: &str) {
        if self.prefixes.contains(prefix) {
            Arc::make_mut(&mut self.prefixes).remove(prefix);
        }
    }

    /// The deepest subtree with limits that `path` is in, itself included.
    pub(super) fn deepest<'p>(&self, path: &'p str) -> Option<&'p str> {
        if self.prefixes.is_empty() {
            return None;
        }
        let mut chain = std::iter::once(path).chain(path::ancestors(path));
        chain.find(|prefix| self.prefixes.contains(*prefix))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        self.prefixes.iter().map(|prefix| &**prefix)
    }
}

/// The subtree that a znode of the given parent is about. `None` if it is not about a quota, or
/// about one for nothing, which would kill an Apache server.
pub(super) fn subject(parent: &str) -> Option<&str> {
    parent.strip_prefix(QUOTA_ROOT).filter(|prefix| prefix.starts_with('/'))
}

/// What a limits or stats znode says. -1: nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Track {
    /// Znodes: allowed, or there.
    pub count: i64,
    /// Bytes of data: allowed, or there.
    pub bytes: i64,
    /// The limit that refuses.
    pub count_hard: i64,
    /// The limit that refuses.
    pub bytes_hard: i64,
}

const COUNT: &str = "count";
const BYTES: &str = "bytes";

impl Track {
    /// Reads a text as Apache's `StatsTrack` does; `None` where that throws.
    pub fn parse(data: Option<&[u8]>) -> Option<Self> {
        let mut track = Self { count: -1, bytes: -1, count_hard: -1, bytes_hard: -1 };
        for pair in pairs(data?)? {
            let (key, value) = pair?;
            match key {
                COUNT => track.count = value,
                BYTES => track.bytes = value,
                "countHardLimit" => track.count_hard = value,
                "byteHardLimit" => track.bytes_hard = value,
                _ => {}
            }
        }
        Some(track)
    }
}

/// The pairs of a text; an inner `None` is one that Apache's parser throws on.
fn pairs(data: &[u8]) -> Option<impl Iterator<Item = Option<(&str, i64)>>> {
    let text = std::str::from_utf8(data).ok()?;
    // A Java split drops empty strings at the end; one at the start stays and throws.
    let text = text.trim_end_matches([',', ';']);
    let pieces = text.split([',', ';']).enumerate();
    let pieces = pieces
        .filter(move |(number, piece)| !text.is_empty() && (*number == 0 || !piece.is_empty()));
    Some(pieces.map(|(_, piece)| {
        let mut parts = piece.trim_end_matches('=').split('=');
        let key = parts.next().unwrap_or_default();
        // Java drops empty parts at the end, too: "count=" has no value and throws.
        let value = parts.next()?;
        let value = if value.is_empty() { Some(-1) } else { value.parse().ok() };
        value.map(|value| (key, value))
    }))
}

/// Writes `out`: the text of a stats znode with its two numbers changed. `false`: it is unreadable.
pub(super) fn update(data: Option<&[u8]>, (bytes, count): (i64, i64), out: &mut String) -> bool {
    let Some(track) = Track::parse(data) else { return false };
    write_numbers(track.bytes.wrapping_add(bytes), track.count.wrapping_add(count), out);
    let mut others: Vec<(&str, i64)> = Vec::new();
    for (key, value) in pairs(data.unwrap_or_default()).into_iter().flatten().flatten() {
        if key == COUNT || key == BYTES {
            continue;
        }
        match others.binary_search_by_key(&key, |other| other.0) {
            Ok(at) => others[at].1 = value,
            Err(at) => others.insert(at, (key, value)),
        }
    }
    if !others.is_empty() {
        out.push('=');
    }
    for (key, value) in others {
        write!(out, ";{key}={value}").expect("writing to a string");
    }
    true
}

/// Writes `out`: the text of a stats znode.
pub(super) fn write_numbers(bytes: i64, count: i64, out: &mut String) {
    out.clear();
    write!(out, "{COUNT}={count},{BYTES}={bytes}").expect("writing to a string");
}

/// What limits say about a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// No limit is in the way.
    Within,
    /// A line for the log: a soft limit is exceeded.
    Soft(Excess),
    /// Refused.
    Hard(Excess),
}

/// Which limit, and by what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Excess {
    /// Bytes, or else znodes.
    pub is_bytes: bool,
    /// What the usage would be.
    pub would_be: i64,
    /// What it may be.
    pub limit: i64,
}

/// Judges a write that adds `count` znodes and `bytes` bytes (`ZooKeeperServer.checkQuota`).
pub fn judge(limits: &Track, used: &Track, (bytes, count): (i64, i64)) -> Verdict {
    let dimensions = [
        (false, count, used.count, limits.count_hard, limits.count),
        (true, bytes, used.bytes, limits.bytes_hard, limits.bytes),
    ];
    let mut verdict = Verdict::Within;
    for (is_bytes, more, used, hard, soft) in dimensions {
        let limit = if hard > -1 { hard } else { soft };
        let would_be = used.wrapping_add(more);
        if more == 0 || limit <= -1 || would_be <= limit {
            continue;
        }
        let excess = Excess { is_bytes, would_be, limit };
        if hard > -1 {
            return Verdict::Hard(excess);
        }
        verdict = Verdict::Soft(excess);
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;

    fn track(count: i64, bytes: i64, count_hard: i64, bytes_hard: i64) -> Track {
        Track { count, bytes, count_hard, bytes_hard }
    }

    #[test]
    fn texts_are_read_as_apache_reads_them() {
        #[rustfmt::skip]
        let table: &[(&str, Option<Track>)] = &[
            ("",                                              Some(track(-1, -1, -1, -1))),
            ("count=3,bytes=5",                               Some(track(3, 5, -1, -1))),
            ("count=3,bytes=5=;byteHardLimit=9;countHardLimit=7", Some(track(3, 5, 7, 9))),
            ("count=3,,;bytes=5;;",                           Some(track(3, 5, -1, -1))),
            ("count==3",                                      Some(track(-1, -1, -1, -1))),
            ("other=1,count=2,count=4",                       Some(track(4, -1, -1, -1))),
            ("count=",                                        None),
            (",count=3",                                      None),
            ("count=x",                                       None),
            ("hello",                                         None),
            ("count=99999999999999999999",                    None),
        ];
        for (text, expected) in table {
            assert_eq!(Track::parse(Some(text.as_bytes())), *expected, "{text:?}");
        }
        assert_eq!(Track::parse(None), None);
        assert_eq!(Track::parse(Some(b"\xff")), None);
    }

    #[test]
    fn an_update_keeps_other_keys_sorted_behind_the_odd_sign() {
        let mut out = String::new();
        assert!(update(Some(b"count=3,bytes=5"), (-2, 1), &mut out));
        assert_eq!(out, "count=4,bytes=3");
        assert!(update(Some(b"z=1;bytes=5;a=2"), (1, 1), &mut out));
        assert_eq!(out, "count=0,bytes=6=;a=2;z=1");
        assert!(update(Some(b""), (1, 1), &mut out));
        assert_eq!(out, "count=0,bytes=0");
        assert!(!update(Some(b"count=x"), (1, 1), &mut out));
    }

    #[test]
    fn reaching_a_limit_is_allowed_and_hard_ones_refuse() {
        let used = track(4, 10, -1, -1);
        #[rustfmt::skip]
        let table = [
            // limits                more       refused, over
            (track(5, -1, -1, -1),   (0, 1),    None),
            (track(4, -1, -1, -1),   (0, 1),    Some((false, false))),
            (track(9, -1, 4, -1),    (0, 1),    Some((true, false))),
            (track(-1, 12, -1, -1),  (2, 1),    None),
            (track(-1, 12, -1, -1),  (3, 1),    Some((false, true))),
            (track(-1, 12, -1, 5),   (-1, 0),   Some((true, true))),
            (track(-1, 5, -1, -1),   (0, 0),    None),
            (track(3, -1, -1, 5),    (1, 1),    Some((true, true))),
        ];
        for (limits, more, expected) in table {
            let actual = match judge(&limits, &used, more) {
                Verdict::Within => None,
                Verdict::Soft(excess) => Some((false, excess.is_bytes)),
                Verdict::Hard(excess) => Some((true, excess.is_bytes)),
            };
            assert_eq!(actual, expected, "{limits:?} {more:?}");
        }
    }
}
