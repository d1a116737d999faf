//! Answers Binding requests: tells a client the address it is seen from.
//!
//! Implements the Binding usage of RFC 8489 sections 6.3 and 14.2, and its subset RFC 5389.
//!
//! Invariants:
//! - stateless: the reply follows from the request and its source alone;
//! - minimal: XOR-MAPPED-ADDRESS and nothing else, so that a spoofed source gains nothing;
//! - only a well-formed Binding request is ever answered.

#![forbid(unsafe_code)]
#![cfg_attr(
    test,
    expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a panic is a failed test")
)]

mod responder;

pub use responder::{MAX_REPLY_LEN, Verdict, is_binding, respond};

/// Compiles the example of the README.
#[cfg(doctest)]
mod readme {
    #![doc = include_str!("../README.md")]
}
