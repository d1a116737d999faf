//! Who the client is, and which algorithms it is ready to use.
//!
//! Implements the choice of RFC 8489 section 9.2 from the client's side; time-limited names
//! follow draft-uberti-behave-turn-rest.

use std::fmt;

use turn_credentials::{PrepareError, UnixSeconds, mint, prepare, shared_secret_password};

/// Which of the server's offers a client takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Algorithms {
    /// MD5 and MESSAGE-INTEGRITY only, as browsers and every client of RFC 5389: the nonce
    /// cookie and PASSWORD-ALGORITHMS are not understood and therefore ignored.
    #[default]
    Classic,
    /// The first known algorithm of the server's list with MESSAGE-INTEGRITY-SHA256, and the
    /// classic pair where no list is offered.
    Sha256,
    /// The same, and USERHASH in place of USERNAME where the server can resolve it.
    Sha256WithUserhash,
}

/// A user name and a password, or nothing for a server that asks for nothing.
#[derive(Clone)]
pub struct Credentials {
    identity: Option<Identity>,
    algorithms: Algorithms,
}

/// User name and password; prepared once a session has them.
#[derive(Clone)]
pub(crate) struct Identity {
    pub(crate) username: String,
    pub(crate) password: String,
}

impl Credentials {
    /// A static user with a password.
    pub fn password(username: impl Into<String>, password: impl Into<String>) -> Self {
        let identity = Identity { username: username.into(), password: password.into() };
        Self { identity: Some(identity), algorithms: Algorithms::default() }
    }

    /// A name `expiry:userid`, or a bare `expiry`, whose password follows from a secret that is
    /// shared with the server.
    #[must_use]
    pub fn time_limited(secret: &[u8], userid: Option<&str>, expiry: UnixSeconds) -> Self {
        let (username, password) = mint(secret, userid, expiry, ':');
        Self::password(username, password)
    }

    /// Any other name whose password follows from a shared secret, such as `userid:expiry`.
    #[must_use]
    pub fn shared_secret(secret: &[u8], username: &str) -> Self {
        let password = shared_secret_password(secret, username);
        Self::password(username, password.as_str())
    }

    /// No credentials: a challenge is a refusal.
    #[must_use]
    pub const fn anonymous() -> Self {
        Self { identity: None, algorithms: Algorithms::Classic }
    }

    /// Chooses the algorithms; without it they are [`Algorithms::Classic`].
    #[must_use]
    pub const fn with(self, algorithms: Algorithms) -> Self {
        let mut this = self;
        this.algorithms = algorithms;
        this
    }

    /// Returns the user name as it was given.
    #[must_use]
    pub fn username(&self) -> Option<&str> {
        Some(&self.identity.as_ref()?.username)
    }

    /// Returns the algorithms that were chosen.
    #[must_use]
    pub const fn algorithms(&self) -> Algorithms {
        self.algorithms
    }

    pub(crate) const fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    /// Applies OpaqueString, as RFC 8489 section 9.2.2 asks for both texts.
    pub(crate) fn prepared(self) -> Result<Self, PrepareError> {
        let identity = self.identity.map(|given| {
            Ok(Identity {
                username: prepare(&given.username)?.into_owned(),
                password: prepare(&given.password)?.into_owned(),
            })
        });
        Ok(Self { identity: identity.transpose()?, algorithms: self.algorithms })
    }
}

impl fmt::Debug for Credentials {
    /// Hides both texts.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({:?}, ..)", self.algorithms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_neither_name_nor_password() {
        let shown = format!("{:?}", Credentials::password("ann", "secret"));
        assert_eq!(shown, "Credentials(Classic, ..)");
    }

    #[test]
    fn time_limited_names_take_their_password_from_the_secret() {
        let minted = Credentials::time_limited(b"shared", Some("ann"), UnixSeconds(1_700_000_000));
        let named = Credentials::shared_secret(b"shared", "1700000000:ann");
        assert_eq!(minted.username(), Some("1700000000:ann"));
        let password = |credentials: &Credentials| credentials.identity().unwrap().password.clone();
        assert_eq!(password(&minted), password(&named));
        let bare = Credentials::time_limited(b"shared", None, UnixSeconds(7));
        assert_eq!(bare.username(), Some("7"));
    }

    #[test]
    fn texts_are_prepared_before_use() {
        let given = Credentials::password("a\u{30A}nn", "pass\u{A0}word");
        let prepared = given.prepared().unwrap();
        assert_eq!(prepared.username(), Some("\u{E5}nn"));
        assert_eq!(prepared.identity().unwrap().password, "pass word");
    }

    #[test]
    fn texts_with_control_characters_are_refused() {
        for (name, password) in [("an\0n", "secret"), ("ann", "sec\nret"), ("", "secret")] {
            assert!(Credentials::password(name, password).prepared().is_err());
        }
        assert!(Credentials::anonymous().prepared().is_ok());
    }
}
