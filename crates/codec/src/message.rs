//! A STUN message, parsed: a view that borrows the bytes it was read from.
//!
//! Implements RFC 8489 sections 5, 6.3 and 14.
//!
//! Invariants of a `Message`:
//! - header, length, every attribute's bounds and FINGERPRINT were checked, once;
//! - attributes behind the first integrity attribute are not visible, save the integrity
//!   attributes themselves and FINGERPRINT through their own methods.

use core::ops::Range;

use crate::fingerprint::fingerprint;
use crate::header::Header;
use crate::integrity::{verify_sha1, verify_sha256};
use crate::{
    Attribute, AttributeError, AttributeType, Attributes, Class, HEADER_LEN, IntegrityError,
    Method, ParseError, RawAttribute, TransactionId,
};

/// The most attributes that a message may have; RFCs name 30, and no client sends 20.
pub const MAX_ATTRIBUTES: usize = 32;

/// A well-formed STUN message.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    bytes: &'a [u8],
    header: Header,
    /// The attributes that count.
    effective: &'a [u8],
    integrity: Option<Tag<'a>>,
    integrity_sha256: Option<Tag<'a>>,
    has_fingerprint: bool,
}

/// An integrity attribute: what it covers and what it claims.
#[derive(Debug, Clone, Copy)]
struct Tag<'a> {
    covered: &'a [u8],
    value: &'a [u8],
}

impl<'a> Message<'a> {
    /// Parses a whole datagram, or one frame of a stream.
    ///
    /// # Errors
    ///
    /// Any [`ParseError`] means a silent drop: nothing malformed is answered.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        let (header, body) =
            bytes.split_first_chunk::<HEADER_LEN>().ok_or(ParseError::Truncated)?;
        let header = Header::decode(header)?;
        // [S1] "The message length MUST ... not including the 20-byte header", and all
        // attributes are padded to 4.
        if usize::from(header.length) != body.len() || !body.len().is_multiple_of(4) {
            return Err(ParseError::Length);
        }

        let mut effective = None;
        let mut integrity = None;
        let mut integrity_sha256 = None;
        let mut has_fingerprint = false;
        let mut walk = Attributes::over(body);
        let mut count = 0;
        loop {
            let start = body.len() - walk.remaining();
            let Some(attribute) = walk.step() else { break };
            let RawAttribute { kind, value } = attribute?;
            // [H32] Bounds the work that one message can cause.
            count += 1;
            if count > MAX_ATTRIBUTES {
                return Err(ParseError::TooManyAttributes);
            }
            // [S9] "the FINGERPRINT attribute MUST be the last attribute" (section 14.7).
            if has_fingerprint {
                return Err(ParseError::FingerprintNotLast);
            }
            let before = body.get(..start).unwrap_or_default();
            let covered = bytes.get(..HEADER_LEN + start).unwrap_or_default();
            match kind {
                AttributeType::MESSAGE_INTEGRITY => {
                    // Behind MESSAGE-INTEGRITY-SHA256 only FINGERPRINT counts (section 14.6).
                    if effective.is_none() {
                        integrity = Some(Tag { covered, value });
                    }
                }
                AttributeType::MESSAGE_INTEGRITY_SHA256 => {
                    integrity_sha256 = integrity_sha256.or(Some(Tag { covered, value }));
                }
                AttributeType::FINGERPRINT => {
                    if value != fingerprint(covered) {
                        return Err(ParseError::FingerprintMismatch);
                    }
                    has_fingerprint = true;
                }
                _ => continue,
            }
            // [S7] "agents MUST ignore all other attributes that follow MESSAGE-INTEGRITY".
            effective = effective.or(Some(before));
        }

        let effective = effective.unwrap_or(body);
        Ok(Self { bytes, header, effective, integrity, integrity_sha256, has_fingerprint })
    }

    /// Returns class and method of what may be a STUN message, without looking further
    /// than the top bits and the cookie.
    #[must_use]
    pub fn peek(bytes: &[u8]) -> Option<(Class, Method)> {
        let header = Header::decode(bytes.first_chunk::<HEADER_LEN>()?).ok()?;
        Some((header.class, header.method))
    }

    /// Returns the class.
    #[must_use]
    pub const fn class(&self) -> Class {
        self.header.class
    }

    /// Returns the method.
    #[must_use]
    pub const fn method(&self) -> Method {
        self.header.method
    }

    /// Returns the transaction id.
    #[must_use]
    pub const fn transaction_id(&self) -> TransactionId {
        self.header.id
    }

    /// Returns the bytes that were parsed.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Iterates over the effective attributes: those in front of the first integrity
    /// attribute, or all but FINGERPRINT where there is none.
    #[must_use]
    pub const fn attributes(&self) -> Attributes<'a> {
        Attributes::over(self.effective)
    }

    /// Decodes the first effective attribute of a type.
    ///
    /// # Errors
    ///
    /// [`AttributeError`] where it is there and its value is malformed.
    pub fn get<A: Attribute<'a>>(&self) -> Result<Option<A>, AttributeError> {
        // [S10] "only the first occurrence needs to be processed" (section 14).
        self.all::<A>().next().transpose()
    }

    /// Decodes every effective attribute of a type, in the order of the message.
    pub fn all<A: Attribute<'a>>(
        &self,
    ) -> impl Iterator<Item = Result<A, AttributeError>> + use<'a, A> {
        let id = self.transaction_id();
        self.attributes()
            .filter(|attribute| attribute.kind == A::TYPE)
            .map(move |attribute| A::decode(attribute.value, &id))
    }

    /// Tells whether an effective attribute of this type is there.
    #[must_use]
    pub fn has(&self, kind: AttributeType) -> bool {
        self.attributes().any(|attribute| attribute.kind == kind)
    }

    /// Iterates over the effective comprehension-required types that this codec does not
    /// know, each once: the list for UNKNOWN-ATTRIBUTES.
    // [S4]
    pub fn unknown_required(&self) -> impl Iterator<Item = AttributeType> + use<'a> {
        let all = self.attributes();
        // Quadratic, over MAX_ATTRIBUTES at most.
        all.clone().map(|attribute| attribute.kind).enumerate().filter_map(move |(at, kind)| {
            let unknown = kind.is_comprehension_required() && !kind.is_known();
            let seen = all.clone().take(at).any(|earlier| earlier.kind == kind);
            (unknown && !seen).then_some(kind)
        })
    }

    /// Returns where the value of the first effective DATA attribute lies in the input.
    #[must_use]
    pub fn data_range(&self) -> Option<Range<usize>> {
        self.attributes()
            .find(|attribute| attribute.kind == AttributeType::DATA)
            .map(|attribute| self.range_of(attribute.value))
    }

    /// Returns where a value lies in the input.
    ///
    /// `value` is a slice out of this message; for any other slice the range is empty.
    #[must_use]
    pub fn range_of(&self, value: &'a [u8]) -> Range<usize> {
        let start = value.as_ptr().addr().wrapping_sub(self.bytes.as_ptr().addr());
        match start.checked_add(value.len()) {
            Some(end) if end <= self.bytes.len() => start..end,
            Some(_) | None => 0..0,
        }
    }

    /// Tells whether MESSAGE-INTEGRITY is there.
    #[must_use]
    pub const fn has_integrity(&self) -> bool {
        self.integrity.is_some()
    }

    /// Tells whether MESSAGE-INTEGRITY-SHA256 is there.
    #[must_use]
    pub const fn has_integrity_sha256(&self) -> bool {
        self.integrity_sha256.is_some()
    }

    /// Tells whether FINGERPRINT is there (it was checked by [`parse`](Self::parse)).
    #[must_use]
    pub const fn has_fingerprint(&self) -> bool {
        self.has_fingerprint
    }

    /// Checks MESSAGE-INTEGRITY (HMAC-SHA1) against a key.
    ///
    /// # Errors
    ///
    /// [`IntegrityError`]: absent, of a length other than 20, or made with another key.
    pub fn verify_integrity(&self, key: &[u8]) -> Result<(), IntegrityError> {
        let Tag { covered, value } = self.integrity.ok_or(IntegrityError::Missing)?;
        verify_sha1(key, covered, value)
    }

    /// Checks MESSAGE-INTEGRITY-SHA256 (HMAC-SHA256) against a key.
    ///
    /// # Errors
    ///
    /// [`IntegrityError`]: absent, of a length other than 32, or made with another key.
    pub fn verify_integrity_sha256(&self, key: &[u8]) -> Result<(), IntegrityError> {
        let Tag { covered, value } = self.integrity_sha256.ok_or(IntegrityError::Missing)?;
        verify_sha256(key, covered, value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribute::{Data, Lifetime, Software};
    use crate::{MessageWriter, NoRoom};
    use std::vec::Vec;

    const UNKNOWN: AttributeType = AttributeType::new(0x0024);

    #[test]
    fn s1_length_must_match_the_datagram() {
        let bytes = build(|w| w.push(&Lifetime(1)));
        assert!(Message::parse(&bytes).is_ok());
        for len in 0..bytes.len() {
            assert!(Message::parse(&bytes[..len]).is_err(), "cut to {len} bytes");
        }
        for extra in 1..9 {
            let longer = [&bytes[..], &std::vec![0; extra]].concat();
            assert_eq!(Message::parse(&longer).err(), Some(ParseError::Length));
        }
    }

    #[test]
    fn s1_length_must_be_a_multiple_of_four() {
        for extra in 1..4_u8 {
            let mut bytes = build(|_| Ok(()));
            bytes.extend(std::vec![0; usize::from(extra)]);
            bytes[3] = extra;
            assert_eq!(Message::parse(&bytes).err(), Some(ParseError::Length));
        }
    }

    #[test]
    fn s1_top_bits_must_be_zero() {
        let mut bytes = build(|_| Ok(()));
        bytes[0] |= 0x80;
        assert_eq!(Message::parse(&bytes).err(), Some(ParseError::TopBits));
        assert_eq!(Message::peek(&bytes), None);
    }

    #[test]
    fn s17_message_without_cookie_is_refused() {
        let mut bytes = build(|w| w.push(&Lifetime(1)));
        for at in 4..8 {
            bytes[at] ^= 0x10;
            assert_eq!(Message::parse(&bytes).err(), Some(ParseError::NoCookie));
            assert_eq!(Message::peek(&bytes), None);
            bytes[at] ^= 0x10;
        }
    }

    #[test]
    fn peek_looks_at_the_header_only() {
        let bytes = build(|_| Ok(()));
        let expected = Some((Class::Request, Method::REFRESH));
        assert_eq!(Message::peek(&bytes), expected);
        let longer = [&bytes[..], b"trailing"].concat();
        assert_eq!(Message::peek(&longer), expected);
        assert_eq!(Message::peek(&bytes[..19]), None);
    }

    #[test]
    fn s9_fingerprint_must_be_last() {
        let bytes = build(|w| {
            w.fingerprint()?;
            w.push(&Lifetime(1))
        });
        // Its CRC is that of a message that ends with it.
        assert_eq!(Message::parse(&bytes).err(), Some(ParseError::FingerprintMismatch));

        let mut bytes = bytes;
        let crc = fingerprint(&bytes[..HEADER_LEN]);
        bytes[HEADER_LEN + 4..HEADER_LEN + 8].copy_from_slice(&crc);
        assert_eq!(Message::parse(&bytes).err(), Some(ParseError::FingerprintNotLast));

        let twice = build(|w| {
            w.fingerprint()?;
            w.fingerprint()
        });
        assert!(Message::parse(&twice).is_err());
    }

    #[test]
    fn s9_wrong_crc_is_refused() {
        let mut bytes = build(|w| {
            w.push(&Lifetime(1))?;
            w.fingerprint()
        });
        assert!(Message::parse(&bytes).unwrap().has_fingerprint());
        bytes[HEADER_LEN + 7] ^= 1;
        assert_eq!(Message::parse(&bytes).err(), Some(ParseError::FingerprintMismatch));
    }

    #[test]
    fn s9_fingerprint_of_a_wrong_length_is_refused() {
        for len in [0, 3, 5, 8] {
            let bytes = build(|w| w.push_raw(AttributeType::FINGERPRINT, &[0; 8][..len]));
            assert_eq!(Message::parse(&bytes).err(), Some(ParseError::FingerprintMismatch));
        }
    }

    #[test]
    fn s10_first_of_a_duplicate_wins() {
        let bytes = build(|w| {
            w.push(&Lifetime(1))?;
            w.push(&Software("x"))?;
            w.push(&Lifetime(2))
        });
        let message = Message::parse(&bytes).unwrap();
        assert_eq!(message.get(), Ok(Some(Lifetime(1))));
        let all: Vec<_> = message.all::<Lifetime>().collect();
        assert_eq!(all, [Ok(Lifetime(1)), Ok(Lifetime(2))]);
    }

    #[test]
    fn s11_attribute_past_the_end_is_refused() {
        let bytes = build(|w| {
            w.push(&Lifetime(1))?;
            w.push(&Data(b"12345"))
        });
        let length_at = HEADER_LEN + 8 + 2;
        for claimed in [9_u16, 12, 13, 0x7FFF, 0xFFFC, 0xFFFF] {
            let mut bytes = bytes.clone();
            bytes[length_at..length_at + 2].copy_from_slice(&claimed.to_be_bytes());
            assert_eq!(Message::parse(&bytes).err(), Some(ParseError::AttributeOverrun));
        }
        // Up to the end of the padding it is only another value.
        let mut bytes = bytes;
        bytes[length_at + 1] = 8;
        let message = Message::parse(&bytes).unwrap();
        assert_eq!(message.get(), Ok(Some(Data(b"12345\0\0\0"))));
    }

    #[test]
    fn s11_padding_may_hold_anything() {
        let mut bytes = build(|w| w.push(&Data(b"12345")));
        let end = bytes.len();
        bytes[end - 3..].copy_from_slice(&[0xFF, 0xFE, 0xFD]);
        assert_eq!(Message::parse(&bytes).unwrap().get(), Ok(Some(Data(b"12345"))));
    }

    #[test]
    fn h32_more_than_32_attributes_are_refused() {
        let many = |count| {
            build(|w| (0..count).try_for_each(|_| w.push_raw(AttributeType::new(0xC000), b"")))
        };
        assert_eq!(Message::parse(&many(32)).unwrap().attributes().count(), 32);
        assert_eq!(Message::parse(&many(33)).err(), Some(ParseError::TooManyAttributes));
    }

    #[test]
    fn s4_unknown_required_types_are_listed_once() {
        let bytes = build(|w| {
            w.push_raw(UNKNOWN, b"1")?;
            w.push_raw(AttributeType::new(0xC001), b"")?;
            w.push(&Lifetime(1))?;
            w.push_raw(AttributeType::new(0x7FFF), b"")?;
            w.push_raw(UNKNOWN, b"2")?;
            w.push_raw(AttributeType::new(0x0003), b"")
        });
        let unknown: Vec<_> = Message::parse(&bytes).unwrap().unknown_required().collect();
        assert_eq!(unknown, [0x0024, 0x7FFF, 0x0003].map(AttributeType::new));
    }

    #[test]
    fn s6_unknown_optional_types_are_ignored() {
        let bytes = build(|w| {
            w.push_raw(AttributeType::new(0x8030), b"ticket")?;
            w.push_raw(AttributeType::new(0xFFFF), b"")
        });
        assert_eq!(Message::parse(&bytes).unwrap().unknown_required().count(), 0);
    }

    #[test]
    fn malformed_value_is_an_error_and_not_an_absence() {
        let bytes = build(|w| w.push_raw(AttributeType::LIFETIME, &[0; 3]));
        let message = Message::parse(&bytes).unwrap();
        assert_eq!(message.get::<Lifetime>(), Err(AttributeError::Length));
    }

    #[test]
    fn data_range_is_where_the_data_lies() {
        let bytes = build(|w| {
            w.push(&Software("abc"))?;
            w.push(&Data(b"payload"))?;
            w.push(&Data(b"second"))
        });
        let message = Message::parse(&bytes).unwrap();
        let range = message.data_range().unwrap();
        assert_eq!(&bytes[range], b"payload");
        let Data(data) = message.get().unwrap().unwrap();
        assert_eq!(&bytes[message.range_of(data)], b"payload");
    }

    #[test]
    fn range_of_empty_data_is_empty_and_inside() {
        let bytes = build(|w| w.push(&Data(b"")));
        let range = Message::parse(&bytes).unwrap().data_range().unwrap();
        assert_eq!(range, bytes.len()..bytes.len());
    }

    #[test]
    fn range_of_a_foreign_slice_is_empty() {
        let bytes = build(|w| w.push(&Data(b"payload")));
        let message = Message::parse(&bytes).unwrap();
        assert!(message.range_of(b"payload from elsewhere").is_empty());
    }

    fn build(fill: impl FnOnce(&mut MessageWriter<'_>) -> Result<(), NoRoom>) -> Vec<u8> {
        let mut buffer = [0xEE; 512];
        let id = TransactionId::new(*b"abcdefghijkl");
        let mut writer =
            MessageWriter::new(&mut buffer, Class::Request, Method::REFRESH, id).unwrap();
        fill(&mut writer).unwrap();
        writer.finish().to_vec()
    }
}
