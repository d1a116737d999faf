//! `turnserver.toml.example` says what the code does.

use std::path::Path;

use turn_config::{AllocationsPerUser, Config, DefaultFamily, Transport, from_str};

const EXAMPLE: &str = include_str!("../../../turnserver.toml.example");

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
    let is_sample =
        |line: &str| line.starts_with('#') && !matches!(line.as_bytes().get(1), None | Some(b' '));
    let uncommented: String = EXAMPLE
        .lines()
        .map(|line| if is_sample(line) { line.trim_start_matches('#') } else { line })
        .fold(String::new(), |text, line| text + line + "\n");
    let config = read(&uncommented);
    assert_eq!(config.listen.len(), 5);
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
    let policy = Config::default().to_redacted_toml();
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
