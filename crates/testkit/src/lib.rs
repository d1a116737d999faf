//! Several engines under one simulated kernel, a virtual clock, clients and peers
//! that speak like a protocol trace, and a naive model to judge them by.
//!
//! ```text
//!   Client ──bytes──> ┌──────────────── World ────────────────┐ ──> Emitted
//!                     │ reuse-port hash ─> Engine 0 │ Engine 1 │     (what left)
//!   Peer ───bytes───> │ Kernel: relay sockets, taken ports    │
//!                     │ Reference: who may send what          │
//!                     └───────────────────────────────────────┘
//! ```
//!
//! Nothing here does I/O or waits; the same calls give the same bytes. After every
//! step the invariants are checked: nothing leaves toward a peer without a live
//! permission or a live channel bound to it, nothing reaches a client without a live
//! permission, quotas are the live allocations and reservations, every port in use has
//! its socket and every socket its port, only requests are answered, and replies to
//! those who authenticated are signed.
//!
//! ```
//! use turn_testkit::{CHANNEL, PEER, World, secs};
//!
//! let world = World::new().user("ann", "secret");
//! let ann = world.client("ann").allocate().bind(CHANNEL, PEER);
//! ann.refresh(3_600);
//! world.advance(secs(599));
//! ann.bind(CHANNEL, PEER);
//! world.advance(secs(599));
//! world.expect_relayed(ann, PEER, b"still here");
//! ```

#![forbid(unsafe_code)]
#![expect(clippy::expect_used, clippy::panic, reason = "a failed expectation is a failed test")]

mod addresses;
mod answer;
mod ask;
mod client;
mod clock;
mod draft;
mod emitted;
mod invariants;
mod kernel;
mod operation;
mod peer;
mod peer_connection;
mod reference;
mod scheme;
mod seeded;
mod seen;
mod setup;
mod simulation;
mod store;
mod world;

pub use addresses::{
    CHANNEL, DENIED_PEER, OTHER_PEER, PEER, PEER6, RELAY4, RELAY6, SERVER4, SERVER6, secs,
};
pub use answer::Answer;
pub use ask::Ask;
pub use client::Client;
pub use clock::{Clock, START};
pub use draft::Draft;
pub use emitted::{Attempt, Data, Emitted, Event, Framing};
pub use operation::{AllocateKind, Operation, PeerPick, operations};
pub use peer::Peer;
pub use peer_connection::{PeerAnswer, PeerConnection};
pub use reference::{Account, Delivery, Reference};
pub use scheme::Scheme;
pub use seeded::Seeded;
pub use seen::Seen;
pub use setup::Setup;
pub use store::StoreMode;
pub use world::World;

/// Compiles the example of the README.
#[cfg(doctest)]
mod readme {
    #![doc = include_str!("../README.md")]
}
