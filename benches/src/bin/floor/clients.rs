//! The clients of the load: a socket or a connection each.

use std::{io, net::SocketAddr, rc::Rc, time::Duration};

use anyhow::Context;
use turn_client::{
    TlsOptions,
    load::{Streams, Transport},
};
use turn_udp::{Destination, Epoll, ListenerOptions, Ready, RecvBatch, SendBatch, UdpSocket};

/// All clients, by number.
pub(crate) enum Clients {
    Datagrams { sockets: Vec<Rc<UdpSocket>>, forwarder: Destination, set: Epoll, ready: Ready },
    Streams(Streams),
}

impl Clients {
    /// Makes `count` of them, which send to the forwarder.
    pub(crate) fn connect(
        transport: Transport,
        forwarder: SocketAddr,
        count: usize,
    ) -> io::Result<Self> {
        let local = SocketAddr::from(([127, 0, 0, 1], 0));
        let tls = TlsOptions::trusting_anybody("localhost");
        let streams = |tls| Streams::connect(local, forwarder, count, tls).map(Self::Streams);
        match transport {
            Transport::Tcp => streams(None),
            Transport::Tls => streams(Some(&tls)),
            Transport::Udp => {
                let set = Epoll::new()?;
                let mut sockets = Vec::with_capacity(count);
                for token in 0..count as u64 {
                    let socket = UdpSocket::listener(local, &ListenerOptions::default())?;
                    set.add(&socket, token)?;
                    sockets.push(Rc::new(socket));
                }
                let forwarder = Destination::to(forwarder);
                Ok(Self::Datagrams { sockets, forwarder, set, ready: Ready::new() })
            }
        }
    }

    /// Sends a message from one of them: over UDP with the batch, else at once.
    pub(crate) fn send(
        &mut self,
        client: usize,
        message: &[u8],
        sending: &mut SendBatch,
    ) -> anyhow::Result<()> {
        match self {
            Self::Datagrams { sockets, forwarder, .. } => {
                let socket = sockets.get(client).context("a client of ours")?;
                sending.push_bytes(socket, *forwarder, message);
            }
            Self::Streams(streams) => {
                streams.send(client, message)?;
                streams.flush_one(client)?;
            }
        }
        Ok(())
    }

    /// Counts what has arrived.
    pub(crate) fn receive(&mut self, received: &mut RecvBatch) -> anyhow::Result<u64> {
        let mut messages = 0;
        match self {
            Self::Datagrams { sockets, set, ready, .. } => {
                for token in set.wait(ready, Some(Duration::ZERO))? {
                    let socket = usize::try_from(*token).ok().and_then(|i| sockets.get(i));
                    let socket = socket.context("a token of ours")?;
                    messages += received.fill(socket, 4)?.slots.len() as u64;
                }
            }
            Self::Streams(streams) => streams.receive(|_, _| messages += 1)?,
        }
        Ok(messages)
    }
}
