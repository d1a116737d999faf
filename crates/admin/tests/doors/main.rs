//! The doors over real sockets, before a server that is not there.
//!
//! Two seconds are the longest that anything here waits for.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a panic is a failed test")]

mod admin_http;
mod admin_socket;
mod fake;
mod metrics;
mod raw;
