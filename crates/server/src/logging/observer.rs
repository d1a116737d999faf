//! Writes an engine's reports to the log, and keeps the latencies that metrics show.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::{debug, info, warn};
use turn_engine::{
    AllocationId, AuthFailure, Link, RealmId, Report, ShardId, TenantId, Traffic, Transport,
};
use turn_net::Observer;

use super::auth_failures::AuthFailures;
use super::denied_peers::{DeniedPeers, PeerHints};
use super::histogram::Histogram;
use super::redaction::Redaction;
use super::tally::{Account, Tally, is_used};
use crate::realms::Registry;

/// What the shards tell.
#[derive(Debug)]
pub struct LogObserver {
    redaction: Redaction,
    /// Names of realms and tenants.
    names: Mutex<Arc<Registry>>,
    denied: DeniedPeers,
    auth_failures: AuthFailures,
    allocates: Histogram,
    tls_handshakes: Histogram,
    dtls_handshakes: Histogram,
    tally: Mutex<Tally>,
}

impl Default for LogObserver {
    fn default() -> Self {
        Self::new(&turn_config::Log::default())
    }
}

impl LogObserver {
    /// Shows what `log` lets it show.
    pub fn new(log: &turn_config::Log) -> Self {
        Self {
            redaction: Redaction::new(log),
            names: Mutex::default(),
            denied: DeniedPeers::default(),
            auth_failures: AuthFailures::new(Instant::now()),
            allocates: Histogram::default(),
            tls_handshakes: Histogram::default(),
            dtls_handshakes: Histogram::default(),
            tally: Mutex::default(),
        }
    }

    /// What may be shown of users and addresses.
    pub fn redaction(&self) -> &Redaction {
        &self.redaction
    }

    /// Calls realms and tenants by these names from now on, and goes by these hints.
    pub fn set_names(&self, names: Arc<Registry>, hints: PeerHints) {
        *self.names.lock().unwrap_or_else(PoisonError::into_inner) = names;
        self.denied.set_hints(hints);
    }

    /// Says how many failures of authentication were left out; called once a second.
    pub fn tick(&self) {
        let left_out = self.auth_failures.take_left_out();
        if left_out > 0 {
            info!(left_out, "more failures of authentication, not told one by one");
        }
    }

    /// From an Allocate request to its success response.
    pub fn allocates(&self) -> &Histogram {
        &self.allocates
    }

    /// TLS handshakes that were completed.
    pub fn tls_handshakes(&self) -> &Histogram {
        &self.tls_handshakes
    }

    /// DTLS handshakes that were completed.
    pub fn dtls_handshakes(&self) -> &Histogram {
        &self.dtls_handshakes
    }

    /// What became of allocations so far.
    pub fn tally(&self) -> Tally {
        self.lock_tally().clone()
    }

    fn lock_tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell_life(&self, life: &Life<'_>, reason: &str) {
        let redaction = &self.redaction;
        let whose = Whose { names: self.names(), realm: life.realm, tenant: life.tenant };
        let relayed: Vec<_> = life.relayed.into_iter().flatten().collect();
        // [H33] One record for each life, with what an auditor asks for.
        info!(
            id = %life.id, user = redaction.user(life.user), realm = whose.realm(), tenant = whose.tenant(),
            client = %redaction.client(life.link.tuple.client),
            transport = transport(life.link.tuple.transport),
            ?relayed, peers = redaction.peers(life.peers),
            up_packets = life.traffic.up_packets, up_bytes = life.traffic.up_bytes,
            down_packets = life.traffic.down_packets, down_bytes = life.traffic.down_bytes,
            age = life.age.as_secs(), reason, used = is_used(&life.traffic),
            "allocation ended"
        );
    }

    fn limit_reached(&self, key: &'static str, realm: Option<RealmId>, tenant: Option<TenantId>) {
        let names = self.names();
        let tenant = realm.zip(tenant).and_then(|(realm, id)| names.tenant_name(realm, id));
        warn!(
            key = limit_key(key, realm.map(|realm| (realm, names.realm_name(realm)))),
            tenant,
            "a limit has refused for the first time; raise it or set it to \"off\" if this was no abuse"
        );
    }

    fn names(&self) -> Arc<Registry> {
        Arc::clone(&self.names.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// All of an allocation's life.
struct Life<'a> {
    id: AllocationId,
    user: &'a str,
    realm: RealmId,
    tenant: Option<TenantId>,
    link: &'a Link,
    relayed: [Option<SocketAddr>; 2],
    peers: &'a [IpAddr],
    traffic: Traffic,
    age: Duration,
}

/// A realm and a tenant in it, by name.
struct Whose {
    names: Arc<Registry>,
    realm: RealmId,
    tenant: Option<TenantId>,
}

impl Whose {
    fn realm(&self) -> &str {
        self.names.realm_name(self.realm)
    }

    fn tenant(&self) -> Option<&str> {
        self.tenant.and_then(|tenant| self.names.tenant_name(self.realm, tenant))
    }
}

impl Observer for LogObserver {
    fn report(&self, shard: ShardId, report: Report) {
        let whose = |realm, tenant| Whose { names: self.names(), realm, tenant };
        let redaction = &self.redaction;
        match report {
            Report::Created {
                id, user, realm, tenant, link, relayed, lifetime, asked_at, ..
            } => {
                self.allocates.add(asked_at.elapsed());
                self.lock_tally().created(Account::new(realm, tenant));
                let whose = whose(realm, tenant);
                let relayed: Vec<_> = relayed.into_iter().flatten().collect();
                debug!(
                    %id, user = redaction.user(&user), realm = whose.realm(), tenant = whose.tenant(),
                    client = %redaction.client(link.tuple.client), ?relayed, lifetime = lifetime.as_secs(),
                    "allocation created"
                );
            }
            Report::Ended {
                id,
                user,
                realm,
                tenant,
                link,
                relayed,
                peers,
                reason,
                traffic,
                age,
                ..
            } => {
                self.lock_tally().ended(Account::new(realm, tenant), reason, &traffic);
                let (user, link, peers) = (&*user, &link, &*peers);
                let reason = reason.as_str();
                let life = Life { id, user, realm, tenant, link, relayed, peers, traffic, age };
                self.tell_life(&life, reason);
            }
            Report::Refused { client, method, code } => {
                debug!(shard = shard.0, client = %redaction.client(client), method, code, "request refused");
            }
            Report::AuthFailed { client, realm, user, reason } => {
                // Every client has one each nonce_lifetime.
                if reason == AuthFailure::StaleNonce {
                    debug!(client = %redaction.client(client), "stale nonce");
                // [H29]
                } else if self.auth_failures.admits(Instant::now()) {
                    let whose = whose(realm, None);
                    let user = user.as_deref().map(|user| redaction.user(user));
                    info!(
                        reason = reason.as_str(), user, realm = whose.realm(), client = %redaction.client(client),
                        "authentication failed"
                    );
                }
            }
            Report::LimitReached { key, realm, tenant } => self.limit_reached(key, realm, tenant),
            Report::PeerDenied { peer, realm } => self.denied.tell(realm, peer, redaction),
        }
    }

    fn handshake(&self, _shard: ShardId, transport: Transport, took: Duration) {
        match transport {
            Transport::Tls => self.tls_handshakes.add(took),
            Transport::Dtls => self.dtls_handshakes.add(took),
            // They have none.
            Transport::Udp | Transport::Tcp => {}
        }
    }

    fn out_of_descriptors(&self, shard: ShardId, error: &io::Error) {
        warn!(
            shard = shard.0, %error,
            "a connection cannot be accepted for want of descriptors or memory; what lives goes on, and accepting goes on by itself; \
             raise LimitNOFILE= in the systemd unit, or `ulimit -Hn`"
        );
    }
}

/// The key as the file spells it; a tenant's has its table already, another realm's has a table of
/// its own.
fn limit_key(key: &str, realm: Option<(RealmId, &str)>) -> String {
    let key = if key.contains('.') { key.to_owned() } else { format!("limits.{key}") };
    match realm {
        Some((realm, name)) if realm.0 > 0 => format!("realms.{name:?}.{key}"),
        Some(_) | None => key,
    }
}

/// The transport as the configuration spells it.
pub(crate) fn transport(transport: Transport) -> &'static str {
    match transport {
        Transport::Udp => "udp",
        Transport::Tcp => "tcp",
        Transport::Tls => "tls",
        Transport::Dtls => "dtls",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_named_by_the_table_it_stands_in() {
        assert_eq!(limit_key("allocations", None), "limits.allocations");
        assert_eq!(
            limit_key("bandwidth_per_user", Some((RealmId(0), "a"))),
            "limits.bandwidth_per_user"
        );
        let realm = Some((RealmId(2), "b.example"));
        assert_eq!(limit_key("allocations", realm), r#"realms."b.example".limits.allocations"#);
        let of_tenant = limit_key("auth.secrets.limits.allocations", realm);
        assert_eq!(of_tenant, r#"realms."b.example".auth.secrets.limits.allocations"#);
    }
}
