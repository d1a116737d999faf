//! MESSAGE-INTEGRITY and MESSAGE-INTEGRITY-SHA256: proof that the sender knows the key.
//!
//! Implements RFC 8489 sections 14.5 and 14.6. The HMAC runs over the message in front of
//! the attribute, with the header's length rewritten as if the attribute were the last one.
//! Comparison takes the same time whatever the bytes are.

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::Sha256;

use crate::{HEADER_LEN, IntegrityError};

/// Bytes of the value of MESSAGE-INTEGRITY.
pub(crate) const SHA1_LEN: usize = 20;

/// Bytes of the value of MESSAGE-INTEGRITY-SHA256 in TURN, which never truncates it.
pub(crate) const SHA256_LEN: usize = 32;

/// Returns the value of MESSAGE-INTEGRITY behind `covered`.
pub(crate) fn sha1(key: &[u8], covered: &[u8]) -> [u8; SHA1_LEN] {
    hmac_over::<Hmac<Sha1>>(key, covered, SHA1_LEN).finalize().into_bytes().into()
}

/// Returns the value of MESSAGE-INTEGRITY-SHA256 behind `covered`.
pub(crate) fn sha256(key: &[u8], covered: &[u8]) -> [u8; SHA256_LEN] {
    hmac_over::<Hmac<Sha256>>(key, covered, SHA256_LEN).finalize().into_bytes().into()
}

/// Checks the value of a MESSAGE-INTEGRITY behind `covered`.
pub(crate) fn verify_sha1(key: &[u8], covered: &[u8], value: &[u8]) -> Result<(), IntegrityError> {
    if value.len() != SHA1_LEN {
        return Err(IntegrityError::BadLength);
    }
    hmac_over::<Hmac<Sha1>>(key, covered, SHA1_LEN)
        .verify_slice(value)
        .map_err(|_| IntegrityError::Mismatch)
}

/// Checks the value of a MESSAGE-INTEGRITY-SHA256 behind `covered`.
pub(crate) fn verify_sha256(
    key: &[u8],
    covered: &[u8],
    value: &[u8],
) -> Result<(), IntegrityError> {
    // [A11] Section 14.6 lets a usage truncate down to 16 bytes; TURN does not define that,
    // and a shorter tag is only easier to guess.
    if value.len() != SHA256_LEN {
        return Err(IntegrityError::BadLength);
    }
    hmac_over::<Hmac<Sha256>>(key, covered, SHA256_LEN)
        .verify_slice(value)
        .map_err(|_| IntegrityError::Mismatch)
}

/// Runs the HMAC over `covered` with the header length counting an attribute of `tag_len`.
fn hmac_over<M: Mac + KeyInit>(key: &[u8], covered: &[u8], tag_len: usize) -> M {
    #[expect(clippy::expect_used, reason = "HMAC hashes a key that is longer than a block")]
    let mut mac = <M as KeyInit>::new_from_slice(key).expect("hmac takes keys of any length");
    if let Some((&[t0, t1, _, _], rest)) = covered.split_first_chunk::<4>() {
        // [S8] "the Length ... MUST be adjusted to point to the end of the attribute".
        let length = (covered.len() + 4 + tag_len).saturating_sub(HEADER_LEN);
        let [l0, l1] = u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes();
        mac.update(&[t0, t1, l0, l1]);
        mac.update(rest);
    }
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    const COVERED: &[u8; 20] = b"\x00\x01\x00\x00\x21\x12\xA4\x42abcdefghijkl";

    #[test]
    fn s8_length_field_of_the_input_does_not_matter() {
        let mut other = *COVERED;
        other[2] = 0x12;
        other[3] = 0x34;
        assert_eq!(sha1(b"key", COVERED), sha1(b"key", &other));
        assert_eq!(sha256(b"key", COVERED), sha256(b"key", &other));
    }

    #[test]
    fn a11_sha256_tag_of_any_other_length_is_refused() {
        let tag = sha256(b"key", COVERED);
        assert_eq!(verify_sha256(b"key", COVERED, &tag), Ok(()));
        for len in 0..SHA256_LEN {
            let refused = verify_sha256(b"key", COVERED, &tag[..len]);
            assert_eq!(refused, Err(IntegrityError::BadLength), "tag of {len} bytes");
        }
        let long = [tag, tag].concat();
        for len in SHA256_LEN + 1..long.len() {
            let refused = verify_sha256(b"key", COVERED, &long[..len]);
            assert_eq!(refused, Err(IntegrityError::BadLength), "tag of {len} bytes");
        }
    }

    #[test]
    fn sha1_tag_of_any_other_length_is_refused() {
        let tag = sha1(b"key", COVERED);
        assert_eq!(verify_sha1(b"key", COVERED, &tag), Ok(()));
        for len in 0..SHA1_LEN {
            let refused = verify_sha1(b"key", COVERED, &tag[..len]);
            assert_eq!(refused, Err(IntegrityError::BadLength));
        }
    }

    #[test]
    fn keys_of_any_length_work() {
        for len in [0, 1, 16, 32, 63, 64, 65, 500] {
            let key = std::vec![0xAB; len];
            assert_eq!(verify_sha1(&key, COVERED, &sha1(&key, COVERED)), Ok(()));
            assert_eq!(verify_sha256(&key, COVERED, &sha256(&key, COVERED)), Ok(()));
        }
    }
}
