//! Who hears of what a shard does.

use std::fmt;
use std::io;

use turn_engine::{Report, ShardId};

/// Hears of allocations, refusals and limits. Called on a shard's thread: it
/// must not block.
pub trait Observer: Send + Sync + fmt::Debug {
    /// Something happened on `shard`.
    fn report(&self, shard: ShardId, report: Report);

    /// `shard` could not accept a connection for want of descriptors or memory,
    /// for the first time since the start. It pauses, and goes on by itself.
    fn out_of_descriptors(&self, shard: ShardId, error: &io::Error) {
        let _ = (shard, error);
    }
}
