//! Unmodified clients of Apache ZooKeeper, in their own languages, against our server.
//!
//! Each test fetches one pinned client library by its language's ordinary package client, builds
//! the program that stands under `tests/e2e/<name>/`, starts a server of its own and runs the
//! program on it (`harness.rs` says how the two talk). The names of the checks stand here once
//! more, so that a program which checks nothing cannot pass.
//!
//! `E2E_SERVER=apache cargo test --test e2e` runs the same against Apache 3.9.5: a check that fails
//! there is wrong itself. `E2E_CONFIG='engine=epoll;cores=0,1'` adds lines to the server's zoo.cfg.
//! `-- --nocapture` shows every check.
//!
//! Time: under 5 minutes on two cores, after what the first run fetches and compiles.

#[path = "../support/apache.rs"]
#[allow(dead_code, reason = "each test target uses a part")]
mod apache;
mod clients;
mod harness;
#[path = "../support/server.rs"]
#[allow(dead_code, reason = "each test target uses a part")]
mod server;
mod tools;

use clients::Jvm;
use harness::run;
use std::process::Command;

/// What a Java client of any version is asked to do.
const CHECKS_34: &[&str] = &[
    "create_get_set_delete",
    "data_null_empty_large",
    "sequential_names",
    "ephemerals",
    "children",
    "unicode_path",
    "chroot",
    "async_every_op",
    "async_pipeline_in_order",
    "multi_commits",
    "multi_rolls_back",
    "acl_world_and_digest",
    "acl_invalid",
    "acl_ip_and_version",
    "auth_super",
    "auth_unknown_scheme",
    "watch_data",
    "watch_exists",
    "watch_children",
    "watch_before_later_reply",
    "session_timeout_bounds",
    "session_that_may_be_read_only",
    "session_reattach",
    "session_wrong_password",
    "session_closed_elsewhere",
    "session_expires_when_silent",
    "reconnect_tells_missed_events",
    "too_large_request_costs_the_connection",
    "restart_keeps_session_and_watches",
];

/// What 3.5 added.
const CHECKS_35: &[&str] = &[
    "create2_returns_stat",
    "create2_async",
    "container_is_reaped",
    "ttl_is_reaped",
    "ttl_largest",
    "multi_create2_and_container",
    "remove_watches",
    "remove_watches_of_no_watcher",
    "remove_all_watches",
    "config_znode",
    "reconfig_is_refused",
];

/// What 3.6 to 3.9 added.
const CHECKS_39: &[&str] = &[
    "watch_persistent",
    "watch_recursive",
    "watch_both_modes",
    "remove_persistent_watches",
    "event_zxid",
    "multi_read",
    "get_ephemerals",
    "get_all_children_number",
    "who_am_i",
    "async_of_3_9",
    "quota",
    "reconnect_keeps_persistent_watches",
    "restart_keeps_persistent_watches",
];

/// The harness itself: what prints nothing has checked nothing, however well it ends.
#[test]
#[should_panic(expected = "passed other checks than it should")]
fn a_program_that_checks_nothing_fails() {
    run("nothing", Ok(Command::new("true")), &["basic"]);
}

fn java(
    version: &'static str,
    folders: &'static [&'static str],
    main: &'static str,
    checks: &[&str],
) {
    let jvm =
        Jvm { name: "java", pom: "java", property: "zookeeper.version", version, folders, main };
    run(&format!("java-{version}"), jvm.build(), checks);
}

/// The last 3.4 that can connect on Java 14 and later.
#[test]
fn java_client_3_4() {
    java("3.4.12", &["java/shared", "java/v34"], "Main34", CHECKS_34);
}

#[test]
fn java_client_3_5() {
    let checks = [CHECKS_35, CHECKS_34].concat();
    java("3.5.10", &["java/shared", "java/v34", "java/v35"], "Main35", &checks);
}

#[test]
fn java_client_3_9() {
    let checks = [CHECKS_39, CHECKS_35, CHECKS_34].concat();
    java("3.9.5", &["java/shared", "java/v34", "java/v35", "java/v39"], "Main39", &checks);
}

/// What zkCli.sh starts.
#[test]
fn command_line_tool() {
    let checks = [
        "create_and_get",
        "create_modes",
        "list",
        "set_and_delete",
        "stat",
        "acl",
        "quota",
        "watch",
        "numbers_and_identities",
        "config_reconfig_sync",
    ];
    let jvm = Jvm {
        name: "zkcli",
        pom: "java",
        property: "zookeeper.version",
        version: "3.9.5",
        folders: &["java/shared", "java/zkcli"],
        main: "MainZkCli",
    };
    run("zkcli", jvm.build(), &checks);
}

#[test]
fn kazoo() {
    #[rustfmt::skip]
    let checks = [
        "basic", "pipelined", "server_version_and_commands", "ephemerals_and_sequences", "watches",
        "transactions", "acls", "chroot", "session_reattach", "lock", "read_write_lock", "semaphore",
        "election", "counter", "party", "barriers", "queues", "watchers", "tree_cache",
        "partitioner", "lease", "restart",
    ];
    run("kazoo", clients::python(), &checks);
}

#[test]
fn go_client() {
    #[rustfmt::skip]
    let checks = [
        "basic", "large_data", "concurrent_writers", "container_and_ttl", "multi", "acls",
        "watches", "ephemerals", "locks", "four_letter_words", "reconfig_is_refused", "reconnect",
        "restart",
    ];
    run("go", clients::go(), &checks);
}

#[test]
fn node_client() {
    #[rustfmt::skip]
    let checks = [
        "basic", "modes", "pipelined", "transaction", "acls", "auth_failed", "watches", "chroot",
        "restart",
    ];
    run("node", clients::node(), &checks);
}

/// The recipes that Curator 4 and 5 share; `restart` comes last.
const RECIPES: &[&str] = &[
    "framework",
    "transaction",
    "background_and_namespace",
    "container_and_ttl",
    "authorization",
    "ensemble_tracker",
    "mutex_reentrant",
    "mutex_under_contention",
    "mutex_of_a_lost_session",
    "read_write_lock",
    "semaphore",
    "leader_latch",
    "leader_selector",
    "simple_queue",
    "distributed_queue",
    "barriers",
    "shared_count",
    "atomic_long",
    "persistent_node_and_group",
    "path_children_cache",
    "node_and_tree_cache",
    "restart",
];

fn curator(
    version: &'static str,
    folders: &'static [&'static str],
    main: &'static str,
    checks: &[&str],
) {
    let (name, pom, property) = ("curator", "curator", "curator.version");
    let jvm = Jvm { name, pom, property, version, folders, main };
    run(&format!("curator-{version}"), jvm.build(), checks);
}

#[test]
fn curator_4() {
    let folders = &["java/shared", "curator/common", "curator/v43"];
    curator("4.3.0", folders, "Main43", RECIPES);
}

/// Its caches stand on persistent watches.
#[test]
fn curator_5() {
    let folders = &["java/shared", "curator/common", "curator/v59"];
    let first = &["curator_cache", "persistent_watcher", "persistent_ttl_node"];
    let checks = [first, RECIPES, &["curator_cache_over_restart"]].concat();
    curator("5.9.0", folders, "Main59", &checks);
}

#[test]
fn c_client() {
    #[rustfmt::skip]
    let checks = [
        "basic", "modes", "multi", "pipelined_and_sync", "auth_and_acls", "watches",
        "remove_watches", "session_reattach", "config_and_reconfig", "restart",
    ];
    run("c", clients::c(), &checks);
}

#[test]
fn rust_client() {
    #[rustfmt::skip]
    let checks = [
        "basic", "modes", "pipelined", "multi", "auth", "watches", "persistent_watches", "lock",
        "reattach", "config_and_reconfig", "restart",
    ];
    run("rust", clients::rust(), &checks);
}
