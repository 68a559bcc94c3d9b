//! What the kernel tells of processes: processor time, memory, who listens on a port.
//!
//! All of it works for processes of this machine only. A server elsewhere is measured by its
//! answers alone.

use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

/// What some processes have used up to one moment, all together.
#[derive(Clone, Debug)]
pub struct Usage {
    pub at: Instant,
    /// Processor time since each process began.
    pub cpu: Duration,
    /// Of it, in the kernel. Grain: 10 ms.
    pub system: Duration,
    /// Resident memory.
    pub resident_bytes: u64,
    /// Processor time of each thread, to find the busiest.
    threads: Vec<(i32, Duration)>,
}

/// Sums up the processes that still exist. `None` when none does.
pub fn usage(pids: &[i32]) -> Option<Usage> {
    let mut sum = Usage {
        at: Instant::now(),
        cpu: Duration::ZERO,
        system: Duration::ZERO,
        resident_bytes: 0,
        threads: Vec::new(),
    };
    let mut found = false;
    for &pid in pids {
        let Some(cpu) = process_cpu(pid) else { continue };
        found = true;
        sum.cpu += cpu;
        sum.system += system_cpu(pid).unwrap_or_default();
        sum.resident_bytes += resident_bytes(pid).unwrap_or_default();
        sum.threads.extend(thread_cpus(pid));
    }
    found.then_some(sum)
}

impl Usage {
    /// Cores that the busiest thread kept busy between `before` and now, 0 to 1.
    pub fn busiest_thread(&self, before: &Self) -> f64 {
        let wall = self.at.duration_since(before.at).as_secs_f64();
        let used = self.threads.iter().map(|&(id, cpu)| {
            let earlier = before.threads.iter().find(|(other, _)| *other == id);
            cpu.saturating_sub(earlier.map_or(Duration::ZERO, |&(_, cpu)| cpu))
        });
        let most = used.max().unwrap_or_default();
        if wall > 0.0 { most.as_secs_f64() / wall } else { 0.0 }
    }

    /// Cores in use between `before` and now.
    pub fn cores(&self, before: &Self) -> f64 {
        let wall = self.at.duration_since(before.at).as_secs_f64();
        let used = self.cpu.saturating_sub(before.cpu).as_secs_f64();
        if wall > 0.0 { used / wall } else { 0.0 }
    }
}

/// Processor time of the calling thread, and for how long it waited for a core.
pub fn own_thread() -> (Duration, Duration) {
    let cpu = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map(Duration::from);
    let starved = fs::read_to_string("/proc/thread-self/schedstat").ok().and_then(|text| {
        let nanos = text.split_ascii_whitespace().nth(1)?.parse().ok()?;
        Some(Duration::from_nanos(nanos))
    });
    (cpu.unwrap_or_default(), starved.unwrap_or_default())
}

/// Exact to the nanosecond, threads that have ended included.
fn process_cpu(pid: i32) -> Option<Duration> {
    let clock = clock_getcpuclockid(Pid::from_raw(pid)).ok()?;
    clock_gettime(clock).ok().map(Duration::from)
}

fn system_cpu(pid: i32) -> Option<Duration> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in brackets may hold anything, so count from its end.
    let fields = text.rsplit_once(')')?.1;
    let ticks: u64 = fields.split_ascii_whitespace().nth(12)?.parse().ok()?;
    Some(Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND))
}

/// USER_HZ: 100 on every architecture that Linux runs servers on.
const TICKS_PER_SECOND: u64 = 100;

fn resident_bytes(pid: i32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// Threads looked at, at most: a server with more has no single busy one that matters.
const THREADS_MAX: usize = 512;

fn thread_cpus(pid: i32) -> Vec<(i32, Duration)> {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let cpu_of = |entry: fs::DirEntry| {
        let id = entry.file_name().to_str()?.parse().ok()?;
        let text = fs::read_to_string(entry.path().join("schedstat")).ok()?;
        let nanos = text.split_ascii_whitespace().next()?.parse().ok()?;
        Some((id, Duration::from_nanos(nanos)))
    };
    tasks.flatten().take(THREADS_MAX).filter_map(cpu_of).collect()
}

/// The process of this machine that listens on the address, if it can be seen.
pub fn listener_of(addr: SocketAddr) -> Option<i32> {
    let is_local = addr.ip().is_loopback() || std::net::UdpSocket::bind((addr.ip(), 0)).is_ok();
    if !is_local {
        return None;
    }
    let inode = ["/proc/net/tcp", "/proc/net/tcp6"].iter().find_map(|table| {
        let text = fs::read_to_string(table).ok()?;
        text.lines().skip(1).find_map(|line| listening_inode(line, addr.port()).map(str::to_owned))
    })?;
    let wanted = format!("socket:[{inode}]");
    fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
        let mut files = fs::read_dir(entry.path().join("fd")).ok()?.flatten();
        files
            .any(|file| fs::read_link(file.path()).is_ok_and(|to| to.as_os_str() == &*wanted))
            .then_some(pid)
    })
}

/// `sl local_address rem_address st … inode`: the inode, if the line is a listener on the port.
fn listening_inode(line: &str, port: u16) -> Option<&str> {
    let mut fields = line.split_ascii_whitespace();
    let local = fields.nth(1)?;
    let state = fields.nth(1)?;
    let local_port = u16::from_str_radix(local.rsplit_once(':')?.1, 16).ok()?;
    let inode = fields.nth(5)?;
    (state == "0A" && local_port == port).then_some(inode)
}

/// Jiffies of the whole machine: how much of its time it was idle, and how much a host took.
#[derive(Clone, Copy, Debug, Default)]
pub struct MachineTime {
    total: u64,
    idle: u64,
    steal: u64,
}

pub fn machine_time() -> MachineTime {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let numbers: Vec<u64> = text
        .lines()
        .next()
        .unwrap_or_default()
        .split_ascii_whitespace()
        .skip(1)
        .take(8)
        .filter_map(|field| field.parse().ok())
        .collect();
    let field = |index: usize| numbers.get(index).copied().unwrap_or_default();
    MachineTime { total: numbers.iter().sum(), idle: field(3) + field(4), steal: field(7) }
}

impl MachineTime {
    /// Shares of the time since `before` in which cores were idle, and in which the host of a
    /// virtual machine gave them to somebody else.
    pub fn idle_and_steal(self, before: Self) -> (f64, f64) {
        let total = self.total.saturating_sub(before.total).max(1) as f64;
        let share = |now: u64, then: u64| now.saturating_sub(then) as f64 / total;
        (share(self.idle, before.idle), share(self.steal, before.steal))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_measured() {
        let own = i32::try_from(std::process::id()).unwrap();
        let before = usage(&[own]).unwrap();
        // However busy the machine is, this thread gets its 50 ms at some time.
        let wanted = before.cpu + Duration::from_millis(50);
        let mut after = usage(&[own]).unwrap();
        while after.cpu < wanted {
            after = usage(&[own]).unwrap();
        }
        assert!(after.busiest_thread(&before) > 0.0);
        assert!(after.cores(&before) > 0.0);
        assert!(after.resident_bytes > 100_000);
        assert!(usage(&[]).is_none());
    }

    #[test]
    fn the_listener_of_a_port_is_found() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let own = i32::try_from(std::process::id()).unwrap();
        assert_eq!(listener_of(listener.local_addr().unwrap()), Some(own));
        let elsewhere: SocketAddr = "192.0.2.1:2181".parse().unwrap();
        assert_eq!(listener_of(elsewhere), None);
    }
}
