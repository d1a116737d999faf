//! The long-term key: what client and server share instead of the password.
//!
//! Implements RFC 8489 sections 9.2.2 and 18.5.1.

use std::fmt;

use md5::Md5;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use thiserror::Error;
use turn_codec::attribute::PasswordAlgorithmId;
use zeroize::Zeroize;

/// How a key was made out of a password; independent of the HMAC that uses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyAlgorithm {
    /// 16 bytes; the only one of RFC 5389.
    Md5,
    /// 32 bytes; RFC 8489.
    Sha256,
}

impl KeyAlgorithm {
    /// Returns the algorithm that a PASSWORD-ALGORITHM names, if it is one of ours.
    #[must_use]
    pub const fn from_id(id: PasswordAlgorithmId) -> Option<Self> {
        match id {
            PasswordAlgorithmId::MD5 => Some(Self::Md5),
            PasswordAlgorithmId::SHA256 => Some(Self::Sha256),
            PasswordAlgorithmId(_) => None,
        }
    }

    /// Returns the number that PASSWORD-ALGORITHM uses.
    #[must_use]
    pub const fn id(self) -> PasswordAlgorithmId {
        match self {
            Self::Md5 => PasswordAlgorithmId::MD5,
            Self::Sha256 => PasswordAlgorithmId::SHA256,
        }
    }

    /// Returns the length of a key in bytes.
    #[must_use]
    pub const fn key_len(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha256 => MAX_KEY_LEN,
        }
    }
}

/// Why a text is not a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
pub enum KeyError {
    /// Not as many digits as the algorithm's key needs.
    #[error("key has a wrong number of hex digits")]
    Length,
    /// A character that is not a hex digit.
    #[error("key has a character that is not a hex digit")]
    NotHex,
}

/// A key; 33 bytes, wiped when dropped.
#[derive(Clone)]
pub struct LongTermKey {
    /// Only the first `algorithm.key_len()` are used.
    bytes: [u8; MAX_KEY_LEN],
    algorithm: KeyAlgorithm,
}

const MAX_KEY_LEN: usize = 32;

impl LongTermKey {
    /// Makes a key out of [prepared](crate::prepare()) texts.
    #[must_use]
    pub fn derive(algorithm: KeyAlgorithm, user: &str, realm: &str, password: &str) -> Self {
        match algorithm {
            KeyAlgorithm::Md5 => Self::md5(user, realm, password),
            KeyAlgorithm::Sha256 => Self::sha256(user, realm, password),
        }
    }

    /// Makes an MD5 key: `MD5(user ":" realm ":" password)` of prepared texts.
    #[must_use]
    pub fn md5(user: &str, realm: &str, password: &str) -> Self {
        Self::hash::<Md5>(KeyAlgorithm::Md5, [user, ":", realm, ":", password])
    }

    /// Makes a SHA-256 key: `SHA-256(user ":" realm ":" password)` of prepared texts.
    #[must_use]
    pub fn sha256(user: &str, realm: &str, password: &str) -> Self {
        Self::hash::<Sha256>(KeyAlgorithm::Sha256, [user, ":", realm, ":", password])
    }

    /// Reads a key that was made elsewhere; digits of either case.
    ///
    /// # Errors
    ///
    /// [`KeyError`] where it is not exactly the hex form of a key of this algorithm.
    pub fn from_hex(algorithm: KeyAlgorithm, hex: &str) -> Result<Self, KeyError> {
        if hex.len() != algorithm.key_len() * 2 {
            return Err(KeyError::Length);
        }
        let mut key = Self { bytes: [0; MAX_KEY_LEN], algorithm };
        let (pairs, _) = hex.as_bytes().as_chunks::<2>();
        for (byte, [high, low]) in key.bytes.iter_mut().zip(pairs) {
            *byte = hex_digit(*high)? << 4 | hex_digit(*low)?;
        }
        Ok(key)
    }

    /// Returns the key as an HMAC takes it: 16 or 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.algorithm.key_len()).unwrap_or_default()
    }

    /// Returns how the key was made.
    #[must_use]
    pub const fn algorithm(&self) -> KeyAlgorithm {
        self.algorithm
    }

    /// Compares two keys in a time that does not depend on their bytes.
    #[must_use]
    pub fn ct_eq(&self, other: &Self) -> bool {
        let same_bytes = self.bytes.ct_eq(&other.bytes);
        self.algorithm == other.algorithm && same_bytes.into()
    }

    fn hash<D: Digest>(algorithm: KeyAlgorithm, parts: [&str; 5]) -> Self {
        let mut digest = D::new();
        for part in parts {
            digest.update(part);
        }
        let mut key = Self { bytes: [0; MAX_KEY_LEN], algorithm };
        for (byte, hashed) in key.bytes.iter_mut().zip(digest.finalize()) {
            *byte = hashed;
        }
        key
    }
}

impl Drop for LongTermKey {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

impl fmt::Debug for LongTermKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LongTermKey(..)")
    }
}

const fn hex_digit(digit: u8) -> Result<u8, KeyError> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        b'A'..=b'F' => Ok(digit - b'A' + 10),
        _ => Err(KeyError::NotHex),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: &str = "\u{30DE}\u{30C8}\u{30EA}\u{30C3}\u{30AF}\u{30B9}";

    #[test]
    fn md5_key_is_that_of_the_rfc() {
        // RFC 8489 section 9.2.2 has this example.
        let key = LongTermKey::md5("user", "realm", "pass");
        assert_eq!(key.as_bytes(), 0x8493_FBC5_3BA5_82FB_4C04_4C45_6BDC_40EB_u128.to_be_bytes());
        assert_eq!(key.algorithm(), KeyAlgorithm::Md5);
    }

    #[test]
    fn keys_of_the_test_vectors_are_made() {
        let md5 = LongTermKey::md5(USER, "example.org", "TheMatrIX");
        let hex = "e8ca7ad59d5eb0518e312911d2dab2a9";
        assert!(md5.ct_eq(&LongTermKey::from_hex(KeyAlgorithm::Md5, hex).unwrap()));
        let sha256 = LongTermKey::sha256(USER, "example.org", "TheMatrIX");
        assert_eq!(sha256.as_bytes().len(), 32);
    }

    #[test]
    fn a10_key_length_follows_the_algorithm() {
        for algorithm in [KeyAlgorithm::Md5, KeyAlgorithm::Sha256] {
            let key = LongTermKey::derive(algorithm, "ann", "example.org", "secret");
            assert_eq!(key.algorithm(), algorithm);
            assert_eq!(key.as_bytes().len(), algorithm.key_len());
            assert_eq!(KeyAlgorithm::from_id(algorithm.id()), Some(algorithm));
        }
        assert_eq!(KeyAlgorithm::from_id(PasswordAlgorithmId(3)), None);
    }

    #[test]
    fn hex_form_is_read_in_either_case() {
        let hex = "00ff0a1B2c3D4e5F60718293a4B5c6D7";
        let key = LongTermKey::from_hex(KeyAlgorithm::Md5, hex).unwrap();
        let expected = 0x00ff_0a1b_2c3d_4e5f_6071_8293_a4b5_c6d7_u128.to_be_bytes();
        assert_eq!(key.as_bytes(), expected);
    }

    #[test]
    fn hex_form_of_another_length_or_alphabet_is_refused() {
        let refused = |algorithm, hex: &str| LongTermKey::from_hex(algorithm, hex).err();
        for len in (0..70).filter(|len| *len != 32) {
            let hex = "a".repeat(len);
            assert_eq!(refused(KeyAlgorithm::Md5, &hex), Some(KeyError::Length));
        }
        assert_eq!(refused(KeyAlgorithm::Sha256, &"a".repeat(32)), Some(KeyError::Length));
        let with_g = format!("{}g", "a".repeat(31));
        assert_eq!(refused(KeyAlgorithm::Md5, &with_g), Some(KeyError::NotHex));
        let not_ascii = "\u{E9}".repeat(16);
        assert_eq!(refused(KeyAlgorithm::Md5, &not_ascii), Some(KeyError::NotHex));
    }

    #[test]
    fn comparison_needs_bytes_and_algorithm() {
        let ann = LongTermKey::md5("ann", "example.org", "secret");
        assert!(ann.ct_eq(&ann.clone()));
        assert!(!ann.ct_eq(&LongTermKey::md5("ann", "example.org", "Secret")));
        assert!(!ann.ct_eq(&LongTermKey::sha256("ann", "example.org", "secret")));
        let zero = LongTermKey::from_hex(KeyAlgorithm::Md5, &"0".repeat(32)).unwrap();
        let longer_zero = LongTermKey::from_hex(KeyAlgorithm::Sha256, &"0".repeat(64)).unwrap();
        assert!(!zero.ct_eq(&longer_zero));
    }

    #[test]
    fn a17_key_is_small_and_never_printed() {
        let key = LongTermKey::md5("ann", "example.org", "secret");
        assert_eq!(format!("{key:?}"), "LongTermKey(..)");
        assert!(size_of::<LongTermKey>() <= 40);
        assert!(size_of::<Option<LongTermKey>>() <= 40);
    }
}
