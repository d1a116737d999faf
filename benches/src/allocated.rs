//! A client with an allocation and a channel, over a socket of `turn-udp`.

use std::{
    net::SocketAddr,
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use turn_client::{
    AllocateOptions, ChannelBind, Credentials, Operation, Progress, Refresh, Schedule, Session,
};
use turn_codec::{ChannelNumber, TransactionId};
use turn_udp::{Destination, Epoll, ListenerOptions, Ready, RecvBatch, SendBatch, UdpSocket};

/// The one channel of each client.
pub(crate) const CHANNEL: ChannelNumber = ChannelNumber::MIN;

/// How often a server may challenge one operation.
const MAX_TRIES: u32 = 4;

/// A client whose allocation lives.
pub(crate) struct Allocated {
    pub(crate) socket: Rc<UdpSocket>,
    pub(crate) relayed: SocketAddr,
    session: Session,
}

/// Asks a server, one request at a time.
pub(crate) struct Asker {
    pub(crate) server: Destination,
    set: Epoll,
    ready: Ready,
    received: RecvBatch,
    sending: SendBatch,
}

impl Asker {
    pub(crate) fn new(server: SocketAddr) -> anyhow::Result<Self> {
        Ok(Self {
            server: Destination::to(server),
            set: Epoll::new()?,
            ready: Ready::new(),
            received: RecvBatch::new(8),
            sending: SendBatch::new(),
        })
    }

    /// Makes a client on an address of this host, its allocation, and its
    /// channel to `peer`.
    pub(crate) fn allocate(
        &mut self,
        local: SocketAddr,
        options: &ListenerOptions,
        credentials: &Credentials,
        peer: SocketAddr,
    ) -> anyhow::Result<Allocated> {
        let socket = Rc::new(UdpSocket::listener(local, options)?);
        let mut session = Session::new(credentials.clone())?;
        self.set.add(&*socket, 0)?;
        let allocation = self
            .transact(&socket, &mut session, &AllocateOptions::default())
            .context("cannot allocate")?;
        let bind = ChannelBind { number: CHANNEL.into(), peer };
        self.transact(&socket, &mut session, &bind).context("cannot bind a channel")?;
        self.set.remove(&*socket)?;
        Ok(Allocated { socket, relayed: allocation.relayed, session })
    }

    /// Tells the server that the allocation is not needed any more; does not
    /// wait for its answer.
    pub(crate) fn end(&mut self, allocated: &Allocated) -> anyhow::Result<()> {
        let refresh = Refresh { lifetime: Some(Duration::ZERO), family: None };
        let transaction = allocated.session.begin(refresh, random_id()?)?;
        self.send(&allocated.socket, transaction.bytes());
        Ok(())
    }

    fn transact<O: Operation>(
        &mut self,
        socket: &Rc<UdpSocket>,
        session: &mut Session,
        operation: &O,
    ) -> anyhow::Result<O::Response> {
        for _ in 0..MAX_TRIES {
            let transaction = session.begin(operation, random_id()?)?;
            let answer = self.run(socket, transaction.bytes(), |bytes| {
                match session.receive(&transaction, bytes) {
                    Progress::Unrelated | Progress::Distrusted => None,
                    Progress::Retry(_) => Some(Ok(None)),
                    Progress::Success(response) => Some(Ok(Some(response))),
                    Progress::Failure(error) => Some(Err(error)),
                }
            })?;
            if let Some(response) = answer? {
                return Ok(response);
            }
        }
        bail!("challenged {MAX_TRIES} times")
    }

    /// Sends a request by schedule until `read` makes something of what comes.
    fn run<T>(
        &mut self,
        socket: &Rc<UdpSocket>,
        request: &[u8],
        mut read: impl FnMut(&[u8]) -> Option<T>,
    ) -> anyhow::Result<T> {
        for wait in Schedule::NEAR.waits() {
            self.send(socket, request);
            let until = Instant::now() + wait;
            loop {
                let left = until.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    break;
                }
                self.set.wait(&mut self.ready, Some(left))?;
                self.received.clear();
                // An ICMP error is about an earlier request; the schedule decides.
                let slots = self.received.fill(socket, 8).map(|fill| fill.slots);
                let datagrams = self.received.datagrams(slots.unwrap_or_default());
                let mut answers = datagrams.filter_map(|datagram| read(datagram.bytes));
                if let Some(answer) = answers.next() {
                    return Ok(answer);
                }
            }
        }
        bail!("no answer from {}", self.server.to)
    }

    fn send(&mut self, socket: &Rc<UdpSocket>, bytes: &[u8]) {
        self.sending.push_bytes(socket, self.server, bytes);
        // What does not leave is sent again by the schedule.
        self.sending.flush(&self.received, |_, _, _| {});
    }
}

fn random_id() -> anyhow::Result<TransactionId> {
    let mut bytes = [0; 12];
    getrandom::fill(&mut bytes).context("no randomness")?;
    Ok(TransactionId::new(bytes))
}
