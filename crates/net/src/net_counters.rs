//! Counters of one shard's sockets.

use turn_engine::Count;

/// One shard's counters; one thread writes, any may read.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct NetCounters {
    /// Datagrams read from clients.
    pub from_clients: Count,
    /// Datagrams read from peers.
    pub from_peers: Count,
    /// Datagrams that the kernel took for sending.
    pub sent: Count,
    /// Of these, those that left in a run with `UDP_SEGMENT`.
    pub sent_in_runs: Count,
    /// Datagrams that the kernel did not take.
    pub send_dropped: Count,
    /// System calls for sending.
    pub send_calls: Count,
    /// Datagrams larger than a receive buffer, dropped and never cut.
    pub truncated: Count,
    /// Errors met while receiving.
    pub receive_errors: Count,
    /// Binding requests answered.
    pub binding_replies: Count,
    /// Binding requests not answered: malformed, or over `binding_replies`.
    pub binding_dropped: Count,
    /// Datagrams handed to other shards.
    pub ring_sent: Count,
    /// Datagrams for other shards that found no room.
    pub ring_dropped: Count,
    /// Datagrams taken over from other shards.
    pub ring_received: Count,
    /// Naps of the packet task.
    pub naps: Count,
    /// Listeners bound anew.
    pub listeners_rebuilt: Count,
    /// Relay sockets that are open, as the difference of two counters.
    pub relays_opened: Count,
    /// See `relays_opened`.
    pub relays_closed: Count,
}

impl NetCounters {
    /// Every counter that is not zero, by name.
    pub fn snapshot(&self) -> Vec<(&'static str, u64)> {
        [
            ("from_clients", &self.from_clients),
            ("from_peers", &self.from_peers),
            ("sent", &self.sent),
            ("sent_in_runs", &self.sent_in_runs),
            ("send_dropped", &self.send_dropped),
            ("send_calls", &self.send_calls),
            ("truncated", &self.truncated),
            ("receive_errors", &self.receive_errors),
            ("binding_replies", &self.binding_replies),
            ("binding_dropped", &self.binding_dropped),
            ("ring_sent", &self.ring_sent),
            ("ring_dropped", &self.ring_dropped),
            ("ring_received", &self.ring_received),
            ("naps", &self.naps),
            ("listeners_rebuilt", &self.listeners_rebuilt),
            ("relays_opened", &self.relays_opened),
            ("relays_closed", &self.relays_closed),
        ]
        .into_iter()
        .map(|(name, count)| (name, count.get()))
        .filter(|(_, value)| *value > 0)
        .collect()
    }
}
