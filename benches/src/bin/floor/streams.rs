//! The forwarder for clients on TCP or TLS: the same table, a connection a channel.

use std::{
    io::{self, ErrorKind},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    rc::Rc,
    sync::Arc,
};

use anyhow::Context;
use rustls::ServerConfig;
use turn_udp::{Destination, Epoll, Ready, RecvBatch, RelayOptions, SendBatch, UdpSocket, nap};

use crate::{
    forwarder::{FIRST_CHANNEL, print_ports, relay_to},
    pace::Pace,
    wire::{Wire, has_left},
};

/// How much is read at a time.
const CHUNK: usize = 32 * 1024;

/// One relay socket a connection, one peer for all.
pub(crate) struct StreamForwarder {
    flows: Vec<Flow>,
    peer: Destination,
    received: RecvBatch,
    sending: SendBatch,
    scratch: Box<[u8]>,
    set: Epoll,
}

/// A client's connection and what relays for it.
struct Flow {
    wire: Wire,
    /// What is not a whole message yet.
    unread: Vec<u8>,
    relay: Rc<UdpSocket>,
    header: [u8; 2],
}

impl StreamForwarder {
    /// Binds to loopback, prints the port of the listener and those of the relay sockets, and takes
    /// a connection for each.
    pub(crate) fn new(
        sockets: usize,
        peer: SocketAddr,
        tls: Option<Arc<ServerConfig>>,
    ) -> anyhow::Result<Self> {
        turn_udp::raise_descriptor_limit()?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let options = RelayOptions { gro: true, ..RelayOptions::default() };
        let relays =
            (0..sockets).map(|_| relay_to(peer, &options)).collect::<io::Result<Vec<_>>>()?;
        print_ports(listener.local_addr()?, relays.iter().map(|relay| &**relay))?;
        let set = Epoll::new()?;
        let mut flows = Vec::with_capacity(sockets);
        for (token, (relay, channel)) in
            (0..).step_by(2).zip(relays.into_iter().zip(FIRST_CHANNEL..))
        {
            let wire = Wire::accept(&listener, tls.clone())?;
            set.add(&wire.socket, token)?;
            set.add(&relay, token + 1)?;
            flows.push(Flow { wire, unread: Vec::new(), relay, header: channel.to_be_bytes() });
        }
        Ok(Self {
            flows,
            peer: Destination::to(peer),
            received: RecvBatch::new(64),
            sending: SendBatch::new(),
            scratch: vec![0; CHUNK].into(),
            set,
        })
    }

    /// Forwards until a client leaves.
    pub(crate) fn run(mut self, mut pace: Pace) -> anyhow::Result<()> {
        let mut ready = Ready::new();
        loop {
            let mut packets = 0;
            for token in self.set.wait(&mut ready, None)? {
                let Self { flows, peer, received, sending, scratch, .. } = &mut self;
                let flow =
                    flows.get_mut(usize::try_from(*token / 2)?).context("a token of ours")?;
                let served = if token % 2 == 0 {
                    flow.serve_client(scratch, *peer, sending)
                } else {
                    flow.serve_relay(scratch, received)
                };
                match served {
                    Ok(served) => packets += served,
                    Err(error) if has_left(&error) => return Ok(()),
                    Err(error) => return Err(error.into()),
                }
                sending.flush(received, |_, _, _| {});
                received.clear();
            }
            if let Some(budget) = pace.after(packets) {
                nap(budget);
            }
        }
    }
}

impl Flow {
    /// Sends on to the peer what one read brings.
    fn serve_client(
        &mut self,
        scratch: &mut [u8],
        peer: Destination,
        sending: &mut SendBatch,
    ) -> io::Result<usize> {
        let kept = self.unread.len();
        let (head, room) = scratch.split_at_mut_checked(kept).ok_or(ErrorKind::InvalidData)?;
        head.copy_from_slice(&self.unread);
        let read = self.wire.read(room)?;
        let mut rest = scratch.get(..kept + read).unwrap_or_default();
        let mut packets = 0;
        while let Some(([_, _, l0, l1], after)) = rest.split_first_chunk::<4>() {
            let length = usize::from(u16::from_be_bytes([*l0, *l1]));
            // Padded to whole words (RFC 8656 section 12.5).
            let Some((padded, next)) = after.split_at_checked(length.next_multiple_of(4)) else {
                break;
            };
            sending.push_bytes(&self.relay, peer, padded.get(..length).unwrap_or_default());
            packets += 1;
            rest = next;
        }
        if kept + rest.len() > 0 {
            self.unread = rest.to_vec();
        }
        Ok(packets)
    }

    /// Sends on to the client what its relay socket has.
    fn serve_relay(&mut self, scratch: &mut [u8], received: &mut RecvBatch) -> io::Result<usize> {
        let fill = received.fill(&self.relay, 1)?;
        let mut packets = 0;
        for datagram in received.datagrams(fill.slots) {
            let length = datagram.bytes.len();
            let message = scratch.get_mut(..4 + length.next_multiple_of(4));
            let message = message.ok_or(ErrorKind::InvalidData)?;
            let (header, room) = message.split_first_chunk_mut().ok_or(ErrorKind::InvalidData)?;
            let (data, padding) = room.split_at_mut(length);
            let [l0, l1] = u16::try_from(length).map_err(io::Error::other)?.to_be_bytes();
            let [c0, c1] = self.header;
            *header = [c0, c1, l0, l1];
            data.copy_from_slice(datagram.bytes);
            padding.fill(0);
            self.wire.write(message)?;
            packets += 1;
        }
        Ok(packets)
    }
}
