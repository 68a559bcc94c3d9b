//! A file system whose power can be cut: ext4 on a loop device, and ext4's own "shutdown" call.
//!
//! The call forgets all that is in the page cache and in the journal's memory, and from then on
//! every write fails. After unmounting and mounting again there is what a disk has after its power
//! failed: what was synced, and of the rest as much as happened to get there. Needs root and loop
//! devices. Dropping it unmounts, detaches and removes everything, in a panic too.

#![allow(unsafe_code)]

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// `EXT4_IOC_SHUTDOWN`, `_IOR('X', 125, __u32)` (Linux, fs/ext4/ext4.h).
const SHUTDOWN: libc::c_ulong = 0x8004_587D;

/// `EXT4_GOING_FLAGS_NOLOGFLUSH`: the journal is not written out first.
const NO_LOG_FLUSH: u32 = 2;

/// How long the kernel may take to let go of what a killed process had under way.
const UNMOUNT_MAX: Duration = Duration::from_secs(60);

static FOLDERS: AtomicU32 = AtomicU32::new(0);

/// The file system; see the module.
#[derive(Debug)]
pub struct CutDisk {
    dir: PathBuf,
    device: Option<String>,
    mounted: bool,
}

impl CutDisk {
    /// Makes one of `bytes` bytes (a sparse file) and mounts it.
    ///
    /// # Errors
    /// What of it this machine does not do: a sentence.
    pub fn new(bytes: u64) -> Result<Self, String> {
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let name = format!("ringkeeper-powercut-{}-{number}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        let mut disk = Self { dir, device: None, mounted: false };
        fs::create_dir_all(disk.mount_point()).map_err(|why| format!("{why}"))?;
        let image = disk.dir.join("image");
        let file = File::create(&image).map_err(|why| format!("{why}"))?;
        file.set_len(bytes).map_err(|why| format!("{why}"))?;
        // Small, for it is made often.
        run(Command::new("mkfs.ext4").args(["-q", "-F", "-b", "4096", "-N", "4096"]).arg(&image))?;
        let device = run(Command::new("losetup").args(["--find", "--show"]).arg(&image))?;
        disk.device = Some(device.trim().to_owned());
        disk.mount()?;
        Ok(disk)
    }

    /// Where it is mounted.
    pub fn mount_point(&self) -> PathBuf {
        self.dir.join("mount")
    }

    /// From now on nothing reaches the disk.
    pub fn cut(&self) {
        let root = File::open(self.mount_point()).expect("the mount point is readable");
        let how = NO_LOG_FLUSH;
        // SAFETY: the call reads one u32, which lives until it returns.
        let result = unsafe { libc::ioctl(root.as_raw_fd(), SHUTDOWN, &raw const how) };
        assert!(result == 0, "cutting the power: {}", std::io::Error::last_os_error());
    }

    /// Power again: what reached the disk is mounted, its journal replayed. Nobody may have a file
    /// open on it.
    pub fn restore(&mut self) -> Result<(), String> {
        self.unmount()?;
        self.mount()
    }

    fn mount(&mut self) -> Result<(), String> {
        let device = self.device.as_deref().expect("it was attached");
        run(Command::new("mount").args(["-t", "ext4", device]).arg(self.mount_point()))?;
        self.mounted = true;
        Ok(())
    }

    fn unmount(&mut self) -> Result<(), String> {
        let deadline = Instant::now() + UNMOUNT_MAX;
        while self.mounted {
            match run(Command::new("umount").arg(self.mount_point())) {
                Ok(_) => self.mounted = false,
                // The ring of a killed process is taken down behind its back.
                Err(why) if Instant::now() > deadline => return Err(why),
                Err(_) => std::thread::sleep(Duration::from_millis(5)),
            }
        }
        Ok(())
    }
}

impl Drop for CutDisk {
    fn drop(&mut self) {
        let unmounted = self.unmount();
        let detached = match &self.device {
            Some(device) => run(Command::new("losetup").args(["--detach", device])).map(|_| ()),
            None => Ok(()),
        };
        // Never through a mount: that would be somebody's data.
        let removed = match unmounted {
            Ok(()) => fs::remove_dir_all(&self.dir).map_err(|why| format!("{why}")),
            Err(why) => Err(why),
        };
        for why in [detached, removed].into_iter().filter_map(Result::err) {
            eprintln!("{} is left behind: {why}", self.dir.display());
        }
    }
}

/// Runs a program and returns what it says.
fn run(command: &mut Command) -> Result<String, String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|why| format!("{program}: {why}"))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(format!("{program}: {}", String::from_utf8_lossy(&output.stderr).trim())),
    }
}
