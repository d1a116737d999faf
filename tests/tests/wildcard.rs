//! A server on `0.0.0.0` and `[::]` of a machine with several addresses: every reply leaves from the
//! address that was asked.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::{IpAddr, SocketAddr};
use std::process::Command;
use std::time::Duration;

use turn_client::AllocateOptions;
use turn_codec::AddressFamily;
use turn_tests::system::{Echo, Scripted, channel, configured, connect, inside, user};

const SOON: Duration = Duration::from_secs(5);

const MACHINE: [&str; 5] = [
    "ip link add v0 type veth peer name v1; ip link set v0 up; ip link set v1 up",
    "ip address add 192.0.2.1/24 dev v0",
    "ip address add 192.0.2.2/24 dev v0",
    "ip address add 2001:db8::1/64 dev v0 nodad",
    "ip address add 2001:db8::2/64 dev v0 nodad",
];

const CONFIG: &str = r#"
shards = 2
[[listen]]
address = "0.0.0.0:3478"
[[listen]]
address = "[::]:3478"
[relay]
addresses = ["192.0.2.1", "2001:db8::1"]
[auth]
users = { ann = "secret" }
[peers]
allow = ["192.0.2.1:20000", "[2001:db8::1]:20000"]
"#;

#[test]
fn s14_every_reply_leaves_from_the_address_that_was_asked() {
    inside("s14_every_reply_leaves_from_the_address_that_was_asked", &MACHINE, || {
        let server = Scripted::start(&configured(CONFIG));
        // 127.0.0.2 is of this machine and on none of its interfaces.
        let present = ["127.0.0.1", "127.0.0.2", "192.0.2.1", "192.0.2.2"];
        for address in present.into_iter().chain(["::1", "2001:db8::1", "2001:db8::2"]) {
            is_served_on(address);
        }
        // Addresses that come after the start are the wildcard sockets' business.
        run("ip address add 192.0.2.3/24 dev v0");
        run("ip address add 2001:db8::3/64 dev v0 nodad");
        for address in ["192.0.2.3", "2001:db8::3"] {
            is_served_on(address);
        }
        assert_eq!(server.counter("send_dropped"), 0, "{:?}", server.counters());
    });
}

/// Binding, Allocate, ChannelData and Data indications through one address. The client's socket is
/// connected to it: it hears no other.
fn is_served_on(address: &str) {
    let address: IpAddr = address.parse().unwrap();
    let family = AddressFamily::of_ip(&address);
    let peer = SocketAddr::new(
        if address.is_ipv4() { ip("192.0.2.1") } else { ip("2001:db8::1") },
        20_000,
    );
    let peer = Echo::on(peer);
    // Several source ports, so that both shards are asked.
    for _ in 0..8 {
        let mut client = connect(SocketAddr::new(address, 3_478), user());
        assert_eq!(client.binding().unwrap(), client.local_addr().unwrap(), "{address}");
        let options = AllocateOptions { family: Some(family), ..AllocateOptions::default() };
        let relayed = client.allocate(&options).unwrap().relayed;
        client.create_permission(&[peer.address()]).unwrap();
        peer.send(relayed, b"by indication");
        assert_eq!(client.receive(SOON).unwrap().data, b"by indication", "{address}");
        client.bind_channel(channel(0), peer.address()).unwrap();
        client.send_channel(channel(0), b"by channel").unwrap();
        peer.echo();
        assert_eq!(client.receive(SOON).unwrap().data, b"by channel", "{address}");
    }
}

/// Runs a command of the shell.
fn run(command: &str) {
    let status = Command::new("sh").args(["-c", command]).status().unwrap();
    assert!(status.success(), "{command}: {status}");
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}
