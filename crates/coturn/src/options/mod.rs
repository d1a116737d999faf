//! Every option of coturn, and what becomes of it here.
//!
//! The long names are those of coturn 4.17; versions since 4.6, which Debian 12 has, take the same
//! ones, and [`REMOVED`] are those that guides still have and newer versions do not.

mod access;
mod operation;
mod removed;
mod sockets;
mod stun;

pub use removed::{REMOVED, Removed};

/// One option of coturn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OptionSpec {
    /// The long name; also the key of the configuration file.
    pub name: &'static str,
    /// The letter of the short form.
    pub short: Option<char>,
    /// Whether there is a value.
    pub value: Value,
    /// What holds where it is not written.
    pub default: &'static str,
    /// What becomes of it.
    pub verdict: Verdict,
    /// What it does here, or why it does nothing: one sentence.
    pub what: &'static str,
}

/// Whether an option has a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    /// On where it is written; a value can say off.
    Flag,
    /// There is one.
    Required,
    /// There may be one.
    Optional,
}

/// What becomes of an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It means what it means to coturn: the key of our configuration that it becomes, or nothing
    /// where it asks for what is always so.
    Applied(Option<&'static str>),
    /// It has no effect, and a warning says so.
    Ignored,
    /// The server does not start with it: it decides who gets in or what can be reached, and that
    /// cannot be honoured.
    Refused,
}

/// Options that belong together.
#[derive(Debug, Clone, Copy)]
pub struct Group {
    /// What they are about.
    pub title: &'static str,
    /// The options.
    pub options: &'static [OptionSpec],
}

/// Every option, by subject.
pub const GROUPS: &[Group] = &[
    Group { title: "Listeners", options: sockets::LISTENERS },
    Group { title: "Relay", options: sockets::RELAY },
    Group { title: "Lifetimes", options: sockets::LIFETIMES },
    Group { title: "Credentials", options: access::CREDENTIALS },
    Group { title: "Stores", options: access::STORES },
    Group { title: "Quotas and bandwidth", options: access::QUOTAS },
    Group { title: "Peers", options: access::PEERS },
    Group { title: "TLS", options: stun::TLS },
    Group { title: "STUN", options: stun::STUN },
    Group { title: "Abuse", options: stun::ABUSE },
    Group { title: "Balancing and mobility", options: stun::BALANCING },
    Group { title: "Threads and I/O", options: operation::THREADS },
    Group { title: "Administration", options: operation::ADMINISTRATION },
    Group { title: "Prometheus", options: operation::PROMETHEUS },
    Group { title: "Logging", options: operation::LOGGING },
    Group { title: "Process", options: operation::PROCESS },
];

/// Every option.
pub fn options() -> impl Iterator<Item = &'static OptionSpec> {
    GROUPS.iter().flat_map(|group| group.options)
}

/// The option of this long name.
pub fn option(name: &str) -> Option<&'static OptionSpec> {
    options().find(|option| option.name == name)
}

/// The option of this letter.
pub(crate) fn option_of_short(letter: char) -> Option<&'static OptionSpec> {
    options().find(|option| option.short == Some(letter))
}

impl OptionSpec {
    const fn applied(
        name: &'static str,
        value: Value,
        default: &'static str,
        key: &'static str,
        what: &'static str,
    ) -> Self {
        Self { name, short: None, value, default, verdict: Verdict::Applied(Some(key)), what }
    }

    /// It asks for what is always so.
    const fn always(name: &'static str, what: &'static str) -> Self {
        let (value, verdict) = (Value::Flag, Verdict::Applied(None));
        Self { name, short: None, value, default: "off", verdict, what }
    }

    const fn ignored(
        name: &'static str,
        value: Value,
        default: &'static str,
        what: &'static str,
    ) -> Self {
        Self { name, short: None, value, default, verdict: Verdict::Ignored, what }
    }

    const fn refused(name: &'static str, value: Value, what: &'static str) -> Self {
        let verdict = Verdict::Refused;
        Self { name, short: None, value, default: "none", verdict, what }
    }

    const fn short(mut self, letter: char) -> Self {
        self.short = Some(letter);
        self
    }

    /// Whether each of several lines counts, and not only the last.
    pub(crate) fn is_repeatable(&self) -> bool {
        [
            "allowed-peer-ip",
            "alternate-server",
            "aux-server",
            "denied-peer-ip",
            "external-ip",
            "listening-ip",
            "relay-ip",
            "static-auth-secret",
            "tcp-alternate-server",
            "tls-alternate-server",
            "udp-alternate-server",
            "user",
        ]
        .contains(&self.name)
    }

    /// Whether the value lets somebody in.
    pub(crate) fn holds_secret(&self) -> bool {
        [
            "cli-password",
            "mongo-userdb",
            "mysql-userdb",
            "pkey-pwd",
            "psql-userdb",
            "redis-statsdb",
            "redis-userdb",
            "sql-userdb",
            "stateless-nonce-secret",
            "static-auth-secret",
            "user",
        ]
        .contains(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The long names of coturn 4.17.
    const NAMES: &str = "
        listening-ip listening-port tls-listening-port no-udp no-tcp no-tls dtls no-dtls
        alt-listening-port alt-tls-listening-port listening-device aux-server tcp-proxy-port

        relay-ip external-ip min-port max-port relay-device no-udp-relay no-tcp-relay
        allocation-default-address-family keep-address-family server-relay
        multiplex-peer multiplex-peer-port multiplex-peer-max-peers

        max-allocate-lifetime channel-lifetime permission-lifetime max-allocate-timeout
        stale-nonce stateless-nonce stateless-nonce-secret

        use-auth-secret static-auth-secret realm lt-cred-mech user rest-api-separator
        no-auth secure-stun server-name oauth

        userdb db psql-userdb sql-userdb mysql-userdb redis-userdb mongo-userdb secret-key-file
        redis-statsdb no-auth-pings no-dynamic-ip-list no-dynamic-realms

        user-quota total-quota max-bps bps-capacity

        denied-peer-ip allowed-peer-ip no-multicast-peers allow-loopback-peers

        cert pkey cipher-list dh-file CA-file pkey-pwd ec-curve-name dh566 dh1066
        tlsv1 tlsv1_1 no-tlsv1_2 raw-public-keys acme-redirect

        stun-only no-stun fingerprint rfc5780 no-rfc5780 stun-backward-compatibility
        rfc3489-compatibility rfc5766-channel-numbers response-origin-only-with-rfc5780
        software-attribute no-software-attribute include-reason-string check-origin-consistency

        unauthorized-ratelimit unauthorized-ratelimit-rps drop-invalid-packets
        drop-invalid-packets-log respond-http-unsupported

        alternate-server tls-alternate-server udp-alternate-server tcp-alternate-server
        udp-self-balance mobility

        relay-threads cpus sock-buf-size udp-recvmmsg udp-recvmmsg-log udp-sendmmsg-log udp-gso

        cli cli-ip cli-port cli-password no-cli cli-max-output-sessions
        web-admin web-admin-ip web-admin-port web-admin-listen-on-workers

        prometheus prometheus-port prometheus-address prometheus-path
        prometheus-username-labels prometheus-tls prometheus-cert prometheus-key

        verbose Verbose log-file no-stdout-log syslog syslog-facility simple-log log-min-level
        new-log-timestamp new-log-timestamp-format log-binding

        daemon pidfile proc-user proc-group drain-min-allocations version";

    #[test]
    fn the_table_has_each_of_the_143_options_once() {
        let names: Vec<&str> = NAMES.split_whitespace().collect();
        let table: Vec<&str> = options().map(|option| option.name).collect();
        assert_eq!(names.len(), 143);
        assert_eq!(table.len(), 143);
        let sorted = |names: &[&'static str]| names.iter().copied().collect::<BTreeSet<_>>();
        assert_eq!(sorted(&table), sorted(&names));
    }

    #[test]
    fn short_letters_are_those_of_coturn_and_none_stands_for_two() {
        let letters: Vec<char> = options().filter_map(|option| option.short).collect();
        let once: BTreeSet<char> = letters.iter().copied().collect();
        assert_eq!(once.len(), letters.len());
        // Without -c, -n and -h, which are no options of the file.
        assert_eq!(once, "dpLEXimlrubeMJNOqQsCKABvVofzaS".chars().collect());
    }

    #[test]
    fn removed_names_are_none_of_the_143_and_all_sentences_are_sentences() {
        assert!(REMOVED.iter().all(|removed| option(removed.name).is_none()));
        for option in options() {
            let is_sentence = option.what.ends_with('.') && !option.what.contains('|');
            assert!(is_sentence, "{}: {}", option.name, option.what);
        }
    }

    #[test]
    fn refused_are_only_those_that_decide_who_gets_in_or_what_is_reached() {
        let refused: Vec<&str> = options()
            .filter(|option| option.verdict == Verdict::Refused)
            .map(|option| option.name)
            .collect();
        assert_eq!(
            refused,
            ["no-udp-relay", "server-relay", "secure-stun", "oauth", "mongo-userdb", "CA-file",]
        );
    }
}
