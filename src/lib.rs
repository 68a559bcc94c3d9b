//! RingKeeper: Apache ZooKeeper's service on a thread-per-core, io_uring engine.

pub mod session;
pub mod types;
pub mod wire;
