//! Everything that the metrics show, as plain numbers at one moment.
//!
//! A counter is counted since the start and never falls; what is said to be *now*
//! goes up and down. Labels are words of the program or names of the
//! configuration: never a user, a client or a peer, whose number a stranger
//! chooses `[H30]`.

use crate::latencies::Latencies;

/// One look at the server.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Figures {
    /// The program's version.
    pub version: String,
    /// The process.
    pub process: ProcessFigures,
    /// Whether new clients should be sent here.
    pub is_ready: bool,
    /// Whether it drains.
    pub is_draining: bool,
    /// Reloads of the configuration.
    pub reloads: ReloadFigures,
    /// Reloads of certificates.
    pub certificate_reloads: ReloadFigures,
    /// Certificates in use.
    pub certificates: Vec<CertificateFigures>,
    /// Each shard.
    pub shards: Vec<ShardFigures>,
    /// Each realm, without and with each of its tenants.
    pub tenants: Vec<TenantFigures>,
    /// Allocations that have ended.
    pub ended: Vec<EndedFigures>,
    /// Datagrams that went from one allocation to another of the same shard.
    pub inside_same_shard: u64,
    /// Datagrams that went from one allocation to one of another shard.
    pub inside_other_shard: u64,
    /// Responses to TURN requests.
    pub responses: Vec<ResponseFigures>,
    /// Dropped packets, by reason.
    pub drops: Vec<Counted>,
    /// Failed authentications, by reason.
    pub auth_failures: Vec<Counted>,
    /// Requests and packets that a limit refused, by the limit's key.
    pub limit_refusals: Vec<Counted>,
    /// The port pool of each relay address and protocol.
    pub ports: Vec<PortFigures>,
    /// From an Allocate request to its success response.
    pub allocate: Latencies,
    /// TLS handshakes.
    pub tls: HandshakeFigures,
    /// DTLS handshakes and sessions.
    pub dtls: DtlsFigures,
    /// Binding requests answered.
    pub binding_replies: u64,
    /// Binding requests not answered.
    pub binding_dropped: u64,
    /// UDP.
    pub datagrams: DatagramFigures,
    /// Connections of clients.
    pub connections: ConnectionFigures,
    /// Frames on these connections.
    pub streams: StreamFigures,
    /// TCP connections to and from peers (RFC 6062).
    pub peer_connections: PeerConnectionFigures,
    /// The rings between shards.
    pub rings: RingFigures,
    /// The table of rate buckets.
    pub rate_buckets: RateBucketFigures,
    /// Datagrams and connections refused on listeners behind a proxy.
    pub proxy_refused: u64,
    /// Listeners bound anew after a failure.
    pub listeners_rebuilt: u64,
    /// Relay sockets open now.
    pub relay_sockets: u64,
    /// Naps of the shards' packet tasks.
    pub naps: u64,
    /// Log lines left out because the log did not keep up.
    pub log_lines_dropped: u64,
    /// Credential stores.
    pub stores: Vec<StoreFigures>,
    /// Credentials handed out, by key: [`CredentialKeys::issued`](crate::CredentialKeys::issued).
    pub credentials_issued: Vec<Counted>,
    /// Requests for credentials turned away, by reason:
    /// [`CredentialKeys::refused`](crate::CredentialKeys::refused).
    pub credentials_refused: Vec<Counted>,
    /// Reports of usage that found no room.
    pub usage_lost: u64,
}

/// One credential store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoreFigures {
    /// Scheme, host and database; never a password.
    pub store: String,
    /// Whether it answered when it was last asked, now.
    pub is_up: bool,
    /// Look-ups by what came of them, as in `found`, `unknown`, `failed`, `cached`.
    pub lookups: Vec<Counted>,
}

/// Something counted under a word.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counted {
    /// The value of the label.
    pub word: String,
    /// How often.
    pub count: u64,
}

/// The process as the kernel sees it; what is not known is left out.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ProcessFigures {
    /// When it started, in seconds since 1970.
    pub started_at: f64,
    /// CPU time of all its threads, in seconds.
    pub cpu_seconds: Option<f64>,
    /// Resident memory.
    pub resident_bytes: Option<u64>,
    /// Open descriptors.
    pub open_descriptors: Option<u64>,
    /// How many it may have.
    pub max_descriptors: Option<u64>,
}

/// Reloads of one kind.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ReloadFigures {
    /// Applied.
    pub applied: u64,
    /// Refused: the old one stayed.
    pub failed: u64,
    /// Whether the last one was applied; none before the first.
    pub last_applied: Option<bool>,
    /// When the last one was applied, in seconds since 1970.
    pub last_applied_at: Option<f64>,
}

/// One certificate.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CertificateFigures {
    /// Its first name.
    pub name: String,
    /// When it expires, in seconds since 1970.
    pub not_after: i64,
}

/// One shard.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ShardFigures {
    /// Its number.
    pub shard: u32,
    /// CPU time of its thread, in seconds; none where it is not known.
    pub cpu_seconds: Option<f64>,
    /// Relayed from clients to peers.
    pub up: TrafficFigures,
    /// Relayed from peers to clients.
    pub down: TrafficFigures,
}

/// Payload that went one way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TrafficFigures {
    /// Datagrams.
    pub packets: u64,
    /// Payload bytes, those of TCP connections included.
    pub bytes: u64,
}

/// One tenant of a realm, or what of the realm belongs to no tenant. What has
/// ended is included, so that no counter falls.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TenantFigures {
    /// The realm's name.
    pub realm: String,
    /// The tenant's name; empty for none.
    pub tenant: String,
    /// Relayed from clients to peers, live allocations included.
    pub up: TrafficFigures,
    /// Relayed from peers to clients, live allocations included.
    pub down: TrafficFigures,
    /// Allocations made.
    pub created: u64,
    /// Live allocations, by the client's transport.
    pub live: Vec<TransportFigures>,
}

/// Live allocations of clients on one transport.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TransportFigures {
    /// `udp`, `tcp`, `tls` or `dtls`.
    pub transport: String,
    /// Have relayed nothing yet, now.
    pub gathered: u64,
    /// Have relayed something, now.
    pub used: u64,
}

/// Allocations that ended for one reason.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EndedFigures {
    /// Why.
    pub reason: String,
    /// Whether they had relayed anything.
    pub used: bool,
    /// How many.
    pub count: u64,
}

/// Responses to one method with one code.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResponseFigures {
    /// The method, as in `create_permission`.
    pub method: String,
    /// The error code; 200 is success.
    pub code: u16,
    /// How many.
    pub count: u64,
}

/// The ports of one relay address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PortFigures {
    /// The relay address.
    pub address: String,
    /// `udp` or `tcp`.
    pub protocol: String,
    /// Ports of the pool.
    pub size: u64,
    /// Reserved or live, now.
    pub used: u64,
}

/// Handshakes of one transport.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HandshakeFigures {
    /// Completed.
    pub completed: u64,
    /// Failed.
    pub failed: u64,
    /// How long the completed ones took.
    pub took: Latencies,
}

/// DTLS.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DtlsFigures {
    /// Its handshakes.
    pub handshakes: HandshakeFigures,
    /// Sessions open now.
    pub sessions: u64,
    /// Hellos not answered: over `limits.accepts`.
    pub hellos_held_back: u64,
    /// Records read.
    pub records: u64,
}

/// UDP of clients and relays together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DatagramFigures {
    /// Read from clients.
    pub from_clients: u64,
    /// Read from peers.
    pub from_peers: u64,
    /// System calls for receiving.
    pub receive_calls: u64,
    /// Taken by the kernel for sending.
    pub sent: u64,
    /// Of these, those that left in a run with `UDP_SEGMENT`.
    pub sent_in_runs: u64,
    /// System calls for sending.
    pub send_calls: u64,
    /// Not taken by the kernel.
    pub unsent: u64,
    /// Larger than a receive buffer.
    pub truncated: u64,
    /// Errors met while receiving.
    pub receive_errors: u64,
}

/// Connections of clients, TCP and TLS.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConnectionFigures {
    /// Let in.
    pub accepted: u64,
    /// Open now.
    pub open: u64,
    /// Closed at once: over a limit, or not from a known upstream.
    pub refused: u64,
    /// Without an allocation, ended to make room.
    pub shed: u64,
    /// Took too long for their next step.
    pub timed_out: u64,
    /// Sent what is no frame.
    pub misframed: u64,
    /// Given to the shard that has their peer.
    pub handed_over: u64,
    /// Errors met while accepting.
    pub accept_errors: u64,
}

/// Frames on connections of clients.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StreamFigures {
    /// Read.
    pub received: u64,
    /// Relayed data that was queued.
    pub sent: u64,
    /// Relayed data that was dropped because the client is slow.
    pub dropped: u64,
}

/// TCP between relays and peers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PeerConnectionFigures {
    /// Made to peers.
    pub connected: u64,
    /// Could not be made.
    pub failed: u64,
    /// Accepted from peers.
    pub accepted: u64,
    /// From peers without a permission, closed at once.
    pub refused: u64,
    /// Joined to a client's connection.
    pub joined: u64,
}

/// Datagrams between shards.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RingFigures {
    /// Put into a ring.
    pub sent: u64,
    /// Taken out.
    pub received: u64,
    /// Found no room.
    pub dropped: u64,
}

/// The table of rate buckets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RateBucketFigures {
    /// Its buckets.
    pub total: u64,
    /// Those that are in use, now; zero where nobody counts.
    pub occupied: u64,
    /// Buckets taken from one source for another.
    pub evictions: u64,
}
