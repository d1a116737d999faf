//! `turnserver.toml.example` says what the code does.

#![expect(clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::path::Path;

use turn_config::{AllocationsPerUser, Config, DefaultFamily, Discover, Transport, from_str};

const EXAMPLE: &str = Config::example();

fn read(text: &str) -> Config {
    from_str(text, Path::new("turnserver.toml.example")).unwrap_or_else(|errors| panic!("{errors}"))
}

#[test]
fn the_example_is_the_default() {
    assert_eq!(read(EXAMPLE), Config::default());
    assert_eq!(read(""), Config::default());
}

#[test]
fn every_sample_of_the_example_reads_when_uncommented() {
    let config = read(&uncommented());
    assert_eq!(config.listen.len(), 6);
    assert_eq!(config.listen.iter().filter(|listen| !listen.proxy_protocol.is_empty()).count(), 1);
    assert_eq!(config.tls.certificates.len(), 1);
    assert_eq!(config.relay.addresses.len(), 2);
    assert_eq!(config.relay.external.len(), 1);
    assert_eq!(config.relay.default_family, Some(DefaultFamily::Ipv4));
    assert_eq!(config.auth.users.len(), 2);
    assert_eq!(config.auth.secrets.len(), 2);
    assert_eq!(config.peers.allow.len(), 3);
    assert_eq!(config.peers.deny.len(), 1);
    assert_eq!(config.limits.allocations_per_user, AllocationsPerUser::Auto);
    assert_eq!(config.realms.len(), 1);
    assert_eq!(config.realms[0].server_names, ["b.example", "turn.b.example"]);
    assert_eq!(config.admin.tokens.len(), 1);
    assert_eq!(config.relay.discover, [Discover::Stun(None)]);
    assert_eq!(config.auth.stores.len(), 5);
    let credentials = config.credentials.as_ref();
    assert_eq!(credentials.map(|it| (it.server_keys.len(), it.browser_keys.len())), Some((1, 1)));
    assert_eq!(config.usage.thresholds.len(), 1);
    assert_eq!(from_str(&config.to_toml(), Path::new("t")).as_ref(), Ok(&config));
}

#[test]
fn a_realm_of_which_nothing_is_written_inherits_what_the_example_says() {
    let config = read("[realms.\"b.example\"]\n");
    let limits = uncommented();
    let written = read(&limits);
    let (realm, example) = (&config.realms[0], &written.realms[0]);
    assert_eq!(realm.limits, config.limits.of_realm());
    assert_eq!(realm.peers, config.peers);
    assert_eq!(realm.server_names, ["b.example"]);
    // Every value of the sample but for two is the inherited one.
    let mut expected = example.limits.clone();
    expected.allocations = realm.limits.allocations;
    expected.bandwidth_per_realm = realm.limits.bandwidth_per_realm;
    assert_eq!(realm.limits, expected);
}

/// A line of the example, broken in several ways that no reading can make sense of.
fn breakages(line: &str) -> Vec<String> {
    let mut broken = Vec::new();
    if line.starts_with('[') {
        let name = line.trim_matches(['[', ']']);
        broken.push(line.replacen(name, &format!("x{name}"), 1));
        broken.push(line.replacen(name, &format!("{name}x"), 1));
        broken.push(line.replacen(']', "", 1));
        broken.push(line.replacen('[', "", 1));
        return broken;
    }
    let Some((key, value)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) else {
        return broken;
    };
    broken.push(format!("{key}x = {value}"));
    broken.push(format!("{} = {value}", &key[1..]));
    broken.push(format!("{key} {value}"));
    broken.push(format!("{key} = "));
    for other in ["7.5", "[7.5]", "{ x = 7.5 }", "1979-05-27", "\"\"", "\"\\u0007\"", "-1"] {
        // An empty list of certificates and such is refused; an empty text is a wrong one.
        broken.push(format!("{key} = {other}"));
    }
    if value.contains('"') {
        broken.push(format!("{key} = {}", value.replacen('"', "", 1)));
        let (front, back) = value.rsplit_once('"').unwrap_or((value, ""));
        broken.push(format!("{key} = {front}{back}"));
    }
    broken
}

#[test]
fn the_example_with_a_broken_line_never_starts_and_the_line_is_named() {
    let whole = uncommented();
    let lines: Vec<&str> = whole.lines().collect();
    let (mut tried, mut wrong) = (0, Vec::new());
    for (index, line) in lines.iter().enumerate() {
        for broken in breakages(line) {
            let mut text = lines.clone();
            text[index] = &broken;
            let text = text.join("\n") + "\n";
            match from_str(&text, Path::new("turnserver.toml")) {
                Ok(_) => wrong.push(format!("{}: `{broken}` is taken", index + 1)),
                Err(errors) if errors.as_slice().iter().all(|error| error.line != index + 1) => {
                    wrong.push(format!("{}: `{broken}` is not named: {errors}", index + 1));
                }
                Err(_) => {}
            }
            tried += 1;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(tried > 1000, "{tried}");
}

#[test]
fn neither_default_nor_sample_listens_over_dtls() {
    assert!(!EXAMPLE.lines().any(|line| line.contains("transports =") && line.contains("dtls")));
    for listen in Config::default().listen {
        assert_eq!(listen.transports, [Transport::Udp, Transport::Tcp]);
    }
}

#[test]
fn the_example_has_every_key_in_the_order_of_the_printed_policy() {
    let sections = "[realms.\"b.example\"]\n[auth]\nsecrets = [\"north wind\"]\n[credentials]\n\
                    address = \"127.0.0.1:1\"\nserver_keys = [{ id = \"a\", key = \"0123456789abcdef\" }]";
    let policy = read(sections).to_redacted_toml();
    let in_example = keys(EXAMPLE, |line| {
        let line = line.strip_prefix('#').unwrap_or(line);
        line.split_once(" = ").map(|(key, _)| key)
    });
    let in_policy = keys(&policy, |line| {
        let absent = line.strip_prefix("# ").and_then(|absent| absent.split_once(": "));
        absent.or_else(|| line.split_once(" = ")).map(|(key, _)| key)
    });
    assert_eq!(in_example, in_policy);
    assert!(in_policy.contains(&("listen", "proxy_protocol")));
    assert!(in_policy.contains(&("credentials", "browser_keys")));
}

/// The example with its samples in force.
fn uncommented() -> String {
    let is_sample =
        |line: &str| line.starts_with('#') && !matches!(line.as_bytes().get(1), None | Some(b' '));
    EXAMPLE
        .lines()
        .map(|line| if is_sample(line) { line.trim_start_matches('#') } else { line })
        .fold(String::new(), |text, line| text + line + "\n")
}

/// The (section, key) pairs of a text, each at its first place.
fn keys<'t>(text: &'t str, key_of: impl Fn(&'t str) -> Option<&'t str>) -> Vec<(&'t str, &'t str)> {
    let is_key = |word: &&str| {
        word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
            && !word.starts_with(|first: char| first.is_ascii_digit())
    };
    let (mut section, mut found) = ("", Vec::new());
    for line in text.lines() {
        let header = line.strip_prefix('#').unwrap_or(line);
        if header.starts_with('[') && header.ends_with(']') {
            section = header.trim_matches(['[', ']']);
        }
        let pair = key_of(line).filter(is_key).map(|key| (section, key));
        found.extend(pair.filter(|pair| !found.contains(pair)));
    }
    found
}
