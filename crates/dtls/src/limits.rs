//! How many sessions there may be.

/// Bounds on the sessions of one shard. A prefix is an IPv4 address or an IPv6 /64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Handshakes at a time; at the bound the oldest one gives way.
    pub half_open: usize,
    /// Handshakes at a time from one prefix; at the bound its oldest one gives way.
    pub half_open_per_prefix: usize,
    /// Sessions, handshakes included, from one prefix; at the bound new ones are refused. `None`
    /// for no bound.
    pub sessions_per_prefix: Option<u32>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { half_open: 512, half_open_per_prefix: 16, sessions_per_prefix: Some(1024) }
    }
}
