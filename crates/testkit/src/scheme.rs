//! How a client proves itself: what RFC 5389 has, or what RFC 8489 adds.

use turn_credentials::KeyAlgorithm;

/// The choices that a client has with long-term credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scheme {
    /// PASSWORD-ALGORITHMS is sent back with this choice; `None` is a client of RFC 5389,
    /// whose keys are MD5.
    pub algorithm: Option<KeyAlgorithm>,
    /// MESSAGE-INTEGRITY is sent.
    pub sha1: bool,
    /// MESSAGE-INTEGRITY-SHA256 is sent.
    pub sha256: bool,
    /// USERHASH stands for USERNAME.
    pub userhash: bool,
    /// FINGERPRINT is sent.
    pub fingerprint: bool,
}

impl Scheme {
    /// What browsers do today.
    pub const BROWSER: Self =
        Self { algorithm: None, sha1: true, sha256: false, userhash: false, fingerprint: false };

    /// RFC 8489 with this key and MESSAGE-INTEGRITY-SHA256.
    pub const fn rfc8489(algorithm: KeyAlgorithm) -> Self {
        Self { algorithm: Some(algorithm), sha1: false, sha256: true, ..Self::BROWSER }
    }

    /// The algorithm of the key.
    pub fn key_algorithm(&self) -> KeyAlgorithm {
        self.algorithm.unwrap_or(KeyAlgorithm::Md5)
    }
}

impl Default for Scheme {
    fn default() -> Self {
        Self::BROWSER
    }
}
