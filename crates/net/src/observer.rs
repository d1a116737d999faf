//! Who hears of what a shard does.

use std::fmt;
use std::io;
use std::time::Duration;

use turn_engine::{Report, ShardId, Transport};

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

    /// A client has completed a handshake of TLS or DTLS with `shard`, so long
    /// after the first bytes of it: what that took here, and what it took the
    /// client and the way to it.
    fn handshake(&self, shard: ShardId, transport: Transport, took: Duration) {
        let _ = (shard, transport, took);
    }
}
