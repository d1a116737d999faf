//! What a valid configuration should still be told about.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use crate::address_range::AddressRange;
use crate::config::Config;
use crate::entries::quoted_key;
use crate::limit::Limit;
use crate::listen::Transport;
use crate::peer_rule::PeerRule;
use crate::peers::Peers;
use crate::threshold::Threshold;

/// Something that is allowed and probably not meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// What is so.
    pub message: String,
    /// How to change it.
    pub help: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.message, self.help)
    }
}

/// Bytes of a shared secret that may be called unguessable: 128 bits at best.
const LEAST_SECRET: usize = 16;

impl Config {
    /// What an operator should know about this policy at every start.
    ///
    /// To be asked once the command line had its say, because switches change it.
    pub fn warnings(&self) -> Vec<Warning> {
        let mut found = Found(Vec::new());
        self.warn_of_access(&mut found);
        self.warn_of_listeners(&mut found);
        self.warn_of_reach(&mut found);
        self.warn_of_insight(&mut found);
        self.warn_of_clear_text(&mut found);
        found.0
    }

    /// Who may relay.
    fn warn_of_access(&self, found: &mut Found) {
        let realms = self.realms.iter().map(|realm| {
            let section = format!("realms.{}.auth", quoted_key(&realm.name));
            (section, realm.auth.anonymous, &realm.auth.secrets)
        });
        let top = ("auth".to_owned(), self.auth.anonymous, &self.auth.secrets);
        for (section, anonymous, secrets) in [top].into_iter().chain(realms) {
            found.warn(
                anonymous,
                format!(
                    "OPEN RELAY: {section}.anonymous = true relays for everybody, without \
                     credentials"
                ),
                "remove it and add auth.users or auth.secrets, unless nobody else reaches this \
                 host",
            );
            // [H24] One captured request is enough to try every short secret at home.
            found.warn(
                secrets.iter().any(|shared| shared.secret.reveal().len() < LEAST_SECRET),
                format!(
                    "{section}.secrets: a shared secret of fewer than 16 characters can be \
                     guessed from one captured request"
                ),
                "make a longer one: openssl rand -base64 32",
            );
        }
        found.warn(
            !self.can_relay(),
            "no users and no secrets: the server answers STUN only and relays nothing",
            "add auth.users, auth.secrets or auth.stores to relay",
        );
    }

    fn warn_of_listeners(&self, found: &mut Found) {
        let speaks = |transport: Transport| {
            self.listen.iter().any(|listen| listen.transports.contains(&transport))
        };
        found.warn(
            self.tls.self_signed,
            "tls.self_signed: no client can verify this certificate, and browsers refuse it",
            "for trials only; name real certificates under [tls]",
        );
        found.warn(
            self.tls.has_certificate()
                && !speaks(Transport::Tls)
                && !speaks(Transport::Dtls)
                && self.credentials.as_ref().is_none_or(|it| it.tls == Some(false)),
            "[tls] brings a certificate, and no listener speaks tls or dtls",
            "add \"tls\" to the transports of a [[listen]]",
        );
        found.warn(
            speaks(Transport::Dtls),
            "a listener speaks dtls, which browsers do not use",
            "remove \"dtls\" unless clients of your own need it",
        );
        // [H31] Whoever may send the header may name any source, one that is exempt from limits too.
        found.warn(
            self.listen
                .iter()
                .flat_map(|listen| &listen.proxy_protocol)
                .any(AddressRange::is_a_whole_family),
            "proxy_protocol takes everybody's word for where a client is",
            "name only the addresses of your own load balancers",
        );
        let by_name = self
            .listen
            .iter()
            .any(|listen| listen.realm.is_none() && listen.transports.contains(&Transport::Tls));
        for realm in &self.realms {
            let is_listed =
                self.listen.iter().any(|listen| listen.realm.as_ref() == Some(&realm.name));
            let name = quoted_key(&realm.name);
            found.warn(
                !is_listed && !by_name,
                format!("no client comes to [realms.{name}]: no listener is of that realm"),
                "add its name as the realm of a [[listen]], or a [[listen]] with \"tls\" and \
                 without a realm",
            );
        }
    }

    /// Whom clients reach through us.
    fn warn_of_reach(&self, found: &mut Found) {
        found.warn(
            self.lab.loopback_peers,
            "lab switch on: clients reach every service on 127.0.0.0/8 and ::1 of this host",
            "remove lab.loopback_peers or --allow-loopback-peers on a public host",
        );
        found.warn(
            self.relay.tcp,
            "relay.tcp: clients make this host open TCP connections to every peer that [peers] \
             admits, web and mail servers of the Internet included",
            "remove it unless clients need RFC 6062; browsers do not",
        );
        let realms = self
            .realms
            .iter()
            .map(|realm| (format!("realms.{}.peers", quoted_key(&realm.name)), &realm.peers));
        let inherited = |peers: &Peers| *peers == self.peers;
        let top = [("peers".to_owned(), &self.peers)];
        for (section, peers) in top.into_iter().chain(realms.filter(|(_, peers)| !inherited(peers)))
        {
            let opens = |address: IpAddr| {
                let holds = |rules: &[PeerRule], whole: bool| {
                    let of_all_ports = |rule: &&PeerRule| !whole || rule.ports.is_none();
                    rules.iter().filter(of_all_ports).any(|rule| rule.range.contains(address))
                };
                holds(&peers.allow, false) && !holds(&peers.deny, true)
            };
            found.warn(
                peers.allow.iter().any(|rule| rule.range.is_a_whole_family()),
                format!("{section}.allow opens every address to clients, private ones included"),
                "name only the networks that your media servers are in",
            );
            found.warn(
                METADATA.into_iter().any(opens),
                format!(
                    "{section}.allow opens the metadata service of clouds, which gives out \
                     credentials of this host"
                ),
                format!("add to {section}.deny: \"169.254.169.254\", \"fd00:ec2::254\""),
            );
        }
    }

    /// What crosses a network for everybody to read, and what everybody may ask for.
    fn warn_of_clear_text(&self, found: &mut Found) {
        for store in self.auth.stores.iter().filter(|store| store.is_in_clear_text()) {
            found.warn(
                true,
                format!(
                    "auth.stores: {} answers with passwords and keys in clear text",
                    store.shown()
                ),
                "write an https URL, or let it listen on 127.0.0.1",
            );
        }
        found.warn(
            self.usage.thresholds.iter().any(Threshold::is_in_clear_text),
            "usage.thresholds: a webhook is called in clear text, its token included",
            "write an https URL",
        );
        let Some(credentials) = &self.credentials else { return };
        found.warn(
            credentials.is_in_clear_text(self.tls.has_certificate()),
            "credentials.address is reached from other hosts, and keys and credentials cross the \
             network in clear text",
            "name certificates under [tls], or listen on 127.0.0.1 and put a proxy with TLS before \
             it",
        );
        found.warn(
            credentials.browser_keys.iter().any(|key| key.origins.iter().any(|it| it == "*")),
            "credentials.browser_keys: a key with the origin \"*\" gives every page of the Internet \
             credentials",
            "name the origins of your own pages: origins = [\"https://app.example\"]",
        );
        let refused =
            |most: Limit<Duration>| most.value().is_some_and(|it| it < credentials.max_ttl);
        found.warn(
            refused(self.auth.max_credential_ttl)
                || self.realms.iter().any(|realm| refused(realm.auth.max_credential_ttl)),
            "credentials.max_ttl is more than max_credential_ttl, which refuses what is longer",
            "write the same for both",
        );
    }

    /// Who sees and steers the server.
    fn warn_of_insight(&self, found: &mut Found) {
        found.warn(
            self.admin.address.is_some_and(|address| !address.ip().is_loopback()),
            "admin.address is reached from other hosts, and tokens cross the network in clear text",
            "listen on 127.0.0.1 and put a proxy with TLS before it",
        );
        let is_public = |address: IpAddr| match address {
            IpAddr::V4(v4) => !(v4.is_loopback() || v4.is_private() || v4.is_link_local()),
            IpAddr::V6(v6) => {
                !(v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local())
            }
        };
        found.warn(
            self.metrics.address.address().is_some_and(|address| is_public(address.ip())),
            "metrics.address is reached from the Internet, and metrics need no token",
            "listen on 127.0.0.1 or a private address, or close the port in the firewall",
        );
    }
}

/// The warnings so far.
struct Found(Vec<Warning>);

impl Found {
    fn warn(&mut self, when: bool, message: impl Into<String>, help: impl Into<String>) {
        if when {
            self.0.push(Warning { message: message.into(), help: help.into() });
        }
    }
}

/// Where clouds hand out the credentials of a host.
const METADATA: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
];

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::document::from_str;
    use crate::shared_secret::SharedSecret;

    #[test]
    fn each_dangerous_switch_is_warned_of() {
        let mut config = Config::default();
        assert!(config.warnings().iter().any(|warning| warning.message.contains("STUN only")));
        config.auth.secrets.push(SharedSecret::new("0123456789abcdef"));
        assert_eq!(config.warnings(), []);
        config.auth.anonymous = true;
        config.lab.loopback_peers = true;
        let text = config.warnings().iter().map(Warning::to_string).collect::<String>();
        assert!(text.contains("OPEN RELAY") && text.contains("--allow-loopback-peers"));
    }

    #[test]
    fn what_listeners_and_relay_open_is_warned_of() {
        let warned = |text: &str| {
            let text = format!("[auth]\nsecrets = ['0123456789abcdef']\n{text}");
            let warnings = from_str(&text, Path::new("t")).map(|config| config.warnings());
            warnings.map_or_else(
                |errors| errors.to_string(),
                |all| all.iter().map(Warning::to_string).collect::<Vec<_>>().join("\n"),
            )
        };
        let listen = |rest: &str| format!("[[listen]]\naddress = '0.0.0.0:443'\n{rest}");
        assert_eq!(warned(&listen("proxy_protocol = ['10.0.0.0/8']")), "");
        assert!(warned(&listen("proxy_protocol = ['::/0']")).contains("everybody's word"));
        assert!(warned("[relay]\ntcp = true").contains("relay.tcp"));
        let pair = "[tls]\ncertificates = [{ certificate = 'a', key = 'b' }]\n";
        assert_eq!(warned(&format!("{pair}{}", listen("transports = ['tls']"))), "");
        assert!(warned(pair).contains("no listener speaks tls or dtls"));
        let door = "[credentials]\naddress = '0.0.0.0:8443'\n\
                    server_keys = [{ id = 'a', key = '0123456789abcdef' }]\n";
        assert_eq!(warned(&format!("{pair}{door}")), "", "the certificate is the door's");
        let trial = "[tls]\nself_signed = true\n[[listen]]\naddress = '0.0.0.0:443'\n";
        let trial = warned(&format!("{trial}transports = ['udp', 'dtls']"));
        assert!(trial.contains("browsers refuse it") && trial.contains("speaks dtls"), "{trial}");
        assert_eq!(trial.lines().count(), 2, "{trial}");
    }

    #[test]
    fn realms_and_the_ways_in_are_warned_of() {
        let warned = |text: &str| {
            let text = format!("auth.secrets = ['0123456789abcdef']\n{text}");
            let warnings = from_str(&text, Path::new("t")).map(|config| config.warnings());
            warnings.map_or_else(
                |errors| errors.to_string(),
                |all| all.iter().map(Warning::to_string).collect::<Vec<_>>().join("\n"),
            )
        };
        let listen = "[[listen]]\naddress = '0.0.0.0:1'\nrealm = 'b.example'\n";
        let realm = "[realms.'b.example'.auth]\n";
        assert_eq!(warned(&format!("{listen}{realm}")), "");
        assert!(warned(realm).contains("no client comes to [realms.\"b.example\"]"));
        let by_name = "tls.self_signed = true\n[[listen]]\naddress = '0.0.0.0:1'\n";
        let by_name = warned(&format!("{by_name}transports = ['tls']\n{realm}"));
        assert!(!by_name.contains("no client comes"), "{by_name}");
        let open = warned(&format!("{listen}{realm}anonymous = true\nsecrets = ['short']"));
        assert!(open.contains("OPEN RELAY: realms.\"b.example\".auth.anonymous"), "{open}");
        assert!(open.contains("realms.\"b.example\".auth.secrets: a shared secret of"), "{open}");

        let admin = |address: &str| {
            warned(&format!(
                "[admin]\naddress = '{address}'\ntokens = ['0123456789abcdef']\nhosts = ['a']"
            ))
        };
        assert_eq!(admin("127.0.0.1:1"), "");
        assert!(admin("10.0.0.1:1").contains("in clear text"));
        let metrics = |address: &str| warned(&format!("[metrics]\naddress = '{address}'"));
        assert_eq!(metrics("10.0.0.1:1") + &metrics("[fd00::1]:1") + &metrics("off"), "");
        assert!(metrics("0.0.0.0:9641").contains("metrics need no token"));
        assert!(metrics("203.0.113.7:9641").contains("metrics need no token"));
    }

    #[test]
    fn what_crosses_a_network_in_clear_text_is_warned_of() {
        let warned = |text: &str| {
            let text = format!("auth.secrets = ['0123456789abcdef']\n{text}");
            let warnings = from_str(&text, Path::new("t")).map(|config| config.warnings());
            warnings.map_or_else(
                |errors| errors.to_string(),
                |all| all.iter().map(Warning::to_string).collect::<Vec<_>>().join("\n"),
            )
        };
        let store = |url: &str| warned(&format!("auth.stores = ['{url}']"));
        assert_eq!(store("https://app.example/a") + &store("http://127.0.0.1:80/a"), "");
        let clear = store("http://u:hunter2@app.example/a?token=hunter2");
        assert!(clear.contains("http://u:(password)@app.example/a answers"), "{clear}");
        let key = "server_keys = [{ id = 'a', key = '0123456789abcdef' }]\n";
        let door = |rest: &str| warned(&format!("[credentials]\n{key}{rest}"));
        assert_eq!(door("address = '127.0.0.1:1'"), "");
        assert!(door("address = '0.0.0.0:1'").contains("clear text"));
        let pages =
            "address = '127.0.0.1:1'\nbrowser_keys = [{ key = '01234567', origins = ['*'] }]";
        assert!(door(pages).contains("every page of the Internet"));
        let hook =
            "[usage]\nthresholds = [{ bytes = '1 TB', per = 'user', webhook = 'http://a/' }]";
        assert!(warned(hook).contains("a webhook is called in clear text"));
        let ttl = "auth.max_credential_ttl = '2h'\n[credentials]\naddress = '127.0.0.1:1'\n";
        assert!(warned(&format!("{ttl}{key}")).contains("max_ttl is more than"));
        assert_eq!(warned(&format!("{ttl}max_ttl = '2h'\n{key}")), "");
    }

    #[test]
    fn peers_that_are_dangerous_to_open_are_warned_of() {
        let warned = |text: &str| {
            let text = format!("auth.secrets = ['0123456789abcdef']\n[peers]\n{text}");
            let warnings = from_str(&text, Path::new("t")).map(|config| config.warnings());
            let all = warnings.unwrap_or_default();
            all.iter().map(Warning::to_string).collect::<Vec<_>>().join("\n")
        };
        assert_eq!(warned("allow = ['10.20.0.0/16', '203.0.113.5:10000-20000']"), "");
        let all = warned("allow = ['0.0.0.0/0']");
        assert!(all.contains("opens every address") && all.contains("metadata service"), "{all}");
        assert!(warned("allow = ['169.254.0.0/16:80']").contains("metadata service"));
        let denied = "allow = ['169.254.0.0/16']\ndeny = ['169.254.169.254']";
        assert_eq!(warned(denied), "");
        assert!(warned(&denied.replace(".254'", ".254:443'")).contains("metadata service"));
    }

    #[test]
    fn h24_secret_that_can_be_guessed_offline_is_warned_of_and_not_shown() {
        let mut config = Config::default();
        config.auth.secrets = ["0123456789abcdef", "hunter2"].map(SharedSecret::new).to_vec();
        let text = config.warnings().iter().map(Warning::to_string).collect::<String>();
        assert!(text.contains("fewer than 16 characters"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
}
