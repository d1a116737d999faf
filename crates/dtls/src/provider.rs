//! The library's cryptography, with one function that we answer ourselves: its cookie.
//!
//! The library makes a cookie out of a secret of each handshake object and compares the client's
//! with it. Ours exist before any object does. So, while a verified hello is fed to a new object,
//! the library's question for its cookie gets ours as the answer, and everything else, message and
//! record numbers and the transcript, is as the client has it. `hmac_sha256` serves the cookie and
//! nothing else in the library; key derivation goes through `hmac`.

use std::cell::Cell;

use dimpl::CryptoError;
use dimpl::crypto::{CryptoProvider, HashAlgorithm, HmacProvider, aws_lc_rs};

use crate::cookie::Cookie;

/// The provider that every session's configuration names.
pub(crate) fn crypto() -> CryptoProvider {
    CryptoProvider { hmac_provider: &CookieHmac, ..aws_lc_rs::default_provider() }
}

/// Runs `feed`; where the library asks for a cookie meanwhile, on this thread, it gets this one.
pub(crate) fn with_cookie<T>(cookie: Cookie, feed: impl FnOnce() -> T) -> T {
    let _reset = Reset;
    EXPECTED.set(Some(cookie));
    feed()
}

thread_local! {
    static EXPECTED: Cell<Option<Cookie>> = const { Cell::new(None) };
}

/// Forgets the cookie, also when a feed panics.
struct Reset;

impl Drop for Reset {
    fn drop(&mut self) {
        EXPECTED.set(None);
    }
}

#[derive(Debug)]
struct CookieHmac;

impl HmacProvider for CookieHmac {
    fn hmac_sha256(&self, key: &[u8], data: &[u8]) -> Result<[u8; 32], CryptoError> {
        match EXPECTED.get() {
            Some(Cookie(bytes)) => Ok(bytes),
            None => aws_lc_rs::default_provider().hmac_provider.hmac_sha256(key, data),
        }
    }

    fn hmac(
        &self,
        hash: HashAlgorithm,
        key: &[u8],
        data: &[u8],
        out: &mut [u8],
    ) -> Result<usize, CryptoError> {
        aws_lc_rs::default_provider().hmac_provider.hmac(hash, key, data, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cookie_is_known_within_the_feed_alone() {
        let provider = crypto().hmac_provider;
        let ours = [5; 32];
        let plain = provider.hmac_sha256(b"key", b"data").unwrap();
        assert_ne!(plain, ours);
        let (fed, mut derived) = with_cookie(Cookie(ours), || {
            let mut derived = [0; 32];
            provider.hmac(HashAlgorithm::SHA256, b"key", b"data", &mut derived).unwrap();
            (provider.hmac_sha256(b"key", b"data").unwrap(), derived)
        });
        assert_eq!((fed, derived), (ours, plain));
        derived = provider.hmac_sha256(b"key", b"data").unwrap();
        assert_eq!(derived, plain);
    }
}
