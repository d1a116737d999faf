//! The batches around the system calls: a thousand datagrams of 160 B.
//!
//! valgrind counts instructions of the process and none of the kernel's, so what
//! is counted is the staging, the calls as libc makes them, and what is read of
//! their results.

use std::{hint::black_box, net::SocketAddr, rc::Rc};

use gungraun::{library_benchmark, library_benchmark_group};
use turn_udp::{Destination, ListenerOptions, RecvBatch, RelayOptions, SendBatch, UdpSocket};

/// Datagrams of a batch; 40 of these are a thousand.
const BATCH: usize = 25;
const BATCHES: usize = 40;

const DATAGRAM: [u8; 160] = [7; 160];

library_benchmark_group!(
    name = sockets_group,
    benchmarks = [sent_from_as_many_sockets, sent_in_trains, received_in_batches]
);

/// Sockets that send, and one that is sent to.
struct Senders {
    batch: SendBatch,
    received: RecvBatch,
    sockets: Vec<Rc<UdpSocket>>,
    sink: UdpSocket,
}

// Each datagram of a batch leaves by a relay socket of its own.
#[library_benchmark]
#[bench::datagrams(Senders::new(BATCH))]
fn sent_from_as_many_sockets(mut senders: Senders) -> Senders {
    senders.send();
    senders
}

// All datagrams of a batch are one train.
#[library_benchmark]
#[bench::datagrams(Senders::new(1))]
fn sent_in_trains(mut senders: Senders) -> Senders {
    senders.send();
    senders
}

// A socket with a batch in its buffer, and another, and so on.
#[library_benchmark]
#[bench::datagrams(Receivers::new())]
fn received_in_batches(mut receivers: Receivers) -> Receivers {
    for socket in &receivers.sockets {
        receivers.batch.clear();
        let filled = receivers.batch.fill(socket, BATCH + 1).unwrap();
        let mut count = 0;
        for datagram in receivers.batch.datagrams(filled.slots) {
            count += 1;
            assert_eq!(black_box(datagram).bytes.len(), DATAGRAM.len());
        }
        assert_eq!(count, BATCH);
    }
    receivers
}

struct Receivers {
    batch: RecvBatch,
    sockets: Vec<UdpSocket>,
}

impl Senders {
    fn new(sockets: usize) -> Self {
        let relay = || Rc::new(UdpSocket::relay(loopback(), &RelayOptions::default()).unwrap());
        let sockets = (0..sockets).map(|_| relay()).collect();
        let sink = UdpSocket::relay(loopback(), &RelayOptions::default()).unwrap();
        let (batch, received) = (SendBatch::new(), RecvBatch::new(1));
        let mut senders = Self { batch, received, sockets, sink };
        // What grows has grown before anything is counted.
        senders.send();
        senders
    }

    #[inline(never)]
    fn send(&mut self) {
        let to = Destination::to(self.sink.local_addr());
        for _ in 0..BATCHES {
            for socket in self.sockets.iter().cycle().take(BATCH) {
                self.batch.push_bytes(socket, to, black_box(&DATAGRAM));
            }
            let flushed = self.batch.flush(&mut self.received, |_, _, error| panic!("{error:?}"));
            assert_eq!(black_box(flushed).datagrams, BATCH as u64);
        }
    }
}

impl Receivers {
    fn new() -> Self {
        let options = ListenerOptions { gro: true, ..ListenerOptions::default() };
        let sockets: Vec<_> =
            (0..BATCHES).map(|_| UdpSocket::listener(loopback(), &options).unwrap()).collect();
        let source = std::net::UdpSocket::bind(loopback()).unwrap();
        for socket in &sockets {
            for _ in 0..BATCH {
                source.send_to(&DATAGRAM, socket.local_addr()).unwrap();
            }
        }
        Self { batch: RecvBatch::new(BATCH + 1), sockets }
    }
}

fn loopback() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}
