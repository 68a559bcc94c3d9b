//! The znodes: what a transaction makes of them, and every question about them.
//!
//! A tree is changed by [`Tree::apply`] (the replica's, which owns names and data) or
//! [`Tree::follow`] (a front's, which shares them) and by nothing else; both never fail, and two
//! trees that went through the same transactions are equal, down to the numbers of their znodes.
//!
//! # How it lies in memory
//!
//! An array of structs of 52 bytes ([`NodeId`] is the place), linked to parent, first child and
//! siblings; a side record of 60 bytes where a znode is modified, ephemeral or a parent; one index
//! from the hash of the whole path to the place; names and data in an arena that the trees of a
//! server share. Arrays and index are cut into pieces that are copied when first changed, so an
//! image of the tree ([`Tree::freeze`]) and a further core's tree ([`Tree::reader`]) cost a copy of
//! handles, and a mapped snapshot file can be such pieces, too ([`Tree::from_image`]).
//!
//! # What it promises
//!
//! 1. Every turn is bounded: no table is rebuilt as a whole, a delete does not search, a list of
//!    children can be walked in parts. Exceptions: a stats znode of a quota counts its subtree when
//!    it is created; closing a session deletes all that it owned.
//! 2. setData and reads do not allocate in steady state.
//! 3. The digest is Apache's, after each transaction.
//!
//! # Where to read on
//!
//! `tree.rs` what transactions do; `arena.rs` who may write where, and when; `image.rs` the image,
//! byte by byte.

mod acls;
mod arena;
mod change;
mod cow;
pub mod digest;
mod ephemerals;
mod image;
pub mod index;
pub mod quota;
mod reapable;
mod sessions;
#[expect(clippy::module_inception, reason = "the machine's file carries the machine's name")]
mod tree;
mod znode;

pub use acls::{AclId, Acls};
pub use change::{Change, ChangeKind, Changes, OpResult};
pub use image::{IMAGE_ALIGN, Image, ImageError};
pub use index::HashKey;
pub use reapable::ReapRules;
pub use tree::{Config, Tree};
pub use znode::{CONTAINER_OWNER, NodeId, OwnerKind, OwnerRules, Persisted, ttl_owner};

#[cfg(test)]
mod tests;
