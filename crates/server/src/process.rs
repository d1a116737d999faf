//! The process as the kernel sees it, out of /proc.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use turn_admin::ProcessFigures;

use crate::clock::unix_seconds;

/// The process now; `started` is when its server started.
pub fn process_figures(started: SystemTime) -> ProcessFigures {
    #[expect(clippy::cast_precision_loss, reason = "exact for millions of years")]
    let started_at = unix_seconds(started) as f64;
    ProcessFigures {
        started_at,
        cpu_seconds: cpu_time().map(|time| time.as_secs_f64()),
        resident_bytes: resident(),
        open_descriptors: fs::read_dir("/proc/self/fd")
            .ok()
            // One of them lists the others.
            .map(|entries| (entries.count() as u64).saturating_sub(1)),
        max_descriptors: limit("Max open files"),
    }
}

/// Whether the server runs as root, of a host and not of a container.
pub fn is_root_of_a_host() -> bool {
    let is_root = fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
    let is_contained =
        ["/.dockerenv", "/run/.containerenv"].iter().any(|mark| Path::new(mark).exists())
            || std::env::var_os("container").is_some();
    is_root && !is_contained
}

/// CPU time of all threads that live, which are those of the start.
fn cpu_time() -> Option<Duration> {
    let threads = fs::read_dir("/proc/self/task").ok()?.flatten();
    let ran = |thread: fs::DirEntry| {
        let times = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        times.split_ascii_whitespace().next()?.parse().ok().map(Duration::from_nanos)
    };
    Some(threads.filter_map(ran).sum())
}

fn resident() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1_024)
}

fn limit(name: &str) -> Option<u64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_knows_this_process() {
        let figures = process_figures(SystemTime::now());
        assert!(figures.started_at > 1.6e9);
        assert!(figures.cpu_seconds.is_some());
        assert!(figures.resident_bytes > Some(1 << 20));
        assert!(figures.open_descriptors > Some(2));
        assert!(figures.max_descriptors >= figures.open_descriptors);
    }
}
