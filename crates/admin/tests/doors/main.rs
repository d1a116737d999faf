//! The doors over real sockets, before a server that is not there.
//!
//! Two seconds are the longest that anything here waits for.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a panic is a failed test"
)]

mod accounts;
mod admin_http;
mod admin_socket;
mod credential_pages;
mod credential_shapes;
mod credentials;
mod fake;
mod fake_issuer;
mod keeper;
mod metrics;
mod openapi;
mod raw;
mod tls;
mod usage;
