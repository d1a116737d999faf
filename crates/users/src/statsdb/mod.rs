//! Allocations for those who watch coturn's `redis-statsdb`: the same keys, the same channels,
//! the same texts.
//!
//! ```text
//! turn/realm/R/user/U/allocation/ID/status               set, and published
//!     new lifetime=600, type=UDP, local=192.0.2.1:3478, remote=192.0.2.9:40000, ssl=NONE, cipher=NONE
//!     refreshed lifetime=600, ...
//!     deleted                                            published; the key is deleted
//! .../traffic  .../traffic/peer                          published: since the last time
//! .../total_traffic  .../total_traffic/peer              published at the end
//!     rcvp=1, rcvb=100, sentp=1, sentb=100
//! ```
//!
//! Invariants:
//! - [`StatsDb::publish`] never blocks; what finds no room, or no server, is dropped and counted;
//! - the keys of allocations that live are written again after an outage, and those of the ones
//!   that ended meanwhile are deleted.
//!
//! As coturn does, a start deletes the status keys that are there: one database, one server.

mod event;
mod publisher;
mod thread;

pub use event::{StatsChange, StatsEvent, StatsId, StatsStatus, StatsTraffic, StatsTransport};
pub use thread::StatsDb;
