//! DTLS 1.2 for clients, without I/O: datagrams, keys and the time go in, datagrams and messages
//! come out.
//!
//! Implements the server of RFC 6347 on top of the `dimpl` library. The cookie exchange of section
//! 4.2.1 is our own, since the library's keeps a handshake object for each first ClientHello:
//!
//! ```text
//! ClientHello            ->  hello.rs, front.rs: HelloVerifyRequest out of cookie.rs; no state
//! ClientHello + cookie   ->  session.rs: the library's handshake starts here
//! any other record       ->  sessions.rs: of a known client to its session, otherwise dropped
//! ```
//!
//! Invariants:
//! - nothing is kept and nothing is reassembled for a client that has not returned its cookie, and
//!   an answer to such a client is never larger than what it answers;
//! - half-open sessions are bounded, for the process's shard and for each source prefix;
//! - one record of application data is one message, and one message is one datagram.

#![forbid(unsafe_code)]
#![cfg_attr(
    test,
    expect(
        clippy::cast_possible_truncation,
        clippy::indexing_slicing,
        clippy::unwrap_used,
        reason = "a panic is a failed test"
    )
)]

mod cookie;
mod front;
mod half_open;
mod hello;
mod identity;
mod limits;
mod name;
mod outbox;
mod provider;
mod record;
mod report;
mod session;
mod sessions;
#[cfg(test)]
mod testing;

pub use cookie::CookieKey;
pub use identity::{DtlsIdentity, DtlsIdentityError};
pub use limits::Limits;
pub use name::{Path, SessionId};
pub use outbox::Output;
pub use report::{DropReason, Received, SendError, Tally};
pub use sessions::Sessions;

/// Compiles the example of the README.
#[cfg(doctest)]
mod readme {
    #![doc = include_str!("../README.md")]
}
