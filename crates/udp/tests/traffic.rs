//! Real datagrams over loopback: trains, sizes, families, addresses, order.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at its first surprise"
)]

mod common;

use std::{collections::HashMap, net::IpAddr, rc::Rc};

use common::{bound, drain, numbered, payloads, plain, send, with_gro};
use turn_udp::{
    Destination, ListenerOptions, RecvBatch, RelayOptions, SendBatch, UdpSocket, capabilities,
};

#[test]
fn a_train_arrives_datagram_by_datagram_with_and_without_gro() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        for options in [ListenerOptions::default(), with_gro()] {
            let (sender, receiver) = (bound(address, &options), bound(address, &options));
            let to = Destination::to(receiver.local_addr());
            let sent: Vec<_> = (0..64).map(|n| numbered(n, 171)).collect();
            let (flushed, errors) = send(sent.iter().map(|b| (&sender, to, b.clone())));
            assert_eq!((flushed.datagrams, flushed.segmented, flushed.syscalls), (64, 64, 1));
            assert_eq!((flushed.bytes, flushed.dropped, errors.len()), (64 * 171, 0, 0));
            let arrived = drain(&receiver);
            assert!(arrived.iter().all(|(from, _)| *from == sender.local_addr()));
            assert!(arrived.iter().map(|(_, bytes)| bytes).eq(&sent));
        }
    }
}

#[test]
fn a_train_is_one_slot_of_a_socket_with_gro() {
    assert!(capabilities().gro);
    let (sender, receiver) = (plain(), bound("127.0.0.1:0", &with_gro()));
    let to = Destination::to(receiver.local_addr());
    let sizes = [500, 500, 500, 77];
    send(sizes.map(|size| (&sender, to, numbered(1, size))));
    let mut batch = RecvBatch::new(4);
    let fill = batch.fill(&receiver, 4).unwrap();
    assert_eq!(fill.slots, 0..1);
    let arrived: Vec<_> = batch.datagrams(fill.slots).map(|d| d.bytes.len()).collect();
    assert_eq!(arrived, sizes);
}

#[test]
fn forwarded_ranges_of_a_train_carry_prefix_and_padding() {
    let (client, listener, relay, peer) =
        (plain(), bound("127.0.0.1:0", &with_gro()), plain(), plain());
    let sent: Vec<_> = (0..20).map(|n| numbered(n, 101)).collect();
    let to = Destination::to(listener.local_addr());
    send(sent.iter().map(|bytes| (&client, to, bytes.clone())));

    let (mut received, mut batch) = (RecvBatch::new(8), SendBatch::new());
    let fill = received.fill(&listener, 8).unwrap();
    for datagram in received.datagrams(fill.slots) {
        let payload = datagram.at.range(4..datagram.bytes.len()).padded(3);
        batch.push(&relay, Destination::to(peer.local_addr()), b"prefix", payload);
    }
    let flushed = batch.flush(&mut received, |_, _, error| panic!("{error}"));
    assert_eq!((flushed.datagrams, flushed.segmented), (20, 20));

    let expected = sent.iter().map(|bytes| [b"prefix", &bytes[4..], &[0; 3]].concat());
    assert!(payloads(&peer).into_iter().eq(expected));
}

#[test]
fn odd_and_empty_datagrams_keep_their_sizes_and_order() {
    for options in [ListenerOptions::default(), with_gro()] {
        let (sender, receiver) = (plain(), bound("127.0.0.1:0", &options));
        let to = Destination::to(receiver.local_addr());
        let sizes = [1, 1, 0, 1, 2, 0, 0, 9, 9, 9, 8, 9, 1473, 1473, 1, 65_507, 30_000, 30_000];
        let (flushed, errors) = send(sizes.map(|size| (&sender, to, numbered(7, size))));
        assert_eq!((flushed.dropped, errors.len()), (0, 0));
        let arrived: Vec<_> = payloads(&receiver).iter().map(Vec::len).collect();
        assert_eq!(arrived, sizes);
    }
}

#[test]
fn interleaved_destinations_keep_the_order_of_each() {
    let (vias, mut receivers) = ([plain(), plain(), plain()], Vec::new());
    for options in [ListenerOptions::default(), with_gro(), with_gro()] {
        receivers.push(bound("127.0.0.1:0", &options));
    }
    let (mut sent, mut expected) = (Vec::new(), HashMap::<_, Vec<_>>::new());
    let mut random = 1_u32;
    for number in 0..600 {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let pick = |shift: u32, of: usize| (random >> shift) as usize % of;
        let (via, receiver) = (&vias[pick(28, 3)], &receivers[pick(24, 3)]);
        let bytes = numbered(number, [160, 160, 160, 40, 0][pick(18, 5)]);
        let flow = (via.local_addr(), receiver.local_addr());
        expected.entry(flow).or_default().push(bytes.clone());
        sent.push((via, Destination::to(receiver.local_addr()), bytes));
    }
    let (flushed, errors) = send(sent);
    assert_eq!((flushed.datagrams, flushed.dropped, errors.len()), (600, 0, 0));
    let mut arrived = HashMap::<_, Vec<_>>::new();
    for receiver in &receivers {
        for (from, bytes) in drain(receiver) {
            arrived.entry((from, receiver.local_addr())).or_default().push(bytes);
        }
    }
    assert_eq!(arrived, expected);
}

#[test]
fn s14_a_reply_leaves_from_the_address_that_was_asked() {
    for (wildcard, asked) in [("0.0.0.0:0", "127.0.0.9"), ("[::]:0", "::1")] {
        let options = ListenerOptions { packet_info: true, ..with_gro() };
        let listener = bound(wildcard, &options);
        let asked: IpAddr = asked.parse().unwrap();
        let local = if asked.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
        let client = bound(local, &ListenerOptions::default());
        let target = (asked, listener.local_addr().port()).into();
        send([1, 2].map(|number| (&client, Destination::to(target), numbered(number, 50))));

        let (mut received, mut batch) = (RecvBatch::new(8), SendBatch::new());
        let fill = received.fill(&listener, 8).unwrap();
        for datagram in received.datagrams(fill.slots) {
            assert_eq!(datagram.to, Some(asked));
            let reply = Destination { source: datagram.to, ..Destination::to(datagram.from) };
            batch.push(&listener, reply, b"", datagram.at.range(0..50));
        }
        let flushed = batch.flush(&mut received, |_, _, error| panic!("{error}"));
        // Segment size and source address beside one message.
        assert_eq!((flushed.segmented, flushed.syscalls), (2, 1));
        let expected = [1, 2].map(|number| (target, numbered(number, 50)));
        assert_eq!(drain(&client), expected);
    }
}

#[test]
fn without_packet_info_nothing_is_said_of_the_destination() {
    let (sender, receiver) = (plain(), plain());
    send([(&sender, Destination::to(receiver.local_addr()), vec![1])]);
    let mut received = RecvBatch::new(1);
    let fill = received.fill(&receiver, 1).unwrap();
    assert_eq!(received.datagrams(fill.slots).next().unwrap().to, None);
}

#[test]
fn the_code_point_of_a_relay_reaches_the_peer_on_every_datagram_of_a_train() {
    let options = RelayOptions { dscp: 46, ..RelayOptions::default() };
    let relay = Rc::new(UdpSocket::relay("127.0.0.1:0".parse().unwrap(), &options).unwrap());
    let peer = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None).unwrap();
    let any: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
    peer.bind(&any.into()).unwrap();
    peer.set_recv_tos_v4(true).unwrap();
    let to = Destination::to(peer.local_addr().unwrap().as_socket().unwrap());
    let (flushed, _) = send([1, 2, 3].map(|number| (&relay, to, numbered(number, 30))));
    assert_eq!(flushed.segmented, 3);
    for _ in 0..3 {
        let (mut bytes, mut control) =
            ([std::mem::MaybeUninit::uninit(); 64], [std::mem::MaybeUninit::uninit(); 64]);
        let mut buffers = [socket2::MaybeUninitSlice::new(&mut bytes)];
        let mut message =
            socket2::MsgHdrMut::new().with_buffers(&mut buffers).with_control(&mut control);
        assert_eq!(peer.recvmsg(&mut message, 0).unwrap(), 30);
        let length = message.control_len();
        // SAFETY: recvmsg has written so many bytes.
        let control = unsafe { std::slice::from_raw_parts(control.as_ptr().cast::<u8>(), length) };
        // cmsghdr, then the octet: DSCP 46, Not-ECT.
        assert_eq!(control.get(16), Some(&0xb8));
    }
}
