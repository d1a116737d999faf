//! STUN and TURN messages: bytes to views and values to bytes, and nothing else.
//!
//! Implements the wire formats of RFC 8489 (STUN), RFC 8656 (TURN) and RFC 6062
//! (TURN over TCP), with their obsoleted forms in RFC 5389 and RFC 5766, and the
//! first-byte rule of RFC 7983.
//!
//! Invariants:
//! - no I/O, no allocation, no clock, no panic on any input;
//! - parsing borrows from the input and validates the whole message in one pass;
//! - building writes into a buffer of the caller and leaves no stale byte in it.
//!
//! ```
//! use turn_codec::{Class, Message, MessageWriter, Method, TransactionId};
//! use turn_codec::attribute::XorMappedAddress;
//!
//! let mut buffer = [0; 64];
//! let id = TransactionId::new(*b"transaction.");
//! let mut writer = MessageWriter::new(&mut buffer, Class::Success, Method::BINDING, id)?;
//! writer.push(&XorMappedAddress("192.0.2.1:32853".parse().unwrap()))?;
//! let bytes = writer.finish();
//!
//! let message = Message::parse(bytes)?;
//! let XorMappedAddress(address) = message.get()?.unwrap();
//! assert_eq!(address.port(), 32853);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    test,
    expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a panic is a failed test")
)]

#[cfg(test)]
extern crate std;

pub mod attribute;
mod attributes;
mod channel_data;
mod classify;
mod data_indication;
mod error;
mod family;
mod fingerprint;
mod header;
mod integrity;
mod message;
mod status;
mod stream;
mod writer;

pub use attribute::{Attribute, AttributeType, Encode};
pub use attributes::{Attributes, RawAttribute};
pub use channel_data::{ChannelData, ChannelNumber, ChannelRange};
pub use classify::{PacketKind, classify};
pub use data_indication::{MAX_DATA_INDICATION_HEAD, data_indication_head};
pub use error::{AttributeError, IntegrityError, NoRoom, ParseError};
pub use family::AddressFamily;
pub use header::{Class, HEADER_LEN, MAGIC_COOKIE, Method, TransactionId};
pub use message::{MAX_ATTRIBUTES, Message};
pub use status::StatusCode;
pub use stream::{Frame, next_frame, next_frame_in};
pub use writer::MessageWriter;

/// Compiles the example of the README.
#[cfg(doctest)]
mod readme {
    #![doc = include_str!("../README.md")]
}
