//! The words of a command line in a case file.
//!
//! A line is words between blanks. `[a b]` is a list of words, `~` is null, `"a b"` holds blanks,
//! and in any word `\n`, `\\`, `\"`, `\xNN` (one byte), `\u{N}` (one character) and `{x*5}` (the
//! byte x five times) stand for what cannot be typed.

/// One word of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    Null,
    Text(Vec<u8>),
    List(Vec<Word>),
}

impl Word {
    /// The word as text; panics on a list or null, which is a mistake in the case file.
    pub fn text(&self) -> &str {
        match self {
            Word::Text(bytes) => std::str::from_utf8(bytes).expect("this word is UTF-8"),
            other => panic!("a plain word is needed here, not {other:?}"),
        }
    }

    /// The word as a number, decimal or `0x…`.
    pub fn number(&self) -> i64 {
        let text = self.text();
        match text.strip_prefix("0x") {
            Some(hex) => u64::from_str_radix(hex, 16).expect("a hexadecimal number").cast_signed(),
            None => text.parse().unwrap_or_else(|_| panic!("{text:?} is no number")),
        }
    }
}

/// The words of a line; panics when brackets or quotes do not close.
pub fn parse(line: &str) -> Vec<Word> {
    let mut rest = line.as_bytes();
    let words = parse_list(&mut rest);
    assert!(rest.is_empty(), "a ] too many in {line:?}");
    words
}

fn parse_list(rest: &mut &[u8]) -> Vec<Word> {
    let mut words = Vec::new();
    loop {
        match rest.first() {
            None | Some(b']') => return words,
            Some(b' ') => *rest = &rest[1..],
            Some(b'[') => {
                *rest = &rest[1..];
                words.push(Word::List(parse_list(rest)));
                assert_eq!(rest.first(), Some(&b']'), "a [ without its ]");
                *rest = &rest[1..];
            }
            Some(_) => words.push(parse_word(rest)),
        }
    }
}

fn parse_word(rest: &mut &[u8]) -> Word {
    let mut bytes = Vec::new();
    let mut quoted = false;
    let mut was_quoted = false;
    while let Some(&byte) = rest.first() {
        match byte {
            b'"' => {
                quoted = !quoted;
                was_quoted = true;
                *rest = &rest[1..];
            }
            b' ' | b']' if !quoted => break,
            b'\\' => parse_escape(rest, &mut bytes),
            b'{' if rest.get(2) == Some(&b'*') => parse_repeat(rest, &mut bytes),
            _ => {
                bytes.push(byte);
                *rest = &rest[1..];
            }
        }
    }
    assert!(!quoted, "a quote without its end");
    if bytes == b"~" && !was_quoted { Word::Null } else { Word::Text(bytes) }
}

fn parse_escape(rest: &mut &[u8], bytes: &mut Vec<u8>) {
    let text = std::str::from_utf8(rest).expect("case files are UTF-8");
    let taken = match rest[1] {
        b'n' => {
            bytes.push(b'\n');
            2
        }
        b'x' => {
            bytes.push(u8::from_str_radix(&text[2..4], 16).expect("\\xNN has two hex digits"));
            4
        }
        b'u' => {
            let end = text.find('}').expect("\\u{N} ends with }");
            let code = u32::from_str_radix(&text[3..end], 16).expect("\\u{N} has hex digits");
            let character = char::from_u32(code).expect("\\u{N} is a character");
            bytes.extend_from_slice(character.to_string().as_bytes());
            end + 1
        }
        other => {
            bytes.push(other);
            2
        }
    };
    *rest = &rest[taken..];
}

fn parse_repeat(rest: &mut &[u8], bytes: &mut Vec<u8>) {
    let text = std::str::from_utf8(rest).expect("case files are UTF-8");
    let end = text.find('}').expect("{x*N} ends with }");
    let times: usize = text[3..end].parse().expect("{x*N} has a number");
    bytes.extend(std::iter::repeat_n(rest[1], times));
    *rest = &rest[end + 1..];
}

/// Bytes as they would be written in a case file; `None` is null.
pub fn show(bytes: Option<&[u8]>) -> String {
    let Some(bytes) = bytes else { return "~".to_string() };
    if bytes.is_empty() {
        return "\"\"".to_string();
    }
    let mut text = String::new();
    let mut at = 0;
    while at < bytes.len() {
        let byte = bytes[at];
        let run = bytes[at..].iter().take_while(|other| **other == byte).count();
        if run >= 12 && byte.is_ascii_alphabetic() {
            text += &format!("{{{}*{run}}}", char::from(byte));
            at += run;
            continue;
        }
        match byte {
            b'\n' => text += "\\n",
            b'\\' | b'"' => {
                text.push('\\');
                text.push(char::from(byte));
            }
            0x20..=0x7e => text.push(char::from(byte)),
            _ => text += &format!("\\x{byte:02x}"),
        }
        at += 1;
    }
    let plain = !text.contains([' ', '[', ']', '"']) && text != "~";
    if plain { text } else { format!("\"{text}\"") }
}
