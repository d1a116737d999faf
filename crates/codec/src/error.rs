//! What can be wrong with bytes, and what can be wrong with a buffer.
//!
//! [`ParseError`], [`AttributeError`] and [`IntegrityError`] are the sender's fault;
//! [`NoRoom`] is ours.

use thiserror::Error;

/// Why a datagram or frame is not a message that this codec accepts.
///
/// None of these is ever answered: RFC 8489 section 6.3 asks for a silent drop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
pub enum ParseError {
    /// Fewer bytes than a header has.
    #[error("shorter than a header")]
    Truncated,
    /// The two most significant bits are not zero, so it is not STUN.
    #[error("top bits of the message type are set")]
    TopBits,
    /// The magic cookie is absent: RFC 3489, or not STUN at all.
    #[error("no magic cookie")]
    NoCookie,
    /// The length field is not a multiple of 4 or does not match the bytes given.
    #[error("length field does not match the message")]
    Length,
    /// An attribute claims more bytes than the message has left.
    #[error("attribute runs past the end of the message")]
    AttributeOverrun,
    /// More attributes than [`MAX_ATTRIBUTES`](crate::MAX_ATTRIBUTES).
    #[error("too many attributes")]
    TooManyAttributes,
    /// FINGERPRINT is there, but something follows it.
    #[error("fingerprint is not the last attribute")]
    FingerprintNotLast,
    /// FINGERPRINT has a wrong length or a wrong CRC.
    #[error("fingerprint does not match")]
    FingerprintMismatch,
    /// The channel number lies outside 0x4000-0x4FFF.
    #[error("channel number out of range")]
    ChannelNumber,
    /// ChannelData claims more bytes than the datagram has.
    #[error("channel data runs past the end of the datagram")]
    ChannelLength,
}

/// Why the value of an attribute cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
pub enum AttributeError {
    /// The value has not the length that its type asks for.
    #[error("wrong attribute length")]
    Length,
    /// A text is longer than its RFC allows a receiver to accept.
    #[error("attribute text too long")]
    TooLong,
    /// A text is not UTF-8.
    #[error("attribute text is not utf-8")]
    NotUtf8,
    /// An address family other than IPv4 and IPv6.
    #[error("unknown address family")]
    UnknownFamily,
    /// A number is outside of its range, as an error class of 7.
    #[error("attribute value out of range")]
    OutOfRange,
}

/// Why the integrity of a message is not proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
pub enum IntegrityError {
    /// The message does not have the attribute.
    #[error("no integrity attribute")]
    Missing,
    /// The attribute is there, and the key does not fit it.
    #[error("integrity mismatch")]
    Mismatch,
    /// The attribute has a length that cannot be accepted.
    #[error("integrity attribute of a wrong length")]
    BadLength,
}

/// The caller's buffer, or the 16-bit length field, is too small for what is to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
#[error("no room in the buffer")]
pub struct NoRoom;
