//! FINGERPRINT: a CRC-32 that tells STUN from what else travels on the same port.
//!
//! Implements RFC 8489 section 14.7. It protects nothing; integrity is elsewhere.

/// Bytes of the value of FINGERPRINT.
pub(crate) const FINGERPRINT_LEN: usize = 4;

/// "XOR'ed with the 32-bit value 0x5354554e", so that it differs from a CRC of another protocol.
const FINGERPRINT_XOR: u32 = 0x5354_554E;

/// Returns the value for a message; `covered` is all of it in front of FINGERPRINT, with a
/// header length that counts FINGERPRINT.
pub(crate) fn fingerprint(covered: &[u8]) -> [u8; FINGERPRINT_LEN] {
    let mut crc = crc32fast::Hasher::new();
    crc.update(covered);
    (crc.finalize() ^ FINGERPRINT_XOR).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc_differs_from_a_plain_crc32() {
        // The check value of CRC-32/ISO-HDLC, XOR'ed.
        let expected = (0xCBF4_3926_u32 ^ 0x5354_554E).to_be_bytes();
        assert_eq!(fingerprint(b"123456789"), expected);
    }
}
