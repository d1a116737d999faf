//! Threads, draining and the lab switch.

use turn_config::Shards;

use super::draft::Draft;

pub(super) fn import(draft: &mut Draft<'_>) {
    let threads = draft.number("relay-threads").or(draft.number("cpus"));
    if let Some((_, threads)) = threads {
        // Without threads for relaying, coturn has one for everything.
        let shards = u16::try_from(threads.clamp(1, 128)).unwrap_or(1);
        draft.config.shards = Shards::Count(shards);
    }
    if let Some((_, least)) = draft.number("drain-min-allocations") {
        draft.config.drain.min_allocations = u32::try_from(least).unwrap_or(u32::MAX);
    }
    draft.config.lab.loopback_peers = draft.is_on("allow-loopback-peers");
}

#[cfg(test)]
mod tests {
    use super::super::bench::{config, warnings};
    use super::*;

    #[test]
    fn threads_become_shards() {
        let shards = |text: &str| config(text).shards;
        assert_eq!(shards(""), Shards::Auto);
        assert_eq!(shards("relay-threads=4\ncpus=8"), Shards::Count(4));
        assert_eq!(shards("cpus=8"), Shards::Count(8));
        assert_eq!(
            (shards("relay-threads=0"), shards("relay-threads=999")),
            (Shards::Count(1), Shards::Count(128))
        );
    }

    #[test]
    fn draining_and_the_lab_switch_are_taken_over() {
        assert_eq!(config("drain-min-allocations=5").drain.min_allocations, 5);
        assert!(config("allow-loopback-peers").lab.loopback_peers);
        assert!(!config("allow-loopback-peers=0").lab.loopback_peers);
    }

    #[test]
    fn what_the_supervisor_does_is_ignored_with_the_reason() {
        let warned = warnings(
            "daemon\npidfile=/run/t.pid\nproc-user=turn\nproc-group=turn\ncli-password=hunter2",
        );
        assert_eq!(warned.lines().count(), 5);
        assert!(warned.contains("t.conf:3: proc-user: ignored: the systemd unit says"), "{warned}");
        assert!(!warned.contains("hunter2"));
    }
}
