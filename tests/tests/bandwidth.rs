//! Limits of bandwidth on real sockets: what an allocation, a user, a realm and the process may carry.
//!
//! Payload is offered for twelve seconds, and counted from the second on at which full buckets are
//! empty.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use turn_client::Client;
use turn_tests::foreign::free_port;
use turn_tests::lab::IPV4;
use turn_tests::system::{Carried, Daemon, Flow, Offer, Site, Terms, Way, connect, user};

const TWELVE_SECONDS: Duration = Duration::from_millis(12_500);

/// What each allocation of the first test may carry: 1 Mbit/s of payload, each way.
const LIMIT: &str = "bandwidth_per_allocation = \"1 Mbit/s\"";

/// Five times as much.
const TOO_MUCH: Offer = Offer::new(5_000_000, TWELVE_SECONDS);

/// Less than that, but in bursts of 100 ms.
const BURSTS: Offer = Offer { size: 1_250, burst: 9, ..Offer::new(900_000, TWELVE_SECONDS) };

/// Allocations that share a limit, each of which is offered twice its share.
const MANY: usize = 20;
const SHARED: Offer = Offer::new(400_000, TWELVE_SECONDS);

type Transport = (&'static str, fn(&Site) -> Client);

const TRANSPORTS: [Transport; 3] = [
    ("udp", |site| connect(site.address(), user())),
    ("tcp", Site::connect_tcp),
    ("tls", Site::connect_tls),
];

#[test]
fn an_allocation_carries_its_limit_on_every_transport_and_takes_nothing_from_others() {
    let site = Site::start(&Terms { shards: 2, limits: LIMIT, ..Terms::default() });
    let flow =
        |(name, open): Transport, way, offer: Offer| (name, way, offer, Flow::new(open(&site)));
    let ways = [Way::Up, Way::Down];
    let flows = TRANSPORTS.into_iter().flat_map(|transport| ways.map(|way| (transport, way)));
    let flows = flows
        .flat_map(|(transport, way)| [TOO_MUCH, BURSTS].map(|offer| flow(transport, way, offer)));
    let carried = side_by_side(flows.collect(), |(name, way, offer, mut flow)| {
        (name, way, offer.burst, flow.carry(way, &offer))
    });
    eprintln!("{carried:#?}");
    for (name, way, burst, carried) in carried {
        let told = format!("{name} {way:?}: {carried:?}");
        if burst == TOO_MUCH.burst {
            assert!((0.95..=1.05).contains(&carried.megabits), "{told}");
        } else {
            assert_eq!(carried.arrived, carried.offered, "{told}");
        }
    }
}

#[test]
fn twenty_allocations_of_a_user_share_his_limit_over_two_shards() {
    shares("bandwidth_per_user = \"4 Mbit/s\"");
}

#[test]
fn twenty_allocations_of_a_realm_share_its_limit_over_two_shards() {
    shares("bandwidth_per_realm = \"4 Mbit/s\"");
}

#[test]
fn twenty_allocations_share_the_limit_of_the_process_over_two_shards() {
    shares("bandwidth = \"4 Mbit/s\"");
}

/// Twenty allocations are offered 8 Mbit/s together, half of them up and half of them down; each
/// direction counts on its own.
fn shares(limit: &str) {
    let server = SocketAddr::new(IPV4, free_port(IPV4));
    let daemon = Daemon::with_file(&format!(
        "shards = 2\n[[listen]]\naddress = \"{server}\"\n[relay]\naddresses = [\"{IPV4}\"]\n\
         [auth]\nusers = {{ ann = \"secret\" }}\n[limits]\n{limit}\n\
         [metrics]\naddress = \"off\"\n[admin]\nsocket = \"off\"\n[lab]\nloopback_peers = true\n"
    ));
    let flows = (0..2 * MANY).map(|n| {
        let way = if n % 2 == 0 { Way::Up } else { Way::Down };
        (way, Flow::new(connect(server, user())))
    });
    let carried = side_by_side(flows.collect(), |(way, mut flow)| (way, flow.carry(way, &SHARED)));
    for way in [Way::Up, Way::Down] {
        let of_way = carried.iter().filter(|(of, _)| *of == way);
        let megabits: f64 = of_way.map(|(_, Carried { megabits, .. })| megabits).sum();
        eprintln!("{limit}: {megabits:.3} Mbit/s {way:?}");
        assert!((3.6..=4.4).contains(&megabits), "{limit}: {megabits} Mbit/s {way:?}");
    }
    let stopped = daemon.stop("TERM");
    assert_eq!(stopped.exit, Some(0), "{}", stopped.output);
}

/// Runs a claim for each, all at once.
fn side_by_side<T: Send, R: Send>(items: Vec<T>, claim: impl Fn(T) -> R + Sync) -> Vec<R> {
    thread::scope(|scope| {
        let claim = &claim;
        let running: Vec<_> =
            items.into_iter().map(|item| scope.spawn(move || claim(item))).collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}
