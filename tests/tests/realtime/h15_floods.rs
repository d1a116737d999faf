//! Slow, mute and rude strangers over TCP and TLS, in numbers, while others relay. They last half a
//! minute or more, and run beside the other tests.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use turn_client::Client;
use turn_tests::lab::IPV4;
use turn_tests::system::{
    Behaviour, Choir, Site, Sung, Swarm, Terms, allow_descriptors, binding_request, client_hello,
    user,
};

const SECOND: Duration = Duration::from_secs(1);

/// Addresses that the strangers come from.
const SOURCES: u32 = 200;

const MIB: u64 = 1_024 * 1_024;

#[test]
fn realtime_half_a_minute_of_slow_and_rude_strangers_costs_no_packet_and_no_memory() {
    allow_descriptors(16_384);
    let limits = "unauthenticated_connections = 8000";
    let site = Site::start(&Terms { shards: 2, limits, ..Terms::default() });
    let mut choir = Choir::new(site.address(), 100);
    // What it takes for a connection, it may keep for the next one.
    site.connect_tls().binding().unwrap();
    // So does a relay whose peer is the same again and again, with its second socket.
    assert_eq!(choir.sing_for(3 * SECOND, SECOND / 10).lost, 0);
    let resident = site.daemon().resident();
    let descriptors = site.daemon().open_descriptors();

    let over = AtomicBool::new(false);
    let (sung, most) = thread::scope(|scope| {
        let swarms = scope.spawn(|| rude(site.address(), &over));
        let singing = scope.spawn(|| choir.sing_for(30 * SECOND, SECOND / 10));
        let mut most = 0;
        while !singing.is_finished() {
            most = most.max(site.daemon().open_descriptors());
            thread::sleep(SECOND / 4);
        }
        over.store(true, Ordering::Relaxed);
        swarms.join().unwrap();
        (singing.join().unwrap(), most)
    });
    let Sung { sent, lost, .. } = sung;
    assert!(sent >= 10_000 && lost == 0, "{sung:?}");
    assert!(most - descriptors >= 4_000, "only {} connections at once", most - descriptors);

    let sung = choir.sing_for(30 * SECOND, SECOND);
    assert_eq!(sung.lost, 0, "{sung:?}");
    let grown = site.daemon().resident().saturating_sub(resident);
    assert!(grown < 16 * MIB, "{grown} bytes more than {resident}");
    let left = site.daemon().open_descriptors();
    assert!(left <= descriptors, "{left} descriptors, {descriptors} before");
}

#[test]
fn realtime_ten_thousand_dripping_connections_leave_a_second_for_others() {
    allow_descriptors(16_384);
    let site = Site::start(&Terms { shards: 2, ..Terms::default() });
    let over = AtomicBool::new(false);
    let taken = thread::scope(|scope| {
        let swarm = scope.spawn(|| {
            let drip = Behaviour::Drip(binding_request(1));
            let swarm = Swarm::new(site.address(), 10_000, SOURCES, drip);
            let mut swarm = swarm.at_rate(900).without_return();
            while !over.load(Ordering::Relaxed) {
                swarm.turn_until(Instant::now() + SECOND / 10);
            }
            swarm.opened()
        });
        let mut taken = Vec::new();
        let end = Instant::now() + 20 * SECOND;
        while Instant::now() < end {
            let start = Instant::now();
            let local = SocketAddr::new(IPV4, 0);
            let mut client = Client::connect_tcp(local, site.address(), user()).unwrap();
            client.binding().unwrap();
            taken.push(start.elapsed());
            let start = Instant::now();
            site.connect_tls().binding().unwrap();
            taken.push(start.elapsed());
            thread::sleep(SECOND / 20);
        }
        over.store(true, Ordering::Relaxed);
        assert_eq!(swarm.join().unwrap(), 10_000);
        taken
    });
    let slow = taken.iter().filter(|took| **took >= SECOND).count();
    assert!(taken.len() > 200, "only {} clients", taken.len());
    // The 99th percentile.
    assert!(slow * 100 <= taken.len(), "{slow} of {} took longer", taken.len());
}

/// Strangers of four kinds, until it is over.
fn rude(server: SocketAddr, over: &AtomicBool) {
    let hello = client_hello();
    let half = hello.get(..hello.len() / 2).unwrap_or_default().to_vec();
    let swarm = |size, behaviour| Swarm::new(server, size, SOURCES, behaviour);
    let mut swarms = [
        swarm(2_500, Behaviour::Drip(binding_request(1))).at_rate(250),
        swarm(2_500, Behaviour::Say(half)).at_rate(250),
        swarm(500, Behaviour::Say(vec![0xff; 64])).at_rate(100),
        swarm(500, Behaviour::Abort).at_rate(100),
    ];
    while !over.load(Ordering::Relaxed) {
        for swarm in &mut swarms {
            swarm.turn();
        }
        thread::sleep(SECOND / 100);
    }
}
