//! Who is looked up.

use std::sync::Arc;

/// A user of a realm; cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Name(Arc<(Box<str>, Box<str>)>);

/// RFC 8489 section 14.3: USERNAME is under 509 bytes; no longer name is anybody's.
const LONGEST_USER: usize = 509;

impl Name {
    /// Nothing where no store can know a user of this length.
    pub(super) fn new(realm: &str, user: &str) -> Option<Self> {
        (user.len() <= LONGEST_USER).then(|| Self(Arc::new((realm.into(), user.into()))))
    }

    pub(super) fn realm(&self) -> &str {
        &self.0.0
    }

    pub(super) fn user(&self) -> &str {
        &self.0.1
    }
}
