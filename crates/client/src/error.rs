//! What can go wrong between a client and its server.

use std::io;
use std::net::SocketAddr;

use thiserror::Error;
use turn_codec::attribute::{AlternateServer, ErrorCode, UnknownAttributes};
use turn_codec::{AttributeType, Message, NoRoom, StatusCode};

use crate::operation::{optional, required};

/// Why an operation has no result.
#[derive(Debug, Error)]
pub enum Error {
    /// Nothing that could be used came back in time.
    #[error("no answer in time")]
    Timeout,
    /// The server answered with an error response.
    #[error("refused with {:?}", .0.code)]
    Refused(Refusal),
    /// Answers came, and none of them was proven to come from the server.
    #[error("integrity of every response was violated")]
    BadIntegrity,
    /// A response lacks this attribute, has it malformed, or has it where none is known.
    #[error("malformed response: {0:?}")]
    Malformed(AttributeType),
    /// The offer of algorithms was taken out on the way (RFC 8489 section 9.2.5).
    #[error("bid-down: the password algorithms that were announced are not there")]
    BidDown,
    /// The server offers only password algorithms that are not known here.
    #[error("no password algorithm in common with the server")]
    NoCommonAlgorithm,
    /// A request or an indication is longer than a message can be.
    #[error("message too long")]
    NoRoom(#[from] NoRoom),
    /// The socket, or the source of randomness, failed.
    #[error("i/o: {0}")]
    Io(#[from] io::Error),
}

impl Error {
    /// Returns the code of an error response, where this is one.
    #[must_use]
    pub const fn code(&self) -> Option<StatusCode> {
        match self {
            Self::Refused(refusal) => Some(refusal.code),
            Self::Timeout
            | Self::BadIntegrity
            | Self::Malformed(_)
            | Self::BidDown
            | Self::NoCommonAlgorithm
            | Self::NoRoom(_)
            | Self::Io(_) => None,
        }
    }
}

/// An error response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// ERROR-CODE.
    pub code: StatusCode,
    /// The reason phrase; often empty.
    pub reason: String,
    /// UNKNOWN-ATTRIBUTES, which a 420 carries.
    pub unknown_attributes: Vec<AttributeType>,
    /// ALTERNATE-SERVER, which a 300 carries.
    pub alternate_server: Option<SocketAddr>,
    /// Whether the response carried integrity that was proven.
    pub is_authenticated: bool,
}

impl Refusal {
    pub(crate) fn read(message: &Message<'_>, is_authenticated: bool) -> Result<Self, Error> {
        let ErrorCode { code, reason } = required(message)?;
        let unknown = optional::<UnknownAttributes<'_>>(message)?;
        let alternate = optional::<AlternateServer>(message)?;
        Ok(Self {
            code,
            reason: reason.to_owned(),
            unknown_attributes: unknown.map_or_else(Vec::new, |list| list.iter().collect()),
            alternate_server: alternate.map(|server| server.0),
            is_authenticated,
        })
    }
}
