//! The forwarder without its loop: sockets, a table, and one step each way.

use std::{io, io::Write, net::SocketAddr, rc::Rc};

use turn_udp::{
    Datagram, Destination, Epoll, ListenerOptions, RecvBatch, RelayOptions, SendBatch, UdpSocket,
};

/// One channel a relay socket, one peer for all.
pub(crate) struct Forwarder {
    pub(crate) listener: Rc<UdpSocket>,
    relays: Vec<Relay>,
    peer: Destination,
    received: RecvBatch,
    sending: SendBatch,
}

struct Relay {
    socket: Rc<UdpSocket>,
    /// Whoever last sent on this channel.
    client: Option<Destination>,
    header: [u8; 2],
}

/// The first channel number (RFC 8656 section 12).
pub(crate) const FIRST_CHANNEL: u16 = 0x4000;

/// Messages of one call to the listener.
const AT_MOST: usize = 32;

/// Messages of one call to a relay socket, which mostly has one.
const AT_MOST_OF_RELAY: usize = 1;

/// Receive buffers: what a step can hold before it must send.
const SLOTS: usize = 64;

/// A relay socket that is connected to its peer, which spares the kernel a look at its routes.
pub(crate) fn relay_to(peer: SocketAddr, options: &RelayOptions) -> io::Result<Rc<UdpSocket>> {
    let socket = UdpSocket::relay(([127, 0, 0, 1], 0).into(), options)?;
    socket.connect(peer)?;
    Ok(Rc::new(socket))
}

impl Forwarder {
    /// Binds all sockets to loopback and prints their ports: the listener's,
    /// then one a channel.
    pub(crate) fn new(sockets: usize, peer: SocketAddr) -> anyhow::Result<Self> {
        turn_udp::raise_descriptor_limit()?;
        let local = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = ListenerOptions {
            gro: true,
            receive_buffer: Some(4 << 20),
            ..ListenerOptions::default()
        };
        let listener = Rc::new(UdpSocket::listener(local, &listener)?);
        let options = RelayOptions { gro: true, ..RelayOptions::default() };
        let mut relays = Vec::with_capacity(sockets);
        for index in 0..u16::try_from(sockets)? {
            let socket = relay_to(peer, &options)?;
            let header = (FIRST_CHANNEL + index).to_be_bytes();
            relays.push(Relay { socket, client: None, header });
        }
        print_ports(listener.local_addr(), relays.iter().map(|relay| &*relay.socket))?;
        Ok(Self {
            listener,
            relays,
            peer: Destination::to(peer),
            received: RecvBatch::new(SLOTS),
            sending: SendBatch::new(),
        })
    }

    /// Adds all relay sockets to `set`, each under its index.
    pub(crate) fn watch_relays(&self, set: &Epoll) -> io::Result<()> {
        (0..).zip(&self.relays).try_for_each(|(token, relay)| set.add(&*relay.socket, token))
    }

    /// Takes one batch from the listener and sends it to the peer; says how many datagrams.
    pub(crate) fn serve_listener(&mut self) -> io::Result<usize> {
        let fill = self.received.fill(&self.listener, AT_MOST)?;
        let mut datagrams = 0;
        for datagram in self.received.datagrams(fill.slots) {
            if let Some((relay, payload)) = from_client(&mut self.relays, &datagram) {
                let payload = datagram.at.range(payload);
                self.sending.push(&relay.socket, self.peer, b"", payload);
                datagrams += 1;
            }
        }
        self.flush();
        Ok(datagrams)
    }

    /// Takes what the buffers hold from these relay sockets and sends it to
    /// the clients; says how many datagrams.
    pub(crate) fn serve_relays(&mut self, tokens: &[u64]) -> io::Result<usize> {
        let mut datagrams = 0;
        for token in tokens {
            let relay = usize::try_from(*token).ok().and_then(|index| self.relays.get(index));
            let Some(relay) = relay else { continue };
            let fill = self.received.fill(&relay.socket, AT_MOST_OF_RELAY)?;
            for datagram in self.received.datagrams(fill.slots) {
                let Some(client) = relay.client else { continue };
                let length = datagram.bytes.len();
                let [c0, c1] = relay.header;
                let [l0, l1] = u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes();
                let payload = datagram.at.range(0..length);
                self.sending.push(&self.listener, client, &[c0, c1, l0, l1], payload);
                datagrams += 1;
            }
            if self.received.free_slots() == 0 {
                // The set is level-triggered: who was not asked is ready again.
                break;
            }
        }
        self.flush();
        Ok(datagrams)
    }

    fn flush(&mut self) {
        // A failure shows as a packet that the load misses.
        self.sending.flush(&mut self.received, |_, _, _| {});
        self.received.clear();
    }
}

/// Says on one line where to send to: the listener's port, then those of the relay sockets.
pub(crate) fn print_ports<'s>(
    listener: SocketAddr,
    relays: impl Iterator<Item = &'s UdpSocket>,
) -> io::Result<()> {
    let relays = relays.map(UdpSocket::local_addr);
    let ports = std::iter::once(listener).chain(relays).map(|address| address.port().to_string());
    let mut out = io::stdout().lock();
    writeln!(out, "{}", ports.collect::<Vec<_>>().join(","))?;
    out.flush()
}

/// The relay of a ChannelData message and where its payload is.
fn from_client<'r>(
    relays: &'r mut [Relay],
    datagram: &Datagram<'_>,
) -> Option<(&'r Relay, std::ops::Range<usize>)> {
    let (header, payload) = datagram.bytes.split_first_chunk::<4>()?;
    let [c0, c1, l0, l1] = *header;
    let index = u16::from_be_bytes([c0, c1]).checked_sub(FIRST_CHANNEL)?;
    let length = usize::from(u16::from_be_bytes([l0, l1]));
    if length > payload.len() {
        return None;
    }
    let relay = relays.get_mut(usize::from(index))?;
    relay.client = Some(Destination::to(datagram.from));
    Some((relay, 4..4 + length))
}
