//! The forwarder for clients on TCP or TLS: the same table, a connection a channel.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    rc::Rc,
    sync::Arc,
};

use anyhow::Context;
use rustls::{ServerConfig, ServerConnection, pki_types::pem::PemObject};
use turn_udp::{Destination, Epoll, Ready, RecvBatch, RelayOptions, SendBatch, UdpSocket, nap};

use crate::{forwarder::FIRST_CHANNEL, pace::Pace};

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

/// A connection, with TLS or without.
struct Wire {
    socket: TcpStream,
    tls: Option<Box<ServerConnection>>,
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
        let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let relays = (0..sockets)
            .map(|_| UdpSocket::relay(local, &options))
            .collect::<io::Result<Vec<_>>>()?;
        let relay_ports = relays.iter().map(|relay| relay.local_addr().port());
        let ports: Vec<String> = std::iter::once(listener.local_addr()?.port())
            .chain(relay_ports)
            .map(|port| port.to_string())
            .collect();
        let mut out = io::stdout().lock();
        writeln!(out, "{}", ports.join(","))?;
        out.flush()?;
        let set = Epoll::new()?;
        let mut flows = Vec::with_capacity(sockets);
        for (token, (relay, channel)) in
            (0..).step_by(2).zip(relays.into_iter().zip(FIRST_CHANNEL..))
        {
            let wire = Wire::accept(&listener, tls.clone())?;
            set.add(&wire.socket, token)?;
            set.add(&relay, token + 1)?;
            flows.push(Flow {
                wire,
                unread: Vec::new(),
                relay: Rc::new(relay),
                header: channel.to_be_bytes(),
            });
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
                    flow.serve_relay(received)
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
    fn serve_relay(&mut self, received: &mut RecvBatch) -> io::Result<usize> {
        let fill = received.fill(&self.relay, 1)?;
        let mut packets = 0;
        for datagram in received.datagrams(fill.slots) {
            let length = u16::try_from(datagram.bytes.len()).map_err(io::Error::other)?;
            let [c0, c1] = self.header;
            let [l0, l1] = length.to_be_bytes();
            let padding = usize::from(length).next_multiple_of(4) - usize::from(length);
            let padding = [0; 3].get(..padding).unwrap_or_default().to_vec();
            self.wire.write(&[&[c0, c1, l0, l1], datagram.bytes, &padding].concat())?;
            packets += 1;
        }
        Ok(packets)
    }
}

impl Wire {
    fn accept(listener: &TcpListener, tls: Option<Arc<ServerConfig>>) -> anyhow::Result<Self> {
        let (mut socket, _) = listener.accept()?;
        socket.set_nodelay(true)?;
        let mut tls = tls.map(ServerConnection::new).transpose()?.map(Box::new);
        if let Some(tls) = &mut tls {
            while tls.is_handshaking() {
                tls.complete_io(&mut socket)?;
            }
        }
        socket.set_nonblocking(true)?;
        Ok(Self { socket, tls })
    }

    /// Reads once; the end of a stream is an error.
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let socket = &mut self.socket;
        let Some(tls) = &mut self.tls else { return at_least_one(socket.read(room)?) };
        at_least_one(tls.read_tls(socket)?)?;
        tls.process_new_packets().map_err(io::Error::other)?;
        let mut read = 0;
        while let Some(room) = room.get_mut(read..).filter(|room| !room.is_empty()) {
            match tls.reader().read(room) {
                Ok(count) => read += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(read)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(tls) = &mut self.tls else { return self.socket.write_all(bytes) };
        tls.writer().write_all(bytes)?;
        tls.write_tls(&mut self.socket)?;
        Ok(())
    }
}

fn at_least_one(read: usize) -> io::Result<usize> {
    if read == 0 { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(read) }
}

/// Whether this is the end of a connection.
fn has_left(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
    )
}

/// A certificate made for this run, which nobody has to believe.
pub(crate) fn any_identity() -> anyhow::Result<Arc<ServerConfig>> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let key = rustls::pki_types::PrivateKeyDer::from_pem_slice(
        made.signing_key.serialize_pem().as_bytes(),
    )?;
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)?;
    Ok(Arc::new(config))
}
