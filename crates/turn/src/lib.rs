//! A TURN server without I/O: allocations, permissions, channels and limits as
//! a state machine that takes packets and gives actions.
//!
//! RFC 8656 (TURN) with the long-term credentials of RFC 8489, and RFC 6062 (TCP
//! allocations). Time, randomness
//! and sockets are the host's: see [`Engine`] for the contract.
//!
//! ```text
//!                 from_client ┌────────┐ Outcome::Relay
//!   client ──────────────────>│        │──────────────────> peer
//!                             │ Engine │
//!   client <──────────────────│        │<────────────────── peer
//!              Outcome::Relay └────────┘ from_peer
//!                              │      ^
//!                  poll_action v      │ complete
//!                                host
//! ```
//!
//! Invariants, which the testkit checks after every step of a random run:
//! nothing leaves toward a peer without a live permission or a live channel
//! bound to it, nothing reaches a client without a live permission, quotas are
//! the live allocations, ports in use are live, reserved or resting, connections
//! to peers belong to a live relayed transport address, and nothing is left after
//! expiry.

#![forbid(unsafe_code)]
#![cfg_attr(
    test,
    expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test may panic")
)]

mod action;
mod address_range;
mod allocation;
mod arena;
mod auth_failure;
mod buckets;
mod channel;
mod counters;
mod deadlines;
mod engine;
mod fan_out;
mod found_user;
mod gate;
mod id;
mod keyring;
mod ledger;
mod lifetime;
mod limit_name;
mod link;
mod meter;
mod methods;
mod nonce;
mod notes;
mod openings;
mod outcome;
mod peer_connections;
mod peer_policy;
mod permission;
mod port_map;
mod quota;
mod random;
mod rate;
mod realm;
mod reject;
mod relay_choice;
mod relaying;
mod reply;
mod report;
mod reserved_ranges;
mod settings;
mod shared;
mod table;
mod tenant;
mod time;
mod waiting;
mod workbench;

pub use action::{Action, Claim, Completion, ConnectFailed, Moving, OpenError};
pub use address_range::{AddressRange, PeerRule};
pub use allocation::{RelayProtocol, Traffic};
pub use auth_failure::AuthFailure;
pub use buckets::RateBuckets;
pub use channel::CHANNEL_LIFETIME;
pub use counters::{Count, Counters};
pub use engine::{AllocationView, Engine};
pub use found_user::{FoundUser, KeyAnswer, Marks, UserLimits};
pub use id::{
    AllocationId, ConnectionId, NotAnAllocationId, RealmId, RelayId, ShardId, TenantId, Ticket,
};
pub use keyring::{Keyring, TimeLimitedRules, UserSecret};
pub use lifetime::DEFAULT_LIFETIME;
pub use link::{FiveTuple, Link, LinkId, SourcePrefix, Transport};
pub use meter::Direction;
pub use nonce::NonceKey;
pub use outcome::{DropReason, Outcome, Prefix, Relayed, Route};
pub use peer_policy::{PeerPolicy, RelayAddress};
pub use permission::PERMISSION_LIFETIME;
pub use port_map::{PortCount, PortMap, QUARANTINE_SECONDS};
pub use random::Random;
pub use rate::{Bandwidth, Rate};
pub use realm::{DefaultFamily, PerUser, Realm, RealmLimits};
pub use report::{EndReason, Report};
pub use settings::{Limits, RelaySettings, Settings};
pub use shared::Shared;
pub use tenant::{Tenant, TenantLimits};
pub use time::Now;

/// Compiles the example of the README.
#[cfg(doctest)]
mod readme {
    #![doc = include_str!("../README.md")]
}
