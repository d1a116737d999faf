//! Properties of the codec over generated input: what is built is read back, what is cut or
//! flipped is refused, and nothing panics on any bytes.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

use std::net::SocketAddr;

use proptest::collection::vec;
use proptest::prelude::*;
use turn_codec::attribute::*;
use turn_codec::*;

const KEY: &[u8] = b"0123456789abcdef";
const CLASSES: [Class; 4] = [Class::Request, Class::Indication, Class::Success, Class::Error];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn built_messages_are_read_back(recipe in recipe()) {
        let bytes = recipe.build();
        let message = Message::parse(&bytes).unwrap();
        prop_assert_eq!(message.class(), recipe.class);
        prop_assert_eq!(message.method(), recipe.method);
        prop_assert_eq!(message.transaction_id(), recipe.id);
        let read: Vec<_> =
            message.attributes().map(|raw| (raw.kind.get(), raw.value.to_vec())).collect();
        prop_assert_eq!(&read, &recipe.attributes);
        for raw in message.attributes() {
            prop_assert_eq!(&bytes[message.range_of(raw.value)], raw.value);
        }
        prop_assert_eq!(message.verify_integrity(KEY).is_ok(), recipe.sha1);
        prop_assert_eq!(message.verify_integrity_sha256(KEY).is_ok(), recipe.sha256);
        prop_assert_eq!(message.has_fingerprint(), recipe.fingerprint);
    }

    #[test]
    fn s11_messages_cut_at_any_byte_are_refused(recipe in recipe()) {
        let bytes = recipe.build();
        for len in 0..bytes.len() {
            prop_assert!(Message::parse(&bytes[..len]).is_err());
            // Also where the header admits the cut.
            if let Some(body) = len.checked_sub(HEADER_LEN) {
                let mut cut = bytes[..len].to_vec();
                cut[2..4].copy_from_slice(&u16::try_from(body).unwrap().to_be_bytes());
                touch_everything(&cut);
            }
        }
    }

    #[test]
    fn s8_flipped_bits_never_verify(recipe in recipe(), at in any::<prop::sample::Index>(), bit in 0..8) {
        let recipe = Recipe { sha1: true, sha256: true, fingerprint: false, ..recipe };
        let mut bytes = recipe.build();
        let at = at.index(bytes.len());
        bytes[at] ^= 1_u8 << bit;
        touch_everything(&bytes);
        if let Ok(message) = Message::parse(&bytes) {
            prop_assert!(message.verify_integrity_sha256(KEY).is_err());
            let covered_by_sha1 = at < bytes.len() - 36;
            prop_assert!(!covered_by_sha1 || message.verify_integrity(KEY).is_err());
        }
    }

    #[test]
    fn s9_flipped_bits_break_the_fingerprint(recipe in recipe(), at in any::<prop::sample::Index>(), bit in 0..8) {
        let recipe = Recipe { fingerprint: true, ..recipe };
        let mut bytes = recipe.build();
        let at = at.index(bytes.len());
        bytes[at] ^= 1_u8 << bit;
        // A flip in its type makes it another attribute; any other flip is found.
        let parsed = Message::parse(&bytes);
        prop_assert!(parsed.is_err() || !parsed.unwrap().has_fingerprint());
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..600)) {
        touch_everything(&bytes);
    }

    #[test]
    fn arbitrary_bodies_never_panic(body in vec(any::<u8>(), 0..150)) {
        let mut bytes = b"\0\x01\0\0\x21\x12\xA4\x42abcdefghijkl".to_vec();
        bytes.extend(body);
        bytes.truncate(bytes.len() & !3);
        let length = u16::try_from(bytes.len() - HEADER_LEN).unwrap();
        bytes[2..4].copy_from_slice(&length.to_be_bytes());
        touch_everything(&bytes);
    }

    #[test]
    fn arbitrary_values_never_panic(
        kind in prop_oneof![any::<u16>(), prop::sample::select(known_types())],
        value in vec(any::<u8>(), 0..800),
    ) {
        let recipe = Recipe {
            class: Class::Request,
            method: Method::ALLOCATE,
            id: TransactionId::new([3; 12]),
            attributes: vec![(kind, value)],
            sha1: false,
            sha256: false,
            fingerprint: false,
        };
        touch_everything(&recipe.build());
    }

    #[test]
    fn addresses_survive_the_wire(address in any::<SocketAddr>(), id in any::<[u8; 12]>()) {
        // Scope and flow are not on the wire.
        let address = SocketAddr::new(address.ip(), address.port());
        let id = TransactionId::new(id);
        let mut value = vec![0; XorPeerAddress(address).value_len()];
        XorPeerAddress(address).encode(&mut value, &id);
        prop_assert_eq!(XorPeerAddress::decode(&value, &id), Ok(XorPeerAddress(address)));
        MappedAddress(address).encode(&mut value, &id);
        prop_assert_eq!(MappedAddress::decode(&value, &id), Ok(MappedAddress(address)));
    }

    #[test]
    fn c6_channel_data_is_read_back(
        number in 0x4000..=0x4FFF_u16,
        data in vec(any::<u8>(), 0..2000),
        extra in vec(any::<u8>(), 0..8),
    ) {
        let number = ChannelNumber::new(number).unwrap();
        let mut buffer = vec![0xEE; 2100];
        let mut bytes = ChannelData::new(number, &data).encode(&mut buffer).unwrap().to_vec();
        for len in 0..bytes.len() {
            prop_assert!(ChannelData::parse_datagram(&bytes[..len]).is_err());
        }
        bytes.extend(extra);
        let read = ChannelData::parse_datagram(&bytes).unwrap();
        prop_assert_eq!(read, ChannelData::new(number, &data));
        prop_assert_eq!(&bytes[read.data_range()], &data[..]);
    }

    #[test]
    fn s18_streams_cut_anywhere_resume(
        pieces in vec(piece(), 1..8),
        cuts in vec(1..50_usize, 1..200),
    ) {
        let stream: Vec<u8> = pieces.concat();
        let (mut pending, mut found, mut sent) = (Vec::new(), Vec::new(), 0);
        for cut in cuts.into_iter().chain([usize::MAX]) {
            let end = sent + cut.min(stream.len() - sent);
            pending.extend_from_slice(&stream[sent..end]);
            sent = end;
            loop {
                let len = match next_frame(&pending) {
                    Frame::Message { len } => len,
                    Frame::ChannelData { len, padded_len } => {
                        prop_assert!(ChannelData::parse_datagram(&pending[..len]).is_ok());
                        padded_len
                    }
                    Frame::Incomplete { needed_at_least } => {
                        prop_assert!(needed_at_least > pending.len());
                        break;
                    }
                    Frame::Invalid => return Err(TestCaseError::fail("framing lost")),
                };
                found.push(pending.drain(..len).collect::<Vec<u8>>());
            }
        }
        prop_assert_eq!(found, pieces);
        prop_assert!(pending.is_empty());
    }

    #[test]
    fn no_room_never_writes_half_an_attribute(recipe in recipe(), room in 0..400_usize) {
        let full = recipe.build();
        let mut buffer = vec![0xEE; room.min(full.len())];
        let length = buffer.len();
        if let Ok(written) = recipe.write(&mut buffer) {
            prop_assert_eq!(written, full);
        } else {
            prop_assert!(length < full.len());
        }
    }
}

/// What a message is built from.
#[derive(Debug, Clone)]
struct Recipe {
    class: Class,
    method: Method,
    id: TransactionId,
    attributes: Vec<(u16, Vec<u8>)>,
    sha1: bool,
    sha256: bool,
    fingerprint: bool,
}

impl Recipe {
    fn build(&self) -> Vec<u8> {
        self.write(&mut vec![0xEE; 4096]).unwrap()
    }

    fn write(&self, buffer: &mut [u8]) -> Result<Vec<u8>, NoRoom> {
        let mut writer = MessageWriter::new(buffer, self.class, self.method, self.id)?;
        for (kind, value) in &self.attributes {
            let before = writer.len();
            let pushed = writer.push_raw(AttributeType::new(*kind), value);
            if pushed.is_err() {
                assert_eq!(writer.len(), before);
                assert!(Message::parse(writer.finish()).is_ok());
                return Err(NoRoom);
            }
        }
        if self.sha1 {
            writer.integrity(KEY)?;
        }
        if self.sha256 {
            writer.integrity_sha256(KEY)?;
        }
        if self.fingerprint {
            writer.fingerprint()?;
        }
        Ok(writer.finish().to_vec())
    }
}

fn recipe() -> impl Strategy<Value = Recipe> {
    let seals = [0x0008, 0x001C, 0x8028];
    let kind = any::<u16>().prop_filter("seals are added at the end", move |k| !seals.contains(k));
    let attributes = vec((kind, vec(any::<u8>(), 0..40)), 0..8);
    let head = (prop::sample::select(&CLASSES[..]), 0..=0x0FFF_u16, any::<[u8; 12]>());
    (head, attributes, any::<(bool, bool, bool)>()).prop_map(
        |((class, method, id), attributes, (sha1, sha256, fingerprint))| Recipe {
            class,
            method: Method::from_bits(method).unwrap(),
            id: TransactionId::new(id),
            attributes,
            sha1,
            sha256,
            fingerprint,
        },
    )
}

/// A whole frame of a stream.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let channel_data = (0x4000..=0x4FFF_u16, vec(any::<u8>(), 0..90)).prop_map(|(n, data)| {
        let number = ChannelNumber::new(n).unwrap();
        let mut buffer = [0; 100];
        ChannelData::new(number, &data).encode_for_stream(&mut buffer).unwrap().to_vec()
    });
    // Methods above 0xFF do not start with a byte of 0-3 (RFC 7983), and no RFC has one.
    let message = recipe().prop_map(|recipe| {
        let method = Method::from_bits(recipe.method.bits() & 0xFF).unwrap();
        Recipe { method, ..recipe }.build()
    });
    prop_oneof![channel_data, message]
}

fn known_types() -> Vec<u16> {
    (0..=u16::MAX).filter(|code| AttributeType::new(*code).is_known()).collect()
}

/// Calls everything that takes bytes from the network.
fn touch_everything(bytes: &[u8]) {
    let _ = classify(bytes);
    let _ = next_frame(bytes);
    let _ = Message::peek(bytes);
    if let Ok(channel_data) = ChannelData::parse_datagram(bytes) {
        assert_eq!(&bytes[channel_data.data_range()], channel_data.data());
    }
    let Ok(message) = Message::parse(bytes) else {
        return;
    };
    let _ = message.verify_integrity(KEY);
    let _ = message.verify_integrity_sha256(KEY);
    let _ = message.unknown_required().count();
    if let Some(range) = message.data_range() {
        assert_eq!(message.get(), Ok(Some(Data(&bytes[range]))));
    }
    macro_rules! decode {
        ($($kind:ty),*) => {$(
            for found in message.all::<$kind>().flatten() {
                let mut value = vec![0; found.value_len()];
                found.encode(&mut value, &message.transaction_id());
                let again = <$kind>::decode(&value, &message.transaction_id());
                assert_eq!(again.as_ref(), Ok(&found), "what is read can be written");
            }
        )*};
    }
    decode!(
        MappedAddress,
        XorMappedAddress,
        XorPeerAddress,
        XorRelayedAddress,
        AlternateServer,
        Username<'_>,
        Realm<'_>,
        Nonce<'_>,
        Software<'_>,
        AlternateDomain<'_>,
        ErrorCode<'_>,
        AddressErrorCode<'_>,
        UnknownAttributes<'_>,
        Userhash<'_>,
        PasswordAlgorithm<'_>,
        PasswordAlgorithms<'_>,
        ChannelNumberAttribute,
        Lifetime,
        Data<'_>,
        RequestedAddressFamily,
        AdditionalAddressFamily,
        EvenPort,
        RequestedTransport,
        DontFragment,
        ReservationToken,
        Icmp,
        ConnectionId
    );
}
