//! A control group that lets a process have half a core and no more.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::Context;

/// The group; dropped, it is removed, which needs its processes to have ended.
#[derive(Debug)]
pub(crate) struct HalfCore {
    path: PathBuf,
}

/// Where control groups of version 2 are, and the CPU controller of version 1.
const VERSION_2: &str = "/sys/fs/cgroup";
const VERSION_1: &str = "/sys/fs/cgroup/cpu";

/// Microseconds: short, so that what waits while the process must not run fits a socket's buffer.
const PERIOD: u32 = 10_000;
const QUOTA: u32 = PERIOD / 2;

impl HalfCore {
    /// Makes one without a process.
    ///
    /// # Errors
    /// Control groups cannot be had, mostly for want of privileges.
    pub(crate) fn new() -> anyhow::Result<Self> {
        let is_version_2 = Path::new(VERSION_2).join("cgroup.controllers").is_file();
        let parent = Path::new(if is_version_2 { VERSION_2 } else { VERSION_1 });
        let path = parent.join(format!("turn-benches-{}", std::process::id()));
        let this = Self { path };
        this.set_up(parent, is_version_2)
            .with_context(|| format!("no control group at {}", this.path.display()))?;
        Ok(this)
    }

    /// Takes a process in, with all its threads.
    ///
    /// # Errors
    /// It has ended.
    pub(crate) fn hold(&self, pid: u32) -> io::Result<()> {
        fs::write(self.path.join("cgroup.procs"), pid.to_string())
    }

    fn set_up(&self, parent: &Path, is_version_2: bool) -> io::Result<()> {
        if is_version_2 {
            fs::write(parent.join("cgroup.subtree_control"), "+cpu")?;
        }
        fs::create_dir(&self.path)?;
        if is_version_2 {
            return fs::write(self.path.join("cpu.max"), format!("{QUOTA} {PERIOD}"));
        }
        fs::write(self.path.join("cpu.cfs_period_us"), PERIOD.to_string())?;
        fs::write(self.path.join("cpu.cfs_quota_us"), QUOTA.to_string())
    }
}

impl Drop for HalfCore {
    fn drop(&mut self) {
        // It stays behind where a process in it has not ended yet.
        let _ = fs::remove_dir(&self.path);
    }
}
