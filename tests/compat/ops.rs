//! The operations as the tests speak them: written from the protocol's description, on purpose
//! without a line of `src/wire`, so that a mistake there cannot hide here.
//!
//! A layout is one letter per field: `s` string, `b` buffer, `a` list of ACL entries, `i` int,
//! `l` long, `t` bool, `v` list of strings, `S` Stat, `c` list of identities, `m` list of
//! operations, `M` list of results.

use super::words::Word;

/// One operation: its name in case files, its code, and the fields of both directions.
#[derive(Clone, Copy, Debug)]
pub struct Op {
    pub name: &'static str,
    pub code: i32,
    pub request: &'static str,
    pub reply: &'static str,
}

const fn op(name: &'static str, code: i32, request: &'static str, reply: &'static str) -> Op {
    Op { name, code, request, reply }
}

#[rustfmt::skip]
pub const OPS: &[Op] = &[
    op("create",               1,   "sbai",   "s"),
    op("delete",               2,   "si",     ""),
    op("exists",               3,   "st",     "S"),
    op("getData",              4,   "st",     "bS"),
    op("setData",              5,   "sbi",    "S"),
    op("getACL",               6,   "s",      "aS"),
    op("setACL",               7,   "sai",    "S"),
    op("getChildren",          8,   "st",     "v"),
    op("sync",                 9,   "s",      "s"),
    op("ping",                 11,  "",       ""),
    op("getChildren2",         12,  "st",     "vS"),
    op("check",                13,  "si",     ""),
    op("multi",                14,  "m",      "M"),
    op("create2",              15,  "sbai",   "sS"),
    op("reconfig",             16,  "sssl",   "bS"),
    op("checkWatches",         17,  "si",     ""),
    op("removeWatches",        18,  "si",     ""),
    op("createContainer",      19,  "sbai",   "sS"),
    op("deleteContainer",      20,  "b",      ""),
    op("createTTL",            21,  "sbail",  "sS"),
    op("multiRead",            22,  "m",      "M"),
    op("auth",                 100, "isb",    ""),
    op("setWatches",           101, "lvvv",   ""),
    op("sasl",                 102, "b",      "b"),
    op("getEphemerals",        103, "s",      "v"),
    op("getAllChildrenNumber", 104, "s",      "i"),
    op("setWatches2",          105, "lvvvvv", ""),
    op("addWatch",             106, "si",     "i"),
    op("whoAmI",               107, "",       "c"),
    op("createSession",        -10, "i",      ""),
    op("closeSession",         -11, "",       ""),
];

pub fn by_name(name: &str) -> Option<Op> {
    OPS.iter().copied().find(|op| op.name == name)
}

pub fn by_code(code: i32) -> Option<Op> {
    OPS.iter().copied().find(|op| op.code == code)
}

/// The bytes of a request's body. Panics when the words do not fit the layout.
pub fn encode(op: Op, words: &[Word]) -> Vec<u8> {
    let mut out = Vec::new();
    if op.request == "m" {
        put_multi(&mut out, words);
        return out;
    }
    assert_eq!(words.len(), op.request.len(), "{} takes {} words", op.name, op.request.len());
    for (kind, word) in op.request.chars().zip(words) {
        put(&mut out, kind, word);
    }
    out
}

fn put_multi(out: &mut Vec<u8>, words: &[Word]) {
    for word in words {
        let Word::List(words) = word else { panic!("multi takes lists, not {word:?}") };
        let name = words.first().expect("an operation has a name").text();
        let op = by_name(name).unwrap_or_else(|| panic!("no operation is called {name:?}"));
        out.extend(op.code.to_be_bytes());
        out.push(0);
        out.extend((-1i32).to_be_bytes());
        out.extend(encode(op, &words[1..]));
    }
    out.extend((-1i32).to_be_bytes());
    out.push(1);
    out.extend((-1i32).to_be_bytes());
}

fn put(out: &mut Vec<u8>, kind: char, word: &Word) {
    match kind {
        's' | 'b' => put_bytes(out, word),
        'i' => {
            let number = i32::try_from(word.number()).expect("a number of 32 bits");
            out.extend(number.to_be_bytes());
        }
        'l' => out.extend(word.number().to_be_bytes()),
        't' => out.push(u8::try_from(word.number()).expect("a byte")),
        'v' => put_list(out, word, put_bytes),
        'a' => put_list(out, word, put_acl_entry),
        other => panic!("no field has the kind {other:?}"),
    }
}

fn put_bytes(out: &mut Vec<u8>, word: &Word) {
    match word {
        Word::Null => out.extend((-1i32).to_be_bytes()),
        Word::Text(bytes) => {
            out.extend(i32::try_from(bytes.len()).expect("a short string").to_be_bytes());
            out.extend(bytes);
        }
        Word::List(_) => panic!("a string is needed here, not {word:?}"),
    }
}

fn put_list(out: &mut Vec<u8>, word: &Word, put: fn(&mut Vec<u8>, &Word)) {
    match word {
        Word::Null => out.extend((-1i32).to_be_bytes()),
        Word::Text(_) => {
            out.extend(1i32.to_be_bytes());
            put(out, word);
        }
        Word::List(words) => {
            out.extend(i32::try_from(words.len()).expect("a short list").to_be_bytes());
            for word in words {
                put(out, word);
            }
        }
    }
}

/// `scheme:id:perms`, where the id may hold colons, `~` stands for a null scheme or id, and `open`
/// and `read` are short for what the world may do.
fn put_acl_entry(out: &mut Vec<u8>, word: &Word) {
    let text = match word.text() {
        "open" => "world:anyone:31",
        "read" => "world:anyone:1",
        other => other,
    };
    let (scheme, rest) = text.split_once(':').expect("scheme:id:perms");
    let (id, perms) = rest.rsplit_once(':').expect("scheme:id:perms");
    let perms: i32 = perms.parse().expect("permissions are a number");
    out.extend(perms.to_be_bytes());
    for part in [scheme, id] {
        let word = if part == "~" { Word::Null } else { Word::Text(part.into()) };
        put_bytes(out, &word);
    }
}
