//! The README's first command, followed to the letter on a fresh machine: a network namespace with
//! one address, a default route and an empty home.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use turn_tests::foreign::{Call, Scenario, Uclient, reflexive_addresses};
use turn_tests::lab::IPV4;
use turn_tests::system::{Daemon, inside};

/// The machine's address, as the commands below make it.
const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7));

///
/// Without a link-local address, which would appear a second after the interface is up: browsers
/// give up whatever they are fetching when their machine's addresses change.
const MACHINE: &[&str] = &[
    "ip link add uplink type veth peer name router",
    "ip link set uplink addrgenmode none",
    "ip link set router addrgenmode none",
    "ip address add 203.0.113.7/24 dev uplink",
    "ip link set uplink up",
    "ip link set router up",
    "ip route add default via 203.0.113.1",
];

/// Generous: the longest run takes some 25 s.
const LIMIT: Duration = Duration::from_secs(90);

#[test]
fn readme_command_prints_ice_servers_that_work() {
    inside("readme_command_prints_ice_servers_that_work", MACHINE, || {
        let home = TempDir::new().unwrap();
        let server = start(home.path());
        let (username, credential) = turn_user(&server);
        // The switch is announced, and nothing is said of users that are not missing.
        assert!(server.output().contains("lab switch on"), "{}", server.output());
        assert!(!server.output().contains("STUN only"), "{}", server.output());
        // The line of the README.
        let uclient = Uclient::new(SocketAddr::new(IPV4, 3478)).user(&username, &credential);
        let uclient = uclient.messages(1_000).clients(10).length(170).without_rtcp();
        uclient.client_to_client(IPV4).run(LIMIT).expect_all_back(10_000);
        assert_eq!(server.stop("TERM").exit, Some(0));

        // Credentials are kept: what was pasted goes on working after a restart.
        let server = start(home.path());
        assert_eq!(turn_user(&server), (username, credential));
    });
}

#[test]
fn printed_ice_servers_work_in_a_browser_as_they_are() {
    inside("printed_ice_servers_work_in_a_browser_as_they_are", MACHINE, || {
        let home = TempDir::new().unwrap();
        let server = start(home.path());
        let printed = printed_json(&server);
        let ice_servers = printed.get("iceServers").unwrap().to_string();
        let report = Call::new(&ice_servers, Scenario::DataChannel { bytes: 100_000 }).run();
        // Over UDP and over TCP: two relay candidates each.
        report.expect_relayed_over_any_pair();
        report.expect_same_hashes();
        for side in report.sides() {
            let relay = side.selected.as_ref().and_then(|pair| pair.local.address.clone());
            assert_eq!(relay, Some(ADDRESS.to_string()), "{report:#?}");
        }
    });
}

#[test]
fn printed_sample_of_a_time_limited_credential_works() {
    inside("printed_sample_of_a_time_limited_credential_works", MACHINE, || {
        let home = TempDir::new().unwrap();
        let server = start(home.path());
        let output = server.output();
        let (_, rest) = output.split_once("made from the shared secret").unwrap();
        let (_, rest) = rest.split_once(": username ").unwrap();
        let (username, credential) =
            rest.lines().next().unwrap().split_once(" credential ").unwrap();
        let address = SocketAddr::new(ADDRESS, 3478);
        let uclient = Uclient::new(address).user(username, credential).client_to_client(ADDRESS);
        uclient.clients(4).messages(10).run(LIMIT).expect_all_back(40);
    });
}

#[test]
fn a_machine_without_a_network_relays_on_loopback_and_says_so() {
    inside("a_machine_without_a_network_relays_on_loopback_and_says_so", &[], || {
        let home = TempDir::new().unwrap();
        let server = start(home.path());
        assert!(server.output().contains("WARN"), "{}", server.output());
        let address = SocketAddr::new(IPV4, 3478);
        assert_eq!(turn_url(&server), format!("turn:{address}?transport=udp"));
        let found = reflexive_addresses(address, LIMIT);
        assert_eq!(found.first().map(SocketAddr::ip), Some(IPV4), "{found:?}");
        let (username, credential) = turn_user(&server);
        let uclient = Uclient::new(address).user(&username, &credential).client_to_client(IPV4);
        uclient.clients(4).messages(10).run(LIMIT).expect_all_back(40);
    });
}

/// `cargo run --release -- --allow-loopback-peers`, with this home.
fn start(home: &Path) -> Daemon {
    let mut command = Daemon::command();
    command.arg("--allow-loopback-peers").env("HOME", home);
    Daemon::with(command.env_remove("XDG_STATE_HOME").env_remove("STATE_DIRECTORY"))
}

/// The JSON of the banner, which begins and ends on lines of its own.
fn printed_json(server: &Daemon) -> Value {
    let output = server.output();
    let (_, rest) = output.split_once("\n{\n").unwrap();
    let (json, _) = rest.split_once("\n}\n").unwrap();
    serde_json::from_str(&format!("{{{json}}}")).unwrap()
}

fn turn_url(server: &Daemon) -> String {
    text(&printed_json(server), "/iceServers/1/urls/0")
}

fn turn_user(server: &Daemon) -> (String, String) {
    let printed = printed_json(server);
    (text(&printed, "/iceServers/1/username"), text(&printed, "/iceServers/1/credential"))
}

fn text(json: &Value, pointer: &str) -> String {
    json.pointer(pointer).and_then(Value::as_str).unwrap().to_owned()
}
