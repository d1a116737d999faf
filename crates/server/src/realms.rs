//! Which number each realm and each tenant has, the same for as long as the server runs.
//!
//! Live allocations, links and counters name realms and tenants by number. Invariant: a name keeps
//! its number over every reload, those that were removed included; number 0 is the default realm,
//! whatever it is called.

use turn_config::{Auth, Config, SharedSecret};
use turn_engine::{RealmId, TenantId};

/// The numbers given out so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Registry {
    realms: Vec<Entry>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    name: String,
    tenants: Vec<String>,
}

/// More realms or tenants than there are numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more than 65,535 realms or tenants of one realm since the start; restart the server")]
pub struct Full;

impl Registry {
    /// These numbers, and new ones for what `config` names for the first time.
    ///
    /// # Errors
    /// [`Full`].
    pub fn extended(&self, config: &Config) -> Result<Self, Full> {
        let mut registry = self.clone();
        match registry.realms.first_mut() {
            Some(default) => default.name.clone_from(&config.realm),
            None => registry.realms.push(Entry::new(&config.realm)),
        }
        for realm in &config.realms {
            // Number 0 may bear the name of a realm that was or will be one of its own.
            if !registry.realms.iter().skip(1).any(|known| known.name == realm.name) {
                registry.realms.push(Entry::new(&realm.name));
            }
        }
        for (index, entry) in registry.realms.iter_mut().enumerate() {
            let secrets = match index {
                0 => secrets(&config.auth),
                _ => config
                    .realms
                    .iter()
                    .find(|realm| realm.name == entry.name)
                    .map_or(&[][..], |realm| realm.auth.secrets.as_slice()),
            };
            for tenant in secrets.iter().filter_map(|secret| secret.tenant.as_ref()) {
                if !entry.tenants.contains(tenant) {
                    entry.tenants.push(tenant.clone());
                }
            }
        }
        let most = usize::from(u16::MAX);
        let is_full = registry.realms.len() > most
            || registry.realms.iter().any(|realm| realm.tenants.len() > most);
        if is_full { Err(Full) } else { Ok(registry) }
    }

    /// The number of the realm of this name, other than number 0 unless no other has it.
    pub fn realm(&self, name: &str) -> Option<RealmId> {
        let named = |(_, entry): &(usize, &Entry)| entry.name == name;
        let mut realms = self.realms.iter().enumerate();
        let index = match realms.clone().skip(1).find(named) {
            Some((index, _)) => index,
            None => realms.find(named)?.0,
        };
        u16::try_from(index).ok().map(RealmId)
    }

    /// The number of a tenant of a realm.
    pub fn tenant(&self, realm: RealmId, name: &str) -> Option<TenantId> {
        let tenants = &self.realms.get(usize::from(realm.0))?.tenants;
        let index = tenants.iter().position(|tenant| tenant == name)?;
        u16::try_from(index).ok().map(TenantId)
    }

    /// The name of a realm; empty for a number that was never given out.
    pub fn realm_name(&self, realm: RealmId) -> &str {
        self.realms.get(usize::from(realm.0)).map_or("", |entry| entry.name.as_str())
    }

    /// The name of a tenant.
    pub fn tenant_name(&self, realm: RealmId, tenant: TenantId) -> Option<&str> {
        let entry = self.realms.get(usize::from(realm.0))?;
        entry.tenants.get(usize::from(tenant.0)).map(String::as_str)
    }

    /// Every realm's name in the order of its number, and its tenants' names likewise.
    pub fn realms(&self) -> impl ExactSizeIterator<Item = (&str, &[String])> {
        self.realms.iter().map(|entry| (entry.name.as_str(), entry.tenants.as_slice()))
    }
}

impl Entry {
    fn new(name: &str) -> Self {
        Self { name: name.to_owned(), tenants: Vec::new() }
    }
}

fn secrets(auth: &Auth) -> &[SharedSecret] {
    &auth.secrets
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::path::Path;

    use super::*;

    const TWO: &str = "
        realm = 'a.example'
        [auth]
        secrets = ['plain', { secret = 'one', tenant = 'app' }, { secret = 'two', tenant = 'app' }]
        [realms.'b.example'.auth]
        secrets = [{ secret = 'three', tenant = 'app' }, { secret = 'four', tenant = 'web' }]
        [realms.'c.example'.auth]
        users = { ann = 'secret' }";

    #[test]
    fn realms_and_tenants_are_numbered_in_their_order() {
        let registry = Registry::default().extended(&config(TWO)).unwrap();
        let realm = |name| registry.realm(name).map(|id| id.0);
        assert_eq!([realm("a.example"), realm("b.example")], [Some(0), Some(1)]);
        assert_eq!(realm("no.example"), None);
        assert_eq!(registry.tenant(RealmId(1), "web"), Some(TenantId(1)));
        assert_eq!(registry.tenant(RealmId(0), "web"), None);
        assert_eq!(registry.tenant_name(RealmId(0), TenantId(0)), Some("app"));
        assert_eq!(registry.realm_name(RealmId(2)), "c.example");
        assert_eq!(registry.realm_name(RealmId(9)), "");
    }

    #[test]
    fn a_name_keeps_its_number_when_others_go_and_come() {
        let first = Registry::default().extended(&config(TWO)).unwrap();
        let only_c = "realm = 'other'\n[realms.'c.example'.auth]\nusers = { ann = 'secret' }";
        let second = first.extended(&config(only_c)).unwrap();
        assert_eq!(second.realm("c.example"), Some(RealmId(2)));
        assert_eq!(second.realm("other"), Some(RealmId(0)));
        assert_eq!(second.realm("b.example"), Some(RealmId(1)));
        let third = second.extended(&config(TWO)).unwrap();
        assert_eq!(third, first);
    }

    #[test]
    fn the_default_realm_may_take_the_name_of_one_that_was_removed() {
        let first = Registry::default().extended(&config(TWO)).unwrap();
        let renamed = first.extended(&config("realm = 'b.example'")).unwrap();
        assert_eq!(renamed.realm_name(RealmId(0)), "b.example");
        assert_eq!(renamed.realms().len(), 3);
    }

    fn config(text: &str) -> Config {
        turn_config::from_str(text, Path::new("t")).unwrap()
    }
}
