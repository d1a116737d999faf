//! The effective configuration as TOML, defaults included, with secrets or without.

use std::time::Duration;

use crate::admin::SocketPath;
use crate::auth::{Credential, User};
use crate::config::{Config, Shards};
use crate::duration::spell;
use crate::entries::{Entries, Secrets, bracketed, limit, list, quote, quoted_key};
use crate::limit::Limit;
use crate::limits::AllocationsPerUser;
use crate::listen::Listen;
use crate::metrics::ListenAt;
use crate::peer_rule::spell_ports;
use crate::peers::Peers;
use crate::realm::Realm;
use crate::relay::DefaultFamily;
use crate::secret::Secret;
use crate::shared_secret::{SharedSecret, TenantLimits};
use crate::store_source::StoreSource;

impl Config {
    /// Every key with its effective value, in the order of `turnserver.toml.example`.
    ///
    /// The text is TOML that [`from_str`](crate::from_str) takes. Passwords,
    /// keys, secrets and tokens are replaced by words of the same kind; keys
    /// without a value stand in comments.
    pub fn to_redacted_toml(&self) -> String {
        self.entries(Secrets::Redacted).to_toml()
    }

    /// The same with passwords, keys, secrets and tokens: never for a log.
    ///
    /// A configuration that was read comes back from it as it was.
    pub fn to_toml(&self) -> String {
        self.entries(Secrets::Revealed).to_toml()
    }

    pub(crate) fn entries(&self, secrets: Secrets) -> Entries {
        let mut out = Entries::default();
        out.section("");
        out.key("realm", quote(&self.realm));
        match self.shards {
            Shards::Auto => out.key("shards", quote("auto")),
            Shards::Count(count) => out.key("shards", count),
        }
        self.listen.iter().for_each(|listen| listen.write(&mut out));
        self.write_tls(&mut out);
        self.write_relay(&mut out);

        let auth = &self.auth;
        out.section("auth");
        out.key("users", users(&auth.users, secrets));
        out.key("secrets", shared_secrets(&auth.secrets, secrets));
        out.key("stores", StoreSource::write_all(&auth.stores, secrets));
        out.key("separator", quote(auth.separator));
        out.key("anonymous", auth.anonymous);
        out.key("nonce_lifetime", duration(auth.nonce_lifetime));
        out.key("strict_expiry", auth.strict_expiry);
        out.key("max_credential_ttl", limit(auth.max_credential_ttl, duration));

        out.section("peers");
        self.peers.write(&mut out);
        self.write_limits(&mut out);
        self.realms.iter().for_each(|realm| realm.write(&mut out, secrets));

        out.section("drain");
        out.key("on_term", duration(self.drain.on_term));
        out.key("deadline", duration(self.drain.deadline));
        out.key("min_allocations", self.drain.min_allocations);
        self.write_metrics_and_admin(&mut out, secrets);

        if let Some(credentials) = &self.credentials {
            credentials.write(&mut out, secrets);
        }
        self.usage.write(&mut out, secrets);

        out.section("log");
        out.key("format", quote(self.log.format.name()));
        out.key("level", quote(self.log.level.name()));
        out.key("target", quote(self.log.target.name()));
        out.key("syslog_facility", quote(&self.log.syslog_facility));
        out.key("users", quote(self.log.users.name()));
        out.key("addresses", quote(self.log.addresses.name()));

        out.section("lab");
        out.key("loopback_peers", self.lab.loopback_peers);
        out
    }

    fn write_tls(&self, out: &mut Entries) {
        out.section("tls");
        if self.tls.certificates.is_empty() {
            out.absent("certificates", "none");
        } else {
            let pairs = self.tls.certificates.iter().map(|pair| {
                let (certificate, key) = (pair.certificate.display(), pair.key.display());
                format!("{{ certificate = {}, key = {} }}", quote(certificate), quote(key))
            });
            out.key("certificates", bracketed(pairs));
        }
        out.key("self_signed", self.tls.self_signed);
    }

    fn write_relay(&self, out: &mut Entries) {
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
        let found = relay.discover.iter().map(ToString::to_string);
        out.key("external", list(external.chain(found)));
        out.key("external_refresh", duration(relay.external_refresh));
        out.key("ports", quote(spell_ports(&relay.ports)));
        write_family(out, relay.default_family);
        out.key("latency_budget", limit(relay.latency_budget, duration));
        out.key("dscp", relay.dscp);
        out.key("rfc5766_channel_numbers", relay.rfc5766_channel_numbers);
        out.key("prefer_listener", relay.prefer_listener);
        out.key("tcp", relay.tcp);
    }

    fn write_limits(&self, out: &mut Entries) {
        let limits = &self.limits;
        out.section("limits");
        out.key("allocations", count(limits.allocations));
        out.key("allocations_per_user", per_user(limits.allocations_per_user));
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
        out.key("max_lifetime", duration(limits.max_lifetime));
        out.key("max_allocation_age", limit(limits.max_allocation_age, duration));
    }

    fn write_metrics_and_admin(&self, out: &mut Entries, secrets: Secrets) {
        out.section("metrics");
        match self.metrics.address {
            ListenAt::Default(_) => out.absent("address", "127.0.0.1:9641, unless it is taken"),
            ListenAt::At(address) => out.key("address", quote(address)),
            ListenAt::Off => out.key("address", quote("off")),
        }
        out.key("path", quote(&self.metrics.path));
        out.key("coturn_names", self.metrics.coturn_names);
        self.metrics.write_statsdb(out, secrets);

        let admin = &self.admin;
        out.section("admin");
        match &admin.socket {
            SocketPath::Default(_) => {
                out.absent("socket", "/run/turnserver/admin.sock, where it can be made");
            }
            SocketPath::At(path) => out.key("socket", quote(path.display())),
            SocketPath::Off => out.key("socket", quote("off")),
        }
        match admin.address {
            Some(address) => out.key("address", quote(address)),
            None => out.absent("address", "none"),
        }
        let tokens = admin.tokens.iter().enumerate();
        // As long as a token must be, and no two the same.
        out.key(
            "tokens",
            list(tokens.map(|(index, token)| {
                reveal(token, secrets, || format!("(token-number-{index})"))
            })),
        );
        out.key("hosts", list(&admin.hosts));
    }
}

impl Listen {
    fn write(&self, out: &mut Entries) {
        out.item("listen");
        out.key("address", quote(self.address));
        out.key("transports", list(self.transports.iter().map(|t| t.name())));
        if self.proxy_protocol.is_empty() {
            out.absent("proxy_protocol", "off");
        } else {
            out.key("proxy_protocol", list(&self.proxy_protocol));
        }
        match &self.realm {
            Some(realm) => out.key("realm", quote(realm)),
            None => out.absent("realm", "by the server name of TLS, else that at the top"),
        }
    }
}

impl Realm {
    fn write(&self, out: &mut Entries, secrets: Secrets) {
        let path = format!("realms.{}", quoted_key(&self.name));
        out.section(path.clone());
        out.key("server_names", list(&self.server_names));

        let auth = &self.auth;
        out.section(format!("{path}.auth"));
        out.key("users", users(&auth.users, secrets));
        out.key("secrets", shared_secrets(&auth.secrets, secrets));
        out.key("separator", quote(auth.separator));
        out.key("anonymous", auth.anonymous);
        out.key("strict_expiry", auth.strict_expiry);
        out.key("max_credential_ttl", limit(auth.max_credential_ttl, duration));

        out.section(format!("{path}.peers"));
        self.peers.write(out);

        let limits = &self.limits;
        out.section(format!("{path}.limits"));
        out.key("allocations", count(limits.allocations));
        out.key("allocations_per_user", per_user(limits.allocations_per_user));
        out.key("permissions_per_allocation", count(limits.permissions_per_allocation));
        out.key("channels_per_allocation", count(limits.channels_per_allocation));
        out.key("peers_per_allocation", count(limits.peers_per_allocation));
        out.key("new_peers", limit(limits.new_peers, quote));
        out.key("peer_connections_per_allocation", count(limits.peer_connections_per_allocation));
        out.key("bandwidth_per_allocation", limit(limits.bandwidth_per_allocation, quote));
        out.key("bandwidth_per_user", limit(limits.bandwidth_per_user, quote));
        out.key("bandwidth_per_realm", limit(limits.bandwidth_per_realm, quote));
        out.key("max_lifetime", duration(limits.max_lifetime));
        out.key("max_allocation_age", limit(limits.max_allocation_age, duration));

        out.section(format!("{path}.relay"));
        if self.relay_addresses.is_empty() {
            out.absent("addresses", "all of [relay]");
        } else {
            out.key("addresses", list(&self.relay_addresses));
        }
        write_family(out, self.default_family);
    }
}

impl Peers {
    fn write(&self, out: &mut Entries) {
        out.key("allow", list(&self.allow));
        out.key("deny", list(&self.deny));
    }
}

fn write_family(out: &mut Entries, family: Option<DefaultFamily>) {
    match family {
        Some(family) => out.key("default_family", quote(family.name())),
        None => out.absent("default_family", "ipv4; ipv6 without an IPv4 relay address"),
    }
}

fn users(users: &[User], secrets: Secrets) -> String {
    let users = users.iter().map(|user| {
        let credential = match &user.credential {
            Credential::Password(text) => reveal(text, secrets, || "(password)".to_owned()),
            Credential::Md5Key(hex) => {
                format!("0x{}", reveal(hex, secrets, || "0".repeat(32)))
            }
            Credential::Sha256Key(hex) => {
                format!("sha256:{}", reveal(hex, secrets, || "0".repeat(64)))
            }
        };
        format!("{} = {}", quoted_key(&user.name), quote(credential))
    });
    let users = users.collect::<Vec<_>>().join(", ");
    if users.is_empty() { "{}".to_owned() } else { format!("{{ {users} }}") }
}

fn shared_secrets(shared: &[SharedSecret], secrets: Secrets) -> String {
    bracketed(shared.iter().map(|shared| {
        let Some(tenant) = &shared.tenant else {
            return quote(reveal(&shared.secret, secrets, || "(secret)".to_owned()));
        };
        // Two tenants never have the same secret.
        let secret = reveal(&shared.secret, secrets, || format!("(secret of {tenant})"));
        let (secret, tenant) = (quote(secret), quote(tenant));
        let limits = tenant_limits(&shared.limits);
        format!("{{ secret = {secret}, tenant = {tenant}, limits = {limits} }}")
    }))
}

fn tenant_limits(limits: &TenantLimits) -> String {
    let bandwidth = |of: Option<Limit<_>>| of.map(|of| limit(of, quote));
    let keys = [
        ("allocations", Some(count(limits.allocations))),
        ("bandwidth", Some(limit(limits.bandwidth, quote))),
        ("allocations_per_user", limits.allocations_per_user.map(per_user)),
        ("bandwidth_per_allocation", bandwidth(limits.bandwidth_per_allocation)),
        ("bandwidth_per_user", bandwidth(limits.bandwidth_per_user)),
    ];
    let written =
        keys.iter().filter_map(|(key, value)| Some(format!("{key} = {}", value.as_ref()?)));
    format!("{{ {} }}", written.collect::<Vec<_>>().join(", "))
}

fn reveal(secret: &Secret, secrets: Secrets, word: impl FnOnce() -> String) -> String {
    match secrets {
        Secrets::Revealed => secret.reveal().to_owned(),
        Secrets::Redacted => word(),
    }
}

fn per_user(limit: AllocationsPerUser) -> String {
    match limit {
        AllocationsPerUser::Auto => quote("auto"),
        AllocationsPerUser::Each(each) => count(each),
    }
}

fn count(of: Limit<u32>) -> String {
    limit(of, |number| number.to_string())
}

fn duration(duration: Duration) -> String {
    quote(spell(duration))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::path::Path;

    use toml::de::DeTable;

    use super::*;
    use crate::document::from_str;
    use crate::file::Switches;
    use crate::reader::{Findings, Section};

    #[test]
    fn the_printed_default_reads_back_as_the_default() {
        let text = Config::default().to_redacted_toml();
        assert_eq!(from_str(&text, Path::new("t")).unwrap(), Config::default());
    }

    #[test]
    fn every_key_that_is_read_is_printed() {
        let text = "
            [tls]
            certificates = [{ certificate = 'c', key = 'k' }]
            [auth]
            secrets = [{ secret = 's', tenant = 't', limits = {
                allocations_per_user = 1, bandwidth_per_allocation = 'off', bandwidth_per_user = 'off' } }]
            stores = [{ url = 'https://a.example/', token = 'a' }]
            [credentials]
            address = '127.0.0.1:1'
            server_keys = [{ id = 'a', key = '0123456789abcdef', tenant = 't', realm = 'b' }]
            browser_keys = [{ key = '01234567', origins = ['https://a'], user = 'u', ttl = '5m' }]
            [usage]
            thresholds = [{ bytes = '1 TB', per = 'user', name = 'a', webhook = 'https://a', token = 'a' }]
            [realms.b]";
        let mut findings = Findings::default();
        let read = |top: &mut Section<'_, '_>| Config::read(top, Switches::default());
        let document = DeTable::parse(text).unwrap();
        let config = Section::document(document.get_ref(), &mut findings, read);
        let printed = format!("\n{}", config.to_redacted_toml());
        let known = findings.known().iter();
        for (section, key) in known.filter(|(_, key)| !["realms", "secret_file"].contains(key)) {
            let forms = ["\n{} = ", "\n# {}: ", "[{}]", "{ {} = ", ", {} = ", "\n[realms.b.{}]"];
            let found = forms.iter().any(|form| printed.contains(&form.replace("{}", key)));
            assert!(found, "{section}.{key}\n{printed}");
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
            external = ['203.0.113.7=198.51.100.7', '2001:db8:1::7', 'auto:Stun.example.org', 'metadata']
            external_refresh = '1m'
            ports = '50000-50999'
            default_family = 'client'
            latency_budget = 'off'
            dscp = 46
            tcp = true
            [auth]
            users = { 'al ice' = 'tellnobody', \"o'\\\"b\" = 'tellnobody', bob = '0xffeeddccbbaa99887766554433221100' }
            secrets = ['tellnobody', { secret = 'tellnobody' }, { secret = 'tellnobody2', tenant = 'a',
                limits = { allocations = 5, bandwidth = '1 Mbit/s', allocations_per_user = 'off' } },
                { secret = 'tellnobody3', tenant = 'a' }, { secret = 'tellnobody4', tenant = 'b' }]
            stores = ['postgres://turn:tellnobody@db.example/turn?sslmode=require',
                { url = 'https://app.example/auth', token = 'tellnobody', sha256_keys = true }]
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
            [realms.\"b 'example'\"]
            server_names = ['B.example']
            auth = { users = { ann = 'tellnobody' }, separator = '/' }
            relay = { addresses = ['2001:db8::7'] }
            limits = { allocations = 7, bandwidth_per_user = '1 Mbit/s' }
            [realms.c]
            peers = { deny = ['10.0.0.0/8'] }
            [drain]
            on_term = '1m'
            min_allocations = 4
            [metrics]
            address = '[::1]:9000'
            path = '/m'
            coturn_names = true
            redis_statsdb = 'redis://:tellnobody@127.0.0.1/2'
            [admin]
            socket = './a.sock'
            address = '127.0.0.1:9642'
            tokens = ['tellnobody-sixteen', 'tellnobody-seventeen']
            hosts = ['turn.example.org']
            [credentials]
            address = '127.0.0.1:8443'
            tls = true
            ttl = '10m'
            server_keys = [{ id = 'app', key = 'tellnobody-tellnobody', tenant = 'a' }]
            browser_keys = [{ key = 'tellnobody', origins = ['https://app.example'], ttl = '5m' }]
            [usage]
            path = './usage.db'
            thresholds = [{ bytes = '2 TB', per = 'tenant', webhook = 'https://a.example/tellnobody' }]
            [log]
            format = 'json'
            level = 'trace'
            target = './turn.log'
            syslog_facility = 'local3'
            users = 'hashed'
            addresses = 'off'
            [lab]
            loopback_peers = true";
        let config = from_str(text, Path::new("t")).unwrap();
        let printed = config.to_redacted_toml();
        assert!(!printed.contains("tellnobody") && !printed.contains("ffee"), "{printed}");
        let again = from_str(&printed, Path::new("t")).unwrap();
        assert_eq!(again.auth.users.len(), 3);
        assert_eq!(again.auth.secrets.len(), 5);
        assert_eq!(again.to_redacted_toml(), printed);
        let mut expected = config.clone();
        expected.auth.users.clone_from(&again.auth.users);
        expected.admin.tokens.clone_from(&again.admin.tokens);
        assert_eq!(again.auth.stores.len(), 2);
        assert!(printed.contains("postgres://turn:(password)@db.example/turn"), "{printed}");
        expected.auth.stores.clone_from(&again.auth.stores);
        expected.metrics.redis_statsdb.clone_from(&again.metrics.redis_statsdb);
        expected.usage.thresholds.clone_from(&again.usage.thresholds);
        assert_eq!(again.usage.thresholds.len(), 1);
        let keys = |config: &Config| {
            let keys = config.credentials.clone().unwrap();
            (keys.server_keys, keys.browser_keys)
        };
        let (expected_keys, again_keys) = (keys(&expected), keys(&again));
        assert_eq!(expected_keys.0.len() + expected_keys.1.len(), 2);
        let credentials = expected.credentials.as_mut().unwrap();
        (credentials.server_keys, credentials.browser_keys) = again_keys;
        for (expected, again) in expected.realms.iter_mut().zip(&again.realms) {
            expected.auth.users.clone_from(&again.auth.users);
        }
        for (expected, again) in expected.auth.secrets.iter_mut().zip(&again.auth.secrets) {
            expected.secret.clone_from(&again.secret);
        }
        assert_eq!(again, expected);

        let revealed = config.to_toml();
        assert_eq!(from_str(&revealed, Path::new("t")).unwrap(), config);
        assert_eq!(revealed.matches("tellnobody").count(), 17);
    }
}
