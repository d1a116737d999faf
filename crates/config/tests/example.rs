//! `turnserver.toml.example` says what the code does.

use std::path::Path;

use turn_config::{AllocationsPerUser, Config, DefaultFamily, from_str};

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
fn the_example_has_every_key_once_and_in_the_order_of_the_printed_policy() {
    let is_key = |word: &&str| {
        word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
            && !word.starts_with(|first: char| first.is_ascii_digit())
    };
    let in_example: Vec<&str> = EXAMPLE
        .lines()
        .filter_map(|line| line.strip_prefix('#').unwrap_or(line).split_once(" = "))
        .map(|(key, _)| key)
        .filter(is_key)
        .collect();
    let policy = Config::default().to_redacted_toml();
    let in_policy: Vec<&str> = policy
        .lines()
        .filter_map(|line| {
            line.strip_prefix("# ")
                .and_then(|absent| absent.split_once(": "))
                .or_else(|| line.split_once(" = "))
        })
        .map(|(key, _)| key)
        .collect();
    assert_eq!(in_example, in_policy);
    assert_eq!(in_policy.iter().filter(|key| **key == "address").count(), 2);
}
