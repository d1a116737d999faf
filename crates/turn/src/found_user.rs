//! A user whom a credential store knows: what the host brings for
//! [`Action::FindKey`](crate::Action::FindKey).
//!
//! RFC 8489 section 9.2.4 with keys from elsewhere. The engine keeps of them what the live
//! allocations of the user need, and nothing more: the next Allocate is asked for again.

use std::fmt;
use std::sync::Arc;

use turn_credentials::{KeyAlgorithm, LongTermKey, UnixSeconds};

use crate::rate::Bandwidth;

/// What a credential store says of a name.
#[derive(Debug, Clone)]
pub enum KeyAnswer {
    /// It is this user.
    Found(FoundUser),
    /// Nobody has this name: the same 401 as for a wrong password.
    Unknown,
    /// The store is down or too slow, or too much is asked at once: 500, and never 401.
    Unavailable,
}

/// A user of a credential store.
#[derive(Clone, Default)]
pub struct FoundUser {
    /// MD5 of user:realm:password.
    pub md5: Option<LongTermKey>,
    /// SHA-256 of the same.
    pub sha256: Option<LongTermKey>,
    /// The credential ends then: afterwards it opens nothing, and with `strict_expiry` what it has
    /// opened ends with it.
    pub expiry: Option<UnixSeconds>,
    /// Limits of its own.
    pub limits: UserLimits,
    /// What is said of the user in reports.
    pub marks: Option<Arc<Marks>>,
}

/// Limits of one user, beside those of its realm: the smaller of both binds. `None`: as the realm
/// has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UserLimits {
    /// Allocations at a time.
    pub allocations: Option<u32>,
    /// Payload of all its allocations, each direction.
    pub bandwidth: Option<Bandwidth>,
    /// Payload of one allocation, each direction.
    pub bandwidth_per_allocation: Option<Bandwidth>,
}

/// What usage is counted under, beside the user's name: carried to reports, not judged.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Marks {
    /// The label that the operator gave it.
    pub label: Option<Box<str>>,
    /// The managed credential's name.
    pub credential: Option<Box<str>>,
}

impl FoundUser {
    pub(crate) fn key(&self, algorithm: KeyAlgorithm) -> Option<&LongTermKey> {
        match algorithm {
            KeyAlgorithm::Md5 => self.md5.as_ref(),
            KeyAlgorithm::Sha256 => self.sha256.as_ref(),
        }
    }
}

impl UserLimits {
    /// Kept with an allocation only where there are any.
    pub(crate) fn shared(self) -> Option<Arc<Self>> {
        (self != Self::default()).then(|| Arc::new(self))
    }
}

impl fmt::Debug for FoundUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // [A17] Which keys there are, and none of them.
        f.debug_struct("FoundUser")
            .field("has_md5", &self.md5.is_some())
            .field("has_sha256", &self.sha256.is_some())
            .field("expiry", &self.expiry)
            .field("limits", &self.limits)
            .field("marks", &self.marks)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a17_debug_output_of_a_found_user_holds_no_key() {
        let md5 = LongTermKey::md5("ann", "example.org", "hunter2");
        let shown = format!(
            "{:?}",
            KeyAnswer::Found(FoundUser { md5: Some(md5.clone()), ..FoundUser::default() })
        );
        assert!(shown.contains("has_md5: true"), "{shown}");
        let bytes = md5.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert!(!shown.contains(&bytes) && !shown.contains("hunter2"), "{shown}");
    }
}
