//! Sessions and identities: who a client is, and for how long we believe that it lives.
//!
//! [`tracker`] holds the deadlines and owners of sessions; [`auth`] says what an identity may do.
//! Both are values with rules: they name a session that is over, a transaction does the rest.

mod address;
pub mod auth;
pub mod digest_md5;
pub mod tracker;

pub use tracker::{Owner, Tracker};
