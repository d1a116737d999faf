//! Which realm a client speaks to, before it has said a word.

use std::net::TcpListener;

use turn_codec::Method;
use turn_codec::attribute::{Lifetime, RequestedTransport};
use turn_engine::{RealmId, Transport};

use crate::client::{Client, Datagrams, is_success, realm_of, request};
use crate::dtls::Session;
use crate::server::{Server, Setup, closed_realm, open_realm};

#[test]
fn a20_server_name_chooses_the_realm_of_a_tls_client() {
    let server = tenants(None).start();
    for (name, realm) in [
        ("b.example", "b.example"),
        ("B.Example", "b.example"),
        ("localhost", "localhost"),
        // A name of ours that is nobody's, and an address, which is no name.
        ("c.example", "localhost"),
        ("127.0.0.1", "localhost"),
    ] {
        assert_eq!(challenged(server.tls_for(name)), realm, "{name}");
    }
}

#[test]
fn a20_clients_that_name_nothing_are_in_the_default_realm() {
    let server = tenants(None).start();
    assert_eq!(challenged(server.tcp()), "localhost");
    assert_eq!(challenged(server.udp()), "localhost");
    assert_eq!(challenged_over_dtls(&server), "localhost");
}

#[test]
fn a20_listener_with_a_realm_serves_no_other() {
    let server = tenants(Some(RealmId(1))).start();
    assert_eq!(challenged(server.tcp()), "b.example");
    assert_eq!(challenged(server.udp()), "b.example");
    assert_eq!(challenged(server.tls_for("localhost")), "b.example");
    assert_eq!(challenged_over_dtls(&server), "b.example");
}

#[test]
fn a20_listener_behind_a_proxy_has_its_realm_too() {
    let proxy_upstreams = vec!["127.0.0.1".parse::<std::net::IpAddr>().unwrap().into()];
    let server = Setup { proxy_upstreams, ..tenants(Some(RealmId(1))) }.start();
    let mut client = server.tcp();
    client.send(b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n");
    assert_eq!(challenged(client), "b.example");
    // Version 2, LOCAL: the address of the socket.
    let mut bytes = b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00".to_vec();
    bytes.extend(request(Method::ALLOCATE, 1, &[&RequestedTransport::UDP]));
    let mut client = Client::new(Datagrams::to(server.address));
    client.send(&bytes);
    assert_eq!(realm_of(&client.receive().unwrap()), "b.example");
}

#[test]
fn a20_data_connection_keeps_its_realm_on_another_shard() {
    let realms = vec![closed_realm("localhost"), open_realm("b.example")];
    let server = Setup { shards: 2, realms, ..Setup::default() }.start();
    let mut control = server.tls_for("b.example");
    control.allocate_for(RequestedTransport::TCP);
    let mut kept = Vec::new();
    while server.count("connections_handed_over") < 2 {
        assert!(kept.len() < 24, "none of them moves");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let connection = control.connect(listener.local_addr().unwrap());
        let peer = listener.accept().unwrap();
        let mut data = server.tls_for("b.example");
        // In the default realm it would be challenged.
        data.bind_connection(connection);
        kept.push((data, peer));
    }
}

#[test]
fn realm_that_a_reload_brings_is_found_by_name() {
    let server = tenants(None).start();
    let mut old = server.tls_for("c.example");
    assert!(old.binds());
    let mut settings = server.settings.clone();
    settings.realms.push(closed_realm("c.example"));
    server.apply(settings);
    assert_eq!(challenged(server.tls_for("c.example")), "c.example");
    // Where it has come in, it stays.
    assert_eq!(challenged(old), "localhost");
}

/// Two realms that challenge everybody, by whose name they do it.
fn tenants(realm: Option<RealmId>) -> Setup {
    let transports = vec![Transport::Udp, Transport::Tcp, Transport::Tls, Transport::Dtls];
    let realms = vec![closed_realm("localhost"), closed_realm("b.example")];
    Setup { transports, realms, realm, ..Setup::default() }
}

/// The realm of a client without credentials.
fn challenged<S: std::io::Read + std::io::Write>(mut client: Client<S>) -> String {
    realm_of(&client.ask(Method::ALLOCATE, &[&RequestedTransport::UDP]))
}

fn challenged_over_dtls(server: &Server) -> String {
    let mut session = Session::begin(server.address).connected();
    let allocate = request(Method::ALLOCATE, 1, &[&RequestedTransport::UDP, &Lifetime(600)]);
    let answer = session.ask(&allocate);
    assert!(!is_success(&answer));
    realm_of(&answer)
}
