//! The published test vectors: RFC 5769 sections 2.1 to 2.4 and RFC 8489 appendix B.1.
//!
//! Each is parsed, verified, and built again. Appendix B.1 is used in the form of
//! its erratum: as printed, its length field exceeds the message by 20 and PASSWORD-ALGORITHM
//! is missing.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

use sha2::{Digest, Sha256};
use turn_codec::attribute::{
    Nonce, PasswordAlgorithm, PasswordAlgorithmId, Realm, Software, Userhash, Username,
    XorMappedAddress,
};
use turn_codec::{
    AttributeType, Class, IntegrityError, Message, MessageWriter, Method, ParseError,
};

const SHORT_TERM_KEY: &[u8] = b"VOkJxbRl1RmTxUk/WvJxBt";
const USER: &str = "\u{30DE}\u{30C8}\u{30EA}\u{30C3}\u{30AF}\u{30B9}";
/// MD5 of USER ":example.org:TheMatrIX".
const LONG_TERM_KEY: &str = "e8ca7ad59d5eb0518e312911d2dab2a9";

const REQUEST: &str = "
    00010058 2112a442 b7e7a701 bc34d686 fa87dfae
    80220010 5354554e 20746573 7420636c 69656e74
    00240004 6e0001ff
    80290008 932ff9b1 51263b36
    00060009 6576746a 3a683676 59202020
    00080014 9aeaa70c bfd8cb56 781ef2b5 b2d3f249 c1b571a2
    80280004 e57a3bcf";

const IPV4_RESPONSE: &str = "
    0101003c 2112a442 b7e7a701 bc34d686 fa87dfae
    8022000b 74657374 20766563 746f7220
    00200008 0001a147 e112a643
    00080014 2b91f599 fd9e90c3 8c7489f9 2af9ba53 f06be7d7
    80280004 c07d4c96";

const IPV6_RESPONSE: &str = "
    01010048 2112a442 b7e7a701 bc34d686 fa87dfae
    8022000b 74657374 20766563 746f7220
    00200014 0002a147 0113a9fa a5d3f179 bc25f4b5 bed2b9d9
    00080014 a382954e 4be67bf1 1784c97c 8292c275 bfe3ed41
    80280004 c8fb0b4c";

const LONG_TERM_REQUEST: &str = "
    00010060 2112a442 78ad3433 c6ad72c0 29da412e
    00060012 e3839ee3 8388e383 aae38383 e382afe3 82b90000
    0015001c 662f2f34 39396b39 35346436 4f4c3334 6f4c3946 53547679 36347341
    0014000b 6578616d 706c652e 6f726700
    00080014 f6702465 6dd64a3e 02b8e071 2e85c9a2 8ca89666";

const SHA256_REQUEST: &str = "
    00010090 2112a442 78ad3433 c6ad72c0 29da412e
    001e0020 4a3cf38f ef6992bd a952c678 0417da0f 24819415 569e60b2 05c46e41 407f1704
    00150029 6f624d61 744a6f73 32414141 43662f2f 3439396b 39353464 364f4c33 346f4c39
             46535476 79363473 41000000
    0014000b 6578616d 706c652e 6f726700
    001d0004 00020000
    001c0020 b5c7bf00 5b6c52a2 1c51c5e8 92f81924 136296cb 927c4314 9309278c c6518e65";

#[test]
fn s8_rfc5769_request() {
    let bytes = hex(REQUEST);
    let message = Message::parse(&bytes).unwrap();
    assert_eq!((message.class(), message.method()), (Class::Request, Method::BINDING));
    assert_eq!(message.get(), Ok(Some(Software("STUN test client"))));
    assert_eq!(message.get(), Ok(Some(Username("evtj:h6vY"))));
    assert_eq!(message.verify_integrity(SHORT_TERM_KEY), Ok(()));
    assert!(message.has_fingerprint());
    // PRIORITY is required and not ours; ICE-CONTROLLED is optional.
    assert!(message.unknown_required().eq([AttributeType::new(0x0024)]));
    assert_rebuilt_up_to_integrity(&bytes);
}

#[test]
fn s8_rfc5769_ipv4_response() {
    let bytes = hex(IPV4_RESPONSE);
    let message = Message::parse(&bytes).unwrap();
    assert_eq!((message.class(), message.method()), (Class::Success, Method::BINDING));
    assert_eq!(message.get(), Ok(Some(Software("test vector"))));
    let mapped = XorMappedAddress("192.0.2.1:32853".parse().unwrap());
    assert_eq!(message.get(), Ok(Some(mapped)));
    assert_eq!(message.verify_integrity(SHORT_TERM_KEY), Ok(()));
    assert_rebuilt_up_to_integrity(&bytes);
}

#[test]
fn s8_rfc5769_ipv6_response() {
    let bytes = hex(IPV6_RESPONSE);
    let message = Message::parse(&bytes).unwrap();
    let mapped = "[2001:db8:1234:5678:11:2233:4455:6677]:32853".parse().unwrap();
    assert_eq!(message.get(), Ok(Some(XorMappedAddress(mapped))));
    assert_eq!(message.verify_integrity(SHORT_TERM_KEY), Ok(()));
    assert_rebuilt_up_to_integrity(&bytes);
}

#[test]
fn s8_rfc5769_long_term_request() {
    let bytes = hex(LONG_TERM_REQUEST);
    let key = hex(LONG_TERM_KEY);
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.get(), Ok(Some(Username(USER))));
    assert_eq!(message.get(), Ok(Some(Nonce("f//499k954d6OL34oL9FSTvy64sA"))));
    assert_eq!(message.get(), Ok(Some(Realm("example.org"))));
    assert_eq!(message.verify_integrity(&key), Ok(()));
    assert!(!message.has_fingerprint());

    let mut buffer = [0xEE; 256];
    let mut writer = writer(&mut buffer, &message);
    writer.push(&Username(USER)).unwrap();
    writer.push(&Nonce("f//499k954d6OL34oL9FSTvy64sA")).unwrap();
    writer.push(&Realm("example.org")).unwrap();
    writer.integrity(&key).unwrap();
    assert_eq!(writer.finish(), bytes);
}

#[test]
fn s8_rfc8489_sha256_request() {
    let bytes = hex(SHA256_REQUEST);
    let key = Sha256::digest(format!("{USER}:example.org:TheMatrIX"));
    let hash: [u8; 32] = Sha256::digest(format!("{USER}:example.org")).into();
    let nonce = Nonce("obMatJos2AAACf//499k954d6OL34oL9FSTvy64sA");
    let algorithm = PasswordAlgorithm::bare(PasswordAlgorithmId::SHA256);

    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.get(), Ok(Some(Userhash(&hash))));
    assert_eq!(message.get(), Ok(Some(nonce)));
    assert_eq!(message.get(), Ok(Some(Realm("example.org"))));
    assert_eq!(message.get(), Ok(Some(algorithm)));
    assert_eq!(message.verify_integrity_sha256(&key), Ok(()));
    assert_eq!(message.verify_integrity(&key), Err(IntegrityError::Missing));

    let mut buffer = [0xEE; 256];
    let mut writer = writer(&mut buffer, &message);
    writer.push(&Userhash(&hash)).unwrap();
    writer.push(&nonce).unwrap();
    writer.push(&Realm("example.org")).unwrap();
    writer.push(&algorithm).unwrap();
    writer.integrity_sha256(&key).unwrap();
    assert_eq!(writer.finish(), bytes);
}

#[test]
fn s1_rfc8489_vector_as_printed_is_refused_for_its_length() {
    let mut bytes = hex(SHA256_REQUEST);
    bytes[3] = 0x9C;
    assert_eq!(Message::parse(&bytes).err(), Some(ParseError::Length));
}

#[test]
fn s8_every_flipped_bit_of_a_signed_vector_is_found() {
    for (vector, signed, key) in [
        (hex(REQUEST), 100, SHORT_TERM_KEY.to_vec()),
        (hex(LONG_TERM_REQUEST), 116, hex(LONG_TERM_KEY)),
    ] {
        for bit in 0..signed * 8 {
            let mut bytes = vector.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let verified = Message::parse(&bytes).is_ok_and(|m| m.verify_integrity(&key).is_ok());
            assert!(!verified, "bit {bit}");
        }
    }
}

/// Builds the attributes of a vector again, up to its integrity, and compares.
///
/// These three vectors pad with spaces, which is allowed and which the HMAC covers; we pad
/// with zeroes. All other bytes are equal.
fn assert_rebuilt_up_to_integrity(vector: &[u8]) {
    let original = Message::parse(vector).unwrap();
    let mut buffer = [0xEE; 256];
    let mut writer = writer(&mut buffer, &original);
    for attribute in original.attributes() {
        writer.push_raw(attribute.kind, attribute.value).unwrap();
    }
    let built = writer.finish();
    for (at, (ours, theirs)) in built.iter().zip(vector).enumerate().skip(4) {
        assert!(ours == theirs || (*ours, *theirs) == (0, b' '), "byte {at}");
    }
    assert_eq!(vector[built.len()..][..4], [0x00, 0x08, 0x00, 0x14]);
}

fn writer<'b>(buffer: &'b mut [u8], like: &Message<'_>) -> MessageWriter<'b> {
    MessageWriter::new(buffer, like.class(), like.method(), like.transaction_id()).unwrap()
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|d| u8::try_from(d).ok());
    digits.chunks(2).map(|pair| digit(pair[0]).unwrap() << 4 | digit(pair[1]).unwrap()).collect()
}
