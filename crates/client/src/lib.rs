//! A TURN client: a sans-I/O core, and a blocking client over UDP, TCP and TLS on top of it.
//!
//! Implements the client side of RFC 8489 sections 6, 9.2 and 14 (Binding, long-term
//! credentials with MD5/SHA-1 and with the SHA-256 set), of RFC 8656 (allocations, permissions,
//! channels, Send and Data indications) and of RFC 6062 (TCP relaying).
//!
//! ```text
//!  Operation --begin--> Transaction --bytes--> (any socket)
//!                            |                      |
//!                    Session::receive  <--bytes-----+---> Incoming::parse
//!                            |                              data of a peer or a channel
//!        Unrelated | Distrusted | Retry | Success | Failure
//! ```
//!
//! [`load`] is a load generator on top of the sans-I/O core, with sockets of its own.
//!
//! Invariants:
//! - [`Session`], [`Transaction`], [`Incoming`] and the [operations](Operation) do no I/O and
//!   read no clock: transaction ids and time are arguments;
//! - a response to a signed request counts only when its integrity is proven with the same key;
//! - nothing that a server sends makes this crate panic.

#![forbid(unsafe_code)]
#![cfg_attr(test, expect(clippy::unwrap_used, reason = "a panic is a failed test"))]

mod allocate;
mod any_certificate;
mod byte_stream;
mod challenge;
mod client;
mod cookie;
mod credentials;
mod data_connection;
mod deadline;
mod error;
mod framed_stream;
mod incoming;
pub mod load;
mod operation;
mod received;
mod schedule;
mod send_indication;
mod session;
mod tcp_relaying;
mod tls_layer;
mod tls_options;
mod transaction;
mod wire;

pub use allocate::{AllocateOptions, Allocation};
pub use challenge::Integrity;
pub use client::Client;
pub use credentials::{Algorithms, Credentials};
pub use data_connection::DataConnection;
pub use error::{Error, Refusal};
pub use incoming::Incoming;
pub use operation::{Binding, ChannelBind, CreatePermission, Operation, Refresh};
pub use received::{ConnectionAttempt, Origin, Received};
pub use schedule::Schedule;
pub use send_indication::SendIndication;
pub use session::{Progress, Session};
pub use tcp_relaying::{Connect, ConnectionBind};
pub use tls_options::{TlsDetails, TlsOptions, TlsVersion};
pub use transaction::Transaction;
pub use wire::Wire;

/// Compiles the example of the README.
#[cfg(doctest)]
mod readme {
    #![doc = include_str!("../README.md")]
}
