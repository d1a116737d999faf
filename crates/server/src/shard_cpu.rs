//! Processor time of each shard's thread, as the kernel counts it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// Processor time by shard; empty where /proc tells nothing.
pub fn shard_cpu() -> BTreeMap<u8, Duration> {
    threads(Path::new("/proc/self/task"))
}

fn threads(tasks: &Path) -> BTreeMap<u8, Duration> {
    let Ok(entries) = fs::read_dir(tasks) else { return BTreeMap::new() };
    entries
        .flatten()
        .filter_map(|entry| {
            let name = fs::read_to_string(entry.path().join("comm")).ok()?;
            let shard = name.trim_end().strip_prefix("shard-")?.parse().ok()?;
            let times = fs::read_to_string(entry.path().join("schedstat")).ok()?;
            // Nanoseconds on a processor, nanoseconds of waiting for one, turns.
            let ran = times.split_ascii_whitespace().next()?.parse().ok()?;
            Some((shard, Duration::from_nanos(ran)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn threads_are_found_by_their_name() {
        let tasks = tempfile::tempdir().unwrap();
        for (id, name, times) in [("1", "shard-3\n", "1500000000 7 2\n"), ("2", "log\n", "9 9 9\n")]
        {
            let task = tasks.path().join(id);
            fs::create_dir(&task).unwrap();
            fs::write(task.join("comm"), name).unwrap();
            fs::write(task.join("schedstat"), times).unwrap();
        }
        let expected = BTreeMap::from([(3, Duration::from_millis(1_500))]);
        assert_eq!(threads(tasks.path()), expected);
        assert!(threads(&tasks.path().join("none")).is_empty());
    }

    #[test]
    fn a_running_thread_uses_the_processor() {
        let (done, wait) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::Builder::new().name("shard-250".to_owned());
        let thread = thread.spawn(move || {
            let mut sum = 0_u64;
            while wait.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
                sum = std::hint::black_box(sum.wrapping_add(1));
            }
        });
        let found = (0..500).find_map(|_| {
            std::thread::sleep(Duration::from_millis(10));
            shard_cpu().get(&250).copied().filter(|ran| !ran.is_zero())
        });
        drop(done);
        thread.unwrap().join().unwrap();
        assert!(found.is_some());
    }
}
