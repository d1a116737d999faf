//! Shards around TURN engines: listeners for UDP, TCP and TLS, and relay
//! sockets, one thread and one tokio current-thread runtime each.
//!
//! ```text
//!   one shard = one thread
//!   ┌────────────────────────────────────────────────────────────────┐
//!   │ packet task:  listeners ──┐                                    │
//!   │               relays ─────┴─> RecvBatch ─> Engine ─> SendBatch │
//!   │ accept tasks: a listener each ──> a task a connection ─^  │    │
//!   │                         SendQueue of a connection <───────┘    │
//!   │ mailbox task: rings and messages of other shards ──^           │
//!   │ clock tasks:  expiry, and deadlines of streams, once a second  │
//!   └────────────────────────────────────────────────────────────────┘
//! ```
//!
//! The tasks share a core that none of them holds across an await.
//! Nothing here knows a STUN method: what a message means is the engine's.

#![forbid(unsafe_code)]

mod aim;
mod clock;
mod control;
mod core;
mod dtls;
mod entropy;
mod fleet;
mod host;
mod keys;
mod link;
mod listener;
mod mailbox;
mod net_counters;
mod observer;
mod pace;
mod packets;
mod polled;
mod proxied;
mod proxy_header;
mod rebuild;
mod relay_sockets;
mod ring;
mod shard;
mod stream;

pub use fleet::{Fleet, FleetError, Plan, RelayPlan};
pub use keys::{KeyFinder, KeySlip};
pub use listener::{ListenError, ListenPlan, Listening};
pub use net_counters::NetCounters;
pub use observer::Observer;
pub use stream::Patience;

/// Compiles the example of the README.
#[cfg(doctest)]
mod readme {
    #![doc = include_str!("../README.md")]
}
