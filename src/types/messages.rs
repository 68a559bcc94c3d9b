//! Sentences of Java's log that somebody's alerting matches (ops-surface section 6.3). Their fixed
//! parts are kept to the letter, misspelling included; each stands here once.
//!
//! Floors below 5 have no need of this file: they log plain text. Functions return a `String`
//! because each of these lines is rare.

use std::fmt::Display;

/// A sync of the log took longer than `fsync.warningthresholdms`. WARN.
pub fn slow_sync(log: impl Display, ms: u64, file_bytes: u64) -> String {
    format!(
        "fsync-ing the write ahead log in {log} took {ms}ms which will adversely effect operation \
         latency. File size is {file_bytes} bytes."
    )
}

/// A session was not heard for its timeout. INFO.
pub fn expiring(session: impl Display, timeout_ms: u32) -> String {
    format!("Expiring session {session}, timeout of {timeout_ms}ms exceeded")
}

/// A client came back with a session that is gone. INFO.
pub fn invalid_session(session: impl Display, client: impl Display) -> String {
    format!("Invalid session {session} for client {client}, probably expired")
}

/// A client has seen what this server has not. INFO.
pub fn ahead(
    session: impl Display,
    client: impl Display,
    seen: impl Display,
    ours: impl Display,
) -> String {
    format!(
        "Refusing session({session}) request for client {client} as it has seen zxid {seen} our \
         last zxid is {ours} client must try another server"
    )
}

/// A session's password is another one. WARN.
pub fn incorrect_password(client: impl Display, session: impl Display) -> String {
    format!("Incorrect password from {client} for session {session}")
}

/// `addAuth` was refused. WARN.
pub fn authentication_failed(scheme: impl Display, client: impl Display) -> String {
    format!("Authentication failed for scheme: {scheme}, client {client}")
}

/// One address has `maxClientCnxns` connections. WARN.
pub fn too_many_from(address: impl Display, max: u32) -> String {
    format!("Too many connections from {address} - max is {max}")
}

/// The server has `maxCnxns` connections. ERROR.
pub fn too_many(count: u64, max: u32) -> String {
    format!("Too many connections {count} - max is {max}")
}

/// A frame's length cannot be. WARN.
pub fn bad_length(client: impl Display, length: i64, max: u32) -> String {
    format!(
        "Len error. A message from {client} with advertised length of {length} is either a \
         malformed message or too large to process (length is greater than jute.maxbuffer={max})"
    )
}

/// A quota on a number of znodes is exceeded; `kind` is soft or hard. WARN.
pub fn count_quota(path: impl Display, count: i64, kind: &str, limit: i64) -> String {
    format!("Quota exceeded: {path} [current count={count}, {kind}CountLimit={limit}]")
}

/// A quota on bytes is exceeded; `kind` is soft or hard. WARN.
pub fn bytes_quota(path: impl Display, bytes: i64, kind: &str, limit: i64) -> String {
    format!("Quota exceeded: {path} [current bytes={bytes}, {kind}ByteLimit={limit}]")
}

/// A snapshot begins. INFO.
pub fn snapshotting(zxid: impl Display, file: impl Display) -> String {
    format!("Snapshotting: {zxid} to {file}")
}

/// The log was read at the start. INFO.
pub fn loaded(txns: u64, ms: u64) -> String {
    format!("{txns} txns loaded in {ms} ms")
}

/// A four-letter word was asked. INFO.
pub fn word(name: &str, client: impl Display) -> String {
    format!("Processing {name} command from {client}")
}

/// The client port is bound. INFO.
pub fn binding(address: impl Display) -> String {
    format!("binding to port {address}")
}

/// The process ends. INFO.
pub fn exiting(code: u8) -> String {
    format!("Exiting JVM with code {code}")
}

/// A purge begins. INFO.
pub const PURGE_STARTED: &str = "Purge task started.";
/// A purge is over. INFO.
pub const PURGE_COMPLETED: &str = "Purge task completed.";
/// Two trees that must be equal are not. ERROR.
pub const DIGEST_MISMATCH: &str = "Digests are not matching. Value is Zxid.";
/// The start found data that it cannot read. ERROR.
pub const UNABLE_TO_LOAD: &str = "Unable to load database on disk";
/// The log ends in the middle of a record, as after a power cut. ERROR with Java, INFO here.
pub const LAST_PARTIAL: &str = "Last transaction was partial.";
/// A log without a snapshot, and nobody said that this is right. ERROR.
pub const NO_SNAPSHOT: &str = "No snapshot found, but there are log entries.";
/// The server cannot go on. ERROR.
pub const SEVERE: &str = "Severe unrecoverable error, exiting";
/// Wrong settings, exit 2. ERROR.
pub const INVALID_CONFIG: &str = "Invalid config, exiting abnormally";
/// Wrong arguments, exit 2. ERROR.
pub const INVALID_ARGUMENTS: &str = "Invalid arguments, exiting abnormally";
/// No data directory, exit 3. ERROR.
pub const NO_DATADIR: &str = "Unable to access datadir, exiting abnormally";
/// Anything else, exit 1. ERROR.
pub const UNEXPECTED: &str = "Unexpected exception, exiting abnormally";
/// The loops stood still. WARN.
pub const PAUSE: &str = "Detected pause in JVM or host machine";
