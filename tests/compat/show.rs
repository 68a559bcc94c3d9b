//! Replies and events as lines of a transcript.
//!
//! A line holds every byte of its frame: a body that does not decode to the last byte is shown in
//! hexadecimal. What differs from run to run is masked and nothing else: wall clock times, session
//! ids (named after the connection that opened the session), and orders that the protocol leaves
//! open (children, ephemerals, identities), which are sorted.

use super::ops::{self, Op};
use super::words;
use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

/// Names of sessions by id.
pub type Sessions = BTreeMap<i64, String>;

#[rustfmt::skip]
const ERRORS: &[(i32, &str)] = &[
    (0, "ok"), (-1, "SystemError"), (-2, "RuntimeInconsistency"), (-5, "MarshallingError"),
    (-6, "Unimplemented"), (-8, "BadArguments"), (-12, "UnknownSession"),
    (-13, "NewConfigNoQuorum"), (-14, "ReconfigInProgress"), (-101, "NoNode"), (-102, "NoAuth"),
    (-103, "BadVersion"), (-108, "NoChildrenForEphemerals"), (-110, "NodeExists"),
    (-111, "NotEmpty"), (-112, "SessionExpired"), (-114, "InvalidACL"), (-115, "AuthFailed"),
    (-118, "SessionMoved"), (-119, "NotReadOnly"), (-120, "EphemeralOnLocalSession"),
    (-121, "NoWatcher"), (-123, "ReconfigDisabled"), (-124, "SessionClosedRequireSaslAuth"),
    (-125, "QuotaExceeded"), (-127, "ThrottledOp"),
];

/// An error code by name and number.
pub fn error(code: i32) -> String {
    match ERRORS.iter().find(|(known, _)| *known == code) {
        Some((0, name)) => (*name).to_string(),
        Some((_, name)) => format!("{name}({code})"),
        None => format!("unknown({code})"),
    }
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads fields; `None` as soon as bytes are missing.
pub struct Fields<'a> {
    bytes: &'a [u8],
}

impl<'a> Fields<'a> {
    pub fn new(bytes: &'a [u8]) -> Fields<'a> {
        Fields { bytes }
    }

    pub fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(count)?;
        self.bytes = rest;
        Some(taken)
    }

    pub fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    pub fn int(&mut self) -> Option<i32> {
        self.take(4)?.try_into().ok().map(i32::from_be_bytes)
    }

    pub fn long(&mut self) -> Option<i64> {
        self.take(8)?.try_into().ok().map(i64::from_be_bytes)
    }

    /// Outer `None`: does not decode. Inner `None`: null.
    pub fn buffer(&mut self) -> Option<Option<&'a [u8]>> {
        match self.int()? {
            -1 => Some(None),
            length => self.take(usize::try_from(length).ok()?).map(Some),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

/// A ConnectResponse.
pub fn connect_response(frame: &[u8], sessions: &Sessions) -> String {
    let mut fields = Fields::new(frame);
    let shown = (|| {
        let protocol = fields.int()?;
        let timeout = fields.int()?;
        let id = fields.long()?;
        let password = match fields.buffer()?? {
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0] => "zeros".to_string(),
            derived if derived == password_of(id) => "derived".to_string(),
            other => hex(other),
        };
        let read_only = match fields.byte() {
            None => String::new(),
            Some(byte) => format!(" readOnly={byte}"),
        };
        let session = session(id, sessions);
        Some(format!(
            "protocol={protocol} timeout={timeout} session={session} \
             password={password}{read_only}"
        ))
    })();
    finish("connected", frame, &fields, shown)
}

/// A watch event, without its header.
pub fn event(zxid: i64, body: &[u8]) -> String {
    let mut fields = Fields::new(body);
    let shown = (|| {
        let kind = match fields.int()? {
            1 => "NodeCreated".to_string(),
            2 => "NodeDeleted".to_string(),
            3 => "NodeDataChanged".to_string(),
            4 => "NodeChildrenChanged".to_string(),
            other => format!("event({other})"),
        };
        let state = match fields.int()? {
            3 => String::new(),
            other => format!(" state={other}"),
        };
        Some(format!("{kind} {}{state}", words::show(fields.buffer()?)))
    })();
    finish(&format!("event zxid={zxid}"), body, &fields, shown)
}

/// A reply's body, by the layout of its operation.
pub fn body(op: Op, body: &[u8], sessions: &Sessions) -> String {
    let mut fields = Fields::new(body);
    let shown = layout(op.reply, &mut fields, sessions);
    finish("", body, &fields, shown)
}

fn finish(head: &str, bytes: &[u8], fields: &Fields, shown: Option<String>) -> String {
    let tail = match shown {
        Some(text) if fields.is_empty() => text,
        _ => format!("hex={}", hex(bytes)),
    };
    if head.is_empty() { tail } else { format!("{head} {tail}") }
}

fn layout(kinds: &str, fields: &mut Fields, sessions: &Sessions) -> Option<String> {
    let mut parts = Vec::new();
    for kind in kinds.chars() {
        parts.push(match kind {
            's' => format!("path={}", words::show(fields.buffer()?)),
            'b' => format!("data={}", words::show(fields.buffer()?)),
            'i' => format!("int={}", fields.int()?),
            'v' => format!("list={}", sorted(list(fields, |f| Some(words::show(f.buffer()?)))?)),
            'a' => format!("acl={}", as_sent(list(fields, acl_entry)?)),
            'c' => format!("ids={}", sorted(list(fields, identity)?)),
            'S' => stat(fields, sessions)?,
            'M' => results(fields, sessions)?,
            other => panic!("no field has the kind {other:?}"),
        });
    }
    Some(parts.join(" "))
}

/// Outer `None`: does not decode. Inner `None`: null.
fn list(
    fields: &mut Fields,
    item: fn(&mut Fields) -> Option<String>,
) -> Option<Option<Vec<String>>> {
    match fields.int()? {
        -1 => Some(None),
        count => {
            let mut items = Vec::new();
            for _ in 0..count {
                items.push(item(fields)?);
            }
            Some(Some(items))
        }
    }
}

fn sorted(items: Option<Vec<String>>) -> String {
    as_sent(items.map(|mut items| {
        items.sort();
        items
    }))
}

fn as_sent(items: Option<Vec<String>>) -> String {
    match items {
        None => "~".to_string(),
        Some(items) => format!("[{}]", items.join(" ")),
    }
}

fn acl_entry(fields: &mut Fields) -> Option<String> {
    let perms = fields.int()?;
    let scheme = words::show(fields.buffer()?);
    let id = words::show(fields.buffer()?);
    Some(format!("{scheme}:{id}:{perms}"))
}

fn identity(fields: &mut Fields) -> Option<String> {
    let scheme = words::show(fields.buffer()?);
    Some(format!("{scheme}:{}", words::show(fields.buffer()?)))
}

fn stat(fields: &mut Fields, sessions: &Sessions) -> Option<String> {
    let czxid = fields.long()?;
    let mzxid = fields.long()?;
    let ctime = wall_time(fields.long()?);
    let mtime = wall_time(fields.long()?);
    let version = fields.int()?;
    let cversion = fields.int()?;
    let aversion = fields.int()?;
    let owner = session(fields.long()?, sessions);
    let length = fields.int()?;
    let children = fields.int()?;
    let pzxid = fields.long()?;
    Some(format!(
        "stat czxid={czxid} mzxid={mzxid} ctime={ctime} mtime={mtime} version={version} \
         cversion={cversion} aversion={aversion} owner={owner} length={length} \
         children={children} pzxid={pzxid}"
    ))
}

fn results(fields: &mut Fields, sessions: &Sessions) -> Option<String> {
    let mut items = Vec::new();
    loop {
        let kind = fields.int()?;
        let done = fields.byte()?;
        let code = fields.int()?;
        match (kind, done, code) {
            (-1, 1, -1) => return Some(format!("results=[{}]", items.join(" "))),
            (-1, 0, _) => {
                let repeated = fields.int()?;
                let differs = if repeated == code { "" } else { " (twice, and not the same)" };
                items.push(format!("[error {}{differs}]", error(code)));
            }
            (kind, 0, 0) => {
                let op = ops::by_code(kind)?;
                let body = layout(op.reply, fields, sessions)?;
                let space = if body.is_empty() { "" } else { " " };
                items.push(format!("[{}{space}{body}]", op.name));
            }
            _ => return None,
        }
    }
}

fn session(id: i64, sessions: &Sessions) -> String {
    match sessions.get(&id) {
        Some(name) => name.clone(),
        None => id.to_string(),
    }
}

/// `now` for a time of the last hour, the number itself for anything else.
fn wall_time(millis: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
    let now = i64::try_from(now.as_millis()).expect("milliseconds fit");
    if (now - 3_600_000..=now + 1_000).contains(&millis) {
        "now".to_string()
    } else {
        millis.to_string()
    }
}

/// The password that belongs to a session id: `java.util.Random` seeded with the id.
pub fn password_of(id: i64) -> [u8; 16] {
    const MASK: i64 = (1 << 48) - 1;
    let mut seed = (id ^ 0xB341_5C00 ^ 0x5_DEEC_E66D) & MASK;
    let mut password = [0; 16];
    for part in password.chunks_mut(4) {
        seed = seed.wrapping_mul(0x5_DEEC_E66D).wrapping_add(0xB) & MASK;
        let word = u32::try_from(seed >> 16).expect("32 of 48 bits");
        part.copy_from_slice(&word.to_le_bytes());
    }
    password
}
