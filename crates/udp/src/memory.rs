//! Memory that was used once and is not any more.

/// Gives what the allocator has kept of freed memory back to the system.
///
/// glibc keeps it after a flood of connections, between what lives on, and
/// never looks again by itself. Takes some milliseconds for each 100 MiB and
/// stops whoever allocates meanwhile: nothing for a thread that forwards
/// packets. With another C library this does nothing.
pub fn release_freed_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it takes no pointer, and may be called from any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn freed_memory_leaves_the_process() {
        let blocks: Vec<_> = (0..20_000_u32).map(|at| vec![at; 1_000]).collect();
        // What lives on keeps the allocator from giving back what lies before it.
        let kept: Vec<_> = blocks.into_iter().step_by(100).collect();
        let before = resident();
        release_freed_memory();
        let after = resident();
        assert_eq!(kept.len(), 200);
        if cfg!(target_env = "gnu") {
            assert!(after + 8_000 < before, "{before} KiB, then {after} KiB");
        }
    }

    fn resident() -> usize {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
        line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).unwrap_or(0)
    }
}
