//! Messages: read, proven, signed. What a ChannelData message costs to read is
//! a part of relaying it, and too little to have a bound of its own.

use std::{hint::black_box, net::SocketAddr};

use gungraun::{library_benchmark, library_benchmark_group};
use turn_codec::{
    Class, Message, MessageWriter, Method, TransactionId,
    attribute::{Lifetime, Nonce, Realm, Username, XorMappedAddress, XorRelayedAddress},
};
use turn_credentials::LongTermKey;
use turn_instructions::{VirtualClient, VirtualHost};

library_benchmark_group!(
    name = codec_group,
    benchmarks = [request_read, request_proven, response_signed]
);

// A signed Allocate request with what every request is asked for.
#[library_benchmark]
#[bench::messages(allocate_request())]
fn request_read(request: Vec<u8>) -> Vec<u8> {
    for _ in 0..1_000 {
        let message = Message::parse(black_box(&request)).unwrap();
        let Username(name) = message.get().unwrap().unwrap();
        let Realm(realm) = message.get().unwrap().unwrap();
        let Nonce(nonce) = message.get().unwrap().unwrap();
        black_box((name, realm, nonce, message.unknown_required().count()));
    }
    request
}

// The same, read and proven by MESSAGE-INTEGRITY.
#[library_benchmark]
#[bench::messages((allocate_request(), VirtualClient::key()))]
fn request_proven((request, key): (Vec<u8>, LongTermKey)) -> (Vec<u8>, LongTermKey) {
    for _ in 0..1_000 {
        let message = Message::parse(black_box(&request)).unwrap();
        message.verify_integrity(key.as_bytes()).unwrap();
    }
    (request, key)
}

#[library_benchmark]
#[bench::messages(VirtualClient::key())]
fn response_signed(key: LongTermKey) -> LongTermKey {
    let relayed: SocketAddr = black_box(([198, 51, 100, 7], 50_000).into());
    let client: SocketAddr = black_box(([192, 0, 2, 9], 40_000).into());
    let id = TransactionId::new(*b"transaction.");
    let mut buffer = [0; 256];
    for _ in 0..1_000 {
        let mut writer =
            MessageWriter::new(&mut buffer, Class::Success, Method::ALLOCATE, id).unwrap();
        writer.push(&XorRelayedAddress(relayed)).unwrap();
        writer.push(&Lifetime(600)).unwrap();
        writer.push(&XorMappedAddress(client)).unwrap();
        writer.integrity(key.as_bytes()).unwrap();
        black_box(writer.finish());
    }
    key
}

/// The second request of a client, which its challenge has taught to sign.
fn allocate_request() -> Vec<u8> {
    let (_, asked) = VirtualHost::with_lives(1);
    asked.into_iter().nth(1).unwrap().bytes
}
