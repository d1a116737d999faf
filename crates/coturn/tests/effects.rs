//! Every option that the table calls applied has an effect on the configuration.

mod common;

use turn_coturn::{ImportOptions, Verdict, import, options, parse_file};

#[test]
fn every_option_that_is_applied_changes_the_configuration() {
    let read = |text: &str| {
        let parsed = parse_file(text, "t.conf");
        let import = import(&parsed, &common::surroundings(), ImportOptions::default());
        import.unwrap_or_else(|refused| panic!("{text}: {refused}")).config.to_toml()
    };
    // What has the same effect without them.
    let without_effect = ["lt-cred-mech", "verbose"];
    for option in options() {
        let Verdict::Applied(Some(key)) = option.verdict else { continue };
        let (value, company) = sample(option.name);
        let (with, without) = (read(&format!("{company}\n{}={value}", option.name)), read(company));
        if without_effect.contains(&option.name) {
            assert_eq!(with, without, "{}", option.name);
        } else {
            assert_ne!(with, without, "{} -> {key}", option.name);
        }
    }
}

/// A value with which each option that is applied has an effect, beside what it needs.
fn sample(name: &str) -> (&'static str, &'static str) {
    const TLS: &str = "cert=/etc/turnserver/fullchain.pem\npkey=/etc/turnserver/privkey.pem";
    match name {
        "listening-ip" | "relay-ip" => ("10.20.0.5", ""),
        "listening-port" | "tcp-proxy-port" => ("8000", ""),
        "tls-listening-port" => ("8001", TLS),
        "no-udp" | "no-tcp" | "no-tls" | "no-dtls" => ("", TLS),
        "dtls" => ("0", TLS),
        "aux-server" => ("10.20.0.5:9000", ""),
        "external-ip" => ("203.0.113.7", ""),
        "min-port" | "max-port" => ("50000", ""),
        "allocation-default-address-family" => ("ipv6", ""),
        "max-allocate-lifetime" => ("7200", ""),
        "stale-nonce" => ("1200", ""),
        "static-auth-secret" => ("north", ""),
        "use-auth-secret" => ("", "user=ann:north"),
        "userdb" | "db" => ("/etc/turnserver/users.db", ""),
        "psql-userdb" | "sql-userdb" | "mysql-userdb" => ("\"host=db dbname=turn\"", ""),
        "redis-userdb" | "redis-statsdb" => ("\"ip=127.0.0.1 dbname=2\"", ""),
        "realm" => ("example.org", ""),
        "user" => ("ann:north", ""),
        "rest-api-separator" => ("|", ""),
        "user-quota" | "total-quota" | "max-bps" | "bps-capacity" => ("4000", ""),
        "drain-min-allocations" | "relay-threads" | "cpus" => ("3", ""),
        "denied-peer-ip" | "allowed-peer-ip" => ("192.168.0.0-192.168.255.255", ""),
        "cert" => ("/etc/turnserver/fullchain.pem", "pkey=/etc/turnserver/privkey.pem"),
        "pkey" => ("/etc/turnserver/privkey.pem", "cert=/etc/turnserver/fullchain.pem"),
        "stun-only" => ("", "user=ann:north"),
        "rfc5766-channel-numbers" => ("0", ""),
        "unauthorized-ratelimit-rps" => ("50", "unauthorized-ratelimit"),
        "prometheus-port" => ("9000", "prometheus"),
        "prometheus-address" => ("10.20.0.5", "prometheus"),
        "prometheus-path" => ("/stats", "prometheus"),
        "log-file" => ("syslog", ""),
        "syslog-facility" => ("local3", ""),
        "log-min-level" => ("error", ""),
        // Flags that need no company.
        _ => ("", ""),
    }
}
