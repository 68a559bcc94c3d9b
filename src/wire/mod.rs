//! Bytes to values and back: everything that clients, the log and other servers write.
//!
//! ZooKeeper's records are written in *jute* (`zookeeper.jute` of Apache ZooKeeper 3.9): fields in
//! order, no tags, no framing. Numbers are big-endian; a string, a buffer and a vector begin with
//! a 4-byte length, where -1 means null (client-protocol section 1.1).
//!
//! # What it decides
//!
//! Only the layout of bytes: [`jute`] the primitives, [`request`] and [`reply`] what clients and
//! servers tell each other, [`connect`] the handshake, [`multi`] the framing of operations inside
//! one request, [`txn`] what the log holds, [`frame`] where a message ends in a stream. Whether a
//! request may be done is for others to judge.
//!
//! # What it promises
//!
//! 1. No bytes make it panic, and decoding takes time in proportion to the bytes given.
//! 2. Decoding borrows: no record allocates, whatever lengths the bytes claim. A vector is checked
//!    once and read again where it lies ([`jute::Seq`]). Only a string that is not UTF-8 is copied.
//! 3. Encoding what was decoded yields the same bytes, except where Apache's decoder is lenient
//!    (counts below -1, booleans above 1, broken UTF-8).
//!
//! # Where to read on
//!
//! [`op`], all operations in one table.

pub mod committed;
pub mod connect;
pub mod error_code;
pub mod frame;
pub mod jute;
pub mod multi;
pub mod op;
mod records;
pub mod reply;
pub mod request;
pub mod stat;
pub mod submission;
pub mod txn;

pub use error_code::ErrorCode;
pub use jute::{DecodeError, Reader, Record, Seq, Text, Writer};
pub use stat::{Acl, Stat};
