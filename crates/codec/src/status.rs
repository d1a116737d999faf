//! The error codes of STUN and TURN.
//!
//! Implements RFC 8489 section 14.8, RFC 8656 section 19, RFC 6062 section 6.3 and
//! RFC 8016 section 5.

use core::fmt;

/// An error code: 300 to 699.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StatusCode(u16);

impl StatusCode {
    /// 300: another server will do (RFC 8489).
    pub const TRY_ALTERNATE: Self = Self(300);
    /// 400 (RFC 8489).
    pub const BAD_REQUEST: Self = Self(400);
    /// 401 (RFC 8489).
    pub const UNAUTHENTICATED: Self = Self(401);
    /// 403: the request is valid, policy forbids it (RFC 8656).
    pub const FORBIDDEN: Self = Self(403);
    /// 405 (RFC 8016).
    pub const MOBILITY_FORBIDDEN: Self = Self(405);
    /// 420: comprehension-required attributes that are not known (RFC 8489).
    pub const UNKNOWN_ATTRIBUTE: Self = Self(420);
    /// 437: an allocation where none should be, or none where one should be (RFC 8656).
    pub const ALLOCATION_MISMATCH: Self = Self(437);
    /// 438 (RFC 8489).
    pub const STALE_NONCE: Self = Self(438);
    /// 440 (RFC 8656).
    pub const ADDRESS_FAMILY_NOT_SUPPORTED: Self = Self(440);
    /// 441: not the credentials that made the allocation (RFC 8656).
    pub const WRONG_CREDENTIALS: Self = Self(441);
    /// 442 (RFC 8656).
    pub const UNSUPPORTED_TRANSPORT: Self = Self(442);
    /// 443 (RFC 8656).
    pub const PEER_ADDRESS_FAMILY_MISMATCH: Self = Self(443);
    /// 446 (RFC 6062).
    pub const CONNECTION_ALREADY_EXISTS: Self = Self(446);
    /// 447 (RFC 6062).
    pub const CONNECTION_TIMEOUT_OR_FAILURE: Self = Self(447);
    /// 486 (RFC 8656).
    pub const ALLOCATION_QUOTA_REACHED: Self = Self(486);
    /// 500 (RFC 8489).
    pub const SERVER_ERROR: Self = Self(500);
    /// 508 (RFC 8656).
    pub const INSUFFICIENT_CAPACITY: Self = Self(508);

    /// Returns the code, or `None` outside 300 to 699.
    #[must_use]
    pub const fn new(code: u16) -> Option<Self> {
        if code >= 300 && code <= 699 { Some(Self(code)) } else { None }
    }

    /// Returns the number.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }

    /// Returns the phrase that the RFC recommends; empty for a code that is not ours.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::TRY_ALTERNATE => "Try Alternate",
            Self::BAD_REQUEST => "Bad Request",
            Self::UNAUTHENTICATED => "Unauthenticated",
            Self::FORBIDDEN => "Forbidden",
            Self::MOBILITY_FORBIDDEN => "Mobility Forbidden",
            Self::UNKNOWN_ATTRIBUTE => "Unknown Attribute",
            Self::ALLOCATION_MISMATCH => "Allocation Mismatch",
            Self::STALE_NONCE => "Stale Nonce",
            Self::ADDRESS_FAMILY_NOT_SUPPORTED => "Address Family not Supported",
            Self::WRONG_CREDENTIALS => "Wrong Credentials",
            Self::UNSUPPORTED_TRANSPORT => "Unsupported Transport Protocol",
            Self::PEER_ADDRESS_FAMILY_MISMATCH => "Peer Address Family Mismatch",
            Self::CONNECTION_ALREADY_EXISTS => "Connection Already Exists",
            Self::CONNECTION_TIMEOUT_OR_FAILURE => "Connection Timeout or Failure",
            Self::ALLOCATION_QUOTA_REACHED => "Allocation Quota Reached",
            Self::SERVER_ERROR => "Server Error",
            Self::INSUFFICIENT_CAPACITY => "Insufficient Capacity",
            _ => "",
        }
    }

    /// Reads the class and number bytes of ERROR-CODE and ADDRESS-ERROR-CODE.
    pub(crate) fn from_wire(class: u8, number: u8) -> Option<Self> {
        // [S12] The upper five bits of the class byte are reserved.
        let class = class & 0x07;
        if number > 99 {
            return None;
        }
        Self::new(u16::from(class) * 100 + u16::from(number))
    }

    /// Returns the class and number bytes.
    pub(crate) fn to_wire(self) -> [u8; 2] {
        #[expect(clippy::cast_possible_truncation, reason = "at most 6, and at most 99")]
        let wire = [(self.0 / 100) as u8, (self.0 % 100) as u8];
        wire
    }
}

impl fmt::Debug for StatusCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0, self.reason())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_survives_the_wire() {
        for code in (300..=699).filter_map(StatusCode::new) {
            let [class, number] = code.to_wire();
            assert_eq!(StatusCode::from_wire(class, number), Some(code));
        }
    }

    #[test]
    fn codes_outside_300_to_699_do_not_exist() {
        for code in [0, 299, 700, u16::MAX] {
            assert_eq!(StatusCode::new(code), None);
        }
        for class in [0, 1, 2, 7] {
            assert_eq!(StatusCode::from_wire(class, 0), None);
        }
        assert_eq!(StatusCode::from_wire(4, 100), None);
    }

    #[test]
    fn s12_reserved_bits_of_the_class_are_ignored() {
        assert_eq!(StatusCode::from_wire(0xFC, 1), Some(StatusCode::UNAUTHENTICATED));
    }

    #[test]
    fn codes_have_the_phrases_of_their_rfcs() {
        assert_eq!(StatusCode::ALLOCATION_MISMATCH.reason(), "Allocation Mismatch");
        assert_eq!(StatusCode::new(699).map(StatusCode::reason), Some(""));
        assert_eq!(std::format!("{:?}", StatusCode::STALE_NONCE), "438 Stale Nonce");
    }
}
