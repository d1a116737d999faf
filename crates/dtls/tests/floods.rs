//! What those get who have no business here: rows H13 and H14.

#![expect(
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    reason = "a panic is a failed test"
)]

mod support;

use support::{Client, Server, path};
use turn_dtls::{DropReason, Limits, Received};

/// A hello that differs from `hello` in its random.
fn forged(hello: &[u8], n: u16) -> Vec<u8> {
    let mut hello = hello.to_vec();
    hello[27..29].copy_from_slice(&n.to_be_bytes());
    hello
}

#[test]
fn h13_a_flood_of_forged_hellos_leaves_no_state_and_is_not_amplified() {
    let mut server = Server::new(Limits::default());
    let hello = Client::new(0, server.now).outgoing.remove(0);
    for n in 1..=1000 {
        for (step, datagram) in
            [forged(&hello, n), forged(&with_cookie(&hello), n)].iter().enumerate()
        {
            assert_eq!(server.receive(path(n), datagram), Received::CookieSent);
            let answers = server.drain();
            let answered: usize = answers.iter().map(|(_, bytes)| bytes.len()).sum();
            assert!(answered <= datagram.len(), "step {step}: {answered} for {}", datagram.len());
            assert_eq!(answers[0].0, path(n));
        }
    }
    assert_eq!((server.sessions.len(), server.sessions.half_open()), (0, 0));
    assert_eq!(server.sessions.next_deadline(), None);
    // And one who is in earnest gets in.
    server.connect(2000);
}

/// The hello with 32 bytes that might be a cookie.
fn with_cookie(hello: &[u8]) -> Vec<u8> {
    let at = 13 + 12 + 2 + 32 + 1;
    assert_eq!(hello[at], 0);
    let mut hello = [&hello[..at], &[32], &[0; 32], &hello[at + 1..]].concat();
    // Lengths of record, message and fragment; the messages' number.
    for length in [11, 15, 23] {
        let value = u16::from_be_bytes([hello[length], hello[length + 1]]) + 32;
        hello[length..length + 2].copy_from_slice(&value.to_be_bytes());
    }
    hello[18] = 1;
    hello
}

#[test]
fn h14_a_fragment_that_claims_650_kb_leaves_nothing() {
    let mut server = Server::new(Limits::default());
    let mut fragment = vec![22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 22];
    fragment.extend([1, 0x09, 0xEB, 0x10, 0, 0, 0, 0, 0, 0, 0, 10]);
    fragment.extend([254, 253, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(fragment.len(), 35);
    let dropped = Received::Dropped(DropReason::UnknownClient);
    assert_eq!(server.receive(path(1), &fragment), dropped);
    assert!(server.drain().is_empty());
    // Nor does it harm a session, before or after its handshake.
    let mut client = Client::new(1, server.now);
    let second = server.second_hello(&mut client);
    for message_sequence in 0..64 {
        fragment[18] = message_sequence;
        server.receive(client.path, &fragment);
    }
    server.receive(client.path, &second);
    for message_sequence in 0..64 {
        fragment[18] = message_sequence;
        server.receive(client.path, &fragment);
    }
    for (_, datagram) in server.drain() {
        client.receive(server.now, &datagram);
    }
    server.run(&mut client, 1, |_, _| false);
    assert!(client.is_connected);
    server.receive(client.path, &fragment);
    client.send(b"through");
    server.run(&mut client, 1, |_, _| false);
    assert_eq!(server.messages, [b"through"]);
}

#[test]
fn h14_records_of_unknown_clients_that_are_no_hello_are_dropped() {
    let mut server = Server::new(Limits::default());
    for content_type in 0..=255 {
        for epoch in 0..2 {
            let mut record = vec![content_type, 254, 253, 0, epoch, 0, 0, 0, 0, 0, 1, 0, 40];
            record.extend([2; 40]);
            let dropped = Received::Dropped(DropReason::UnknownClient);
            assert_eq!(server.receive(path(1), &record), dropped);
        }
    }
    assert!(server.drain().is_empty() && server.sessions.is_empty());
}

#[test]
fn h14_half_open_sessions_are_bounded_and_the_oldest_gives_way() {
    let limits = Limits { half_open: 20, half_open_per_prefix: 4, sessions_per_prefix: None };
    let mut server = Server::new(limits);
    let mut first = Client::new(0, server.now);
    let hello = server.second_hello(&mut first);
    server.receive(first.path, &hello);
    let flight = server.drain();
    for n in 1..=30 {
        let mut client = Client::new(n, server.now);
        let hello = server.second_hello(&mut client);
        assert!(matches!(server.receive(client.path, &hello), Received::Session(_)));
        assert_eq!(server.sessions.half_open(), usize::from(n + 1).min(20));
        server.drain();
    }
    assert_eq!(server.sessions.tally().evicted, 11);
    assert_eq!(server.sessions.tally().failed, 11);
    assert_eq!(server.sessions.len(), 20);
    // The first is gone: the rest of its handshake is an unknown client's.
    first.receive(server.now, &flight[0].1);
    let rest = first.outgoing.remove(0);
    let dropped = Received::Dropped(DropReason::UnknownClient);
    assert_eq!(server.receive(first.path, &rest), dropped);
}

#[test]
fn h14_half_open_sessions_never_displace_one_that_is_connected() {
    let limits = Limits { half_open: 2, half_open_per_prefix: 2, ..Limits::default() };
    let mut server = Server::new(limits);
    let (mut client, _) = server.connect(1);
    assert_eq!(server.sessions.half_open(), 0);
    // From the same address and from others.
    for port in 1..=8 {
        let mut other = Client::new(1 + port % 2, server.now);
        other.path.client.set_port(port);
        let hello = server.second_hello(&mut other);
        assert!(matches!(server.receive(other.path, &hello), Received::Session(_)));
        server.drain();
    }
    assert_eq!(server.sessions.half_open(), 2);
    client.send(b"unharmed");
    server.run(&mut client, 0, |_, _| false);
    assert_eq!(server.messages, [b"unharmed"]);
    assert!(server.closed.is_empty());
}

#[test]
fn h14_one_prefix_displaces_its_own_half_open_sessions_only() {
    let limits = Limits { half_open: 20, half_open_per_prefix: 4, sessions_per_prefix: None };
    let mut server = Server::new(limits);
    let mut other = Client::new(9, server.now);
    let hello = server.second_hello(&mut other);
    let flight = server.answers(other.path, &hello);
    for port in 1..=30 {
        let mut client = Client::new(1, server.now);
        client.path.client.set_port(port);
        let hello = server.second_hello(&mut client);
        server.answers(client.path, &hello);
    }
    assert_eq!(server.sessions.half_open(), 5);
    other.receive(server.now, &flight[0]);
    server.run(&mut other, 1, |_, _| false);
    assert!(other.is_connected);
}

#[test]
fn sessions_of_a_prefix_are_bounded() {
    let mut server = Server::new(Limits { sessions_per_prefix: Some(2), ..Limits::default() });
    let mut ports = Vec::new();
    for port in 1..=3 {
        let mut client = Client::new(1, server.now);
        client.path.client.set_port(port);
        let hello = server.second_hello(&mut client);
        ports.push(server.receive(client.path, &hello));
        server.run(&mut client, 1, |_, _| false);
    }
    assert!(matches!(ports[1], Received::Session(_)));
    assert_eq!(ports[2], Received::Dropped(DropReason::Limit));
    server.sessions.close(server.connected[0]);
    server.connect(1);
    // Other limits hold from the next hello on.
    server.sessions.set_limits(Limits { sessions_per_prefix: None, ..Limits::default() });
    let mut client = Client::new(1, server.now);
    client.path.client.set_port(4);
    let hello = server.second_hello(&mut client);
    assert!(matches!(server.receive(client.path, &hello), Received::Session(_)));
}

#[test]
fn a_client_without_a_suite_of_ours_gets_a_small_alert() {
    let mut server = Server::new(Limits::default());
    // TLS_RSA_WITH_AES_128_CBC_SHA alone.
    let mut body = vec![254, 253];
    body.extend([7; 32]);
    let hello = |cookie: &[u8], sequence: u8| {
        let mut body = [body.as_slice(), &[0, cookie.len() as u8], cookie].concat();
        body.extend([0, 2, 0, 0x2F, 1, 0]);
        let len = body.len() as u8;
        let mut datagram = vec![22, 254, 253, 0, 0, 0, 0, 0, 0, 0, sequence, 0, len + 12];
        datagram.extend([1, 0, 0, len, 0, sequence, 0, 0, 0, 0, 0, len]);
        [datagram, body].concat()
    };
    let request = server.answers(path(1), &hello(&[], 0)).remove(0);
    assert_eq!(server.receive(path(1), &hello(&request[28..], 1)), Received::Refused);
    let alert = server.drain().remove(0).1;
    assert_eq!(alert, [21, 254, 253, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2, 2, 40]);
    assert!(server.sessions.is_empty() && server.sessions.half_open() == 0);
}

/// Every datagram of a handshake, bent in every way that one byte can be, and cut short: nothing
/// panics, and nothing but the session that it belongs to is touched.
#[test]
fn bent_datagrams_harm_their_own_session_at_most() {
    let mut server = Server::new(Limits::default());
    let (mut bystander, _) = server.connect(7);
    for at_step in 0..3 {
        for byte in 0..160 {
            for bits in [0x01, 0x80, 0xFF] {
                let mut client = Client::new(1, server.now);
                for step in 0..=at_step {
                    let Some(datagram) = client.outgoing.first().cloned() else { break };
                    if step == at_step {
                        let mut bent = datagram.clone();
                        let at = byte * datagram.len() / 160;
                        bent[at] ^= bits;
                        server.receive(client.path, &bent);
                        server.receive(client.path, &datagram[..at]);
                    }
                    client.outgoing.remove(0);
                    for answer in server.answers(client.path, &datagram) {
                        client.receive(server.now, &answer);
                    }
                }
                if let Some(session) = server.connected.get(1).copied() {
                    server.sessions.close(session);
                    server.connected.truncate(1);
                }
            }
        }
    }
    server.drain();
    bystander.send(b"unharmed");
    server.messages.clear();
    server.run(&mut bystander, 1, |_, _| false);
    assert_eq!(server.messages, [b"unharmed"]);
}

/// A record that nobody has sealed.
fn forged_record(content_type: u8, epoch: u8, sequence: u8, fragment: &[u8]) -> Vec<u8> {
    let len = fragment.len() as u8;
    [&[content_type, 254, 253, 0, epoch, 0, 0, 0, 0, 0, sequence, 0, len], fragment].concat()
}

/// What somebody can send who knows the addresses of a client, but not its keys.
fn forged_records() -> Vec<Vec<u8>> {
    let handshake = |kind: u8, sequence: u8| {
        [&[kind, 0, 0, 32, 0, sequence, 0, 0, 0, 0, 0, 32], [0x55; 32].as_slice()].concat()
    };
    let mut fragments =
        vec![vec![], vec![1], vec![2, 40], vec![1, 0], vec![0x55; 24], vec![0x55; 90]];
    for kind in [0, 1, 11, 15, 16, 20] {
        fragments.extend((0..8).map(|sequence| handshake(kind, sequence)));
    }
    let mut records = Vec::new();
    for content_type in 20..=23 {
        for epoch in 0..=2 {
            for (at, fragment) in fragments.iter().enumerate() {
                records.push(forged_record(content_type, epoch, at as u8 + 2, fragment));
            }
        }
    }
    records
}

#[test]
fn h14_forged_records_do_not_end_a_session_and_nothing_of_them_is_delivered() {
    let mut server = Server::new(Limits::default());
    let (mut client, _) = server.connect(1);
    for record in forged_records() {
        server.receive(client.path, &record);
        assert!(server.closed.is_empty(), "{record:?}");
        client.send(b"genuine");
        server.run(&mut client, 1, |_, _| false);
        assert_eq!(std::mem::take(&mut server.messages), [b"genuine"], "{record:?}");
    }
    assert_eq!(server.sessions.len(), 1);
}

#[test]
fn h14_plain_application_data_does_not_disturb_a_handshake() {
    let mut server = Server::new(Limits::default());
    let mut client = Client::new(1, server.now);
    let hello = server.second_hello(&mut client);
    let flight = server.answers(client.path, &hello);
    for sequence in 0..100 {
        server.receive(client.path, &forged_record(23, 0, sequence, b"forged"));
        server.receive(client.path, &forged_record(23, 1, sequence, b"forged"));
    }
    flight.iter().for_each(|datagram| client.receive(server.now, datagram));
    server.run(&mut client, 1, |_, _| false);
    assert!(client.is_connected && server.messages.is_empty());
}
