//! Floor 0: plain values that every other module speaks in.
//!
//! Nothing here reads a clock, opens a file or knows a rule of the protocol; a type earns its
//! place by making two things that must not be mixed up impossible to mix up.

pub mod durable;
pub mod hash;
pub mod ids;
pub mod limits;
pub mod messages;
pub mod mutant;
pub mod path;
pub mod time;
pub mod zxid;

pub use durable::{DurableUpTo, Generation};
pub use hash::IdMap;
pub use ids::{ConnId, ServerId, SessionId, ShardId, Xid};
pub use time::{Instant, Now, WallTime};
pub use zxid::Zxid;
