//! Several operations in one request, and several results in one reply (client-protocol 12).
//!
//! Each operation stands behind a header of nine bytes (type, done, error); a header that is
//! `done` ends the list. Nothing is copied: the list is checked once and walked where it lies.

use super::error_code::ErrorCode;
use super::jute::{DecodeError, Reader, Record, Text, Writer};
use super::op::{Request, code};
use super::records::records;
use super::reply::ErrorReply;
use super::request::{CreateRequest, CreateTtlRequest, flags};
use super::stat::Stat;
use crate::types::limits::MULTI_OPS_MAX;

records! {
    /// Before every operation and every result.
    #[derive(Copy)]
    MultiHeader {
        /// The opcode; -1 for an error and at the end.
        kind: i32,
        /// Whether the list ends here; nothing else in the last header counts.
        done: bool,
        /// -1 in requests, the error in results.
        err: i32,
    }
}

impl MultiHeader {
    /// What ends a list.
    pub const END: Self = Self { kind: -1, done: true, err: -1 };
}

/// Which operations a list may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Allowed {
    Writes,
    Reads,
}

/// The body of multi: writes that happen together or not at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MultiRequest<'a> {
    list: List<'a>,
}

/// The body of multiRead: reads that stand alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MultiReadRequest<'a> {
    list: List<'a>,
}

/// Checked operations, and how many; the terminator is not part of the bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct List<'a> {
    bytes: &'a [u8],
    len: usize,
}

impl<'a> List<'a> {
    fn decode(input: &mut Reader<'a>, allowed: Allowed) -> Result<Self, DecodeError> {
        let start = input.rest();
        let mut len = 0;
        loop {
            let bytes = &start[..start.len() - input.remaining()];
            let header = MultiHeader::decode(input)?;
            if header.done {
                return Ok(Self { bytes, len });
            }
            if len == MULTI_OPS_MAX {
                return Err(DecodeError::TooMany);
            }
            operation(header.kind, input, allowed)?;
            len += 1;
        }
    }

    fn encode(&self, out: &mut Writer<'_>) {
        out.bytes(self.bytes);
        MultiHeader::END.encode(out);
    }

    fn iter(&self, allowed: Allowed) -> Operations<'a> {
        Operations { reader: Reader::new(self.bytes), left: self.len, allowed }
    }
}

impl MultiRequest<'_> {
    /// Whether a part has no path: decodable, and yet a reason to refuse the whole.
    pub fn has_null_path(&self) -> bool {
        self.iter().any(|part| match part {
            Request::Create(body) | Request::Create2(body) | Request::CreateContainer(body) => {
                body.path.is_none()
            }
            Request::CreateTtl(body) => body.path.is_none(),
            Request::Delete(body) => body.path.is_none(),
            Request::SetData(body) => body.path.is_none(),
            Request::Check(body) => body.path.is_none(),
            _ => false,
        })
    }
}

/// The operations of a list, in order.
#[derive(Clone, Debug)]
pub struct Operations<'a> {
    reader: Reader<'a>,
    left: usize,
    allowed: Allowed,
}

impl<'a> Iterator for Operations<'a> {
    type Item = Request<'a>;

    fn next(&mut self) -> Option<Request<'a>> {
        self.left = self.left.checked_sub(1)?;
        let checked = "decoding checked every operation";
        let header = MultiHeader::decode(&mut self.reader).expect(checked);
        Some(operation(header.kind, &mut self.reader, self.allowed).expect(checked))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Operations<'_> {}

/// Decodes one operation.
///
/// The kind of a create follows its flags as much as its opcode, which is not so outside a multi
/// (`MultiOperationRecord.java`, `Op.java` of 3.9.5). What makes Apache's decoder fail is
/// undecodable here, too: null ACLs, unknown flags.
fn operation<'a>(
    kind: i32,
    input: &mut Reader<'a>,
    allowed: Allowed,
) -> Result<Request<'a>, DecodeError> {
    let fits = match allowed {
        Allowed::Writes => matches!(
            kind,
            code::Create
                | code::Create2
                | code::CreateContainer
                | code::CreateTtl
                | code::Delete
                | code::SetData
                | code::Check
        ),
        Allowed::Reads => matches!(kind, code::GetData | code::GetChildren),
    };
    if !fits {
        return Err(DecodeError::UnknownOp(kind));
    }
    match Request::decode_any(kind, input)? {
        Request::Create(body) => create(body, Request::Create),
        Request::Create2(body) => create(body, Request::Create2),
        Request::CreateContainer(body) => create(body, Request::CreateContainer),
        Request::CreateTtl(body) => Ok(create_ttl(body)),
        other => Ok(other),
    }
}

fn create<'a>(
    body: CreateRequest<'a>,
    otherwise: fn(CreateRequest<'a>) -> Request<'a>,
) -> Result<Request<'a>, DecodeError> {
    match body.flags {
        flags::PERSISTENT..=flags::CONTAINER if body.acl.is_null() => Err(DecodeError::Null),
        flags::CONTAINER => Ok(Request::CreateContainer(body)),
        flags::PERSISTENT..flags::CONTAINER => Ok(otherwise(body)),
        // Among them those with a TTL, which this record cannot tell.
        _ => Err(DecodeError::Value("flags")),
    }
}

/// Only with flags that mean a TTL is this one.
fn create_ttl(body: CreateTtlRequest<'_>) -> Request<'_> {
    match body.flags {
        flags::PERSISTENT_TTL | flags::PERSISTENT_SEQUENTIAL_TTL => Request::CreateTtl(body),
        _ => {
            let CreateTtlRequest { path, data, acl, flags, ttl: _ } = body;
            let body = CreateRequest { path, data, acl, flags };
            match flags {
                flags::CONTAINER => Request::CreateContainer(body),
                _ => Request::Create(body),
            }
        }
    }
}

/// Both kinds of list.
macro_rules! lists {
    ($($name:ident $allowed:ident)*) => {$(
        impl<'a> $name<'a> {
            /// The operations, in order.
            pub fn iter(&self) -> Operations<'a> {
                self.list.iter(Allowed::$allowed)
            }

            /// How many operations.
            pub const fn len(&self) -> usize {
                self.list.len
            }

            /// Whether there is none, which is allowed.
            pub const fn is_empty(&self) -> bool {
                self.list.len == 0
            }
        }

        impl<'a> IntoIterator for &$name<'a> {
            type Item = Request<'a>;
            type IntoIter = Operations<'a>;
            fn into_iter(self) -> Operations<'a> {
                self.iter()
            }
        }

        impl<'a> Record<'a> for $name<'a> {
            fn encode(&self, out: &mut Writer<'_>) {
                self.list.encode(out);
            }
            fn decode(input: &mut Reader<'a>) -> Result<Self, DecodeError> {
                List::decode(input, Allowed::$allowed).map(|list| Self { list })
            }
        }
    )*};
}

lists! {
    MultiRequest Writes
    MultiReadRequest Reads
}

/// Appends operations, each behind its header, and the end: the body of multi and multiRead.
pub fn encode_operations<'r>(
    operations: impl IntoIterator<Item = Request<'r>>,
    out: &mut Writer<'_>,
) {
    for operation in operations {
        MultiHeader { kind: operation.code(), done: false, err: -1 }.encode(out);
        operation.encode(out);
    }
    MultiHeader::END.encode(out);
}

/// One result of a multi or multiRead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MultiResult<'a> {
    /// create.
    Created(Text<'a>),
    /// createContainer, createTTL (and create2, for clients that we read replies for).
    Created2(Text<'a>, Stat),
    /// delete.
    Deleted,
    /// setData.
    DataSet(Stat),
    /// check.
    Checked,
    /// getData.
    Data(Option<&'a [u8]>, Stat),
    /// getChildren.
    Children(super::request::Paths<'a>),
    /// An [`ErrorCode`] by its number; 0 for what was rolled back.
    Error(i32),
}

impl<'a> Record<'a> for MultiResult<'a> {
    fn encode(&self, out: &mut Writer<'_>) {
        match self {
            Self::Created(path) => created(out, path, None),
            Self::Created2(path, stat) => created(out, path, Some(stat)),
            Self::Deleted => success(out, code::Delete),
            Self::DataSet(stat) => {
                success(out, code::SetData);
                stat.encode(out);
            }
            Self::Checked => success(out, code::Check),
            Self::Data(data, stat) => {
                success(out, code::GetData);
                data.encode(out);
                stat.encode(out);
            }
            Self::Children(children) => {
                success(out, code::GetChildren);
                children.encode(out);
            }
            Self::Error(err) => {
                MultiHeader { kind: -1, done: false, err: *err }.encode(out);
                ErrorReply { err: *err }.encode(out);
            }
        }
    }

    fn decode(input: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let header = MultiHeader::decode(input)?;
        decode_result(header, input)
    }
}

fn decode_result<'a>(
    header: MultiHeader,
    input: &mut Reader<'a>,
) -> Result<MultiResult<'a>, DecodeError> {
    Ok(match header.kind {
        code::Create => MultiResult::Created(Record::decode(input)?),
        code::Create2 => MultiResult::Created2(Record::decode(input)?, Record::decode(input)?),
        code::Delete => MultiResult::Deleted,
        code::SetData => MultiResult::DataSet(Record::decode(input)?),
        code::Check => MultiResult::Checked,
        code::GetData => MultiResult::Data(Record::decode(input)?, Record::decode(input)?),
        code::GetChildren => MultiResult::Children(Record::decode(input)?),
        -1 => MultiResult::Error(ErrorReply::decode(input)?.err),
        other => return Err(DecodeError::UnknownOp(other)),
    })
}

fn success(out: &mut Writer<'_>, kind: i32) {
    MultiHeader { kind, done: false, err: ErrorCode::Ok.code() }.encode(out);
}

/// Appends the result of a create, without a copy of its path.
pub fn created(out: &mut Writer<'_>, path: &str, stat: Option<&Stat>) {
    success(out, if stat.is_some() { code::Create2 } else { code::Create });
    out.text(path);
    if let Some(stat) = stat {
        stat.encode(out);
    }
}

/// The results of a reply's body, for clients. Ends after an error, which is its last item.
#[derive(Clone, Debug)]
pub struct Results<'a> {
    reader: Reader<'a>,
    done: bool,
}

impl<'a> Results<'a> {
    /// Reads `body`, which follows the reply's header.
    pub const fn new(body: &'a [u8]) -> Self {
        Self { reader: Reader::new(body), done: false }
    }

    fn step(&mut self) -> Result<Option<MultiResult<'a>>, DecodeError> {
        let header = MultiHeader::decode(&mut self.reader)?;
        if header.done { Ok(None) } else { decode_result(header, &mut self.reader).map(Some) }
    }
}

impl<'a> Iterator for Results<'a> {
    type Item = Result<MultiResult<'a>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let item = self.step().transpose();
        self.done = !matches!(item, Some(Ok(_)));
        item
    }
}
