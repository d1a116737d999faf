//! Many TCP connections of strangers, from many addresses of 127.0.0.0/8, driven by one thread.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};

/// Connections that are opened at a rate, kept, and opened anew when the server closes them.
#[derive(Debug)]
pub struct Swarm {
    server: SocketAddr,
    sources: u32,
    behaviour: Behaviour,
    /// How many are kept.
    size: usize,
    /// How many are opened a second at most.
    rate: u32,
    /// Whether one that was closed is opened anew.
    returns: bool,
    members: Vec<Member>,
    opened: u64,
    closed: u64,
    start: Instant,
}

/// What a stranger does with its connection.
#[derive(Debug, Clone)]
pub enum Behaviour {
    /// Sends these bytes, one a second, and then waits.
    Drip(Vec<u8>),
    /// Sends these bytes at once and waits.
    Say(Vec<u8>),
    /// Resets it at once.
    Abort,
}

#[derive(Debug)]
struct Member {
    stream: TcpStream,
    sent: usize,
    due: Instant,
}

/// The gap between two bytes of a dripping connection.
const DRIP: Duration = Duration::from_secs(1);

impl Swarm {
    /// A swarm of `size` connections from `sources` addresses, none of which is open yet.
    pub fn new(server: SocketAddr, size: usize, sources: u32, behaviour: Behaviour) -> Self {
        Self {
            server,
            sources,
            behaviour,
            size,
            rate: 400,
            returns: true,
            members: Vec::new(),
            opened: 0,
            closed: 0,
            start: Instant::now(),
        }
    }

    /// So many connections are opened a second at most.
    #[must_use]
    pub fn at_rate(self, rate: u32) -> Self {
        Self { rate, ..self }
    }

    /// A connection that the server closes is not opened anew.
    #[must_use]
    pub fn without_return(self) -> Self {
        Self { returns: false, ..self }
    }

    /// Does what is due.
    ///
    /// # Panics
    /// When no more connections can be opened.
    pub fn turn(&mut self) {
        let now = Instant::now();
        let (behaviour, mut closed) = (&self.behaviour, 0);
        self.members.retain_mut(|member| {
            let stays = member.turn(behaviour, now);
            closed += u64::from(!stays);
            stays
        });
        self.closed += closed;
        let allowed = self.start.elapsed().as_secs_f64() * f64::from(self.rate);
        #[expect(clippy::cast_precision_loss, reason = "thousands of connections")]
        while (self.opened as f64) < allowed && self.wants_more() {
            self.open(now);
        }
    }

    /// Takes turns until the time is over.
    ///
    /// # Panics
    /// As [`turn`](Self::turn).
    pub fn turn_until(&mut self, end: Instant) {
        while Instant::now() < end {
            self.turn();
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Connections that are open now.
    pub fn open_now(&self) -> usize {
        self.members.len()
    }

    /// Connections that were opened so far.
    pub fn opened(&self) -> u64 {
        self.opened
    }

    /// Connections that the server has closed so far.
    pub fn closed(&self) -> u64 {
        self.closed
    }

    fn wants_more(&self) -> bool {
        let count = if self.returns { self.members.len() as u64 } else { self.opened };
        count < self.size as u64
    }

    fn open(&mut self, now: Instant) {
        let source = loopback(u32::try_from(self.opened).unwrap_or(0) % self.sources);
        self.opened += 1;
        let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP));
        let socket = socket.unwrap_or_else(|error| panic!("no more sockets: {error}"));
        socket.set_nonblocking(true).expect("a socket can be made non-blocking");
        let bound = socket.bind(&SocketAddr::new(source, 0).into());
        bound.unwrap_or_else(|error| panic!("no port of {source}: {error}"));
        match &self.behaviour {
            Behaviour::Abort => {
                let _ = socket.set_linger(Some(Duration::ZERO));
                // Over loopback the handshake is over when this returns; closing resets it.
                let _ = socket.connect(&self.server.into());
            }
            Behaviour::Drip(_) | Behaviour::Say(_) => {
                let _ = socket.connect(&self.server.into());
                self.members.push(Member { stream: socket.into(), sent: 0, due: now });
            }
        }
    }
}

impl Member {
    /// Sends what is due and says whether the connection is still there.
    fn turn(&mut self, behaviour: &Behaviour, now: Instant) -> bool {
        if now < self.due {
            return true;
        }
        self.due = now + DRIP;
        let (bytes, step) = match behaviour {
            Behaviour::Drip(bytes) => (bytes, 1),
            Behaviour::Say(bytes) => (bytes, bytes.len()),
            Behaviour::Abort => return false,
        };
        let end = bytes.len().min(self.sent + step);
        match self.stream.write(bytes.get(self.sent..end).unwrap_or_default()) {
            Ok(sent) => self.sent += sent,
            Err(error) if is_pending(error.kind()) => {}
            Err(_) => return false,
        }
        match self.stream.read(&mut [0; 2_048]) {
            Ok(0) => false,
            Ok(_) => true,
            Err(error) => is_pending(error.kind()),
        }
    }
}

/// The n-th address of 127.0.0.0/8 for strangers: none that a test uses itself.
///
/// # Panics
/// Never: it wraps.
pub fn loopback(n: u32) -> IpAddr {
    let [_, high, middle, low] = (n % 0x00f0_0000).to_be_bytes();
    IpAddr::V4(Ipv4Addr::new(127, 8 + high, middle, low.max(1)))
}

/// Lets this process have so many descriptors.
///
/// # Panics
/// When the system refuses.
pub fn allow_descriptors(count: u32) {
    limit_descriptors(std::process::id(), count);
}

/// Sets how many descriptors a process may have, up to its hard limit.
pub(crate) fn limit_descriptors(process: u32, count: u32) {
    let mut command = Command::new("prlimit");
    command.args(["--pid", &process.to_string(), &format!("--nofile={count}:")]);
    let status = command.status();
    let done = status.is_ok_and(|status| status.success());
    assert!(done, "prlimit refuses {count} descriptors; raise the hard limit: ulimit -Hn");
}

/// Not connected yet, or nothing to read and no room to write.
fn is_pending(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::NotConnected | ErrorKind::Interrupted)
}
