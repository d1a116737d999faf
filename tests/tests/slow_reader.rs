//! A client that does not read for a while: the server's memory stays as it is, what is dropped is
//! what is old, and nobody else notices.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use turn_client::{AllocateOptions, Client, Error, Wire};
use turn_tests::lab::IPV4;
use turn_tests::system::{Choir, Site, Terms, channel, user};

/// How long nothing is read.
const PAUSE: Duration = Duration::from_secs(5);

/// What is aimed at the reader: 50 Mbit/s of payload.
const MESSAGE: usize = 1_000;
const MESSAGES_A_MILLISECOND: f64 = 6.25;

/// How long is read after the pause.
const READING: Duration = Duration::from_secs(4);

/// What may be old: what was in the kernel's buffers and in the queue when the pause ended.
const STALE: usize = 512 * 1_024;

const FRESH: Duration = Duration::from_secs(1);

/// Queue, TLS and the allocator's slack: far from the 30 MB that come during the pause.
const FLAT: u64 = 4 * 1_024 * 1_024;

#[test]
fn h17_slow_tls_reader_costs_no_memory_and_gets_fresh_frames_after_its_pause() {
    let site = Site::start(&Terms { shards: 1, ..Terms::default() });
    // The shard that serves the reader serves all of them.
    let mut others = [
        Choir::new(site.address(), 20),
        Choir::of(5, || site.connect_tcp()),
        Choir::of(5, || site.connect_tls()),
    ];
    let peer = UdpSocket::bind((IPV4, 0)).unwrap();
    let mut reader = reader(&site);
    let allocation = reader.allocate(&AllocateOptions::default()).unwrap();
    reader.bind_channel(channel(0), peer.local_addr().unwrap()).unwrap();
    for choir in &mut others {
        assert_eq!(choir.sing().lost, 0);
    }
    let resident = site.daemon().resident();
    let over = AtomicBool::new(false);
    let start = Instant::now();

    thread::scope(|scope| {
        scope.spawn(|| aim(&peer, allocation.relayed, start, &over));
        let singing = others.each_mut().map(|choir| {
            let goes_on = |_| !over.load(Ordering::Relaxed);
            scope.spawn(move || choir.sing_while(Duration::from_millis(50), goes_on))
        });
        let mut grown = 0;
        while start.elapsed() < PAUSE {
            thread::sleep(Duration::from_millis(100));
            grown = grown.max(site.daemon().resident().saturating_sub(resident));
        }
        let read = read(&mut reader, start);
        over.store(true, Ordering::Relaxed);
        let sung = singing.map(|thread| thread.join().unwrap());

        assert!(grown < FLAT, "{grown} bytes more than {resident}");
        let (stale, fresh) = read;
        assert!(fresh > 1_000, "only {fresh} frames after the first {STALE} bytes");
        assert!(stale < FRESH, "a frame was {stale:?} old");
        for sung in sung {
            assert!(sung.sent > 100 && sung.lost == 0, "{sung:?}");
        }
    });
    let stopped = site.stop("TERM");
    let dropped = stopped.counters.get("stream_frames_dropped").copied().unwrap_or(0);
    // All of the pause but for what fits into the buffers.
    assert!(dropped > 20_000, "{:?}", stopped.counters);
}

#[test]
fn h17_slow_reader_is_answered_while_its_data_is_dropped() {
    let site = Site::start(&Terms::default());
    let peer = UdpSocket::bind((IPV4, 0)).unwrap();
    let mut reader = reader(&site);
    let allocation = reader.allocate(&AllocateOptions::default()).unwrap();
    reader.bind_channel(channel(0), peer.local_addr().unwrap()).unwrap();
    let start = Instant::now();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| aim(&peer, allocation.relayed, start, &over));
        thread::sleep(Duration::from_secs(2));
        // The queue is full; the answer to a request is not dropped with the rest.
        let refreshed = reader.refresh(Duration::from_secs(600));
        over.store(true, Ordering::Relaxed);
        assert_eq!(refreshed.unwrap(), Duration::from_secs(600));
    });
}

/// A TLS client whose kernel takes in 64 KiB.
fn reader(site: &Site) -> Client {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    // Linux doubles what it is asked for, to have room for its own.
    socket.set_recv_buffer_size(32 * 1_024).unwrap();
    assert_eq!(socket.recv_buffer_size().unwrap(), 64 * 1_024);
    socket.connect(&site.address().into()).unwrap();
    let wire = Wire::over_tls(TcpStream::from(socket), &site.tls_options()).unwrap();
    Client::over(wire, user()).unwrap()
}

/// Sends messages that say when they were sent, until it is over.
fn aim(peer: &UdpSocket, relayed: SocketAddr, start: Instant, over: &AtomicBool) {
    let mut message = [0; MESSAGE];
    let mut sent = 0_u32;
    let begin = Instant::now();
    while !over.load(Ordering::Relaxed) {
        let due = begin.elapsed().as_secs_f64() * 1_000.0 * MESSAGES_A_MILLISECOND;
        while f64::from(sent) < due {
            let stamp = u64::try_from(start.elapsed().as_micros()).unwrap();
            message.split_at_mut(8).0.copy_from_slice(&stamp.to_be_bytes());
            peer.send_to(&message, relayed).unwrap();
            sent += 1;
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// Reads for a while; the age of the oldest frame behind the stale ones, and how many came there.
fn read(reader: &mut Client, start: Instant) -> (Duration, usize) {
    let end = Instant::now() + READING;
    let (mut bytes, mut oldest, mut fresh) = (0, Duration::ZERO, 0);
    while Instant::now() < end {
        let received = match reader.receive(Duration::from_millis(500)) {
            Ok(received) => received,
            Err(Error::Timeout) => continue,
            Err(error) => panic!("the reader is cut off: {error}"),
        };
        bytes += received.data.len();
        if bytes > STALE {
            let stamp = received.data.first_chunk().map(|stamp| u64::from_be_bytes(*stamp));
            let sent = Duration::from_micros(stamp.unwrap());
            oldest = oldest.max(start.elapsed().saturating_sub(sent));
            fresh += 1;
        }
    }
    (oldest, fresh)
}
