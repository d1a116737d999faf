//! What a world is made of: realms with users and secrets, relay addresses, settings, shards.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;

use turn_codec::Message;
use turn_codec::attribute::{Userhash, Username};
use turn_credentials::{
    KeyAlgorithm, LongTermKey, TimeLimitedName, prepare, shared_secret_password, userhash,
};
use turn_engine::{
    FoundUser, KeyAnswer, Keyring, PeerPolicy, Realm, RealmId, RelayAddress, RelaySettings,
    Settings, Tenant, TenantId, TimeLimitedRules, UserSecret,
};

use crate::addresses::{RELAY4, RELAY6, SERVER4, SERVER6};
use crate::reference::Account;

/// The server's configuration, as far as a world needs it.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Shards.
    pub shards: u8,
    /// Ports of each relay address.
    pub ports: RangeInclusive<u16>,
    /// Everything but the keyrings, which are made of the fields below.
    pub settings: Settings,
    /// How time-limited names are read.
    pub rules: TimeLimitedRules,
    /// Seed of all randomness.
    pub seed: u64,
    /// Of each realm.
    credentials: Vec<Credentials>,
}

#[derive(Debug, Clone, Default)]
struct Credentials {
    users: Vec<User>,
    secrets: Vec<(String, Option<TenantId>)>,
    /// There is a credential store; whether all its users have SHA-256 keys.
    stores: Option<bool>,
    stored: Vec<StoredUser>,
}

/// A user that the credential store knows.
#[derive(Debug, Clone)]
struct StoredUser {
    name: String,
    password: String,
    /// Everything but the keys.
    terms: FoundUser,
}

#[derive(Debug, Clone)]
struct User {
    name: String,
    password: String,
    /// Only the key of this algorithm is known to the server.
    only: Option<KeyAlgorithm>,
}

impl Default for Setup {
    fn default() -> Self {
        let here = |address| RelayAddress::new(address, address);
        let addresses = vec![here(RELAY4), here(RELAY6)];
        let settings = Settings {
            realms: Vec::new(),
            relay: RelaySettings { addresses, ..RelaySettings::default() },
            ..Settings::default()
        };
        let mut setup = Self {
            shards: 1,
            // Few, so that looking at all of them after each step is cheap.
            ports: 49_152..=49_407,
            settings,
            rules: TimeLimitedRules::default(),
            seed: 1,
            credentials: Vec::new(),
        };
        setup.add_realm("example.org");
        setup
    }
}

impl Setup {
    /// Adds a realm that nobody may use yet.
    pub fn add_realm(&mut self, name: &str) -> RealmId {
        let peers = PeerPolicy { endpoints: vec![SERVER4, SERVER6], ..PeerPolicy::default() };
        self.settings.realms.push(Realm { peers, ..Realm::new(name) });
        self.credentials.push(Credentials::default());
        RealmId(u16::try_from(self.settings.realms.len() - 1).expect("few realms"))
    }

    /// Takes a realm out of the configuration; its place stays.
    pub fn remove_realm(&mut self, id: RealmId) {
        let name = self.realm_of(id).name.clone();
        *self.realm_of(id) = Realm::removed(&name);
        *self.credentials_of(id) = Credentials::default();
    }

    /// The default realm.
    pub fn realm(&mut self) -> &mut Realm {
        self.realm_of(RealmId(0))
    }

    /// A realm.
    ///
    /// # Panics
    /// When there is no such realm.
    pub fn realm_of(&mut self, id: RealmId) -> &mut Realm {
        self.settings.realms.get_mut(usize::from(id.0)).expect("a realm of this world")
    }

    /// Adds a static user; `only` leaves the server with a single key.
    pub fn add_user(&mut self, name: &str, password: &str, only: Option<KeyAlgorithm>) {
        self.add_user_in(RealmId(0), name, password, only);
    }

    /// Adds a static user of a realm.
    pub fn add_user_in(
        &mut self,
        realm: RealmId,
        name: &str,
        password: &str,
        only: Option<KeyAlgorithm>,
    ) {
        let user = User { name: name.into(), password: password.into(), only };
        self.credentials_of(realm).users.push(user);
    }

    /// Removes every static user of the default realm.
    pub fn clear_users(&mut self) {
        self.credentials_of(RealmId(0)).users.clear();
    }

    /// Takes these shared secrets of the default realm instead of those before.
    pub fn set_secrets(&mut self, secrets: &[&str]) {
        let secrets = secrets.iter().map(|&secret| (secret.into(), None)).collect();
        self.credentials_of(RealmId(0)).secrets = secrets;
    }

    /// Adds a tenant with a shared secret to a realm.
    pub fn add_tenant(&mut self, realm: RealmId, secret: &str, tenant: Tenant) -> TenantId {
        let tenants = &mut self.realm_of(realm).tenants;
        tenants.push(tenant);
        let id = TenantId(u16::try_from(tenants.len() - 1).expect("few tenants"));
        self.credentials_of(realm).secrets.push((secret.into(), Some(id)));
        id
    }

    /// Has the host of a realm's engine asked for names that are not configured; `sha256`: every
    /// user of the store has a SHA-256 key.
    pub fn ask_stores(&mut self, realm: RealmId, sha256: bool) {
        self.credentials_of(realm).stores = Some(sha256);
    }

    /// Adds a user to the store of a realm, whose keys are made of the password.
    pub fn add_stored(&mut self, realm: RealmId, name: &str, password: &str, terms: FoundUser) {
        let user = StoredUser { name: name.into(), password: password.into(), terms };
        self.credentials_of(realm).stored.push(user);
    }

    /// Takes a user out of the store of a realm.
    pub fn remove_stored(&mut self, realm: RealmId, name: &str) {
        self.credentials_of(realm).stored.retain(|user| user.name != name);
    }

    /// What the store says of a name.
    pub(crate) fn look_up(&self, realm: RealmId, name: &str) -> KeyAnswer {
        let credentials = self.credentials_in(realm);
        let Some(user) = credentials.stored.iter().find(|user| user.name == name) else {
            return KeyAnswer::Unknown;
        };
        let of_realm = &self.settings.realm(realm).name;
        let key = |algorithm| LongTermKey::derive(algorithm, name, of_realm, &user.password);
        KeyAnswer::Found(FoundUser {
            md5: Some(key(KeyAlgorithm::Md5)),
            sha256: credentials.stores.filter(|has| *has).map(|_| key(KeyAlgorithm::Sha256)),
            ..user.terms.clone()
        })
    }

    /// The settings as the engines take them.
    pub(crate) fn build(&self) -> Settings {
        let mut settings = self.settings.clone();
        let relays = settings.relay.addresses.iter();
        let own: Vec<_> = relays.flat_map(|relay| [relay.bound, relay.advertised]).collect();
        for (realm, credentials) in settings.realms.iter_mut().zip(&self.credentials) {
            realm.keyring = credentials.keyring(&realm.name, self.rules);
            realm.peers.own.extend(own.iter().copied().chain([SERVER4.ip(), SERVER6.ip()]));
        }
        settings
    }

    /// The password that whoever has this name was given; a time-limited name has its tenant's.
    pub(crate) fn password_of(
        &self,
        realm: RealmId,
        tenant: Option<TenantId>,
        name: &str,
    ) -> String {
        let Credentials { users, secrets, stored, .. } = self.credentials_in(realm);
        let user = users.iter().find(|user| user.name == name);
        if let Some(user) = stored.iter().find(|user| user.name == name) {
            return user.password.clone();
        }
        let secret = secrets.iter().find(|(_, of)| *of == tenant);
        match (user, secret) {
            (Some(user), _) => user.password.clone(),
            (None, Some((secret, _))) => {
                shared_secret_password(secret.as_bytes(), name).as_str().to_owned()
            }
            (None, None) => "a password of nobody".into(),
        }
    }

    /// Whose quota a request counts toward, when its client speaks to this realm with the secret of
    /// this tenant.
    pub(crate) fn account_of(
        &self,
        realm: RealmId,
        tenant: Option<TenantId>,
        request: &Message<'_>,
    ) -> Account {
        let Credentials { users, stored, .. } = self.credentials_in(realm);
        let name = match (request.get::<Username<'_>>(), request.get::<Userhash<'_>>()) {
            (Ok(Some(Username(name))), _) => prepare(name).map_or_else(|_| name.into(), Into::into),
            (_, Ok(Some(Userhash(hash)))) => {
                let realm = &self.settings.realm(realm).name;
                let user = users.iter().find(|user| userhash(&user.name, realm) == *hash);
                user.map(|user| user.name.clone()).unwrap_or_default()
            }
            (_, _) => String::new(),
        };
        let is_stored = stored.iter().any(|user| user.name == name);
        if is_stored || users.iter().any(|user| user.name == name) {
            return Account { realm, tenant: None, user: name };
        }
        let user = match TimeLimitedName::parse(&name, self.rules.separator) {
            Some(limited) => format!("limited {}", limited.userid.unwrap_or_default()),
            None => name,
        };
        Account { realm, tenant, user }
    }

    /// The bound form of an address that may be an advertised one of ours.
    pub(crate) fn bound_form(&self, address: IpAddr) -> IpAddr {
        let mut relays = self.settings.relay.addresses.iter();
        let is_it =
            |relay: &&RelayAddress| relay.advertised == address || relay.former.contains(&address);
        relays.find(is_it).map_or(address, |relay| relay.bound)
    }

    /// What a transport address that may be a bound one of ours is and was advertised as.
    pub(crate) fn advertised_forms(&self, address: SocketAddr) -> Vec<SocketAddr> {
        let mut relays = self.settings.relay.addresses.iter();
        let Some(relay) = relays.find(|relay| relay.bound == address.ip()) else {
            return vec![address];
        };
        let forms = std::iter::once(&relay.advertised).chain(&relay.former);
        forms.map(|form| SocketAddr::new(*form, address.port())).collect()
    }

    fn credentials_in(&self, realm: RealmId) -> &Credentials {
        self.credentials.get(usize::from(realm.0)).expect("a realm of this world")
    }

    fn credentials_of(&mut self, realm: RealmId) -> &mut Credentials {
        self.credentials.get_mut(usize::from(realm.0)).expect("a realm of this world")
    }
}

impl Credentials {
    fn keyring(&self, realm: &str, rules: TimeLimitedRules) -> Keyring {
        let mut keyring = Keyring::new(rules);
        for User { name, password, only } in &self.users {
            let secret = match only {
                None => UserSecret::Password(password),
                Some(algorithm) => {
                    UserSecret::Key(LongTermKey::derive(*algorithm, name, realm, password))
                }
            };
            keyring.add_user(realm, name, &secret).expect("a user name that can be prepared");
        }
        if let Some(sha256) = self.stores {
            keyring.ask_stores(sha256);
        }
        for (secret, tenant) in &self.secrets {
            keyring.add_secret(secret.as_bytes(), *tenant);
        }
        keyring
    }
}
