//! The harness proves itself: coturn's own client and Chromium pass against coturn's own server.
//! Where these fail, a failure of the same tests against our server says nothing.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use turn_tests::foreign::{Call, EchoPeer, Oracle, Scenario, Uclient, reflexive_addresses};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn harness_uclient_relays_through_coturn() {
    let coturn = Oracle::with_users(HERE, &[("ann", "secret")]);
    let peer = EchoPeer::start(HERE);
    let uclient = Uclient::new(coturn.address()).user("ann", "secret").peer(peer.address());
    uclient.clients(2).messages(10).run(LIMIT).expect_all_back(20);
}

#[test]
fn harness_uclient_relays_from_client_to_client() {
    let coturn = Oracle::with_secret(HERE, "shared");
    let uclient = Uclient::new(coturn.address()).shared_secret("ann", "shared");
    let uclient = uclient.client_to_client(HERE).without_rtcp().interval_ms(5);
    uclient.clients(10).messages(50).length(170).run(LIMIT).expect_all_back(500);
}

#[test]
fn harness_uclient_is_refused_with_a_wrong_password() {
    let coturn = Oracle::with_users(HERE, &[("ann", "secret")]);
    let uclient = Uclient::new(coturn.address()).user("ann", "wrong").client_to_client(HERE);
    let report = uclient.run(LIMIT);
    assert_ne!(report.exit, Some(0), "{report:#?}");
    assert!(report.output.contains("Cannot complete Allocation"), "{report:#?}");
    assert_eq!((report.received, report.lost), (0, None));
}

#[test]
fn harness_stunclient_prints_its_reflexive_address() {
    let coturn = Oracle::with_users(HERE, &[("ann", "secret")]);
    let addresses = reflexive_addresses(coturn.address(), LIMIT);
    assert_eq!(addresses.first().map(|address| address.ip()), Some(HERE));
}

#[test]
fn harness_chromium_call_goes_through_coturn() {
    let coturn = Oracle::with_users(HERE, &[("ann", "secret")]);
    let servers = ice_servers(&coturn, "ann", "secret");
    let report = Call::new(&servers, Scenario::DataChannel { bytes: 1 << 20 }).run();
    report.expect_relayed();
    report.expect_same_hashes();
    assert!(report.sides().all(|side| side.bytes_received > 1 << 20), "{report:#?}");
}

#[test]
fn harness_chromium_media_goes_through_coturn() {
    let coturn = Oracle::with_users(HERE, &[("ann", "secret")]);
    let servers = ice_servers(&coturn, "ann", "secret");
    let duration = Duration::from_secs(3);
    let report = Call::new(&servers, Scenario::Media { duration }).run();
    report.expect_relayed();
    assert!(report.sides().all(|side| side.payload_received > 10_000), "{report:#?}");
}

#[test]
fn harness_chromium_finds_no_relay_with_a_wrong_password() {
    let coturn = Oracle::with_users(HERE, &[("ann", "secret")]);
    let report = Call::new(&ice_servers(&coturn, "ann", "wrong"), Scenario::Gather).run();
    assert!(report.caller.candidates.is_empty(), "{report:#?}");
    let codes: Vec<u16> = report.caller.candidate_errors.iter().map(|error| error.code).collect();
    assert_eq!(codes.first(), Some(&401), "{report:#?}");
}

fn ice_servers(server: &Oracle, user: &str, password: &str) -> String {
    let url = format!("turn:{}?transport=udp", server.address());
    let servers = serde_json::json!([{ "urls": url, "username": user, "credential": password }]);
    serde_json::to_string(&servers).unwrap()
}
