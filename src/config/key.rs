//! What a row of the table of keys says, and how a value is tried on it.

use std::fmt;
use std::path::PathBuf;

use super::settings::Config;

/// Where a key may stand, and what a wrong value does there (ops-surface section 1.0).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Of the parser's fixed list: a key of the file alone; a wrong value stops the start.
    Fixed,
    /// A property: `X=v` in the file and `-Dzookeeper.X=v` are the same; a malformed value is
    /// warned of, and Java's value taken.
    Property,
    /// A property without the prefix: `-DX=v`. Java reads it from the command line alone; here
    /// the file may hold it too.
    Bare,
    /// A key of RingKeeper's own: `X=v` in the file, `-DX=v` or `-Dzookeeper.X=v`; a wrong value
    /// stops the start.
    Own,
}

impl Kind {
    /// Whether a wrong value is an error rather than a warning.
    pub fn is_strict(self) -> bool {
        matches!(self, Self::Fixed | Self::Own)
    }
}

/// How much a drop-in needs a key: ops-surface's codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// A drop-in breaks without it.
    Must,
    /// Some operators rely on it.
    Should,
    /// About a Java program's inside.
    Java,
    /// A hook of Java's tests.
    Test,
    /// RingKeeper's own.
    Own,
}

/// Where a value goes, which is also what it may be.
#[derive(Clone, Copy)]
pub enum Set {
    /// `true` or `false`.
    Bool(fn(&mut Config) -> &mut bool),
    /// True if the value is this very word, false if it is any other.
    Word(&'static str, fn(&mut Config) -> &mut bool),
    /// A port that may be absent; 0 takes a free one.
    Port(fn(&mut Config) -> &mut Option<u16>),
    /// A number from `low` to 2^31-1; what is below `low` is wrong for a strict key, else `low`.
    Num(u32, fn(&mut Config) -> &mut u32),
    /// A number whose absence means something.
    MaybeNum(fn(&mut Config) -> &mut Option<u32>),
    /// A number where 0 and everything below switches off.
    Limit(fn(&mut Config) -> &mut u32),
    /// A long number where 0 and everything below switches off.
    Limit64(fn(&mut Config) -> &mut u64),
    /// A number that may be negative.
    Signed(fn(&mut Config) -> &mut i32),
    /// A share, from 0 to 1.
    Share(fn(&mut Config) -> &mut f64),
    /// Text.
    Text(fn(&mut Config) -> &mut Option<String>),
    /// A path.
    Path(fn(&mut Config) -> &mut Option<PathBuf>),
    /// Words between commas, blanks around them ignored.
    List(fn(&mut Config) -> &mut Vec<String>),
    /// A rule of its own: is handed the key as given and the value.
    Rule(&'static str, fn(&mut Config, &str, &str) -> Result<(), String>),
    /// Checked and not kept.
    Check(Type),
}

/// What a value may be when nothing keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// `true` or `false`.
    Bool,
    /// A whole number.
    Number,
    /// A number with a fraction.
    Fraction,
    /// Anything.
    Text,
}

/// One key.
pub struct Row {
    /// Its spelling in the file. Ends in `.N` or `.*` where the rest of the key is a number or any
    /// text.
    pub name: &'static str,
    /// Other spellings that are taken for it: those of the official guide, or of the command line.
    pub also: &'static [&'static str],
    /// Where it may stand.
    pub kind: Kind,
    /// How much a drop-in needs it.
    pub need: Need,
    /// Its default as one would write it; empty where there is none.
    pub default: &'static str,
    /// Where the value goes.
    pub set: Set,
    /// Meaning, unit, range, and what happens if it is wrong.
    pub doc: &'static str,
    /// Why it has no effect in this release; empty if it has.
    pub idle: &'static str,
    /// A warning that goes with a value: `(value, sentence)`.
    pub warns: Option<(&'static str, &'static str)>,
    /// Whether its value is a secret.
    pub secret: bool,
    /// Whether a wrong value stops the start although it is a property's: Java does not start
    /// with it either.
    pub stops: bool,
    /// Whether the property is also read without its prefix.
    pub bare_too: bool,
    /// The value that `conf/zoo.cfg` sets, where it sets one; else the key stands there commented.
    pub sample: &'static str,
}

const fn row(
    kind: Kind,
    name: &'static str,
    need: Need,
    default: &'static str,
    set: Set,
    doc: &'static str,
) -> Row {
    Row {
        name,
        also: &[],
        kind,
        need,
        default,
        set,
        doc,
        idle: "",
        warns: None,
        secret: false,
        stops: false,
        bare_too: false,
        sample: "",
    }
}

/// A key of the parser's fixed list.
pub const fn fixed(
    name: &'static str,
    need: Need,
    default: &'static str,
    set: Set,
    doc: &'static str,
) -> Row {
    row(Kind::Fixed, name, need, default, set, doc)
}

/// A key that Java makes a `zookeeper.` property of.
pub const fn property(
    name: &'static str,
    need: Need,
    default: &'static str,
    set: Set,
    doc: &'static str,
) -> Row {
    row(Kind::Property, name, need, default, set, doc)
}

/// A property of Java's without the prefix.
pub const fn bare(
    name: &'static str,
    need: Need,
    default: &'static str,
    set: Set,
    doc: &'static str,
) -> Row {
    row(Kind::Bare, name, need, default, set, doc)
}

/// A key of RingKeeper's own.
pub const fn own(name: &'static str, default: &'static str, set: Set, doc: &'static str) -> Row {
    row(Kind::Own, name, Need::Own, default, set, doc)
}

impl Row {
    /// With further spellings.
    #[must_use]
    pub const fn also(mut self, names: &'static [&'static str]) -> Self {
        self.also = names;
        self
    }

    /// Without effect in this release, and why.
    #[must_use]
    pub const fn idle(mut self, why: &'static str) -> Self {
        self.idle = why;
        self
    }

    /// With a warning for one value.
    #[must_use]
    pub const fn warns(mut self, value: &'static str, sentence: &'static str) -> Self {
        self.warns = Some((value, sentence));
        self
    }

    /// With a value that no line shows.
    #[must_use]
    pub const fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    /// With wrong values that stop the start.
    #[must_use]
    pub const fn stops(mut self) -> Self {
        self.stops = true;
        self
    }

    /// Also read without the prefix.
    #[must_use]
    pub const fn bare_too(mut self) -> Self {
        self.bare_too = true;
        self
    }

    /// Set in `conf/zoo.cfg`.
    #[must_use]
    pub const fn sample(mut self, value: &'static str) -> Self {
        self.sample = value;
        self
    }

    /// What comes before the `.N` or `.*`, if the row is a pattern.
    pub fn stem(&self) -> Option<&'static str> {
        self.name.strip_suffix(".N").or(self.name.strip_suffix(".*"))
    }

    /// Whether `key` is this row's, by any of its spellings.
    pub fn is_named(&self, key: &str) -> bool {
        let fits = match self.stem() {
            Some(stem) => key.strip_prefix(stem).is_some_and(|rest| rest.starts_with('.')),
            None => self.name == key,
        };
        fits || self.also.contains(&key)
    }
}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// What became of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tried {
    /// Taken as given.
    Taken,
    /// Not what the key takes; the row's field holds what Java would take instead. Why.
    Wrong(String),
}

impl Set {
    /// Puts `value` into its field. What is wrong leaves a strict key's field alone; a property's
    /// holds Java's value afterwards.
    pub fn put(self, config: &mut Config, kind: Kind, key: &str, value: &str) -> Tried {
        match self {
            Self::Bool(field) => {
                let (read, wrong) = boolean(value);
                if wrong.is_none() || !kind.is_strict() {
                    *field(config) = read;
                }
                tried(wrong)
            }
            Self::Word(word, field) => {
                *field(config) = value == word;
                let known = ["yes", "no", "true", "false"].contains(&value) || value == word;
                tried((!known).then(|| {
                    format!("neither yes nor no; whatever is not {word} means the opposite")
                }))
            }
            Self::Port(field) => whole(value, kind, 0, 65_535, |read| {
                *field(config) = Some(u16::try_from(read).expect("checked above"));
            }),
            Self::Num(low, field) => whole(value, kind, i64::from(low), INT_MAX, |read| {
                *field(config) = u32::try_from(read).expect("checked above");
            }),
            Self::MaybeNum(field) => whole(value, kind, -1, INT_MAX, |read| {
                *field(config) = u32::try_from(read).ok();
            }),
            Self::Limit(field) => whole(value, kind, i64::from(i32::MIN), INT_MAX, |read| {
                *field(config) = u32::try_from(read).unwrap_or(0);
            }),
            Self::Limit64(field) => whole(value, kind, i64::MIN, i64::MAX, |read| {
                *field(config) = u64::try_from(read).unwrap_or(0);
            }),
            Self::Signed(field) => whole(value, kind, i64::from(i32::MIN), INT_MAX, |read| {
                *field(config) = i32::try_from(read).expect("checked above");
            }),
            Self::Share(field) => match value.parse::<f64>() {
                Ok(read) if (0.0..=1.0).contains(&read) => {
                    *field(config) = read;
                    Tried::Taken
                }
                _ => Tried::Wrong("not a number from 0 to 1".to_owned()),
            },
            Self::Text(field) => {
                *field(config) = Some(value.to_owned()).filter(|value| !value.is_empty());
                Tried::Taken
            }
            Self::Path(field) => {
                let given = Some(PathBuf::from(value)).filter(|_| !value.is_empty());
                let wrong = given.is_none().then(|| "no path".to_owned());
                *field(config) = given;
                tried(wrong)
            }
            Self::List(field) => {
                let words = value.split(',').map(str::trim).filter(|word| !word.is_empty());
                *field(config) = words.map(str::to_owned).collect();
                Tried::Taken
            }
            Self::Rule(_, rule) => tried(rule(config, key, value).err()),
            Self::Check(of) => of.check(kind, value),
        }
    }
}

impl Type {
    fn check(self, kind: Kind, value: &str) -> Tried {
        match self {
            Self::Bool => tried(boolean(value).1),
            Self::Number => whole(value, kind, i64::MIN, i64::MAX, |_| ()),
            Self::Fraction => {
                let wrong = value.parse::<f64>().is_err();
                tried(wrong.then(|| "not a number".to_owned()))
            }
            Self::Text => Tried::Taken,
        }
    }
}

const INT_MAX: i64 = i32::MAX as i64;

fn tried(wrong: Option<String>) -> Tried {
    wrong.map_or(Tried::Taken, Tried::Wrong)
}

/// Java's boolean, and what is wrong with it: whatever is not `true` is false.
fn boolean(value: &str) -> (bool, Option<String>) {
    let read = value.eq_ignore_ascii_case("true");
    let known = read || value.eq_ignore_ascii_case("false");
    (read, (!known).then(|| "neither true nor false, which means false to a property".to_owned()))
}

/// A whole number: digits with a sign for a key of the fixed list, Java's `decode` for a property
/// (0x, # and a leading 0 count in 16, 16 and 8). A property below its range takes the lowest value;
/// a malformed one keeps its default.
fn whole(value: &str, kind: Kind, low: i64, high: i64, put: impl FnOnce(i64)) -> Tried {
    let read = if kind.is_strict() { value.parse::<i64>().ok() } else { decode(value) };
    let Some(read) = read else {
        return Tried::Wrong("not a whole number".to_owned());
    };
    if (low..=high).contains(&read) {
        put(read);
        return Tried::Taken;
    }
    // A property beyond its width is malformed to Java, which then takes the default.
    if !kind.is_strict() && read <= high && read >= i64::from(i32::MIN) {
        put(low);
    }
    Tried::Wrong(format!("not from {low} to {high}"))
}

/// `java.lang.Long.decode`.
fn decode(text: &str) -> Option<i64> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let hex = ["0x", "0X", "#"].iter().find_map(|prefix| digits.strip_prefix(prefix));
    let (radix, digits) = match (hex, digits.strip_prefix('0')) {
        (Some(hex), _) => (16, hex),
        (None, Some(octal)) if !octal.is_empty() => (8, octal),
        (None, _) => (10, digits),
    };
    if !digits.bytes().next()?.is_ascii_alphanumeric() {
        return None;
    }
    let read = i128::from(u64::from_str_radix(digits, radix).ok()?);
    i64::try_from(if negative { -read } else { read }).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_javas() {
        let rows = [
            ("12", Some(12)),
            ("+12", Some(12)),
            ("-12", Some(-12)),
            ("0x1F", Some(31)),
            ("-#1f", Some(-31)),
            ("017", Some(15)),
            ("0", Some(0)),
            ("09", None),
            ("", None),
            ("-", None),
            ("--1", None),
            ("0x", None),
            ("0x-1", None),
            ("1_000", None),
            ("1 000", None),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
        ];
        for (text, wanted) in rows {
            assert_eq!(decode(text), wanted, "{text}");
        }
    }

    #[test]
    fn a_property_below_its_range_takes_the_lowest_value_and_a_fixed_key_none() {
        for (kind, left) in [(Kind::Property, 2), (Kind::Fixed, 100_000)] {
            let mut config = Config::default();
            let set = Set::Num(2, |config| &mut config.storage.snap_count);
            let tried = set.put(&mut config, kind, "snapCount", "-7");
            assert_eq!(tried, Tried::Wrong("not from 2 to 2147483647".to_owned()));
            assert_eq!(config.storage.snap_count, left);
        }
    }

    #[test]
    fn a_property_that_is_no_boolean_is_false() {
        let mut config = Config::default();
        let set = Set::Bool(|config| &mut config.tree.digest_enabled);
        let tried = set.put(&mut config, Kind::Property, "digest.enabled", "yes");
        assert!(matches!(tried, Tried::Wrong(_)));
        assert!(!config.tree.digest_enabled);
    }
}
