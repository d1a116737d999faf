//! Credential stores behind one trait: SQLite, PostgreSQL, MySQL, Redis, an HTTP callback.
//!
//! coturn's tables and keys are read as they are. Nothing here is on the way of a packet: the
//! resolver has a thread of its own and always answers within a second.

#![forbid(unsafe_code)]
#![cfg_attr(test, expect(clippy::unwrap_used, reason = "a panic is a failed test"))]

mod hex;
mod http;
mod lifespan;
mod open;
mod redis;
mod resolver;
mod sql;
mod statsdb;
mod store;

pub use open::{StoreConfig, open};
pub use resolver::{Answer, Options, Resolver, StoreHealth};
pub use statsdb::{
    StatsChange, StatsDb, StatsEvent, StatsId, StatsStatus, StatsTraffic, StatsTransport,
};
pub use store::{
    BoxFuture, Catalog, Keys, ManagedCredential, NewCredential, RealmOption, Store, StoreError,
    StoredLimits, StoredRealm, StoredUser, Writer,
};
