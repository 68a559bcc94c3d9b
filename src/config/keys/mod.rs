//! The table of keys: every setting that a Java server's file may hold, and our own, each once.
//!
//! One row a key, in sections that are also the sections of `conf/zoo.cfg`, which is written from
//! this table. A key acts through its row's `Set`, or its row says why it has no effect here.
//! Source: Apache 3.9.5's `QuorumPeerConfig` and its `System.getProperty` calls, as ops-surface
//! section 1 lists them.

use super::key::Row;

mod auth;
mod basic;
mod clients;
mod ensemble;
mod operators;
mod own;
mod storage;
mod tls;

/// Keys that belong together.
pub struct Section {
    /// Its heading in `conf/zoo.cfg`.
    pub title: &'static str,
    /// Its keys, the most used first.
    pub rows: &'static [Row],
}

/// The table.
pub const KEYS: &[Section] = &[
    Section { title: "The basics", rows: basic::ROWS },
    Section { title: "RingKeeper's own", rows: own::ROWS },
    Section { title: "Storage, snapshots, the log", rows: storage::ROWS },
    Section { title: "Client connections, limits, znodes", rows: clients::ROWS },
    Section { title: "Authentication and authorisation", rows: auth::ROWS },
    Section { title: "Operators: words, HTTP, metrics, audit", rows: operators::ROWS },
    Section { title: "The ensemble", rows: ensemble::ROWS },
    Section { title: "TLS", rows: tls::ROWS },
];

/// Every row, section by section.
pub fn rows() -> impl Iterator<Item = &'static Row> {
    KEYS.iter().flat_map(|section| section.rows)
}

/// Why a key of the ensemble does nothing yet.
const ALONE: &str = "this release runs one server, alone";
/// Why a key of TLS does nothing yet.
const NO_TLS: &str = "TLS comes in a later release";
/// Why a key of the HTTP server does nothing yet.
const NO_HTTP: &str = "the HTTP server comes in a later release; the four-letter words answer";
/// Why a key of Kerberos, or of SASL between servers, does nothing yet.
const NO_SASL: &str = "Kerberos, and SASL between servers, come in a later release";
/// Why a key about Java's threads does nothing.
const NO_THREADS: &str = "there is no such thread pool; see cores";
/// Why a key about a Java program's inside does nothing.
const NO_JVM: &str = "there is no Java virtual machine";
/// Why a key of Java's tests does nothing.
const TEST_HOOK: &str = "it is a hook of Java's tests";
