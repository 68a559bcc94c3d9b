//! Java's *properties* format: bytes -> keys and values, each with the line it began on.
//!
//! The same bytes must mean the same here as to `java.util.Properties.load`, because a file that a
//! Java server reads today is started with tomorrow. Bytes are ISO 8859-1, a backslash escapes,
//! an odd number of them at a line's end continues it, and a key ends at the first `=`, `:` or
//! blank that is not escaped. Keys and values are trimmed afterwards, as Java's server does
//! (ops-surface section 1.0, rule 1). Which of two equal keys wins is the caller's business.

/// A configuration larger than this is not one. 1 MiB is some hundred times a full file.
pub const CONFIG_BYTES_MAX: usize = 1 << 20;

/// One key with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Property {
    /// Line on which the key stands, from 1.
    pub line: usize,
    /// The key, unescaped and trimmed.
    pub key: String,
    /// The value, unescaped and trimmed; empty where none is given.
    pub value: String,
}

/// What Java refuses too: a `\u` without four hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadEscape {
    /// Line on which the property begins, from 1.
    pub line: usize,
}

/// Reads a whole file's bytes.
pub fn parse(bytes: &[u8]) -> Result<Vec<Property>, BadEscape> {
    let mut properties = Vec::new();
    let mut natural = NaturalLines { rest: bytes, number: 0 };
    let mut logical = Vec::new();
    while let Some(line) = natural.next() {
        let start = skip_blanks(line);
        if start.is_empty() || start[0] == b'#' || start[0] == b'!' {
            continue;
        }
        let number = natural.number;
        logical.clear();
        let mut part = start;
        loop {
            let backslashes = part.iter().rev().take_while(|byte| **byte == b'\\').count();
            if backslashes % 2 == 0 {
                logical.extend_from_slice(part);
                break;
            }
            logical.extend_from_slice(&part[..part.len() - 1]);
            match natural.next() {
                Some(next) => part = skip_blanks(next),
                None => break,
            }
        }
        properties.push(split(&logical, number)?);
    }
    Ok(properties)
}

/// Lines as the bytes have them, ended by `\n`, `\r` or `\r\n`.
struct NaturalLines<'a> {
    rest: &'a [u8],
    number: usize,
}

impl<'a> NaturalLines<'a> {
    fn next(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        self.number += 1;
        let end = self.rest.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
        let Some(end) = end else {
            return Some(std::mem::take(&mut self.rest));
        };
        let line = &self.rest[..end];
        let ended_by = if self.rest[end..].starts_with(b"\r\n") { 2 } else { 1 };
        self.rest = &self.rest[end + ended_by..];
        Some(line)
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\x0c')
}

fn skip_blanks(line: &[u8]) -> &[u8] {
    let blanks = line.iter().take_while(|byte| is_blank(**byte)).count();
    &line[blanks..]
}

fn split(logical: &[u8], line: usize) -> Result<Property, BadEscape> {
    let mut escaped = false;
    let ends = |byte: &u8| {
        if escaped {
            escaped = false;
            return false;
        }
        escaped = *byte == b'\\';
        matches!(byte, b'=' | b':') || is_blank(*byte)
    };
    let key_end = logical.iter().position(ends).unwrap_or(logical.len());
    let mut value = skip_blanks(&logical[key_end..]);
    if let Some(b'=' | b':') = value.first() {
        value = skip_blanks(&value[1..]);
    }
    let key = unescape(&logical[..key_end]).ok_or(BadEscape { line })?;
    let value = unescape(value).ok_or(BadEscape { line })?;
    Ok(Property { line, key: trim(&key).to_owned(), value: trim(&value).to_owned() })
}

/// Java's `String.trim`: everything up to the blank goes, on both ends.
fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| c <= ' ')
}

fn unescape(raw: &[u8]) -> Option<String> {
    // UTF-16 like Java's, so that a pair of escapes can be one character.
    let mut units: Vec<u16> = Vec::with_capacity(raw.len());
    let mut bytes = raw.iter();
    while let Some(&byte) = bytes.next() {
        if byte != b'\\' {
            units.push(u16::from(byte));
            continue;
        }
        match bytes.next() {
            None => break,
            Some(b'u') => {
                let mut unit = 0;
                for _ in 0..4 {
                    let digit = char::from(*bytes.next()?).to_digit(16)?;
                    unit = unit * 16 + u16::try_from(digit).expect("a digit is less than 16");
                }
                units.push(unit);
            }
            Some(b't') => units.push(u16::from(b'\t')),
            Some(b'r') => units.push(u16::from(b'\r')),
            Some(b'n') => units.push(u16::from(b'\n')),
            Some(b'f') => units.push(0x0c),
            Some(&other) => units.push(u16::from(other)),
        }
    }
    Some(String::from_utf16_lossy(&units))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Left: a file. Right: what Java 17's `Properties.load` makes of it, trimmed.
    #[test]
    fn reads_what_java_reads() {
        let rows: &[(&[u8], &[(&str, &str)])] = &[
            (b"a=1\nb:2\nc 3\n", &[("a", "1"), ("b", "2"), ("c", "3")]),
            (b"  a =  1  \n", &[("a", "1")]),
            (b"a\t:\t1", &[("a", "1")]),
            (b"a = = 1", &[("a", "= 1")]),
            (b"a==1", &[("a", "=1")]),
            (b"a", &[("a", "")]),
            (b"=1", &[("", "1")]),
            (b"# a=1\n ! b=2\n\n \t\nc=3", &[("c", "3")]),
            (b"a=1 # no comment", &[("a", "1 # no comment")]),
            (b"a=1\\\n   2\nb=3", &[("a", "12"), ("b", "3")]),
            (b"a=1\\\\\nb=3", &[("a", "1\\"), ("b", "3")]),
            (b"a=1\\\n# 2\n", &[("a", "1# 2")]),
            (b"# comment \\\na=1", &[("a", "1")]),
            (b"a\\ b\\=c=1", &[("a b=c", "1")]),
            (b"a=\\u0041\\u00e9", &[("a", "A\u{e9}")]),
            (b"a=\\ud83d\\ude00", &[("a", "\u{1f600}")]),
            (b"a=\\t\\q\\\\x", &[("a", "q\\x")]),
            (b"a=1\rb=2\r\nc=3", &[("a", "1"), ("b", "2"), ("c", "3")]),
            (b"a=1\\\r\n 2", &[("a", "12")]),
            (b"a=1\\", &[("a", "1")]),
            (b"a=\\\n", &[("a", "")]),
            (b"a=1\\\n\n2=3", &[("a", "1"), ("2", "3")]),
            (b"a=1\\\n\\\n2=3", &[("a", "12=3")]),
            (b"\xe9=\xc3\xa9", &[("\u{e9}", "\u{c3}\u{a9}")]),
            (b"a=1\na=2", &[("a", "1"), ("a", "2")]),
            (b"", &[]),
        ];
        for (file, wanted) in rows {
            let read = parse(file).expect("none of these has a bad escape");
            let read: Vec<_> = read.iter().map(|p| (p.key.as_str(), p.value.as_str())).collect();
            assert_eq!(&read, wanted, "in {:?}", String::from_utf8_lossy(file));
        }
    }

    #[test]
    fn a_property_knows_the_line_it_began_on() {
        let read = parse(b"# one\na=1\\\n2\n\nb=3\r\nc=4").expect("no escape in it");
        let lines: Vec<_> = read.iter().map(|property| property.line).collect();
        assert_eq!(lines, [2, 5, 6]);
    }

    #[test]
    fn a_short_escape_is_refused_with_its_line() {
        for file in [&b"a=1\nb=\\u12"[..], b"a=1\nb=\\u12g4", b"a=1\n\\uq=1"] {
            assert_eq!(parse(file), Err(BadEscape { line: 2 }));
        }
    }
}
