//! The handshake, its one odd optional byte, and the session's password (client-protocol 2.1, 2.4).

use super::jute::{DecodeError, Reader, Record, Writer};
use crate::types::{SessionId, Zxid};

/// The first frame of a client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectRequest<'a> {
    /// Ignored; clients send 0.
    pub protocol_version: i32,
    /// The last transaction that the client has seen.
    pub last_zxid_seen: Zxid,
    /// Wished, in milliseconds; not negotiated yet.
    pub timeout_ms: i32,
    /// [`SessionId::NONE`] for a new session.
    pub session: SessionId,
    /// Of the session that the client goes on with; anything for a new one.
    pub password: Option<&'a [u8]>,
    /// Whether a read-only server will do. `None`: the client is too old to say; it must not be
    /// told either.
    pub read_only: Option<bool>,
}

/// The first frame of a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectResponse {
    /// Always 0.
    pub protocol_version: i32,
    /// Negotiated, in milliseconds; 0: the session is over.
    pub timeout_ms: i32,
    /// [`SessionId::NONE`]: the session is over.
    pub session: SessionId,
    /// Zeros: the session is over.
    pub password: [u8; PASSWORD_BYTES],
    /// Whether this server is read-only; there if the request had its byte.
    pub read_only: Option<bool>,
}

/// How long a password is.
pub const PASSWORD_BYTES: usize = 16;

impl ConnectResponse {
    /// What a client hears whose session is over.
    pub fn expired(read_only: Option<bool>) -> Self {
        Self { read_only, ..Self::default() }
    }
}

/// Record by hand: the last byte is optional, and what follows it is ignored.
impl<'a> Record<'a> for ConnectRequest<'a> {
    fn encode(&self, out: &mut Writer<'_>) {
        out.i32(self.protocol_version);
        self.last_zxid_seen.encode(out);
        out.i32(self.timeout_ms);
        self.session.encode(out);
        out.buffer(self.password);
        if let Some(read_only) = self.read_only {
            out.bool(read_only);
        }
    }

    fn decode(input: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            protocol_version: input.i32()?,
            last_zxid_seen: Record::decode(input)?,
            timeout_ms: input.i32()?,
            session: Record::decode(input)?,
            password: input.buffer()?,
            read_only: input.bool().ok(),
        })
    }
}

/// Record by hand: the password has a fixed length, the last byte is optional.
impl<'a> Record<'a> for ConnectResponse {
    fn encode(&self, out: &mut Writer<'_>) {
        out.i32(self.protocol_version);
        out.i32(self.timeout_ms);
        self.session.encode(out);
        out.buffer(Some(&self.password));
        if let Some(read_only) = self.read_only {
            out.bool(read_only);
        }
    }

    fn decode(input: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let protocol_version = input.i32()?;
        let timeout_ms = input.i32()?;
        let session = Record::decode(input)?;
        let password = input.buffer()?.ok_or(DecodeError::Null)?;
        let password = password.try_into().map_err(|_| DecodeError::Value("password"))?;
        let read_only = input.bool().ok();
        Ok(Self { protocol_version, timeout_ms, session, password, read_only })
    }
}

/// The password of a session: a checksum of its id, the same on every server, Java's included.
///
/// `java.util.Random`, seeded with the id and a constant of `ZooKeeperServer.java`, yields it.
pub fn password(session: SessionId) -> [u8; PASSWORD_BYTES] {
    const SALT: u64 = 0xB341_5C00;
    const MULTIPLIER: u64 = 0x5_DEEC_E66D;
    const INCREMENT: u64 = 0xB;
    const MASK: u64 = (1 << 48) - 1;

    let mut state = (session.0.cast_unsigned() ^ SALT ^ MULTIPLIER) & MASK;
    let mut password = [0; PASSWORD_BYTES];
    for word in password.chunks_exact_mut(4) {
        state = (state.wrapping_mul(MULTIPLIER).wrapping_add(INCREMENT)) & MASK;
        // Bits 16 to 47, lowest byte first.
        word.copy_from_slice(&state.to_le_bytes()[2..6]);
    }
    password
}
