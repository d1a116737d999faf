//! What strangers send first: one Binding request, one Allocate request without credentials, one
//! ClientHello.

use std::io::Read as _;
use std::net::{SocketAddr, TcpListener};
use std::thread;

use turn_client::{TlsOptions, Wire};
use turn_codec::attribute::RequestedTransport;
use turn_codec::{Class, MessageWriter, Method, TransactionId};

use crate::lab::IPV4;

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

/// The TLS record with the ClientHello of a client as browsers are one: TLS 1.2 and 1.3.
///
/// # Panics
/// When there is no loopback.
pub fn client_hello() -> Vec<u8> {
    let listener = TcpListener::bind((IPV4, 0)).expect("a listener can be bound");
    let server = listener.local_addr().expect("it is bound");
    let client = thread::spawn(move || {
        let options = TlsOptions::trusting_anybody("turn.example.org");
        Wire::connect_tls(SocketAddr::new(IPV4, 0), server, &options)
    });
    let (mut stream, _) = listener.accept().expect("a client connects");
    let mut record = vec![0; 5];
    stream.read_exact(&mut record).expect("a client says something");
    let length = record.last_chunk().map_or(0, |length| u16::from_be_bytes(*length));
    let mut body = vec![0; usize::from(length)];
    stream.read_exact(&mut body).expect("a client says all of it");
    record.append(&mut body);
    // Its handshake fails now.
    drop(stream);
    let _ = client.join();
    record
}

fn id(number: u64) -> TransactionId {
    let [a, b, c, d, e, f, g, h] = number.to_be_bytes();
    TransactionId::new([b't', b'e', b's', b't', a, b, c, d, e, f, g, h])
}
