//! CPU time of threads, user and system, as the scheduler counts it.
//!
//! `/proc/PID/task/TID/schedstat` holds three numbers: nanoseconds on a core, nanoseconds of
//! waiting for one, and time slices. The first is brought up to date at each tick of a running
//! thread and each time that it stops, so a second of it is right to half a percent; utime and stime
//! of `/proc/PID/stat` count whole ticks of 4 ms, which a server that naps between them escapes.

use std::{
    fs, io,
    ops::{Add, Sub},
    path::Path,
};

use serde::{Deserialize, Serialize};

/// Time of some threads together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CpuTime {
    /// Nanoseconds on a core.
    pub ran: u64,
    /// Nanoseconds in which a thread could have run and was not let: the mark of a machine that
    /// does something else as well.
    pub waited: u64,
}

impl CpuTime {
    /// All threads of a process.
    ///
    /// # Errors
    /// The process is gone, or the kernel keeps no such books.
    pub fn of_process(pid: u32) -> io::Result<Self> {
        Self::of_threads(pid, |_| true)
    }

    /// The threads of a process whose name is liked.
    ///
    /// # Errors
    /// As [`of_process`](Self::of_process).
    pub fn of_threads(pid: u32, is_liked: impl Fn(&str) -> bool) -> io::Result<Self> {
        let mut sum = Self::default();
        for id in thread_ids(pid, is_liked)? {
            let task = Path::new("/proc").join(format!("{pid}/task/{id}"));
            // A thread that has ended meanwhile takes its books with it.
            if let Some(schedstat) = unless_gone(fs::read_to_string(task.join("schedstat")))? {
                sum = sum + Self::read(&schedstat)?;
            }
        }
        Ok(sum)
    }

    fn read(schedstat: &str) -> io::Result<Self> {
        let mut numbers = schedstat.split_whitespace().map_while(|number| number.parse().ok());
        match (numbers.next(), numbers.next()) {
            (Some(ran), Some(waited)) => Ok(Self { ran, waited }),
            (_, _) => Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

impl Add for CpuTime {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { ran: self.ran + other.ran, waited: self.waited + other.waited }
    }
}

impl Sub for CpuTime {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            ran: self.ran.saturating_sub(earlier.ran),
            waited: self.waited.saturating_sub(earlier.waited),
        }
    }
}

/// The ids of the threads of a process whose name is liked.
///
/// # Errors
/// The process is gone.
pub fn thread_ids(pid: u32, is_liked: impl Fn(&str) -> bool) -> io::Result<Vec<u32>> {
    let mut ids = Vec::new();
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let task = task?;
        let id = task.file_name().to_str().and_then(|name| name.parse::<u32>().ok());
        if let Some(name) = unless_gone(fs::read_to_string(task.path().join("comm")))? {
            ids.extend(id.filter(|_| is_liked(name.trim_end())));
        }
    }
    Ok(ids)
}

/// `None` for a thread that has ended between two looks.
fn unless_gone(text: io::Result<String>) -> io::Result<Option<String>> {
    match text {
        Ok(text) => Ok(Some(text)),
        // ESRCH: it ended after the file was opened.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.raw_os_error() == Some(ESRCH) => Ok(None),
        Err(error) => Err(error),
    }
}

const ESRCH: i32 = 3;

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn schedstat_begins_with_running_and_waiting() {
        assert_eq!(CpuTime::read("12 34 5\n").unwrap(), CpuTime { ran: 12, waited: 34 });
        assert!(CpuTime::read("12\n").is_err());
    }

    #[test]
    fn busy_thread_is_charged_and_others_are_not() {
        let busy = std::thread::Builder::new().name("busy-one".into()).spawn(|| {
            let start = Instant::now();
            while start.elapsed() < Duration::from_millis(50) {}
            let spent = CpuTime::of_threads(std::process::id(), |name| name == "busy-one");
            let other = CpuTime::of_threads(std::process::id(), |name| name == "nobody");
            (spent.unwrap(), other.unwrap())
        });
        let (spent, other) = busy.unwrap().join().unwrap();
        assert!(spent.ran + spent.waited > 20_000_000, "{spent:?}");
        assert_eq!(other, CpuTime::default());
    }
}
