//! Shards around TURN engines: UDP listeners and relay sockets, one thread and
//! one tokio current-thread runtime each.
//!
//! ```text
//!   one shard = one thread
//!   ┌────────────────────────────────────────────────────────────────┐
//!   │ packet task:  listeners ──┐                                    │
//!   │               relays ─────┴─> RecvBatch ─> Engine ─> SendBatch │
//!   │ mailbox task: rings and messages of other shards ──^           │
//!   │ clock task:   expiry, once a second                            │
//!   └────────────────────────────────────────────────────────────────┘
//! ```
//!
//! The three tasks share a core that none of them holds across an await.
//! Nothing here knows a STUN method: what a message means is the engine's.

#![forbid(unsafe_code)]

mod clock;
mod core;
mod fleet;
mod host;
mod listener;
mod mailbox;
mod net_counters;
mod pace;
mod packets;
mod rebuild;
mod relay_sockets;
mod ring;
mod shard;

pub use fleet::{Fleet, FleetError, Observer, Plan, RelayPlan};
pub use listener::{ListenError, ListenPlan};
pub use net_counters::NetCounters;

/// Compiles the example of the README.
#[cfg(doctest)]
mod readme {
    #![doc = include_str!("../README.md")]
}
