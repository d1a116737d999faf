//! Amounts that somebody wants to be told of.

use std::fmt;

use crate::{Day, Party};

/// When a party's bytes of both directions reach an amount within a period, a webhook is called
/// once. Users and managed credentials are those of one realm; a tenant, a label and a realm are
/// their name's.
#[derive(Clone, PartialEq, Eq)]
pub struct Threshold {
    /// Bytes of both directions.
    pub bytes: u64,
    /// Whose bytes.
    pub per: Per,
    /// Only this one; nothing: each.
    pub name: Option<String>,
    /// Counted from its first day, in UTC.
    pub period: Period,
    /// The URL that is called. It may hold a secret and is never shown.
    pub webhook: String,
    /// Sent as a bearer token. Never shown.
    pub token: Option<String>,
}

/// Whose bytes are added up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Per {
    /// A user of a realm.
    User,
    /// A managed credential of a realm.
    Credential,
    /// A label.
    Label,
    /// A tenant.
    Tenant,
    /// A realm.
    Realm,
}

/// How long bytes are added up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Period {
    /// A day of UTC.
    Day,
    /// A month of UTC.
    Month,
}

/// One that has bytes of its own: a name, and the realm that it belongs to where it does.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Subject {
    /// Empty where the name stands for itself.
    pub(crate) realm: String,
    pub(crate) name: String,
}

impl Per {
    /// Its name, in the configuration and in what a webhook gets.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Credential => "credential",
            Self::Label => "label",
            Self::Tenant => "tenant",
            Self::Realm => "realm",
        }
    }

    /// Whether the same name is somebody else in another realm.
    pub(crate) const fn is_of_a_realm(self) -> bool {
        match self {
            Self::User | Self::Credential => true,
            Self::Label | Self::Tenant | Self::Realm => false,
        }
    }
}

impl Period {
    /// Its name, in the configuration and in what a webhook gets.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Month => "month",
        }
    }

    /// The first day of the period that `day` is in.
    pub(crate) fn start(self, day: Day) -> Day {
        match self {
            Self::Day => day,
            Self::Month => day.month(),
        }
    }
}

impl Threshold {
    /// Whom the bytes of `party` count for here.
    pub(crate) fn subject(&self, party: &Party) -> Option<Subject> {
        let name = match self.per {
            Per::User => Some(&party.user).filter(|user| *user != Party::OTHERS),
            Per::Credential => party.credential.as_ref(),
            Per::Label => party.label.as_ref(),
            Per::Tenant => party.tenant.as_ref(),
            Per::Realm => Some(&party.realm),
        };
        let name = name.filter(|name| !name.is_empty())?;
        if self.name.as_ref().is_some_and(|only| only != name) {
            return None;
        }
        let realm = if self.per.is_of_a_realm() { party.realm.clone() } else { String::new() };
        Some(Subject { realm, name: name.clone() })
    }

    /// Tells it from every other threshold, and stays the same over restarts; a hash (FNV-1a), so
    /// that the database holds no URL.
    pub(crate) fn mark(&self) -> i64 {
        let bytes = self.bytes.to_string();
        let name = self.name.as_deref().unwrap_or_default();
        let parts = [self.per.as_str(), self.period.as_str(), &bytes, name, &self.webhook];
        let hash = parts
            .iter()
            .flat_map(|part| part.bytes().chain([0xff]))
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            });
        hash.cast_signed()
    }
}

impl fmt::Debug for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Threshold")
            .field("bytes", &self.bytes)
            .field("per", &self.per)
            .field("name", &self.name)
            .field("period", &self.period)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_those_of_a_realm_and_tenants_stand_for_themselves() {
        let party = Party {
            realm: "a.example".to_owned(),
            tenant: Some("app".to_owned()),
            user: "ann".to_owned(),
            ..Party::default()
        };
        let of = |per, name: Option<&str>| threshold(per, name).subject(&party);
        let subject = |realm: &str, name: &str| {
            Some(Subject { realm: realm.to_owned(), name: name.to_owned() })
        };
        assert_eq!(of(Per::User, None), subject("a.example", "ann"));
        assert_eq!(of(Per::User, Some("bob")), None);
        assert_eq!(of(Per::Tenant, Some("app")), subject("", "app"));
        assert_eq!(of(Per::Realm, None), subject("", "a.example"));
        assert_eq!(of(Per::Label, None), None);
        assert_eq!(of(Per::Credential, None), None);
        let others = party.clone().others();
        assert_eq!(threshold(Per::User, None).subject(&others), None);
    }

    #[test]
    fn no_secret_is_shown() {
        let shown = format!("{:?}", threshold(Per::User, None));
        assert!(!shown.contains("hook") && !shown.contains("t0ken"), "{shown}");
    }

    #[test]
    fn marks_tell_thresholds_apart() {
        let one = threshold(Per::User, None);
        let other = Threshold { webhook: "https://other.example".to_owned(), ..one.clone() };
        assert_ne!(one.mark(), other.mark());
        assert_eq!(one.mark(), threshold(Per::User, None).mark());
    }

    fn threshold(per: Per, name: Option<&str>) -> Threshold {
        Threshold {
            bytes: 10,
            per,
            name: name.map(str::to_owned),
            period: Period::Month,
            webhook: "https://hook.example/s3cret".to_owned(),
            token: Some("t0ken".to_owned()),
        }
    }
}
