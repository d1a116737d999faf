//! What the host tells of its allocations.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use crate::{Party, Traffic};

/// Which allocation, while this process runs. Shown as the logs show it: `1-000042`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AllocationKey {
    /// The shard that holds it.
    pub shard: u32,
    /// Counts the allocations of that shard.
    pub serial: u64,
}

/// An allocation that lives.
#[derive(Debug, Clone)]
pub struct Live {
    /// Its name.
    pub id: AllocationKey,
    /// For whom.
    pub party: Party,
    /// What went through it until now.
    pub traffic: Traffic,
    /// How long it lives.
    pub age: Duration,
}

/// An allocation that ended.
#[derive(Debug, Clone)]
pub struct Ended {
    /// Its name.
    pub id: AllocationKey,
    /// For whom.
    pub party: Party,
    /// Everything that went through it.
    pub traffic: Traffic,
    /// How long it lived.
    pub age: Duration,
    /// Unix seconds.
    pub started_at: u64,
    /// Unix seconds.
    pub ended_at: u64,
    /// Why, in one word or two.
    pub reason: &'static str,
    /// The client's transport address, as far as logs may show it.
    pub client: String,
    /// How the client came: udp, tcp, tls or dtls.
    pub transport: &'static str,
    /// Its relayed transport addresses, as advertised.
    pub relayed: Vec<SocketAddr>,
    /// Addresses of its peers, as far as they are known and logs may show them.
    pub peers: Vec<String>,
}

impl fmt::Display for AllocationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:06}", self.shard, self.serial)
    }
}
