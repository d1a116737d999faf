//! USERHASH: finds a user without the name on the wire.
//!
//! Implements RFC 8489 section 14.4.

use sha2::{Digest, Sha256};

/// Returns `SHA-256(user ":" realm)` of [prepared](crate::prepare()) texts.
// [A13]
#[must_use]
pub fn userhash(user: &str, realm: &str) -> [u8; 32] {
    let mut digest = Sha256::new();
    for part in [user, ":", realm] {
        digest.update(part);
    }
    digest.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a13_userhash_is_that_of_the_test_vector() {
        // RFC 8489 appendix B.1.
        let user = "\u{30DE}\u{30C8}\u{30EA}\u{30C3}\u{30AF}\u{30B9}";
        let expected = [
            0x4a, 0x3c, 0xf3, 0x8f, 0xef, 0x69, 0x92, 0xbd, 0xa9, 0x52, 0xc6, 0x78, 0x04, 0x17,
            0xda, 0x0f, 0x24, 0x81, 0x94, 0x15, 0x56, 0x9e, 0x60, 0xb2, 0x05, 0xc4, 0x6e, 0x41,
            0x40, 0x7f, 0x17, 0x04,
        ];
        assert_eq!(userhash(user, "example.org"), expected);
    }
}
