//! What integrity attributes prove, in which order they stand, and what they hide.
//!
//! RFC 8489 sections 14.5 to 14.7 over whole messages; the HMAC itself is tested beside its
//! code, and against the published vectors in `vectors.rs`.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

use turn_codec::attribute::{Data, Lifetime, Username, XorPeerAddress};
use turn_codec::{
    AttributeType, Class, IntegrityError, Message, MessageWriter, Method, NoRoom, ParseError,
    TransactionId,
};

const KEY: &[u8] = b"key";
const UNKNOWN: AttributeType = AttributeType::new(0x0024);

#[test]
fn s7_attributes_after_integrity_have_no_effect() {
    let peer = XorPeerAddress("192.0.2.1:1".parse().unwrap());
    let bytes = build(|w| {
        w.push(&Username("ann"))?;
        w.integrity(KEY)?;
        w.push(&Lifetime(3600))?;
        w.push(&peer)?;
        w.push_raw(UNKNOWN, b"")?;
        w.fingerprint()
    });
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.verify_integrity(KEY), Ok(()));
    assert!(message.has_fingerprint());
    assert_eq!(message.attributes().count(), 1);
    assert_eq!(message.get::<Lifetime>(), Ok(None));
    assert!(!message.has(AttributeType::XOR_PEER_ADDRESS));
    assert_eq!(message.all::<XorPeerAddress>().count(), 0);
    assert_eq!(message.unknown_required().count(), 0);
}

#[test]
fn s7_attributes_after_sha256_integrity_have_no_effect() {
    let bytes = build(|w| {
        w.integrity_sha256(KEY)?;
        w.push(&Lifetime(3600))
    });
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.verify_integrity_sha256(KEY), Ok(()));
    assert!(!message.has(AttributeType::LIFETIME));
}

#[test]
fn s7_integrity_behind_sha256_integrity_has_no_effect() {
    let bytes = build(|w| {
        w.integrity_sha256(KEY)?;
        w.integrity(KEY)
    });
    let message = Message::parse(&bytes).unwrap();
    assert!(message.has_integrity_sha256());
    assert!(!message.has_integrity());
    assert_eq!(message.verify_integrity(KEY), Err(IntegrityError::Missing));
}

#[test]
fn s7_data_after_integrity_has_no_range() {
    let bytes = build(|w| {
        w.integrity(KEY)?;
        w.push(&Data(b"late"))
    });
    assert_eq!(Message::parse(&bytes).unwrap().data_range(), None);
}

#[test]
fn s8_integrity_verifies_in_every_order() {
    type Step = fn(&mut MessageWriter<'_>) -> Result<(), NoRoom>;
    let sha1: Step = |w| w.integrity(KEY);
    let sha256: Step = |w| w.integrity_sha256(KEY);
    let fingerprint: Step = |w| w.fingerprint();
    let orders: [&[Step]; 6] = [
        &[sha1],
        &[sha1, fingerprint],
        &[sha256],
        &[sha256, fingerprint],
        &[sha1, sha256],
        &[sha1, sha256, fingerprint],
    ];
    for (at, order) in orders.iter().enumerate() {
        let bytes = build(|w| {
            w.push(&Username("ann"))?;
            order.iter().try_for_each(|step| step(w))
        });
        let message = Message::parse(&bytes).unwrap();
        if message.has_integrity() {
            assert_eq!(message.verify_integrity(KEY), Ok(()), "order {at}");
            let wrong = message.verify_integrity(b"other");
            assert_eq!(wrong, Err(IntegrityError::Mismatch));
        }
        if message.has_integrity_sha256() {
            assert_eq!(message.verify_integrity_sha256(KEY), Ok(()), "order {at}");
            let wrong = message.verify_integrity_sha256(b"other");
            assert_eq!(wrong, Err(IntegrityError::Mismatch));
        }
        assert_eq!(message.has_integrity(), [true, true, false, false, true, true][at]);
        assert_eq!(message.has_integrity_sha256(), at >= 2);
        assert_eq!(message.has_fingerprint(), at % 2 == 1);
    }
}

#[test]
fn a11_truncated_sha256_integrity_is_refused() {
    for len in (0..64).filter(|len| *len != 32) {
        let bytes = build(|w| w.push_raw(AttributeType::MESSAGE_INTEGRITY_SHA256, &[0; 64][..len]));
        let message = Message::parse(&bytes).unwrap();
        assert_eq!(message.verify_integrity_sha256(KEY), Err(IntegrityError::BadLength));
    }
}

#[test]
fn s10_first_of_a_duplicate_integrity_wins() {
    let bytes = build(|w| {
        w.integrity(b"first")?;
        w.integrity(b"second")?;
        w.integrity_sha256(b"first")?;
        w.integrity_sha256(b"second")
    });
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.verify_integrity(b"first"), Ok(()));
    assert_eq!(message.verify_integrity_sha256(b"first"), Ok(()));
}

#[test]
fn missing_integrity_is_told_apart() {
    let bytes = build(|_| Ok(()));
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.verify_integrity(KEY), Err(IntegrityError::Missing));
    assert_eq!(message.verify_integrity_sha256(KEY), Err(IntegrityError::Missing));
    assert!(!message.has_integrity() && !message.has_integrity_sha256());
    assert_eq!(message.as_bytes(), bytes);
}

#[test]
fn h32_attributes_after_integrity_count_too() {
    let bytes = build(|w| {
        w.integrity(KEY)?;
        (0..32).try_for_each(|_| w.push(&Lifetime(1)))
    });
    assert_eq!(Message::parse(&bytes).err(), Some(ParseError::TooManyAttributes));
}

fn build(fill: impl FnOnce(&mut MessageWriter<'_>) -> Result<(), NoRoom>) -> Vec<u8> {
    let mut buffer = [0xEE; 512];
    let id = TransactionId::new(*b"abcdefghijkl");
    let mut writer = MessageWriter::new(&mut buffer, Class::Request, Method::REFRESH, id).unwrap();
    fill(&mut writer).unwrap();
    writer.finish().to_vec()
}
