//! What an operator reads when the file is wrong, letter by letter. [H35]

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use turn_config::{ConfigErrors, from_str};

fn errors(text: &str) -> ConfigErrors {
    from_str(text, Path::new("turnserver.toml")).unwrap_err()
}

/// The whole output for `text`.
fn printed(text: &str) -> String {
    errors(text).to_string()
}

/// `key: message | help` of each mistake.
fn brief(text: &str) -> Vec<String> {
    let errors = errors(text);
    let line = |e: &turn_config::ConfigError| format!("{}: {} | {}", e.key, e.message, e.help);
    errors.as_slice().iter().map(line).collect()
}

#[test]
fn h35_unknown_key_suggests_the_nearest_known_one() {
    let text = "[relay]\nprots = \"50000-60000\"\n";
    assert_eq!(
        printed(text),
        "\
error: relay.prots: unknown key
  --> turnserver.toml:2:1
   |
 2 | prots = \"***\"
   | ^^^^^
   |
   = help: did you mean `ports`?"
    );
}

#[test]
fn h35_impossible_range_says_what_would_be_right() {
    let text = "realm = \"a\"\n\n[relay]\nports = \"60000-50000\" # media\n";
    assert_eq!(
        printed(text),
        "\
error: relay.ports: the first port is above the last
  --> turnserver.toml:4:9
   |
 4 | ports = \"60000-50000\" # media
   |         ^^^^^^^^^^^^^
   |
   = help: write \"50000-60000\""
    );
}

#[test]
fn h35_every_mistake_of_a_file_is_reported_in_its_order() {
    let text = "\
shards = \"four\"
[limits]
binding_replies = 1000
[peers]
allow = [\"10.0.0.0/8\", \"10.1.2.3/8\", \"10.0.0.0/99\"]
[auth]
anonymous = \"true\"
";
    assert_eq!(
        printed(text),
        "\
error: shards: expected a whole number, found a string
  --> turnserver.toml:1:10
   |
 1 | shards = \"four\"
   |          ^^^^^^
   |
   = help: write a whole number from 1 to 256, or \"auto\" for one a core

error: limits.binding_replies: expected a rate, found a whole number
  --> turnserver.toml:3:19
   |
 3 | binding_replies = 1000
   |                   ^^^^
   |
   = help: write how often, in quotes: \"1000/s\", or \"off\" for no limit

error: peers.allow: the address has bits behind the /8
  --> turnserver.toml:5:24
   |
 5 | allow = [\"10.0.0.0/8\", \"10.1.2.3/8\", \"10.0.0.0/99\"]
   |                        ^^^^^^^^^^^^
   |
   = help: write \"10.0.0.0/8\" or \"10.1.2.3\"

error: peers.allow: not a CIDR prefix
  --> turnserver.toml:5:38
   |
 5 | allow = [\"10.0.0.0/8\", \"10.1.2.3/8\", \"10.0.0.0/99\"]
   |                                      ^^^^^^^^^^^^^
   |
   = help: the number behind the slash goes from 0 to 32

error: auth.anonymous: expected true or false, found a string
  --> turnserver.toml:7:13
   |
 7 | anonymous = \"true\"
   |             ^^^^^^
   |
   = help: write true without quotes

5 mistakes"
    );
}

#[test]
fn h35_a_text_without_quotes_is_shown_where_it_stands() {
    assert_eq!(
        printed("realm = example.org\n"),
        "\
error: string values must be quoted, expected literal string
  --> turnserver.toml:1:9
   |
 1 | realm = example.org
   |         ^^^^^^^^^^^
   |
   = help: a line is `key = value`, `[section]` or `# comment`; texts stand in quotes"
    );
}

#[test]
fn no_error_shows_a_password_key_or_secret() {
    for text in [
        "[auth]\nusers = { alice = 'hunter2', bob = 7 }",
        "[auth]\nusers = { alice = 'hunter2', bob = '' }",
        "[auth]\nusers = [ 'alice:hunter2' ]",
        "[auth]\nusers = 'hunter2'",
        "[auth.users]\nalice = '0xhunter2'",
        "[auth.users]\nalice = 'sha256:hunter2'",
        "[auth.users]\nalice = \"hunter2\\u0007\"",
        "[auth.users]\n'' = 'hunter2'",
        "[auth]\nsecrets = 'hunter2'",
        "[auth]\nsecrets = ['hunter2', '']",
        "[auth]\nsecrets = [[ 'hunter2' ]]",
        "[auth]\nsecrets = [{ secret = 'hunter2', tenant = 7 }]",
        "[auth]\nsecrets = [{ secret = 'hunter2', tenant = '' }]",
        "[auth]\nsecrets = [{ secret = 'hunter2', limits = 'hunter2' }]",
        "[auth]\nsecrets = [{ secret = 'hunter2', tenant = 'a', limits = { x = 'hunter2' } }]",
        "[auth]\nsecrets = [{ secret = 'hunter2', secret_file = 'a' }]",
        "[auth]\nsecrets = [{ secret = 'hunter2', tenant = 'a' }, 'hunter2']",
        "[auth]\nsecrets = [{ sceret = 'hunter2' }]",
        "[auth]\nsecrets = ['''hunter2\nhunter2''', 1]",
        "[auth]\nsecret = 'hunter2'",
        "[auth]\npassword = 'hunter2'",
        "auth = 'hunter2'",
        "auth = ['hunter2']",
        "secrets = ['hunter2']",
        "[relay]\nsecrets = ['hunter2']",
        "relay = { secrets = ['hunter2'], prots = 1 }",
        "[[listen]]\naddress = '0.0.0.0:3478'\ntoken = 'hunter2'",
        "listen = 'hunter2'",
        "[admin]\ntokens = ['hunter2']",
        "[admin]\ntokens = 'hunter2'",
        "[admin]\ntokens = ['a token with hunter2']",
        "[admin]\naddress = '127.0.0.1:1'\ntokens = ['hunter2-hunter2-hunter2']",
        "[admin]\ntoken = 'hunter2'",
        "[admin]\ntokens = ['hunter2",
        "[realms.'b.example'.auth]\nsecrets = ['hunter2', '']",
        "[realms.'b.example'.auth]\nusers = { ann = 'hunter2', bob = '' }",
        "[realms.'b.example']\nsecrets = ['hunter2']",
        "realms = 'hunter2'",
        "[realms]\nb = 'hunter2'",
        "[realms.'b.example'.auth]\nsecrets = ['hunter2",
        "[auth]\nstores = ['postgres://a:hunter2@h/d', '']",
        "[auth]\nstores = 'postgres://a:hunter2@h/d'",
        "[auth]\nstores = [{ url = 'https://a.example/', token = 'hunter2 hunter2' }]",
        "[auth]\nstores = [{ url = 'redis://h/', token = 'hunter2' }]",
        "[auth]\nstores = [{ url = 'hunter2' }]",
        "[auth]\nstores = ['postgres://a:hunter2@h/d",
        "[credentials]\naddress = '127.0.0.1:1'\nserver_keys = [{ id = 'a', key = 'hunter2' }]",
        "[credentials]\naddress = '127.0.0.1:1'\nserver_keys = ['hunter2']",
        "[credentials]\naddress = '127.0.0.1:1'\nserver_keys = [{ id = 'a b', key = 'hunter2' }]",
        "[credentials]\nbrowser_keys = [{ key = 'hunter2', origins = ['x'] }]",
        "[credentials]\nkey = 'hunter2'",
        "[usage]\nthresholds = [{ bytes = 1, per = 'user', webhook = 'https://h/hunter2' }]",
        "[usage]\nthresholds = [{ bytes = '1 TB', per = 'user', webhook = 'h://h/hunter2' }]",
        "[usage]\nthresholds = [{ webhook = 'https://h/hunter2",
        "[metrics]\nredis_statsdb = 'postgres://:hunter2@h'",
        "[metrics]\nredis_statsdb = 'redis://:hunter2@h",
        "[metrics]\nredis_statdb = 'redis://:hunter2@h'",
        "[relay]\nurl = redis://:hunter2@h",
        "[tls]\ncertificates = [{ certificate = 1, key = '-----BEGIN PRIVATE KEY-----hunter2' }]",
        "[tls]\ncertificates = { certificate = 'a.pem', key = 'hunter2' }",
        "[tls]\ncertificates = ['hunter2']",
        "[tls]\nkey = 'hunter2'",
        "[[listen]]\naddress = '''-----BEGIN\nhunter2'''",
        // No TOML at all:
        "[tls]\nkey = -----BEGIN PRIVATE KEY-----\nhunter2",
        "[auth]\nsecrets = ['hunter2]",
        "[auth]\nsecrets = [\n'hunter2\n]",
        "[auth]\nusers = { alice = hunter2 }",
        "[auth.users]\nalice = hunter2",
        "[auth]\nsecrets = ['a'] 'hunter2'",
        "auth.users.alice = hunter2",
        "[auth.users]\nalice = 'hunter2'\nalice = 'hunter2'",
    ] {
        let errors = errors(text);
        assert!(!errors.to_string().contains("hunter2"), "{text}\n{errors}");
        assert!(!format!("{errors:?}").contains("hunter2"), "{text}\n{errors:?}");
    }
}

#[test]
fn a_secret_that_is_wrong_is_pointed_at_behind_its_mask() {
    assert_eq!(
        printed("[auth]\nusers = { alice = \"a long password\", bob = \"0x12\" }\n"),
        "\
error: auth.users.bob: not a key: behind `0x` stand 32 hexadecimal digits
  --> turnserver.toml:2:44
   |
 2 | users = { alice = \"***\", bob = \"***\" }
   |                                ^^^^^
   |
   = help: write the MD5 of user:realm:password, or a password that does not begin with `0x`"
    );
}

#[test]
fn a_key_in_the_wrong_section_is_sent_to_its_own() {
    assert_eq!(
        brief("[auth]\nrealm = \"a\"\nports = \"1024-2000\"\n"),
        [
            "auth.realm: unknown key | `realm` belongs to the top of the file, above the first [section]",
            "auth.ports: unknown key | `ports` belongs under [relay]",
        ]
    );
    // Of several places, one within the section.
    assert_eq!(
        brief("[tls]\nkey = 'privkey.pem'"),
        ["tls.key: unknown key | `key` belongs under [tls.certificates]"]
    );
    assert_eq!(
        brief("nonce-lifetime = \"1h\"\n"),
        ["nonce-lifetime: unknown key | did you mean `nonce_lifetime` of [auth]?"]
    );
    assert_eq!(
        brief("[lab]\nbanana = 1\n"),
        ["lab.banana: unknown key | known in this section: loopback_peers"]
    );
}

#[test]
fn keys_to_come_are_said_to_be_not_available_yet() {
    let brief = brief("[relay]\ncopy_tos = false");
    assert_eq!(brief.len(), 1, "{brief:?}");
    assert!(brief.iter().all(|line| line.contains("not available yet")), "{brief:?}");
}

#[test]
fn wrong_values_say_what_would_be_right() {
    let cases = [
        (
            "shards = 0",
            "shards: 0 is out of range | write a whole number from 1 to 256, or \"auto\" for one a core",
        ),
        (
            "shards = \"4\"",
            "shards: expected a whole number, found a string | write 4 without quotes, or \"auto\" for one a core",
        ),
        (
            "realm = 5",
            "realm: expected a string, found a whole number | write it in quotes, such as \"example.org\"",
        ),
        (
            "realm = ''",
            "realm: not a realm | a realm has 1 to 127 characters and no control characters, such as \"example.org\"",
        ),
        (
            "relay = 1",
            "relay: expected a table, found a whole number | write it as a section of its own: [relay]",
        ),
        (
            "listen = []",
            "listen: an empty list listens nowhere | write at least one [[listen]], or none at all for port 3478 on every address",
        ),
        (
            "[listen]\naddress = '0.0.0.0:1'",
            "listen: expected a list of tables, found a table | start each one with a line [[listen]], in double brackets",
        ),
        (
            "[[listen]]",
            "listen.address: the address is missing | add a line: address = \"0.0.0.0:3478\"",
        ),
        (
            "[[listen]]\naddress = '0.0.0.0'",
            "listen.address: not an address and port | write it with its port: \"0.0.0.0:3478\"",
        ),
        (
            "[[listen]]\naddress = '::'",
            "listen.address: not an address and port | write it with its port: \"[::]:3478\"",
        ),
        (
            "[[listen]]\naddress = ':3478'",
            "listen.address: not an address and port | write \"0.0.0.0:3478\" and, in another [[listen]], \"[::]:3478\"",
        ),
        (
            "[[listen]]\naddress = 'turn.example.org:3478'",
            "listen.address: not an address and port | names are not looked up: write the address itself, such as \"0.0.0.0:3478\"",
        ),
        (
            "[[listen]]\naddress = '0.0.0.0:0'",
            "listen.address: port 0 is none that a client can be told | write \"0.0.0.0:3478\"",
        ),
        (
            "[[listen]]\naddress = '[::ffff:192.0.2.1]:3478'",
            "listen.address: an IPv4-mapped IPv6 address | write it as IPv4: \"192.0.2.1:3478\"",
        ),
        (
            "[[listen]]\naddress = '0.0.0.0:1'\ntransports = []",
            "listen.transports: no transport is left | write transports = [\"udp\", \"tcp\"]",
        ),
        (
            "[[listen]]\naddress = '0.0.0.0:1'\n[[listen]]\naddress = '0.0.0.0:1'",
            "listen.address: 0.0.0.0:1 is listed twice | name \"udp\" and \"dtls\" of an address in one [[listen]], and \"tcp\" and \"tls\" in one",
        ),
        (
            "[[listen]]\naddress = '0.0.0.0:1'\ntransports = ['tpc']",
            "listen.transports: unknown value \"tpc\" | did you mean \"tcp\"? (one of \"udp\", \"tcp\", \"tls\", \"dtls\")",
        ),
        (
            "[[listen]]\naddress = '0.0.0.0:1'\ntransports = ['tcp', 'tcp']",
            "listen.transports: listed twice | name each transport once",
        ),
        (
            "[[listen]]\naddress = '0.0.0.0:1'\nproxy_protocol = []",
            "listen.proxy_protocol: an empty list serves nobody | name the upstreams, or leave the key out where there is no PROXY protocol",
        ),
        (
            "[[listen]]\naddress = '0.0.0.0:1'\nproxy_protocol = true",
            "listen.proxy_protocol: expected a list, found true or false | put it in brackets: proxy_protocol = [...]",
        ),
        (
            "[[listen]]\naddress = '0.0.0.0:1'\nproxy_protocol = ['10.1.2.3/8']",
            "listen.proxy_protocol: the address has bits behind the /8 | write \"10.0.0.0/8\" or \"10.1.2.3\"",
        ),
        (
            "[relay]\naddresses = '192.0.2.1'",
            "relay.addresses: expected a list, found a string | put it in brackets: addresses = [...]",
        ),
        (
            "[relay]\naddresses = ['0.0.0.0']",
            "relay.addresses: 0.0.0.0 is not an address that a peer can answer to | write an address of this host; without the key it is found by itself",
        ),
        (
            "[relay]\nexternal = ['203.0.113.7/198.51.100.7']",
            "relay.external: not \"PUBLIC\" or \"PUBLIC=BOUND\" | write \"203.0.113.7=198.51.100.7\"",
        ),
        (
            "[relay]\nexternal = ['203.0.113.7=2001:db8::7']",
            "relay.external: the two addresses are of different families | a public address stands for a bound address of its own family",
        ),
        (
            "[relay]\nexternal = ['203.0.113.7', '203.0.113.8']",
            "relay.external: several public addresses of one family, not all with their bound address | write each as \"PUBLIC=BOUND\"",
        ),
        (
            "[relay]\nexternal = ['203.0.113.7=10.0.0.1', '203.0.113.8=10.0.0.1']",
            "relay.external: 10.0.0.1 has a public address already | a bound address is advertised as one public address",
        ),
        (
            "[relay]\naddresses = ['10.0.0.1']\nexternal = ['203.0.113.7=10.0.0.2']",
            "relay.external: 10.0.0.2 is not a relay address | add \"10.0.0.2\" to relay.addresses",
        ),
        (
            "[relay]\nports = '80-2000'",
            "relay.ports: relay ports below 1024 could pass for well-known services | write \"1024-2000\" or the default, \"49152-65535\"",
        ),
        (
            "[relay]\nports = '49152-70000'",
            "relay.ports: not a range of ports | write two ports of 1 to 65535, such as \"49152-65535\"",
        ),
        (
            "[relay]\ndefault_family = 'ipv5'",
            "relay.default_family: unknown value \"ipv5\" | did you mean \"ipv4\"? (one of \"ipv4\", \"ipv6\", \"client\")",
        ),
        (
            "[relay]\nlatency_budget = '1s'",
            "relay.latency_budget: 1s is out of range | write \"1us\" to \"10ms\", or \"off\" for no limit",
        ),
        (
            "[relay]\ndscp = 64",
            "relay.dscp: 64 is out of range | write a whole number from 0 to 63",
        ),
        (
            "[auth]\nnonce_lifetime = '2h'",
            "auth.nonce_lifetime: 2h is out of range | write \"1s\" to \"1h\"",
        ),
        (
            "[auth]\nnonce_lifetime = 600",
            "auth.nonce_lifetime: expected a duration, found a whole number | write it with its unit, in quotes: \"600s\"",
        ),
        (
            "[auth]\nnonce_lifetime = '10 minutes'",
            "auth.nonce_lifetime: not a duration | write one whole number and a unit of us, ms, s, m, h or d, such as \"90s\" or \"10m\"",
        ),
        (
            "[auth]\nseparator = '::'",
            "auth.separator: not one character | write one character, such as \":\"",
        ),
        (
            "[auth]\nseparator = '7'",
            "auth.separator: a digit cannot be told from the expiry | write a character that is no digit, such as \":\"",
        ),
        (
            "[peers]\nallow = ['127.0.0.1']",
            "peers.allow: loopback peers cannot be allowed | for trials on one machine: [lab] loopback_peers = true",
        ),
        (
            "[peers]\nallow = ['239.0.0.0/8']",
            "peers.allow: multicast peers cannot be allowed | remove the entry",
        ),
        (
            "[peers]\ndeny = ['media.example.org']",
            "peers.deny: not an IP address | names are not looked up: write the address itself",
        ),
        (
            "[limits]\nallocations = 0",
            "limits.allocations: 0 is out of range | write a whole number from 1 to 4294967295, or \"off\" for no limit",
        ),
        (
            "[limits]\nallocations = false",
            "limits.allocations: a limit is not switched off by `false` | write \"off\"",
        ),
        (
            "[limits]\nallocations = -1",
            "limits.allocations: -1 is out of range | write a whole number from 1 to 4294967295, or \"off\" for no limit",
        ),
        (
            "[limits]\nallocations_per_user = 'none'",
            "limits.allocations_per_user: expected a whole number, found a string | write a whole number from 1 to 4294967295, or \"off\" for no limit, or \"auto\"",
        ),
        (
            "[limits]\nchannels_per_allocation = 5000",
            "limits.channels_per_allocation: 5000 is out of range | write a whole number from 1 to 4096, or \"off\" for no limit",
        ),
        (
            "[limits]\nbandwidth = 20",
            "limits.bandwidth: expected a bandwidth, found a whole number | write it with its unit, in quotes: \"20 Mbit/s\", or \"off\" for no limit",
        ),
        (
            "[limits]\nbandwidth = '20 mbit/s'",
            "limits.bandwidth: not a bandwidth | write \"20 Mbit/s\", or \"off\" for no limit",
        ),
        (
            "[limits]\nqueue_per_connection = 256",
            "limits.queue_per_connection: expected a size, found a whole number | write it with its unit, in quotes: \"256 KiB\"",
        ),
        (
            "[limits]\nqueue_per_connection = 262144",
            "limits.queue_per_connection: expected a size, found a whole number | write it with its unit, in quotes: \"256 KiB\"",
        ),
        (
            "[limits]\nqueue_per_connection = '1 KiB'",
            "limits.queue_per_connection: 1 KiB is out of range | write \"16 KiB\" to \"16 MiB\"",
        ),
        (
            "[limits]\nqueue_per_connection = 'off'",
            "limits.queue_per_connection: not a size | write a whole number and a unit of KiB, MiB, kB or MB, such as \"256 KiB\"",
        ),
        (
            "[limits]\nmax_lifetime = '5m'",
            "limits.max_lifetime: 5m is out of range | write \"10m\" to \"1d\"",
        ),
        (
            "[log]\nlevel = 'warning'",
            "log.level: unknown value \"warning\" | write one of \"error\", \"warn\", \"info\", \"debug\", \"trace\"",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(brief(text), [expected], "{text}");
    }
}
