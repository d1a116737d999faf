//! Passwords that follow from a user name and a secret shared with the application.
//!
//! Implements draft-uberti-behave-turn-rest section 2.2: the password of a time-limited name
//! is `base64(HMAC-SHA1(secret, name))`.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use zeroize::Zeroize;

use crate::UnixSeconds;

/// A derived password; wiped when dropped, never printed.
#[derive(Clone)]
pub struct SharedSecretPassword([u8; BASE64_LEN]);

/// Base64 of the 20 bytes of an HMAC-SHA1.
const BASE64_LEN: usize = 28;

impl SharedSecretPassword {
    /// Returns the password as a client has it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Base64 is ASCII.
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl Drop for SharedSecretPassword {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for SharedSecretPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedSecretPassword(..)")
    }
}

/// Returns the password of a name, whole as it is on the wire.
#[must_use]
pub fn shared_secret_password(secret: &[u8], username: &str) -> SharedSecretPassword {
    #[expect(clippy::expect_used, reason = "HMAC hashes a key that is longer than a block")]
    let mut mac =
        <Hmac<Sha1> as KeyInit>::new_from_slice(secret).expect("hmac takes keys of any length");
    mac.update(username.as_bytes());
    let mut text = [0; BASE64_LEN];
    #[expect(clippy::expect_used, reason = "20 bytes are 28 characters")]
    STANDARD
        .encode_slice(mac.finalize().into_bytes(), &mut text)
        .expect("base64 of 20 bytes has 28 characters");
    SharedSecretPassword(text)
}

/// Makes a name that ends at `expiry`, in the form `expiry:userid`, and its password.
#[must_use]
pub fn mint(
    secret: &[u8],
    userid: Option<&str>,
    expiry: UnixSeconds,
    separator: char,
) -> (String, String) {
    let UnixSeconds(seconds) = expiry;
    let username = match userid {
        Some(userid) => format!("{seconds}{separator}{userid}"),
        None => seconds.to_string(),
    };
    let password = shared_secret_password(secret, &username).as_str().to_owned();
    (username, password)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TimeLimitedName;

    #[test]
    fn password_is_the_base64_of_the_hmac() {
        // RFC 2202 case 2: HMAC-SHA1("Jefe", "what do ya want for nothing?")
        // = effcdf6ae5eb2fa2d27416d5f184df9c259a7c79.
        let password = shared_secret_password(b"Jefe", "what do ya want for nothing?");
        assert_eq!(password.as_str(), "7/zfauXrL6LSdBbV8YTfnCWafHk=");
        assert_eq!(format!("{password:?}"), "SharedSecretPassword(..)");
    }

    #[test]
    fn minted_name_and_password_belong_together() {
        for userid in [Some("ann"), None] {
            let (username, password) = mint(b"secret", userid, UnixSeconds(1_700_000_000), ':');
            let name = TimeLimitedName::parse(&username, ':').unwrap();
            assert_eq!(name, TimeLimitedName { expiry: UnixSeconds(1_700_000_000), userid });
            assert_eq!(shared_secret_password(b"secret", &username).as_str(), password);
            assert_ne!(shared_secret_password(b"other", &username).as_str(), password);
        }
    }

    #[test]
    fn secrets_of_any_length_work() {
        for len in [0, 1, 64, 65, 1000] {
            let secret = vec![7; len];
            assert_eq!(shared_secret_password(&secret, "17:ann").as_str().len(), BASE64_LEN);
        }
    }
}
