//! `auth.stores`, `relay.external` that finds itself, `[credentials]`, `[usage]`: their values, and
//! what is said of a wrong one.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::path::Path;
use std::time::Duration;

use turn_config::{
    Config, Discover, Environment, Limit, Per, Period, Rate, Switches, UsagePath, from_environment,
    from_str,
};

fn read(text: &str) -> Config {
    let name = Path::new("/etc/turn/turnserver.toml");
    from_str(text, name).unwrap_or_else(|errors| panic!("{errors}"))
}

/// `key: message | help` of each mistake.
fn brief(text: &str) -> Vec<String> {
    let errors = from_str(text, Path::new("turnserver.toml")).unwrap_err();
    let line = |e: &turn_config::ConfigError| format!("{}: {} | {}", e.key, e.message, e.help);
    errors.as_slice().iter().map(line).collect()
}

const SECRET: &str =
    "auth.secrets = ['fedcba9876543210', { secret = '0123456789abcdef', tenant = 'app' }]\n";

fn door(rest: &str) -> String {
    format!("{SECRET}[credentials]\naddress = '127.0.0.1:8443'\n{rest}")
}

#[test]
fn stores_are_urls_or_tables() {
    let stores = read(
        "[auth]\nstores = ['sqlite:///var/lib/turndb', 'postgres:///turn?host=/run/postgresql',
        'redis+unix:///run/redis.sock', 'MYSQL' , 'x']"
            .replace(", 'MYSQL' , 'x'", "")
            .as_str(),
    )
    .auth
    .stores;
    assert_eq!(stores.len(), 3);
    let store = &read(
        "[auth]\nstores = [{ url = 'https://a.example/auth', token = 't', sha256_keys = true }]",
    )
    .auth
    .stores[0];
    assert_eq!(store.url.reveal(), "https://a.example/auth");
    assert_eq!(store.token.as_ref().map(|token| token.reveal()), Some("t"));
    assert!(store.sha256_keys && store.has_secret());
    assert!(!format!("{store:?}").contains("a.example"));
}

#[test]
fn a_store_alone_lets_users_relay() {
    assert!(read("auth.stores = ['sqlite:///a.db']").can_relay());
    assert!(!read("").can_relay());
    assert!(!read("auth.stores = ['sqlite:///a.db']").has_secrets());
    assert!(read("auth.stores = ['mysql://a:b@h/d']").has_secrets());
}

#[test]
fn public_addresses_are_written_or_found() {
    let relay = read("[relay]\nexternal = 'auto'").relay;
    assert_eq!((relay.external.len(), relay.discover), (0, vec![Discover::Stun(None)]));
    assert_eq!(relay.external_refresh, Duration::from_secs(30));
    let relay = read(
        "[relay]\nexternal = ['auto:Stun.example.org', 'auto:[2001:db8::1]:3479', 'metadata',
        'dns:Turn.example.org', '203.0.113.7']\nexternal_refresh = '5s'",
    )
    .relay;
    assert_eq!(relay.external.len(), 1);
    let found: Vec<String> = relay.discover.iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        [
            "auto:stun.example.org:3478",
            "auto:[2001:db8::1]:3479",
            "metadata",
            "dns:turn.example.org"
        ]
    );
    assert_eq!(read("[relay]\nexternal = '203.0.113.7'").relay.external.len(), 1);
}

#[test]
fn a_door_for_credentials_has_the_defaults_of_the_example() {
    let keys = "server_keys = [{ id = 'a', key = '0123456789abcdef' }]";
    let credentials = read(&door(keys)).credentials.unwrap();
    assert_eq!((credentials.tls, credentials.host), (None, None));
    assert_eq!((credentials.ttl.as_secs(), credentials.max_ttl.as_secs()), (3600, 86_400));
    assert_eq!(credentials.rate, Limit::At(Rate::per_second(20, 100)));
    let short = read(&door(&format!("max_ttl = '10m'\n{keys}"))).credentials.unwrap();
    assert_eq!(short.ttl.as_secs(), 600);
    assert_eq!(read(SECRET).credentials, None);
}

#[test]
fn usage_is_kept_in_the_state_directory() {
    assert_eq!(
        read("").usage.path,
        UsagePath::Default(Path::new("/var/lib/turnserver/usage.db").to_owned())
    );
    let written = read("[usage]\npath = './u.db'").usage;
    assert_eq!(written.path.path(), Some(Path::new("/etc/turn/./u.db")));
    assert_eq!(read("[usage]\npath = 'off'").usage.path.path(), None);
    let environment = Environment::new([("STATE_DIRECTORY".into(), "/srv/turn:/other".into())]);
    let usage = from_environment(Switches::default(), &environment).unwrap().config.usage;
    assert_eq!(usage.path, UsagePath::Default("/srv/turn/usage.db".into()));
}

#[test]
fn thresholds_read() {
    let hook = "webhook = 'https://a.example/'";
    let text = format!("[usage]\nthresholds = [{{ bytes = '5 GB', per = 'label', {hook} }}]");
    let threshold = &read(&text).usage.thresholds[0];
    assert_eq!((threshold.bytes, threshold.per), (5_000_000_000, Per::Label));
    assert_eq!((threshold.period, threshold.name.as_ref()), (Period::Month, None));
}

#[test]
fn keys_without_a_secret_to_make_credentials_from_are_refused() {
    let keys = "server_keys = [{ id = 'a', key = '0123456789abcdef' }]";
    let bare = format!("[credentials]\naddress = '127.0.0.1:1'\n{keys}");
    assert_eq!(
        brief(&bare),
        [
            "credentials.server_keys.realm: auth.secrets has no secret to make credentials from | add one, such as `openssl rand -base64 32` prints: auth.secrets = [\"...\"]"
        ]
    );
    assert!(read(&format!("auth.stores = ['sqlite:///a']\n{bare}")).credentials.is_some());
    let tenant = keys.replace(" }", ", tenant = 'ap' }");
    assert_eq!(
        brief(&door(&tenant)),
        [
            "credentials.server_keys.tenant: auth.secrets has no secret of this tenant | write the tenant as it stands with its secret, or leave it out"
        ]
    );
    let stored = format!("auth.stores = ['sqlite:///a']\n{}", door(&tenant));
    assert!(brief(&stored)[0].contains("no secret of this tenant"), "no store has tenants");
    let of_app = "auth.secrets = [{ secret = '0123456789abcdef', tenant = 'app' }]\n";
    assert_eq!(
        brief(&format!("{of_app}{bare}")),
        [
            "credentials.server_keys.tenant: every secret of auth.secrets is a tenant's, and this key names none | write tenant = \"...\" as it stands with one of the secrets"
        ]
    );
    let realm = keys.replace(" }", ", realm = 'b.example' }");
    assert!(brief(&door(&realm))[0].contains("no realm of the file"));
    let realms = format!("{}\n[realms.'b.example']", door(&realm));
    assert!(brief(&realms)[0].contains("realms.\"b.example\".auth.secrets has no secret"));
}

#[test]
fn credentials_that_the_server_would_refuse_are_not_given_out() {
    let keys = "server_keys = [{ id = 'a', key = '0123456789abcdef' }]";
    let text = format!("auth.max_credential_ttl = '10m'\n{}", door(keys));
    assert_eq!(
        brief(&text),
        [
            "credentials.ttl: max_credential_ttl refuses credentials of more than 10m, and these live 1h | write ttl = \"10m\" or less"
        ]
    );
}

#[test]
fn wrong_values_say_what_would_be_right() {
    let server = |rest: &str| door(&format!("server_keys = [{{ {rest} }}]"));
    let page = |rest: &str| door(&format!("browser_keys = [{{ key = 'web-key-1', {rest} }}]"));
    let cases: Vec<(String, &str)> = vec![
        (
            "auth.stores = ['/var/lib/turndb']".into(),
            "auth.stores: not the URL of a store | for a file of SQLite write \"sqlite:///var/lib/turnserver/users.db\"",
        ),
        (
            "auth.stores = ['sqlite://turndb']".into(),
            "auth.stores: not the URL of a store | write the file from the root on, with three slashes: \"sqlite:///var/lib/turndb\"",
        ),
        (
            "auth.stores = ['postgre://h/d']".into(),
            "auth.stores: not the URL of a store that is known here | did you mean \"postgres://\"?",
        ),
        (
            "auth.stores = ['mongodb://h/d']".into(),
            "auth.stores: MongoDB is none of the stores | let your application answer for it: \"https://app.example/turn-auth\"",
        ),
        (
            "auth.stores = ['mysql://h']".into(),
            "auth.stores: not the URL of a store | write the name of the database behind the host: \"postgres://HOST/turn\"",
        ),
        (
            "auth.stores = 'sqlite:///a'".into(),
            "auth.stores: expected a list, found a string | put it in brackets: stores = [\"sqlite:///var/lib/turnserver/users.db\"]",
        ),
        (
            "auth.stores = [{ token = 'a' }]".into(),
            "auth.stores.url: no url in it | write { url = \"sqlite:///var/lib/turnserver/users.db\" }",
        ),
        (
            "auth.stores = [{ url = 'redis://h/1', token = 'a' }]".into(),
            "auth.stores.token: only http and https stores take a token | write the password into the URL, behind the user: USER:PASSWORD@HOST",
        ),
        (
            "relay.external = 'turn.example.org'".into(),
            "relay.external: not an IP address | write \"dns:turn.example.org\" for the addresses of a DNS name, or \"auto\"",
        ),
        (
            "relay.external = ['auto:stun.example.org:x']".into(),
            "relay.external: not a STUN server | write \"auto:HOST\" or \"auto:HOST:PORT\", such as \"auto:stun.example.org:3478\"",
        ),
        (
            "relay.external = ['auto', 'auto']".into(),
            "relay.external: listed twice | name each way once",
        ),
        (
            "relay.external_refresh = '1s'".into(),
            "relay.external_refresh: 1s is out of range | write \"5s\" to \"1h\"",
        ),
        (
            "[credentials]\nserver_keys = []".into(),
            "credentials.address: the address is missing | add under [credentials]: address = \"0.0.0.0:8443\"",
        ),
        (
            door(""),
            "credentials.server_keys: without a key nobody is given credentials | add under [credentials]: server_keys = [{ id = \"app\", key = \"...\" }], with a key such as one that `openssl rand -hex 24` prints, or browser_keys",
        ),
        (
            door("tls = true\nserver_keys = []"),
            "credentials.tls: no certificate to speak TLS with | add certificates under [tls], or write tls = false behind a proxy with TLS",
        ),
        (
            door("rate = 20\nserver_keys = []"),
            "credentials.rate: expected a rate, found a whole number | write how often, in quotes: \"20/s burst 100\", or \"off\" for no limit",
        ),
        (
            door("ttl = '2d'\nserver_keys = []"),
            "credentials.ttl: 2d is out of range | write \"1m\" to \"1d\"",
        ),
        (
            door("host = 'https://a'\nserver_keys = []"),
            "credentials.host: not a host name | write the name that clients reach this server by, without scheme and port, such as \"turn.example.org\"",
        ),
        (
            server("id = 'a', key = 'short'"),
            "credentials.server_keys.key: a key of fewer than 16 characters can be guessed | write one that `openssl rand -hex 24` prints",
        ),
        (
            server("id = 'a'"),
            "credentials.server_keys.key: the key is missing | write server_keys = [{ id = \"app\", key = \"...\" }]",
        ),
        (
            server("id = 'a', key = '0123456789abcdef' }, { id = 'a', key = '0123456789abcdeg'"),
            "credentials.server_keys.id: listed twice | give each key an id of its own",
        ),
        (
            page("origins = ['app.example']"),
            "credentials.browser_keys.origins: not an origin | write scheme and host: \"https://app.example\"",
        ),
        (
            page("origins = ['https://App.example:443/x']"),
            "credentials.browser_keys.origins: not an origin | write it as browsers send it: \"https://app.example\"",
        ),
        (
            page("origins = []"),
            "credentials.browser_keys.origins: an empty list serves no page | write browser_keys = [{ key = \"...\", origins = [\"https://app.example\"] }]",
        ),
        (
            page("origins = ['https://a'], user = 'a#b'"),
            "credentials.browser_keys.user: not a user name | write 1 to 64 bytes without control characters and \"#\", such as \"web\"",
        ),
        (
            page("origins = ['https://a'], key = 'x'").replace("key = 'web-key-1', ", ""),
            "credentials.browser_keys.key: a key of fewer than 8 characters can be guessed | write one that `openssl rand -hex 24` prints",
        ),
        (
            "usage.path = 'usage.db'".into(),
            "usage.path: not a path | write a path with a slash, such as \"/var/lib/turnserver/usage.db\", or \"off\" for none",
        ),
        ("usage.keep = '1h'".into(), "usage.keep: 1h is out of range | write \"1d\" to \"3650d\""),
        (
            "usage.thresholds = [{ bytes = '1 tb', per = 'user', webhook = 'https://a' }]".into(),
            "usage.thresholds.bytes: not an amount of bytes | write \"1 TB\"",
        ),
        (
            "usage.thresholds = [{ bytes = '1 TB', per = 'users', webhook = 'https://a' }]".into(),
            "usage.thresholds.per: unknown value \"users\" | did you mean \"user\"? (one of \"user\", \"credential\", \"label\", \"tenant\", \"realm\")",
        ),
        (
            "usage.thresholds = [{ bytes = '1 TB', per = 'user', webhook = 'a' }]".into(),
            "usage.thresholds.webhook: not the URL of a webhook | write an https URL, such as \"https://app.example/turn-usage\"",
        ),
        (
            "metrics.redis_statsdb = 'localhost'".into(),
            "metrics.redis_statsdb: not the URL of a Redis | write \"redis://:PASSWORD@HOST:6379/0\", \"rediss://...\" or \"redis+unix:///run/redis/redis.sock\"; what is no letter or digit of a password is percent-encoded",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(brief(&text), [expected], "{text}");
    }
}
