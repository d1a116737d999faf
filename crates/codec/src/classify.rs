//! Tells the protocols that share one port apart by their first byte.
//!
//! Implements RFC 7983 section 7 as RFC 8656 section 12 uses it.

/// What a datagram, or the start of a stream, claims to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PacketKind {
    /// First byte 0-3.
    Stun,
    /// First byte 20-63: a DTLS or TLS record.
    Dtls,
    /// First byte 64-79: a channel number of 0x4000-0x4FFF.
    ChannelData,
    /// Nothing that a TURN server knows; also an empty input.
    Unknown,
}

/// Classifies by the first byte alone, without any validation.
// [C5]
#[must_use]
pub const fn classify(bytes: &[u8]) -> PacketKind {
    match bytes.first() {
        Some(0..=3) => PacketKind::Stun,
        Some(20..=63) => PacketKind::Dtls,
        Some(64..=79) => PacketKind::ChannelData,
        Some(_) | None => PacketKind::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c5_first_byte_decides_the_kind() {
        for first in 0..=u8::MAX {
            let expected = if first <= 3 {
                PacketKind::Stun
            } else if (20..=63).contains(&first) {
                PacketKind::Dtls
            } else if (64..=79).contains(&first) {
                PacketKind::ChannelData
            } else {
                PacketKind::Unknown
            };
            assert_eq!(classify(&[first]), expected, "first byte {first}");
            assert_eq!(classify(&[first, 0xff, 0xff, 0xff]), expected);
        }
    }

    #[test]
    fn nothing_is_of_unknown_kind() {
        assert_eq!(classify(&[]), PacketKind::Unknown);
    }
}
