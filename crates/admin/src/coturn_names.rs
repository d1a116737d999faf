//! Figures under the 33 names of coturn, for dashboards that know them.
//!
//! Names, types and labels are coturn's; values are live, where coturn adds an
//! allocation's traffic when it ends. None has a `_total` suffix, which is what
//! `promtool check metrics` has to say about them, and about coturn's own page.
//!
//! | coturn's name | here |
//! |---|---|
//! | `stun_binding_request` | Binding requests, answered or not |
//! | `stun_binding_response` | Binding requests answered |
//! | `stun_binding_error` | Binding requests not answered: malformed, or over `limits.binding_replies` |
//! | `turn_traffic_{rcvp,rcvb}{realm}` | from clients: `turn_relayed_{packets,bytes}_total{direction="up"}` of all the realm's tenants |
//! | `turn_traffic_{sentp,sentb}{realm}` | to clients: the same with `direction="down"` |
//! | `turn_traffic_peer_{rcvp,rcvb}{realm}` | from peers: `direction="down"` |
//! | `turn_traffic_peer_{sentp,sentb}{realm}` | to peers: `direction="up"` |
//! | `turn_total_traffic_{rcvp,rcvb,sentp,sentb}`, `turn_total_traffic_peer_{..}` | the same over all realms |
//! | `turn_total_allocations{type}` | `turn_allocations`; UDP, TCP, TLS/TCP, DTLS |
//! | `turn_packet_processed` | datagrams, DTLS records and frames read |
//! | `turn_packet_dropped` | `turn_dropped_packets_total` of all reasons |
//! | `turn_udp_recvmmsg_calls`, `_packets` | `turn_udp_receive_calls_total`, `turn_udp_received_datagrams_total` |
//! | `turn_udp_sendmmsg_flushes`, `_datagrams`, `_gso_datagrams` | `turn_udp_send_calls_total`, `turn_udp_sent_datagrams_total`, `turn_udp_sent_in_runs_datagrams_total` |
//! | `turn_unauthenticated_401_requests` | the next two together |
//! | `turn_unauthenticated_401_responses` | `turn_responses_total{code="401"}`, of every transport |
//! | `turn_unauthenticated_401_dropped_responses` | `turn_dropped_packets_total{reason="reply_limit"}` |
//! | `turn_ratelimit_hash_collisions` | `turn_rate_bucket_evictions_total` |
//! | `turn_ratelimit_occupied_buckets`, `_total_buckets` | `turn_rate_buckets_occupied`, `turn_rate_buckets` |
//!
//! Bytes are payload, without the headers of STUN and ChannelData. There is no
//! `user` label.

use crate::exposition::{Exposition, Family, names_in};
use crate::figures::{Figures, TenantFigures, TrafficFigures};

/// Coturn's words for the transports of clients, which are our words in lower case.
const TYPES: [(&str, &str); 4] =
    [("udp", "UDP"), ("tcp", "TCP"), ("tls", "TLS/TCP"), ("dtls", "DTLS")];

/// The part of the traffic that a name shows.
type Part = fn(TrafficFigures, TrafficFigures) -> u64;

/// For each suffix its meaning of (up, down), seen from the client's side.
const CLIENT: [(&str, &str, &str, Part); 4] = [
    ("turn_traffic_rcvp", "turn_total_traffic_rcvp", "packets received from clients", |up, _| {
        up.packets
    }),
    ("turn_traffic_rcvb", "turn_total_traffic_rcvb", "bytes received from clients", |up, _| {
        up.bytes
    }),
    ("turn_traffic_sentp", "turn_total_traffic_sentp", "packets sent to clients", |_, down| {
        down.packets
    }),
    ("turn_traffic_sentb", "turn_total_traffic_sentb", "bytes sent to clients", |_, down| {
        down.bytes
    }),
];

/// The same, seen from the peers' side.
const PEER: [(&str, &str, &str, Part); 4] = [
    (
        "turn_traffic_peer_rcvp",
        "turn_total_traffic_peer_rcvp",
        "packets received from peers",
        |_, down| down.packets,
    ),
    (
        "turn_traffic_peer_rcvb",
        "turn_total_traffic_peer_rcvb",
        "bytes received from peers",
        |_, down| down.bytes,
    ),
    (
        "turn_traffic_peer_sentp",
        "turn_total_traffic_peer_sentp",
        "packets sent to peers",
        |up, _| up.packets,
    ),
    ("turn_traffic_peer_sentb", "turn_total_traffic_peer_sentb", "bytes sent to peers", |up, _| {
        up.bytes
    }),
];

/// Coturn's names, all 33.
pub fn coturn_metric_names() -> Vec<String> {
    let mut page = Exposition::default();
    write(&Figures::default(), &mut page);
    names_in(&page.into_text())
}

/// Writes all of it.
pub(crate) fn write(figures: &Figures, page: &mut Exposition) {
    let binding = figures.binding_replies + figures.binding_dropped;
    one(page, "stun_binding_request", "STUN Binding requests.", binding);
    let replies = figures.binding_replies;
    one(page, "stun_binding_response", "STUN Binding responses.", replies);
    let unanswered = figures.binding_dropped;
    one(page, "stun_binding_error", "STUN Binding requests not answered.", unanswered);

    let realms = by_realm(&figures.tenants);
    for (name, total, what, part) in CLIENT.into_iter().chain(PEER) {
        let mut family = page.counter(name, &format!("Relayed {what}, by realm."));
        for (realm, up, down) in &realms {
            family.sample(&[("realm", realm)], part(*up, *down));
        }
        let all = realms.iter().map(|(_, up, down)| part(*up, *down)).sum();
        one(page, total, &format!("Relayed {what}."), all);
    }

    let mut family = page.gauge("turn_total_allocations", "Live allocations.");
    TYPES.into_iter().for_each(|(transport, word)| live(&mut family, figures, transport, word));

    let (datagrams, streams) = (&figures.datagrams, &figures.streams);
    let received = datagrams.from_clients + datagrams.from_peers;
    let processed = received + streams.received;
    one(page, "turn_packet_processed", "Packets read.", processed);
    let dropped = figures.drops.iter().map(|drop| drop.count).sum();
    one(page, "turn_packet_dropped", "Packets dropped.", dropped);

    let calls = datagrams.receive_calls;
    one(page, "turn_udp_recvmmsg_calls", "System calls for receiving.", calls);
    one(page, "turn_udp_recvmmsg_packets", "UDP datagrams received.", received);
    one(page, "turn_udp_sendmmsg_flushes", "System calls for sending.", datagrams.send_calls);
    one(page, "turn_udp_sendmmsg_datagrams", "UDP datagrams sent.", datagrams.sent);
    let in_runs = datagrams.sent_in_runs;
    one(page, "turn_udp_sendmmsg_gso_datagrams", "UDP datagrams sent by UDP_SEGMENT.", in_runs);

    let asked = figures.responses.iter().filter(|response| response.code == 401);
    let asked: u64 = asked.map(|response| response.count).sum();
    let held = figures.drops.iter().filter(|drop| drop.word == "reply_limit");
    let held: u64 = held.map(|drop| drop.count).sum();
    let help = "Requests that ask for a 401 response.";
    one(page, "turn_unauthenticated_401_requests", help, asked + held);
    one(page, "turn_unauthenticated_401_responses", "401 responses sent.", asked);
    let help = "Responses to strangers that a limit held back.";
    one(page, "turn_unauthenticated_401_dropped_responses", help, held);

    let buckets = &figures.rate_buckets;
    let help = "Rate buckets taken from one source for another.";
    one(page, "turn_ratelimit_hash_collisions", help, buckets.evictions);
    page.gauge("turn_ratelimit_occupied_buckets", "Rate buckets in use.")
        .sample(&[], buckets.occupied);
    page.gauge("turn_ratelimit_total_buckets", "Rate buckets of the table.")
        .sample(&[], buckets.total);
}

fn one(page: &mut Exposition, name: &'static str, help: &str, count: u64) {
    page.counter(name, help).sample(&[], count);
}

fn live(family: &mut Family<'_>, figures: &Figures, transport: &str, word: &str) {
    let all = figures.tenants.iter().flat_map(|tenant| &tenant.live);
    let these = all.filter(|live| live.transport == transport);
    let count: u64 = these.map(|live| live.gathered + live.used).sum();
    family.sample(&[("type", word)], count);
}

/// Up and down of each realm, its tenants together, in the order of first sight.
fn by_realm(tenants: &[TenantFigures]) -> Vec<(&str, TrafficFigures, TrafficFigures)> {
    let mut realms: Vec<(&str, TrafficFigures, TrafficFigures)> = Vec::new();
    for tenant in tenants {
        let known = realms.iter_mut().find(|(realm, ..)| *realm == tenant.realm);
        match known {
            Some((_, up, down)) => {
                add(up, tenant.up);
                add(down, tenant.down);
            }
            None => realms.push((&tenant.realm, tenant.up, tenant.down)),
        }
    }
    realms
}

const fn add(to: &mut TrafficFigures, more: TrafficFigures) {
    to.packets += more.packets;
    to.bytes += more.bytes;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::{Counted, ResponseFigures, TransportFigures};
    use crate::native_names::metric_names;

    #[test]
    fn they_are_33_and_none_is_ours() {
        let names = coturn_metric_names();
        assert_eq!(names.len(), 33);
        let ours = metric_names();
        assert_eq!(names.iter().find(|name| ours.contains(name)), None);
    }

    #[test]
    fn directions_are_seen_from_the_side_that_coturn_names() {
        let tenant = |tenant: &str, packets| TenantFigures {
            realm: "example.org".to_owned(),
            tenant: tenant.to_owned(),
            up: TrafficFigures { packets, bytes: 100 },
            down: TrafficFigures { packets: 7, bytes: 1000 },
            live: vec![TransportFigures { transport: "dtls".to_owned(), gathered: 1, used: 1 }],
            ..TenantFigures::default()
        };
        let figures =
            Figures { tenants: vec![tenant("", 3), tenant("app", 4)], ..Figures::default() };
        let page = page(&figures);
        for line in [
            "turn_traffic_rcvp{realm=\"example.org\"} 7",
            "turn_traffic_rcvb{realm=\"example.org\"} 200",
            "turn_traffic_sentp{realm=\"example.org\"} 14",
            "turn_traffic_peer_rcvb{realm=\"example.org\"} 2000",
            "turn_traffic_peer_sentp{realm=\"example.org\"} 7",
            "turn_total_traffic_peer_rcvp 14",
            "turn_total_allocations{type=\"DTLS\"} 4",
            "turn_total_allocations{type=\"UDP\"} 0",
        ] {
            assert!(page.lines().any(|shown| shown == line), "{line}\n{page}");
        }
    }

    #[test]
    fn requests_for_a_401_are_those_answered_and_those_held_back() {
        let response = |code, count| ResponseFigures { method: "allocate".to_owned(), code, count };
        let figures = Figures {
            responses: vec![response(200, 9), response(401, 5)],
            drops: vec![Counted { word: "reply_limit".to_owned(), count: 2 }],
            ..Figures::default()
        };
        let page = page(&figures);
        assert!(page.contains("turn_unauthenticated_401_requests 7\n"), "{page}");
        assert!(page.contains("turn_unauthenticated_401_responses 5\n"), "{page}");
        assert!(page.contains("turn_unauthenticated_401_dropped_responses 2\n"), "{page}");
    }

    fn page(figures: &Figures) -> String {
        let mut page = Exposition::default();
        write(figures, &mut page);
        page.into_text()
    }
}
