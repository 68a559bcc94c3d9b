//! Handshakes and authentication: how a connection comes to speak for a session, and as whom.
//!
//! Source: client-protocol sections 2.2, 2.5, 2.6, 4.5, 4.6 and 6.6.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use sha1::{Digest, Sha1};

use crate::front::front::{Connection, State};
use crate::front::pending::{Queue, Waiting};
use crate::front::{ConnectionInfo, Front, Out, Output, Why, reply};
use crate::session::auth;
use crate::session::digest_md5::{self, Exchange, Proof};
use crate::types::{ConnId, Instant, SessionId, Xid};
use crate::wire::ErrorCode;
use crate::wire::connect::{self, ConnectRequest};
use crate::wire::jute::{Reader, Record, Writer};
use crate::wire::op::code;
use crate::wire::reply::SaslReply;
use crate::wire::request::{AuthRequest, SaslRequest};
use crate::wire::submission::Identity;

/// Identities that one connection may gather. A client that sends more is misbehaving.
const IDENTITIES_PER_CONN_MAX: usize = 128;

/// Throttling of handshakes (`zookeeper.connection_throttle_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThrottleConfig {
    /// Tokens that may be in the bucket; 0 turns the throttle off.
    pub tokens: u32,
    /// How often tokens are added, in milliseconds.
    pub fill_ms: u64,
    /// How many tokens are added each time.
    pub fill_count: u32,
}

impl Default for ThrottleConfig {
    fn default() -> Self {
        Self { tokens: 0, fill_ms: 1, fill_count: 1 }
    }
}

/// SASL DIGEST-MD5 (client-protocol 4.6).
#[derive(Clone)]
pub struct SaslConfig {
    /// Who may authenticate, and with which password.
    pub users: digest_md5::Users,
    /// `zookeeper.superUser*`: users that are super as well.
    pub super_users: Vec<String>,
    /// `zookeeper.allowSaslFailedClients`: who fails stays, without the identity.
    pub keeps_failed: bool,
    /// What nonces are made from; nobody else may know it.
    pub nonce_key: [u8; 16],
}

impl fmt::Debug for SaslConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SaslConfig")
            .field("keeps_failed", &self.keeps_failed)
            .finish_non_exhaustive()
    }
}

/// How far a connection's SASL authentication got.
#[derive(Debug, Default)]
pub(super) enum Sasl {
    /// Its first token is to come.
    #[default]
    Untried,
    /// It was challenged.
    Challenged(Box<Exchange>),
    /// It is over, well or not: a connection has one try.
    Over,
}

/// A token bucket.
#[derive(Debug)]
pub(super) struct Throttle {
    config: ThrottleConfig,
    tokens: u32,
    filled: Instant,
}

impl Throttle {
    pub fn new(config: &ThrottleConfig, now: Instant) -> Self {
        Self { config: *config, tokens: config.tokens, filled: now }
    }

    /// Takes a token if there is one.
    fn admits(&mut self, now: Instant) -> bool {
        if self.config.tokens == 0 {
            return true;
        }
        let periods = now.nanos_since(self.filled) / (self.config.fill_ms.max(1) * 1_000_000);
        if periods > 0 {
            let added = periods.saturating_mul(u64::from(self.config.fill_count));
            let tokens = u64::from(self.tokens).saturating_add(added);
            let tokens = tokens.min(u64::from(self.config.tokens));
            self.tokens = u32::try_from(tokens).expect("at most the bucket's size");
            self.filled = self.filled.plus_millis(periods * self.config.fill_ms.max(1));
        }
        if self.tokens == 0 {
            return false;
        }
        self.tokens -= 1;
        true
    }
}

impl Front {
    /// A connection's first frame. The checks stand in the order of client-protocol 2.2, but the
    /// password is compared before anybody is disturbed (2.5).
    pub(super) fn on_connect(&mut self, conn: ConnId, peer: IpAddr, frame: &[u8], out: &mut Out) {
        assert!(conn.is_some(), "a connection has a generation");
        self.stats.received += 1;
        self.open_slot(conn, peer);
        let Ok(request) = ConnectRequest::decode(&mut Reader::new(frame)) else {
            return self.malformed(conn, "a handshake that is no ConnectRequest", out);
        };
        if !self.throttle.admits(self.now.mono) {
            return self.hangup(conn, Why::Limit("connection_throttle_tokens"), out);
        }
        if request.last_zxid_seen > self.tree.last_zxid() {
            log::info!(
                "Refusing session request for client as it has seen zxid {} our last zxid is \
                 {} client must try another server",
                request.last_zxid_seen,
                self.tree.last_zxid()
            );
            return self.hangup(conn, Why::ZxidAhead, out);
        }
        let (min, max) = self.config.session_timeout_ms;
        let timeout_ms = request.timeout_ms.clamp(min, max);
        let session = request.session;
        let password_fits = request.password == Some(connect::password(session).as_slice());
        let connection = self.connection_mut(conn).expect("its slot was just opened");
        connection.read_only_byte = request.read_only.is_some();
        connection.timeout_ms = timeout_ms;
        if session == SessionId::NONE {
            out.list.push(Output::OpenSession { conn, timeout_ms });
        } else if password_fits {
            connection.session = session;
            out.list.push(Output::Reopen { conn, session, timeout_ms });
        } else {
            log::warn!("Incorrect password from {peer} for session {session}");
            self.refuse(conn, out);
        }
    }

    fn open_slot(&mut self, conn: ConnId, peer: IpAddr) {
        let slot = usize::try_from(conn.slot).expect("a u32 fits");
        while self.connections.len() <= slot {
            self.connections.push(Connection {
                generation: 0,
                state: State::Free,
                read_only_byte: false,
                touched: false,
                waiting: false,
                timeout_ms: 0,
                session: SessionId::NONE,
                identities: Arc::clone(&self.nobody),
                sasl: Sasl::Untried,
                queue: Queue::EMPTY,
                queued: 0,
                info: ConnectionInfo::default(),
            });
        }
        let connection = &mut self.connections[slot];
        assert!(connection.state == State::Free, "the slot of an open connection is used again");
        *connection = Connection {
            generation: conn.generation,
            state: State::Handshaking,
            read_only_byte: false,
            touched: false,
            waiting: false,
            timeout_ms: 0,
            session: SessionId::NONE,
            identities: Arc::from([Self::address_identity(peer)]),
            sasl: Sasl::Untried,
            queue: Queue::EMPTY,
            queued: 0,
            info: ConnectionInfo::default(),
        };
    }

    /// A new session is committed, and its first connection may hear of it.
    pub(super) fn on_session_created(
        &mut self,
        conn: ConnId,
        session: SessionId,
        timeout_ms: i32,
        out: &mut Out,
    ) {
        let Some(connection) = self.connection_mut(conn) else { return };
        if connection.state != State::Handshaking {
            return;
        }
        connection.session = session;
        connection.timeout_ms = timeout_ms;
        log::debug!("Established session {session} with negotiated timeout {timeout_ms}");
        self.establish(conn, out);
    }

    /// The replica has judged a session that a client wants to go on with.
    pub(super) fn on_reopened(
        &mut self,
        conn: ConnId,
        session: SessionId,
        valid: bool,
        out: &mut Out,
    ) {
        let Some(connection) = self.connection(conn) else { return };
        if connection.state != State::Handshaking {
            return;
        }
        assert_eq!(connection.session, session, "the answer is about another session");
        if valid {
            self.establish(conn, out);
        } else {
            log::info!("Invalid session {session}, probably expired");
            self.refuse(conn, out);
        }
    }

    fn establish(&mut self, conn: ConnId, out: &mut Out) {
        let now = self.now.mono;
        let connection = self.connection_mut(conn).expect("the caller has it");
        connection.state = State::Open;
        connection.info.established = Instant(now.0.max(1));
        let (session, timeout_ms) = (connection.session, connection.timeout_ms);
        let read_only_byte = connection.read_only_byte;
        self.sessions.insert(session, conn);
        self.stats.connections += 1;
        self.reply(conn, out, |bytes| {
            reply::handshake(bytes, session, timeout_ms, read_only_byte);
        });
        out.list.push(Output::Resume(conn));
    }

    /// "Your session is over": the only honest answer to a wrong password too.
    fn refuse(&mut self, conn: ConnId, out: &mut Out) {
        self.stats.stale_handshakes += 1;
        let connection = self.connection(conn).expect("the caller has it");
        let read_only_byte = connection.read_only_byte;
        self.reply(conn, out, |bytes| {
            reply::handshake(bytes, SessionId::NONE, 0, read_only_byte);
        });
        self.hangup(conn, Why::Finished, out);
    }

    /// An auth packet acts at once, for everything behind it, and is answered in its turn.
    pub(super) fn on_auth(&mut self, conn: ConnId, xid: Xid, body: &[u8], out: &mut Out) {
        let refused = Waiting::Ready {
            error: ErrorCode::AuthFailed,
            zxid: Some(0),
            hangup: Some(Why::AuthRefused),
        };
        let connection = self.connection(conn).expect("the caller has it");
        let (identities, peer) = (&connection.identities, &connection.identities[0]);
        // Apache's server closes without a word, too.
        let Ok(auth) = AuthRequest::decode(&mut Reader::new(body)) else {
            return self.malformed(conn, "an auth packet that cannot be decoded", out);
        };
        let scheme = auth.scheme.as_deref().unwrap_or("");
        let waiting = match auth::authenticate(&self.config.auth, scheme, auth.auth, peer) {
            None => refused,
            Some(_) if identities.len() >= IDENTITIES_PER_CONN_MAX => refused,
            Some(added) => {
                self.identify(conn, added);
                Waiting::Ready { error: ErrorCode::Ok, zxid: Some(0), hangup: None }
            }
        };
        self.ready(conn, (xid, code::Auth), waiting, out);
    }

    /// Adds identities that a connection has proved.
    fn identify(&mut self, conn: ConnId, added: Vec<Identity>) {
        let connection = self.connection_mut(conn).expect("the caller has it");
        let mut all = connection.identities.to_vec();
        for identity in added {
            if !all.contains(&identity) {
                all.push(identity);
            }
        }
        connection.identities = Arc::from(all);
    }

    /// A token of the client's. Like an auth packet it acts at once and is answered in its turn.
    pub(super) fn on_sasl(&mut self, conn: ConnId, xid: Xid, body: &[u8], out: &mut Out) {
        let Ok(SaslRequest { token: Some(token) }) = SaslRequest::decode(&mut Reader::new(body))
        else {
            return self.malformed(conn, "a SASL token that cannot be decoded", out);
        };
        let answer = self.sasl_answer(conn, token);
        let mut reply = Vec::new();
        let body = SaslReply { token: answer.as_ref().ok().and_then(|token| token.as_deref()) };
        body.encode(&mut Writer::new(&mut reply));
        let waiting = match answer {
            Ok(_) => Waiting::Ready { error: ErrorCode::Ok, zxid: Some(0), hangup: None },
            Err(error) => Waiting::Ready { error, zxid: Some(0), hangup: Some(Why::AuthRefused) },
        };
        self.ready_with(conn, (xid, code::Sasl), waiting, &reply, out);
    }

    /// The token that answers a token; without SASL in the configuration an empty one, and nothing
    /// is gained.
    fn sasl_answer(&mut self, conn: ConnId, token: &[u8]) -> Result<Option<Vec<u8>>, ErrorCode> {
        let now = self.now.mono;
        let Some(config) = &self.config.sasl else { return Ok(None) };
        let slot = usize::try_from(conn.slot).expect("a u32 fits");
        let state = std::mem::replace(&mut self.connections[slot].sasl, Sasl::Over);
        let proof = match state {
            // Whatever a client says first, it is challenged, as by Java's mechanism.
            Sasl::Untried => {
                let exchange = Exchange::new(nonce(&config.nonce_key, conn, now));
                let challenge = exchange.challenge();
                self.connections[slot].sasl = Sasl::Challenged(Box::new(exchange));
                return Ok(Some(challenge));
            }
            Sasl::Challenged(exchange) => exchange.verify(&config.users, token),
            Sasl::Over => None,
        };
        let requires_sasl = self.config.enforce_schemes.iter().any(|scheme| scheme == "sasl");
        match proof {
            Some(Proof { user, token }) => {
                let is_super = config.super_users.contains(&user);
                let mut added = vec![Identity { scheme: "sasl".to_owned(), id: user }];
                added.extend(is_super.then(|| Identity::new("super", "")));
                self.identify(conn, added);
                Ok(Some(token))
            }
            None if requires_sasl => Err(ErrorCode::SessionClosedRequireSaslAuth),
            None if config.keeps_failed => Ok(None),
            None => Err(ErrorCode::AuthFailed),
        }
    }

    /// Whether an identity is required that this connection does not have.
    pub(super) fn lacks_enforced_auth(&self, conn: ConnId) -> bool {
        let schemes = &self.config.enforce_schemes;
        let Some(connection) = self.connection(conn) else { return false };
        !schemes.is_empty() && !connection.identities.iter().any(|id| schemes.contains(&id.scheme))
    }
}

/// A number that nobody can foresee and that does not come twice.
fn nonce(key: &[u8; 16], conn: ConnId, now: Instant) -> String {
    let mut hash = Sha1::new_with_prefix(key);
    hash.update(conn.slot.to_be_bytes());
    hash.update(conn.generation.to_be_bytes());
    hash.update(now.0.to_be_bytes());
    STANDARD_NO_PAD.encode(hash.finalize()).replace(['+', '/'], "0")
}
