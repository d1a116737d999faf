//! Handshakes and messages with a client by the same library, on a virtual clock.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a panic is a failed test")]

mod support;

use std::time::Duration;

use support::{Client, Direction, Server, certificate};
use turn_dtls::{DropReason, DtlsIdentity, Limits, Received, SendError};

#[test]
fn messages_go_both_ways_one_a_datagram() {
    let mut server = Server::new(Limits::default());
    let (mut client, session) = server.connect(1);
    assert_eq!(client.certificate.as_deref(), Some(server.leaf.as_slice()));
    for len in [1, 20, 1200, 16_384] {
        client.send(&vec![5; len]);
        assert_eq!(client.outgoing.len(), 1);
        server.run(&mut client, 0, |_, _| false);
        assert_eq!(server.messages.pop().unwrap(), vec![5; len]);
        server.sessions.send(session, &vec![7; len]).unwrap();
        server.sessions.send(session, b"second").unwrap();
        let datagrams = server.drain();
        assert_eq!(datagrams.len(), 2);
        for (_, datagram) in datagrams {
            client.receive(server.now, &datagram);
        }
        assert_eq!(client.messages, [vec![7; len], b"second".to_vec()]);
        client.messages.clear();
    }
    assert_eq!(server.sessions.send(session, &[0; 16_385]), Err(SendError::TooLong));
}

#[test]
fn a_handshake_survives_the_loss_of_any_datagram() {
    for direction in [Direction::Up, Direction::Down] {
        for nth in 1..=4 {
            let mut server = Server::new(Limits::default());
            let mut client = Client::new(1, server.now);
            server.run(&mut client, 9, |to, count| to == direction && count == nth);
            assert!(client.is_connected, "{direction:?} {nth}");
            assert_eq!(server.connected.len(), 1, "{direction:?} {nth}");
            client.send(b"through");
            server.run(&mut client, 1, |_, _| false);
            assert_eq!(server.messages, [b"through"], "{direction:?} {nth}");
        }
    }
}

#[test]
fn a_handshake_survives_the_loss_of_every_other_datagram() {
    for parity in 0..2 {
        let mut server = Server::new(Limits::default());
        let mut client = Client::new(1, server.now);
        server.run(&mut client, 30, |_, count| count % 2 == parity);
        assert!(client.is_connected && server.connected.len() == 1, "{parity}");
    }
}

#[test]
fn a_hello_that_comes_twice_makes_one_session() {
    let mut server = Server::new(Limits::default());
    let mut client = Client::new(1, server.now);
    let second = server.second_hello(&mut client);
    let Received::Session(session) = server.receive(client.path, &second) else { panic!() };
    let flight = server.drain();
    assert_eq!(server.receive(client.path, &second), Received::Session(session));
    // The flight goes out again, under new numbers, and the client takes either.
    let again = server.drain();
    assert_eq!((flight.len(), again.len()), (1, 1));
    assert_ne!(flight, again);
    assert_eq!(server.sessions.len(), 1);
    client.receive(server.now, &again[0].1);
    server.run(&mut client, 1, |_, _| false);
    assert!(client.is_connected);
}

#[test]
fn a_flight_is_numbered_on_from_the_hello() {
    let mut server = Server::new(Limits::default());
    let mut client = Client::new(1, server.now);
    // Three first hellos, all answered, before the client hears any: as after a pause.
    let mut requests = server.answers(client.path, &client.outgoing.remove(0));
    for _ in 0..2 {
        server.now = client.deadline;
        client.tick(server.now);
        let hello = client.outgoing.remove(0);
        requests.extend(server.answers(client.path, &hello));
    }
    let sequence = |datagram: &[u8]| datagram[10];
    assert_eq!(requests.iter().map(|each| sequence(each)).collect::<Vec<_>>(), [0, 1, 2]);
    client.receive(server.now, &requests[2]);
    let second = client.outgoing.remove(0);
    let flight = server.answers(client.path, &second);
    assert_eq!((sequence(&second), sequence(&flight[0])), (3, 3));
    client.receive(server.now, &flight[0]);
    server.run(&mut client, 1, |_, _| false);
    assert!(client.is_connected);
}

#[test]
fn a_cookie_that_has_aged_costs_a_round_and_no_more() {
    let mut server = Server::new(Limits::default());
    let mut client = Client::new(1, server.now);
    let second = server.second_hello(&mut client);
    server.now += Duration::from_secs(90);
    let request = server.answers(client.path, &second);
    assert_eq!(server.sessions.len(), 0);
    // The library's client takes no second request, others do: its message is numbered on.
    assert_eq!((request[0][13], request[0][18]), (3, 1));
}

#[test]
fn a_hello_in_fragments_is_reassembled_behind_its_cookie() {
    let mut server = Server::new(Limits::default());
    let (mut client, fragments) = fragmented_second_hello(&mut server);
    assert!(server.answers(client.path, &fragments[0]).is_empty());
    assert_eq!((server.sessions.len(), server.sessions.half_open()), (1, 1));
    client.outgoing = fragments[1..].to_vec();
    server.run(&mut client, 1, |_, _| false);
    assert!(client.is_connected);
}

#[test]
fn what_the_library_repeats_while_it_waits_for_fragments_stays_here() {
    let mut server = Server::new(Limits::default());
    let (client, fragments) = fragmented_second_hello(&mut server);
    server.answers(client.path, &fragments[0]);
    for _ in 0..2 {
        server.now = server.sessions.next_deadline().unwrap();
        server.sessions.expire(server.now);
        assert!(server.drain().is_empty());
    }
    let flight = server.answers(client.path, &fragments[1]);
    assert_eq!(flight[0][13], 2, "a ServerHello");
}

/// A client with a hello in two fragments, and those of its second hello.
fn fragmented_second_hello(server: &mut Server) -> (Client, Vec<Vec<u8>>) {
    let mut client = Client::with_mtu(1, server.now, 110);
    let first = std::mem::take(&mut client.outgoing);
    assert_eq!(first.len(), 2);
    let stray = server.receive(client.path, &first[1]);
    assert_eq!(stray, Received::Dropped(DropReason::UnknownClient));
    let request = server.answers(client.path, &first[0]).remove(0);
    client.receive(server.now, &request);
    let second = std::mem::take(&mut client.outgoing);
    assert_eq!(second.len(), 2);
    (client, second)
}

#[test]
fn a_client_that_starts_anew_displaces_its_session() {
    let mut server = Server::new(Limits::default());
    let (mut old, first) = server.connect(1);
    let mut new = Client::new(1, server.now);
    let hello = new.outgoing.remove(0);
    let request = server.answers(new.path, &hello).remove(0);
    // Until the cookie comes back, the old one lives.
    old.send(b"alive");
    server.run(&mut old, 0, |_, _| false);
    assert_eq!(server.messages, [b"alive"]);
    new.receive(server.now, &request);
    server.run(&mut new, 1, |_, _| false);
    assert!(new.is_connected);
    assert_eq!(server.closed, [first]);
    assert_eq!(server.sessions.len(), 1);
    assert_eq!(server.sessions.send(first, b"late"), Err(SendError::Unknown));
}

#[test]
fn either_side_closes() {
    let mut server = Server::new(Limits::default());
    let (mut client, session) = server.connect(1);
    client.close();
    server.run(&mut client, 1, |_, _| false);
    assert_eq!(server.closed, [session]);

    let (mut client, session) = server.connect(2);
    server.sessions.close(session);
    for (_, datagram) in server.drain() {
        client.receive(server.now, &datagram);
    }
    assert!(client.is_closed);
    assert_eq!(server.closed.len(), 1);
    assert!(server.sessions.is_empty());
    assert_eq!(server.sessions.path(session), None);
}

#[test]
fn an_idle_session_is_swept_unless_it_is_kept() {
    let mut server = Server::new(Limits::default());
    let (_idle, idle) = server.connect(1);
    let (_kept, kept) = server.connect(2);
    server.now += Duration::from_secs(9);
    let (_recent, _) = server.connect(3);
    server.now += Duration::from_secs(1);
    server.sessions.sweep(server.now, Duration::from_secs(10), |id, _| id == kept);
    assert_eq!(server.drain().len(), 1);
    assert_eq!(server.closed, [idle]);
    assert_eq!(server.sessions.len(), 2);
}

#[test]
fn a_session_that_is_heard_is_not_idle() {
    let mut server = Server::new(Limits::default());
    let (mut client, _) = server.connect(1);
    server.now += Duration::from_secs(50);
    client.send(b"still here");
    server.run(&mut client, 1, |_, _| false);
    server.now += Duration::from_secs(50);
    server.sessions.sweep(server.now, Duration::from_secs(60), |_, _| false);
    assert_eq!((server.sessions.len(), server.drain().len()), (1, 0));
}

#[test]
fn a_handshake_that_is_under_way_is_not_swept_and_its_end_is_nobodys_news() {
    let mut server = Server::new(Limits::default());
    let mut client = Client::new(1, server.now);
    let hello = server.second_hello(&mut client);
    server.answers(client.path, &hello);
    server.sessions.sweep(server.now, Duration::ZERO, |_, _| false);
    assert_eq!((server.sessions.len(), server.sessions.half_open()), (1, 1));
    // A fatal alert in the clear.
    server.answers(client.path, &[21, 254, 253, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 2, 40]);
    assert_eq!((server.sessions.len(), server.sessions.half_open()), (0, 0));
    assert!(server.connected.is_empty() && server.closed.is_empty());
}

#[test]
fn a_new_identity_serves_new_sessions_and_old_ones_go_on() {
    let mut server = Server::new(Limits::default());
    let (mut old, _) = server.connect(1);
    let (leaf, key) = certificate("new.example");
    server.identity = DtlsIdentity::new(std::slice::from_ref(&leaf), &key).unwrap();
    let (new, _) = server.connect(2);
    assert_eq!(new.certificate.as_deref(), Some(&*leaf));
    old.send(b"alive");
    server.run(&mut old, 0, |_, _| false);
    assert_eq!(server.messages, [b"alive"]);
}

#[test]
fn nothing_is_sent_before_the_handshake_is_done() {
    let mut server = Server::new(Limits::default());
    let mut client = Client::new(1, server.now);
    let second = server.second_hello(&mut client);
    let Received::Session(session) = server.receive(client.path, &second) else { panic!() };
    assert_eq!(server.sessions.send(session, b"early"), Err(SendError::NotConnected));
}

#[test]
fn a_handshake_has_10_seconds() {
    let mut server = Server::new(Limits::default());
    let mut client = Client::new(1, server.now);
    let second = server.second_hello(&mut client);
    server.receive(client.path, &second);
    let start = server.now;
    while let Some(deadline) = server.sessions.next_deadline() {
        server.now = deadline;
        server.sessions.expire(server.now);
    }
    // Four copies of a flight of one datagram: at 0, about 1, 3 and 7 s.
    assert_eq!(server.now - start, Duration::from_secs(10));
    assert_eq!(server.drain().len(), 4);
    assert_eq!((server.sessions.len(), server.sessions.tally().timed_out), (0, 1));
    assert_eq!(server.sessions.tally().failed, 1);
    assert!(server.closed.is_empty());
}
