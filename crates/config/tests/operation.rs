//! `[drain]`, `[metrics]`, `[admin]` and `[log]`: their values, and what is said of a wrong one.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::time::Duration;

use turn_config::{Config, ListenAt, LogTarget, Privacy, SocketPath, from_str};

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

#[test]
fn a_default_is_told_from_the_same_address_written() {
    let address = "127.0.0.1:9641".parse().unwrap();
    assert_eq!(read("").metrics.address, ListenAt::Default(address));
    assert_eq!(
        read("[metrics]\naddress = '127.0.0.1:9641'").metrics.address,
        ListenAt::At(address)
    );
    assert_eq!(read("[metrics]\naddress = 'off'").metrics.address.address(), None);
    let socket = Path::new("/run/turnserver/admin.sock");
    assert_eq!(read("").admin.socket, SocketPath::Default(socket.to_owned()));
    assert_eq!(read("[admin]\nsocket = 'off'").admin.socket.path(), None);
}

#[test]
fn relative_paths_start_from_the_directory_of_the_file() {
    let config = read("[admin]\nsocket = './a.sock'\n[log]\ntarget = 'log/turn.log'");
    assert_eq!(config.admin.socket.path(), Some(Path::new("/etc/turn/./a.sock")));
    assert_eq!(config.log.target, LogTarget::File("/etc/turn/log/turn.log".into()));
}

#[test]
fn words_and_durations_read() {
    let config = read(
        "[drain]\non_term = '30s'\ndeadline = '1h'\nmin_allocations = 3
        [log]\ntarget = 'syslog'\nsyslog_facility = 'local0'\nusers = 'hashed'\naddresses = 'off'",
    );
    assert_eq!(config.drain.on_term, Duration::from_secs(30));
    assert_eq!((config.drain.deadline.as_secs(), config.drain.min_allocations), (3600, 3));
    assert_eq!(config.log.target, LogTarget::Syslog);
    assert_eq!(config.log.syslog_facility, "local0");
    assert_eq!((config.log.users, config.log.addresses), (Privacy::Hashed, Privacy::Off));
}

#[test]
fn an_admin_listener_without_token_and_host_is_told_both_lines_to_add() {
    assert_eq!(
        brief("[admin]\naddress = '127.0.0.1:9642'"),
        [
            "admin.address: an admin listener needs a token | add under [admin]: tokens = [\"...\"], such as one that `openssl rand -hex 24` prints",
            "admin.address: an admin listener needs the names that it is called by | add under [admin]: hosts = [\"turn.example.org\"]",
        ]
    );
}

#[test]
fn wrong_values_say_what_would_be_right() {
    let cases = [
        (
            "[drain]\non_term = 5",
            "drain.on_term: expected a duration, found a whole number | write it with its unit, in quotes: \"5s\"",
        ),
        ("[drain]\ndeadline = '0s'", "drain.deadline: 0s is out of range | write \"1s\" to \"7d\""),
        (
            "[drain]\ntimeout = '5s'",
            "drain.timeout: unknown key | known in this section: deadline, min_allocations, on_term",
        ),
        (
            "[metrics]\naddress = ':9641'",
            "metrics.address: not an address and port | write \"127.0.0.1:9641\", or \"off\" for none",
        ),
        (
            "[metrics]\naddress = '0.0.0.0'",
            "metrics.address: not an address and port | write it with its port: \"0.0.0.0:9641\", or \"off\" for none",
        ),
        (
            "[metrics]\npath = 'metrics'",
            "metrics.path: not the path of a URL | write a slash, then letters, digits and . _ ~ - /, such as \"/metrics\"",
        ),
        (
            "[metrics]\npath = '/healthz'",
            "metrics.path: /healthz has an answer of its own | write another path, such as \"/metrics\"",
        ),
        (
            "[admin]\nsocket = 'admin.sock'",
            "admin.socket: not a path | write a path with a slash, such as \"/run/turnserver/admin.sock\", or \"off\" for none",
        ),
        (
            "[admin]\ntokens = ['short']",
            "admin.tokens: a token of fewer than 16 characters can be guessed | write one that `openssl rand -hex 24` prints",
        ),
        (
            "[admin]\ntokens = ['0123456789abcdef', '0123456789abcdef']",
            "admin.tokens: listed twice | name each token once",
        ),
        (
            "[admin]\ntokens = ['two words are no token']",
            "admin.tokens: a token has printable ASCII characters only, and no spaces | write one that `openssl rand -hex 24` prints",
        ),
        (
            "[admin]\nhosts = ['https://turn.example.org/']",
            "admin.hosts: a URL, not a host name | write the name alone: \"turn.example.org\"",
        ),
        (
            "[log]\ntarget = 'sdterr'",
            "log.target: unknown value \"sdterr\" | did you mean \"stderr\"? (one of \"stderr\", \"syslog\"), or a path with a slash, such as \"./turn.log\"",
        ),
        (
            "[log]\ntarget = '/var/log/'",
            "log.target: not a path | write the path of a log file, such as \"/var/log/turnserver.log\"",
        ),
        (
            "[log]\nusers = false",
            "log.users: expected a string, found true or false | write it in quotes, such as \"full\"",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(brief(text), [expected], "{text}");
    }
    let long = format!("[admin]\nsocket = '/{}'", "a".repeat(107));
    assert!(brief(&long).iter().any(|line| line.contains("107 bytes at most")));
}
