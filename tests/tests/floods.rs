//! Strangers that cost: TLS handshakes without end, and descriptors that run out.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use turn_client::{AllocateOptions, Client};
use turn_codec::StatusCode;
use turn_tests::lab::IPV4;
use turn_tests::system::{Behaviour, Choir, Site, Swarm, Terms, client_hello, connect, user};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn h16_flood_of_tls_handshakes_disturbs_neither_relays_nor_other_handshakes() {
    let site = Site::start(&Terms { shards: 2, ..Terms::default() });
    let mut choir = Choir::new(site.address(), 50);
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let flood = scope.spawn(|| {
            // Each makes the server sign and then never answers.
            let hello = Behaviour::Say(client_hello());
            let mut swarm = Swarm::new(site.address(), 2_000, 100, hello).at_rate(400);
            while !over.load(Ordering::Relaxed) {
                swarm.turn_until(Instant::now() + SECOND / 10);
            }
            swarm.opened()
        });
        let singing = scope.spawn(|| choir.sing_for(5 * SECOND, SECOND / 20));
        let mut slowest = Duration::ZERO;
        while !singing.is_finished() {
            let start = Instant::now();
            site.connect_tls().binding().unwrap();
            slowest = slowest.max(start.elapsed());
            thread::sleep(SECOND / 10);
        }
        over.store(true, Ordering::Relaxed);
        let opened = flood.join().unwrap();
        let sung = singing.join().unwrap();
        assert!(opened > 1_500, "only {opened} handshakes");
        assert!(sung.sent > 1_000 && sung.lost == 0, "{sung:?}");
        assert!(slowest < SECOND, "a handshake took {slowest:?}");
    });
}

#[test]
fn r8_without_descriptors_it_refuses_politely_waits_quietly_and_recovers() {
    let site = Site::start(&Terms { shards: 2, ..Terms::default() });
    let mut choir = Choir::new(site.address(), 20);
    assert_eq!(choir.sing().lost, 0);
    let daemon = site.daemon();
    let allowed = daemon.descriptors();
    daemon.limit_descriptors(daemon.open_descriptors());

    // Connections that the kernel has taken in and the server cannot.
    let silent = Behaviour::Say(Vec::new());
    let mut waiting = Swarm::new(site.address(), 50, 50, silent).without_return().at_rate(1_000);
    waiting.turn_until(Instant::now() + SECOND / 2);
    assert_eq!(waiting.open_now(), 50);

    let mut late = connect(site.address(), user());
    let error = late.allocate(&AllocateOptions::default()).unwrap_err();
    assert_eq!(error.code(), Some(StatusCode::INSUFFICIENT_CAPACITY), "{error:?}");

    let before = daemon.processor_time();
    thread::sleep(3 * SECOND);
    let busy = daemon.processor_time() - before;
    assert!(busy < 3 * SECOND / 20, "busy for {busy:?} of 3 s");

    let sung = choir.sing_for(2 * SECOND, SECOND / 50);
    assert!(sung.sent > 500 && sung.lost == 0, "{sung:?}");

    daemon.limit_descriptors(allowed);
    let start = Instant::now();
    late.allocate(&AllocateOptions::default()).unwrap();
    // From another source than the silent ones.
    let local = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 9)), 0);
    let mut client = Client::connect_tcp(local, site.address(), user()).unwrap();
    assert_eq!(client.binding().unwrap(), client.local_addr().unwrap());
    let took = start.elapsed();
    assert!(took < SECOND, "recovered after {took:?}");
    assert_eq!(choir.sing().lost, 0);
    assert!(daemon.output().contains("descriptors"), "{}", daemon.output());
    assert_eq!(client.local_addr().unwrap().ip(), local.ip());
    assert_ne!(local.ip(), IPV4);
}
