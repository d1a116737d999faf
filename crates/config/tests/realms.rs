//! Realms and tenants: what they inherit, and what is said of a mistake in them.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::path::Path;
use std::time::Duration;

use turn_config::{AllocationsPerUser, BitRate, Config, DefaultFamily, Limit, from_str};

fn read(text: &str) -> Config {
    from_str(text, Path::new("turnserver.toml")).unwrap_or_else(|errors| panic!("{errors}"))
}

/// `line: key: message | help` of each mistake.
fn brief(text: &str) -> Vec<String> {
    let errors = from_str(text, Path::new("turnserver.toml")).unwrap_err();
    let line =
        |e: &turn_config::ConfigError| format!("{}: {}: {} | {}", e.line, e.key, e.message, e.help);
    errors.as_slice().iter().map(line).collect()
}

#[test]
fn a_realm_has_its_own_users_and_inherits_limits_and_peers_but_not_secrets() {
    let config = read(
        "
        [auth]
        users = { ann = 'pw' }
        secrets = ['north']
        separator = '/'
        strict_expiry = true
        max_credential_ttl = '1d'
        [relay]
        default_family = 'client'
        [peers]
        allow = ['10.0.0.0/8']
        [limits]
        allocations = 1000
        permissions_per_allocation = 8
        max_lifetime = '20m'
        [realms.'b.example'.auth]
        users = { bob = 'pw' }
        [realms.'b.example'.limits]
        allocations = 10
        bandwidth_per_user = '1 Mbit/s'
        ",
    );
    let realm = &config.realms[0];
    assert_eq!(
        (realm.name.as_str(), realm.server_names.as_slice()),
        ("b.example", &["b.example".to_owned()][..])
    );
    assert_eq!(realm.auth.users[0].name, "bob");
    assert!(realm.auth.secrets.is_empty() && !realm.auth.anonymous);
    assert_eq!((realm.auth.separator, realm.auth.strict_expiry), ('/', true));
    assert_eq!(realm.auth.max_credential_ttl, Limit::At(Duration::from_secs(86_400)));
    assert_eq!(realm.peers, config.peers);
    assert_eq!(realm.limits.allocations, Limit::At(10));
    assert_eq!(realm.limits.permissions_per_allocation, Limit::At(8));
    assert_eq!(realm.limits.max_lifetime, Duration::from_secs(1200));
    assert_eq!(
        realm.limits.bandwidth_per_user,
        Limit::At(BitRate::from_bits_per_second(1_000_000))
    );
    assert_eq!(realm.default_family, Some(DefaultFamily::Client));
    assert_eq!(config.limits.of_realm().allocations, Limit::Off);
}

#[test]
fn an_empty_table_of_peers_stands_in_place_of_the_inherited_one() {
    let config = read("[peers]\nallow = ['10.0.0.0/8']\n[realms.b.peers]\n[realms.c]");
    assert!(config.realms[0].peers.allow.is_empty());
    assert_eq!(config.realms[1].peers, config.peers);
}

#[test]
fn a20_a_listener_serves_a_realm_that_the_file_has() {
    let listen = |realm: &str| {
        format!("[[listen]]\naddress = '0.0.0.0:1'\nrealm = '{realm}'\n[realms.'b.example']\n")
    };
    assert_eq!(read(&listen("b.example")).listen[0].realm.as_deref(), Some("b.example"));
    assert_eq!(read(&listen("localhost")).listen[0].realm.as_deref(), Some("localhost"));
    assert_eq!(
        brief(&listen("b.exmaple")),
        ["3: listen.realm: no such realm | did you mean \"b.example\"?"]
    );
    assert_eq!(
        brief(&listen("other")),
        [
            "3: listen.realm: no such realm | write one of \"localhost\", \"b.example\", or add a section [realms.other]"
        ]
    );
}

#[test]
fn mistakes_of_a_realm_are_named_with_its_quoted_name() {
    let cases = [
        (
            "[realms.'b.example'.limits]\nallocations_per_source = 5",
            "2: realms.\"b.example\".limits.allocations_per_source: unknown key | `allocations_per_source` belongs under [limits]",
        ),
        (
            "[realms.'b.example'.limit]\nallocations = 5",
            "1: realms.\"b.example\".limit: unknown key | did you mean `limits`?",
        ),
        (
            "[realms.'b.example'.auth]\nnonce_lifetime = '1m'",
            "2: realms.\"b.example\".auth.nonce_lifetime: unknown key | `nonce_lifetime` belongs under [auth]",
        ),
        (
            "[realms.'b.example'.auth]\nusers = { bob = '' }",
            "2: realms.\"b.example\".auth.users.bob: an empty password protects nothing | write a password, such as one that `openssl rand -hex 24` prints",
        ),
        (
            "[realms]\nb = 5",
            "2: realms.b: expected a table, found a whole number | write it as a section of its own: [realms.b]",
        ),
        (
            "realm = 'b'\n[realms.b]",
            "2: realms.b: this is the realm at the top of the file | write what belongs to it under [auth], [peers] and [limits]",
        ),
        (
            "[realms.'']",
            "1: realms.\"\": not a realm | a realm has 1 to 127 characters and no control characters, such as \"example.org\"",
        ),
        (
            "[realms.b]\nserver_names = ['x']\n[realms.c]\nserver_names = ['X']",
            "4: realms.server_names: server name \"x\" is that of another realm | name each server name in one realm",
        ),
        (
            "[realms.b]\nserver_names = ['*.b.example']",
            "2: realms.b.server_names: not a server name | write a DNS name in full, such as \"turn.b.example\"; wildcards are not known here",
        ),
        (
            "[relay]\naddresses = ['192.0.2.1']\n[realms.b.relay]\naddresses = ['192.0.2.2']",
            "4: realms.b.relay.addresses: 192.0.2.2 is not a relay address of the server | add \"192.0.2.2\" to addresses of [relay]",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(brief(text), [expected], "{text}");
    }
}

#[test]
fn the_secrets_of_a_tenant_share_its_limits() {
    let config = read(
        "[auth]\nsecrets = ['plain', { secret = 'old', tenant = 'app' },
            { secret = 'new', tenant = 'app', limits = { allocations = 3, allocations_per_user = 'off' } },
            { secret = 'other', tenant = 'web' }]",
    );
    let secrets = &config.auth.secrets;
    assert_eq!((secrets[0].tenant.as_deref(), secrets[1].tenant.as_deref()), (None, Some("app")));
    assert_eq!(secrets[1].limits.allocations, Limit::At(3));
    assert_eq!(secrets[1].limits, secrets[2].limits);
    assert_eq!(secrets[2].limits.allocations_per_user, Some(AllocationsPerUser::Each(Limit::Off)));
    assert_eq!(secrets[2].limits.bandwidth_per_user, None);
    assert_eq!((secrets[0].limits, secrets[3].limits), Default::default());
}

#[test]
fn contradicting_limits_of_a_tenant_name_both_lines() {
    let text = "\
[auth]
secrets = [
    { secret = 'one', tenant = 'app', limits = { allocations = 3 } },
    { secret = 'two', tenant = 'app', limits = { allocations = 4 } },
]
";
    assert_eq!(
        from_str(text, Path::new("turnserver.toml")).unwrap_err().to_string(),
        "\
error: auth.secrets.limits: other limits for tenant \"app\" than in line 3
  --> turnserver.toml:4:48
   |
 4 |     { secret = \"***\", tenant = \"***\", limits = { allocations = 4 } },
   |                                                ^^^^^^^^^^^^^^^^^^^
   |
   = help: write the limits of a tenant once, with one of its secrets"
    );
    assert_eq!(read(&text.replace('4', "3")).auth.secrets.len(), 2);
}

#[test]
fn mistakes_of_a_tenant_say_what_would_be_right() {
    let cases = [
        (
            "{ secret = 'a', limits = { allocations = 4 } }",
            "auth.secrets.limits: limits of a secret without a tenant | add the name of its tenant: tenant = \"app\"",
        ),
        (
            "{ secret = 'a', tenant = 'x' }, { secret = 'a', tenant = 'y' }",
            "auth.secrets: the same secret for two tenants | give each tenant a secret of its own",
        ),
        (
            "{ secret = 'a', tenant = '' }",
            "auth.secrets.tenant: not a tenant's name | a name has 1 to 64 characters and no control characters, such as \"app\"",
        ),
        (
            "{ tenant = 'x' }",
            "auth.secrets.secret: no secret in it | write { secret = \"...\" }, or { secret_file = \"turn.secret\" }",
        ),
        (
            "{ secret = 'a', tenant = 'x', limits = { bandwidth_per_realm = 'off' } }",
            "auth.secrets.limits.bandwidth_per_realm: unknown key | `bandwidth_per_realm` belongs under [limits]",
        ),
        (
            "{ secret = 'a', tenant = 'x', limits = { allocations = 0 } }",
            "auth.secrets.limits.allocations: 0 is out of range | write a whole number from 1 to 4294967295, or \"off\" for no limit",
        ),
        (
            "{ secret = 'a', tennant = 'x' }",
            "auth.secrets.tennant: unknown key | did you mean `tenant`?",
        ),
    ];
    for (entries, expected) in cases {
        let text = format!("[auth]\nsecrets = [{entries}]");
        assert_eq!(brief(&text), [format!("2: {expected}")], "{text}");
    }
}
