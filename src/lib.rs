//! RingKeeper: Apache ZooKeeper's service on a thread-per-core, io_uring engine.
//!
//! This page is the map. It has the three ideas, the floors, three journeys through the code, and
//! the words. Everything else is found from here.
//!
//! # Three ideas
//!
//! 1. **Two machines.** A *front* (one per core) is what a client talks to: it holds that core's
//!    tree, its watches, its connections' queues. The *replica* (one per server) is what the
//!    ensemble talks to: it prepares transactions, counts what is durable, tracks sessions, and
//!    holds the tree from which snapshots are made. Both are pure: `step(now, input, &mut out)`.
//! 2. **One order.** Every change of any tree is a committed transaction with a zxid. The replica
//!    publishes them in order to all fronts; a front changes its tree in no other way.
//! 3. **Loops around them.** `shard` turns inputs into steps and outputs into I/O. Whatever waits,
//!    opens, sends, or looks at a clock is there, in `net` or in `storage`.
//!
//! A server with one member is an ensemble with a quorum of one: its own durable log is the vote.
//!
//! # The floors
//!
//! ```text
//!  7   shard                     loops, cores, clock          cli, main
//!  6   admin   config            operators; keys -> values
//!  5   storage   net             files and sockets
//!      -------------------------------------------------------------- above: real   below: pure
//!  4   front   replica           the two machines
//!  3   prep                      request -> transaction
//!  2   tree <- watch   session   zab      the four parts
//!  1   wire                      bytes <-> values
//!  0   types                     values
//! ```
//!
//! A module imports only from floors below (and `watch` from `tree`). `tests/tidy.rs` holds the
//! exact table and keeps it true.
//!
//! # Three journeys
//!
//! **A write** (`setData "/a"`):
//!
//! 1. `net` cuts a frame out of what a socket received; `shard` hands it to the front as
//!    `front::Input::Request`.
//! 2. `Front::step`: the request is decoded and checked once (`wire::op`), queued in its
//!    connection, and leaves as `front::Output::Submit`.
//! 3. `Replica::step`: the session is checked, `prep::prepare` turns the request into a
//!    transaction against the tree as it will be once everything outstanding is committed; a
//!    refused request becomes a transaction too, so that it keeps its place. It enters the window
//!    of proposals (`zab::proposals`) and leaves as `replica::Output::Append`.
//! 4. `storage::log` gathers what was appended since the last write into a batch, writes it, and
//!    says with a `DurableUpTo` token how far the contiguous prefix is on the disk.
//! 5. `Replica::step` with the token: the quorum (of one) is counted, the transaction is
//!    committed, applied to the replica's tree, and published in a `CommitBatch`.
//! 6. Every front applies it to its own tree; watches of the change fire first, then the reply of
//!    the one who asked leaves, then whatever waited behind it. One send per connection and turn.
//!
//! **A read** (`getData "/a"` with a watch): step 1; then `front::read` looks up, checks the ACL,
//! sets the watch and encodes the reply in one call, so no change can fall between. No other core,
//! lock or server is involved. If the session has a write under way, the read waits behind it.
//!
//! **A start**: `main` → `config` → `storage` locks the directory, maps the newest good snapshot,
//! reads the log behind it and tells a torn tail from a damaged middle → `replica::Recovery`
//! replays → fronts get their trees → `shard` opens the port.
//!
//! # Words
//!
//! | word | means here, and only this |
//! |---|---|
//! | server | one process of the ensemble |
//! | znode | an element of the tree |
//! | voter, quorum | whose acknowledgement counts / enough of them |
//! | zxid, epoch | place in the order; a leader's reign |
//! | submission | a client's request on its way to the one order |
//! | proposal → durable → commit → apply | four different moments of a transaction |
//! | log, entry, snapshot, image | the transaction log; one of it; the file; what it holds |
//! | session, connection | survives the socket / is the socket |
//! | watch, event | the registration / what is sent |
//! | shard | one core's thread and all it owns |
//! | turn | one round of a loop: take what arrived, step, send |

pub mod admin;
pub mod cli;
pub mod config;
pub mod front;
pub mod net;
pub mod prep;
pub mod replica;
pub mod session;
pub mod shard;
pub mod storage;
pub mod tree;
pub mod types;
pub mod watch;
pub mod wire;
pub mod zab;
