//! What a valid configuration should still be told about.

use std::fmt;

use crate::config::Config;

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
    use super::*;
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
    fn h24_secret_that_can_be_guessed_offline_is_warned_of_and_not_shown() {
        let mut config = Config::default();
        config.auth.secrets = ["0123456789abcdef", "hunter2"].map(Secret::new).to_vec();
        let text = config.warnings().iter().map(Warning::to_string).collect::<String>();
        assert!(text.contains("fewer than 16 characters"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
}
