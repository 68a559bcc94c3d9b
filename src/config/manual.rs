//! The table of keys as a file that explains itself: `conf/zoo.cfg`, and what
//! `ringkeeper --print-config` prints.

use std::fmt::Write as _;

use super::key::{Kind, Row, Set, Type};
use super::keys::KEYS;

const HEAD: &str = "\
# RingKeeper's configuration: every key, its default, its unit, and what follows from it.
#
# A line without # is set here; a commented line shows the default. The format is Java's properties,
# and a zoo.cfg of Apache ZooKeeper works as it is. `ringkeeper check FILE` finds what is wrong in one.
# This file is what `ringkeeper --print-config` prints.
#
# A key marked [fixed] is read from the file alone, and a wrong value stops the start (exit 2).
# A key marked [property] may also be given as -Dzookeeper.KEY=VALUE, one marked [bare] as -DKEY=VALUE:
# on the command line, in SERVER_JVMFLAGS or in JVMFLAGS. The file wins. A malformed value is a WARN
# line, and what Java would make of it is taken. A key marked [own] is RingKeeper's: it may be a flag,
# and a wrong value stops the start.
";

/// Columns of the text.
const WIDTH: usize = 100;

/// The whole file.
pub fn render() -> String {
    let mut out = HEAD.to_owned();
    for section in KEYS {
        out.push_str("\n\n## ");
        out.push_str(section.title);
        out.push('\n');
        for row in section.rows {
            out.push('\n');
            describe(row, &mut out);
        }
    }
    out
}

fn describe(row: &Row, out: &mut String) {
    let kind = match row.kind {
        Kind::Fixed => "fixed",
        Kind::Property => "property",
        Kind::Bare => "bare",
        Kind::Own => "own",
    };
    let default = if row.default.is_empty() { "unset" } else { row.default };
    let mut text = format!("[{kind}] {} Default: {default}.", row.doc);
    if let Some(values) = values(row.set) {
        write!(text, " Takes {values}.").expect("a string takes all");
    }
    if !row.also.is_empty() {
        write!(text, " Also spelled {}.", row.also.join(", ")).expect("a string takes all");
    }
    if !row.idle.is_empty() {
        write!(text, " No effect here: {}.", row.idle).expect("a string takes all");
    }
    if let Some((value, sentence)) = row.warns {
        write!(text, " {value} is a WARN line: {sentence}.").expect("a string takes all");
    }
    wrap(&text, out);
    let (hash, value) = if row.sample.is_empty() { ("#", row.default) } else { ("", row.sample) };
    writeln!(out, "{hash}{}={value}", row.name).expect("a string takes all");
}

/// What a value may be, where the text does not say it anyway.
fn values(set: Set) -> Option<&'static str> {
    match set {
        Set::Bool(_) | Set::Check(Type::Bool) => Some("true or false"),
        Set::Word(..) => Some("yes or no"),
        Set::Rule(values, _) => Some(values),
        Set::Port(_) => Some("a port"),
        Set::Share(_) | Set::Check(Type::Fraction) => Some("a fraction"),
        Set::Num(..)
        | Set::MaybeNum(_)
        | Set::Limit(_)
        | Set::Limit64(_)
        | Set::Signed(_)
        | Set::Check(Type::Number) => Some("a whole number"),
        Set::Text(_) | Set::Path(_) | Set::List(_) | Set::Check(Type::Text) => None,
    }
}

fn wrap(text: &str, out: &mut String) {
    let mut column = 0;
    for word in text.split_whitespace() {
        if column > 0 && column + 1 + word.len() > WIDTH {
            out.push('\n');
            column = 0;
        }
        out.push_str(if column == 0 { "# " } else { " " });
        column += word.len() + if column == 0 { 2 } else { 1 };
        out.push_str(word);
    }
    out.push('\n');
}
