//! Requests and their replies: Binding, and the life of an allocation.

use std::{
    hint::black_box,
    net::{Ipv4Addr, SocketAddr},
};

use gungraun::{library_benchmark, library_benchmark_group};
use stun_responder::MAX_REPLY_LEN;
use turn_codec::{Class, MessageWriter, Method, TransactionId};
use turn_instructions::{Asked, VirtualHost};

library_benchmark_group!(
    name = requests_group,
    benchmarks = [binding, allocate_challenge_allocate_refresh]
);

// A thousand Binding requests, their rate judged as a host does.
#[library_benchmark]
#[bench::requests((VirtualHost::new(), binding_request()))]
fn binding((host, request): (VirtualHost, Vec<u8>)) -> (VirtualHost, Vec<u8>) {
    let source = black_box(SocketAddr::from((Ipv4Addr::new(192, 0, 2, 9), 40_000)));
    let mut reply = [0; MAX_REPLY_LEN];
    for _ in 0..1_000 {
        let reply = host.answer_binding(black_box(&request), source, &mut reply);
        assert!(!black_box(reply).is_empty());
    }
    (host, request)
}

// A thousand lives. The requests were made and signed before: what is counted
// is the server's work alone.
#[library_benchmark]
#[bench::lives(VirtualHost::with_lives(1_000))]
fn allocate_challenge_allocate_refresh(
    (mut host, asked): (VirtualHost, Vec<Asked>),
) -> (VirtualHost, Vec<Asked>) {
    for request in &asked {
        let reply = host.serve(request.link, &request.bytes);
        assert!(!black_box(reply).is_empty());
    }
    (host, asked)
}

fn binding_request() -> Vec<u8> {
    let mut buffer = [0; 64];
    let id = TransactionId::new(*b"transaction.");
    let writer = MessageWriter::new(&mut buffer, Class::Request, Method::BINDING, id).unwrap();
    writer.finish().to_vec()
}
