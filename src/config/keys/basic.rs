//! What nearly every file sets.

use super::super::key::Need::{Must, Should};
use super::super::key::{Row, Set, fixed};
use super::super::rules;

#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    fixed("dataDir", Must, "", Set::Rule("path", |c, _, v| { c.storage.data_dir = rules::path(v)?; Ok(()) }),
        "Directory of snapshots, myid and, without dataLogDir, the log. Must be set. A server \
         locks it; a second one on the same directory does not start.").sample("/var/lib/ringkeeper"),
    fixed("dataLogDir", Must, "", Set::Path(|c| &mut c.storage.data_log_dir),
        "Directory of the transaction log; the same as dataDir unless set. A disk of its own \
         keeps snapshots out of the way of writes."),
    fixed("clientPort", Must, "", Set::Port(|c| &mut c.client.port),
        "Port for plain connections. 0 takes a free port and logs it. Must be set, unless this \
         server's server.N names a port.").sample("2181"),
    fixed("clientPortAddress", Must, "", Set::Rule("address", rules::client_address),
        "Address that clientPort is bound to; every address of the machine unless set. An error \
         without clientPort."),
    fixed("tickTime", Must, "3000", Set::Num(1, |c| &mut c.session.tick_time_ms),
        "Base unit of time, in ms, 1 or more. Sessions expire on its grid, and the two session \
         bounds follow from it. Too small: needless expiries on a busy machine.").sample("2000"),
    fixed("minSessionTimeout", Must, "-1", Set::MaybeNum(|c| &mut c.session.min_timeout_ms),
        "Shortest session timeout granted, in ms; -1 is 2 ticks. Above maxSessionTimeout: exit 2."),
    fixed("maxSessionTimeout", Must, "-1", Set::MaybeNum(|c| &mut c.session.max_timeout_ms),
        "Longest session timeout granted, in ms; -1 is 20 ticks."),
    fixed("maxClientCnxns", Must, "60", Set::Limit(|c| &mut c.client.max_client_cnxns),
        "Connections from one address; 0 is no limit. The next one is closed at once."),
    fixed("clientPortListenBacklog", Should, "-1", Set::Signed(|c| &mut c.client.listen_backlog),
        "listen(2) backlog, in connections; -1 lets the server choose. Too small: the kernel \
         refuses clients in a reconnect storm."),
    fixed("autopurge.purgeInterval", Must, "1", Set::Rule("hours, or a number with ms, s, m, h or d", rules::purge_interval),
        "Time between two purges of old snapshots and logs, in hours or with a suffix ms, s, m, h or \
         d; the first is at the start. 0 is off: the disk fills. Java's default is 0, ours is 1."),
    fixed("autopurge.snapRetainCount", Must, "3", Set::Rule("number", rules::snap_retain_count),
        "Snapshots kept, with the log that leads on from the oldest. Less than 3 means 3."),
];
