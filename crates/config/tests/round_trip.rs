//! What is printed with its secrets reads back as it was, whatever the names and secrets are.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;
use turn_config::{
    Admin, AllocationsPerUser, BitRate, BrowserKey, Config, Credential, Credentials, Discover,
    Drain, Effect, Limit, Listen, ListenAt, LogTarget, Metrics, Per, Period, Privacy, Rate, Realm,
    RealmAuth, Secret, ServerKey, Shards, SharedSecret, SocketPath, StoreSource, TenantLimits,
    Threshold, Transport, Usage, UsagePath, User, changes, from_str,
};

/// A text without control characters, quotes of both kinds among them.
fn text() -> impl Strategy<Value = String> {
    "[\\PC'\"\\\\#]{1,20}"
}

fn secret() -> impl Strategy<Value = Secret> {
    text().prop_map(Secret::new)
}

fn users() -> impl Strategy<Value = Vec<User>> {
    let hex = |digits| {
        let digits = prop::collection::vec(prop::char::range('a', 'f'), digits);
        digits.prop_map(|digits| Secret::new(digits.into_iter().collect::<String>()))
    };
    let credential = prop_oneof![
        // A password that looks like a key is one.
        secret()
            .prop_filter("no key", |text| {
                !text.reveal().starts_with("0x") && !text.reveal().starts_with("sha256:")
            })
            .prop_map(Credential::Password),
        hex(32).prop_map(Credential::Md5Key),
        hex(64).prop_map(Credential::Sha256Key),
    ];
    prop::collection::btree_map(text(), credential, 0..4).prop_map(|users| {
        users.into_iter().map(|(name, credential)| User { name, credential }).collect()
    })
}

fn count() -> impl Strategy<Value = Limit<u32>> {
    prop_oneof![Just(Limit::Off), (1..=u32::MAX).prop_map(Limit::At)]
}

fn bandwidth() -> impl Strategy<Value = Limit<BitRate>> {
    let rate = (8_000..=u64::from(u32::MAX)).prop_map(BitRate::from_bits_per_second);
    prop_oneof![Just(Limit::Off), rate.prop_map(Limit::At)]
}

fn per_user() -> impl Strategy<Value = AllocationsPerUser> {
    prop_oneof![Just(AllocationsPerUser::Auto), count().prop_map(AllocationsPerUser::Each)]
}

fn tenant_limits() -> impl Strategy<Value = TenantLimits> {
    let option = prop::option::of::<BoxedStrategy<Limit<BitRate>>>;
    let each = prop::option::of(per_user());
    (count(), bandwidth(), each, option(bandwidth().boxed()), option(bandwidth().boxed())).prop_map(
        |(allocations, bandwidth, allocations_per_user, per_allocation, per_user)| TenantLimits {
            allocations,
            bandwidth,
            allocations_per_user,
            bandwidth_per_allocation: per_allocation,
            bandwidth_per_user: per_user,
        },
    )
}

fn secrets() -> impl Strategy<Value = Vec<SharedSecret>> {
    // Each secret once, each tenant with limits of its own.
    let tenants = prop::collection::btree_map(text(), tenant_limits(), 1..3);
    let choice = prop::option::of(any::<prop::sample::Index>());
    let all = prop::collection::btree_map(text(), choice, 0..4);
    (tenants, all).prop_map(|(tenants, all)| {
        let tenants: Vec<(String, TenantLimits)> = tenants.into_iter().collect();
        all.into_iter()
            .map(|(text, choice)| match choice.map(|index| index.get(&tenants)) {
                None => SharedSecret::new(text),
                Some((tenant, limits)) => SharedSecret {
                    tenant: Some(tenant.clone()),
                    limits: *limits,
                    ..SharedSecret::new(text)
                },
            })
            .collect()
    })
}

fn realms() -> impl Strategy<Value = Vec<Realm>> {
    let auth = (users(), secrets(), any::<bool>(), any::<bool>());
    let realm = (auth, count(), per_user(), bandwidth());
    prop::collection::btree_map(text(), realm, 0..3).prop_map(|realms| {
        let realm = |(index, (name, (auth, count, per_user, bandwidth)))| {
            let mut limits = Config::default().limits.of_realm();
            limits.allocations = count;
            limits.allocations_per_user = per_user;
            limits.bandwidth_per_realm = bandwidth;
            let (users, secrets, anonymous, strict_expiry) = auth;
            Realm {
                name,
                server_names: vec![format!("turn{index}.example.org")],
                auth: RealmAuth {
                    users,
                    secrets,
                    separator: '|',
                    anonymous,
                    strict_expiry,
                    max_credential_ttl: Limit::At(Duration::from_secs(90)),
                },
                peers: Config::default().peers,
                limits,
                relay_addresses: Vec::new(),
                default_family: None,
            }
        };
        realms.into_iter().enumerate().map(realm).collect()
    })
}

fn stores(word: &str, flag: bool) -> Vec<StoreSource> {
    let callback = StoreSource {
        token: flag.then(|| Secret::new(format!("token-{word}"))),
        sha256_keys: flag,
        ..StoreSource::new(format!("https://{word}/turn-auth?key={word}"))
    };
    vec![
        StoreSource::new(format!("sqlite:///var/{word}.db")),
        StoreSource::new(format!("postgres://{word}:%22{word}'@[::1]:5432/turn")),
        callback,
    ]
}

fn discover(word: &str, flag: bool) -> Vec<Discover> {
    match flag {
        true => vec![Discover::Stun(None), Discover::Dns(format!("{word}.example"))],
        false => vec![Discover::Metadata, Discover::Stun(Some(format!("{word}:3479")))],
    }
}

fn usage(word: &str, seconds: u64) -> Usage {
    let threshold = |bytes, per, name: Option<&str>, period| Threshold {
        bytes,
        per,
        name: name.map(str::to_owned),
        period,
        webhook: Secret::new(format!("https://{word}/{word}")),
        token: name.map(|name| Secret::new(name.replace('\'', ""))),
    };
    Usage {
        path: if seconds.is_multiple_of(2) {
            UsagePath::Off
        } else {
            UsagePath::At(format!("/var/{word}").into())
        },
        keep: Duration::from_secs(86_400),
        keep_log: Duration::from_secs(2 * 86_400),
        thresholds: vec![
            threshold(1_000 + seconds, Per::User, None, Period::Day),
            threshold(1 << 40, Per::Label, Some("it's"), Period::Month),
            threshold(1 << 40, Per::Label, None, Period::Month),
        ],
    }
}

/// One of the realm at the top, without a tenant: a store brings its secret.
fn credentials(word: &str, token: &Secret, events: u32) -> Credentials {
    Credentials {
        address: SocketAddr::from(([0; 4], 8443)),
        tls: Some(false),
        host: Some(format!("{word}.example")),
        ttl: Duration::from_secs(60),
        max_ttl: Duration::from_secs(120),
        rate: Limit::At(Rate::per_second(events, events)),
        server_keys: vec![ServerKey {
            id: word.to_owned(),
            key: token.clone(),
            tenant: None,
            realm: None,
        }],
        browser_keys: vec![BrowserKey {
            key: Secret::new(format!("{word}-browser")),
            origins: vec![format!("https://{word}"), "*".to_owned()],
            user: Some("it's".to_owned()),
            ttl: Some(Duration::from_secs(90)),
            tenant: None,
            realm: None,
        }],
    }
}

fn config() -> impl Strategy<Value = Config> {
    let access = (text(), users(), secrets(), realms());
    let numbers = (count(), per_user(), bandwidth(), 1..=u32::MAX, 1..=u32::MAX, 0..=63_u8);
    let ports = prop::collection::btree_set(1..=u16::MAX, 1..4);
    let operation = (any::<bool>(), 0..86_400_u64, "[a-z]{1,8}", secret_token(), any::<u32>());
    (access, numbers, ports, operation).prop_map(|(access, numbers, ports, operation)| {
        let (realm, users, secrets, mut realms) = access;
        let (allocations, per_user, bandwidth, events, burst, dscp) = numbers;
        let (flag, seconds, word, token, address) = operation;
        realms.retain(|other: &Realm| other.name != realm);
        let mut config = Config { realm, realms, ..Config::default() };
        config.shards = if flag { Shards::Auto } else { Shards::Count(7) };
        config.listen = ports
            .into_iter()
            .map(|port| Listen {
                address: SocketAddr::from(([0; 4], port)),
                transports: vec![Transport::Tcp, Transport::Udp],
                proxy_protocol: Vec::new(),
                realm: flag.then(|| config.realm.clone()),
            })
            .collect();
        config.relay.dscp = dscp;
        config.auth.users = users;
        config.auth.secrets = secrets;
        config.limits.allocations = allocations;
        config.limits.allocations_per_user = per_user;
        config.limits.bandwidth = bandwidth;
        config.limits.new_peers = Limit::At(Rate::per_second(events, burst));
        config.drain = Drain {
            on_term: Duration::from_secs(seconds),
            deadline: Duration::from_secs(seconds + 1),
            min_allocations: address,
        };
        config.metrics = Metrics {
            address: if flag { ListenAt::Off } else { config.metrics.address },
            path: format!("/{word}"),
            coturn_names: flag,
            redis_statsdb: flag.then(|| Secret::new(format!("redis://:{word}@{word}/2"))),
        };
        config.auth.stores = stores(&word, flag);
        config.relay.discover = discover(&word, flag);
        config.relay.external_refresh = Duration::from_secs(5 + seconds % 3_596);
        config.usage = usage(&word, seconds);
        config.credentials = flag.then(|| credentials(&word, &token, events));
        config.admin = Admin {
            socket: SocketPath::At(format!("/run/{word}").into()),
            address: flag.then(|| SocketAddr::new(IpAddr::from([127, 0, 0, 1]), 9642)),
            tokens: vec![token],
            hosts: vec![word.clone()],
        };
        config.log.target = LogTarget::File(format!("/var/{word}").into());
        config.log.users = if flag { Privacy::Hashed } else { Privacy::Off };
        config
    })
}

/// Keys whose values are not printed as they are.
const HIDDEN: [&str; 8] = [
    "users",
    "secrets",
    "stores",
    "tokens",
    "server_keys",
    "browser_keys",
    "thresholds",
    "redis_statsdb",
];

fn secret_token() -> impl Strategy<Value = Secret> {
    "[!-~]{16,24}".prop_map(Secret::new)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn what_is_printed_with_its_secrets_reads_back_as_it_was(config in config()) {
        let text = config.to_toml();
        let read = from_str(&text, Path::new("/etc/turnserver.toml"));
        prop_assert!(read.is_ok(), "{}\n{text}", read.err().map_or_else(String::new, |e| e.to_string()));
        prop_assert_eq!(read.as_ref(), Ok(&config));
        prop_assert!(changes(&config, &config).is_empty());
    }

    #[test]
    fn what_is_printed_without_them_reads_and_differs_in_nothing_but_them(config in config()) {
        let text = config.to_redacted_toml();
        let read = from_str(&text, Path::new("/etc/turnserver.toml"));
        prop_assert!(read.is_ok(), "{}\n{text}", read.err().map_or_else(String::new, |e| e.to_string()));
        for change in read.iter().flat_map(|read| changes(&config, read)) {
            let key = change.key.rsplit('.').next().unwrap_or_default().to_owned();
            prop_assert!(HIDDEN.contains(&key.as_str()), "{change}");
            let is_a_connection = key == "redis_statsdb";
            prop_assert_eq!(change.effect == Effect::NeedsRestart, is_a_connection);
        }
    }
}
