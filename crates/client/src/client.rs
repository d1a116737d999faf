//! A blocking TURN client over UDP, TCP or TLS, for tests and probes.
//!
//! Every method that asks the server something sends, waits, over UDP sends again by the
//! [`Schedule`], and answers challenges. Data that arrives meanwhile is kept for
//! [`Client::receive`], in order, and so are attempts of peers to connect, for
//! [`Client::next_attempt`].

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

use turn_codec::attribute::ConnectionId;
use turn_codec::{ChannelData, ChannelNumber, TransactionId};

use crate::deadline::deadline;
use crate::received::Kept;
use crate::wire::{MAX_MESSAGE, Wire};
use crate::{
    AllocateOptions, Allocation, Binding, ChannelBind, Connect, ConnectionAttempt, ConnectionBind,
    CreatePermission, Credentials, DataConnection, Error, Operation, Progress, Received, Refresh,
    Refusal, Schedule, SendIndication, Session, TlsOptions, Transaction,
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
    kept: Kept,
}

impl Client {
    /// Binds a local address, connects it to a server over UDP, and sends nothing yet.
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
        Self::over(Wire::connect(local, server)?, credentials)
    }

    /// Connects to a server over TCP.
    ///
    /// # Errors
    ///
    /// As [`Wire::connect_tcp`] and [`connect`](Self::connect).
    pub fn connect_tcp(
        local: SocketAddr,
        server: SocketAddr,
        credentials: Credentials,
    ) -> io::Result<Self> {
        Self::over(Wire::connect_tcp(local, server)?, credentials)
    }

    /// Connects to a server over TLS.
    ///
    /// # Errors
    ///
    /// As [`Wire::connect_tls`] and [`connect`](Self::connect).
    pub fn connect_tls(
        local: SocketAddr,
        server: SocketAddr,
        options: &TlsOptions,
        credentials: Credentials,
    ) -> io::Result<Self> {
        Self::over(Wire::connect_tls(local, server, options)?, credentials)
    }

    /// Makes a client of a wire. The first [`Schedule`] is that of a server that is near over
    /// UDP, and that of the RFC over a stream.
    ///
    /// # Errors
    ///
    /// `InvalidInput` where user name or password is not an OpaqueString.
    pub fn over(wire: Wire, credentials: Credentials) -> io::Result<Self> {
        let session = Session::new(credentials)
            .map_err(|error| io::Error::new(ErrorKind::InvalidInput, error))?;
        Ok(Self::with(wire, session))
    }

    /// Changes how often and how long the server is asked from now on; over a stream it is asked
    /// once, and waited for during [`Schedule::total`].
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

    /// Asks for a connection from the relayed transport address to a peer (RFC 6062).
    ///
    /// # Errors
    ///
    /// As [`transact`](Self::transact). A server may take 30 s and more to say that a peer does
    /// not answer; so long must the schedule be.
    pub fn connect_peer(&mut self, peer: SocketAddr) -> Result<ConnectionId, Error> {
        self.transact(&Connect { peer })
    }

    /// Waits for a peer to connect to the relayed transport address (RFC 6062).
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] where none did, or [`Error::Io`].
    pub fn next_attempt(&mut self, timeout: Duration) -> Result<ConnectionAttempt, Error> {
        self.wait_for(timeout, |kept| kept.attempts.pop_front())
    }

    /// Opens a second connection of the same kind, as [`another`](Self::another) does, and makes
    /// it the client data connection of a peer connection (RFC 6062 sections 4.3 and 4.4).
    ///
    /// # Errors
    ///
    /// As [`into_data_connection`](Self::into_data_connection).
    pub fn bind_data_connection(&self, id: ConnectionId) -> Result<DataConnection, Error> {
        self.another()?.into_data_connection(id)
    }

    /// Opens a second client of the same kind to the same server, from another port of the same
    /// address, with the same credentials and schedule. It has learned nothing of the server
    /// yet, so its first signed request is challenged.
    ///
    /// # Errors
    ///
    /// What the system answers, and what a TLS handshake fails with.
    pub fn another(&self) -> io::Result<Self> {
        let mut another = Self::with(self.wire.another()?, self.session.another());
        another.schedule = self.schedule;
        Ok(another)
    }

    /// Makes this very connection the client data connection of a peer connection, whoever
    /// asked for that.
    ///
    /// # Errors
    ///
    /// As [`transact`](Self::transact); the connection is closed. `Unsupported` over UDP, even
    /// where the server says yes.
    pub fn into_data_connection(mut self, id: ConnectionId) -> Result<DataConnection, Error> {
        self.transact(&ConnectionBind { id })?;
        Ok(self.wire.into_data_connection()?)
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
        let padding = ChannelData::pad_len(data.len());
        let mut buffer = vec![0; ChannelData::HEADER_LEN + data.len() + padding];
        let frame = ChannelData::new(number, data);
        let bytes = if self.wire.is_stream() {
            frame.encode_for_stream(&mut buffer)?
        } else {
            frame.encode(&mut buffer)?
        };
        Ok(self.wire.send(bytes)?)
    }

    /// Waits for data from any peer; what is neither data nor expected is passed over.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] where none came, or [`Error::Io`].
    pub fn receive(&mut self, timeout: Duration) -> Result<Received, Error> {
        self.wait_for(timeout, |kept| kept.data.pop_front())
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

    /// Returns the way to the server, to send any bytes and to read what comes back. Data that
    /// arrived during an earlier operation is not read here.
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

    fn with(wire: Wire, session: Session) -> Self {
        let schedule = if wire.is_stream() { Schedule::RFC_8489 } else { Schedule::default() };
        let buffer = vec![0; MAX_MESSAGE].into();
        Self { wire, session, schedule, buffer, kept: Kept::default() }
    }

    /// Reads on until there is what `take` looks for, or the time is over.
    fn wait_for<T>(
        &mut self,
        timeout: Duration,
        take: impl Fn(&mut Kept) -> Option<T>,
    ) -> Result<T, Error> {
        if let Some(found) = take(&mut self.kept) {
            return Ok(found);
        }
        let deadline = deadline(timeout);
        while let Some(bytes) = self.wire.receive_into(&mut self.buffer, deadline)? {
            self.kept.keep(bytes);
            if let Some(found) = take(&mut self.kept) {
                return Ok(found);
            }
        }
        Err(Error::Timeout)
    }

    fn run<O: Operation>(
        &mut self,
        transaction: &Transaction<O>,
    ) -> Result<Attempt<O::Response>, Error> {
        let is_reliable = self.wire.is_stream();
        // "Reliability of STUN over TCP and TLS-over-TCP is handled by TCP itself, and there are
        // no retransmissions at the STUN protocol level" (RFC 8489 section 6.2.2).
        let schedule =
            if is_reliable { Schedule::once(self.schedule.total()) } else { self.schedule };
        let mut silence = Error::Timeout;
        for wait in schedule.waits() {
            self.wire.send(transaction.bytes())?;
            let deadline = deadline(wait);
            while let Some(bytes) = self.wire.receive_into(&mut self.buffer, deadline)? {
                match self.session.receive(transaction, bytes) {
                    Progress::Unrelated => self.kept.keep(bytes),
                    // "If the request was sent over a reliable transport, the response MUST be
                    // discarded, and the layer MUST immediately end the transaction and signal
                    // that the integrity protection was violated" (section 9.2.5).
                    Progress::Distrusted if is_reliable => return Err(Error::BadIntegrity),
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
