//! Where a run took place, so that a figure can be judged years later.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use nix::sys::utsname;
use serde::Serialize;

/// The machine of the client, and of a server that loadgen started.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    pub kernel: String,
    pub architecture: String,
    pub cpu: String,
    pub cores: usize,
    pub memory_bytes: u64,
    /// Whether a hypervisor shows itself.
    pub is_virtual: bool,
}

pub fn machine() -> Machine {
    let name = utsname::uname().ok();
    let of = |part: fn(&utsname::UtsName) -> &std::ffi::OsStr| {
        name.as_ref().map_or("unknown".to_owned(), |name| part(name).to_string_lossy().into_owned())
    };
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = after(&meminfo, "MemTotal:").and_then(|text| text.split(' ').next()?.parse().ok());
    Machine {
        kernel: format!("{} {}", of(|name| name.sysname()), of(|name| name.release())),
        architecture: of(|name| name.machine()),
        cpu: after(&cpuinfo, "model name").unwrap_or("unknown").to_owned(),
        cores: thread::available_parallelism().map_or(1, usize::from),
        memory_bytes: kib.unwrap_or(0_u64) * 1024,
        is_virtual: cpuinfo.contains(" hypervisor"),
    }
}

/// The type of the file system that holds the path, as `/proc/self/mountinfo` has it.
pub fn file_system_of(path: &Path) -> String {
    let Ok(path) = path.canonicalize() else { return "unknown".to_owned() };
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let covering = mounts.lines().filter_map(|line| {
        let (mount, file_system) = line.split_once(" - ")?;
        let point = mount.split(' ').nth(4)?;
        let kind = file_system.split(' ').next()?;
        path.starts_with(point).then_some((point.len(), kind))
    });
    // Of mounts on the same point the last one covers the others.
    let innermost = covering.max_by_key(|&(length, _)| length);
    innermost.map_or("unknown", |(_, kind)| kind).to_owned()
}

/// The commit of the checkout that this program was built in, with `-dirty` if it has changes.
pub fn commit() -> String {
    let output = Command::new("git")
        .args(["-C", env!("CARGO_MANIFEST_DIR"), "describe", "--always", "--dirty"])
        .args(["--abbrev=12", "--exclude=*"])
        .stdin(Stdio::null())
        .output();
    let text = output.ok().filter(|output| output.status.success());
    let text = text.and_then(|output| String::from_utf8(output.stdout).ok());
    text.map_or("unknown".to_owned(), |text| text.trim().to_owned())
}

/// What follows a label and its colon, on the first line that begins with it.
fn after<'a>(text: &'a str, label: &str) -> Option<&'a str> {
    let line = text.lines().find(|line| line.starts_with(label))?;
    line.split_once(':').map(|(_, value)| value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_described() {
        let machine = machine();
        assert!(machine.kernel.starts_with("Linux "), "{machine:?}");
        assert!(machine.cores >= 1);
        assert!(machine.memory_bytes > 1 << 20);
        assert_eq!(file_system_of(Path::new("/proc/self")), "proc");
        assert_ne!(file_system_of(Path::new(".")), "unknown");
    }
}
