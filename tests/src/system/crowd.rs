//! Many clients at once, driven by one thread over sockets that do not block.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use turn_client::{
    AllocateOptions, Allocation, Credentials, Progress, Schedule, Session, Transaction,
};
use turn_codec::TransactionId;

/// Clients that all ask at the same moment, and retransmit by RFC 8489 section 6.2.1.
#[derive(Debug)]
pub struct Crowd {
    server: SocketAddr,
    members: Vec<Member>,
    /// Makes transaction ids.
    transactions: u64,
}

/// What became of an operation of the whole crowd.
#[derive(Debug, Default)]
pub struct Outcome {
    /// From the first request to the last response.
    pub took: Duration,
    /// Clients that succeeded.
    pub succeeded: usize,
    /// Requests that were sent again for want of a response.
    pub retransmissions: usize,
    /// Why others did not.
    pub errors: Vec<String>,
}

#[derive(Debug)]
struct Member {
    socket: UdpSocket,
    session: Session,
    allocation: Option<Allocation>,
    under: Option<Under>,
}

/// One member's request under way.
#[derive(Debug)]
struct Under {
    transaction: Transaction<AllocateOptions>,
    /// When it is sent again, or given up.
    due: Instant,
    /// The waits behind the next ones.
    waits: Vec<Duration>,
}

/// Nothing arrived in a whole round: how long until the next.
const PAUSE: Duration = Duration::from_micros(500);

impl Crowd {
    /// Makes `count` clients, one socket each, which send nothing yet.
    ///
    /// # Panics
    /// When a socket cannot be bound or a credential is of no use.
    pub fn new(
        server: SocketAddr,
        count: usize,
        credentials: impl Fn(usize) -> Credentials,
    ) -> Self {
        let member = |at| Member {
            socket: open(server),
            session: Session::new(credentials(at)).expect("usable credentials"),
            allocation: None,
            under: None,
        };
        Self { server, members: (0..count).map(member).collect(), transactions: 0 }
    }

    /// Gives every client a new socket, as after a change of network: what it has learned of the
    /// server stays, its 5-tuple is another.
    ///
    /// # Panics
    /// When a socket cannot be bound.
    pub fn change_sockets(&mut self) {
        // The old ones are open until all new ones are: none gets the port of another.
        let sockets: Vec<_> = self.members.iter().map(|_| open(self.server)).collect();
        for (member, socket) in self.members.iter_mut().zip(sockets) {
            member.socket = socket;
            member.allocation = None;
        }
    }

    /// All allocate at once.
    ///
    /// # Panics
    /// Never: requests fit.
    pub fn allocate(&mut self, limit: Duration) -> Outcome {
        let start = Instant::now();
        let mut outcome = Outcome::default();
        for at in 0..self.members.len() {
            self.begin(at);
        }
        while start.elapsed() < limit && self.members.iter().any(|member| member.under.is_some()) {
            let mut heard = false;
            for at in 0..self.members.len() {
                heard |= self.listen(at, &mut outcome);
                self.keep_time(at, &mut outcome);
            }
            if !heard {
                thread::sleep(PAUSE);
            }
        }
        outcome.took = start.elapsed();
        let silent = self.members.iter_mut().filter_map(|member| member.under.take());
        outcome.errors.extend(silent.map(|_| "no answer in time".to_owned()));
        outcome
    }

    /// The allocations that were granted.
    pub fn allocations(&self) -> impl Iterator<Item = &Allocation> {
        self.members.iter().filter_map(|member| member.allocation.as_ref())
    }

    /// Sends a member's request under a new transaction id.
    fn begin(&mut self, at: usize) {
        self.transactions += 1;
        let [a, b, c, d, e, f, g, h] = self.transactions.to_be_bytes();
        let id = TransactionId::new([b'c', b'r', b'w', b'd', a, b, c, d, e, f, g, h]);
        let Some(member) = self.members.get_mut(at) else { return };
        let transaction = member.session.begin(AllocateOptions::default(), id);
        let transaction = transaction.expect("a request fits into its buffer");
        member.send(transaction.bytes());
        let mut waits: Vec<_> = Schedule::RFC_8489.waits().collect();
        let due = Instant::now() + waits.remove(0);
        member.under = Some(Under { transaction, due, waits });
    }

    /// Reads what has arrived for one member; says whether anything has.
    fn listen(&mut self, at: usize, outcome: &mut Outcome) -> bool {
        let mut buffer = [0; 2_048];
        let mut heard = false;
        loop {
            let Some(member) = self.members.get_mut(at) else { return heard };
            let Some(length) = member.receive(&mut buffer) else { return heard };
            heard = true;
            let (Some(under), Some(bytes)) = (&member.under, buffer.get(..length)) else {
                continue;
            };
            match member.session.receive(&under.transaction, bytes) {
                Progress::Unrelated | Progress::Distrusted => {}
                Progress::Retry(_) => self.begin(at),
                Progress::Success(allocation) => {
                    member.allocation = Some(allocation);
                    member.under = None;
                    outcome.succeeded += 1;
                }
                Progress::Failure(error) => {
                    member.under = None;
                    outcome.errors.push(error.to_string());
                }
            }
        }
    }

    /// Sends a member's request again when it is time, or gives it up.
    fn keep_time(&mut self, at: usize, outcome: &mut Outcome) {
        let Some(member) = self.members.get_mut(at) else { return };
        let Some(mut under) = member.under.take_if(|under| under.due <= Instant::now()) else {
            return;
        };
        if under.waits.is_empty() {
            outcome.errors.push("no answer to any request".to_owned());
            return;
        }
        outcome.retransmissions += 1;
        member.send(under.transaction.bytes());
        under.due = Instant::now() + under.waits.remove(0);
        member.under = Some(under);
    }
}

impl Member {
    fn send(&self, bytes: &[u8]) {
        // A full queue or a server that is away: the schedule sends again.
        let _ = self.socket.send(bytes);
    }

    fn receive(&self, buffer: &mut [u8]) -> Option<usize> {
        loop {
            match self.socket.recv(buffer) {
                Ok(length) => return Some(length),
                // The server was away when an earlier request arrived.
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
                Err(_) => return None,
            }
        }
    }
}

fn open(server: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind((server.ip(), 0)).expect("a client can be bound");
    socket.connect(server).expect("a client can be connected");
    socket.set_nonblocking(true).expect("a socket can be made non-blocking");
    socket
}
