//! Request frames prepared once and patched per request.
//!
//! A request of the steady state is a copy of a [`Template`] with two fields overwritten: the xid
//! and the eight digits of its key. So the client costs about as much as the copy.

use std::borrow::Cow;

use ringkeeper::types::{SessionId, Xid};
use ringkeeper::wire::connect::ConnectRequest;
use ringkeeper::wire::op::code;
use ringkeeper::wire::request::{RequestHeader, flags};
use ringkeeper::wire::stat::Acl;
use ringkeeper::wire::{Record, Writer, frame};

/// A frame of the server longer than this is no reply to anything asked here.
pub const FRAME_BYTES_MAX: usize = 64 << 20;

/// The number of a znode below the root of the run. Written as eight decimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key(pub u32);

/// Keys of a run, at most: eight digits.
pub const KEYS_MAX: u32 = 100_000_000;

/// Keys below one parent. A flat folder of a million children is a different experiment.
pub const KEYS_PER_PARENT: u32 = 1000;

/// `/root/00012/345`: where [`Key`] 12,345 lies.
pub fn key_path(root: &str, key: Key) -> String {
    format!("{}/{:03}", parent_path(root, key.0 / KEYS_PER_PARENT), key.0 % KEYS_PER_PARENT)
}

/// `/root/00012`: the parent of keys 12,000 to 12,999.
pub fn parent_path(root: &str, parent: u32) -> String {
    format!("{root}/{parent:05}")
}

/// One request, length included, ready to be copied.
pub struct Template {
    frame: Vec<u8>,
    /// Where the digits of the key begin; `None` when the path is fixed.
    digits_at: Option<usize>,
}

const XID_AT: usize = frame::PREFIX_BYTES;
/// Behind length, xid, opcode and the path's own length.
const PATH_AT: usize = frame::PREFIX_BYTES + 8 + 4;

impl Template {
    pub fn set(path: &Path, data: &[u8]) -> Self {
        Self::new(code::SetData, path, |body| {
            body.buffer(Some(data));
            body.i32(-1);
        })
    }

    pub fn get(path: &Path, watch: bool) -> Self {
        Self::new(code::GetData, path, |body| body.bool(watch))
    }

    pub fn delete(path: &Path) -> Self {
        Self::new(code::Delete, path, |body| body.i32(-1))
    }

    /// A persistent znode that everybody may do everything with.
    pub fn create(path: &Path, data: &[u8]) -> Self {
        Self::new(code::Create, path, |body| {
            body.buffer(Some(data));
            body.seq([Acl::open()]);
            body.i32(flags::PERSISTENT);
        })
    }

    fn new(op: i32, path: &Path, body: impl FnOnce(&mut Writer<'_>)) -> Self {
        let mut bytes = Vec::new();
        let start = frame::begin(&mut bytes);
        let mut writer = Writer::new(&mut bytes);
        RequestHeader { xid: Xid(0), op }.encode(&mut writer);
        writer.text(&path.text);
        body(&mut writer);
        frame::end(&mut bytes, start);
        assert_eq!(&bytes[PATH_AT..PATH_AT + path.text.len()], path.text.as_bytes());
        Self { frame: bytes, digits_at: path.digits.map(|at| PATH_AT + at) }
    }

    /// Appends the request to `out`.
    #[inline]
    pub fn write(&self, out: &mut Vec<u8>, xid: Xid, key: Key) {
        let start = out.len();
        out.extend_from_slice(&self.frame);
        out[start + XID_AT..start + XID_AT + 4].copy_from_slice(&xid.0.to_be_bytes());
        if let Some(at) = self.digits_at {
            write_digits(&mut out[start + at..start + at + DIGITS_BYTES], key);
        }
    }
}

/// A path, and where in it a key's digits stand.
pub struct Path<'a> {
    text: Cow<'a, str>,
    digits: Option<usize>,
}

impl<'a> Path<'a> {
    /// Always the same znode.
    pub fn fixed(text: &'a str) -> Self {
        Self { text: text.into(), digits: None }
    }

    /// The znode of the key given with each request.
    pub fn keyed(root: &str) -> Self {
        Self { text: key_path(root, Key(0)).into(), digits: Some(root.len() + 1) }
    }
}

/// `00012/345`.
const DIGITS_BYTES: usize = 9;

fn write_digits(out: &mut [u8], key: Key) {
    assert!(key.0 < KEYS_MAX, "a key has eight digits");
    let mut rest = key.0;
    for at in [8, 7, 6, 4, 3, 2, 1, 0] {
        out[at] = b'0' + u8::try_from(rest % 10).expect("a digit");
        rest /= 10;
    }
}

/// The first frame of a new session.
pub fn connect_request(timeout_ms: i32) -> Vec<u8> {
    let request = ConnectRequest {
        timeout_ms,
        session: SessionId::NONE,
        password: Some(&[0; 16]),
        read_only: Some(false),
        ..ConnectRequest::default()
    };
    let mut bytes = Vec::new();
    let start = frame::begin(&mut bytes);
    request.encode(&mut Writer::new(&mut bytes));
    frame::end(&mut bytes, start);
    bytes
}

/// Appends a request that is only a header: ping and closeSession.
pub fn bare_request(out: &mut Vec<u8>, xid: Xid, op: i32) {
    let start = frame::begin(out);
    RequestHeader { xid, op }.encode(&mut Writer::new(out));
    frame::end(out, start);
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringkeeper::wire::Reader;
    use ringkeeper::wire::request::Request;

    /// Decodes a template as a server would.
    fn decoded(template: &Template, key: u32) -> (RequestHeader, String) {
        let mut bytes = Vec::new();
        template.write(&mut bytes, Xid(7), Key(key));
        let mut input = Reader::new(&bytes[4..]);
        assert_eq!(u32::from_be_bytes(bytes[..4].try_into().unwrap()), bytes.len() as u32 - 4);
        let header = RequestHeader::decode(&mut input).unwrap();
        let request = Request::decode(header.op, &mut input).unwrap();
        assert_eq!(input.remaining(), 0, "{request:?} ends early");
        (header, format!("{request:?}"))
    }

    #[test]
    fn templates_are_whole_requests_with_xid_and_key_patched_in() {
        let path = Path::keyed("/r");
        #[rustfmt::skip]
        let table = [
            (Template::set(&path, b"xyz"),    code::SetData, "data: Some([120, 121, 122])"),
            (Template::get(&path, true),      code::GetData, "watch: true"),
            (Template::delete(&path),         code::Delete,  "version: -1"),
            (Template::create(&path, b""),    code::Create,  "flags: 0"),
        ];
        for (template, op, field) in table {
            let (header, request) = decoded(&template, 12_345);
            assert_eq!(header, RequestHeader { xid: Xid(7), op });
            assert!(request.contains("/r/00012/345"), "{request}");
            assert!(request.contains(field), "{request}");
        }
        assert!(decoded(&Template::get(&Path::fixed("/a/b"), false), 9).1.contains("\"/a/b\""));
    }

    #[test]
    fn key_paths_keep_a_thousand_to_a_parent() {
        assert_eq!(key_path("/r", Key(0)), "/r/00000/000");
        assert_eq!(key_path("/r", Key(99_999_999)), "/r/99999/999");
        assert_eq!(parent_path("/r", 12), "/r/00012");
    }

    #[test]
    fn the_connect_request_is_the_documented_one() {
        let bytes = connect_request(10_000);
        assert_eq!(bytes.len(), 4 + 45);
        assert_eq!(ConnectRequest::from_bytes(&bytes[4..]).unwrap().timeout_ms, 10_000);
    }
}
