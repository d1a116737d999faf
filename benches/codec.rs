//! Reading, building and proving the messages that a server meets all day.

#![expect(clippy::unwrap_used, reason = "a bench stops at its first surprise")]

use std::{hint::black_box, net::SocketAddr, time::Duration};

use criterion::{Criterion, criterion_group, criterion_main};
use turn_codec::attribute::{
    ErrorCode, Lifetime, Nonce, Realm, RequestedTransport, Software, Username, XorMappedAddress,
    XorRelayedAddress,
};
use turn_codec::{
    ChannelData, ChannelNumber, Class, Message, MessageWriter, Method, NoRoom, StatusCode,
    TransactionId, classify, data_indication_head, next_frame,
};
use turn_credentials::LongTermKey;

const ID: TransactionId = TransactionId::new(*b"transaction.");
const NONCE: &str = "obMatJos2AAACdGVzdC1ub25jZS0yNC1jaGFyczE";
const REALM: &str = "bench.example";

fn reading(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("codec/read");
    let binding = build(Class::Request, Method::BINDING, |_| Ok(()));
    let allocate = allocate_request();
    let frame = channel_data();
    group.bench_function("classify", |b| b.iter(|| classify(black_box(&allocate))));
    group.bench_function("Binding request", |b| b.iter(|| Message::parse(black_box(&binding))));
    group.bench_function("Allocate request", |b| b.iter(|| Message::parse(black_box(&allocate))));
    group.bench_function("Allocate request, its attributes", |b| {
        let message = Message::parse(&allocate).unwrap();
        b.iter(|| {
            let message = black_box(&message);
            let Username(name) = message.get().unwrap().unwrap();
            let Realm(realm) = message.get().unwrap().unwrap();
            let Nonce(nonce) = message.get().unwrap().unwrap();
            let Lifetime(lifetime) = message.get().unwrap().unwrap();
            (name.len(), realm.len(), nonce.len(), lifetime, message.unknown_required().count())
        });
    });
    group.bench_function("ChannelData", |b| {
        b.iter(|| ChannelData::parse_datagram(black_box(&frame)));
    });
    group.bench_function("frame of a stream", |b| b.iter(|| next_frame(black_box(&allocate))));
    group.finish();
}

fn building(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("codec/build");
    let client: SocketAddr = "192.0.2.9:40000".parse().unwrap();
    let relayed: SocketAddr = "198.51.100.7:50000".parse().unwrap();
    let key = key();
    let mut buffer = [0; 512];
    group.bench_function("Binding response", |b| {
        b.iter(|| {
            write(&mut buffer, Class::Success, Method::BINDING, |w| {
                w.push(&XorMappedAddress(black_box(client)))
            })
        });
    });
    group.bench_function("401 response", |b| {
        b.iter(|| {
            write(&mut buffer, Class::Error, Method::ALLOCATE, |w| {
                w.push(&ErrorCode { code: StatusCode::UNAUTHENTICATED, reason: "" })?;
                w.push(&Realm(black_box(REALM)))?;
                w.push(&Nonce(NONCE))
            })
        });
    });
    group.bench_function("Allocate response, signed", |b| {
        b.iter(|| {
            write(&mut buffer, Class::Success, Method::ALLOCATE, |w| {
                w.push(&XorRelayedAddress(black_box(relayed)))?;
                w.push(&Lifetime(600))?;
                w.push(&XorMappedAddress(client))?;
                w.integrity(key.as_bytes())
            })
        });
    });
    group.bench_function("FINGERPRINT", |b| {
        b.iter(|| {
            write(&mut buffer, Class::Success, Method::BINDING, |w| {
                w.push(&XorMappedAddress(black_box(client)))?;
                w.fingerprint()
            })
        });
    });
    group.bench_function("head of a Data indication", |b| {
        let mut head = [0; turn_codec::MAX_DATA_INDICATION_HEAD];
        b.iter(|| data_indication_head(&mut head, black_box(relayed), 160, ID));
    });
    group.bench_function("ChannelData", |b| {
        let data = [7; 160];
        b.iter(|| {
            let frame = ChannelData::new(ChannelNumber::MIN, black_box(&data));
            frame.encode(&mut buffer).unwrap().len()
        });
    });
    group.finish();
}

fn proving(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("codec/prove");
    let key = key();
    let sha256_key = LongTermKey::sha256("bench", REALM, "password");
    let allocate = allocate_request();
    let allocate = Message::parse(&allocate).unwrap();
    let sha256 = build(Class::Request, Method::ALLOCATE, |w| {
        attributes(w)?;
        w.integrity_sha256(sha256_key.as_bytes())
    });
    let sha256 = Message::parse(&sha256).unwrap();
    group.bench_function("MESSAGE-INTEGRITY", |b| {
        b.iter(|| black_box(&allocate).verify_integrity(key.as_bytes()).unwrap());
    });
    group.bench_function("MESSAGE-INTEGRITY-SHA256", |b| {
        b.iter(|| black_box(&sha256).verify_integrity_sha256(sha256_key.as_bytes()).unwrap());
    });
    group.bench_function("key of user, realm and password", |b| {
        b.iter(|| LongTermKey::md5(black_box("bench"), REALM, "password"));
    });
    group.finish();
}

fn allocate_request() -> Vec<u8> {
    build(Class::Request, Method::ALLOCATE, |w| {
        attributes(w)?;
        w.integrity(key().as_bytes())?;
        w.fingerprint()
    })
}

fn attributes(writer: &mut MessageWriter<'_>) -> Result<(), NoRoom> {
    writer.push(&RequestedTransport::UDP)?;
    writer.push(&Lifetime(600))?;
    writer.push(&Software("a client of some kind"))?;
    writer.push(&Username("1800000000:alice"))?;
    writer.push(&Realm(REALM))?;
    writer.push(&Nonce(NONCE))
}

fn channel_data() -> Vec<u8> {
    let mut buffer = [0; 256];
    let frame = ChannelData::new(ChannelNumber::MIN, &[7; 160]);
    frame.encode(&mut buffer).unwrap().to_vec()
}

fn key() -> LongTermKey {
    LongTermKey::md5("bench", REALM, "password")
}

fn build(
    class: Class,
    method: Method,
    attributes: impl FnOnce(&mut MessageWriter<'_>) -> Result<(), NoRoom>,
) -> Vec<u8> {
    let mut buffer = [0; 512];
    let len = write(&mut buffer, class, method, attributes);
    buffer.get(..len).unwrap().to_vec()
}

fn write(
    buffer: &mut [u8],
    class: Class,
    method: Method,
    attributes: impl FnOnce(&mut MessageWriter<'_>) -> Result<(), NoRoom>,
) -> usize {
    let mut writer = MessageWriter::new(buffer, class, method, ID).unwrap();
    attributes(&mut writer).unwrap();
    black_box(writer.finish()).len()
}

criterion_group! {
    name = codec;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .nresamples(10_000);
    targets = reading, building, proving
}
criterion_main!(codec);
