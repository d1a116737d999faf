//! STUN base behaviour at the engine (RFC 8489 sections 5, 6.3 and 14): what is a message,
//! what is answered, which attributes count.

#![expect(clippy::indexing_slicing, reason = "a panic is a failed test")]

use std::net::SocketAddr;

use turn_codec::attribute::{
    AdditionalAddressFamily, ChannelNumberAttribute, Data, EvenPort, Lifetime,
    RequestedAddressFamily, RequestedTransport, UnknownAttributes, XorMappedAddress,
    XorPeerAddress,
};
use turn_codec::{AddressFamily, AttributeType, Class, Method};
use turn_credentials::KeyAlgorithm;
use turn_engine::DropReason;
use turn_testkit::{
    CHANNEL, Client, Draft, OTHER_PEER, PEER, PEER6, RELAY4, SERVER4, Scheme, World, secs,
};

const ID: [u8; 12] = *b"a request id";
/// Comprehension-required, and of nobody.
const UNKNOWN: AttributeType = AttributeType::new(0x7ffe);
const UNKNOWN_OPTIONAL: AttributeType = AttributeType::new(0xfffe);

fn world() -> World {
    World::new().user("ann", "secret")
}

fn stranger() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 99], 1_234))
}

#[test]
fn s1_anything_but_a_whole_message_is_silence() {
    let world = world();
    let ann = world.client("ann").allocate();
    let good = ann.ask(Method::REFRESH).signed();

    for end in 0..good.len() {
        assert!(ann.sends(&good[..end]).is_silent(), "cut to {end} bytes");
    }
    for extra in 1..=8 {
        let longer = [&good[..], &vec![0; extra]].concat();
        ann.sends(&longer).expect_dropped(DropReason::Malformed);
    }
    for top in [0x40, 0x80, 0xc0] {
        let mut bytes = good.clone();
        bytes[0] |= top;
        ann.sends(&bytes).expect_silence();
    }
    for length in [good.len() - 21, good.len() - 19, 0, 0xffff] {
        let mut bytes = good.clone();
        bytes[2..4].copy_from_slice(&u16::try_from(length).unwrap_or(0).to_be_bytes());
        ann.sends(&bytes).expect_silence();
    }
    assert_eq!(ann.sends(&good).code(), 200);
}

#[test]
fn s2_only_requests_of_known_methods_are_answered() {
    let world = world();
    let ann = world.client("ann").allocate();
    let known = [
        Method::ALLOCATE,
        Method::REFRESH,
        Method::CREATE_PERMISSION,
        Method::CHANNEL_BIND,
        Method::CONNECT,
        Method::CONNECTION_BIND,
    ];
    for bits in 0..=0xfff {
        let Some(method) = Method::from_bits(bits) else { continue };
        for class in [Class::Request, Class::Indication, Class::Success, Class::Error] {
            // An address of its own for each, so that no bucket hides an answer.
            let from = SocketAddr::from(([192, 0, 2, 50], 1_024 + bits));
            let emitted = world.from_client(from, &Draft::new(class, method).bytes(ID));
            let is_answered = !emitted.is_silent();
            let is_known = class == Class::Request && known.contains(&method);
            assert_eq!(is_answered, is_known, "{class:?} {method:?}");
        }
    }
    // Signed and on a live allocation it is no different.
    for class in [Class::Indication, Class::Success, Class::Error] {
        for method in known {
            ann.indicate(Draft::new(class, method)).expect_dropped(DropReason::Unexpected);
        }
    }
}

#[test]
fn s2_own_replies_are_never_answered() {
    let world = world();
    let ann = world.client("ann").allocate();
    let challenge = world.client("ann").allocate_request().once_unsigned().answer();
    let success = ann.ask(Method::REFRESH).exchange();
    let error = ann.bind_request(1, PEER).exchange();
    for answer in [challenge, success, error] {
        ann.sends(answer.as_bytes()).expect_silence();
        world.from_client(stranger(), answer.as_bytes()).expect_silence();
    }
}

#[test]
fn s3_authentication_is_judged_before_unknown_attributes() {
    let world = world();
    let unknown = || world.client("ann").allocate_request().raw(UNKNOWN, b"1234");
    assert_eq!(unknown().once_unsigned().code(), 401);
    let eve = world.client("ann").with_password("wrong");
    assert_eq!(eve.allocate_request().raw(UNKNOWN, b"1234").code(), 401);
    assert_eq!(unknown().code(), 420);
}

#[test]
fn s4_unknown_required_attributes_are_listed_in_a_signed_420() {
    let world = world();
    let ann = world.client("ann");
    let others = [0x7000_u16, 0x7001, 0x7fff].map(AttributeType::new);
    let ask = ann
        .allocate_request()
        .raw(UNKNOWN, b"")
        .raw(UNKNOWN_OPTIONAL, b"")
        .raw(others[0], b"x")
        .raw(UNKNOWN, b"again")
        .raw(others[1], b"")
        .raw(others[2], b"");
    let answer = ask.exchange();
    assert_eq!(answer.code(), 420);
    assert!(answer.is_signed_with_sha1(&ann.key()));
    let listed = answer.get::<UnknownAttributes<'_>>().into_iter().flat_map(|list| list.iter());
    assert_eq!(listed.collect::<Vec<_>>(), [UNKNOWN, others[0], others[1], others[2]]);
    assert_eq!(world.allocations(), 0);
}

#[test]
fn s4_list_of_unknown_attributes_is_bounded() {
    let world = world();
    let ann = world.client("ann");
    // With the credentials 32 attributes, which is all that a message may have.
    let mut ask = ann.allocate_request();
    for code in 0x7000..0x7000 + 27 {
        ask = ask.raw(AttributeType::new(code), b"");
    }
    let answer = ask.exchange();
    assert_eq!(answer.code(), 420);
    let listed = answer.get::<UnknownAttributes<'_>>().map_or(0, |list| list.iter().count());
    assert_eq!(listed, 27);
}

#[test]
fn s5_indication_with_unknown_required_attribute_is_silence() {
    let world = world();
    let ann = world.client("ann").allocate().permit(PEER);
    let send = || Client::send_indication().with(XorPeerAddress(PEER)).with(Data(b"hello"));
    ann.indicate(send().raw(UNKNOWN, b"")).expect_dropped(DropReason::Unexpected);
    ann.indicate(send().raw(UNKNOWN_OPTIONAL, b"")).expect_at_peer(PEER, b"hello");
}

#[test]
fn s6_unknown_optional_and_unexpected_attributes_are_ignored() {
    let world = world();
    let ann = world.client("ann");
    let answer = ann
        .allocate_request()
        .raw(UNKNOWN_OPTIONAL, b"whatever")
        .raw(AttributeType::SOFTWARE, b"a browser")
        .with(XorMappedAddress(PEER))
        .with(ChannelNumberAttribute(0))
        .raw(AttributeType::ERROR_CODE, b"not even well-formed")
        .raw(AttributeType::ICMP, b"")
        .raw(AttributeType::CONNECTION_ID, b"")
        .exchange();
    assert_eq!(answer.code(), 200);
}

#[test]
fn s7_attributes_after_integrity_have_no_effect() {
    let world = world();
    for scheme in [Scheme::BROWSER, Scheme::rfc8489(KeyAlgorithm::Sha256)] {
        let ann = world.client("ann").with_scheme(scheme).allocate().permit(PEER);

        // A Refresh that somebody on the way would turn into a deletion.
        let refresh = ann.proof(Method::REFRESH).with(Lifetime(0)).fingerprint();
        let answer = ann.sends(&refresh.bytes(ID)).answer();
        assert_eq!((answer.code(), answer.lifetime()), (200, Some(600)));
        ann.send(PEER, b"still here").expect_at_peer(PEER, b"still here");

        // A permission that somebody on the way would add.
        let permit =
            ann.proof(Method::CREATE_PERMISSION).with(XorPeerAddress(OTHER_PEER)).fingerprint();
        assert_eq!(ann.sends(&permit.bytes(ID)).code(), 400, "it names no peer in front");
        ann.send(OTHER_PEER, b"hello").expect_dropped(DropReason::NoPermission);
    }
}

#[test]
fn s7_unknown_attributes_after_integrity_are_not_complained_of() {
    let world = world();
    let ann = world.client("ann").allocate();
    let refresh = ann.proof(Method::REFRESH).raw(UNKNOWN, b"").fingerprint();
    assert_eq!(ann.sends(&refresh.bytes(ID)).code(), 200);
}

#[test]
fn s8_integrity_verifies_in_every_order() {
    let world = world();
    for (sha1, sha256) in [(true, false), (false, true), (true, true)] {
        for fingerprint in [false, true] {
            let scheme = Scheme { sha1, sha256, fingerprint, ..Scheme::BROWSER };
            let ann = world.client("ann").with_scheme(scheme).allocate();
            assert_eq!(ann.refresh(600).code(), 200, "{scheme:?}");
        }
    }
}

#[test]
fn s9_fingerprint_is_mirrored_and_a_wrong_one_is_silence() {
    let world = world();
    let marked = Scheme { fingerprint: true, ..Scheme::BROWSER };
    let ann = world.client("ann").with_scheme(marked);
    let challenge = ann.allocate_request().once_unsigned().answer();
    assert!(challenge.message().has_fingerprint());
    let ann = ann.allocate();
    assert!(ann.bind_request(1, PEER).exchange().message().has_fingerprint());

    let good = ann.ask(Method::REFRESH).signed();
    for at in good.len() - 4..good.len() {
        let mut bytes = good.clone();
        bytes[at] ^= 0x10;
        ann.sends(&bytes).expect_dropped(DropReason::Malformed);
    }
    assert!(ann.sends(&good).answer().message().has_fingerprint());

    let bare = world.client("ann").allocate();
    assert!(!bare.refresh(600).message().has_fingerprint());
}

#[test]
fn s9_fingerprint_that_is_not_last_is_silence() {
    let world = world();
    let ann = world.client("ann").allocate();
    let early = Draft::request(Method::REFRESH).fingerprint().with(Lifetime(0));
    ann.sends(&early.bytes(ID)).expect_dropped(DropReason::Malformed);
}

#[test]
fn s10_first_of_a_duplicate_wins() {
    let world = world();
    let ann = world.client("ann").allocate().permit(PEER).permit(OTHER_PEER);
    let answer = ann.ask(Method::REFRESH).with(Lifetime(1_000)).with(Lifetime(0)).exchange();
    assert_eq!(answer.lifetime(), Some(1_000));

    let send = Client::send_indication()
        .with(XorPeerAddress(PEER))
        .with(XorPeerAddress(OTHER_PEER))
        .with(Data(b"first"))
        .with(Data(b"last"));
    ann.indicate(send).expect_at_peer(PEER, b"first");

    let bind = ann.bind_request(CHANNEL, PEER).with(ChannelNumberAttribute(CHANNEL + 1));
    assert_eq!(bind.code(), 200);
    ann.channel_data(CHANNEL, b"x").expect_at_peer(PEER, b"x");
    ann.channel_data(CHANNEL + 1, b"x").expect_dropped(DropReason::NoChannel);
}

#[test]
fn s10_create_permission_takes_every_peer() {
    let world = world();
    let ann = world.client("ann").allocate();
    assert_eq!(ann.permit_request(&[PEER, OTHER_PEER]).code(), 200);
    ann.send(PEER, b"a").expect_at_peer(PEER, b"a");
    ann.send(OTHER_PEER, b"b").expect_at_peer(OTHER_PEER, b"b");
}

#[test]
fn s11_attribute_past_the_end_is_silence() {
    let world = world();
    let ann = world.client("ann").allocate().permit(PEER);
    let send = Client::send_indication().with(XorPeerAddress(PEER)).with(Data(b"abcd"));
    let good = send.bytes(ID);
    let length_at = good.len() - 5;
    for length in [5_u8, 6, 7, 8, 200, 255] {
        let mut bytes = good.clone();
        bytes[length_at] = length;
        ann.sends(&bytes).expect_dropped(DropReason::Malformed);
    }
    ann.sends(&good).expect_at_peer(PEER, b"abcd");
}

#[test]
fn s11_padding_may_hold_anything_and_is_not_relayed() {
    let world = world();
    let ann = world.client("ann").allocate().permit(PEER);
    let send = Client::send_indication().with(XorPeerAddress(PEER)).with(Data(b"a"));
    let mut bytes = send.bytes(ID);
    let end = bytes.len();
    bytes[end - 3..].copy_from_slice(b"xyz");
    ann.sends(&bytes).expect_at_peer(PEER, b"a");
}

#[test]
fn s12_reserved_bits_are_ignored() {
    let world = world();
    let ann = world.client("ann");
    let answer = ann
        .ask(Method::ALLOCATE)
        .raw(AttributeType::REQUESTED_TRANSPORT, &[17, 0xff, 0xff, 0xff])
        .raw(AttributeType::EVEN_PORT, &[0x7f])
        .raw(AttributeType::REQUESTED_ADDRESS_FAMILY, &[1, 0xff, 0xff, 0xff])
        .exchange();
    assert_eq!((answer.code(), answer.token()), (200, None));
    let bind = ann
        .ask(Method::CHANNEL_BIND)
        .raw(AttributeType::CHANNEL_NUMBER, &[0x40, 0x00, 0xff, 0xff])
        .with(XorPeerAddress(PEER));
    assert_eq!(bind.code(), 200);
    ann.channel_data(CHANNEL, b"x").expect_at_peer(PEER, b"x");
}

#[test]
fn s12_reserved_bits_are_zero_in_responses() {
    let world = world().relays(&[RELAY4]);
    let ann = world.client("ann");
    let answer =
        ann.allocate_request().with(AdditionalAddressFamily(AddressFamily::Ipv6)).exchange();
    for attribute in answer.message().attributes() {
        match attribute.kind {
            AttributeType::ADDRESS_ERROR_CODE => {
                assert_eq!(attribute.value[..4], [2, 0, 4, 40]);
            }
            AttributeType::XOR_RELAYED_ADDRESS | AttributeType::XOR_MAPPED_ADDRESS => {
                assert_eq!(attribute.value[0], 0);
            }
            AttributeType::LIFETIME => assert_eq!(attribute.value, 600_u32.to_be_bytes()),
            other => panic!("unexpected {other:?}"),
        }
    }
    let refused = ann.bind_request(1, PEER).exchange();
    let error = refused.message().attributes().next().map(|attribute| attribute.value.to_vec());
    assert_eq!(error.as_deref(), Some(&[0, 0, 4, 0][..]));
}

#[test]
fn s13_texts_that_are_too_long_are_a_400_and_never_cut() {
    let world = world();
    let ann = world.client("ann").challenged();
    let (key, nonce) = (ann.key(), ann.nonce());
    let allocate = |name: &str, realm: &str, nonce: &str| {
        let bytes = Draft::request(Method::ALLOCATE)
            .with(RequestedTransport::UDP)
            .raw(AttributeType::USERNAME, name.as_bytes())
            .raw(AttributeType::REALM, realm.as_bytes())
            .raw(AttributeType::NONCE, nonce.as_bytes())
            .integrity(&key)
            .bytes(ID);
        ann.sends(&bytes).code()
    };
    // What a server that cuts would take for "ann", "example.org" and the nonce.
    let padded = |text: &str, len: usize| format!("{text}{}", "\0".repeat(len - text.len()));
    assert_eq!(allocate(&"a".repeat(508), "example.org", &nonce), 401);
    assert_eq!(allocate(&padded("ann", 509), "example.org", &nonce), 400);
    assert_eq!(allocate("ann", &padded("example.org", 763), &nonce), 401);
    assert_eq!(allocate("ann", &padded("example.org", 764), &nonce), 400);
    assert_eq!(allocate("ann", "example.org", &padded(&nonce, 763)), 438);
    assert_eq!(allocate("ann", "example.org", &padded(&nonce, 764)), 400);
    assert_eq!(allocate("ann", "example.org", &nonce), 200);
}

#[test]
fn s14_replies_and_data_leave_from_the_address_that_was_asked() {
    let world = world();
    let other = SocketAddr::from(([198, 51, 100, 2], 443));
    for server in [SERVER4, other] {
        let ann = world.client("ann").to_server(server);
        let challenge = ann.allocate_request().once_unsigned().answer();
        assert_eq!(challenge.from, server);
        let ann = ann.allocate().permit(PEER);
        assert_eq!(ann.refresh(600).from, server);
        // The 5-tuple of what is relayed names the same address.
        let data = world.peer(PEER).sends(ann.relayed(), b"hello");
        data.expect_indication(&ann, PEER, b"hello");
    }
}

#[test]
fn s16_retransmitted_requests_have_the_same_result() {
    let world = world();
    let ann = world.client("ann");
    let allocate = ann.allocate_request().with(EvenPort { reserve: true }).signed();
    let permit = ann.permit_request(&[PEER]).signed();
    let bind = ann.bind_request(CHANNEL, OTHER_PEER).signed();
    let refresh = ann.ask(Method::REFRESH).with(Lifetime(1_200)).signed();
    for request in [allocate, permit, bind, refresh] {
        let first = ann.sends(&request).answer();
        assert_eq!(first.code(), 200);
        let again = ann.sends(&request).answer();
        assert_eq!(again.as_bytes(), first.as_bytes());
    }
    assert_eq!((world.allocations(), world.quota_units()), (1, 2));

    // What is gone stays gone, which is what the client wanted.
    let delete = ann.ask(Method::REFRESH).with(Lifetime(0)).signed();
    assert_eq!(ann.sends(&delete).code(), 200);
    assert_eq!(ann.sends(&delete).code(), 437);
}

#[test]
fn s16_unauthenticated_requests_leave_no_state() {
    let world = world();
    for port in 1_024..2_048 {
        let from = SocketAddr::from(([192, 0, 2, 60], port));
        let request = Draft::request(Method::ALLOCATE).with(RequestedTransport::UDP).bytes(ID);
        assert_eq!(world.from_client(from, &request).code(), 401);
    }
    assert_eq!((world.allocations(), world.relay_count(), world.quota_units()), (0, 0, 0));
    assert_eq!(world.port_count(0).free, 256);
}

#[test]
fn s17_messages_without_the_cookie_are_silence() {
    let world = world();
    let ann = world.client("ann").allocate();
    let good = ann.ask(Method::REFRESH).with(Lifetime(0)).signed();
    for at in 4..8 {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        ann.sends(&bytes).expect_dropped(DropReason::Malformed);
    }
    world.advance(secs(1));
    assert_eq!(world.allocations(), 1);
}

#[test]
fn addresses_of_both_families_are_read_from_one_message() {
    let world = world();
    let ann = world.client("ann");
    let answer = ann
        .ask(Method::ALLOCATE)
        .with(RequestedTransport::UDP)
        .with(RequestedAddressFamily(AddressFamily::Ipv6))
        .exchange();
    assert_eq!(answer.code(), 200);
    ann.permit(PEER6).send(PEER6, b"six").expect_at_peer(PEER6, b"six");
}
