//! What a valid configuration should still be told about.

use std::fmt;

use crate::address_range::AddressRange;
use crate::config::Config;
use crate::listen::Transport;

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
        let mut warnings = Vec::new();
        let mut warn = |when: bool, message: &str, help: &str| {
            if when {
                warnings.push(Warning { message: message.to_owned(), help: help.to_owned() });
            }
        };
        warn(
            self.auth.anonymous,
            "OPEN RELAY: auth.anonymous = true relays for everybody, without credentials",
            "remove it and add auth.users or auth.secrets, unless nobody else reaches this host",
        );
        warn(
            self.lab.loopback_peers,
            "lab switch on: clients reach every service on 127.0.0.0/8 and ::1 of this host",
            "remove lab.loopback_peers or --allow-loopback-peers on a public host",
        );
        warn(
            !self.can_relay(),
            "no users and no secrets: the server answers STUN only and relays nothing",
            "add auth.users or auth.secrets to relay",
        );
        let speaks = |transport: Transport| {
            self.listen.iter().any(|listen| listen.transports.contains(&transport))
        };
        warn(
            self.tls.self_signed,
            "tls.self_signed: no client can verify this certificate, and browsers refuse it",
            "for trials only; name real certificates under [tls]",
        );
        warn(
            self.tls.has_certificate() && !speaks(Transport::Tls) && !speaks(Transport::Dtls),
            "[tls] brings a certificate, and no listener speaks tls or dtls",
            "add \"tls\" to the transports of a [[listen]]",
        );
        warn(
            speaks(Transport::Dtls),
            "a listener speaks dtls, which browsers do not use",
            "remove \"dtls\" unless clients of your own need it",
        );
        warn(
            self.relay.tcp,
            "relay.tcp: clients make this host open TCP connections to every peer that [peers] \
             admits, web and mail servers of the Internet included",
            "remove it unless clients need RFC 6062; browsers do not",
        );
        // [H31] Whoever may send the header may name any source, one that is exempt from limits too.
        warn(
            self.listen
                .iter()
                .flat_map(|listen| &listen.proxy_protocol)
                .any(AddressRange::is_a_whole_family),
            "proxy_protocol takes everybody's word for where a client is",
            "name only the addresses of your own load balancers",
        );
        // [H24] One captured request is enough to try every short secret at home.
        warn(
            self.auth.secrets.iter().any(|secret| secret.reveal().len() < LEAST_SECRET),
            "a shared secret of fewer than 16 characters can be guessed from one captured request",
            "make a longer one: openssl rand -base64 32",
        );
        warnings
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::from_str;
    use crate::secret::Secret;

    #[test]
    fn each_dangerous_switch_is_warned_of() {
        let mut config = Config::default();
        assert!(config.warnings().iter().any(|warning| warning.message.contains("STUN only")));
        config.auth.secrets.push(Secret::new("0123456789abcdef"));
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
        let trial = "[tls]\nself_signed = true\n[[listen]]\naddress = '0.0.0.0:443'\n";
        let trial = warned(&format!("{trial}transports = ['udp', 'dtls']"));
        assert!(trial.contains("browsers refuse it") && trial.contains("speaks dtls"), "{trial}");
        assert_eq!(trial.lines().count(), 2, "{trial}");
    }

    #[test]
    fn h24_secret_that_can_be_guessed_offline_is_warned_of_and_not_shown() {
        let mut config = Config::default();
        config.auth.secrets = ["0123456789abcdef", "hunter2"].map(Secret::new).to_vec();
        let text = config.warnings().iter().map(Warning::to_string).collect::<String>();
        assert!(text.contains("fewer than 16 characters"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
}
