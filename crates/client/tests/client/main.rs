//! The client against responses that are made here, and against a small server on loopback.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod fake;
mod session;
mod trust;
mod udp;
