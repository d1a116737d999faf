//! Client data connections that another shard has accepted than the one that
//! holds their peer.

use std::io::{Read, Write};
use std::net::TcpListener;

use turn_codec::Method;
use turn_codec::attribute::RequestedTransport;

use crate::client::{Client, is_success, request};
use crate::server::{Server, Setup};

/// Connections until surely some have moved and some not.
const ENOUGH: usize = 24;

#[test]
fn data_connections_find_their_peer_on_whichever_shard() {
    let server = Setup { shards: 2, ..Setup::default() }.start();
    relay_each(&server, |server| server.tcp());
}

#[test]
fn data_connections_move_with_their_tls() {
    let server = Setup { shards: 2, ..Setup::default() }.start();
    relay_each(&server, |server| server.tls());
    assert_eq!(server.count("tls_handshakes"), ENOUGH as u64);
}

fn relay_each<S: Read + Write>(server: &Server, dial: impl Fn(&Server) -> Client<S>) {
    let mut control = server.tcp();
    control.allocate_for(RequestedTransport::TCP);
    let mut kept = Vec::new();
    for _ in 0..ENOUGH {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let connection = control.connect(listener.local_addr().unwrap());
        let (mut peer, _) = listener.accept().unwrap();
        let mut data = dial(server);
        // What came before and what comes behind moves along.
        let mut bytes = request(Method::BINDING, 1, &[]);
        bytes.extend(request(Method::CONNECTION_BIND, 2, &[&connection]));
        bytes.extend_from_slice(b"\xFFraw");
        data.send(&bytes);
        assert!(is_success(&data.receive().unwrap()) && is_success(&data.receive().unwrap()));
        let mut raw = [0; 4];
        peer.read_exact(&mut raw).unwrap();
        assert_eq!(&raw, b"\xFFraw");
        peer.write_all(b"\xEEback").unwrap();
        assert_eq!(data.read_exactly(5), b"\xEEback");
        kept.push((peer, data));
    }
    let moved = server.count("connections_handed_over");
    assert!((1..ENOUGH as u64).contains(&moved), "{moved} of {ENOUGH} moved");
    assert_eq!(server.count("splices"), ENOUGH as u64);
}
