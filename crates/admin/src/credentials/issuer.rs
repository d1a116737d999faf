//! Who makes the credentials that the door hands out: a trait that the binary
//! implements, and plain data each way.

use std::fmt;
use std::time::Duration;

/// Makes time-limited credentials. Synchronous: it costs one HMAC.
pub trait Issuer: Send + Sync + 'static {
    /// One credential, and the URLs where it is good.
    ///
    /// # Errors
    /// [`IssueError`].
    fn issue(&self, wish: Wish) -> Result<Issued, IssueError>;
}

/// What is wanted. Names have been checked by [`is_user_name`] and [`is_tag`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// The realm; none: the default one.
    pub realm: Option<String>,
    /// The tenant whose secret is used; none: the realm's own.
    pub tenant: Option<String>,
    /// The user id; none: the credential names nobody.
    pub user: Option<String>,
    /// What usage is counted under, beside the user.
    pub tag: Option<String>,
    /// For how long it is good.
    pub ttl: Duration,
}

/// A credential. Its Debug form has no password.
#[derive(Clone, PartialEq, Eq)]
pub struct Issued {
    /// What the client sends as its USERNAME.
    pub username: String,
    /// The password.
    pub credential: String,
    /// For how long it is good.
    pub ttl: Duration,
    /// Until when, in seconds since 1970.
    pub expires_at: u64,
    /// `stun:` URLs.
    pub stun: Vec<String>,
    /// `turn:` and `turns:` URLs.
    pub turn: Vec<String>,
}

/// Why there is no credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IssueError {
    /// Nothing to make it with.
    #[error("the realm or tenant of this key has no shared secret")]
    NoSecret,
    /// The key's realm is none of the server's.
    #[error("the realm of this key is not configured")]
    NoRealm,
    /// The server takes no new clients.
    #[error("this server drains and takes no new clients")]
    Draining,
    /// The name cannot be used as a user id.
    #[error("this user name cannot be used in a credential")]
    BadUser,
}

impl IssueError {
    /// What to do about it.
    pub const fn help(self) -> &'static str {
        match self {
            Self::NoSecret => "add one to auth.secrets of that realm, for that tenant",
            Self::NoRealm => "name a realm of the configuration in the key's `realm`, or none",
            Self::Draining => "ask another server, or this one after its restart",
            Self::BadUser => "choose a shorter name without control characters",
        }
    }
}

/// Whether a caller may choose this user name: 1 to 200 bytes, no control
/// character, and no `#`, which stands before the tag.
pub fn is_user_name(name: &str) -> bool {
    (1..=200).contains(&name.len())
        && !name.contains(|character: char| character == '#' || character.is_control())
}

/// Whether this is a tag: 1 to 32 letters, digits, `-`, `_` and `.`.
pub fn is_tag(tag: &str) -> bool {
    let belongs = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (1..=32).contains(&tag.len()) && tag.bytes().all(belongs)
}

impl fmt::Debug for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issued")
            .field("username", &self.username)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_leave_room_for_the_tag_and_tags_are_plain_words() {
        for name in ["alice", "@alice:example.org", "42", "Zoë Q", &"x".repeat(200)] {
            assert!(is_user_name(name), "{name}");
        }
        for name in ["", "a#b", "a\nb", "a\u{7f}", &"x".repeat(201)] {
            assert!(!is_user_name(name), "{name:?}");
        }
        assert!(is_tag("web-2.call_7"));
        for tag in ["", "a b", "a#b", "é", &"x".repeat(33)] {
            assert!(!is_tag(tag), "{tag:?}");
        }
    }

    #[test]
    fn no_debug_form_tells_the_password() {
        let issued = Issued {
            username: "1:alice".to_owned(),
            credential: "hush".to_owned(),
            ttl: Duration::from_secs(60),
            expires_at: 1,
            stun: Vec::new(),
            turn: Vec::new(),
        };
        assert!(!format!("{issued:?}").contains("hush"));
    }
}
