//! The effective configuration as TOML, defaults included and secrets left out.

use std::fmt::{Display, Write as _};
use std::time::Duration;

use crate::auth::Credential;
use crate::config::{Config, Shards};
use crate::duration::spell;
use crate::limit::Limit;
use crate::limits::AllocationsPerUser;
use crate::peer_rule::spell_ports;

impl Config {
    /// Every key with its effective value, in the order of `turnserver.toml.example`.
    ///
    /// The text is TOML that [`from_str`](crate::from_str) takes. Passwords,
    /// keys and secrets are replaced by words of the same kind; keys without a
    /// value stand in comments.
    pub fn to_redacted_toml(&self) -> String {
        let mut out = Lines(String::new());
        out.key("realm", quote(&self.realm));
        match self.shards {
            Shards::Auto => out.key("shards", quote("auto")),
            Shards::Count(count) => out.key("shards", count),
        }
        for listen in &self.listen {
            out.section("[listen]");
            out.key("address", quote(listen.address));
            out.key("transports", list(listen.transports.iter().map(|t| t.name())));
            if listen.proxy_protocol.is_empty() {
                out.absent("proxy_protocol", "off");
            } else {
                out.key("proxy_protocol", list(&listen.proxy_protocol));
            }
        }

        out.section("tls");
        if self.tls.certificates.is_empty() {
            out.absent("certificates", "none");
        } else {
            let pairs = self.tls.certificates.iter().map(|pair| {
                let (certificate, key) = (pair.certificate.display(), pair.key.display());
                format!("{{ certificate = {}, key = {} }}", quote(certificate), quote(key))
            });
            out.key("certificates", format!("[{}]", pairs.collect::<Vec<_>>().join(", ")));
        }
        out.key("self_signed", self.tls.self_signed);

        let relay = &self.relay;
        out.section("relay");
        if relay.addresses.is_empty() {
            out.absent("addresses", "those of the default route");
        } else {
            out.key("addresses", list(&relay.addresses));
        }
        let external = relay.external.iter().map(|external| match external.bound {
            Some(bound) => format!("{}={bound}", external.public),
            None => external.public.to_string(),
        });
        out.key("external", list(external));
        out.key("ports", quote(spell_ports(&relay.ports)));
        match relay.default_family {
            Some(family) => out.key("default_family", quote(family.name())),
            None => out.absent("default_family", "ipv4; ipv6 without an IPv4 relay address"),
        }
        out.key("latency_budget", limit(relay.latency_budget, |nap| quote(spell(nap))));
        out.key("dscp", relay.dscp);
        out.key("rfc5766_channel_numbers", relay.rfc5766_channel_numbers);
        out.key("tcp", relay.tcp);

        let auth = &self.auth;
        out.section("auth");
        let users = auth.users.iter().map(|user| {
            let credential = match user.credential {
                Credential::Password(_) => "(password)".to_owned(),
                Credential::Md5Key(_) => format!("0x{:032}", 0),
                Credential::Sha256Key(_) => format!("sha256:{:064}", 0),
            };
            // A table of one, because keys are quoted by rules of their own.
            let entry = toml::Table::from_iter([(user.name.clone(), credential.into())]);
            entry.to_string().trim_end().to_owned()
        });
        let users = users.collect::<Vec<_>>().join(", ");
        out.key("users", if users.is_empty() { "{}".to_owned() } else { format!("{{ {users} }}") });
        out.key("secrets", list(auth.secrets.iter().map(|_| "(secret)")));
        out.key("separator", quote(auth.separator));
        out.key("anonymous", auth.anonymous);
        out.key("nonce_lifetime", quote(spell(auth.nonce_lifetime)));
        out.key("strict_expiry", auth.strict_expiry);
        out.key("max_credential_ttl", limit(auth.max_credential_ttl, |ttl| quote(spell(ttl))));

        out.section("peers");
        out.key("allow", list(&self.peers.allow));
        out.key("deny", list(&self.peers.deny));

        self.limits_to_toml(&mut out);

        out.section("log");
        out.key("format", quote(self.log.format.name()));
        out.key("level", quote(self.log.level.name()));
        out.key("target", quote(self.log.target.name()));

        out.section("lab");
        out.key("loopback_peers", self.lab.loopback_peers);
        out.0
    }

    fn limits_to_toml(&self, out: &mut Lines) {
        let limits = &self.limits;
        let count = |of: Limit<u32>| limit(of, |number| number.to_string());
        let duration = |of: Limit<Duration>| limit(of, |duration| quote(spell(duration)));
        out.section("limits");
        out.key("allocations", count(limits.allocations));
        match limits.allocations_per_user {
            AllocationsPerUser::Auto => out.key("allocations_per_user", quote("auto")),
            AllocationsPerUser::Each(each) => out.key("allocations_per_user", count(each)),
        }
        out.key("allocations_per_source", count(limits.allocations_per_source));
        out.key("binding_replies", limit(limits.binding_replies, quote));
        out.key("challenges", limit(limits.challenges, quote));
        out.key("connections_per_source", count(limits.connections_per_source));
        out.key("exempt_sources", list(&limits.exempt_sources));
        out.key("permissions_per_allocation", count(limits.permissions_per_allocation));
        out.key("channels_per_allocation", count(limits.channels_per_allocation));
        out.key("peers_per_allocation", count(limits.peers_per_allocation));
        out.key("new_peers", limit(limits.new_peers, quote));
        out.key("peer_connections_per_allocation", count(limits.peer_connections_per_allocation));
        out.key("bandwidth_per_allocation", limit(limits.bandwidth_per_allocation, quote));
        out.key("bandwidth_per_user", limit(limits.bandwidth_per_user, quote));
        out.key("bandwidth_per_realm", limit(limits.bandwidth_per_realm, quote));
        out.key("bandwidth", limit(limits.bandwidth, quote));
        out.key("unauthenticated_connections", count(limits.unauthenticated_connections));
        out.key("accepts", limit(limits.accepts, quote));
        out.key("queue_per_connection", quote(limits.queue_per_connection));
        out.key("max_lifetime", quote(spell(limits.max_lifetime)));
        out.key("max_allocation_age", duration(limits.max_allocation_age));
    }
}

/// The text being written.
struct Lines(String);

impl Lines {
    fn section(&mut self, name: &str) {
        self.line(format_args!("\n[{name}]"));
    }

    fn key(&mut self, key: &str, value: impl Display) {
        self.line(format_args!("{key} = {value}"));
    }

    fn absent(&mut self, key: &str, meaning: &str) {
        self.line(format_args!("# {key}: {meaning}"));
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "{line}");
    }
}

fn quote(text: impl Display) -> String {
    toml::Value::String(text.to_string()).to_string()
}

fn list<T: Display>(items: impl IntoIterator<Item = T>) -> String {
    format!("[{}]", items.into_iter().map(quote).collect::<Vec<_>>().join(", "))
}

fn limit<T>(limit: Limit<T>, written: impl FnOnce(T) -> String) -> String {
    limit.value().map_or_else(|| quote("off"), written)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::path::Path;

    use toml::de::DeTable;

    use super::*;
    use crate::config::from_str;
    use crate::file::Switches;
    use crate::reader::{Findings, Section};
    use crate::tls::CertificatePair;

    #[test]
    fn the_printed_default_reads_back_as_the_default() {
        let text = Config::default().to_redacted_toml();
        assert_eq!(from_str(&text, Path::new("t")).unwrap(), Config::default());
    }

    #[test]
    fn every_key_that_is_read_is_printed() {
        let mut findings = Findings::default();
        let read = |top: &mut Section<'_, '_>| Config::read(top, Switches::default());
        let mut config = Section::document(&DeTable::new(), &mut findings, read);
        config.tls.certificates.push(CertificatePair { certificate: "c".into(), key: "k".into() });
        let printed = format!("\n{}", config.to_redacted_toml());
        for (section, key) in findings.known() {
            let forms = ["\n{} = ", "\n# {}: ", "[{}]", "{ {} = ", ", {} = "];
            let found = forms.iter().any(|form| printed.contains(&form.replace("{}", key)));
            assert!(found, "{section}.{key}");
        }
    }

    #[test]
    fn a_printed_policy_reads_back_but_for_its_secrets_which_are_nowhere_in_it() {
        let text = "
            realm = 'a \"quoted\" \\ realm'
            shards = 3
            [[listen]]
            address = '[2001:db8::1]:3479'
            transports = ['tls', 'dtls', 'udp']
            proxy_protocol = ['10.0.0.0/8', '2001:db8::2']
            [tls]
            certificates = [
                { certificate = '/etc/tls/a \"b\".pem', key = '/etc/tls/a.key' },
                { certificate = '/etc/tls/c.pem', key = '/etc/tls/c.key' },
            ]
            [relay]
            addresses = ['198.51.100.7', '2001:db8::7']
            external = ['203.0.113.7=198.51.100.7', '2001:db8:1::7']
            ports = '50000-50999'
            default_family = 'client'
            latency_budget = 'off'
            dscp = 46
            tcp = true
            [auth]
            users = { 'al ice' = 'tellnobody', \"o'\\\"b\" = 'tellnobody', bob = '0xffeeddccbbaa99887766554433221100' }
            secrets = ['tellnobody', { secret = 'tellnobody' }]
            separator = '|'
            nonce_lifetime = '90s'
            strict_expiry = true
            max_credential_ttl = '1d'
            [peers]
            allow = ['10.20.0.0/16', '[fd00::/8]:1-2']
            deny = ['203.0.113.99']
            [limits]
            allocations = 10
            allocations_per_user = 'off'
            allocations_per_source = 'off'
            challenges = '10/min burst 4'
            exempt_sources = ['192.0.2.0/24']
            connections_per_source = 'off'
            peer_connections_per_allocation = 3
            bandwidth = '1.5 Gbit/s'
            unauthenticated_connections = 100
            accepts = '10/s burst 100'
            queue_per_connection = '1 MiB'
            max_allocation_age = '2d'
            [log]
            format = 'json'
            level = 'trace'
            [lab]
            loopback_peers = true";
        let config = from_str(text, Path::new("t")).unwrap();
        let printed = config.to_redacted_toml();
        assert!(!printed.contains("tellnobody") && !printed.contains("ffee"), "{printed}");
        let again = from_str(&printed, Path::new("t")).unwrap();
        assert_eq!(again.auth.users.len(), 3);
        assert_eq!(again.auth.secrets.len(), 2);
        let mut expected = config;
        expected.auth.users.clone_from(&again.auth.users);
        expected.auth.secrets.clone_from(&again.auth.secrets);
        assert_eq!(again, expected);
        assert_eq!(again.to_redacted_toml(), printed);
    }
}
