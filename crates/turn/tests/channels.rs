//! Channels at the engine (RFC 8656 section 12), and what of an IP header is carried over
//! (sections 14 and 15).

use std::net::SocketAddr;

use turn_codec::attribute::{
    AdditionalAddressFamily, ChannelNumberAttribute, Data, DontFragment, XorPeerAddress,
};
use turn_codec::{AddressFamily, AttributeType, Method};
use turn_engine::{DropReason, Transport};
use turn_testkit::{CHANNEL, Client, OTHER_PEER, PEER, PEER6, World, secs};

fn world() -> World {
    World::new().user("ann", "secret")
}

fn dual(client: &Client) {
    let ask = client.allocate_request().with(AdditionalAddressFamily(AddressFamily::Ipv6));
    assert_eq!(ask.code(), 200);
}

#[test]
fn c1_numbers_outside_4000_to_4fff_are_a_400() {
    let world = world().realm(|realm| {
        realm.limits.channels_per_allocation = None;
        realm.limits.new_peers = None;
    });
    let ann = world.client("ann").allocate();
    for number in [0, 1, 0x3fff, 0x5000, 0x7ffe, 0x7fff, 0x8000, 0xffff] {
        assert_eq!(ann.bind_request(number, PEER).code(), 400, "{number:#x}");
    }
    ann.bind(0x4000, PEER).bind(0x4fff, OTHER_PEER);
    ann.channel_data(0x4fff, b"x").expect_at_peer(OTHER_PEER, b"x");
}

#[test]
fn c2_number_and_peer_are_required_and_the_port_is_not_zero() {
    let world = world();
    let ann = world.client("ann").allocate();
    let bind = || ann.ask(Method::CHANNEL_BIND);
    assert_eq!(bind().code(), 400);
    assert_eq!(bind().with(ChannelNumberAttribute(CHANNEL)).code(), 400);
    assert_eq!(bind().with(XorPeerAddress(PEER)).code(), 400);
    let odd = bind().raw(AttributeType::CHANNEL_NUMBER, &[0x40, 0]).with(XorPeerAddress(PEER));
    assert_eq!(odd.code(), 400);
    let odd = bind().with(ChannelNumberAttribute(CHANNEL));
    assert_eq!(odd.raw(AttributeType::XOR_PEER_ADDRESS, &[0, 1, 0, 0]).code(), 400);
    assert_eq!(ann.bind_request(CHANNEL, SocketAddr::new(PEER.ip(), 0)).code(), 400);
    assert_eq!(ann.bind_request(CHANNEL, PEER6).code(), 443);
    // None of these has bound or permitted anything.
    ann.channel_data(CHANNEL, b"x").expect_dropped(DropReason::NoChannel);
    ann.send(PEER, b"x").expect_dropped(DropReason::NoPermission);
}

#[test]
fn c3_a_channel_has_one_peer_and_a_peer_one_channel() {
    let world = world();
    let ann = world.client("ann").allocate().bind(CHANNEL, PEER);
    assert_eq!(ann.bind_request(CHANNEL, OTHER_PEER).code(), 400);
    assert_eq!(ann.bind_request(CHANNEL + 1, PEER).code(), 400);
    // A conflict installs no permission either.
    ann.send(OTHER_PEER, b"x").expect_dropped(DropReason::NoPermission);
    // Another port is another peer.
    ann.bind(CHANNEL + 1, SocketAddr::new(PEER.ip(), 1));
    // The same pair refreshes channel and permission.
    ann.refresh(3_600);
    world.advance(secs(599));
    ann.bind(CHANNEL, PEER);
    world.advance(secs(299));
    ann.channel_data(CHANNEL, b"x").expect_at_peer(PEER, b"x");
    world.peer(PEER).sends(ann.relayed(), b"y").expect_channel_data(&ann, CHANNEL, b"y");
    ann.channel_data(CHANNEL + 1, b"x").expect_dropped(DropReason::NoChannel);
}

#[test]
fn c4_binding_lives_600_seconds_whatever_passes_through_it() {
    let world = world();
    let ann = world.client("ann").allocate().bind(CHANNEL, PEER);
    ann.refresh(3_600);
    for _ in 0..599 {
        world.advance(secs(1));
        ann.channel_data(CHANNEL, b"x").expect_at_peer(PEER, b"x");
    }
    // CreatePermission keeps the permission, not the channel.
    ann.permit(PEER);
    world.peer(PEER).sends(ann.relayed(), b"y").expect_channel_data(&ann, CHANNEL, b"y");
    world.advance(secs(1));
    ann.channel_data(CHANNEL, b"x").expect_dropped(DropReason::NoChannel);
    world.peer(PEER).sends(ann.relayed(), b"y").expect_indication(&ann, PEER, b"y");
    // Both halves are free for others.
    ann.bind(CHANNEL, OTHER_PEER).bind(CHANNEL + 1, PEER);
    ann.channel_data(CHANNEL, b"x").expect_at_peer(OTHER_PEER, b"x");
}

#[test]
fn c5_channels_that_are_not_bound_are_silence() {
    let world = world();
    let ann = world.client("ann").allocate().bind(CHANNEL, PEER);
    ann.channel_data(CHANNEL + 1, b"x").expect_dropped(DropReason::NoChannel);
    // The channel belongs to the 5-tuple.
    let other = world.client("ann").allocate();
    other.channel_data(CHANNEL, b"x").expect_dropped(DropReason::NoChannel);
    for first in 0..=u8::MAX {
        if first != 0x40 {
            ann.sends(&[first, 0, 0, 1, b'x', 0, 0, 0]).expect_silence();
        }
    }
    ann.channel_data(CHANNEL, b"x").expect_at_peer(PEER, b"x");
}

#[test]
fn c6_exactly_the_claimed_length_is_relayed() {
    let world = world();
    let ann = world.client("ann").allocate().bind(CHANNEL, PEER);
    for claimed in [4_u8, 5, 200] {
        ann.sends(&[0x40, 0, 0, claimed, 1, 2, 3]).expect_dropped(DropReason::Malformed);
    }
    ann.sends(&[0x40, 0, 0xff, 0xff, 1, 2, 3]).expect_dropped(DropReason::Malformed);
    ann.sends(&[0x40, 0, 0]).expect_dropped(DropReason::Malformed);
    ann.sends(&[0x40, 0, 0, 2, b'a', b'b', b'c', b'd']).expect_at_peer(PEER, b"ab");
    ann.sends(&[0x40, 0, 0, 0]).expect_at_peer(PEER, b"");
    ann.sends(&[0x40, 0, 0, 0, 1, 2, 3, 4]).expect_at_peer(PEER, b"");
    let largest = vec![0xab; 65_507];
    ann.channel_data(CHANNEL, &largest).expect_at_peer(PEER, &largest);
    let back = world.peer(PEER).sends(ann.relayed(), b"");
    back.expect_channel_data(&ann, CHANNEL, b"");
}

#[test]
fn c7_channel_data_is_padded_with_zeroes_on_streams_and_not_at_all_on_datagrams() {
    let world = world();
    for (transport, is_padded) in [
        (Transport::Udp, false),
        (Transport::Dtls, false),
        (Transport::Tcp, true),
        (Transport::Tls, true),
    ] {
        let ann = world.client("ann").over(transport).allocate().bind(CHANNEL, PEER);
        for len in 0..9_usize {
            let data = vec![0xff; len];
            let back = world.peer(PEER).sends(ann.relayed(), &data);
            back.expect_channel_data(&ann, CHANNEL, &data);
            let expected = if is_padded { 4 + len.next_multiple_of(4) } else { 4 + len };
            assert_eq!(back.frame().len(), expected, "{transport:?}, {len} bytes");
            // The pad of what comes from the client is not relayed.
            ann.channel_data(CHANNEL, &data).expect_at_peer(PEER, &data);
        }
    }
}

#[test]
fn c8_data_of_a_bound_peer_goes_by_its_channel_and_all_else_by_indication() {
    let world = world();
    let ann = world.client("ann").allocate().bind(CHANNEL, PEER).permit(OTHER_PEER);
    let from = |peer: SocketAddr| world.peer(peer).sends(ann.relayed(), b"x");
    from(PEER).expect_channel_data(&ann, CHANNEL, b"x");
    let other_port = SocketAddr::new(PEER.ip(), PEER.port() + 1);
    from(other_port).expect_indication(&ann, other_port, b"x");
    from(OTHER_PEER).expect_indication(&ann, OTHER_PEER, b"x");
    // The client may use either for a bound peer.
    ann.send(PEER, b"y").expect_at_peer(PEER, b"y");
    ann.channel_data(CHANNEL, b"y").expect_at_peer(PEER, b"y");
}

#[test]
fn c9_channel_data_needs_no_permission_while_the_channel_is_bound() {
    let world = world();
    let ann = world.client("ann").allocate().bind(CHANNEL, PEER);
    ann.refresh(3_600);
    world.advance(secs(300));
    ann.send(PEER, b"x").expect_dropped(DropReason::NoPermission);
    ann.channel_data(CHANNEL, b"x").expect_at_peer(PEER, b"x");
    world.advance(secs(299));
    ann.channel_data(CHANNEL, b"x").expect_at_peer(PEER, b"x");
    world.advance(secs(1));
    ann.channel_data(CHANNEL, b"x").expect_dropped(DropReason::NoChannel);
}

#[test]
fn i3_dont_fragment_is_honoured_within_one_family_only() {
    let world = world();
    let four = world.client("ann");
    let six = world.client_at("ann", SocketAddr::from(([0x2001, 0xdb8, 9, 0, 0, 0, 0, 9], 4_000)));
    for (client, within, across) in [(&four, PEER, PEER6), (&six, PEER6, PEER)] {
        dual(client);
        let send = |peer| {
            let send = Client::send_indication().with(XorPeerAddress(peer)).with(DontFragment);
            client.permit(peer).indicate(send.with(Data(b"x")))
        };
        assert!(send(within).dont_fragment());
        assert!(!send(across).dont_fragment());
        // ChannelData has no way to ask for it, nor has data toward the client.
        let client = client.bind(CHANNEL, within);
        assert!(!client.channel_data(CHANNEL, b"x").dont_fragment());
    }
}
