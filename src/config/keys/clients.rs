//! Client connections, throttles, caches, and how znodes behave: ops-surface section 1.3.

use super::super::key::Need::{Java, Must, Should};
use super::super::key::{Row, Set, Type, bare, property};
use super::{NO_THREADS, NO_TLS};

const NO_CACHE: &str = "a reply is encoded from the tree, there is no cache of replies";
const NO_THROTTLED_OP: &str =
    "no request waits that long, so this release never answers ThrottledOp";
const BOUNDED: &str =
    "requests are bounded by jute.maxbuffer each and by globalOutstandingLimit together";
const NO_CHANCE: &str = "no handshake is dropped by chance in this release";
const ONE_TOKEN: &str = "a handshake costs one token in this release";
const NO_CLEANER: &str = "a watch goes with its connection, nothing is cleaned up later";

#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    property("maxCnxns", Must, "0", Set::Limit(|c| &mut c.client.max_cnxns),
        "Connections in all; 0 is no limit. The next one is closed at once."),
    property("globalOutstandingLimit", Must, "1000", Set::Num(1, |c| &mut c.limits.global_outstanding_limit),
        "Requests in process on this server above which sockets that have one outstanding are not read. \
         Back-pressure, never an error. Too small: throughput falls with the number of clients."),
    property("clientTcpKeepAlive", Should, "false", Set::Bool(|c| &mut c.client.tcp_keep_alive),
        "SO_KEEPALIVE on client sockets."),
    property("nio.sessionlessCnxnTimeout", Should, "10000", Set::Num(1, |c| &mut c.client.sessionless_timeout_ms),
        "ms until a connection without a handshake is closed."),
    property("enforceQuota", Must, "false", Set::Bool(|c| &mut c.tree.enforce_quota),
        "Whether a write beyond a hard quota is refused (QuotaExceeded). Off, and for soft quotas, it is \
         logged."),
    property("extendedTypesEnabled", Must, "false", Set::Bool(|c| &mut c.tree.extended_types_enabled),
        "Whether znodes with a TTL exist. Off, creating one is answered Unimplemented."),
    property("emulate353TTLNodes", Should, "false", Set::Bool(|c| &mut c.tree.emulate_353_ttl_nodes),
        "Whether TTL znodes written by Apache 3.5.3 are understood."),
    bare("znode.container.checkIntervalMs", Must, "60000", Set::Num(1, |c| &mut c.tree.container_check_interval_ms),
        "ms between two sweeps for empty containers and expired TTL znodes."),
    bare("znode.container.maxPerMinute", Must, "10000", Set::Num(1, |c| &mut c.tree.container_max_per_minute),
        "Znodes a minute that the sweeps delete."),
    bare("znode.container.maxNeverUsedIntervalMs", Must, "0", Set::Limit64(|c| &mut c.tree.container_max_never_used_ms),
        "ms after which a container that never had a child goes too; 0 is never, as in Apache 3.9."),
    property("throttled_op_wait_time", Should, "0", Set::Limit(|c| &mut c.limits.throttled_op_wait_time_ms),
        "ms in a queue after which a request is answered ThrottledOp and not executed; 0 is off.")
        .also(&["throttledOpWaitTime"]).idle(NO_THROTTLED_OP),
    property("request_throttle_max_requests", Should, "0", Set::Limit(|c| &mut c.limits.request_throttle_max_requests),
        "Requests in the pipeline above which new ones are held back; 0 is off.").also(&["requestThrottleLimit"]).idle(BOUNDED),
    property("request_throttle_stall_time", Should, "100", Set::Num(1, |c| &mut c.limits.request_throttle_stall_time_ms),
        "ms that a held-back request waits at most at a time.").also(&["requestThrottleStallTime"]).idle(BOUNDED),
    property("request_throttle_drop_stale", Should, "true", Set::Bool(|c| &mut c.limits.request_throttle_drop_stale),
        "Whether stale requests are dropped while others are held back.").also(&["requestThrottleDropStale"]).idle(BOUNDED),
    property("request_stale_latency_check", Should, "false", Set::Bool(|c| &mut c.limits.request_stale_latency_check),
        "Whether a request older than its session's timeout is stale.").also(&["requestStaleLatencyCheck"]).idle(BOUNDED),
    property("request_stale_connection_check", Should, "true", Set::Bool(|c| &mut c.limits.request_stale_connection_check),
        "Whether a request whose connection is gone is stale.").also(&["requestStaleConnectionCheck"]).idle(BOUNDED),
    property("request_throttler.shutdownTimeout", Should, "10000", Set::Check(Type::Number),
        "ms that Java drains its queue at shut-down.").idle("a server stops at once; its log is on the disk"),
    property("largeRequestThreshold", Should, "-1", Set::Limit(|c| &mut c.limits.large_request_threshold),
        "Bytes above which a request counts as large; 0 or less: none does.").idle(BOUNDED),
    property("largeRequestMaxBytes", Should, "104857600", Set::Num(1, |c| &mut c.limits.large_request_max_bytes),
        "Bytes of large requests in flight. The one that would exceed it closes its connection.").idle(BOUNDED),
    property("connection_throttle_tokens", Should, "0", Set::Limit(|c| &mut c.throttle.tokens),
        "New sessions that a burst may open: the size of a bucket of tokens; 0 is no throttle. A handshake \
         that finds too few is closed without a reply.").also(&["connectionMaxTokens"]),
    property("connection_throttle_fill_time", Should, "1", Set::Num(1, |c| &mut c.throttle.fill_time_ms),
        "ms between two fills of the bucket.").also(&["connectionTokenFillTime"]),
    property("connection_throttle_fill_count", Should, "1", Set::Num(1, |c| &mut c.throttle.fill_count),
        "Tokens of a fill.").also(&["connectionTokenFillCount"]),
    property("connection_throttle_freeze_time", Should, "-1", Set::Signed(|c| &mut c.throttle.freeze_time_ms),
        "ms between two adjustments of the probability with which a handshake is dropped; -1 is off.")
        .also(&["connectionFreezeTime"]).idle(NO_CHANCE),
    property("connection_throttle_drop_increase", Should, "0.02", Set::Share(|c| &mut c.throttle.drop_increase),
        "What a period without tokens adds to that probability, 0 to 1.").also(&["connectionDropIncrease"]).idle(NO_CHANCE),
    property("connection_throttle_drop_decrease", Should, "0.002", Set::Share(|c| &mut c.throttle.drop_decrease),
        "What a period with enough tokens takes off it, 0 to 1.").also(&["connectionDropDecrease"]).idle(NO_CHANCE),
    property("connection_throttle_decrease_ratio", Should, "0", Set::Share(|c| &mut c.throttle.decrease_ratio),
        "Share of the bucket that must be full before it is lowered, 0 to 1.").also(&["connectionDecreaseRatio"]).idle(NO_CHANCE),
    property("connection_throttle_weight_enabled", Should, "false", Set::Bool(|c| &mut c.throttle.weights_enabled),
        "Whether a handshake costs the weights below instead of one token.").idle(ONE_TOKEN),
    property("connection_throttle_global_session_weight", Should, "3", Set::Num(1, |c| &mut c.throttle.global_session_weight),
        "Tokens of a new session.").idle(ONE_TOKEN),
    property("connection_throttle_local_session_weight", Should, "1", Set::Num(1, |c| &mut c.throttle.local_session_weight),
        "Tokens of a new local session.").idle(ONE_TOKEN),
    property("connection_throttle_renew_session_weight", Should, "2", Set::Num(1, |c| &mut c.throttle.renew_session_weight),
        "Tokens of a session that comes back.").idle(ONE_TOKEN),
    property("maxResponseCacheSize", Should, "400", Set::Check(Type::Number), "Entries of Java's cache of getData replies.").idle(NO_CACHE),
    property("maxGetChildrenResponseCacheSize", Should, "400", Set::Check(Type::Number), "Entries of its cache of getChildren replies.").idle(NO_CACHE),
    property("nio.numSelectorThreads", Java, "", Set::Check(Type::Number), "Java's selector threads.").idle(NO_THREADS),
    property("nio.numWorkerThreads", Java, "", Set::Check(Type::Number), "Java's I/O threads.").idle(NO_THREADS),
    property("nio.directBufferBytes", Java, "65536", Set::Check(Type::Number), "Java's buffer for writes.").idle("buffers are pooled"),
    property("nio.shutdownTimeout", Java, "5000", Set::Check(Type::Number), "ms that Java's threads have to end.").idle(NO_THREADS),
    property("serverCnxnFactory", Must, "org.apache.zookeeper.server.NIOServerCnxnFactory", Set::Check(Type::Text),
        "Java's network layer; the Netty one is how TLS is asked for.").idle("there is one network layer, see engine"),
    property("netty.advancedFlowControl.enabled", Java, "false", Set::Check(Type::Bool),
        "Netty reads a socket only while its requests are few.").also(&["advancedFlowControlEnabled"])
        .idle("every socket's requests are bounded"),
    property("netty.server.outstandingHandshake.limit", Should, "-1", Set::Check(Type::Number),
        "TLS handshakes at once.").also(&["outstandingHandshake.limit"]).idle(NO_TLS),
    property("netty.server.earlyDropSecureConnectionHandshakes", Should, "false", Set::Check(Type::Bool),
        "Drop TLS connections before the server serves.").idle(NO_TLS),
    property("commitProcessor.numWorkerThreads", Java, "", Set::Check(Type::Number), "Java's threads for reads.").idle(NO_THREADS),
    property("commitProcessor.maxReadBatchSize", Should, "-1", Set::Check(Type::Number), "Reads between two of Java's commits.").idle(NO_THREADS),
    property("commitProcessor.maxCommitBatchSize", Should, "1", Set::Check(Type::Number), "Commits between two of Java's reads.").idle(NO_THREADS),
    property("commitProcessor.shutdownTimeout", Java, "5000", Set::Check(Type::Number), "ms that Java's threads have to end.").idle(NO_THREADS),
    property("watchManagerName", Java, "org.apache.zookeeper.server.watch.WatchManager", Set::Check(Type::Text),
        "Java's class of watches.").idle("there is one, and it is small"),
    property("watcherCleanThreadsNum", Java, "2", Set::Check(Type::Number), "Threads of Java's optimised watches.").idle(NO_CLEANER),
    property("watcherCleanThreshold", Java, "1000", Set::Check(Type::Number), "Dead watchers before they clean.").idle(NO_CLEANER),
    property("watcherCleanIntervalInSeconds", Java, "600", Set::Check(Type::Number), "s before they clean anyway.").idle(NO_CLEANER),
    property("maxInProcessingDeadWatchers", Java, "-1", Set::Check(Type::Number), "Dead watchers before closing waits.").idle(NO_CLEANER),
    property("bitHashCacheSize", Java, "10", Set::Check(Type::Number), "Watchers of a path kept in a list.").idle(NO_CLEANER),
    property("enableEagerACLCheck", Should, "false", Set::Check(Type::Bool),
        "Check ACLs before a write is forwarded to the leader.").idle("a write is checked where it is ordered"),
    property("pathStats.enabled", Should, "false", Set::Check(Type::Bool), "Samples of requests by path.").idle(NO_PATH_STATS),
    property("pathStats.slotCapacity", Should, "60", Set::Check(Type::Number), "Slots of them.").idle(NO_PATH_STATS),
    property("pathStats.slotDuration", Should, "15", Set::Check(Type::Number), "s of a slot.").idle(NO_PATH_STATS),
    property("pathStats.maxDepth", Should, "6", Set::Check(Type::Number), "Levels of a path counted.").idle(NO_PATH_STATS),
    property("pathStats.sampleRate", Should, "0.1", Set::Check(Type::Fraction), "Share of requests sampled.").idle(NO_PATH_STATS),
    property("pathStats.initialDelay", Should, "5", Set::Check(Type::Number), "s before the first.").idle(NO_PATH_STATS),
    property("pathStats.delay", Should, "5", Set::Check(Type::Number), "s between two.").idle(NO_PATH_STATS),
    property("pathStats.topPathMax", Should, "20", Set::Check(Type::Number), "Paths shown.").idle(NO_PATH_STATS),
];

const NO_PATH_STATS: &str = "requests are not sampled by path in this release";
