//! Storage, snapshots, the write path: ops-surface section 1.2.

use super::super::key::Need::{Java, Must, Should, Test};
use super::super::key::{Row, Set, Type, bare, property};
use super::super::rules;
use super::{ALONE, NO_HTTP, TEST_HOOK};

const ZEROED: &str = "segments of the log are 64 MiB and zeroed ahead";
const GATHERED: &str = "a batch is whatever gathered while the one before was written";

#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    property("snapCount", Must, "100000", Set::Num(2, |c| &mut c.storage.snap_count),
        "Transactions between two snapshots, 2 or more. One is taken only once the log since the last is \
         as large as that snapshot. Small: more disk traffic; large: longer start after a crash."),
    property("snapSizeLimitInKb", Should, "4194304", Set::Limit64(|c| &mut c.storage.snap_size_limit_kb),
        "KiB of log between two snapshots; 0 or less is off."),
    property("datadir.autocreate", Must, "true", Set::Bool(|c| &mut c.storage.datadir_autocreate),
        "Whether a missing data directory is created. false: exit 3, which keeps an unmounted disk from \
         becoming an empty server."),
    property("snapshot.trust.empty", Must, "false", Set::Bool(|c| &mut c.storage.snapshot_trust_empty),
        "Whether a Java log without any snapshot is believed. true can bring up a server that forgot \
         everything before that log.").idle("a Java server's directory is not read in this release"),
    property("digest.enabled", Must, "true", Set::Bool(|c| &mut c.tree.digest_enabled),
        "Whether the digest of the tree is kept per transaction and compared."),
    property("closeSessionTxn.enabled", Should, "true", Set::Bool(|c| &mut c.tree.close_session_txn_enabled),
        "Whether the transaction that closes a session names its ephemerals."),
    property("fsync.warningthresholdms", Must, "1000", Set::Limit64(|c| &mut c.storage.fsync_warning_threshold_ms),
        "ms above which a sync of the log is one WARN line.").bare_too(),
    property("forceSync", Must, "yes", Set::Check(Type::Text),
        "Java's switch for durability: no acknowledges writes that are not on the disk.")
        .idle("every write is on the disk before it is acknowledged")
        .warns("no", "durability stays on: a write is acknowledged when it is on the disk"),
    property("db.autocreate", Should, "true", Set::Bool(|c| &mut c.storage.db_autocreate),
        "Whether an empty database may vote. false: only beside a file named initialize.").idle(ALONE),
    property("maxBatchSize", Should, "1000", Set::Num(1, |c| &mut c.storage.max_batch_size),
        "Transactions after which Java flushes its log.").idle(GATHERED),
    property("flushDelay", Should, "0", Set::Check(Type::Number),
        "ms that Java waits for more transactions before it flushes.").idle(GATHERED),
    property("maxWriteQueuePollTime", Should, "", Set::Check(Type::Number),
        "ms that Java waits on an idle queue before it flushes; a third of flushDelay.").idle(GATHERED),
    property("preAllocSize", Should, "65536", Set::Check(Type::Number),
        "KiB by which Java grows a log file.").idle(ZEROED),
    property("txnLogSizeLimitInKb", Should, "-1", Set::Check(Type::Number),
        "KiB of one log file of Java's.").idle(ZEROED),
    property("commitLogCount", Should, "500", Set::Num(0, |c| &mut c.ensemble.commit_log_count),
        "Committed transactions kept in memory for learners.").idle(ALONE),
    property("snapshotSizeFactor", Should, "0.33", Set::Check(Type::Fraction),
        "Largest log read to bring a learner up, as a share of the snapshot.").idle(ALONE),
    property("snapshot.compression.method", Must, "", Set::Rule("gz, snappy or nothing", rules::compression),
        "Compression of Java's snapshots; both forms are read.")
        .idle("a snapshot is mapped and served in place, so it is not compressed"),
    property("serializeLastProcessedZxid.enabled", Must, "true", Set::Check(Type::Bool),
        "Trailer of Java's snapshots that its HTTP commands need.").idle(NO_HTTP),
    bare("jute.maxbuffer", Must, "1048575", Set::Num(1024, |c| &mut c.limits.jute_max_buffer),
        "Longest request and record, in bytes. A longer request closes its connection with one log line \
         that names path, operation and client. Clients must be told the same number."),
    bare("jute.maxbuffer.extrasize", Must, "", Set::MaybeNum(|c| &mut c.limits.jute_max_buffer_extra),
        "Room, in bytes, that a record may take beyond it for what the server adds; as much again unless \
         set.").idle("the log has a bound of its own"),
    property("intBufferStartingSizeBytes", Java, "1024", Set::Check(Type::Number),
        "First size of Java's encoding buffer.").idle("buffers are reused"),
    property("forceSnapshotSync", Test, "false", Set::Check(Type::Bool),
        "Always send a snapshot to learners.").idle(TEST_HOOK),
    property("testingonly.initialZxid", Test, "", Set::Check(Type::Number), "First zxid.").idle(TEST_HOOK),
    property("test.allowDiscontinuousProposals", Test, "false", Set::Check(Type::Bool),
        "Gaps between zxids.").idle(TEST_HOOK),
];
