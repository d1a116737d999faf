//! Every listener of a server, over everything that it speaks.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use turn_client::{AllocateOptions, Client, Credentials, TlsOptions};
use turn_tests::system::{Echo, connect};

use crate::fixture::option;
use crate::peers::OUTSIDE;
use crate::{SOON, ip};

/// Every listener, over everything that it speaks, relays to an ordinary address and back.
pub(crate) fn every_listener_relays(
    listening: &BTreeSet<String>,
    text: &str,
    credentials: &Credentials,
) {
    let has_tls = option(text, "cert").is_some() && !text.contains("\nno-tls\n");
    for socket in listening {
        let (protocol, address) = socket.split_once(' ').unwrap();
        let server: SocketAddr = address.parse().unwrap();
        if server.ip().is_loopback() {
            // Nobody is there but this host.
            continue;
        }
        let local = SocketAddr::new(server.ip(), 0);
        let mut clients = Vec::new();
        if protocol == "udp" {
            clients.push(("udp", connect(server, credentials.clone())));
        } else {
            if !text.contains("\nno-tcp\n") {
                let tcp = Client::connect_tcp(local, server, credentials.clone());
                clients.push(("tcp", tcp.unwrap()));
            }
            if has_tls {
                let options = TlsOptions::trusting_anybody("turn.example.org");
                let tls = Client::connect_tls(local, server, &options, credentials.clone());
                clients.push(("tls", tls.unwrap_or_else(|error| panic!("{socket}: {error}"))));
            }
        }
        for (transport, mut client) in clients {
            relays(&mut client, &format!("{transport} at {socket}"));
        }
    }
}

fn relays(client: &mut Client, told: &str) {
    let allocation = client.allocate(&AllocateOptions::default());
    let relayed = allocation.unwrap_or_else(|error| panic!("{told}: {error}")).relayed;
    let peer = OUTSIDE.map(ip).into_iter().find(|peer| peer.is_ipv4() == relayed.is_ipv4());
    let peer = Echo::on(SocketAddr::new(peer.unwrap(), 0));
    client.create_permission(&[peer.address()]).unwrap();
    client.send_to(peer.address(), told.as_bytes()).unwrap();
    assert_eq!(peer.echo(), told.as_bytes());
    assert_eq!(client.receive(SOON).unwrap().data, told.as_bytes(), "{told}");
    client.refresh(Duration::ZERO).unwrap();
}
