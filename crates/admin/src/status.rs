//! What the routes of the admin doors answer, as JSON. Moments are seconds since
//! 1970, lengths of time are seconds, addresses are text.

use serde::{Deserialize, Serialize};

/// The server at a glance.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// What runs.
    pub version: Version,
    /// Process id.
    pub pid: u32,
    /// When it started.
    pub started_at: u64,
    /// For how long it has run.
    pub uptime: u64,
    /// The file that the configuration came from; none without one.
    pub configuration: Option<String>,
    /// Whether new clients should be sent here.
    pub ready: bool,
    /// Serving, draining or drained.
    pub drain: DrainStatus,
    /// Shards that serve.
    pub shards: u32,
    /// Where it listens.
    pub listeners: Vec<ListenerRow>,
    /// Names of the realms, the default one first.
    pub realms: Vec<String>,
    /// Allocations now and so far.
    pub allocations: AllocationCounts,
    /// Relayed from clients to peers since the start.
    pub up: TrafficRow,
    /// Relayed from peers to clients since the start.
    pub down: TrafficRow,
    /// The port pool of each relay address and protocol.
    pub ports: Vec<PortRow>,
    /// Certificates in use.
    pub certificates: Vec<CertificateRow>,
    /// The last reload, if there was one.
    pub last_reload: Option<ReloadRow>,
    /// Credential stores, in the order in which they are asked.
    #[serde(default)]
    pub stores: Vec<StoreRow>,
}

/// What runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// The program's name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// One listener.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenerRow {
    /// Address and port.
    pub address: String,
    /// `udp`, `tcp`, `tls` or `dtls`.
    pub transport: String,
    /// The realm that it serves; none where the client's TLS name decides.
    pub realm: Option<String>,
}

/// How many allocations there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AllocationCounts {
    /// Live ones.
    pub live: u64,
    /// Of these, those that have relayed something.
    pub used: u64,
    /// Made since the start.
    pub created: u64,
    /// Ended since the start.
    pub ended: u64,
}

/// Payload that went one way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrafficRow {
    /// Datagrams.
    pub packets: u64,
    /// Payload bytes, those of TCP connections included.
    pub bytes: u64,
}

/// The ports of one relay address.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortRow {
    /// The relay address.
    pub address: String,
    /// `udp` or `tcp`.
    pub protocol: String,
    /// Ports of the pool.
    pub size: u64,
    /// Of these, those that are reserved or live.
    pub used: u64,
}

/// One certificate.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateRow {
    /// The names that it is for.
    pub names: Vec<String>,
    /// When it expires.
    pub not_after: i64,
}

/// One credential store.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreRow {
    /// Scheme, host and database; never a password.
    pub name: String,
    /// Whether it answered when it was last asked.
    pub up: bool,
    /// What it said when it last failed.
    pub last_error: Option<String>,
    /// Users asked for.
    pub lookups: u64,
    /// Of these, those that it could not answer.
    pub failed: u64,
    /// Of all look-ups, those that the cache answered.
    pub cached: u64,
}

/// One reload.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReloadRow {
    /// When.
    pub at: u64,
    /// Whether it was applied.
    pub applied: bool,
}

/// How a drain goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrainStatus {
    /// Where it stands.
    pub state: DrainState,
    /// Live allocations.
    pub allocations: u64,
    /// It is done at that many.
    pub min_allocations: u64,
    /// When it began.
    pub since: Option<u64>,
    /// When it ends at the latest.
    pub deadline: Option<u64>,
}

/// Where a drain stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DrainState {
    /// Not draining.
    #[default]
    Serving,
    /// No new allocation; the live ones go on.
    Draining,
    /// The server is about to end.
    Drained,
}

/// One live allocation. User and addresses are as the log's policy shows them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AllocationRow {
    /// What `DELETE /allocations/{id}` takes.
    pub id: String,
    /// Its realm.
    pub realm: String,
    /// Its tenant, if its secret names one.
    pub tenant: Option<String>,
    /// Its user.
    pub user: String,
    /// The client's address.
    pub client: String,
    /// Our address that the client speaks to.
    pub server: String,
    /// `udp`, `tcp`, `tls` or `dtls`.
    pub transport: String,
    /// `udp`, or `tcp` (RFC 6062).
    pub protocol: String,
    /// Relayed transport addresses.
    pub relayed: Vec<String>,
    /// Seconds since it was made.
    pub age: u64,
    /// Seconds until it expires.
    pub expires_in: u64,
    /// Live permissions.
    pub permissions: u64,
    /// Bound channels.
    pub channels: u64,
    /// Some of its peers.
    pub peers: Vec<String>,
    /// From the client to its peers.
    pub up: TrafficRow,
    /// From peers to the client.
    pub down: TrafficRow,
}

/// What a reload did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReloadReport {
    /// Keys that changed and are in force.
    pub changed: Vec<String>,
    /// Keys that changed and wait for a restart.
    pub needs_restart: Vec<String>,
}
