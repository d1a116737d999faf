//! The nonce cookie: what a server announces within its nonce.
//!
//! Implements RFC 8489 sections 9.2 and 18.1. A nonce that starts with `obMatJos2` carries 24
//! feature bits in the next four characters, base64; bit 0 is the most significant.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const COOKIE: &str = "obMatJos2";

/// The security features of a nonce; none where the cookie is absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct SecurityFeatures {
    /// Bit 0: PASSWORD-ALGORITHMS must be there.
    pub(crate) password_algorithms: bool,
    /// Bit 1: USERHASH can be resolved.
    pub(crate) username_anonymity: bool,
}

impl SecurityFeatures {
    pub(crate) fn of(nonce: &str) -> Self {
        let mut bits = [0; 3];
        let text = nonce.strip_prefix(COOKIE).and_then(|rest| rest.get(..4));
        if text.is_none_or(|text| STANDARD.decode_slice(text, &mut bits) != Ok(3)) {
            return Self::default();
        }
        let [first, ..] = bits;
        Self { password_algorithms: first & 0x80 != 0, username_anonymity: first & 0x40 != 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_counted_from_the_most_significant() {
        let features = |password_algorithms, username_anonymity| SecurityFeatures {
            password_algorithms,
            username_anonymity,
        };
        assert_eq!(SecurityFeatures::of("obMatJos2gAAArest"), features(true, false));
        assert_eq!(SecurityFeatures::of("obMatJos2QAAArest"), features(false, true));
        assert_eq!(SecurityFeatures::of("obMatJos2wAAA"), features(true, true));
        assert_eq!(SecurityFeatures::of("obMatJos2AAAA"), features(false, false));
    }

    #[test]
    fn nonce_without_a_whole_cookie_has_no_features() {
        for nonce in [
            "",
            "wAAA",
            "obMatJos",
            "obMatJos2",
            "obMatJos2wAA",
            "obMatJos2w\u{E9}AA",
            "obmatjos2wAAA",
        ] {
            assert_eq!(SecurityFeatures::of(nonce), SecurityFeatures::default(), "{nonce}");
        }
    }
}
