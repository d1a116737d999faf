//! What a reload changes.

use std::collections::BTreeMap;
use std::fmt;

use crate::config::Config;
use crate::entries::{Entries, Secrets, Written};

/// A key whose value differs between two configurations. The values, which may be secrets, are
/// not told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its path: `limits.allocations`, `realms."b.example".auth.users`, or `realms."b.example"`
    /// where all of a realm came or went.
    pub key: String,
    /// What a reload makes of it.
    pub effect: Effect,
}

/// What a reload makes of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    /// It takes effect.
    Applied,
    /// It takes effect at the next start.
    NeedsRestart,
}

/// Keys that a running server keeps as they were: sockets are bound and threads are started once.
const NEEDS_RESTART: [&str; 14] = [
    "shards",
    "listen",
    "relay.addresses",
    "relay.ports",
    "relay.latency_budget",
    "relay.dscp",
    "admin.socket",
    "admin.address",
    "metrics.address",
    "metrics.redis_statsdb",
    "credentials.address",
    "credentials.tls",
    "usage.path",
    "log.target",
];

/// The keys that differ between `old` and `new`, in the order of their sections.
pub fn changes(old: &Config, new: &Config) -> Vec<Change> {
    let (old, new) = (Flat::new(old), Flat::new(new));
    let mut keys: Vec<&String> = new.order.iter().collect();
    keys.extend(old.order.iter().filter(|key| !new.values.contains_key(*key)));
    let mut changes: Vec<Change> = Vec::new();
    for key in keys {
        if old.values.get(key) == new.values.get(key) {
            continue;
        }
        let key = match realm_of(key) {
            Some(realm) if old.has_realm(realm) != new.has_realm(realm) => realm.to_owned(),
            _ => key.clone(),
        };
        if changes.iter().all(|change| change.key != key) {
            changes.push(Change { effect: effect(&key), key });
        }
    }
    changes
}

fn effect(key: &str) -> Effect {
    if NEEDS_RESTART.contains(&key) { Effect::NeedsRestart } else { Effect::Applied }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key)
    }
}

/// Every key of a configuration with what is written behind it.
struct Flat {
    order: Vec<String>,
    /// Several values: one for each of a list.
    values: BTreeMap<String, Vec<Written>>,
}

impl Flat {
    fn new(config: &Config) -> Self {
        let entries: Entries = config.entries(Secrets::Revealed);
        let mut flat = Self { order: Vec::new(), values: BTreeMap::new() };
        for section in entries.sections() {
            for (key, written) in &section.keys {
                let path = match section.header.as_str() {
                    "" => (*key).to_owned(),
                    header if section.is_item => header.to_owned(),
                    header => format!("{header}.{key}"),
                };
                if !flat.values.contains_key(&path) {
                    flat.order.push(path.clone());
                }
                flat.values.entry(path).or_default().push(written.clone());
            }
        }
        flat
    }

    fn has_realm(&self, realm: &str) -> bool {
        self.values.contains_key(&format!("{realm}.server_names"))
    }
}

/// The `realms.NAME` that `key` begins with.
fn realm_of(key: &str) -> Option<&str> {
    if !key.starts_with("realms.") {
        return None;
    }
    // No key below a realm has a dot or quote in its name, so the name ends before one of these.
    [".auth.", ".peers.", ".limits.", ".relay.", ".server_names"]
        .iter()
        .filter_map(|below| key.rfind(below))
        .max()
        .and_then(|end| key.get(..end))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::path::Path;

    use super::*;
    use crate::document::from_str;

    fn between(old: &str, new: &str) -> Vec<(String, Effect)> {
        let read = |text| from_str(text, Path::new("t")).unwrap();
        let changes = changes(&read(old), &read(new));
        changes.into_iter().map(|change| (change.key, change.effect)).collect()
    }

    fn applied(key: &str) -> (String, Effect) {
        (key.to_owned(), Effect::Applied)
    }

    fn needs_restart(key: &str) -> (String, Effect) {
        (key.to_owned(), Effect::NeedsRestart)
    }

    #[test]
    fn equal_configurations_have_no_changes() {
        assert_eq!(between("", ""), []);
        assert_eq!(between("[limits]\nallocations = 'off'", ""), []);
    }

    #[test]
    fn a_changed_key_is_named_once_with_its_effect() {
        let old = "[auth]\nsecrets = ['one']\n[limits]\nallocations = 4";
        let new = "shards = 3\n[auth]\nsecrets = ['two', 'three']\n[limits]\nallocations = 5";
        assert_eq!(
            between(old, new),
            [needs_restart("shards"), applied("auth.secrets"), applied("limits.allocations")]
        );
    }

    #[test]
    fn a_listener_that_came_changes_the_list() {
        let one = "[[listen]]\naddress = '0.0.0.0:3478'\n";
        let two = format!("{one}[[listen]]\naddress = '0.0.0.0:3479'\n");
        assert_eq!(between(one, &two), [needs_restart("listen")]);
        assert_eq!(between("", one), [needs_restart("listen")]);
    }

    #[test]
    fn a_value_that_is_no_longer_written_is_a_change() {
        let old = "[relay]\naddresses = ['192.0.2.1']\n[metrics]\naddress = '127.0.0.1:1'";
        assert_eq!(
            between(old, ""),
            [needs_restart("relay.addresses"), needs_restart("metrics.address")]
        );
    }

    #[test]
    fn a_listener_of_credentials_comes_and_goes_with_a_restart_and_its_keys_with_a_reload() {
        let old = "[auth]\nsecrets = ['north wind']\n[credentials]\naddress = '127.0.0.1:1'\n\
                   server_keys = [{ id = 'a', key = '0123456789abcdef' }]";
        let auth = "[auth]\nsecrets = ['north wind']";
        assert!(between(auth, old).contains(&needs_restart("credentials.address")));
        assert!(between(old, auth).contains(&needs_restart("credentials.address")));
        let new = old.replace("abcdef", "fedcba") + "\nttl = '5m'\nrate = 'off'";
        assert_eq!(
            between(old, &new),
            [
                applied("credentials.ttl"),
                applied("credentials.rate"),
                applied("credentials.server_keys")
            ]
        );
    }

    #[test]
    fn stores_usage_and_public_addresses_follow_a_reload_but_for_their_files() {
        let new = "[auth]\nstores = ['sqlite:///a.db']\n[relay]\nexternal = 'auto'\n\
                   [metrics]\nredis_statsdb = 'redis://h/1'\n[usage]\npath = '/u.db'\nkeep = '1d'";
        assert_eq!(
            between("", new),
            [
                applied("relay.external"),
                applied("auth.stores"),
                needs_restart("metrics.redis_statsdb"),
                needs_restart("usage.path"),
                applied("usage.keep"),
            ]
        );
    }

    #[test]
    fn a_realm_that_came_or_went_is_one_change() {
        let realm = "[realms.'b.example'.auth]\nusers = { ann = 'pw' }";
        assert_eq!(between("", realm), [applied("realms.\"b.example\"")]);
        assert_eq!(between(realm, ""), [applied("realms.\"b.example\"")]);
        assert_eq!(
            between(realm, &realm.replace("pw", "qw")),
            [applied("realms.\"b.example\".auth.users")]
        );
    }

    #[test]
    fn the_name_of_a_realm_may_look_like_its_keys() {
        let realm = |limit| format!("[realms.'a.limits.b'.limits]\nallocations = {limit}");
        assert_eq!(
            between(&realm(1), &realm(2)),
            [applied("realms.\"a.limits.b\".limits.allocations")]
        );
        assert_eq!(between(&realm(1), ""), [applied("realms.\"a.limits.b\"")]);
    }

    #[test]
    fn a_change_shows_no_secret() {
        let users = |password| format!("[auth]\nusers = {{ ann = '{password}' }}");
        let read = |text: String| from_str(&text, Path::new("t")).unwrap();
        let changes = changes(&read(users("hunter2")), &read(users("hunter3")));
        assert_eq!(changes.len(), 1);
        assert!(!format!("{changes:?}").contains("hunter"));
    }
}
