//! Figures under names of our own: prefix `turn_`, base units, `_total` on what
//! only grows. The process has the names that every exporter gives it.

use std::collections::BTreeMap;

use crate::exposition::{Exposition, names_in};
use crate::figures::{Figures, ReloadFigures, TenantFigures, TrafficFigures};

/// Every series of the native exposition, those of histograms with their suffixes.
pub fn metric_names() -> Vec<String> {
    let mut page = Exposition::default();
    write(&Figures::default(), &mut page);
    names_in(&page.into_text())
}

/// Writes all of it.
pub(crate) fn write(figures: &Figures, page: &mut Exposition) {
    program(figures, page);
    reloads(figures, page);
    traffic(figures, page);
    allocations(figures, page);
    answers(figures, page);
    ports(figures, page);
    shards(figures, page);
    datagrams(figures, page);
    connections(figures, page);
    handshakes(figures, page);
    stores(figures, page);
}

fn program(figures: &Figures, page: &mut Exposition) {
    page.gauge("turn_build_info", "What runs; always 1.")
        .sample(&[("version", &figures.version)], true);
    page.gauge("turn_ready", "1 while new clients should be sent here.")
        .sample(&[], figures.is_ready);
    page.gauge("turn_draining", "1 while no new allocation is made and live ones go on.")
        .sample(&[], figures.is_draining);
    let process = &figures.process;
    page.gauge("process_start_time_seconds", "When the process started, since 1970.")
        .sample(&[], process.started_at);
    page.counter("process_cpu_seconds_total", "CPU time of all threads.")
        .known(&[], process.cpu_seconds);
    page.gauge("process_resident_memory_bytes", "Resident memory.")
        .known(&[], process.resident_bytes);
    page.gauge("process_open_fds", "Open descriptors; each relayed address has one.")
        .known(&[], process.open_descriptors);
    page.gauge("process_max_fds", "How many descriptors the process may open.")
        .known(&[], process.max_descriptors);
    page.counter(
        "turn_log_lines_dropped_total",
        "Log lines left out because the log did not keep up.",
    )
    .sample(&[], figures.log_lines_dropped);
}

fn reloads(figures: &Figures, page: &mut Exposition) {
    let results = |reloads: &ReloadFigures| [("ok", reloads.applied), ("failed", reloads.failed)];
    let mut family = page.counter("turn_config_reloads_total", "Reloads of the configuration.");
    for (result, count) in results(&figures.reloads) {
        family.sample(&[("result", result)], count);
    }
    page.gauge(
        "turn_config_last_reload_successful",
        "1 if the last reload was applied, 0 if the running configuration was kept.",
    )
    .sample(&[], figures.reloads.last_applied.unwrap_or(true));
    page.gauge(
        "turn_config_last_reload_success_timestamp_seconds",
        "When a configuration was last applied by a reload, since 1970.",
    )
    .known(&[], figures.reloads.last_applied_at);

    // [R17]
    let mut family = page.counter("turn_certificate_reloads_total", "Reloads of certificates.");
    for (result, count) in results(&figures.certificate_reloads) {
        family.sample(&[("result", result)], count);
    }
    page.gauge(
        "turn_certificate_last_reload_successful",
        "1 if the certificates on disk are in use, 0 if older ones were kept.",
    )
    .sample(&[], figures.certificate_reloads.last_applied.unwrap_or(true));
    let mut family = page.gauge(
        "turn_certificate_expiry_timestamp_seconds",
        "When a certificate in use expires, since 1970.",
    );
    // An RSA and an ECDSA certificate share their name; a series stands on a page once.
    let mut expiries: BTreeMap<&str, i64> = BTreeMap::new();
    for certificate in &figures.certificates {
        let expiry = expiries.entry(&certificate.name).or_insert(certificate.not_after);
        *expiry = certificate.not_after.min(*expiry);
    }
    for (name, not_after) in expiries {
        // Seconds of this age of the world fit a double exactly.
        #[expect(clippy::cast_precision_loss, reason = "below 2^53 for 285 million years")]
        family.sample(&[("name", name)], not_after as f64);
    }
}

fn traffic(figures: &Figures, page: &mut Exposition) {
    let mut family = page.counter(
        "turn_relayed_packets_total",
        "Datagrams relayed, up from clients to peers and down from peers to clients.",
    );
    each_direction(&figures.tenants, |labels, traffic| {
        family.sample(labels, traffic.packets);
    });
    let mut family = page.counter(
        "turn_relayed_bytes_total",
        "Payload relayed, up from clients to peers and down from peers to clients.",
    );
    each_direction(&figures.tenants, |labels, traffic| {
        family.sample(labels, traffic.bytes);
    });
    page.counter(
        "turn_relayed_inside_packets_total",
        "Datagrams from one allocation to another, without a socket in between.",
    )
    .sample(&[("shard", "same")], figures.inside_same_shard)
    .sample(&[("shard", "other")], figures.inside_other_shard);
    let mut family = page.counter("turn_dropped_packets_total", "Packets dropped, by reason.");
    for drop in &figures.drops {
        family.sample(&[("reason", &drop.word)], drop.count);
    }
}

fn allocations(figures: &Figures, page: &mut Exposition) {
    let mut family = page.gauge(
        "turn_allocations",
        "Live allocations: gathered have relayed nothing yet, used have.",
    );
    for tenant in &figures.tenants {
        for live in &tenant.live {
            for (state, count) in [("gathered", live.gathered), ("used", live.used)] {
                let of = [
                    ("realm", tenant.realm.as_str()),
                    ("tenant", tenant.tenant.as_str()),
                    ("transport", live.transport.as_str()),
                    ("state", state),
                ];
                family.sample(&of, count);
            }
        }
    }
    let mut family = page.counter("turn_allocations_created_total", "Allocations made.");
    for tenant in &figures.tenants {
        family.sample(&[("realm", &tenant.realm), ("tenant", &tenant.tenant)], tenant.created);
    }
    let mut family = page.counter(
        "turn_allocations_ended_total",
        "Allocations ended, by reason and by whether they had relayed anything.",
    );
    for ended in &figures.ended {
        let used = if ended.used { "true" } else { "false" };
        family.sample(&[("reason", &ended.reason), ("used", used)], ended.count);
    }
}

fn answers(figures: &Figures, page: &mut Exposition) {
    let mut family = page.counter(
        "turn_responses_total",
        "Responses to TURN requests, by method and error code; success has no code.",
    );
    for response in &figures.responses {
        let code = match response.code {
            200 => "success".to_owned(),
            code => code.to_string(),
        };
        family.sample(&[("method", &response.method), ("code", &code)], response.count);
    }
    let mut family =
        page.counter("turn_auth_failures_total", "Authentications that failed, by reason.");
    for failure in &figures.auth_failures {
        family.sample(&[("reason", &failure.word)], failure.count);
    }
    let mut family = page.counter(
        "turn_limit_refusals_total",
        "Requests and packets that a limit refused, by its key in the configuration.",
    );
    for refusal in &figures.limit_refusals {
        family.sample(&[("limit", &refusal.word)], refusal.count);
    }
    page.counter("turn_binding_responses_total", "STUN Binding requests answered.")
        .sample(&[], figures.binding_replies);
    page.counter(
        "turn_binding_dropped_total",
        "STUN Binding requests not answered: malformed, or over limits.binding_replies.",
    )
    .sample(&[], figures.binding_dropped);
    page.histogram(
        "turn_allocate_duration_seconds",
        "From an Allocate request to its success response.",
    )
    .latencies(&[], &figures.allocate);
}

fn ports(figures: &Figures, page: &mut Exposition) {
    // Two relay addresses may be known by one public address: one pool, seen from outside.
    let mut pools: BTreeMap<(&str, &str), (u64, u64)> = BTreeMap::new();
    for pool in &figures.ports {
        let (size, used) = pools.entry((&pool.address, &pool.protocol)).or_default();
        *size += pool.size;
        *used += pool.used;
    }
    let mut family = page.gauge("turn_relay_ports", "Ports of a relay address's pool.");
    for ((address, protocol), (size, _)) in &pools {
        family.sample(&[("address", address), ("protocol", protocol)], *size);
    }
    let mut family =
        page.gauge("turn_relay_ports_used", "Ports of the pool that are reserved or live.");
    for ((address, protocol), (_, used)) in &pools {
        family.sample(&[("address", address), ("protocol", protocol)], *used);
    }
    page.gauge("turn_relay_sockets", "Relay sockets that are open.")
        .sample(&[], figures.relay_sockets);
}

fn shards(figures: &Figures, page: &mut Exposition) {
    let mut family = page.counter("turn_shard_cpu_seconds_total", "CPU time of a shard's thread.");
    for shard in &figures.shards {
        family.known(&[("shard", &shard.shard.to_string())], shard.cpu_seconds);
    }
    let mut family =
        page.counter("turn_shard_relayed_packets_total", "Datagrams that a shard relayed.");
    for shard in &figures.shards {
        for (direction, traffic) in directions(shard.up, shard.down) {
            let of = [("shard", shard.shard.to_string()), ("direction", direction.to_owned())];
            family.sample(
                &of.each_ref().map(|(label, word)| (*label, word.as_str())),
                traffic.packets,
            );
        }
    }
    page.counter("turn_ring_packets_total", "Datagrams handed from shard to shard.")
        .sample(&[("event", "sent")], figures.rings.sent)
        .sample(&[("event", "received")], figures.rings.received)
        .sample(&[("event", "dropped")], figures.rings.dropped);
    page.counter("turn_shard_naps_total", "Naps of the packet tasks under load.")
        .sample(&[], figures.naps);
    page.gauge("turn_rate_buckets", "Buckets of the table that limits strangers.")
        .sample(&[], figures.rate_buckets.total);
    page.gauge("turn_rate_buckets_occupied", "Buckets that hold back a source at this moment.")
        .sample(&[], figures.rate_buckets.occupied);
    page.counter("turn_rate_bucket_evictions_total", "Buckets taken from one source for another.")
        .sample(&[], figures.rate_buckets.evictions);
}

fn datagrams(figures: &Figures, page: &mut Exposition) {
    let datagrams = &figures.datagrams;
    page.counter("turn_udp_received_datagrams_total", "UDP datagrams read.")
        .sample(&[("from", "clients")], datagrams.from_clients)
        .sample(&[("from", "peers")], datagrams.from_peers);
    page.counter("turn_udp_receive_calls_total", "System calls for receiving.")
        .sample(&[], datagrams.receive_calls);
    page.counter("turn_udp_sent_datagrams_total", "UDP datagrams that the kernel took.")
        .sample(&[], datagrams.sent);
    page.counter("turn_udp_sent_in_runs_datagrams_total", "Of these, those sent by UDP_SEGMENT.")
        .sample(&[], datagrams.sent_in_runs);
    page.counter("turn_udp_send_calls_total", "System calls for sending.")
        .sample(&[], datagrams.send_calls);
    page.counter("turn_udp_unsent_datagrams_total", "UDP datagrams that the kernel did not take.")
        .sample(&[], datagrams.unsent);
    page.counter("turn_udp_truncated_datagrams_total", "UDP datagrams larger than a buffer.")
        .sample(&[], datagrams.truncated);
    page.counter("turn_udp_receive_errors_total", "Errors met while receiving.")
        .sample(&[], datagrams.receive_errors);
    page.counter("turn_listeners_rebuilt_total", "Listeners bound anew after a failure.")
        .sample(&[], figures.listeners_rebuilt);
    page.counter(
        "turn_proxy_refused_total",
        "Datagrams and connections refused on listeners behind a proxy.",
    )
    .sample(&[], figures.proxy_refused);
}

fn connections(figures: &Figures, page: &mut Exposition) {
    let connections = &figures.connections;
    page.gauge("turn_connections", "Open connections of clients, TCP and TLS.")
        .sample(&[], connections.open);
    page.counter("turn_connections_accepted_total", "Connections of clients that were let in.")
        .sample(&[], connections.accepted);
    page.counter(
        "turn_connections_rejected_total",
        "Connections of clients that we closed: refused at once, shed to make room, \
         timed out, or misframed.",
    )
    .sample(&[("reason", "refused")], connections.refused)
    .sample(&[("reason", "shed")], connections.shed)
    .sample(&[("reason", "timed_out")], connections.timed_out)
    .sample(&[("reason", "misframed")], connections.misframed);
    page.counter(
        "turn_connections_handed_over_total",
        "Connections given to the shard that has their peer.",
    )
    .sample(&[], connections.handed_over);
    page.counter("turn_accept_errors_total", "Errors met while accepting.")
        .sample(&[], connections.accept_errors);
    page.counter("turn_stream_frames_total", "Frames on connections of clients.")
        .sample(&[("event", "received")], figures.streams.received)
        .sample(&[("event", "sent")], figures.streams.sent)
        .sample(&[("event", "dropped")], figures.streams.dropped);
    let peers = &figures.peer_connections;
    page.counter("turn_peer_connections_total", "TCP connections to and from peers (RFC 6062).")
        .sample(&[("event", "connected")], peers.connected)
        .sample(&[("event", "failed")], peers.failed)
        .sample(&[("event", "accepted")], peers.accepted)
        .sample(&[("event", "refused")], peers.refused)
        .sample(&[("event", "joined")], peers.joined);
}

fn handshakes(figures: &Figures, page: &mut Exposition) {
    let both = [("tls", &figures.tls), ("dtls", &figures.dtls.handshakes)];
    let mut family = page.counter("turn_handshakes_total", "TLS and DTLS handshakes.");
    for (transport, handshakes) in both {
        family
            .sample(&[("transport", transport), ("result", "ok")], handshakes.completed)
            .sample(&[("transport", transport), ("result", "failed")], handshakes.failed);
    }
    let mut family = page.histogram(
        "turn_handshake_duration_seconds",
        "From the start of a TLS or DTLS handshake to its end, of those that were completed.",
    );
    for (transport, handshakes) in both {
        family.latencies(&[("transport", transport)], &handshakes.took);
    }
    page.gauge("turn_dtls_sessions", "Open DTLS sessions.").sample(&[], figures.dtls.sessions);
    page.counter("turn_dtls_records_total", "DTLS records read from clients.")
        .sample(&[], figures.dtls.records);
    page.counter(
        "turn_dtls_hellos_held_back_total",
        "Hellos of DTLS clients not answered: over limits.accepts.",
    )
    .sample(&[], figures.dtls.hellos_held_back);
}

/// Calls `with` the labels and the traffic of each tenant and direction.
fn each_direction(
    tenants: &[TenantFigures],
    mut with: impl FnMut(&[(&str, &str)], TrafficFigures),
) {
    for tenant in tenants {
        for (direction, traffic) in directions(tenant.up, tenant.down) {
            let of = [
                ("realm", tenant.realm.as_str()),
                ("tenant", &tenant.tenant),
                ("direction", direction),
            ];
            with(&of, traffic);
        }
    }
}

const fn directions(
    up: TrafficFigures,
    down: TrafficFigures,
) -> [(&'static str, TrafficFigures); 2] {
    [("up", up), ("down", down)]
}

fn stores(figures: &Figures, page: &mut Exposition) {
    // Two URLs may lead to one name; a series stands on a page once.
    let mut up: BTreeMap<&str, bool> = BTreeMap::new();
    let mut lookups: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for store in &figures.stores {
        *up.entry(&store.store).or_insert(true) &= store.is_up;
        for result in &store.lookups {
            *lookups.entry((&store.store, &result.word)).or_default() += result.count;
        }
    }
    let mut family = page.gauge("turn_store_up", "1 while a credential store answers.");
    for (store, is_up) in up {
        family.sample(&[("store", store)], is_up);
    }
    let mut family =
        page.counter("turn_store_lookups_total", "Users asked of a credential store, by result.");
    for ((store, result), count) in lookups {
        family.sample(&[("store", store), ("result", result)], count);
    }
    let mut family = page.counter(
        "turn_credentials_issued_total",
        "Time-limited credentials handed out, by key of the configuration.",
    );
    for key in &figures.credentials_issued {
        family.sample(&[("key", &key.word)], key.count);
    }
    let mut family = page.counter(
        "turn_credentials_refused_total",
        "Requests for credentials that were turned away, by reason.",
    );
    for reason in &figures.credentials_refused {
        family.sample(&[("reason", &reason.word)], reason.count);
    }
    page.counter("turn_usage_lost_total", "Reports of usage that found no room.")
        .sample(&[], figures.usage_lost);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::{CertificateFigures, Counted, PortFigures, ShardFigures};

    #[test]
    fn names_keep_the_conventions() {
        let page = page(&Figures::default());
        let families: Vec<(&str, &str)> =
            page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect();
        assert!(families.len() > 50, "{}", families.len());
        for (name, kind) in families {
            assert!(name.starts_with("turn_") || name.starts_with("process_"), "{name}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{name} is a {kind}");
            let help = format!("# HELP {name} ");
            let help = page.lines().find_map(|line| line.strip_prefix(&help));
            assert!(help.is_some_and(|help| help.ends_with('.')), "{name}: {help:?}");
            assert_eq!(page.matches(&format!("# TYPE {name} ")).count(), 1, "{name} twice");
        }
    }

    #[test]
    fn names_do_not_depend_on_what_is_configured() {
        let mut figures = Figures::default();
        figures.tenants.push(TenantFigures::default());
        figures.shards.push(ShardFigures { cpu_seconds: Some(1.5), ..ShardFigures::default() });
        figures.drops.push(Counted { word: "bandwidth".to_owned(), count: 1 });
        assert_eq!(names_in(&page(&figures)), metric_names());
        let names = metric_names();
        assert!(names.contains(&"turn_allocate_duration_seconds_bucket".to_owned()));
    }

    #[test]
    fn r17_a_certificate_that_was_not_taken_over_shows() {
        let failed = ReloadFigures { failed: 1, last_applied: Some(false), ..Default::default() };
        let figures = Figures { certificate_reloads: failed, ..Figures::default() };
        let page = page(&figures);
        assert!(page.contains("turn_certificate_reloads_total{result=\"failed\"} 1\n"), "{page}");
        assert!(page.contains("turn_certificate_last_reload_successful 0\n"), "{page}");
    }

    #[test]
    fn two_of_one_name_are_one_series() {
        let certificate =
            |not_after| CertificateFigures { name: "turn.example.org".to_owned(), not_after };
        let pool = |size, used| PortFigures {
            address: "203.0.113.7".to_owned(),
            protocol: "udp".to_owned(),
            size,
            used,
        };
        let figures = Figures {
            certificates: vec![certificate(2_000_000_000), certificate(1_900_000_000)],
            ports: vec![pool(100, 1), pool(100, 20)],
            ..Figures::default()
        };
        let page = page(&figures);
        for line in [
            "turn_certificate_expiry_timestamp_seconds{name=\"turn.example.org\"} 1900000000\n",
            "turn_relay_ports{address=\"203.0.113.7\",protocol=\"udp\"} 200\n",
            "turn_relay_ports_used{address=\"203.0.113.7\",protocol=\"udp\"} 21\n",
        ] {
            assert!(page.contains(line), "{line}{page}");
            let (series, _) = line.split_once(' ').unwrap_or_default();
            assert_eq!(page.matches(&format!("{series} ")).count(), 1, "{series}");
        }
    }

    #[test]
    fn h30_the_series_do_not_grow_with_the_users() {
        let tenant = |allocations| TenantFigures {
            created: allocations,
            live: vec![crate::figures::TransportFigures {
                transport: "udp".to_owned(),
                gathered: allocations,
                used: allocations,
            }],
            ..TenantFigures::default()
        };
        let lines = |users| {
            let figures = Figures { tenants: vec![tenant(users)], ..Figures::default() };
            page(&figures).lines().count()
        };
        assert_eq!(lines(1), lines(100_000));
        assert!(!page(&Figures::default()).contains("user="));
    }

    fn page(figures: &Figures) -> String {
        let mut page = Exposition::default();
        write(figures, &mut page);
        page.into_text()
    }
}
