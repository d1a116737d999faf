//! Everything that metrics show, gathered from shards, counters and the kernel.

use std::collections::BTreeMap;
use std::time::{Instant, SystemTime};

use turn_admin::{
    CertificateFigures, ConnectionFigures, Counted, DatagramFigures, DtlsFigures, EndedFigures,
    Figures, HandshakeFigures, PeerConnectionFigures, PortFigures, RateBucketFigures,
    ResponseFigures, RingFigures, ShardFigures, StreamFigures, TenantFigures, TrafficFigures,
    TransportFigures,
};
use turn_engine::{AuthFailure, Counters, RealmId, TenantId, Transport};
use turn_net::NetCounters;
use turn_tls::Identity;

use crate::census::{Census, Monotone};
use crate::logging::{Account, AccountTally, LogObserver, transport};
use crate::process::process_figures;
use crate::running::Running;
use crate::server::Server;
use crate::shard_cpu::shard_cpu;

/// What has to be remembered from one look to the next.
#[derive(Debug, Default)]
pub struct Collector {
    traffic: Monotone,
}

impl Running {
    /// One look at everything.
    pub(crate) async fn figures(&self) -> Figures {
        // The dead before the living: see `Monotone`.
        let tally = self.observer.tally();
        // A shard that has ended is about to end the server, and has no figures.
        let census = Census::take(self.server.fleet()).await.unwrap_or_default();
        let traffic = self.collector.traffic.sum(&tally.accounts, &census.traffic);
        let sums = Sums::of(&self.server);
        let (engine, net) = (&sums.engine, &sums.net);
        let of_net = |name: &str| net.get(name).copied().unwrap_or_default();
        let ended = tally.ended.iter().map(|((reason, used), count)| EndedFigures {
            reason: reason.replace(' ', "_"),
            used: *used,
            count: *count,
        });
        let across = engine.get("relayed_across").copied().unwrap_or_default();
        let inside = engine.get("relayed_inside").copied().unwrap_or_default();
        Figures {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            process: process_figures(self.started),
            is_ready: turn_admin::Control::is_ready(self),
            is_draining: self.drain.draining().is_some(),
            reloads: self.reloads.past().figures(),
            certificate_reloads: self.certificate_reloads.past().figures(),
            certificates: certificates(&self.server),
            shards: shards(&self.server),
            tenants: tenants(&self.server, &traffic, &census),
            ended: ended.collect(),
            inside_same_shard: inside.saturating_sub(across),
            inside_other_shard: across,
            responses: responses(engine),
            drops: words(engine, "dropped_"),
            auth_failures: AuthFailure::ALL
                .iter()
                .map(|reason| Counted {
                    word: reason.as_str().to_owned(),
                    count: self
                        .server
                        .fleet()
                        .counters()
                        .map(|counters| counters.auth_failures(*reason))
                        .sum(),
                })
                .collect(),
            limit_refusals: limit_refusals(&self.server),
            ports: ports(&self.server),
            allocate: self.observer.allocates().latencies(),
            tls: tls(&self.observer, &of_net),
            dtls: dtls(&self.observer, &of_net),
            binding_replies: of_net("binding_replies"),
            binding_dropped: of_net("binding_dropped"),
            datagrams: datagrams(&of_net),
            connections: connections(&of_net),
            streams: StreamFigures {
                received: of_net("stream_frames"),
                sent: of_net("stream_frames_sent"),
                dropped: of_net("stream_frames_dropped"),
            },
            peer_connections: PeerConnectionFigures {
                connected: of_net("peers_connected"),
                failed: of_net("peer_connects_failed"),
                accepted: of_net("peers_accepted"),
                refused: of_net("peers_refused"),
                joined: of_net("splices"),
            },
            rings: RingFigures {
                sent: of_net("ring_sent"),
                received: of_net("ring_received"),
                dropped: of_net("ring_dropped"),
            },
            rate_buckets: rate_buckets(&self.server),
            proxy_refused: of_net("proxy_refused"),
            listeners_rebuilt: of_net("listeners_rebuilt"),
            relay_sockets: of_net("relays_opened").saturating_sub(of_net("relays_closed")),
            naps: of_net("naps"),
            log_lines_dropped: self.logger.dropped_lines(),
            stores: self.server.stores().figures(),
            credentials_issued: self.keys.issued(),
            credentials_refused: self.keys.refused(),
            usage_lost: self.usage.recorder().map_or(0, turn_usage::Recorder::lost),
        }
    }
}

/// Counters summed over the shards, by name.
struct Sums {
    engine: BTreeMap<String, u64>,
    net: BTreeMap<&'static str, u64>,
}

impl Sums {
    fn of(server: &Server) -> Self {
        let (mut engine, mut net) = (BTreeMap::new(), BTreeMap::new());
        for (name, count) in server.fleet().counters().flat_map(|shard| Counters::snapshot(shard)) {
            *engine.entry(name).or_default() += count;
        }
        for (name, count) in
            server.fleet().net_counters().flat_map(|shard| NetCounters::snapshot(shard))
        {
            *net.entry(name).or_default() += count;
        }
        Self { engine, net }
    }
}

fn shards(server: &Server) -> Vec<ShardFigures> {
    let cpu = shard_cpu();
    (0_u8..)
        .zip(server.fleet().counters())
        .map(|(shard, counters)| ShardFigures {
            shard: u32::from(shard),
            cpu_seconds: cpu.get(&shard).map(std::time::Duration::as_secs_f64),
            up: TrafficFigures {
                packets: counters.relayed_up.get(),
                bytes: counters.relayed_up_bytes.get(),
            },
            down: TrafficFigures {
                packets: counters.relayed_down.get(),
                bytes: counters.relayed_down_bytes.get(),
            },
        })
        .collect()
}

/// Every realm without and with each of its tenants, those without traffic included.
fn tenants(
    server: &Server,
    traffic: &BTreeMap<Account, AccountTally>,
    census: &Census,
) -> Vec<TenantFigures> {
    let registry = server.registry();
    let accounts = (0_u16..).zip(registry.realms()).flat_map(|(realm, (_, tenants))| {
        let tenants = (0_u16..).zip(tenants).map(|(tenant, _)| Some(tenant));
        std::iter::once(None).chain(tenants).map(move |tenant| Account { realm, tenant })
    });
    let figures = accounts.map(|account| {
        let realm = RealmId(account.realm);
        let tenant = account.tenant.and_then(|id| registry.tenant_name(realm, TenantId(id)));
        let tally = traffic.get(&account).copied().unwrap_or_default();
        TenantFigures {
            realm: registry.realm_name(realm).to_owned(),
            tenant: tenant.unwrap_or_default().to_owned(),
            up: TrafficFigures { packets: tally.up_packets, bytes: tally.up_bytes },
            down: TrafficFigures { packets: tally.down_packets, bytes: tally.down_bytes },
            created: tally.created,
            live: TRANSPORTS.map(|of| by_transport(census, account, of)).to_vec(),
        }
    });
    by_name(figures)
}

/// One of each name: the default realm may have taken that of a realm that was removed, and a series
/// stands on a page once.
fn by_name(all: impl Iterator<Item = TenantFigures>) -> Vec<TenantFigures> {
    let (mut places, mut rows) = (BTreeMap::new(), Vec::<TenantFigures>::new());
    for figures in all {
        let place = *places
            .entry((figures.realm.clone(), figures.tenant.clone()))
            .or_insert_with(|| rows.len());
        let Some(row) = rows.get_mut(place) else {
            rows.push(figures);
            continue;
        };
        for (sum, more) in [(&mut row.up, figures.up), (&mut row.down, figures.down)] {
            sum.packets += more.packets;
            sum.bytes += more.bytes;
        }
        row.created += figures.created;
        for (sum, more) in row.live.iter_mut().zip(&figures.live) {
            sum.gathered += more.gathered;
            sum.used += more.used;
        }
    }
    rows
}

const TRANSPORTS: [Transport; 4] =
    [Transport::Udp, Transport::Tcp, Transport::Tls, Transport::Dtls];

fn by_transport(census: &Census, account: Account, of: Transport) -> TransportFigures {
    let transport = transport(of);
    let (gathered, used) = census.live.get(&(account, transport)).copied().unwrap_or_default();
    TransportFigures { transport: transport.to_owned(), gathered, used }
}

fn responses(engine: &BTreeMap<String, u64>) -> Vec<ResponseFigures> {
    engine
        .iter()
        .filter_map(|(name, count)| {
            let (method, code) = name.rsplit_once('_')?;
            let code = code.parse().ok()?;
            Some(ResponseFigures { method: method.to_owned(), code, count: *count })
        })
        .collect()
}

fn words(engine: &BTreeMap<String, u64>, prefix: &str) -> Vec<Counted> {
    let word = |(name, count): (&String, &u64)| {
        let word = name.strip_prefix(prefix)?.to_owned();
        Some(Counted { word, count: *count })
    };
    engine.iter().filter_map(word).collect()
}

pub(crate) fn ports(server: &Server) -> Vec<PortFigures> {
    let shared = server.fleet().shared();
    let mut figures = Vec::new();
    for (index, relay) in server.relay().addresses.iter().enumerate() {
        let pools = [("udp", shared.ports(index)), ("tcp", shared.tcp_ports(index))];
        for (protocol, pool) in pools {
            let Some(pool) = pool else { continue };
            figures.push(PortFigures {
                address: relay.advertised.to_string(),
                protocol: protocol.to_owned(),
                size: pool.len() as u64,
                used: pool.taken() as u64,
            });
        }
    }
    figures
}

/// What limits have refused, those that the host keeps included, by their keys.
fn limit_refusals(server: &Server) -> Vec<Counted> {
    let fleet = server.fleet();
    let mut sums = BTreeMap::<&str, u64>::new();
    let of_shards = fleet.counters().flat_map(|counters| counters.limit_refusals());
    for (key, count) in of_shards.chain(fleet.shared().limit_refusals()) {
        *sums.entry(key).or_default() += count;
    }
    sums.into_iter().map(|(key, count)| Counted { word: key.to_owned(), count }).collect()
}

fn rate_buckets(server: &Server) -> RateBucketFigures {
    let buckets = server.fleet().shared().rate_buckets(Instant::now());
    RateBucketFigures {
        total: buckets.total as u64,
        occupied: buckets.occupied as u64,
        evictions: buckets.evictions,
    }
}

fn certificates(server: &Server) -> Vec<CertificateFigures> {
    let identities = identities(server);
    let figures = identities.iter().map(|identity| CertificateFigures {
        name: names(identity).into_iter().next().unwrap_or_else(|| identity.serial().to_owned()),
        not_after: identity.not_after().unix_seconds(),
    });
    figures.collect()
}

/// The certificates that are served.
pub(crate) fn identities(server: &Server) -> Vec<std::sync::Arc<Identity>> {
    server.certificates().map_or_else(Vec::new, |loaded| loaded.certificates().identities())
}

/// What a certificate is made out to.
pub(crate) fn names(identity: &Identity) -> Vec<String> {
    let addresses = identity.addresses().iter().map(ToString::to_string);
    identity.names().iter().cloned().chain(addresses).collect()
}

fn tls(observer: &LogObserver, of_net: &dyn Fn(&str) -> u64) -> HandshakeFigures {
    HandshakeFigures {
        completed: of_net("tls_handshakes"),
        failed: of_net("tls_handshake_errors"),
        took: observer.tls_handshakes().latencies(),
    }
}

fn dtls(observer: &LogObserver, of_net: &dyn Fn(&str) -> u64) -> DtlsFigures {
    DtlsFigures {
        handshakes: HandshakeFigures {
            completed: of_net("dtls_sessions"),
            failed: of_net("dtls_handshake_errors"),
            took: observer.dtls_handshakes().latencies(),
        },
        sessions: of_net("dtls_sessions").saturating_sub(of_net("dtls_sessions_closed")),
        hellos_held_back: of_net("dtls_hellos_held_back"),
        records: of_net("dtls_records"),
    }
}

fn datagrams(of_net: &dyn Fn(&str) -> u64) -> DatagramFigures {
    DatagramFigures {
        from_clients: of_net("from_clients"),
        from_peers: of_net("from_peers"),
        receive_calls: of_net("receive_calls"),
        sent: of_net("sent"),
        sent_in_runs: of_net("sent_in_runs"),
        send_calls: of_net("send_calls"),
        unsent: of_net("send_dropped"),
        truncated: of_net("truncated"),
        receive_errors: of_net("receive_errors"),
    }
}

fn connections(of_net: &dyn Fn(&str) -> u64) -> ConnectionFigures {
    // A connection may close on another shard than it was accepted on, and be refused after it was
    // accepted.
    let (accepted, refused) = (of_net("connections_accepted"), of_net("connections_refused"));
    ConnectionFigures {
        accepted,
        open: accepted.saturating_sub(refused).saturating_sub(of_net("connections_closed")),
        refused,
        shed: of_net("connections_shed"),
        timed_out: of_net("connections_timed_out"),
        misframed: of_net("streams_misframed"),
        handed_over: of_net("connections_handed_over"),
        accept_errors: of_net("accept_errors"),
    }
}

/// Seconds since the server started.
pub(crate) fn uptime(started: SystemTime) -> u64 {
    SystemTime::now().duration_since(started).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_realms_of_one_name_are_one_series() {
        let of = |realm: &str, tenant: &str, created| TenantFigures {
            realm: realm.to_owned(),
            tenant: tenant.to_owned(),
            up: TrafficFigures { packets: created, bytes: 10 * created },
            created,
            live: vec![TransportFigures { used: created, ..TransportFigures::default() }],
            ..TenantFigures::default()
        };
        let all = [of("b", "", 1), of("b", "app", 2), of("a", "", 4), of("b", "", 8)];
        let rows = by_name(all.into_iter());
        assert_eq!(rows, [of("b", "", 9), of("b", "app", 2), of("a", "", 4)]);
    }
}
