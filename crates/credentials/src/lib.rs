//! Who may use a TURN server: long-term keys, time-limited names, and the texts behind them.
//!
//! Implements the key and text rules of RFC 8489 section 9.2.2 and 18.5.1, USERHASH of
//! section 14.4, OpaqueString of RFC 8265, and the shared-secret scheme of
//! draft-uberti-behave-turn-rest.
//!
//! Invariants:
//! - no I/O and no clock: the time is an argument;
//! - a key or a derived password is wiped when it is dropped and never printed;
//! - keys are compared in constant time and have no `==`.

#![forbid(unsafe_code)]
#![cfg_attr(test, expect(clippy::unwrap_used, reason = "a panic is a failed test"))]

mod key;
mod prepare;
mod shared_secret;
mod static_credential;
mod time_limited;
mod userhash;

pub use key::{KeyAlgorithm, KeyError, LongTermKey};
pub use prepare::{PrepareError, prepare};
pub use shared_secret::{SharedSecretPassword, mint, shared_secret_password};
pub use static_credential::{StaticCredential, parse_static};
pub use time_limited::{CLOCK_SKEW_GRACE, TimeLimitedName, UnixSeconds};
pub use userhash::userhash;

/// Compiles the example of the README.
#[cfg(doctest)]
mod readme {
    #![doc = include_str!("../README.md")]
}
