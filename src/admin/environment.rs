//! What `envi` and a few gauges show of the machine, read from `/proc`; Java's keys, `<NA>` where a
//! key is about a Java virtual machine.

use std::fs;

use super::version;

const NOT_AVAILABLE: &str = "<NA>";

/// Java's list, in its order, and one line of our own at the end.
pub fn gather() -> Vec<(&'static str, String)> {
    let not_available = || NOT_AVAILABLE.to_owned();
    let kernel = |name: &str| first_line(&format!("/proc/sys/kernel/{name}"));
    let (user, home) = user();
    let dir = fs::read_link("/proc/self/cwd").map(|path| path.display().to_string());
    vec![
        ("zookeeper.version", version::FULL.to_owned()),
        ("host.name", kernel("hostname").unwrap_or_else(not_available)),
        ("java.version", not_available()),
        ("java.vendor", not_available()),
        ("java.home", not_available()),
        ("java.class.path", not_available()),
        ("java.library.path", not_available()),
        ("java.io.tmpdir", "/tmp".to_owned()),
        ("java.compiler", not_available()),
        ("os.name", kernel("ostype").unwrap_or_else(not_available)),
        ("os.arch", architecture().to_owned()),
        ("os.version", kernel("osrelease").unwrap_or_else(not_available)),
        ("user.name", user.unwrap_or_else(not_available)),
        ("user.home", home.unwrap_or_else(not_available)),
        ("user.dir", dir.unwrap_or_else(|_| not_available())),
        ("os.memory.free", megabytes("/proc/meminfo", "MemAvailable:")),
        ("os.memory.max", megabytes("/proc/meminfo", "MemTotal:")),
        ("os.memory.total", megabytes("/proc/self/status", "VmRSS:")),
        ("ringkeeper.version", env!("CARGO_PKG_VERSION").to_owned()),
    ]
}

/// Open files of this process and how many it may have; -1 where the system does not say.
pub fn open_files() -> (i64, i64) {
    let open = fs::read_dir("/proc/self/fd").map(Iterator::count).ok();
    let open = open.and_then(|open| i64::try_from(open).ok()).unwrap_or(-1);
    let most = field("/proc/self/limits", "Max open files");
    let most = most.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(-1);
    (open, most)
}

/// Java's name of the processor.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        other => other,
    }
}

fn user() -> (Option<String>, Option<String>) {
    let ids = field("/proc/self/status", "Uid:").unwrap_or_default();
    let Some(id) = ids.split_whitespace().next() else { return (None, None) };
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let entry = users.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let entry = entry.into_iter().find(|entry| entry.get(2) == Some(&id));
    let part = |at: usize| entry.as_ref().and_then(|entry| entry.get(at)).map(|&text| text.into());
    (part(0), part(5))
}

fn first_line(path: &str) -> Option<String> {
    fs::read_to_string(path).ok()?.lines().next().map(str::to_owned)
}

/// What follows `name` on its line.
fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    text.lines().find_map(|line| line.strip_prefix(name)).map(|rest| rest.trim().to_owned())
}

fn megabytes(path: &str, name: &str) -> String {
    let kilobytes = field(path, name);
    let kilobytes = kilobytes.and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
    kilobytes.map_or_else(|| NOT_AVAILABLE.to_owned(), |kb| format!("{}MB", kb / 1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_are_javas_and_one_is_ours() {
        let keys: Vec<_> = gather().iter().map(|(key, _)| *key).collect();
        assert_eq!(keys.len(), 19);
        assert_eq!((keys[0], keys[18]), ("zookeeper.version", "ringkeeper.version"));
        for (key, value) in gather() {
            assert!(!value.is_empty() && !value.contains('\n'), "{key}={value}");
        }
        let (open, most) = open_files();
        assert!(open > 2 && most >= open, "{open} of {most}");
    }
}
