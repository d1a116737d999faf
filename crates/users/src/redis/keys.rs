//! Names of keys.

use crate::RealmOption;

/// All managed credentials that are not deleted, by [`member`]; every score is 0.
pub(super) const CREDENTIALS: &str = "turnserver/credentials";
/// The disabled ones; the score is the time, in Unix seconds.
pub(super) const DISABLED: &str = "turnserver/disabled";
/// Those that were deleted of late, likewise.
pub(super) const DELETED: &str = "turnserver/deleted";
/// Every key that [`Listed`] knows, and hardly another: those of users end with `y`.
pub(super) const OF_REALMS: &str = "turn/realm/*[^y]";
/// Every origin.
pub(super) const OF_ORIGINS: &str = "turn/origin/*";

/// What the catalogue is made of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Listed {
    Secrets(String),
    AllowedPeers(String),
    DeniedPeers(String),
    MaxBps(String),
    TotalQuota(String),
    UserQuota(String),
    Origin(String),
}

impl Listed {
    /// Nothing for a key that the catalogue does not hold.
    pub(super) fn parse(key: &str) -> Option<Self> {
        if let Some(origin) = key.strip_prefix("turn/origin/") {
            return Some(Self::Origin(origin.to_owned()));
        }
        let (realm, kind) = key.strip_prefix("turn/realm/")?.rsplit_once('/')?;
        let of: fn(String) -> Self = match kind {
            "secret" => Self::Secrets,
            "allowed-peer-ip" => Self::AllowedPeers,
            "denied-peer-ip" => Self::DeniedPeers,
            "max-bps" => Self::MaxBps,
            "total-quota" => Self::TotalQuota,
            "user-quota" => Self::UserQuota,
            _ => return None,
        };
        Some(of(realm.to_owned()))
    }

    /// All that a realm can have.
    pub(super) fn of_realm(realm: &str) -> [Self; 6] {
        let realm = || realm.to_owned();
        [
            Self::Secrets(realm()),
            Self::AllowedPeers(realm()),
            Self::DeniedPeers(realm()),
            Self::MaxBps(realm()),
            Self::TotalQuota(realm()),
            Self::UserQuota(realm()),
        ]
    }

    pub(super) fn key(&self) -> String {
        match self {
            Self::Secrets(realm) => secrets(realm),
            Self::AllowedPeers(realm) => format!("turn/realm/{realm}/allowed-peer-ip"),
            Self::DeniedPeers(realm) => format!("turn/realm/{realm}/denied-peer-ip"),
            Self::MaxBps(realm) => option(realm, RealmOption::MaxBps),
            Self::TotalQuota(realm) => option(realm, RealmOption::TotalQuota),
            Self::UserQuota(realm) => option(realm, RealmOption::UserQuota),
            Self::Origin(name) => origin(name),
        }
    }
}

pub(super) fn user(realm: &str, user: &str) -> String {
    format!("turn/realm/{realm}/user/{user}/key")
}

/// All users, or those of a realm.
pub(super) fn users(realm: Option<&str>) -> String {
    user(&realm.map_or_else(|| "*".to_owned(), literally), "*")
}

/// Realm and name of a user's key.
pub(super) fn parse_user(key: &str) -> Option<(String, String)> {
    let rest = key.strip_prefix("turn/realm/")?.strip_suffix("/key")?;
    let (realm, user) = rest.split_once("/user/")?;
    Some((realm.to_owned(), user.to_owned()))
}

pub(super) fn sha256(realm: &str, user: &str) -> String {
    format!("turnserver/realm/{realm}/user/{user}/sha256")
}

pub(super) fn secrets(realm: &str) -> String {
    format!("turn/realm/{realm}/secret")
}

pub(super) fn option(realm: &str, option: RealmOption) -> String {
    format!("turn/realm/{realm}/{}", option.as_str())
}

pub(super) fn origin(origin: &str) -> String {
    format!("turn/origin/{origin}")
}

/// Slashes in names make two credentials share a key: its hash says whose it is.
pub(super) fn credential(realm: &str, user: &str) -> String {
    format!("turnserver/credential/{realm}/{user}")
}

/// A credential in a sorted set: ordered by user, then by realm.
pub(super) fn member(realm: &str, user: &str) -> String {
    format!("{user}\0{realm}")
}

/// Realm and user of a member.
pub(super) fn parse_member(member: &str) -> Option<(String, String)> {
    let (user, realm) = member.split_once('\0')?;
    Some((realm.to_owned(), user.to_owned()))
}

/// A pattern that this text alone matches.
fn literally(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for letter in text.chars() {
        if matches!(letter, '*' | '?' | '[' | ']' | '\\' | '^') {
            pattern.push('\\');
        }
        pattern.push(letter);
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_the_catalogue_are_told_apart() {
        for listed in Listed::of_realm("north.gov") {
            assert_eq!(Listed::parse(&listed.key()), Some(listed));
        }
        let origin = Listed::Origin("http://crinna.org:80".to_owned());
        assert_eq!(Listed::parse("turn/origin/http://crinna.org:80"), Some(origin));
        for key in ["turn/realm/r/user/u/key", "turn/oauth/kid/k", "turn/realm/secret", ""] {
            assert_eq!(Listed::parse(key), None, "{key}");
        }
    }

    #[test]
    fn a_users_key_is_read_back() {
        for (realm, name) in [("r", "u"), ("r", "a/b"), ("r", "a/key"), ("", "u")] {
            let parsed = parse_user(&user(realm, name));
            assert_eq!(parsed, Some((realm.to_owned(), name.to_owned())));
        }
    }

    #[test]
    fn a_member_is_ordered_by_user() {
        assert!(member("z", "ann") < member("a", "ann1"));
        assert_eq!(parse_member(&member("r", "u")), Some(("r".to_owned(), "u".to_owned())));
    }

    #[test]
    fn a_realm_is_no_pattern() {
        assert_eq!(users(Some("a*[b]")), "turn/realm/a\\*\\[b\\]/user/*/key");
        assert_eq!(users(None), "turn/realm/*/user/*/key");
    }
}
