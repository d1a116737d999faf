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
    /// System calls for receiving.
    pub receive_calls: Count,
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
    /// Rounds of the packet task over its sockets.
    pub turns: Count,
    /// Naps of the packet task.
    pub naps: Count,
    /// Listeners bound anew.
    pub listeners_rebuilt: Count,
    /// Relay sockets that are open, as the difference of two counters.
    pub relays_opened: Count,
    /// See `relays_opened`.
    pub relays_closed: Count,
    /// TCP connections accepted from clients: over all shards, those that are open and
    /// the next two counters.
    pub connections_accepted: Count,
    /// Connections that have ended, of those that were let in.
    pub connections_closed: Count,
    /// Connections not let in: over a limit, not from a known upstream, or without its header.
    pub connections_refused: Count,
    /// Connections without an allocation that ended to make room for newer ones.
    pub connections_shed: Count,
    /// Connections that took too long for their next step.
    pub connections_timed_out: Count,
    /// Connections given to the shard that has their peer.
    pub connections_handed_over: Count,
    /// Errors met while accepting.
    pub accept_errors: Count,
    /// TLS handshakes completed.
    pub tls_handshakes: Count,
    /// TLS handshakes that failed.
    pub tls_handshake_errors: Count,
    /// Frames read from streams.
    pub stream_frames: Count,
    /// Frames of relayed data queued for streams.
    pub stream_frames_sent: Count,
    /// Of these, those that were dropped because their client is slow.
    pub stream_frames_dropped: Count,
    /// Streams closed because what came is no frame, or too long a one.
    pub streams_misframed: Count,
    /// TCP connections made to peers (RFC 6062).
    pub peers_connected: Count,
    /// TCP connections to peers that could not be made.
    pub peer_connects_failed: Count,
    /// TCP connections accepted from peers.
    pub peers_accepted: Count,
    /// TCP connections from peers without a permission, closed at once.
    pub peers_refused: Count,
    /// DTLS records read from clients.
    pub dtls_records: Count,
    /// Hellos of DTLS clients not answered: over `accepts`.
    pub dtls_hellos_held_back: Count,
    /// DTLS handshakes completed.
    pub dtls_sessions: Count,
    /// DTLS handshakes that began and ended without success.
    pub dtls_handshake_errors: Count,
    /// DTLS handshakes not begun: over `connections_per_source`.
    pub dtls_sessions_refused: Count,
    /// DTLS sessions that have ended, of those that were completed.
    pub dtls_sessions_closed: Count,
    /// Datagrams dropped on a listener behind a proxy: from elsewhere, or without its header.
    pub proxy_refused: Count,
    /// Client and peer data connections joined.
    pub splices: Count,
}

impl NetCounters {
    /// Every counter that is not zero, by name.
    pub fn snapshot(&self) -> Vec<(&'static str, u64)> {
        [
            ("from_clients", &self.from_clients),
            ("from_peers", &self.from_peers),
            ("receive_calls", &self.receive_calls),
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
            ("turns", &self.turns),
            ("naps", &self.naps),
            ("listeners_rebuilt", &self.listeners_rebuilt),
            ("relays_opened", &self.relays_opened),
            ("relays_closed", &self.relays_closed),
            ("connections_accepted", &self.connections_accepted),
            ("connections_closed", &self.connections_closed),
            ("connections_refused", &self.connections_refused),
            ("connections_shed", &self.connections_shed),
            ("connections_timed_out", &self.connections_timed_out),
            ("connections_handed_over", &self.connections_handed_over),
            ("accept_errors", &self.accept_errors),
            ("tls_handshakes", &self.tls_handshakes),
            ("tls_handshake_errors", &self.tls_handshake_errors),
            ("stream_frames", &self.stream_frames),
            ("stream_frames_sent", &self.stream_frames_sent),
            ("stream_frames_dropped", &self.stream_frames_dropped),
            ("streams_misframed", &self.streams_misframed),
            ("peers_connected", &self.peers_connected),
            ("peer_connects_failed", &self.peer_connects_failed),
            ("peers_accepted", &self.peers_accepted),
            ("peers_refused", &self.peers_refused),
            ("dtls_records", &self.dtls_records),
            ("dtls_hellos_held_back", &self.dtls_hellos_held_back),
            ("dtls_sessions", &self.dtls_sessions),
            ("dtls_handshake_errors", &self.dtls_handshake_errors),
            ("dtls_sessions_refused", &self.dtls_sessions_refused),
            ("dtls_sessions_closed", &self.dtls_sessions_closed),
            ("proxy_refused", &self.proxy_refused),
            ("splices", &self.splices),
        ]
        .into_iter()
        .map(|(name, count)| (name, count.get()))
        .filter(|(_, value)| *value > 0)
        .collect()
    }
}
