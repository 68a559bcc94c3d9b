//! Agreement: which proposals are committed.
//!
//! To this module a transaction is bytes with a zxid. A quorum of one is a quorum: the server's
//! own durable log is its vote, counted like any other.
//!
//! [`quorum`] says which sets of voters decide; [`proposals`] holds what is proposed and not yet
//! decided, in order.

pub mod proposals;
pub mod quorum;

pub use proposals::{Proposal, Proposals};
pub use quorum::Quorum;
