//! The primitives of jute, and what every record is made of.
//!
//! Decoding borrows from the bytes that it reads; nothing here allocates by a length that it has
//! not checked against the bytes that are there (`BinaryInputArchive.java`, client-protocol 1.1).

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use crate::types::{SessionId, WallTime, Xid, Zxid};

/// A string of the wire: borrowed where it is UTF-8, else a copy with U+FFFD in place of what is
/// not, as Java's decoder makes it.
pub type Text<'a> = Cow<'a, str>;

/// Bytes that are no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// The bytes end inside a field.
    End,
    /// A length that no string or buffer can have.
    Length(i32),
    /// Null where the record cannot do without a value.
    Null,
    /// An opcode that no client may send, or no multi may contain.
    UnknownOp(i32),
    /// A transaction type that no log may contain.
    UnknownTxn(i32),
    /// A value outside the field's range; which field.
    Value(&'static str),
    /// More operations in a multi than a server will take.
    TooMany,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::End => write!(f, "the bytes end inside a field"),
            Self::Length(length) => write!(f, "a length of {length}"),
            Self::Null => write!(f, "null where a value is needed"),
            Self::UnknownOp(code) => write!(f, "operation {code} does not exist here"),
            Self::UnknownTxn(code) => write!(f, "transaction type {code} does not exist"),
            Self::Value(field) => write!(f, "{field} is out of range"),
            Self::TooMany => write!(f, "a multi of too many operations"),
        }
    }
}

impl std::error::Error for DecodeError {}

/// Takes fields off the front of some bytes.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads `bytes` from their beginning.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What has not been read yet.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// How many bytes have not been read yet.
    pub const fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// The next `count` bytes.
    #[inline]
    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let (head, rest) = self.rest.split_at_checked(count).ok_or(DecodeError::End)?;
        self.rest = rest;
        Ok(head)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(DecodeError::End)?;
        self.rest = rest;
        Ok(*head)
    }

    /// One byte; everything but 0 is true.
    #[inline]
    pub fn bool(&mut self) -> Result<bool, DecodeError> {
        self.array::<1>().map(|[byte]| byte != 0)
    }

    /// Four bytes.
    #[inline]
    pub fn i32(&mut self) -> Result<i32, DecodeError> {
        self.array().map(i32::from_be_bytes)
    }

    /// Eight bytes.
    #[inline]
    pub fn i64(&mut self) -> Result<i64, DecodeError> {
        self.array().map(i64::from_be_bytes)
    }

    /// A buffer: length and bytes, `None` for null.
    #[inline]
    pub fn buffer(&mut self) -> Result<Option<&'a [u8]>, DecodeError> {
        match self.i32()? {
            -1 => Ok(None),
            length => {
                let count = usize::try_from(length).map_err(|_| DecodeError::Length(length))?;
                self.bytes(count).map(Some)
            }
        }
    }

    /// A string, `None` for null.
    #[inline]
    pub fn text(&mut self) -> Result<Option<Text<'a>>, DecodeError> {
        Ok(self.buffer()?.map(String::from_utf8_lossy))
    }
}

/// Appends fields to some bytes.
#[derive(Debug)]
pub struct Writer<'w> {
    out: &'w mut Vec<u8>,
}

impl<'w> Writer<'w> {
    /// Writes behind what `out` holds already.
    pub const fn new(out: &'w mut Vec<u8>) -> Self {
        Self { out }
    }

    /// Bytes as they are, without a length.
    #[inline]
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// One byte, 0 or 1.
    #[inline]
    pub fn bool(&mut self, value: bool) {
        self.out.push(u8::from(value));
    }

    /// Four bytes.
    #[inline]
    pub fn i32(&mut self, value: i32) {
        self.bytes(&value.to_be_bytes());
    }

    /// Eight bytes.
    #[inline]
    pub fn i64(&mut self, value: i64) {
        self.bytes(&value.to_be_bytes());
    }

    /// A length or a count. Whatever we hold in memory is far below 2^31.
    #[inline]
    fn length(&mut self, length: usize) {
        self.i32(i32::try_from(length).expect("a record is smaller than 2 GiB"));
    }

    /// A buffer, null for `None`.
    #[inline]
    pub fn buffer(&mut self, value: Option<&[u8]>) {
        match value {
            None => self.i32(-1),
            Some(bytes) => {
                self.length(bytes.len());
                self.bytes(bytes);
            }
        }
    }

    /// A string.
    #[inline]
    pub fn text(&mut self, value: &str) {
        self.buffer(Some(value.as_bytes()));
    }

    /// A vector of whatever `items` yields, counted on the way.
    pub fn seq<'a, T: Record<'a>>(&mut self, items: impl IntoIterator<Item = T>) {
        let at = self.out.len();
        self.i32(0);
        let mut count = 0_usize;
        for item in items {
            item.encode(self);
            count += 1;
        }
        let count = i32::try_from(count).expect("a record is smaller than 2 GiB");
        self.out[at..at + 4].copy_from_slice(&count.to_be_bytes());
    }

    /// A vector of strings, counted on the way.
    pub fn texts<'s>(&mut self, items: impl IntoIterator<Item = &'s str>) {
        self.seq(items.into_iter().map(Text::Borrowed));
    }
}

/// Something with a layout of bytes.
pub trait Record<'a>: Sized {
    /// Appends the record.
    fn encode(&self, out: &mut Writer<'_>);

    /// Takes the record off the front of `input`. After an error `input` is anywhere inside it.
    fn decode(input: &mut Reader<'a>) -> Result<Self, DecodeError>;

    /// Checks the record and goes behind it: an error exactly where `decode` has one.
    #[inline]
    fn skip(input: &mut Reader<'a>) -> Result<(), DecodeError> {
        Self::decode(input).map(drop)
    }

    /// The record in bytes of its own.
    fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode(&mut Writer::new(&mut out));
        out
    }

    /// The record at the front of `bytes`; what follows it is ignored, as Apache's server does.
    fn from_bytes(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        Self::decode(&mut Reader::new(bytes))
    }
}

/// Records that a method of `Reader` and `Writer` is all there is to.
macro_rules! primitives {
    ($($type:ty: $method:ident;)*) => {$(
        impl<'a> Record<'a> for $type {
            #[inline]
            fn encode(&self, out: &mut Writer<'_>) {
                out.$method(*self);
            }
            #[inline]
            fn decode(input: &mut Reader<'a>) -> Result<Self, DecodeError> {
                input.$method()
            }
        }
    )*};
}

primitives! {
    bool: bool;
    i32: i32;
    i64: i64;
    Option<&'a [u8]>: buffer;
}

/// Newtypes around a number.
macro_rules! newtypes {
    ($($type:ident: $method:ident;)*) => {$(
        impl<'a> Record<'a> for $type {
            #[inline]
            fn encode(&self, out: &mut Writer<'_>) {
                out.$method(self.0);
            }
            #[inline]
            fn decode(input: &mut Reader<'a>) -> Result<Self, DecodeError> {
                input.$method().map(Self)
            }
        }
    )*};
}

newtypes! {
    Zxid: i64;
    SessionId: i64;
    WallTime: i64;
    Xid: i32;
}

impl<'a> Record<'a> for Option<Text<'a>> {
    #[inline]
    fn encode(&self, out: &mut Writer<'_>) {
        out.buffer(self.as_deref().map(str::as_bytes));
    }
    #[inline]
    fn decode(input: &mut Reader<'a>) -> Result<Self, DecodeError> {
        input.text()
    }
    #[inline]
    fn skip(input: &mut Reader<'a>) -> Result<(), DecodeError> {
        input.buffer().map(drop)
    }
}

/// Where null is refused.
impl<'a> Record<'a> for Text<'a> {
    #[inline]
    fn encode(&self, out: &mut Writer<'_>) {
        out.text(self);
    }
    #[inline]
    fn decode(input: &mut Reader<'a>) -> Result<Self, DecodeError> {
        input.text()?.ok_or(DecodeError::Null)
    }
    #[inline]
    fn skip(input: &mut Reader<'a>) -> Result<(), DecodeError> {
        input.buffer()?.map(drop).ok_or(DecodeError::Null)
    }
}

/// A vector that stays where it is.
///
/// Decoding checks every element once; [`Seq::iter`] decodes them again, one by one, where they
/// lie. To encode one, make it from a slice ([`Seq::from`]) or use [`Writer::seq`].
pub struct Seq<'a, T> {
    items: Items<'a, T>,
    _element: PhantomData<fn() -> T>,
}

enum Items<'a, T> {
    Null,
    /// `count` encoded elements, checked.
    Encoded {
        count: usize,
        bytes: &'a [u8],
    },
    Slice(&'a [T]),
}

// By hand: copying the view needs no copy of an element.
impl<T> Clone for Seq<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Seq<'_, T> {}

impl<T> Clone for Items<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Items<'_, T> {}

impl<'a, T: Record<'a> + Clone> Seq<'a, T> {
    /// The null vector.
    pub const NULL: Self = Self { items: Items::Null, _element: PhantomData };
    /// No elements.
    pub const EMPTY: Self = Self { items: Items::Slice(&[]), _element: PhantomData };

    /// Whether this is null, which is not the same as empty.
    pub const fn is_null(&self) -> bool {
        matches!(self.items, Items::Null)
    }

    /// How many elements; 0 for null.
    pub const fn len(&self) -> usize {
        match self.items {
            Items::Null => 0,
            Items::Encoded { count, .. } => count,
            Items::Slice(items) => items.len(),
        }
    }

    /// Whether there is no element: null, or empty.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The elements, in order.
    pub fn iter(&self) -> SeqIter<'a, T> {
        let (reader, slice) = match self.items {
            Items::Null => (Reader::new(&[]), &[][..]),
            Items::Encoded { bytes, .. } => (Reader::new(bytes), &[][..]),
            Items::Slice(items) => (Reader::new(&[]), items),
        };
        SeqIter { left: self.len(), reader, slice: slice.iter() }
    }
}

impl<'a, T> From<&'a [T]> for Seq<'a, T> {
    fn from(items: &'a [T]) -> Self {
        Self { items: Items::Slice(items), _element: PhantomData }
    }
}

impl<T> Default for Seq<'_, T> {
    fn default() -> Self {
        Self { items: Items::Slice(&[]), _element: PhantomData }
    }
}

impl<'a, T: Record<'a> + Clone> Record<'a> for Seq<'a, T> {
    fn encode(&self, out: &mut Writer<'_>) {
        match self.items {
            Items::Null => out.i32(-1),
            Items::Encoded { count, bytes } => {
                out.length(count);
                out.bytes(bytes);
            }
            Items::Slice(items) => {
                out.length(items.len());
                for item in items {
                    item.encode(out);
                }
            }
        }
    }

    fn decode(input: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let count = input.i32()?;
        if count == -1 {
            return Ok(Self::NULL);
        }
        // Java reads every other negative count as an empty vector.
        let count = usize::try_from(count).unwrap_or(0);
        let start = input.rest();
        for _ in 0..count {
            let before = input.remaining();
            T::skip(input)?;
            // An element without bytes would let four bytes claim two billion steps.
            assert!(input.remaining() < before, "no element of a vector is empty");
        }
        let bytes = &start[..start.len() - input.remaining()];
        Ok(Self { items: Items::Encoded { count, bytes }, _element: PhantomData })
    }
}

impl<'a, T: Record<'a> + Clone> IntoIterator for Seq<'a, T> {
    type Item = T;
    type IntoIter = SeqIter<'a, T>;
    fn into_iter(self) -> SeqIter<'a, T> {
        self.iter()
    }
}

impl<'a, T: Record<'a> + Clone> IntoIterator for &Seq<'a, T> {
    type Item = T;
    type IntoIter = SeqIter<'a, T>;
    fn into_iter(self) -> SeqIter<'a, T> {
        self.iter()
    }
}

impl<'a, T: Record<'a> + Clone + PartialEq> PartialEq for Seq<'a, T> {
    fn eq(&self, other: &Self) -> bool {
        self.is_null() == other.is_null() && self.len() == other.len() && self.iter().eq(other)
    }
}

impl<'a, T: Record<'a> + Clone + Eq> Eq for Seq<'a, T> {}

impl<'a, T: Record<'a> + Clone + fmt::Debug> fmt::Debug for Seq<'a, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_null() { write!(f, "null") } else { f.debug_list().entries(self).finish() }
    }
}

/// The elements of a [`Seq`].
#[derive(Clone, Debug)]
pub struct SeqIter<'a, T> {
    left: usize,
    reader: Reader<'a>,
    slice: std::slice::Iter<'a, T>,
}

impl<'a, T: Record<'a> + Clone> Iterator for SeqIter<'a, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.left = self.left.checked_sub(1)?;
        if let Some(item) = self.slice.next() {
            return Some(item.clone());
        }
        Some(T::decode(&mut self.reader).expect("decoding checked every element"))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<'a, T: Record<'a> + Clone> ExactSizeIterator for SeqIter<'a, T> {}
