//! Our server's configuration under load: every default, except the limits.

use std::net::SocketAddr;

/// The one user of every server under load.
#[derive(Clone, Copy, Debug)]
pub struct Credentials;

impl Credentials {
    /// The user name.
    pub const USERNAME: &str = "bench";
    /// The password.
    pub const PASSWORD: &str = "password";
    /// The realm.
    pub const REALM: &str = "bench.example";

    /// As a client takes them.
    pub fn of_client() -> turn_client::Credentials {
        turn_client::Credentials::password(Self::USERNAME, Self::PASSWORD)
    }
}

/// What differs from the default configuration.
#[derive(Clone, Copy, Debug)]
pub struct OurConfig {
    /// Where it listens, on one address for clients and relay sockets.
    pub address: SocketAddr,
    /// Whether it serves TLS too, with the files of [`OurConfig::CERTIFICATE`] and
    /// [`OurConfig::KEY`] beside the configuration.
    pub tls: bool,
    /// Whether it naps between polls under load.
    pub naps: bool,
    /// How many shards it has; one a core that it may run on if it is not said.
    pub shards: Option<u32>,
    /// Where its metrics are, if somebody wants to read them.
    pub metrics: Option<SocketAddr>,
}

impl OurConfig {
    /// The name of the certificate's file.
    pub const CERTIFICATE: &str = "certificate.pem";
    /// The name of its key's file.
    pub const KEY: &str = "key.pem";

    /// The default configuration, over UDP and TCP.
    pub const fn at(address: SocketAddr) -> Self {
        Self { address, tls: false, naps: true, shards: None, metrics: None }
    }

    /// The file's text: a realm, a user, an address and loopback peers, as any trial has to say
    /// them, and the limits that one host with all clients would reach.
    pub fn to_toml(&self) -> String {
        let Self { address, tls, naps, shards, metrics } = self;
        let (name, password) = (Credentials::USERNAME, Credentials::PASSWORD);
        let mut text = format!("realm = \"{}\"\n", Credentials::REALM);
        if let Some(shards) = shards {
            text.push_str(&format!("shards = {shards}\n"));
        }
        let transports = if *tls { "[\"udp\", \"tcp\", \"tls\"]" } else { "[\"udp\", \"tcp\"]" };
        text.push_str(&format!(
            "\n[[listen]]\naddress = \"{address}\"\ntransports = {transports}\n\n[relay]\naddresses \
             = [\"{}\"]\n",
            address.ip()
        ));
        if !naps {
            text.push_str("latency_budget = \"off\"\n");
        }
        text.push_str(&format!("\n[auth]\nusers = {{ {name} = \"{password}\" }}\n"));
        if *tls {
            let (certificate, key) = (Self::CERTIFICATE, Self::KEY);
            text.push_str(&format!(
                "\n[tls]\ncertificates = [{{ certificate = \"{certificate}\", key = \"{key}\" }}]\n"
            ));
        }
        if let Some(metrics) = metrics {
            text.push_str(&format!("\n[metrics]\naddress = \"{metrics}\"\n"));
        }
        text.push_str("\n[lab]\nloopback_peers = true\n\n[limits]\n");
        for limit in RAISED {
            text.push_str(&format!("{limit} = \"off\"\n"));
        }
        text
    }
}

/// The limits that count one source, and the one that counts accepts.
const RAISED: [&str; 5] = [
    "allocations_per_source",
    "connections_per_source",
    "binding_replies",
    "challenges",
    "accepts",
];

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]

    use std::path::Path;

    use super::*;

    #[test]
    fn every_variant_is_a_configuration() {
        let plain = OurConfig::at("127.0.0.1:3478".parse().unwrap());
        let metrics = Some("127.0.0.1:9641".parse().unwrap());
        let all = OurConfig { tls: true, naps: false, shards: Some(2), metrics, ..plain };
        for config in [plain, all] {
            let text = config.to_toml();
            turn_config::from_str(&text, Path::new("bench.toml")).unwrap();
            assert!(text.contains("challenges = \"off\""));
        }
        assert!(!plain.to_toml().contains("shards"));
        assert!(all.to_toml().contains("latency_budget = \"off\""));
        assert!(all.to_toml().contains("[metrics]\naddress = \"127.0.0.1:9641\""));
    }
}
