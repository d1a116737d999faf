//! An office behind one address comes back at once, with the limits of the default configuration.

use std::collections::HashSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use turn_client::Credentials;
use turn_config::{Config, Shards, SharedSecret};
use turn_credentials::UnixSeconds;
use turn_tests::lab;
use turn_tests::system::{Crowd, Outcome, Scripted};

const CLIENTS: usize = 300;
/// As many as a browser gathers for one call.
const ALLOCATIONS: usize = 4;
const LIMIT: Duration = Duration::from_secs(5);
const SECRET: &str = "shared by the whole company";

#[test]
fn three_hundred_clients_of_one_address_come_back_at_once_after_a_restart() {
    let config = default_limits();
    let server = Scripted::start(&config);
    let address = server.address();
    let mut crowd = crowd(&server);
    all_succeed("first", &crowd.allocate(LIMIT), &server);

    // On the same port, with another nonce key and no allocation: they know the old nonces.
    drop(server);
    let mut again = config;
    again.listen.retain(|listen| listen.address.is_ipv4());
    again.listen.iter_mut().for_each(|listen| listen.address = address);
    let server = Scripted::start(&again);
    all_succeed("after a restart", &crowd.allocate(LIMIT), &server);
    assert!(server.counter("allocate_438") >= total() as u64, "{:?}", server.counters());

    let relayed: HashSet<_> = crowd.allocations().map(|allocation| allocation.relayed).collect();
    assert_eq!(relayed.len(), total());
}

#[test]
fn three_hundred_clients_of_one_address_come_back_at_once_from_new_ports() {
    let server = Scripted::start(&default_limits());
    let mut first = crowd(&server);
    all_succeed("first", &first.allocate(LIMIT), &server);
    // Their network was away for a moment; what they had is still held for them.
    let held: HashSet<_> = first.allocations().map(|allocation| allocation.relayed).collect();
    let mut crowd = first;
    crowd.change_sockets();
    all_succeed("from new ports", &crowd.allocate(LIMIT), &server);
    assert!(crowd.allocations().all(|allocation| !held.contains(&allocation.relayed)));
    assert_eq!(server.counter("allocations_created"), 2 * total() as u64);
}

fn all_succeed(when: &str, outcome: &Outcome, server: &Scripted) {
    eprintln!(
        "{when}: {} of {} in {:?}, {} sent again",
        outcome.succeeded,
        total(),
        outcome.took,
        outcome.retransmissions
    );
    assert_eq!(outcome.errors, Vec::<String>::new(), "{:?}", server.counters());
    assert_eq!(outcome.succeeded, total());
}

/// Each client has a name of its own and several sockets, as a browser has.
fn crowd(server: &Scripted) -> Crowd {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let expiry = UnixSeconds(now + 3_600);
    Crowd::new(server.address(), total(), |at| {
        let userid = format!("client-{}", at / ALLOCATIONS);
        Credentials::time_limited(SECRET.as_bytes(), Some(&userid), expiry)
    })
}

/// The default configuration but for its addresses, which are those of the lab.
fn default_limits() -> Config {
    let mut config = lab::config();
    config.shards = Shards::Auto;
    config.auth.secrets = vec![SharedSecret::new(SECRET)];
    assert_eq!(config.limits, Config::default().limits);
    config
}

const fn total() -> usize {
    CLIENTS * ALLOCATIONS
}
