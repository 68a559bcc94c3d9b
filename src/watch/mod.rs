//! Who waits for which change: the watches of one core's connections.
//!
//! A watch is a connection, a path (whether or not a znode is there) and a mode; the modes that a
//! connection has on one path combine. All watches of a connection vanish with it.
//!
//! # What fires (client-protocol section 7.2; `WatchManager.java` and `DataTree.java` of 3.9)
//!
//! | change at P | standard data | standard child | persistent | recursive, at P or above |
//! |---|---|---|---|---|
//! | created, data changed | fires, is used up | – | fires | fires |
//! | deleted | fires, is used up | fires, is used up | fires | fires |
//! | children changed | – | fires, is used up | fires | – |
//!
//! A connection hears of one change at most once, whatever it registered; in which order several
//! connections hear of it is nobody's promise. Whether a connection may hear of it at all (its
//! identities against the znode's ACL) is the front's to say: a watch is used up either way.
//!
//! # What it promises
//!
//! 1. A change that nobody waits for costs one look into a table (one for each ancestor while any
//!    recursive watch exists) and allocates nothing.
//! 2. Dropping a connection takes time in proportion to its watches, however many others wait for
//!    the same paths.
//! 3. A further watch on a path that is already watched takes about 12 bytes.

mod conn_set;
mod watches;

pub use watches::{Counts, Mode, WatcherType, Watches};

#[cfg(test)]
mod tests;
