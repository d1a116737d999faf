//! What a world is made of: users, secrets, relay addresses, settings, shards.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use turn_codec::Message;
use turn_codec::attribute::{Userhash, Username};
use turn_credentials::{
    KeyAlgorithm, LongTermKey, TimeLimitedName, prepare, shared_secret_password, userhash,
};
use turn_engine::{
    Keyring, Limits, PeerPolicy, RelayAddress, RelaySettings, Settings, TimeLimitedRules,
    UserSecret,
};

use crate::addresses::{RELAY4, RELAY6, SERVER4, SERVER6};

/// The server's configuration, as far as a world needs it.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Shards.
    pub shards: u8,
    /// Ports of each relay address.
    pub ports: RangeInclusive<u16>,
    /// Everything but the keyring, which is made of the fields below.
    pub settings: Settings,
    /// How time-limited names are read.
    pub rules: TimeLimitedRules,
    /// Seed of all randomness.
    pub seed: u64,
    users: Vec<User>,
    secrets: Vec<String>,
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
        let here = |address| RelayAddress { bound: address, advertised: address };
        let addresses = vec![here(RELAY4), here(RELAY6)];
        let settings = Settings {
            realm: "example.org".into(),
            relay: RelaySettings { addresses, ..RelaySettings::default() },
            peers: PeerPolicy { endpoints: vec![SERVER4, SERVER6], ..PeerPolicy::default() },
            limits: Limits::default(),
            ..Settings::default()
        };
        Self {
            shards: 1,
            // Few, so that looking at all of them after each step is cheap.
            ports: 49_152..=49_407,
            settings,
            rules: TimeLimitedRules::default(),
            seed: 1,
            users: Vec::new(),
            secrets: Vec::new(),
        }
    }
}

impl Setup {
    /// Adds a static user; `only` leaves the server with a single key.
    pub fn add_user(&mut self, name: &str, password: &str, only: Option<KeyAlgorithm>) {
        self.users.push(User { name: name.into(), password: password.into(), only });
    }

    /// Removes every static user.
    pub fn clear_users(&mut self) {
        self.users.clear();
    }

    /// Takes these shared secrets instead of those before.
    pub fn set_secrets(&mut self, secrets: &[&str]) {
        self.secrets = secrets.iter().map(|&secret| secret.into()).collect();
    }

    /// The settings as the engines take them.
    pub(crate) fn build(&self) -> Settings {
        let mut settings = self.settings.clone();
        let realm = &self.settings.realm;
        let mut keyring = Keyring::new(self.rules);
        for User { name, password, only } in &self.users {
            let secret = match only {
                None => UserSecret::Password(password),
                Some(algorithm) => {
                    UserSecret::Key(LongTermKey::derive(*algorithm, name, realm, password))
                }
            };
            keyring.add_user(realm, name, &secret).expect("a user name that can be prepared");
        }
        self.secrets.iter().for_each(|secret| keyring.add_secret(secret.as_bytes()));
        settings.keyring = keyring;
        let relays = settings.relay.addresses.iter();
        let own = relays.flat_map(|relay| [relay.bound, relay.advertised]);
        settings.peers.own.extend(own.chain([SERVER4.ip(), SERVER6.ip()]));
        settings
    }

    /// The password that whoever has this name was given.
    pub(crate) fn password_of(&self, name: &str) -> String {
        let user = self.users.iter().find(|user| user.name == name);
        match (user, self.secrets.first()) {
            (Some(user), _) => user.password.clone(),
            (None, Some(secret)) => {
                shared_secret_password(secret.as_bytes(), name).as_str().to_owned()
            }
            (None, None) => "a password of nobody".into(),
        }
    }

    /// Whose quota a request counts toward.
    pub(crate) fn account_of(&self, request: &Message<'_>) -> String {
        let name = match (request.get::<Username<'_>>(), request.get::<Userhash<'_>>()) {
            (Ok(Some(Username(name))), _) => prepare(name).map_or_else(|_| name.into(), Into::into),
            (_, Ok(Some(Userhash(hash)))) => {
                let realm = &self.settings.realm;
                let user = self.users.iter().find(|user| userhash(&user.name, realm) == *hash);
                user.map(|user| user.name.clone()).unwrap_or_default()
            }
            (_, _) => String::new(),
        };
        if self.users.iter().any(|user| user.name == name) {
            return name;
        }
        match TimeLimitedName::parse(&name, self.rules.separator) {
            Some(limited) => format!("limited {}", limited.userid.unwrap_or_default()),
            None => name,
        }
    }

    /// The bound form of an address that may be an advertised one of ours.
    pub(crate) fn bound_form(&self, address: IpAddr) -> IpAddr {
        let mut relays = self.settings.relay.addresses.iter();
        relays.find(|relay| relay.advertised == address).map_or(address, |relay| relay.bound)
    }

    /// The advertised form of an address that may be a bound one of ours.
    pub(crate) fn advertised_form(&self, address: IpAddr) -> IpAddr {
        let mut relays = self.settings.relay.addresses.iter();
        relays.find(|relay| relay.bound == address).map_or(address, |relay| relay.advertised)
    }
}
