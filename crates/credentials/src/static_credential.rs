//! How a configuration writes the credential of a static user.
//!
//! Implements nothing of an RFC: `"password"`, `"0x"` and 32 hex digits for an MD5 key (as
//! coturn has it), `"sha256:"` and 64 hex digits for a SHA-256 key.

use std::fmt;

use crate::{KeyAlgorithm, KeyError, LongTermKey};

/// A password, or a key that was made of one.
#[derive(Clone)]
pub enum StaticCredential<'a> {
    /// A password, from which any key can be made.
    Password(&'a str),
    /// A key: the password is not known.
    Key(LongTermKey),
}

impl StaticCredential<'_> {
    /// Returns the key of an algorithm; user, realm and password are
    /// [prepared](crate::prepare()). `None` where only a key of another algorithm is known.
    #[must_use]
    pub fn key(&self, algorithm: KeyAlgorithm, user: &str, realm: &str) -> Option<LongTermKey> {
        match self {
            Self::Password(password) => Some(LongTermKey::derive(algorithm, user, realm, password)),
            Self::Key(key) if key.algorithm() == algorithm => Some(key.clone()),
            Self::Key(_) => None,
        }
    }
}

impl fmt::Debug for StaticCredential<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Password(_) => f.write_str("Password(..)"),
            Self::Key(_) => f.write_str("Key(..)"),
        }
    }
}

/// Reads the value that a configuration has for a user.
///
/// # Errors
///
/// [`KeyError`] where a value starts as a key and is none. It is not taken for a password:
/// a mistyped key would become a working one.
pub fn parse_static(value: &str) -> Result<StaticCredential<'_>, KeyError> {
    let key = |algorithm, hex| LongTermKey::from_hex(algorithm, hex).map(StaticCredential::Key);
    if let Some(hex) = value.strip_prefix("0x") {
        key(KeyAlgorithm::Md5, hex)
    } else if let Some(hex) = value.strip_prefix("sha256:") {
        key(KeyAlgorithm::Sha256, hex)
    } else {
        Ok(StaticCredential::Password(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_is_a_password() {
        for text in ["secret", "", "x0", "SHA256:", "0X12"] {
            let read = parse_static(text).unwrap();
            assert!(matches!(read, StaticCredential::Password(password) if password == text));
        }
    }

    #[test]
    fn prefixes_make_a_key_of_their_algorithm() {
        let md5 = format!("0x{}", "1f".repeat(16));
        let StaticCredential::Key(key) = parse_static(&md5).unwrap() else { panic!() };
        assert_eq!((key.algorithm(), key.as_bytes()), (KeyAlgorithm::Md5, &[0x1F; 16][..]));
        let sha256 = format!("sha256:{}", "9a".repeat(32));
        let StaticCredential::Key(key) = parse_static(&sha256).unwrap() else { panic!() };
        assert_eq!((key.algorithm(), key.as_bytes()), (KeyAlgorithm::Sha256, &[0x9A; 32][..]));
    }

    #[test]
    fn a_mistyped_key_is_not_a_password() {
        assert_eq!(parse_static("0x1234").err(), Some(KeyError::Length));
        assert_eq!(parse_static("sha256:").err(), Some(KeyError::Length));
        let not_hex = format!("0x{}", "zz".repeat(16));
        assert_eq!(parse_static(&not_hex).err(), Some(KeyError::NotHex));
    }

    #[test]
    fn a10b_an_md5_key_yields_no_sha256_key() {
        let value = format!("0x{}", "1f".repeat(16));
        let credential = parse_static(&value).unwrap();
        assert!(credential.key(KeyAlgorithm::Md5, "ann", "example.org").is_some());
        assert!(credential.key(KeyAlgorithm::Sha256, "ann", "example.org").is_none());
    }

    #[test]
    fn a10b_a_password_yields_both_keys() {
        let credential = parse_static("secret").unwrap();
        for algorithm in [KeyAlgorithm::Md5, KeyAlgorithm::Sha256] {
            let key = credential.key(algorithm, "ann", "example.org").unwrap();
            assert!(key.ct_eq(&LongTermKey::derive(algorithm, "ann", "example.org", "secret")));
        }
    }

    #[test]
    fn nothing_secret_is_printed() {
        assert_eq!(format!("{:?}", parse_static("secret").unwrap()), "Password(..)");
        let value = format!("0x{}", "1f".repeat(16));
        assert_eq!(format!("{:?}", parse_static(&value).unwrap()), "Key(..)");
    }
}
