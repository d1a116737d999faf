//! coturn's client over TCP and TLS, and with TCP to the peers (RFC 6062), with one shard and with
//! two. Not one message may be lost.

use std::thread;
use std::time::Duration;

use turn_tests::foreign::{EchoPeer, Uclient};
use turn_tests::lab::{IPV4, IPV6};
use turn_tests::system::{Site, Terms};

/// Generous: a run takes some 5 s, most of it the client's own waits.
const LIMIT: Duration = Duration::from_secs(60);

/// What each of [`CLIENTS`] sends.
const MESSAGES: u32 = 25;

/// Two pairs of RTP and RTCP, or four clients without.
const CLIENTS: u32 = 4;

#[test]
fn uclient_relays_over_tcp() {
    on_one_and_two_shards("", |site| relays_over_streams(site, Uclient::tcp));
}

#[test]
fn uclient_relays_over_tls() {
    on_one_and_two_shards("", |site| relays_over_streams(site, |uclient| uclient.tcp().secure()));
}

#[test]
fn uclient_relays_tcp_to_peers_over_tcp_and_tls() {
    on_one_and_two_shards("tcp = true", |site| {
        let uclient = Uclient::new(site.address()).user("ann", "secret").tcp_relay(IPV4);
        let uclient = uclient.clients(CLIENTS).messages(MESSAGES);
        side_by_side(vec![uclient.clone(), uclient.secure()], |uclient| {
            uclient.run(LIMIT).expect_all_back(u64::from(CLIENTS * MESSAGES));
        });
    });
}

#[test]
fn uclient_takes_connections_of_peers() {
    // Not over TLS: it would make a handshake on the socket of a peer that is not connected, with
    // any server.
    on_one_and_two_shards("tcp = true", |site| {
        let uclient = Uclient::new(site.address()).user("ann", "secret").tcp_relay(IPV4);
        let report = uclient.clients(CLIENTS).messages(MESSAGES).flag("-P").run(LIMIT);
        // Half of its clients are peers, which send but never read what is sent to them: it takes
        // its own bytes for half a STUN message. So half of all is all there is; against coturn's
        // own server it is the same.
        let all = u64::from(CLIENTS * MESSAGES);
        assert_eq!((report.exit, report.send_dropped), (Some(0), Some(0)), "{report:#?}");
        assert_eq!((report.sent, report.received), (all, all / 2), "{report:#?}");
    });
}

#[test]
fn uclient_is_refused_tcp_to_peers_where_it_is_off() {
    let site = Site::start(&Terms::default());
    let uclient = Uclient::new(site.address()).user("ann", "secret").tcp_relay(IPV4);
    let report = uclient.run(LIMIT);
    assert!(report.exit.is_some_and(|exit| exit != 0), "{report:#?}");
    // Unsupported Transport Protocol.
    assert!(report.output.contains("442"), "{report:#?}");
}

/// Every way of [`Uclient`] to relay UDP, over a stream that `transport` makes of it.
fn relays_over_streams(site: &Site, transport: impl Fn(Uclient) -> Uclient) {
    let [ipv4, ipv6] = [IPV4, IPV6].map(EchoPeer::start);
    let (ipv4, ipv6) = (ipv4.address(), ipv6.address());
    let nobody = transport(Uclient::new(site.address())).clients(CLIENTS).messages(MESSAGES);
    let ann = nobody.clone().user("ann", "secret");
    let over_ipv6 = transport(Uclient::new(site.address_on(IPV6))).user("ann", "secret");
    let over_ipv6 = over_ipv6.clients(CLIENTS).messages(MESSAGES);
    let variants = vec![
        ann.clone().peer(ipv4),
        ann.clone().peer(ipv4).send_indications(),
        // Lengths that need padding.
        ann.clone().peer(ipv4).length(101),
        ann.clone().peer(ipv4).length(99).send_indications(),
        ann.clone().client_to_client(IPV4).without_rtcp(),
        ann.clone().client_to_client(IPV4).send_indications(),
        ann.ipv6().peer(ipv6),
        over_ipv6.clone().ipv6().peer(ipv6),
        over_ipv6.peer(ipv4),
        nobody.shared_secret("ann", Site::SECRET).peer(ipv4),
    ];
    side_by_side(variants, |uclient| {
        uclient.run(LIMIT).expect_all_back(u64::from(CLIENTS * MESSAGES));
    });
}

/// Runs the same against a server of one shard and a server of two, both at once.
fn on_one_and_two_shards(relay: &str, claim: impl Fn(&Site) + Sync) {
    side_by_side(vec![1, 2], |shards| {
        let site = Site::start(&Terms { shards, relay, ..Terms::default() });
        claim(&site);
        let stopped = site.stop("TERM");
        assert_eq!(stopped.exit, Some(0), "{}", stopped.output);
        for counter in ["truncated", "send_dropped", "stream_frames_dropped"] {
            assert_eq!(stopped.counters.get(counter), None, "{:?}", stopped.counters);
        }
    });
}

/// Runs a claim for each, all at once: the clients spend most of their time waiting.
fn side_by_side<T: Send>(items: Vec<T>, claim: impl Fn(T) + Sync) {
    thread::scope(|scope| {
        for item in items {
            let claim = &claim;
            scope.spawn(move || claim(item));
        }
    });
}
