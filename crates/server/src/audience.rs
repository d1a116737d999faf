//! Everybody who hears what the shards report: the log first of all, usage, coturn's statistics.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use turn_engine::{Report, ShardId, Transport};
use turn_net::Observer;

use crate::logging::LogObserver;
use crate::usage::UsageFeed;

/// The observers of one server. None of them blocks a shard.
#[derive(Debug)]
pub struct Audience {
    /// The log, and the tallies that metrics show.
    pub log: Arc<LogObserver>,
    /// Usage by day, and coturn's Redis statistics.
    pub usage: Arc<UsageFeed>,
}

impl Observer for Audience {
    fn report(&self, shard: ShardId, report: Report) {
        self.usage.hear(&report);
        self.log.report(shard, report);
    }

    fn out_of_descriptors(&self, shard: ShardId, error: &io::Error) {
        self.log.out_of_descriptors(shard, error);
    }

    fn handshake(&self, shard: ShardId, transport: Transport, took: Duration) {
        self.log.handshake(shard, transport, took);
    }
}
