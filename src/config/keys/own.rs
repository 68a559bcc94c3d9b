//! Keys that only RingKeeper has.

use super::super::key::{Row, Set, own};
use super::super::rules;

#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    own("engine", "auto", Set::Rule("auto, uring or epoll", rules::engine),
        "The kernel's interface for sockets and log: uring (io_uring, Linux 6.1 or later), epoll, or \
         auto, which takes io_uring where it is allowed. The start line says which, and why. uring \
         where it is not allowed: no start."),
    own("cores", "auto", Set::Rule("auto, none or a list such as 0,2-5", rules::cores),
        "CPUs of the loops. auto: with four CPUs or more one is the replica's alone and each other one \
         serves clients, pinned; with fewer, one loop does both. none: one loop, pinned nowhere. A list \
         (0,2-5): the first for the replica, the others for clients. Two servers on one machine must \
         not share a CPU: give each its list."),
    own("strict", "false", Set::Bool(|c| &mut c.strict),
        "Whether an unknown key or flag and a malformed property stop the start with exit 2. Off, they \
         are one WARN line each, as a drop-in must not die of a key that Java ignored."),
    own("purge.maxAgeHours", "0", Set::Limit64(|c| &mut c.purge.max_age_hours),
        "Hours after which a snapshot goes, with its log, although autopurge.snapRetainCount would keep \
         it; 0 is off. The newest two always stay."),
    own("purge.maxBytes", "0", Set::Limit64(|c| &mut c.purge.max_bytes),
        "Bytes of snapshots and log above which the oldest go although autopurge.snapRetainCount would \
         keep them; 0 is off. The newest two and the log behind them always stay."),
    own("log.format", "text", Set::Rule("text or json", rules::log_format),
        "Shape of a log line: text as Java's, or json, one object a line."),
    own("log.level", "INFO", Set::Rule("OFF, ERROR, WARN, INFO, DEBUG or TRACE", rules::log_level),
        "Level of every module without a level of its own."),
    own("log.level.*", "", Set::Rule("OFF, ERROR, WARN, INFO, DEBUG or TRACE", rules::log_module_level),
        "Level of one module and what is below it, by its path: log.level.net=DEBUG, \
         log.level.storage::recover=TRACE. The longest path that fits decides."),
    own("log.linesPerSecond", "100", Set::Limit(|c| &mut c.log.lines_per_second_max),
        "Lines a second that one place in the code may write; what is more is counted, and the count is \
         logged. 0 is no limit: a flood of bad frames then fills the disk."),
    own("log.config", "log.cfg", Set::Rule("path", |_, _, _| Ok(())),
        "File of log.* keys, read before this one, whose keys win; a relative path is beside this file. \
         The default may be absent, a file that is named must exist."),
];
