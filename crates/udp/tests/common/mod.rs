//! Sockets and batches for tests that send real datagrams over loopback.
#![expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]
#![allow(dead_code, reason = "each test file uses a part of this")]

use std::{net::SocketAddr, rc::Rc};

use turn_udp::{Destination, Flushed, ListenerOptions, RecvBatch, SendBatch, SendError, UdpSocket};

/// A socket that listens on a port of its own at `address`.
pub(crate) fn bound(address: &str, options: &ListenerOptions) -> Rc<UdpSocket> {
    let address: SocketAddr = address.parse().unwrap();
    Rc::new(UdpSocket::listener(address, options).unwrap())
}

/// A socket without any option on 127.0.0.1.
pub(crate) fn plain() -> Rc<UdpSocket> {
    bound("127.0.0.1:0", &ListenerOptions::default())
}

/// Takes trains.
pub(crate) fn with_gro() -> ListenerOptions {
    ListenerOptions { gro: true, ..ListenerOptions::default() }
}

/// All datagrams that wait on `socket`, each with its sender.
pub(crate) fn drain(socket: &UdpSocket) -> Vec<(SocketAddr, Vec<u8>)> {
    let (mut batch, mut all) = (RecvBatch::new(32), Vec::new());
    loop {
        let fill = batch.fill(socket, 32).unwrap();
        assert_eq!(fill.truncated, 0);
        let datagrams = batch.datagrams(fill.slots);
        all.extend(datagrams.map(|datagram| (datagram.from, datagram.bytes.to_vec())));
        if fill.drained {
            return all;
        }
        batch.clear();
    }
}

/// The payloads that wait on `socket`.
pub(crate) fn payloads(socket: &UdpSocket) -> Vec<Vec<u8>> {
    drain(socket).into_iter().map(|(_, bytes)| bytes).collect()
}

/// Pushes copies of `datagrams`, flushes, and says what failed.
pub(crate) fn send<'a>(
    datagrams: impl IntoIterator<Item = (&'a Rc<UdpSocket>, Destination, Vec<u8>)>,
) -> (Flushed, Vec<SendError>) {
    let (mut batch, mut errors) = (SendBatch::new(), Vec::new());
    for (via, destination, bytes) in datagrams {
        batch.push_bytes(via, destination, &bytes);
    }
    let flushed = batch.flush(&mut RecvBatch::new(1), |_, _, error| errors.push(error));
    (flushed, errors)
}

/// Bytes that differ from one number to the next.
pub(crate) fn numbered(number: u16, size: usize) -> Vec<u8> {
    number.to_be_bytes().into_iter().cycle().take(size).collect()
}
