//! Variables, files of secrets and systemd's credentials over the file.

#![cfg(unix)]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use turn_config::{
    Config, Credential, Environment, Limit, Loaded, Switches, Transport, User, from_environment,
    load,
};

/// A directory with a configuration file, and the environment of a server.
struct Host {
    directory: TempDir,
    environment: Environment,
}

impl Host {
    fn new(text: &str) -> Self {
        let host =
            Self { directory: tempfile::tempdir().unwrap(), environment: Environment::default() };
        host.file("turnserver.toml", text);
        host
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        path
    }

    fn set(mut self, name: &str, value: &str) -> Self {
        self.environment.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    fn secret_file(self, variable: &str, text: &str) -> Self {
        let path = self.file(&format!("{variable}.txt"), text);
        self.set(variable, path.to_str().unwrap())
    }

    fn credential(mut self, name: &str, text: &str) -> Self {
        self.file(&format!("credentials/{name}"), text);
        self.environment.credentials_directory = Some(self.directory.path().join("credentials"));
        self
    }

    fn load(&self) -> Result<Loaded, String> {
        let path = self.directory.path().join("turnserver.toml");
        load(&path, Switches::default(), &self.environment).map_err(|error| error.to_string())
    }

    fn config(&self) -> Config {
        self.load().unwrap_or_else(|error| panic!("{error}")).config
    }

    fn warnings(&self) -> Vec<String> {
        self.load().unwrap().warnings.iter().map(ToString::to_string).collect()
    }
}

/// The shared secrets of `config`.
fn secrets(config: &Config) -> Vec<&str> {
    config.auth.secrets.iter().map(|shared| shared.secret.reveal()).collect()
}

/// The users of `config` with their passwords.
fn users(config: &Config) -> Vec<(String, String)> {
    let pair = |user: &User| match &user.credential {
        Credential::Password(password) => (user.name.clone(), password.reveal().to_owned()),
        Credential::Md5Key(_) | Credential::Sha256Key(_) => (user.name.clone(), "(key)".to_owned()),
    };
    config.auth.users.iter().map(pair).collect()
}

fn owned(users: &[(&str, &str)]) -> Vec<(String, String)> {
    users.iter().map(|(name, password)| ((*name).to_owned(), (*password).to_owned())).collect()
}

#[test]
fn a_variable_goes_before_the_file_and_a_switch_before_both() {
    let host = Host::new("realm = 'a'\n[limits]\nallocations = 4\npeers_per_allocation = 3")
        .set("TURN__REALM", "b.example")
        .set("TURN__LIMITS__ALLOCATIONS", "off")
        .set("turn__limits__max_lifetime", "20m")
        .set("TURN__LAB__LOOPBACK_PEERS", "false")
        .set("PATH", "/bin");
    let config = host.config();
    assert_eq!(config.realm, "b.example");
    assert_eq!(config.limits.allocations, Limit::Off);
    assert_eq!(config.limits.peers_per_allocation, Limit::At(3));
    assert_eq!(config.limits.max_lifetime.as_secs(), 1200);
    let switches = Switches { loopback_peers: true, ..Switches::default() };
    let path = host.directory.path().join("turnserver.toml");
    assert!(load(&path, switches, &host.environment).unwrap().config.lab.loopback_peers);
    assert_eq!(host.warnings(), [""; 0]);
}

#[test]
fn values_are_toml_or_json_or_a_text() {
    let config = Host::new("")
        .set("TURN__LISTEN", r#"[{ address = "192.0.2.1:443", transports = ["udp"] }]"#)
        .set("TURN__RELAY__TCP", "true")
        .set("TURN__RELAY__PORTS", "50000-50999")
        .set("TURN__RELAY__EXTERNAL", r#"["203.0.113.7=192.0.2.1"]"#)
        .set("TURN__AUTH__USERS", "{\n  \"ann:b\": \"p\\/w\",\n  \"bob\": \"\\ud83d\\ude00\"\n}")
        .set("TURN__DRAIN", "{ on_term = '5s', min_allocations = 2 }")
        .set("TURN__SHARDS", "2")
        .config();
    assert_eq!(config.listen.len(), 1);
    assert_eq!(config.listen[0].transports, [Transport::Udp]);
    assert!(config.relay.tcp);
    assert_eq!(config.relay.ports, 50000..=50999);
    assert_eq!(users(&config), owned(&[("ann:b", "p/w"), ("bob", "\u{1f600}")]));
    assert_eq!((config.drain.on_term.as_secs(), config.drain.min_allocations), (5, 2));
}

#[test]
fn a_variable_reaches_into_realms_and_users() {
    let config = Host::new("[realms.'B.example'.auth]\nusers = { ann = 'one' }")
        .set("TURN__REALMS__b.example__AUTH__USERS__Bob", "two")
        .set("TURN__REALMS__C.EXAMPLE__LIMITS__ALLOCATIONS", "7")
        .set("TURN__AUTH__USERS__Carol", "three")
        .config();
    let realms: Vec<&str> = config.realms.iter().map(|realm| realm.name.as_str()).collect();
    assert_eq!(realms, ["B.example", "c.example"]);
    let names: Vec<&str> =
        config.realms[0].auth.users.iter().map(|user| user.name.as_str()).collect();
    assert_eq!(names, ["Bob", "ann"]);
    assert_eq!(config.realms[1].limits.allocations, Limit::At(7));
    assert_eq!(users(&config), owned(&[("Carol", "three")]));
}

#[test]
fn secrets_come_from_files_a_line_each() {
    let host = Host::new("")
        .secret_file("TURN__AUTH__SECRETS_FILE", "north wind and sun\r\n\nsouth wind and sun\n")
        .secret_file(
            "TURN__AUTH__USERS_FILE",
            "ann:her:password\nbob:0x00112233445566778899aabbccddeeff\n",
        )
        .secret_file("TURN__AUTH__USERS__CAROL_FILE", "third\n")
        .secret_file("TURN__ADMIN__TOKENS_FILE", "0123456789abcdef\n");
    let config = host.config();
    assert_eq!(secrets(&config), ["north wind and sun", "south wind and sun"]);
    assert_eq!(
        users(&config),
        owned(&[("CAROL", "third"), ("ann", "her:password"), ("bob", "(key)")])
    );
    assert_eq!(config.admin.tokens.len(), 1);
    assert_eq!(host.warnings(), [""; 0]);
}

#[test]
fn a_file_of_secrets_may_be_a_list_in_toml_or_json() {
    let with = |text: &str| Host::new("").secret_file("TURN__AUTH__SECRETS_FILE", text).config();
    let config = with("[\n  'one',\n  { secret = 'two', tenant = 'app' },\n]\n");
    assert_eq!(
        (secrets(&config), config.auth.secrets[1].tenant.as_deref()),
        (vec!["one", "two"], Some("app"))
    );
    let config = with("[\"one\",\n {\"secret\": \"two\", \"tenant\": \"app\"}]");
    assert_eq!(
        (secrets(&config), config.auth.secrets[1].tenant.as_deref()),
        (vec!["one", "two"], Some("app"))
    );
    let users_file = Host::new("").secret_file("TURN__AUTH__USERS_FILE", "{\"ann\": \"pw\"}\n");
    assert_eq!(users(&users_file.config()), owned(&[("ann", "pw")]));
}

#[test]
fn credentials_of_systemd_go_before_variables_and_others_are_left_alone() {
    let host = Host::new("[auth]\nsecrets = ['from the file']")
        .secret_file("TURN__AUTH__SECRETS_FILE", "from a variable")
        .credential("auth.secrets", "from a credential\n")
        .credential("realms.b.example.auth.users", "bob:pw")
        .credential("privkey.pem", "-----BEGIN PRIVATE KEY-----");
    let config = host.config();
    assert_eq!(secrets(&config), ["from a credential"]);
    assert_eq!(config.realms[0].name, "b.example");
    assert_eq!(config.realms[0].auth.users[0].name, "bob");
}

#[test]
fn a_secret_file_of_the_configuration_is_read_from_its_directory() {
    let host = Host::new("[auth]\nsecrets = [{ secret_file = 'turn.secret', tenant = 'app' }]");
    host.file("turn.secret", "north wind\n");
    assert_eq!(secrets(&host.config()), ["north wind"]);
    fs::remove_file(host.directory.path().join("turn.secret")).unwrap();
    let error = host.load().unwrap_err();
    assert!(error.contains("auth.secrets.secret_file: cannot read"), "{error}");
    assert!(error.contains("turnserver.toml:2:28"), "{error}");
}

#[test]
fn mistakes_name_the_variable_and_come_with_those_of_the_file() {
    let host = Host::new("[relay]\nprots = '1-2'")
        .set("TURN__LIMITS__ALLOCATIONS", "many")
        .set("TURN__RELAY__TPC", "true")
        .set("TURN__LISTEN__ADDRESS", "0.0.0.0:1")
        .set("TURN__PEERS__ALLOW", "['10.0.0.0/8'")
        .set("TURN__PEERS__DENY", "10.0.0.1")
        .set("TURN__", "1")
        .set("TURN__METRICS_FILE", "/run/x");
    let error = host.load().unwrap_err();
    let heads = error.lines().filter(|line| line.starts_with("error") || line.contains("-->"));
    let heads: Vec<&str> = heads.map(|line| line.trim_start().trim_start_matches("--> ")).collect();
    assert!(heads[1].ends_with("turnserver.toml:2:1"), "{error}");
    assert_eq!(
        [&heads[..1], &heads[2..]].concat(),
        [
            "error: relay.prots: unknown key",
            "error: names no key",
            "TURN__:1:8",
            "error: metrics_file: unknown key",
            "TURN__METRICS_FILE:1:1",
            "error: limits.allocations: expected a whole number, found a string",
            "TURN__LIMITS__ALLOCATIONS:1:27",
            "error: listen.address: `listen` is a list or a value, which is set as a whole",
            "TURN__LISTEN__ADDRESS:1:1",
            "error: peers.allow: neither TOML nor JSON: unclosed array, expected `]`",
            "TURN__PEERS__ALLOW:1:20",
            "error: peers.deny: expected a list, found a string",
            "TURN__PEERS__DENY:1:19",
            "error: relay.tpc: unknown key",
            "TURN__RELAY__TPC:1:1",
        ]
    );
}

#[test]
fn a_mistake_in_a_file_of_secrets_names_variable_file_and_line() {
    let host = Host::new("").secret_file("TURN__AUTH__USERS_FILE", "ann:pw\n\nbob\n");
    let path = host.directory.path().join("TURN__AUTH__USERS_FILE.txt");
    let error = host.load().unwrap_err();
    assert!(error.starts_with("error: auth.users: not a user\n"), "{error}");
    assert!(
        error.contains(&format!("--> TURN__AUTH__USERS_FILE={}:3:1\n", path.display())),
        "{error}"
    );
    assert!(error.ends_with("help: write NAME:PASSWORD on each line"), "{error}");
}

#[test]
fn no_mistake_in_the_environment_shows_a_secret() {
    let hosts = [
        Host::new("").set("TURN__AUTH__SECRETS", "hunter2"),
        Host::new("").set("TURN__AUTH__SECRETS", "['hunter2'"),
        Host::new("").set("TURN__AUTH__SECRETS", "['hunter2', '']"),
        Host::new("").set("TURN__AUTH__SECRETS", "\"hunter2"),
        Host::new("").set("TURN__AUTH", "{ secrets = 'hunter2' }"),
        Host::new("").set("TURN__AUTH", "{ secrets = ['hunter2'"),
        Host::new("").set("TURN__AUTH__USERS__ANN", "hunter2\u{7}"),
        Host::new("").set("TURN__AUTH__USERS", "{ ann = 'hunter2', bob = '' }"),
        Host::new("").set("TURN__AUHT__USERS", "{ ann = 'hunter2' }"),
        Host::new("").set("TURN__AUHT__SECRETS", "hunter2"),
        Host::new("").set("TURN__SECRETS", "hunter2"),
        Host::new("").set("TURN__ADMIN__TOKENS", "['hunter2']"),
        Host::new("").set("TURN__REALMS__B__AUTH__SECRETS", "hunter2"),
        Host::new("").set("TURN__REALMS", "hunter2"),
        Host::new("").set("TURN__", "hunter2"),
        Host::new("").set("TURN__LISTEN__TOKEN", "hunter2"),
        Host::new("")
            .set("TURN__AUTH__SECRETS", "['hunter2-hunter2']")
            .set("turn__auth__secrets", "['hunter2']"),
        Host::new("").secret_file("TURN__AUTH__USERS_FILE", "hunter2\n"),
        Host::new("").secret_file("TURN__AUTH__USERS_FILE", "ann:hunter2\nann:hunter2\n"),
        Host::new("").secret_file("TURN__AUTH__USERS_FILE", "{ ann = 'hunter2'"),
        Host::new("").secret_file("TURN__AUTH__SECRETS_FILE", "[hunter2"),
        Host::new("").secret_file("TURN__ADMIN__TOKENS_FILE", "hunter2"),
        Host::new("").secret_file("TURN__AUTH__USERS__ANN_FILE", "hunter2\u{7}"),
        Host::new("").credential("auth.users", "hunter2"),
    ];
    for host in hosts {
        let error = host.load().unwrap_err();
        assert!(!error.contains("hunter2"), "{error}");
        assert!(!format!("{:?}", host.environment).contains("hunter2"));
    }
}

#[test]
fn a_secret_in_a_variable_is_warned_of_with_the_way_out() {
    for (name, value) in [
        ("TURN__AUTH__SECRETS", "['0123456789abcdef']"),
        ("TURN__AUTH", "{ users = { ann = 'pw' } }"),
        ("TURN__REALMS__B__AUTH__USERS__ANN", "pw"),
        ("TURN__ADMIN__TOKENS", "['0123456789abcdef']"),
    ] {
        let warnings = Host::new("").set(name, value).warnings();
        assert_eq!(warnings.len(), 1, "{name}");
        assert!(warnings[0].starts_with(name) && warnings[0].contains("_FILE="), "{warnings:?}");
    }
    assert_eq!(Host::new("").set("TURN__AUTH__ANONYMOUS", "true").warnings(), [""; 0]);
}

#[test]
fn h35_a_file_of_secrets_that_others_can_read_is_warned_of_and_one_they_can_write_refused() {
    let host = Host::new("").secret_file("TURN__AUTH__SECRETS_FILE", "north wind and sun");
    let path = host.directory.path().join("TURN__AUTH__SECRETS_FILE.txt");
    let set_mode = |mode| fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    set_mode(0o644);
    let warnings = host.warnings();
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].ends_with(&format!("chmod o-r {}", path.display())), "{warnings:?}");
    set_mode(0o602);
    let error = host.load().unwrap_err();
    assert!(
        error.contains("auth.secrets: ") && error.contains("can be written by everybody"),
        "{error}"
    );
    assert!(error.contains(&format!("chmod o-w {}", path.display())), "{error}");
    assert!(error.contains("--> TURN__AUTH__SECRETS_FILE:1:26"), "{error}");
}

#[test]
fn h35_a_file_without_secrets_is_not_warned_of_for_those_of_the_environment() {
    let host = Host::new("[auth]\nsecrets = [{ secret_file = 'turn.secret' }]")
        .secret_file("TURN__ADMIN__TOKENS_FILE", "0123456789abcdef");
    host.file("turn.secret", "north wind and sun");
    let path = host.directory.path().join("turnserver.toml");
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    assert_eq!(host.warnings(), [""; 0]);
}

#[test]
fn a_key_that_is_set_twice_is_refused() {
    let host = Host::new("")
        .set("TURN__AUTH__SECRETS", "['0123456789abcdef']")
        .secret_file("TURN__AUTH__SECRETS_FILE", "north wind and sun");
    let error = host.load().unwrap_err();
    assert!(error.contains("TURN__AUTH__SECRETS sets the same key"), "{error}");
}

#[test]
fn a_start_without_a_file_takes_the_environment() {
    let environment = |variables: &[(&str, &str)]| Environment {
        variables: variables.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect(),
        ..Environment::default()
    };
    let switches = Switches { self_signed: true, ..Switches::default() };
    let bare = from_environment(switches, &environment(&[])).unwrap();
    assert_eq!(bare.config, Config::without_file(switches));
    let set = environment(&[("TURN__LISTEN", "[{ address = '0.0.0.0:5' }]")]);
    assert_eq!(from_environment(switches, &set).unwrap().config.listen.len(), 1);
    let error = from_environment(switches, &environment(&[("TURN__SHARDS", "0")])).unwrap_err();
    assert!(error.to_string().contains("--> TURN__SHARDS:1:14"), "{error}");
}

#[test]
fn only_what_is_ours_is_taken_out_of_the_environment_of_a_process() {
    let pair = |name: &str, value: &str| (name.into(), value.into());
    let taken = Environment::new([
        pair("TURN__REALM", "a"),
        pair("TURN_REALM", "b"),
        pair("HOME", "/root"),
        pair("CREDENTIALS_DIRECTORY", "/run/credentials/turnserver.service"),
    ]);
    assert_eq!(taken.variables, [("TURN__REALM".to_owned(), "a".to_owned())]);
    let directory = taken.credentials_directory.unwrap();
    assert_eq!(directory, Path::new("/run/credentials/turnserver.service"));
}
