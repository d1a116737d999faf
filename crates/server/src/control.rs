//! What operators ask of a running server, answered: the trait of the admin doors.

use std::sync::{Arc, Weak};

use tracing::info;
use turn_admin::{
    Accounts, AllocationCounts, AllocationRow, BoxFuture, CertificateRow, Control, DrainState,
    DrainStatus, Ended, Figures, Issuer, ListenerRow, PortRow, ReloadReport, ReloadRow, Status,
    TrafficRow, UsageBook, Version,
};
use turn_engine::{AllocationId, AllocationView, RelayProtocol};

use crate::census::{Census, visit};
use crate::clock::{unix_seconds, unix_seconds_at};
use crate::drain::Cause;
use crate::figures::{identities, names, ports, uptime};
use crate::logging::transport;
use crate::managed::Managed;
use crate::running::Running;
use crate::usage_book::Book;

impl Control for Running {
    fn status(&self) -> BoxFuture<'_, Status> {
        Box::pin(async move {
            let fleet = self.server.fleet();
            let census = Census::take(fleet).await.unwrap_or_default();
            let (live, used) = census.live();
            let tally = self.observer.tally();
            let sum = |of: &dyn Fn(&turn_engine::Counters) -> u64| {
                fleet.counters().map(|shard| of(shard)).sum::<u64>()
            };
            let registry = self.server.registry();
            let config = self.config();
            let is_configured = |name: &str| {
                name == config.realm || config.realms.iter().any(|realm| realm.name == name)
            };
            Status {
                version: self.version(),
                pid: std::process::id(),
                started_at: unix_seconds(self.started),
                uptime: uptime(self.started),
                configuration: self.path.as_ref().map(|path| path.display().to_string()),
                ready: self.is_ready(),
                drain: self.drain_status(),
                shards: u32::try_from(fleet.shards()).unwrap_or(u32::MAX),
                listeners: self.listeners(),
                realms: registry
                    .realms()
                    .map(|(name, _)| name.to_owned())
                    .filter(|name| is_configured(name))
                    .collect(),
                allocations: AllocationCounts {
                    live,
                    used,
                    created: tally.accounts.values().map(|account| account.created).sum(),
                    ended: tally.ended.values().sum(),
                },
                up: TrafficRow {
                    packets: sum(&|shard| shard.relayed_up.get()),
                    bytes: sum(&|shard| shard.relayed_up_bytes.get()),
                },
                down: TrafficRow {
                    packets: sum(&|shard| shard.relayed_down.get()),
                    bytes: sum(&|shard| shard.relayed_down_bytes.get()),
                },
                ports: ports(&self.server)
                    .into_iter()
                    .map(|pool| PortRow {
                        address: pool.address,
                        protocol: pool.protocol,
                        size: pool.size,
                        used: pool.used,
                    })
                    .collect(),
                certificates: identities(&self.server)
                    .iter()
                    .map(|identity| CertificateRow {
                        names: names(identity),
                        not_after: identity.not_after().unix_seconds(),
                    })
                    .collect(),
                last_reload: self
                    .reloads
                    .past()
                    .last
                    .map(|(at, applied)| ReloadRow { at: unix_seconds(at), applied }),
                stores: self.server.stores().rows(),
            }
        })
    }

    fn allocations(&self) -> BoxFuture<'_, Vec<AllocationRow>> {
        Box::pin(async move {
            let (observer, registry) = (self.observer.clone(), self.server.registry());
            let row = move |rows: &mut Vec<AllocationRow>, view: &AllocationView<'_>| {
                let redaction = observer.redaction();
                let tenant = view.tenant.and_then(|id| registry.tenant_name(view.realm, id));
                rows.push(AllocationRow {
                    id: view.id.to_string(),
                    realm: registry.realm_name(view.realm).to_owned(),
                    tenant: tenant.map(ToOwned::to_owned),
                    user: redaction.user(view.user),
                    client: redaction.client(view.link.tuple.client).to_string(),
                    server: view.link.tuple.server.to_string(),
                    transport: transport(view.link.tuple.transport).to_owned(),
                    protocol: match view.protocol {
                        RelayProtocol::Udp => "udp".to_owned(),
                        RelayProtocol::Tcp => "tcp".to_owned(),
                    },
                    relayed: view.relayed.iter().flatten().map(ToString::to_string).collect(),
                    age: view.age.as_secs(),
                    expires_in: view.expires_in.as_secs(),
                    permissions: view.permissions as u64,
                    channels: view.channels as u64,
                    peers: view
                        .peers
                        .iter()
                        .map(|peer| redaction.peer(*peer).to_string())
                        .collect(),
                    up: TrafficRow {
                        packets: view.traffic.up_packets,
                        bytes: view.traffic.up_bytes,
                    },
                    down: TrafficRow {
                        packets: view.traffic.down_packets,
                        bytes: view.traffic.down_bytes,
                    },
                });
            };
            let mut all = Vec::new();
            // A shard that has ended is about to end the server; what was seen is shown.
            let _ = visit(self.server.fleet(), Vec::new, row, |rows| all.extend(rows)).await;
            all
        })
    }

    fn end_allocation(&self, id: String) -> BoxFuture<'_, Ended> {
        Box::pin(async move {
            let Ok(id) = id.parse::<AllocationId>() else { return Ended::NotAnId };
            match self.server.fleet().end_allocation(id).await {
                Ok(true) => {
                    info!(%id, "an operator has ended an allocation");
                    Ended::Done
                }
                Ok(false) | Err(_) => Ended::Unknown,
            }
        })
    }

    fn drain(&self) -> BoxFuture<'_, DrainStatus> {
        Box::pin(async move {
            self.begin_to_drain(Cause::Admin, self.config().drain.deadline);
            self.drain_status()
        })
    }

    fn reload(&self) -> BoxFuture<'_, Result<ReloadReport, Vec<String>>> {
        Box::pin(self.reload_for("an operator"))
    }

    fn metrics(&self) -> BoxFuture<'_, Figures> {
        Box::pin(self.figures())
    }

    fn accounts(&self) -> Option<Arc<dyn Accounts>> {
        self.server.stores().writable()?;
        Some(Arc::new(Managed(Weak::clone(&self.me))))
    }

    fn usage(&self) -> Option<Arc<dyn UsageBook>> {
        self.usage.recorder().map(|recorder| Arc::new(Book(recorder.clone())) as _)
    }

    fn issuer(&self) -> Option<Arc<dyn Issuer>> {
        self.me.upgrade().map(|running| running as _)
    }

    fn is_ready(&self) -> bool {
        self.drain.draining().is_none() && self.has_beaten()
    }

    fn not_ready_because(&self) -> &'static str {
        if self.drain.draining().is_some() { "draining" } else { "a shard does not turn" }
    }

    fn is_alive(&self) -> bool {
        self.has_beaten()
    }

    fn version(&self) -> Version {
        let (name, version) = ("turnserver".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
        Version { name, version }
    }
}

impl Running {
    fn drain_status(&self) -> DrainStatus {
        let allocations = u64::from(self.server.fleet().allocations());
        match self.drain.draining() {
            None => DrainStatus {
                state: DrainState::Serving,
                allocations,
                min_allocations: u64::from(self.config().drain.min_allocations),
                since: None,
                deadline: None,
            },
            Some(draining) => DrainStatus {
                state: if allocations <= u64::from(draining.enough) {
                    DrainState::Drained
                } else {
                    DrainState::Draining
                },
                allocations,
                min_allocations: u64::from(draining.enough),
                since: Some(unix_seconds_at(draining.since)),
                deadline: Some(unix_seconds_at(draining.deadline)),
            },
        }
    }

    fn listeners(&self) -> Vec<ListenerRow> {
        let config = self.config();
        let rows = self.server.banner().listening.iter().map(|endpoint| {
            let listen = config.listen.iter().find(|listen| listen.address == endpoint.address);
            let realm = listen.and_then(|listen| listen.realm.clone());
            let by_name = endpoint.transport == turn_engine::Transport::Tls;
            ListenerRow {
                address: endpoint.address.to_string(),
                transport: transport(endpoint.transport).to_owned(),
                realm: realm.or_else(|| (!by_name).then(|| config.realm.clone())),
            }
        });
        rows.collect()
    }
}
