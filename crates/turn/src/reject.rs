//! Why a request is refused, and the one place that says with which code.

use std::net::IpAddr;

use arrayvec::ArrayVec;
use turn_codec::{AttributeError, AttributeType, MAX_ATTRIBUTES, StatusCode};

use crate::limit_name::LimitName;

/// A refusal of an authenticated request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reject {
    /// An attribute is missing, malformed or contradicts another.
    BadRequest,
    /// Comprehension-required attributes that we do not know.
    UnknownAttributes(ArrayVec<AttributeType, MAX_ATTRIBUTES>),
    /// The client's own address or the kind of the allocation forbids it.
    Forbidden,
    /// The peer policy denies this address.
    PeerDenied(IpAddr),
    /// No allocation where one is needed, or one where none may be.
    AllocationMismatch,
    /// The allocation belongs to somebody else.
    WrongCredentials,
    /// We relay no such address family.
    FamilyNotSupported,
    /// The address family does not match the allocation's.
    FamilyMismatch,
    /// We relay no such transport.
    UnsupportedTransport,
    /// A quota of allocations is reached.
    Quota(LimitName),
    /// A bound of the allocation is reached.
    Full(LimitName),
    /// No port, descriptor or reservation.
    InsufficientCapacity,
    /// There is a connection with this peer already.
    ConnectionExists,
    /// The peer refused, or said nothing.
    ConnectionFailed,
}

impl Reject {
    /// The error code (RFC 8656 section 19, RFC 8489 section 14.8, RFC 6062 section 6.3).
    pub(crate) const fn code(&self) -> StatusCode {
        match self {
            Self::BadRequest => StatusCode::BAD_REQUEST,
            Self::UnknownAttributes(_) => StatusCode::UNKNOWN_ATTRIBUTE,
            Self::Forbidden | Self::PeerDenied(_) => StatusCode::FORBIDDEN,
            Self::AllocationMismatch => StatusCode::ALLOCATION_MISMATCH,
            Self::WrongCredentials => StatusCode::WRONG_CREDENTIALS,
            Self::FamilyNotSupported => StatusCode::ADDRESS_FAMILY_NOT_SUPPORTED,
            Self::FamilyMismatch => StatusCode::PEER_ADDRESS_FAMILY_MISMATCH,
            Self::UnsupportedTransport => StatusCode::UNSUPPORTED_TRANSPORT,
            // [T11] RFC 8656 section 7.2: 486 for a quota, 508 for capacity.
            Self::Quota(_) => StatusCode::ALLOCATION_QUOTA_REACHED,
            Self::Full(_) | Self::InsufficientCapacity => StatusCode::INSUFFICIENT_CAPACITY,
            // [X2] RFC 6062 section 5.2.
            Self::ConnectionExists => StatusCode::CONNECTION_ALREADY_EXISTS,
            Self::ConnectionFailed => StatusCode::CONNECTION_TIMEOUT_OR_FAILURE,
        }
    }

    /// The limit that refused, if one did.
    pub(crate) const fn limit(&self) -> Option<LimitName> {
        match self {
            Self::Quota(limit) | Self::Full(limit) => Some(*limit),
            Self::BadRequest
            | Self::UnknownAttributes(_)
            | Self::Forbidden
            | Self::PeerDenied(_)
            | Self::AllocationMismatch
            | Self::WrongCredentials
            | Self::FamilyNotSupported
            | Self::FamilyMismatch
            | Self::UnsupportedTransport
            | Self::InsufficientCapacity
            | Self::ConnectionExists
            | Self::ConnectionFailed => None,
        }
    }
}

impl Reject {
    /// A malformed REQUESTED-ADDRESS-FAMILY: `unknown` where it names a family
    /// that nobody knows.
    pub(crate) fn of_family(error: AttributeError, unknown: Self) -> Self {
        match error {
            AttributeError::UnknownFamily => unknown,
            AttributeError::Length
            | AttributeError::TooLong
            | AttributeError::NotUtf8
            | AttributeError::OutOfRange => Self::BadRequest,
        }
    }
}

impl From<AttributeError> for Reject {
    fn from(_: AttributeError) -> Self {
        Self::BadRequest
    }
}
