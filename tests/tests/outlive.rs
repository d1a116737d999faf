//! Live allocations outlive what made them: an expired credential, a rotated secret, an aged nonce.
//! A new Allocate with the same credential is refused; `strict_expiry` cuts the live ones too.
//!
//! The clock is the real one, so the credentials here have used up all but two seconds of the
//! 300 s that an expired name still passes for the sake of clocks that differ.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use turn_client::{AllocateOptions, Client, Credentials};
use turn_codec::Method;
use turn_config::{Config, SharedSecret};
use turn_credentials::{CLOCK_SKEW_GRACE, UnixSeconds};
use turn_engine::EndReason;
use turn_tests::lab::{self, IPV4};
use turn_tests::system::{Echo, Scripted, channel, connect};

const SECRET: &str = "the first secret";
const NEXT_SECRET: &str = "the secret after it";
const SOON: Duration = Duration::from_secs(5);
const TEN_MINUTES: Duration = Duration::from_secs(600);

/// Asks for something that must be granted; the address is that of a peer.
type Operation = fn(&mut Client, SocketAddr);

/// What a client of a live allocation asks for, each on an allocation of its own.
const OPERATIONS: [(Method, Operation); 3] = [
    (Method::REFRESH, |client, _| assert_eq!(client.refresh(TEN_MINUTES).unwrap(), TEN_MINUTES)),
    (Method::CREATE_PERMISSION, |client, peer| client.create_permission(&[peer]).unwrap()),
    (Method::CHANNEL_BIND, |client, peer| client.bind_channel(channel(1), peer).unwrap()),
];

#[test]
fn allocation_outlives_its_expired_credential() {
    let server = Scripted::start(&config());
    let credentials = dead_in_two_seconds();
    let mut clients = clients(&server, &credentials);
    let refused = wait_until_refused(&server, &credentials);
    eprintln!("a new Allocate was refused after {refused:?}");
    each_operation_succeeds_after_438(&server, &mut clients, &peer());
    is_refused(&server, &credentials);
}

#[test]
fn allocation_outlives_its_rotated_secret() {
    let mut config = config();
    let server = Scripted::start(&config);
    let credentials = live_for_an_hour(SECRET);
    let mut clients = clients(&server, &credentials);
    config.auth.secrets = vec![SharedSecret::new(NEXT_SECRET)];
    server.apply(&config);
    is_refused(&server, &credentials);
    wait_for_the_nonce();
    each_operation_succeeds_after_438(&server, &mut clients, &peer());
    is_refused(&server, &credentials);
    allocate(&server, &live_for_an_hour(NEXT_SECRET));
}

#[test]
fn both_secrets_serve_while_they_rotate() {
    let mut config = config();
    let server = Scripted::start(&config);
    config.auth.secrets = vec![SharedSecret::new(NEXT_SECRET), SharedSecret::new(SECRET)];
    server.apply(&config);
    allocate(&server, &live_for_an_hour(SECRET));
    allocate(&server, &live_for_an_hour(NEXT_SECRET));
}

#[test]
fn allocation_outlives_its_nonce() {
    let server = Scripted::start(&config());
    let credentials = live_for_an_hour(SECRET);
    let mut clients = clients(&server, &credentials);
    let peer = peer();
    wait_for_the_nonce();
    each_operation_succeeds_after_438(&server, &mut clients, &peer);
    // A second time: the nonce of the 438 ages as the first one did.
    wait_for_the_nonce();
    each_operation_succeeds_after_438(&server, &mut clients, &peer);
    allocate(&server, &credentials);
}

#[test]
fn strict_expiry_ends_an_allocation_with_its_credential() {
    let mut config = config();
    config.auth.strict_expiry = true;
    let server = Scripted::start(&config);
    let credentials = dead_in_two_seconds();
    let peer = peer();
    let mut client = connect(server.address(), credentials.clone());
    let allocation = client.allocate(&AllocateOptions::default()).unwrap();
    assert!(allocation.lifetime <= SOON, "it lives no longer than its credential");
    client.bind_channel(channel(0), peer.address()).unwrap();
    client.send_channel(channel(0), b"still here").unwrap();
    peer.echo();
    assert_eq!(client.receive(SOON).unwrap().data, b"still here");

    wait_until_refused(&server, &credentials);
    let error = client.refresh(TEN_MINUTES).unwrap_err();
    assert_eq!(error.code().unwrap().get(), 401, "{error}");
    let deadline = Instant::now() + SOON;
    while server.journal().ended().is_empty() && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(20));
    }
    let reasons: Vec<_> = server.journal().ended().into_iter().map(|(_, reason)| reason).collect();
    assert_eq!(reasons, [EndReason::Expired]);
    client.send_channel(channel(0), b"gone").unwrap();
    let error = client.receive(Duration::from_millis(200)).unwrap_err();
    assert!(error.code().is_none());
    assert_eq!(server.counter("relayed_up"), 1, "{:?}", server.counters());
}

/// Each performs its operation: the server must have answered 438 and then success, and data must
/// flow on as before.
fn each_operation_succeeds_after_438(
    server: &Scripted,
    clients: &mut [(Client, SocketAddr)],
    peer: &Echo,
) {
    for ((method, operation), (client, relayed)) in OPERATIONS.into_iter().zip(clients) {
        let before = [438, 200].map(|code| server.responses(method, code));
        let stale = client.stale_nonces();
        operation(client, peer.address());
        assert_eq!(client.stale_nonces(), stale + 1, "{method:?}");
        let after = [438, 200].map(|code| server.responses(method, code));
        assert_eq!(after, before.map(|count| count + 1), "{method:?}: 438, then success");

        client.create_permission(&[peer.address()]).unwrap();
        client.send_to(peer.address(), b"up").unwrap();
        assert_eq!(peer.receive().unwrap(), (b"up".to_vec(), *relayed));
        peer.send(*relayed, b"down");
        assert_eq!(client.receive(SOON).unwrap().data, b"down");
    }
}

/// One client with an allocation for each operation.
fn clients(server: &Scripted, credentials: &Credentials) -> Vec<(Client, SocketAddr)> {
    OPERATIONS.map(|_| allocate(server, credentials)).into()
}

fn allocate(server: &Scripted, credentials: &Credentials) -> (Client, SocketAddr) {
    let mut client = connect(server.address(), credentials.clone());
    let allocation = client.allocate(&AllocateOptions::default()).unwrap();
    (client, allocation.relayed)
}

fn is_refused(server: &Scripted, credentials: &Credentials) {
    let allocated = try_to_allocate(server, credentials);
    assert_eq!(allocated.map_err(|error| error.code().unwrap().get()), Err(401));
}

/// Tries until a new Allocate is refused; says how long that took.
fn wait_until_refused(server: &Scripted, credentials: &Credentials) -> Duration {
    let start = Instant::now();
    // The last second of grace begins anew with every second of the wall clock.
    thread::sleep(Duration::from_secs(2));
    while try_to_allocate(server, credentials).is_ok() {
        assert!(start.elapsed() < SOON, "the credential never expires");
        thread::sleep(Duration::from_millis(100));
    }
    is_refused(server, credentials);
    start.elapsed()
}

fn try_to_allocate(server: &Scripted, credentials: &Credentials) -> Result<(), turn_client::Error> {
    let mut client = connect(server.address(), credentials.clone());
    client.allocate(&AllocateOptions::default())?;
    client.refresh(Duration::ZERO)?;
    Ok(())
}

fn peer() -> Echo {
    Echo::on(SocketAddr::new(IPV4, 0))
}

fn wait_for_the_nonce() {
    thread::sleep(config().auth.nonce_lifetime + Duration::from_millis(1_100));
}

fn dead_in_two_seconds() -> Credentials {
    minted(SECRET, now() - CLOCK_SKEW_GRACE + 1)
}

fn live_for_an_hour(secret: &str) -> Credentials {
    minted(secret, now() + 3_600)
}

fn minted(secret: &str, expiry: u64) -> Credentials {
    Credentials::time_limited(secret.as_bytes(), Some("ann"), UnixSeconds(expiry))
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn config() -> Config {
    let mut config = lab::config_with_secret(SECRET);
    config.auth.nonce_lifetime = Duration::from_secs(1);
    config
}
