//! Every bound of the program that cannot be changed while it runs, and how they relate.
//!
//! What an operator may change stands in a `Config`; what bounds memory or a turn's length stands
//! here. A bound with a single user may stand beside that user instead.

/// A client frame's largest length, in bytes: Apache's `jute.maxbuffer` default. The configured
/// value may differ; a frame longer than it closes the connection.
pub const FRAME_BYTES_DEFAULT_MAX: usize = 0xf_ffff;

/// What a connection may cost before its handshake is complete, in bytes.
pub const HANDSHAKE_BYTES_MAX: usize = 4096;

/// Fronts of one server. More cores than this do not help a coordination service.
pub const SHARDS_MAX: usize = 64;

/// Submissions of one shard that the replica has not answered yet. The mesh has a place for each,
/// so a front never waits. More would hide a slow disk from the clients for longer.
pub const SUBMISSIONS_PER_SHARD_MAX: usize = 8192;

/// Requests of one connection that were read and not yet answered. Beyond it the socket is not
/// read until replies have left.
pub const REQUESTS_PER_CONN_MAX: usize = 1024;

/// Bytes waiting to be sent to one connection. A client that reads nothing is hung up on here.
pub const OUTBOUND_BYTES_PER_CONN_MAX: usize = 64 << 20;

/// Bytes waiting to be sent to one connection above which its requests are no longer read.
pub const OUTBOUND_BYTES_PAUSE: usize = 1 << 20;

/// Transactions proposed and not yet committed.
pub const PROPOSALS_OUTSTANDING_MAX: usize = SHARDS_MAX * SUBMISSIONS_PER_SHARD_MAX;

/// Operations in one multi. Checked before it gets a zxid.
pub const MULTI_OPS_MAX: usize = 100_000;

/// Log batches on their way to the disk at once.
pub const LOG_BATCHES_IN_FLIGHT_MAX: usize = 4;

/// Inputs that a loop takes before replies go out.
pub const INPUTS_PER_TURN_MAX: usize = 4096;

const _: () = assert!(OUTBOUND_BYTES_PAUSE < OUTBOUND_BYTES_PER_CONN_MAX);
const _: () = assert!(FRAME_BYTES_DEFAULT_MAX < OUTBOUND_BYTES_PER_CONN_MAX);
const _: () = assert!(REQUESTS_PER_CONN_MAX <= SUBMISSIONS_PER_SHARD_MAX);
