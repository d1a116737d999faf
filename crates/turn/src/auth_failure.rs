//! Why somebody was not let in: for logs and counters, never for the answer, which is the same for
//! a stranger and for a wrong password `[A4]`.

/// Why a request with credentials did not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AuthFailure {
    /// Nobody of the realm has this name, and it is no time-limited one.
    UnknownUser,
    /// The user is known, the password is another.
    WrongPassword,
    /// A time-limited name that no shared secret of the realm has made.
    WrongSecret,
    /// A time-limited name whose time is over.
    Expired,
    /// A time-limited name that lives longer than `auth.max_credential_ttl`.
    TooLongLived,
    /// The request names another realm than the one it is sent to.
    WrongRealm,
    /// The nonce is too old, or was made for somebody else.
    StaleNonce,
    /// Credentials half given, or in a form that nothing valid has.
    Malformed,
    /// Too many failures of this name from this source: nothing is judged or answered for a while.
    TooManyAttempts,
    /// The credential stores could not say whose name it is.
    StoreUnavailable,
}

impl AuthFailure {
    /// Every reason.
    pub const ALL: [Self; 10] = [
        Self::UnknownUser,
        Self::WrongPassword,
        Self::WrongSecret,
        Self::Expired,
        Self::TooLongLived,
        Self::WrongRealm,
        Self::StaleNonce,
        Self::Malformed,
        Self::TooManyAttempts,
        Self::StoreUnavailable,
    ];

    /// One word for logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnknownUser => "unknown_user",
            Self::WrongPassword => "wrong_password",
            Self::WrongSecret => "wrong_secret",
            Self::Expired => "expired",
            Self::TooLongLived => "too_long_lived",
            Self::WrongRealm => "wrong_realm",
            Self::StaleNonce => "stale_nonce",
            Self::Malformed => "malformed",
            Self::TooManyAttempts => "too_many_attempts",
            Self::StoreUnavailable => "store_unavailable",
        }
    }
}
