//! The public addresses of this host: from a STUN server, a DNS name or a cloud's metadata.
//!
//! ```text
//! relay addresses --> Finder --STUN Binding from each of them--> what the world sees
//!                            --A, AAAA of a name-------------->
//!                            --HTTP to 169.254.169.254-------->
//! ```
//!
//! What is found is believed at the start, and later once it was found twice; while nothing answers,
//! the last one stays. RFC 8489 sections 6 and 14.2 (Binding, XOR-MAPPED-ADDRESS).

#![forbid(unsafe_code)]
#![cfg_attr(
    test,
    expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")
)]

mod belief;
#[cfg(test)]
mod fake_http;
#[cfg(test)]
mod fake_stun;
mod finder;
mod metadata;
mod name;
mod public;
mod source;
mod stun;
mod watch;

pub use finder::{Discovery, Failure, Finder, Found};
pub use source::{PUBLIC_STUN_SERVERS, Source};
pub use watch::watch;

/// Compiles the example of the README.
#[cfg(doctest)]
mod readme {
    #![doc = include_str!("../README.md")]
}
