//! Clients on TCP, TLS and DTLS, and what the control thread asks, against real
//! shards on loopback.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test stops at its first surprise"
)]

mod admission;
mod back_pressure;
mod client;
mod control;
mod dtls;
mod framing;
mod hand_over;
mod keys;
mod peer_connections;
mod proxy;
mod realms;
mod reload;
mod server;
mod tls;
