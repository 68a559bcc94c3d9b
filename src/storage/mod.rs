//! Files: the log, snapshots, and the metadata block.
//!
//! What storage decides is when bytes count as durable, and what a directory holds after whatever
//! happened to it. To this module a transaction is bytes under a zxid, an image is named sections
//! of bytes; it understands neither.
//!
//! # How it is driven
//!
//! [`open()`] locks the directories, recovers and begins a segment: the state is the snapshot, then
//! the entries of [`Opened::tail`], then whatever is appended. From then on [`log::Log`] and
//! [`meta::MetaStore`] are machines without files: they hand out writes and take completions, and
//! whoever drives them (a ring, a small pool of threads, the simulator) carries the writes out.
//! Segments are prepared ahead, snapshots published, old files purged and the reserve made by
//! blocking functions ([`segment::prepare`], [`snapshot::publish`], [`purge::purge`],
//! [`open::make_reserve`]), one after the other on one background thread with a
//! [`driver::RealDisk`] of its own ([`driver::RealDisk::another`]).
//!
//! # What it promises
//!
//! 1. A `DurableUpTo` is made from completions of the disk alone, for the contiguous prefix alone.
//! 2. After any crash a start finds every durable transaction, none that was never appended, and
//!    none that was truncated; a start that crashes itself, wherever, changes nothing of that.
//! 3. Damage is told from a torn tail, and is never answered by forgetting: a start that could
//!    lose an acknowledged transaction is refused, naming file and byte.
//! 4. After a failed write or sync nothing is acknowledged any more.
//!
//! # What it relies on
//!
//! A sector of 512 bytes is written whole or not at all, and unwritten sectors of a file that was
//! zeroed and synced read as zeros. What was answered as durable is there after a power cut. A
//! double fault remains: the last batch of a log that has just gone quiet is acknowledged, the
//! power goes within the milliseconds before [`log::Log::mark`] is on disk, and exactly that batch
//! turns to zeros. One thing weakens the telling of rot from tear in the same few milliseconds: a
//! payload with 512 aligned zero bytes of its own looks torn when another byte of it rots.
//!
//! # The directory
//!
//! `dataLogDir/ringkeeper/` and `dataDir/ringkeeper/`, one folder if the two are equal.
//!
//! | file | holds |
//! |---|---|
//! | `lock` | nothing; `flock` on it keeps a second server out |
//! | `meta` | the metadata block, two slots |
//! | `log.<number, 16 hex digits>` | a segment |
//! | `segment.tmp` | a segment being zeroed, or an old one that will be |
//! | `reserve` | zeros, given up for a start on a full disk |
//! | `snapshot.<zxid, 16 hex digits>` | a published image |
//! | `snapshot.tmp`, `meta.tmp` | unfinished, removed at start |
//! | `damaged.<zxid>` | an image whose checksums failed |
//!
//! # Bytes of a segment
//!
//! All numbers are little-endian; CRC is CRC-32C. A file of zeros (64 MiB; the first after a start
//! is shorter) with the header in its first and its second block of 4096 bytes:
//!
//! | at | bytes | |
//! |---|---|---|
//! | 0 | 8 | `RKLOGSEG` |
//! | 8 | 4 | version, 1 |
//! | 16 | 16 | identity of the directory |
//! | 32 | 8 | number of the segment |
//! | 40 | 8 | number of the one before it, 0 for the first |
//! | 48 | 8 | zxid before the segment's first entry |
//! | 56 | 8 | chain hash up to that entry |
//! | 64 | 24 | what was durable when this was written: segment, offset, zxid |
//! | 88 | 8 | length of the file as prepared |
//! | 508 | 4 | CRC of bytes 0 to 507 |
//!
//! From byte 8192 on batches follow, each at a whole block, padded with zeros. The last block is
//! left for an end. A batch begins with
//!
//! | at | bytes | |
//! |---|---|---|
//! | 0 | 4 | `RKBA` |
//! | 4 | 4 | 1 entries, 2 mark, 3 end |
//! | 8 | 16 | its own place: segment, offset |
//! | 24 | 8 | bytes of header and entries |
//! | 32 | 4 | number of entries |
//! | 40 | 8 | last zxid of the log up to here; of an end: entries behind it do not count |
//! | 48 | 8 | chain hash before its first entry; of an end: up to its last zxid |
//! | 56 | 24 | what was durable when this was written: segment, offset, zxid |
//! | 80 | 8 | of an end: the number of the segment that follows |
//! | 92 | 4 | CRC of bytes 0 to 91 |
//!
//! and holds entries, one behind the other:
//!
//! | at | bytes | |
//! |---|---|---|
//! | 0 | 4 | `RKEN` |
//! | 4 | 4 | bytes of the payload, n |
//! | 8 | 8 | zxid |
//! | 16 | 8 | chain hash up to the entry before |
//! | 24 | 4 | CRC of the payload |
//! | 28 | 4 | CRC of bytes 0 to 27 |
//! | 32 | n | the payload: a transaction as Apache's log holds it |
//! | 32+n | 1–8 | `a5`, up to a multiple of 8 |
//!
//! The chain hash after an entry is SipHash-1-3, keyed with the identity, of the hash before it,
//! its zxid, length and payload CRC (8, 8, 4 and 4 bytes); 0 before the first entry.
//!
//! # Bytes of the metadata block
//!
//! Two slots of 4096 bytes, equal but while a change is being written:
//!
//! | at | bytes | |
//! |---|---|---|
//! | 0 | 8 | `RKMETA\0\0` |
//! | 8 | 8 | version, 1 |
//! | 16 | 16 | identity of the directory |
//! | 32 | 8 | sequence number; the higher one counts |
//! | 40 | 16 | accepted epoch, current epoch |
//! | 56 | 32 | the vote: leader, zxid, epoch, round |
//! | 88 | 16 | 1 and the zxid of a truncation that is not finished, or 0 |
//! | 104 | 8 | 1 while the state is being replaced by a leader's |
//! | 112 | 8 | 1 once a segment was begun |
//! | 4092 | 4 | CRC of bytes 0 to 4091 |
//!
//! # Bytes of a snapshot
//!
//! | at | bytes | |
//! |---|---|---|
//! | 0 | 8 | `RKSNAPSH` |
//! | 8 | 8 | version, 1 |
//! | 16 | 16 | identity of the directory |
//! | 32 | 16 | zxid, digest |
//! | 48 | 8 | bytes of the body, whole blocks |
//! | 56 | 8 | bytes under one checksum, 1 MiB |
//! | 64 | 4 | CRC of the table of checksums |
//! | 72 | 8 | number of sections |
//! | 128 | 24 each | kind (4 bytes, 4 zeros), offset, bytes of a section |
//! | 4092 | 4 | CRC of bytes 0 to 4091 |
//! | 4096 | | the body: sections, each at a whole block; then one CRC per MiB of it, padded |
//!
//! # Where to read on
//!
//! [`log`], then the table in [`recover`], then the steps in [`open`](mod@open); `tests/sim` runs
//! all of it against a disk that forgets.

pub mod block;
pub mod dir;
pub mod disk;
pub mod driver;
pub mod error;
pub mod log;
pub mod log_format;
pub mod map;
pub mod meta;
pub mod open;
pub mod purge;
pub mod reader;
pub mod recover;
pub mod scan;
pub mod segment;
pub mod snapshot;
pub mod snapshot_format;
pub mod tree_image;

pub use dir::{DirConfig, Lock, OpenedDir, open};
pub use error::Error;
pub use log_format::Identity;
pub use open::{OpenConfig, Opened, Report};
