//! What the bare forwarder has cost in one run.

use serde::{Deserialize, Serialize};

/// One run of `floor load`, as it prints it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Floor {
    /// CPU time of the forwarder in microseconds by delivered packet.
    pub cpu_us_per_packet: f64,
    /// Packets delivered in a second.
    pub per_second: f64,
    /// Packets that were sent and did not arrive.
    pub lost: u64,
    /// The forwarder waited for its core for more than 2 % of the time.
    pub is_disturbed: bool,
}
