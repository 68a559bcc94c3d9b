//! One configuration becomes each module's own settings.

use super::ordering;
use crate::admin::WhiteList;
use crate::admin::stats;
use crate::config::{AuthProvider, Config};
use crate::session::auth;
use crate::storage::log::LogConfig;
use crate::storage::purge::Keep;
use crate::storage::{DirConfig, Identity, OpenConfig};
use crate::tree::OwnerRules;
use crate::types::{ServerId, ShardId};
use crate::{front, net, prep, replica, tree};

pub fn net(config: &Config) -> net::Config {
    net::Config {
        frame_bytes_max: to_usize(config.limits.jute_max_buffer),
        handshake_ms: u64::from(config.client.sessionless_timeout_ms),
        ..net::Config::default()
    }
}

/// `nonce_key` is random, and the same for all fronts of a process or not.
pub fn front(config: &Config, shard: ShardId, fronts: usize, nonce_key: [u8; 16]) -> front::Config {
    let outstanding = to_usize(config.limits.global_outstanding_limit);
    front::Config {
        shard,
        tick_ms: config.session.tick_time_ms,
        session_timeout_ms: (
            to_i32(config.session.timeout_ms_min()),
            to_i32(config.session.timeout_ms_max()),
        ),
        outstanding_max: outstanding.div_ceil(fronts).max(1),
        auth: auth(config),
        // `sessionRequireClientSASLAuth` has become part of these when the file was checked.
        enforce_schemes: if config.auth.enforce_auth_enabled {
            config.auth.enforce_auth_schemes.clone()
        } else {
            Vec::new()
        },
        sasl: config.auth.sasl_users.as_ref().map(|users| front::SaslConfig {
            users: users.iter().map(|(user, word)| (user.clone(), word.0.clone())).collect(),
            super_users: config.auth.sasl_super_users.clone(),
            keeps_failed: config.auth.allow_sasl_failed_clients,
            nonce_key,
        }),
        throttle: front::ThrottleConfig {
            tokens: config.throttle.tokens.div_ceil(u32::try_from(fronts).expect("few fronts")),
            fill_ms: u64::from(config.throttle.fill_time_ms),
            fill_count: config.throttle.fill_count,
        },
    }
}

pub fn replica(config: &Config) -> replica::Config {
    replica::Config {
        server: server(config),
        tick_ms: config.session.tick_time_ms,
        prep: prep::Config {
            auth: auth(config),
            owners: owners(config),
            digest: config.tree.digest_enabled,
            enforce_quota: config.tree.enforce_quota,
            reconfig: config.ensemble.reconfig_enabled,
            close_session_lists: config.tree.close_session_txn_enabled,
        },
        snap_count: u64::from(config.storage.snap_count),
        snap_log_bytes: match config.storage.snap_size_limit_kb {
            0 => u64::MAX,
            kb => kb.saturating_mul(1024),
        },
        reap_interval_ms: u64::from(config.tree.container_check_interval_ms),
        reap_per_minute_max: u64::from(config.tree.container_max_per_minute),
        reap_never_used_ms: i64::try_from(config.tree.container_max_never_used_ms)
            .unwrap_or(i64::MAX),
    }
}

/// Standalone counts as server 1 in session ids, as in Java's standalone mode.
pub fn server(_: &Config) -> ServerId {
    ServerId(1)
}

pub fn tree(config: &Config) -> tree::Config {
    tree::Config { owners: owners(config), digest: config.tree.digest_enabled }
}

fn owners(config: &Config) -> OwnerRules {
    OwnerRules {
        extended_types: config.tree.extended_types_enabled,
        emulate_353: config.tree.emulate_353_ttl_nodes,
    }
}

fn auth(config: &Config) -> auth::Config {
    let auth = &config.auth;
    let has = |provider| auth.providers.contains(&provider);
    auth::Config {
        skip_acl: auth.skip_acl,
        digest: auth.digest_auth_enabled,
        digest_algorithm: auth.digest_algorithm,
        super_digest: auth.super_digest.as_ref().map(|secret| secret.0.clone()),
        x509: has(AuthProvider::X509),
        x509_super_user: auth.x509_super_user.clone(),
        sasl: has(AuthProvider::Sasl),
        sasl_any: auth.sasl_any.clone(),
        ensemble: has(AuthProvider::Ensemble)
            .then(|| auth::Ensemble { names: auth.ensemble_names.clone() }),
    }
}

pub fn dirs(config: &Config, new_identity: Identity, verify_threads: usize) -> DirConfig {
    DirConfig {
        data_dir: config.storage.data_dir.clone(),
        log_dir: config.storage.log_dir().to_owned(),
        mapped: true,
        open: OpenConfig { log: LogConfig::default(), new_identity, verify_threads },
    }
}

pub fn keep(config: &Config) -> Keep {
    let purge = &config.purge;
    Keep {
        snapshots: to_usize(purge.snap_retain_count),
        age_secs: (purge.max_age_hours > 0).then(|| purge.max_age_hours.saturating_mul(3600)),
        bytes: (purge.max_bytes > 0).then_some(purge.max_bytes),
        segment_bytes: LogConfig::default().segment_bytes,
    }
}

pub fn ordering(config: &Config) -> ordering::Config {
    ordering::Config {
        slow_write_ms: config.storage.fsync_warning_threshold_ms,
        purge_interval_ms: config.purge.interval_ms,
    }
}

pub fn white_list(config: &Config) -> WhiteList {
    WhiteList::new(&config.admin.four_letter_whitelist, config.ensemble.read_only_mode_enabled)
}

/// What `conf` shows; `port` is the one that was bound.
pub fn shown(config: &Config, port: u16) -> stats::Settings {
    let dir = |path: &std::path::Path| {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        path.join("version-2").display().to_string()
    };
    stats::Settings {
        client_port: i32::from(port),
        secure_client_port: -1,
        data_dir: dir(&config.storage.data_dir),
        data_dir_bytes: 0,
        data_log_dir: dir(config.storage.log_dir()),
        data_log_dir_bytes: 0,
        tick_time_ms: config.session.tick_time_ms,
        max_client_cnxns: config.client.max_client_cnxns,
        min_session_timeout_ms: config.session.timeout_ms_min(),
        max_session_timeout_ms: config.session.timeout_ms_max(),
        listen_backlog: config.client.listen_backlog,
        server_id: 0,
    }
}

fn to_usize(value: u32) -> usize {
    usize::try_from(value).expect("an address has 32 bits at least")
}

fn to_i32(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}
