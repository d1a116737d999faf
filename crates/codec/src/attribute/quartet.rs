//! The four tests that every attribute has: round trip, truncated, wrong type, no room.

use crate::{
    Attribute, AttributeType, Class, Encode, HEADER_LEN, Message, MessageWriter, Method, NoRoom,
    ParseError, TransactionId,
};
use core::fmt::Debug;

/// The transaction id of all quartet messages: that of RFC 5769.
pub(super) const ID: TransactionId =
    TransactionId::new([0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae]);

/// Makes a test module of four tests out of a value and its bytes on the wire.
macro_rules! attribute_quartet {
    ($module:ident, $kind:ty, $value:expr, $wire:expr $(, refuses: $($bad:expr => $error:expr),+)?) => {
        mod $module {
            use super::*;
            use crate::attribute::quartet;

            #[test]
            fn round_trip() {
                quartet::round_trip(&$value, &$wire);
            }

            #[test]
            fn truncated() {
                quartet::truncated(&$value);
                $($(assert_eq!(<$kind>::decode(&$bad, &quartet::ID), Err($error));)+)?
            }

            #[test]
            fn wrong_type() {
                quartet::wrong_type::<$kind>(&$wire);
            }

            #[test]
            fn no_room() {
                quartet::no_room(&$value);
            }
        }
    };
}

pub(super) fn round_trip<T>(value: &T, wire: &'static [u8])
where
    T: Attribute<'static> + Encode + PartialEq + Debug,
{
    let mut buffer = [0xEE; 2048];
    let bytes = message(&mut buffer, value);
    let range = HEADER_LEN + 4..HEADER_LEN + 4 + wire.len();
    assert_eq!(bytes[range.clone()], *wire);
    assert!(bytes[range.end..].iter().all(|byte| *byte == 0), "padding is zero");
    assert_eq!(bytes.len() % 4, 0);

    let raw = Message::parse(bytes).unwrap().attributes().next().unwrap();
    assert_eq!((raw.kind, raw.value), (T::TYPE, wire));
    assert_eq!(T::decode(wire, &ID).as_ref(), Ok(value));
}

pub(super) fn truncated<T: Encode>(value: &T) {
    let mut buffer = [0; 2048];
    let len = message(&mut buffer, value).len();
    let cut = len - HEADER_LEN - 4;
    // A message that ends within the value, with a header that admits it.
    for cut in (0..cut).step_by(4) {
        buffer[3] = u8::try_from(cut + 4).unwrap_or(4);
        let end = HEADER_LEN + usize::from(buffer[3]);
        assert_eq!(Message::parse(&buffer[..end]).err(), Some(ParseError::AttributeOverrun));
    }
    // A header that does not.
    for end in 0..len {
        assert!(Message::parse(&buffer[..end]).is_err());
    }
}

pub(super) fn wrong_type<T>(wire: &'static [u8])
where
    T: Attribute<'static> + PartialEq + Debug,
{
    let buffer = std::boxed::Box::leak(std::boxed::Box::new([0; 2048]));
    let mut writer = MessageWriter::new(buffer, Class::Request, Method::BINDING, ID).unwrap();
    writer.push_raw(AttributeType::new(T::TYPE.get() ^ 0x4000), wire).unwrap();
    let message = Message::parse(writer.finish()).unwrap();
    assert_eq!(message.get::<T>(), Ok(None));
    assert!(!message.has(T::TYPE));
}

pub(super) fn no_room<T: Encode>(value: &T) {
    let len = message(&mut [0; 2048], value).len();
    for room in HEADER_LEN..len {
        let mut buffer = [0; 2048];
        let buffer = &mut buffer[..room];
        let mut writer = MessageWriter::new(buffer, Class::Request, Method::BINDING, ID).unwrap();
        assert_eq!(writer.push(value), Err(NoRoom));
        assert_eq!(writer.len(), HEADER_LEN, "a failed push leaves no trace");
        assert!(Message::parse(writer.finish()).is_ok());
    }
}

fn message<'b, T: Encode>(buffer: &'b mut [u8; 2048], value: &T) -> &'b [u8] {
    let mut writer = MessageWriter::new(buffer, Class::Request, Method::BINDING, ID).unwrap();
    writer.push(value).unwrap();
    writer.finish()
}
