//! An engine without sockets, and requests as clients make them: what the
//! benches of the engine drive, by the clock and by counted instructions.
//!
//! Counts are compared with stored ones (`counts.toml`), so nothing here may
//! differ from run to run: seeds are constants, time stands still, and what a
//! client computes is computed before the counting begins.

#![forbid(unsafe_code)]

mod virtual_client;
mod virtual_host;

pub use virtual_client::VirtualClient;
pub use virtual_host::{Asked, VirtualHost};
