//! The client against responses that are made here, and against a small server on loopback.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod fake;
mod fake_stream;
mod session;
mod stream;
mod tcp_relaying;
mod tls;
mod trust;
mod udp;
