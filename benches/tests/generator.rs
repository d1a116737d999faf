//! The load generator against our server in this process: every pattern of `versus-coturn`, for as
//! long as it takes to see that nothing is lost.

#![expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]

use std::path::Path;
use std::sync::Arc;

use turn_benches::{Credentials, OurConfig, free_address};
use turn_client::load::{
    self, Direction, Ends, MessageKind, Pattern, Plan, Report, ServerProcess, Transport,
};
use turnserver::{logging::LogObserver, plan::Origin, server::Server};

#[test]
fn nothing_is_lost_in_bulk() {
    for direction in [Direction::Up, Direction::Down] {
        let bulk = Plan { direction, allocations: 2, sizes: vec![1_200], train: 16, ..short() };
        relays(&bulk);
    }
}

#[test]
fn nothing_is_lost_among_many() {
    for direction in [Direction::Up, Direction::Down] {
        relays(&Plan { direction, allocations: 60, ..short() });
    }
}

#[test]
fn nothing_is_lost_with_a_peer_for_each_client_and_indications() {
    for message in [MessageKind::Channel, MessageKind::Indication] {
        // Few clients send in batches, many a datagram at a time.
        for clients in [8, 40] {
            let (allocations, peers) = (clients, clients);
            let plan = Plan { direction: Direction::Both, allocations, peers, ..short() };
            relays(&Plan { message, ..plan });
        }
    }
}

#[test]
fn nothing_is_lost_at_media_rates() {
    for direction in [Direction::Up, Direction::Down] {
        let mix = vec![160, 1_200];
        let media = Plan { direction, allocations: 40, sizes: mix, rate: Some(2_000), ..short() };
        let report = relays(&media);
        assert!(report.sent <= 601, "{report:?}");
    }
}

#[test]
fn nothing_is_lost_between_two_clients() {
    for rate in [None, Some(2_000)] {
        relays(&Plan { direction: Direction::Pairs, allocations: 20, rate, ..short() });
    }
}

#[test]
fn every_binding_request_is_answered() {
    let report = run(&Plan { pattern: Pattern::Binding, allocations: 16, ..short() });
    assert_lossless(&report);
}

#[test]
fn every_cycle_comes_to_its_end() {
    let cycle = Plan { pattern: Pattern::Cycle, allocations: 8, window: 8, ..short() };
    for client_addresses in [1, 5_000] {
        let report = run(&Plan { client_addresses, ..cycle.clone() });
        assert_lossless(&report);
        assert!(report.server.unwrap().rss_kib_per_allocation.is_none());
    }
}

#[test]
fn idle_allocations_cost_memory_only() {
    let report = run(&Plan { pattern: Pattern::Idle, allocations: 200, ..short() });
    assert_eq!((report.sent, report.received, report.lost), (0, 0, 0));
    let server = report.server.unwrap();
    assert!(server.rss_kib.before > 0 && server.rss_kib.after > 0);
    assert!(server.rss_kib_per_allocation.is_some());
}

#[test]
fn nothing_is_lost_over_streams() {
    for transport in [Transport::Tcp, Transport::Tls] {
        for (direction, rate) in [
            (Direction::Up, None),
            (Direction::Up, Some(1_000)),
            (Direction::Down, Some(1_000)),
            (Direction::Both, None),
        ] {
            // An odd size needs padding.
            let sizes = vec![161];
            relays(&Plan { transport, direction, rate, sizes, allocations: 6, ..short() });
        }
    }
}

#[test]
fn nothing_useful_is_lost_beside_junk() {
    for direction in [Direction::Up, Direction::Down] {
        let report = relays(&Plan { direction, allocations: 20, junk: 20, ..short() });
        let share = report.junk * 100 / (report.junk + report.sent);
        assert!((19..=20).contains(&share), "{share} %");
    }
}

/// So short that all of them are done in seconds; so few at a time that no buffer overflows.
fn short() -> Plan {
    Plan { window: 32, warm_up: 50, milliseconds: 300, ..Plan::default() }
}

fn relays(plan: &Plan) -> Report {
    let report = run(plan);
    assert_lossless(&report);
    assert_eq!(report.stray, 0, "{report:?}");
    report
}

fn assert_lossless(report: &Report) {
    assert!(report.received > 0, "{report:?}");
    assert_eq!((report.lost, report.refused.len()), (0, 0), "{report:?}");
    assert_eq!(report.latency_us.count, report.received);
    assert!(report.typical_p99_us > 0.0 && report.typical_p99_us <= report.latency_us.max);
    assert!(report.cpu_us_per_packet().is_some(), "{report:?}");
}

/// One server for one load.
fn run(plan: &Plan) -> Report {
    let directory = tempfile::TempDir::new().unwrap();
    let made = rcgen::generate_simple_self_signed(["bench.example".to_owned()]).unwrap();
    std::fs::write(directory.path().join(OurConfig::CERTIFICATE), made.cert.pem()).unwrap();
    std::fs::write(directory.path().join(OurConfig::KEY), made.signing_key.serialize_pem())
        .unwrap();
    let address = free_address().unwrap();
    let config = OurConfig { tls: true, shards: Some(1), ..OurConfig::at(address) };
    let path = directory.path().join("bench.toml");
    let config = turn_config::from_str(&config.to_toml(), Path::new(&path)).unwrap();
    let observer = Arc::new(LogObserver::default());
    let server = Server::start(&config, Origin::File, None, observer).unwrap();
    let shard = ServerProcess::threads_here("shard-");
    let ends = Ends::on_loopback(address);
    let report = load::run(&ends, &Credentials::of_client(), plan, &shard).unwrap();
    server.stop().unwrap();
    report
}
