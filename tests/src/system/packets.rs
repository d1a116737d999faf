//! Requests of strangers: one Binding, one Allocate without credentials.

use turn_codec::attribute::RequestedTransport;
use turn_codec::{Class, MessageWriter, Method, TransactionId};

/// A Binding request without attributes, 20 bytes; `number` makes its transaction id.
///
/// # Panics
/// Never: it fits.
pub fn binding_request(number: u64) -> Vec<u8> {
    let mut bytes = [0; 20];
    let writer = MessageWriter::new(&mut bytes, Class::Request, Method::BINDING, id(number));
    writer.expect("a header has 20 bytes").finish().to_vec()
}

/// An Allocate request as a client sends it first, without credentials; `number` makes its
/// transaction id.
///
/// # Panics
/// Never: it fits.
pub fn bare_allocate(number: u64) -> Vec<u8> {
    let mut bytes = [0; 28];
    let writer = MessageWriter::new(&mut bytes, Class::Request, Method::ALLOCATE, id(number));
    let mut writer = writer.expect("a header has 20 bytes");
    writer.push(&RequestedTransport::UDP).expect("REQUESTED-TRANSPORT has 8 bytes");
    writer.finish().to_vec()
}

fn id(number: u64) -> TransactionId {
    let [a, b, c, d, e, f, g, h] = number.to_be_bytes();
    TransactionId::new([b't', b'e', b's', b't', a, b, c, d, e, f, g, h])
}
