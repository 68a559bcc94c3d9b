//! Names of everything that is counted: Apache 3.9's `ServerMetrics`, in the order of its `mntr`.
//!
//! A dashboard made for a Java server asks for these names. What cannot happen on a server of this
//! kind stays 0, which is the truth; nobody has to be told which of Java's threads exist.

/// Declares a set of names as an enum that indexes an array.
macro_rules! names {
    ($(#[$doc:meta])* $set:ident { $($variant:ident $name:literal)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs)]
        pub enum $set { $($variant,)* }

        impl $set {
            /// Every one of them, in the order of `mntr`.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Java's name, without the `zk_` of `mntr`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Place in an array of them.
            pub const fn index(self) -> usize {
                self as usize
            }
        }
    };
}

names! {
    /// Events counted one by one.
    Counter {
        WatchBytes "watch_bytes"
        StaleRequestsDropped "stale_requests_dropped"
        ThrottledOps "throttled_ops"
        InsecureAdminCount "insecure_admin_count"
        ConnectionRejected "connection_rejected"
        SessionlessConnectionsExpired "sessionless_connections_expired"
        DeadWatchersQueued "dead_watchers_queued"
        StaleRequests "stale_requests"
        ConnectionDropCount "connection_drop_count"
        ResponsePacketCacheHits "response_packet_cache_hits"
        BytesReceivedCount "bytes_received_count"
        AddDeadWatcherStallTime "add_dead_watcher_stall_time"
        RequestThrottleWaitCount "request_throttle_wait_count"
        RequestsNotForwardedToCommitProcessor "requests_not_forwarded_to_commit_processor"
        ResponsePacketCacheMisses "response_packet_cache_misses"
        PrepProcessorRequestQueued "prep_processor_request_queued"
        StaleReplies "stale_replies"
        ResponseBytes "response_bytes"
        EnsembleAuthFail "ensemble_auth_fail"
        DiffCount "diff_count"
        ConnectionRevalidateCount "connection_revalidate_count"
        QuitLeadingDueToDisloyalVoter "quit_leading_due_to_disloyal_voter"
        UnrecoverableErrorCount "unrecoverable_error_count"
        UnsuccessfulHandshake "unsuccessful_handshake"
        CommitCount "commit_count"
        OutstandingChangesQueued "outstanding_changes_queued"
        RequestCommitQueued "request_commit_queued"
        EnsembleAuthSkip "ensemble_auth_skip"
        SkipLearnerRequestToNextProcessorCount "skip_learner_request_to_next_processor_count"
        ProposalCount "proposal_count"
        LargeRequestsRejected "large_requests_rejected"
        OutstandingChangesRemoved "outstanding_changes_removed"
        RestoreErrorCount "restore_error_count"
        CnxnClosedWithoutZkServerRunning "cnxn_closed_without_zk_server_running"
        LookingCount "looking_count"
        SnapshotRateLimitedCount "snapshot_rate_limited_count"
        LearnerProposalReceivedCount "learner_proposal_received_count"
        DigestMismatchesCount "digest_mismatches_count"
        DeadWatchersCleared "dead_watchers_cleared"
        EnsembleAuthSuccess "ensemble_auth_success"
        LearnerCommitReceivedCount "learner_commit_received_count"
        SnapshotErrorCount "snapshot_error_count"
        ConnectionRequestCount "connection_request_count"
        ResponsePacketGetChildrenCacheMisses "response_packet_get_children_cache_misses"
        SnapCount "snap_count"
        StaleSessionsExpired "stale_sessions_expired"
        RestoreRateLimitedCount "restore_rate_limited_count"
        ResponsePacketGetChildrenCacheHits "response_packet_get_children_cache_hits"
        SyncProcessorRequestQueued "sync_processor_request_queued"
        TlsHandshakeExceeded "tls_handshake_exceeded"
        RevalidateCount "revalidate_count"
    }
}

names! {
    /// Values of which count, sum, least and greatest are kept. Times are in ms.
    Basic {
        SocketClosingTime "socket_closing_time"
        ProposalProcessTime "proposal_process_time"
        LeaderUnavailableTime "leader_unavailable_time"
        NodeCreatedWatchCount "node_created_watch_count"
        SessionQueuesDrained "session_queues_drained"
        WriteCommitProcReqQueued "write_commit_proc_req_queued"
        ConnectionTokenDeficit "connection_token_deficit"
        ReadCommitProcReqQueued "read_commit_proc_req_queued"
        NodeDeletedWatchCount "node_deleted_watch_count"
        StartupTxnsLoadTime "startup_txns_load_time"
        SyncProcessorQueueSize "sync_processor_queue_size"
        FollowerSyncTime "follower_sync_time"
        PrepProcessorQueueSize "prep_processor_queue_size"
        Fsynctime "fsynctime"
        InflightSnapCount "inflight_snap_count"
        ReadsIssuedFromSessionQueue "reads_issued_from_session_queue"
        RestoreTime "restore_time"
        LearnerRequestProcessorQueueSize "learner_request_processor_queue_size"
        Snapshottime "snapshottime"
        UnavailableTime "unavailable_time"
        StartupTxnsLoaded "startup_txns_loaded"
        ReadsAfterWriteInSessionQueue "reads_after_write_in_session_queue"
        RequestsInSessionQueue "requests_in_session_queue"
        WriteCommitProcIssued "write_commit_proc_issued"
        PrepProcessTime "prep_process_time"
        PendingSessionQueueSize "pending_session_queue_size"
        TimeWaitingEmptyPoolInCommitProcessorReadMs "time_waiting_empty_pool_in_commit_processor_read_ms"
        CommitProcessTime "commit_process_time"
        Dbinittime "dbinittime"
        InflightDiffCount "inflight_diff_count"
        NettyQueuedBufferCapacity "netty_queued_buffer_capacity"
        ElectionTime "election_time"
        CommitCommitProcReqQueued "commit_commit_proc_req_queued"
        SyncProcessorBatchSize "sync_processor_batch_size"
        NodeChildrenWatchCount "node_children_watch_count"
        WriteBatchTimeInCommitProcessor "write_batch_time_in_commit_processor"
        ReadCommitProcIssued "read_commit_proc_issued"
        ConcurrentRequestProcessingInCommitProcessor "concurrent_request_processing_in_commit_processor"
        ObserverSyncTime "observer_sync_time"
        NodeChangedWatchCount "node_changed_watch_count"
        SyncProcessTime "sync_process_time"
        StartupSnapLoadTime "startup_snap_load_time"
    }
}

names! {
    /// Times in ms of which percentiles are kept as well.
    Timed {
        PrepProcessorQueueTimeMs "prep_processor_queue_time_ms"
        JvmPauseTimeMs "jvm_pause_time_ms"
        CloseSessionPrepTime "close_session_prep_time"
        ReadCommitprocTimeMs "read_commitproc_time_ms"
        Updatelatency "updatelatency"
        LocalWriteCommittedTimeMs "local_write_committed_time_ms"
        RequestThrottleQueueTimeMs "request_throttle_queue_time_ms"
        Readlatency "readlatency"
        QuorumAckLatency "quorum_ack_latency"
        OmCommitProcessTimeMs "om_commit_process_time_ms"
        ReadFinalProcTimeMs "read_final_proc_time_ms"
        CommitPropagationLatency "commit_propagation_latency"
        DeadWatchersCleanerLatency "dead_watchers_cleaner_latency"
        WriteFinalProcTimeMs "write_final_proc_time_ms"
        ProposalAckCreationLatency "proposal_ack_creation_latency"
        ProposalLatency "proposal_latency"
        OmProposalProcessTimeMs "om_proposal_process_time_ms"
        SyncProcessorQueueAndFlushTimeMs "sync_processor_queue_and_flush_time_ms"
        PropagationLatency "propagation_latency"
        ServerWriteCommittedTimeMs "server_write_committed_time_ms"
        SyncProcessorQueueTimeMs "sync_processor_queue_time_ms"
        SyncProcessorQueueFlushTimeMs "sync_processor_queue_flush_time_ms"
        WriteCommitprocTimeMs "write_commitproc_time_ms"
    }
}
