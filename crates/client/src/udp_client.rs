//! A blocking TURN client over UDP, for tests and probes.
//!
//! Every method that asks the server something sends, waits, sends again by the
//! [`Schedule`], and answers challenges. Data that arrives meanwhile is kept for
//! [`Client::receive`], in order.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

use turn_codec::{ChannelData, ChannelNumber, TransactionId};

use crate::wire::{MAX_DATAGRAM, Wire, deadline};
use crate::{
    AllocateOptions, Allocation, Binding, ChannelBind, CreatePermission, Credentials, Error,
    Incoming, Operation, Progress, Refresh, Refusal, Schedule, SendIndication, Session,
    Transaction,
};

/// Challenges to one operation that are answered: a 401, a 438, and two more for nonces that
/// age while they travel.
const MAX_TRIES: u32 = 4;

/// A client with one 5-tuple.
#[derive(Debug)]
pub struct Client {
    wire: Wire,
    session: Session,
    schedule: Schedule,
    buffer: Box<[u8]>,
    waiting: VecDeque<Received>,
}

/// Data that came through the relay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// What the server named as its origin.
    pub from: Origin,
    /// The data.
    pub data: Vec<u8>,
}

/// How the server named the origin of data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// By its address, in a Data indication.
    Peer(SocketAddr),
    /// By a channel that is bound to it.
    Channel(ChannelNumber),
}

impl Client {
    /// Binds a local address, connects it to a server, and sends nothing yet.
    ///
    /// # Errors
    ///
    /// What the system answers; `InvalidInput` where user name or password is not an
    /// OpaqueString.
    pub fn connect(
        local: SocketAddr,
        server: SocketAddr,
        credentials: Credentials,
    ) -> io::Result<Self> {
        let session = Session::new(credentials)
            .map_err(|error| io::Error::new(ErrorKind::InvalidInput, error))?;
        Ok(Self {
            wire: Wire::connect(local, server)?,
            session,
            schedule: Schedule::default(),
            buffer: vec![0; MAX_DATAGRAM].into(),
            waiting: VecDeque::new(),
        })
    }

    /// Changes how often and how long the server is asked from now on.
    pub const fn set_schedule(&mut self, schedule: Schedule) {
        self.schedule = schedule;
    }

    /// Asks for the reflexive transport address.
    ///
    /// # Errors
    ///
    /// As [`transact`](Self::transact); so for all methods below that ask the server.
    pub fn binding(&mut self) -> Result<SocketAddr, Error> {
        self.transact(&Binding)
    }

    /// Makes an allocation.
    ///
    /// # Errors
    ///
    /// As [`transact`](Self::transact).
    pub fn allocate(&mut self, options: &AllocateOptions) -> Result<Allocation, Error> {
        self.transact(options)
    }

    /// Asks for a lifetime from now on and returns the granted one; zero ends the allocation.
    ///
    /// # Errors
    ///
    /// As [`transact`](Self::transact).
    pub fn refresh(&mut self, lifetime: Duration) -> Result<Duration, Error> {
        self.transact(&Refresh { lifetime: Some(lifetime), family: None })
    }

    /// Lets these peers send to the relayed transport address.
    ///
    /// # Errors
    ///
    /// As [`transact`](Self::transact).
    pub fn create_permission(&mut self, peers: &[SocketAddr]) -> Result<(), Error> {
        self.transact(&CreatePermission { peers })
    }

    /// Binds a channel to a peer.
    ///
    /// # Errors
    ///
    /// As [`transact`](Self::transact).
    pub fn bind_channel(&mut self, number: ChannelNumber, peer: SocketAddr) -> Result<(), Error> {
        self.transact(&ChannelBind { number: number.into(), peer })
    }

    /// Sends data to a peer in a Send indication; nothing tells whether it arrived.
    ///
    /// # Errors
    ///
    /// [`Error::NoRoom`] or [`Error::Io`].
    pub fn send_to(&mut self, peer: SocketAddr, data: &[u8]) -> Result<(), Error> {
        let mut buffer = vec![0; SendIndication::MAX_OVERHEAD + data.len()];
        let indication = SendIndication::new(peer, data);
        let bytes = indication.encode(&mut buffer, random_id()?)?;
        Ok(self.wire.send(bytes)?)
    }

    /// Sends data on a channel; nothing tells whether it arrived.
    ///
    /// # Errors
    ///
    /// [`Error::NoRoom`] or [`Error::Io`].
    pub fn send_channel(&mut self, number: ChannelNumber, data: &[u8]) -> Result<(), Error> {
        let mut buffer = vec![0; ChannelData::HEADER_LEN + data.len()];
        let bytes = ChannelData::new(number, data).encode(&mut buffer)?;
        Ok(self.wire.send(bytes)?)
    }

    /// Waits for data from any peer; what is neither data nor expected is passed over.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] where none came, or [`Error::Io`].
    pub fn receive(&mut self, timeout: Duration) -> Result<Received, Error> {
        if let Some(received) = self.waiting.pop_front() {
            return Ok(received);
        }
        let deadline = deadline(timeout);
        while let Some(bytes) = self.wire.receive_into(&mut self.buffer, deadline)? {
            if let Some(received) = Received::read(bytes) {
                return Ok(received);
            }
        }
        Err(Error::Timeout)
    }

    /// Performs any operation: sends its request by the schedule, answers challenges, and
    /// returns what the response tells.
    ///
    /// # Errors
    ///
    /// Any [`Error`].
    pub fn transact<O: Operation>(&mut self, operation: &O) -> Result<O::Response, Error> {
        let mut tries = 0;
        loop {
            tries += 1;
            let transaction = self.session.begin(operation, random_id()?)?;
            match self.run(&transaction)? {
                Attempt::Done(response) => return Ok(response),
                Attempt::Challenged(refusal) if tries == MAX_TRIES => {
                    return Err(Error::Refused(refusal));
                }
                Attempt::Challenged(_) => {}
            }
        }
    }

    /// Returns the socket, to send any bytes and to read what comes back. Data that arrived
    /// during an earlier operation is not read here.
    #[must_use]
    pub const fn raw(&self) -> &Wire {
        &self.wire
    }

    /// Returns what is known of the server.
    #[must_use]
    pub const fn session(&self) -> &Session {
        &self.session
    }

    /// Returns how many 401 responses were met.
    #[must_use]
    pub const fn challenges(&self) -> u64 {
        self.session.challenges()
    }

    /// Returns how many 438 responses were met.
    #[must_use]
    pub const fn stale_nonces(&self) -> u64 {
        self.session.stale_nonces()
    }

    /// Returns the address that this client sends from.
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.wire.local_addr()
    }

    fn run<O: Operation>(
        &mut self,
        transaction: &Transaction<O>,
    ) -> Result<Attempt<O::Response>, Error> {
        let mut silence = Error::Timeout;
        for wait in self.schedule.waits() {
            self.wire.send(transaction.bytes())?;
            let deadline = deadline(wait);
            while let Some(bytes) = self.wire.receive_into(&mut self.buffer, deadline)? {
                match self.session.receive(transaction, bytes) {
                    Progress::Unrelated => self.waiting.extend(Received::read(bytes)),
                    // "instead of signaling a timeout after ending the transaction, the layer
                    // MUST signal that the integrity protection was violated" (section 9.2.5).
                    Progress::Distrusted => silence = Error::BadIntegrity,
                    Progress::Retry(refusal) => return Ok(Attempt::Challenged(refusal)),
                    Progress::Success(response) => return Ok(Attempt::Done(response)),
                    Progress::Failure(error) => return Err(error),
                }
            }
        }
        Err(silence)
    }
}

impl Received {
    fn read(bytes: &[u8]) -> Option<Self> {
        let (from, data) = match Incoming::parse(bytes) {
            Incoming::FromPeer { peer, data } => (Origin::Peer(peer), data),
            Incoming::OnChannel { number, data } => (Origin::Channel(number), data),
            Incoming::IcmpError { .. } | Incoming::Response | Incoming::Unusable => return None,
        };
        let data = data.to_vec();
        Some(Self { from, data })
    }
}

/// How one transaction ended.
enum Attempt<R> {
    Done(R),
    Challenged(Refusal),
}

/// RFC 8489 section 5: "the transaction ID MUST be uniformly and randomly chosen ... and SHOULD
/// be cryptographically random".
fn random_id() -> io::Result<TransactionId> {
    let mut bytes = [0; 12];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(TransactionId::new(bytes))
}
