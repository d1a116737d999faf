//! What the kernel knows of the server under load: its CPU time and its memory.

use std::{fmt, fs, io};

use serde::{Deserialize, Serialize};

use super::CpuTime;

/// The processes, or some threads of one, that make up the server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerProcess {
    pids: Vec<u32>,
    /// What the names of its threads begin with.
    threads: String,
}

/// Resident memory of the server in KiB at three moments. Kernel memory of sockets is not part
/// of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rss {
    /// Before the first allocation.
    pub before: u64,
    /// With all allocations, before the warm-up.
    pub set_up: u64,
    /// Behind the measurement.
    pub after: u64,
}

impl ServerProcess {
    /// A server of which nothing is known, such as one on another host.
    #[must_use]
    pub fn unknown() -> Self {
        Self::default()
    }

    /// These processes with all their threads.
    #[must_use]
    pub const fn of(pids: Vec<u32>) -> Self {
        Self { pids, threads: String::new() }
    }

    /// The threads of this process whose names begin like this: a server in the generator's own
    /// process. Its memory is that of the whole process.
    #[must_use]
    pub fn threads_here(prefix: impl Into<String>) -> Self {
        Self { pids: vec![std::process::id()], threads: prefix.into() }
    }

    /// Whether there is anything to know.
    #[must_use]
    pub const fn is_known(&self) -> bool {
        !self.pids.is_empty()
    }

    /// CPU time so far; zero for an unknown server.
    pub(crate) fn cpu_time(&self) -> io::Result<CpuTime> {
        self.pids.iter().try_fold(CpuTime::default(), |sum, pid| {
            let time = CpuTime::of_threads(*pid, |name| name.starts_with(&self.threads));
            Ok(sum + time.map_err(|error| unknown(*pid, error))?)
        })
    }

    /// Resident memory in KiB; zero for an unknown server.
    pub(crate) fn rss_kib(&self) -> io::Result<u64> {
        self.pids.iter().try_fold(0, |sum, pid| {
            let status = fs::read_to_string(format!("/proc/{pid}/status"));
            let status = status.map_err(|error| unknown(*pid, error))?;
            let rss = vm_rss(&status).ok_or_else(|| unknown(*pid, "it has ended"))?;
            Ok(sum + rss)
        })
    }
}

/// Nothing is known of a process that somebody has named.
fn unknown(pid: u32, why: impl fmt::Display) -> io::Error {
    io::Error::other(format!("process {pid} of the server: {why}"))
}

fn vm_rss(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_read_off_the_status() {
        let status = "Name:\tx\nVmHWM:\t  9 kB\nVmRSS:\t    1234 kB\nRssAnon:\t 7 kB\n";
        assert_eq!(vm_rss(status), Some(1_234));
        assert_eq!(vm_rss("Name:\tx\n"), None);
    }

    #[test]
    fn this_process_has_memory_and_an_unknown_one_costs_nothing() {
        let here = ServerProcess::of(vec![std::process::id()]);
        assert!(here.is_known() && here.rss_kib().unwrap() > 100);
        let unknown = ServerProcess::unknown();
        assert!(!unknown.is_known());
        assert_eq!((unknown.rss_kib().unwrap(), unknown.cpu_time().unwrap().ran), (0, 0));
    }

    #[test]
    fn a_process_that_is_not_there_is_named() {
        // Linux has no such id.
        let nobody = ServerProcess::of(vec![u32::MAX]);
        for error in [nobody.rss_kib().unwrap_err(), nobody.cpu_time().unwrap_err()] {
            assert!(error.to_string().contains("process 4294967295 of the server"), "{error}");
        }
    }
}
