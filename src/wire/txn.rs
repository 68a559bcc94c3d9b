//! What the log holds, proposals carry and trees apply (quorum-and-disk sections 5.2 and 6).
//!
//! The layout is Apache's, byte for byte, so that its servers can follow ours and its logs can be
//! read. Three forms of older logs are understood: a create without the parent's counter, a
//! closeSession without a list, and entries without a digest.

use super::jute::{DecodeError, Reader, Record, Seq, Text, Writer};
use super::records::records;
use super::stat::AclList;
use crate::types::{SessionId, WallTime, Xid, Zxid};

/// Says where a transaction came from and when. Its type is written with it and lives in [`Txn`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TxnHeader {
    /// On whose behalf.
    pub session: SessionId,
    /// The client's number for it.
    pub cxid: Xid,
    /// Its place.
    pub zxid: Zxid,
    /// The leader's wall clock when it was prepared.
    pub time: WallTime,
}

/// How long a header with the type is, in bytes.
pub const HEADER_BYTES: usize = 32;

/// The digest's kind that we compute; digests of other kinds cannot be compared.
pub const DIGEST_VERSION: i32 = 2;

/// How long a digest with its kind is, in bytes.
const DIGEST_BYTES: usize = 12;

impl TxnHeader {
    /// Appends the header of a transaction of type `kind`.
    #[inline]
    pub fn encode(&self, kind: i32, out: &mut Writer<'_>) {
        self.session.encode(out);
        self.cxid.encode(out);
        self.zxid.encode(out);
        self.time.encode(out);
        out.i32(kind);
    }

    /// The header and the type.
    #[inline]
    pub fn decode(input: &mut Reader<'_>) -> Result<(Self, i32), DecodeError> {
        let header = Self {
            session: Record::decode(input)?,
            cxid: Record::decode(input)?,
            zxid: Record::decode(input)?,
            time: Record::decode(input)?,
        };
        Ok((header, input.i32()?))
    }
}

/// The types of transactions: opcodes, and one of their own (`ZooDefs.OpCode`).
pub mod kind {
    pub use crate::wire::op::code::{
        Check, CloseSession, Create, Create2, CreateContainer, CreateSession, CreateTtl, Delete,
        DeleteContainer, Multi, Reconfig, SetAcl, SetData,
    };
    /// A request that was refused and keeps its place in the order.
    #[allow(non_upper_case_globals)]
    pub const Error: i32 = -1;
}

/// A create of an old log does not say what the parent's counter becomes: take the next.
pub const PARENT_CVERSION_UNKNOWN: i32 = -1;

/// create, create2.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CreateTxn<'a> {
    /// Final.
    pub path: Text<'a>,
    /// Null is kept apart from empty.
    pub data: Option<&'a [u8]>,
    /// Null means open to all.
    pub acl: AclList<'a>,
    /// Whether it belongs to the header's session.
    pub ephemeral: bool,
    /// What the parent's counter of created children becomes.
    pub parent_cversion: i32,
}

/// Record by hand: the last field is missing in old logs.
impl<'a> Record<'a> for CreateTxn<'a> {
    fn encode(&self, out: &mut Writer<'_>) {
        self.path.encode(out);
        self.data.encode(out);
        self.acl.encode(out);
        self.ephemeral.encode(out);
        self.parent_cversion.encode(out);
    }

    fn decode(input: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            path: Record::decode(input)?,
            data: Record::decode(input)?,
            acl: Record::decode(input)?,
            ephemeral: Record::decode(input)?,
            parent_cversion: if input.remaining() == 0 {
                PARENT_CVERSION_UNKNOWN
            } else {
                Record::decode(input)?
            },
        })
    }
}

records! {
    /// createContainer.
    CreateContainerTxn<'a> {
        /// Final.
        path: Text<'a>,
        /// Null is kept apart from empty.
        data: Option<&'a [u8]>,
        /// Null means open to all.
        acl: AclList<'a>,
        /// What the parent's counter of created children becomes.
        parent_cversion: i32,
    }

    /// createTTL.
    CreateTtlTxn<'a> {
        /// Final.
        path: Text<'a>,
        /// Null is kept apart from empty.
        data: Option<&'a [u8]>,
        /// Null means open to all.
        acl: AclList<'a>,
        /// What the parent's counter of created children becomes.
        parent_cversion: i32,
        /// Milliseconds.
        ttl: i64,
    }

    /// delete, deleteContainer.
    DeleteTxn<'a> {
        /// Which znode.
        path: Text<'a>,
    }

    /// setData, reconfig.
    SetDataTxn<'a> {
        /// Which znode.
        path: Text<'a>,
        /// Null is kept apart from empty.
        data: Option<&'a [u8]>,
        /// What it becomes.
        version: i32,
    }

    /// setACL.
    SetAclTxn<'a> {
        /// Which znode.
        path: Text<'a>,
        /// Null means open to all.
        acl: AclList<'a>,
        /// What it becomes.
        version: i32,
    }

    /// check, only inside a multi. Says nothing that anybody reads.
    CheckTxn<'a> {
        /// Which znode.
        path: Text<'a>,
        /// The znode's version, plus one.
        version: i32,
    }

    /// createSession.
    #[derive(Copy)]
    CreateSessionTxn {
        /// Negotiated.
        timeout_ms: i32,
    }

    /// A request that was refused.
    #[derive(Copy)]
    ErrorTxn {
        /// An [`super::ErrorCode`].
        err: i32,
    }

    /// One part of a multi, with a record of its own in `data`.
    SubTxn<'a> {
        /// One of [`kind`].
        kind: i32,
        /// The record.
        data: Option<&'a [u8]>,
    }
}

impl<'a> SubTxn<'a> {
    /// The part as a transaction.
    pub fn txn(&self) -> Result<Txn<'a>, DecodeError> {
        let mut input = Reader::new(self.data.unwrap_or_default());
        match self.kind {
            // What can be in a multi; a multi cannot.
            kind::Create
            | kind::Create2
            | kind::CreateContainer
            | kind::CreateTtl
            | kind::Delete
            | kind::DeleteContainer
            | kind::SetData
            | kind::Check
            | kind::Error => Txn::decode(self.kind, &mut input),
            other => Err(DecodeError::UnknownTxn(other)),
        }
    }
}

/// The parts of a multi, each checked when the whole was decoded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MultiTxn<'a> {
    /// In order.
    pub parts: Seq<'a, SubTxn<'a>>,
}

impl<'a> MultiTxn<'a> {
    /// The parts, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Txn<'a>> + use<'a> {
        self.parts.iter().map(|part| part.txn().expect("decoding checked every part"))
    }

    /// Which part failed first, and why. `None`: all of them are to be applied.
    pub fn failure(&self) -> Option<(usize, i32)> {
        self.iter().enumerate().find_map(|(index, part)| match part {
            Txn::Error(ErrorTxn { err }) => Some((index, err)),
            _ => None,
        })
    }
}

/// Record by hand: every part holds a record that has to be checked, too.
impl<'a> Record<'a> for MultiTxn<'a> {
    fn encode(&self, out: &mut Writer<'_>) {
        self.parts.encode(out);
    }

    fn decode(input: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let parts = Seq::<SubTxn<'a>>::decode(input)?;
        for part in &parts {
            part.txn()?;
        }
        Ok(Self { parts })
    }
}

/// closeSession.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CloseSessionTxn<'a> {
    /// The session's ephemerals; `None` in old logs: whatever the tree knows.
    pub paths: Option<Seq<'a, Text<'a>>>,
}

/// Record by hand: the list is missing in old logs, and then a digest may follow at once.
impl<'a> Record<'a> for CloseSessionTxn<'a> {
    fn encode(&self, out: &mut Writer<'_>) {
        if let Some(paths) = &self.paths {
            paths.encode(out);
        }
    }

    fn decode(input: &mut Reader<'a>) -> Result<Self, DecodeError> {
        // A list of two paths takes more than what a digest does, so this is never a list.
        let digest = input.remaining() == DIGEST_BYTES
            && input.rest().starts_with(&DIGEST_VERSION.to_be_bytes());
        if input.remaining() == 0 || digest {
            return Ok(Self { paths: None });
        }
        Record::decode(input).map(|paths| Self { paths: Some(paths) })
    }
}

/// Declares the transactions. One row is all the decoder knows of one.
macro_rules! txns {
    ($($(#[$about:meta])* $name:ident($record:ty))*) => {
        /// A change of the tree or of the sessions, or the place of a request that was refused.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Txn<'a> { $($(#[$about])* $name($record),)* }

        impl<'a> Txn<'a> {
            /// Its type in the header.
            pub const fn kind(&self) -> i32 {
                match self { $(Self::$name(_) => kind::$name,)* }
            }

            /// Appends the record.
            #[inline]
            pub fn encode(&self, out: &mut Writer<'_>) {
                match self { $(Self::$name(record) => record.encode(out),)* }
            }

            /// The record of type `kind`.
            #[inline]
            pub fn decode(kind: i32, input: &mut Reader<'a>) -> Result<Self, DecodeError> {
                match kind {
                    $(kind::$name => Record::decode(input).map(Self::$name),)*
                    _ => Err(DecodeError::UnknownTxn(kind)),
                }
            }
        }
    };
}

txns! {
    /// Type 1: answered with the path.
    Create(CreateTxn<'a>)
    /// Type 15: answered with path and Stat.
    Create2(CreateTxn<'a>)
    /// Type 19.
    CreateContainer(CreateContainerTxn<'a>)
    /// Type 21.
    CreateTtl(CreateTtlTxn<'a>)
    /// Type 2.
    Delete(DeleteTxn<'a>)
    /// Type 20.
    DeleteContainer(DeleteTxn<'a>)
    /// Type 5.
    SetData(SetDataTxn<'a>)
    /// Type 16: the configuration znode.
    Reconfig(SetDataTxn<'a>)
    /// Type 7.
    SetAcl(SetAclTxn<'a>)
    /// Type 13: inside a multi only.
    Check(CheckTxn<'a>)
    /// Type -10.
    CreateSession(CreateSessionTxn)
    /// Type -11.
    CloseSession(CloseSessionTxn<'a>)
    /// Type 14.
    Multi(MultiTxn<'a>)
    /// Type -1.
    Error(ErrorTxn)
}

/// An entry of the log, without the log's own framing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedTxn<'a> {
    /// Where it came from.
    pub header: TxnHeader,
    /// What it does.
    pub txn: Txn<'a>,
    /// The tree's digest after it. `None`: not told, or of a kind that we cannot compare.
    pub digest: Option<i64>,
}

impl<'a> LoggedTxn<'a> {
    /// Appends the entry.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut writer = Writer::new(out);
        self.header.encode(self.txn.kind(), &mut writer);
        self.txn.encode(&mut writer);
        if let Some(digest) = self.digest {
            encode_digest(digest, &mut writer);
        }
    }

    /// The entry that all of `payload` is.
    pub fn decode(payload: &'a [u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(payload);
        let (header, kind) = TxnHeader::decode(&mut input)?;
        if kind == kind::Check {
            // Apache's servers cannot read one outside a multi, so nobody may have written it.
            return Err(DecodeError::UnknownTxn(kind));
        }
        let txn = Txn::decode(kind, &mut input)?;
        let digest = if input.remaining() < DIGEST_BYTES {
            None
        } else {
            let version = input.i32()?;
            let digest = input.i64()?;
            (version == DIGEST_VERSION).then_some(digest)
        };
        Ok(Self { header, txn, digest })
    }
}

/// Appends what follows the record of an entry: the tree's digest after it.
#[inline]
pub fn encode_digest(digest: i64, out: &mut Writer<'_>) {
    out.i32(DIGEST_VERSION);
    out.i64(digest);
}
