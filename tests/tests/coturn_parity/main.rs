//! Configurations of coturn, unchanged: Debian's coturn and ours on the same file, and ours on the TOML
//! that it makes of it.
//!
//! Each runs in a network namespace that owns the addresses which the file names, on a root of its own
//! with the files that it names. Two ordinary addresses and a private one are on this machine too, so
//! that peers can be there.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod fixture;
mod listeners;
mod peers;

use std::net::IpAddr;
use std::time::Duration;

use turn_tests::system::inside_root;

use fixture::Fixture;

const SOON: Duration = Duration::from_secs(5);

/// The host of the fixtures: public and private addresses of both families.
const HOST: [&str; 11] = [
    "ip link add v0 type veth peer name v1",
    "ip address add 203.0.113.7/24 dev v0",
    "ip address add 10.20.0.5/24 dev v0",
    "ip address add 2001:db8::7/64 dev v0 nodad",
    "ip link set v0 up; ip link set v1 up",
    "ip route add default via 203.0.113.1",
    "ip -6 route add default via 2001:db8::1",
    "ip route add local 8.8.8.8 dev lo; ip route add local 10.20.0.9 dev lo",
    "ip -6 route add local 2606:4700::1111 dev lo",
    "echo 1 > /proc/sys/net/ipv4/ip_nonlocal_bind",
    "echo 1 > /proc/sys/net/ipv6/ip_nonlocal_bind",
];

const FILE: &str = "/etc/turnserver.conf";

const AT_PUBLIC: &str = "203.0.113.7:3478";
const AT_PRIVATE: &str = "10.20.0.5:3478";

/// Debian's coturn offers behaviour discovery (RFC 5780) on the port above where it has two addresses
/// and no `external-ip`; we do not, and newer versions of coturn do not unless told.
const DISCOVERY: &str = "RFC 5780";

#[test]
fn synapse() {
    inside_root("synapse", &HOST, || Fixture::new("synapse", AT_PRIVATE).compare());
}

#[test]
fn nextcloud_talk() {
    inside_root("nextcloud_talk", &HOST, || {
        // The guide's remarks behind two words, for old versions, are more than Debian's coturn
        // takes: it ends with "Unknown boolean value".
        let coturn_reads = without_remarks;
        Fixture { coturn_reads, ..Fixture::new("nextcloud-talk", AT_PUBLIC) }.compare();
    });
}

#[test]
fn jitsi() {
    inside_root("jitsi", &HOST, || Fixture::new("jitsi", AT_PUBLIC).compare());
}

#[test]
fn bigbluebutton() {
    inside_root("bigbluebutton", &HOST, || Fixture::new("bigbluebutton", AT_PRIVATE).compare());
}

#[test]
fn matrix_docker_ansible_deploy() {
    inside_root("matrix_docker_ansible_deploy", &HOST, || {
        Fixture::new("matrix-docker-ansible-deploy", AT_PUBLIC).compare();
    });
}

#[test]
fn netbird() {
    inside_root("netbird", &HOST, || Fixture::new("netbird", AT_PUBLIC).compare());
}

#[test]
fn enable_security() {
    inside_root("enable_security", &HOST, || {
        Fixture::new("enable-security", AT_PUBLIC).compare();
    });
}

#[test]
fn official_image() {
    inside_root("official_image", &HOST, || Fixture::new("official-image", AT_PUBLIC).compare());
}

#[test]
fn tutorial_with_a_user() {
    inside_root("tutorial_with_a_user", &HOST, || {
        Fixture::new("tutorial-user", AT_PUBLIC).compare();
    });
}

#[test]
fn tutorial_with_a_secret() {
    inside_root("tutorial_with_a_secret", &HOST, || {
        // To coturn a remark is a part of the value, and a realm of several words is one that it
        // challenges with and then calls wrong: nobody could relay.
        Fixture {
            only_coturn: &DISCOVERY_EVERYWHERE,
            coturn_reads: without_remarks,
            ..Fixture::new("tutorial-secret", AT_PUBLIC)
        }
        .compare();
    });
}

#[test]
fn media_servers_beside_jitsis_relay_are_reached_or_named() {
    inside_root("media_servers_beside_jitsis_relay_are_reached_or_named", &HOST, || {
        Fixture::new("jitsi", AT_PUBLIC).reaches_or_names(&["203.0.113.7", "10.20.0.9"]);
    });
}

#[test]
fn media_servers_beside_bigbluebuttons_relay_are_reached_or_named() {
    inside_root("media_servers_beside_bigbluebuttons_relay_are_reached_or_named", &HOST, || {
        let relay = Fixture::new("bigbluebutton", AT_PRIVATE);
        relay.reaches_or_names(&["10.20.0.5", "203.0.113.7", "10.20.0.9"]);
    });
}

/// What is left of a file without what stands behind a `#`.
fn without_remarks(text: &str) -> String {
    let words = |line: &str| line.split(" #").next().unwrap_or_default().trim_end().to_owned();
    text.lines().map(|line| words(line) + "\n").collect()
}

const DISCOVERY_EVERYWHERE: [(&str, &str); 10] = [
    ("tcp 10.20.0.5:3479", DISCOVERY),
    ("tcp 127.0.0.1:3479", DISCOVERY),
    ("tcp 203.0.113.7:3479", DISCOVERY),
    ("tcp [2001:db8::7]:3479", DISCOVERY),
    ("tcp [::1]:3479", DISCOVERY),
    ("udp 10.20.0.5:3479", DISCOVERY),
    ("udp 127.0.0.1:3479", DISCOVERY),
    ("udp 203.0.113.7:3479", DISCOVERY),
    ("udp [2001:db8::7]:3479", DISCOVERY),
    ("udp [::1]:3479", DISCOVERY),
];

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}
