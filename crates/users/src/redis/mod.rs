//! Users in Redis: coturn's keys as they are, and ours beside them.
//!
//! ```text
//! turn/realm/R/user/U/key                        32 hex digits: MD5 of U:R:password
//! turn/realm/R/secret                            set: shared secrets
//! turn/realm/R/allowed-peer-ip, denied-peer-ip   sets: ranges
//! turn/realm/R/max-bps, total-quota, user-quota  numbers
//! turn/origin/O                                  a realm
//! turnserver/realm/R/user/U/sha256               MD5 key:SHA-256 key, used while the first agrees
//! turnserver/credential/R/U                      hash: a managed credential
//! turnserver/credentials, disabled, deleted      sorted sets of them
//! ```
//!
//! Invariants:
//! - no `KEYS`; a `SCAN` for the catalogue and for lists alone, a bounded part of it at a time;
//! - reading writes nothing.

mod catalog;
mod credentials;
mod keys;
mod line;
mod store;
mod sweep;
mod write;

pub(crate) use line::Line;
pub(crate) use store::open;
