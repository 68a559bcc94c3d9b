//! The bytes of replies and events.
//!
//! Everything is appended to one buffer of the turn, length first; nothing is built beside it.

use crate::tree::{ChangeKind, OpResult};
use crate::types::{SessionId, Xid, Zxid};
use crate::wire::ErrorCode;
use crate::wire::connect;
use crate::wire::frame;
use crate::wire::jute::{Record, Writer};
use crate::wire::multi::{self, MultiHeader, MultiResult};
use crate::wire::op::code;
use crate::wire::reply::{self as wire, ReplyHeader, event};
use crate::wire::stat::Stat;
use crate::wire::txn::{LoggedTxn, MultiTxn, Txn};

/// Bytes of a ReplyHeader.
const HEADER_BYTES: usize = 16;

/// A reply in the making: its length and error are patched when it is finished.
pub(super) struct Frame<'a> {
    out: &'a mut Vec<u8>,
    start: usize,
}

impl<'a> Frame<'a> {
    /// Starts a reply without an error.
    pub fn start(out: &'a mut Vec<u8>, xid: Xid, zxid: i64) -> Self {
        let start = frame::begin(out);
        ok(xid, zxid).encode(&mut Writer::new(out));
        Self { out, start }
    }

    /// The body is complete.
    pub fn finish(self) {
        frame::end(self.out, self.start);
    }

    /// There is no body after all, but this error.
    pub fn fail(self, error: ErrorCode) {
        self.fail_code(error.code());
    }

    /// The same, with a number that a transaction carries.
    fn fail_code(self, error: i32) {
        self.out.truncate(self.start + 4 + HEADER_BYTES);
        let at = self.start + HEADER_BYTES;
        self.out[at..at + 4].copy_from_slice(&error.to_be_bytes());
        self.finish();
    }

    fn writer(&mut self) -> Writer<'_> {
        Writer::new(self.out)
    }

    pub fn int(&mut self, value: i32) {
        self.writer().i32(value);
    }

    /// The count of a vector; returns where it stands, for [`Frame::set_count`].
    pub fn count(&mut self, count: i32) -> usize {
        self.int(count);
        self.out.len() - 4
    }

    pub fn set_count(&mut self, at: usize, count: i32) {
        self.out[at..at + 4].copy_from_slice(&count.to_be_bytes());
    }

    pub fn buffer(&mut self, bytes: Option<&[u8]>) {
        self.writer().buffer(bytes);
    }

    pub fn string(&mut self, text: &str) {
        self.writer().text(text);
    }

    pub fn stat(&mut self, stat: &Stat) {
        stat.encode(&mut self.writer());
    }

    /// The header of one result of a multi, to be filled by [`Frame::set_multi_header`].
    pub fn multi_header(&mut self, kind: i32) -> usize {
        let at = self.out.len();
        MultiHeader { kind, done: false, err: 0 }.encode(&mut self.writer());
        at
    }

    /// Completes a result: its kind, or the error in place of its body.
    pub fn set_multi_header(&mut self, at: usize, kind: i32, result: Result<(), ErrorCode>) {
        match result {
            Ok(()) => self.out[at..at + 4].copy_from_slice(&kind.to_be_bytes()),
            Err(error) => {
                self.out.truncate(at);
                self.multi_error(error.code());
            }
        }
    }

    /// A result that is an error: told twice, as Apache does.
    pub fn multi_error(&mut self, code: i32) {
        MultiResult::Error(code).encode(&mut self.writer());
    }

    pub fn multi_end(&mut self) {
        MultiHeader::END.encode(&mut self.writer());
    }
}

/// The header of a reply without an error.
fn ok(xid: Xid, zxid: i64) -> ReplyHeader {
    ReplyHeader { xid, zxid: Zxid(zxid), err: 0 }
}

/// A bare header.
pub(super) fn header(out: &mut Vec<u8>, xid: Xid, zxid: i64, error: ErrorCode) {
    wire::header_only(out, ReplyHeader { err: error.code(), ..ok(xid, zxid) });
}

/// A header and a body that were decided when the request came.
pub(super) fn decided(out: &mut Vec<u8>, xid: Xid, zxid: i64, error: ErrorCode, body: &[u8]) {
    let header = ReplyHeader { err: error.code(), ..ok(xid, zxid) };
    wire::with_body(out, header, |out| out.bytes(body));
}

/// A watch event (client-protocol 7.3).
pub(super) fn event(out: &mut Vec<u8>, zxid: i64, kind: ChangeKind, path: &str) {
    let kind = match kind {
        ChangeKind::Created => event::CREATED,
        ChangeKind::Deleted => event::DELETED,
        ChangeKind::DataChanged => event::DATA_CHANGED,
        ChangeKind::ChildrenChanged => event::CHILDREN_CHANGED,
    };
    wire::watcher_event(out, Zxid(zxid), kind, path);
}

/// The answer to a handshake: a ConnectResponse, which has no header. Session 0 with timeout 0
/// says that the session is over.
pub(super) fn handshake(
    out: &mut Vec<u8>,
    session: SessionId,
    timeout_ms: i32,
    read_only_byte: bool,
) {
    let response = connect::ConnectResponse {
        protocol_version: 0,
        timeout_ms,
        session,
        password: if session == SessionId::NONE { [0; 16] } else { connect::password(session) },
        read_only: read_only_byte.then_some(false),
    };
    let start = frame::begin(out);
    response.encode(&mut Writer::new(out));
    frame::end(out, start);
}

/// The answer to a sync: the path as it was sent, even null.
pub(super) fn sync(out: &mut Vec<u8>, xid: Xid, zxid: i64, body: &[u8]) {
    let frame = Frame::start(out, xid, zxid);
    frame.out.extend_from_slice(body);
    frame.finish();
}

/// The answer to what became a transaction: `op` is what the client asked, `results` what
/// applying it came to.
pub(super) fn committed(
    out: &mut Vec<u8>,
    xid: Xid,
    op: i32,
    logged: &LoggedTxn<'_>,
    results: &[OpResult],
) {
    let stat = || results[0].stat.as_ref().expect("creates and writes yield a Stat");
    let mut frame = Frame::start(out, xid, logged.header.zxid.0);
    match &logged.txn {
        Txn::Error(error) => return frame.fail_code(error.err),
        Txn::Multi(parts) => multi(&mut frame, parts, results),
        Txn::Create(create) | Txn::Create2(create) => {
            frame.string(&create.path);
            if op != code::Create {
                frame.stat(stat());
            }
        }
        Txn::CreateContainer(create) => {
            frame.string(&create.path);
            frame.stat(stat());
        }
        Txn::CreateTtl(create) => {
            frame.string(&create.path);
            frame.stat(stat());
        }
        Txn::SetData(_) | Txn::SetAcl(_) => frame.stat(stat()),
        Txn::Reconfig(set) => {
            frame.buffer(set.data);
            frame.stat(stat());
        }
        Txn::Delete(_)
        | Txn::DeleteContainer(_)
        | Txn::Check(_)
        | Txn::CreateSession(_)
        | Txn::CloseSession(_) => {}
    }
    frame.finish();
}

/// One result for each part (client-protocol 12.2, 12.3).
fn multi(frame: &mut Frame<'_>, parts: &MultiTxn<'_>, results: &[OpResult]) {
    let failed = parts.failure().is_some();
    for (index, part) in parts.iter().enumerate() {
        if failed {
            frame.multi_error(if let Txn::Error(error) = part { error.err } else { 0 });
            continue;
        }
        let mut writer = Writer::new(frame.out);
        let stat = || results[index].stat.as_ref().expect("creates and writes yield a Stat");
        match part {
            Txn::Create(create) => multi::created(&mut writer, &create.path, None),
            Txn::Create2(create) => multi::created(&mut writer, &create.path, Some(stat())),
            Txn::CreateContainer(create) => multi::created(&mut writer, &create.path, Some(stat())),
            Txn::CreateTtl(create) => multi::created(&mut writer, &create.path, Some(stat())),
            Txn::SetData(_) => MultiResult::DataSet(*stat()).encode(&mut writer),
            Txn::Delete(_) | Txn::DeleteContainer(_) => MultiResult::Deleted.encode(&mut writer),
            Txn::Check(_) => MultiResult::Checked.encode(&mut writer),
            Txn::SetAcl(_)
            | Txn::Reconfig(_)
            | Txn::CreateSession(_)
            | Txn::CloseSession(_)
            | Txn::Multi(_)
            | Txn::Error(_) => unreachable!("{part:?} is not decoded in a multi"),
        }
    }
    MultiHeader::END.encode(&mut Writer::new(frame.out));
}
