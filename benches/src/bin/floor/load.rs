//! The other half: clients and a peer on one thread, which send through a
//! forwarder, count what arrives and read what it cost.

use std::{
    fs, io,
    io::Write,
    net::SocketAddr,
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::Context;
use clap::{Args, ValueEnum};
use turn_udp::{Destination, Epoll, ListenerOptions, Ready, RecvBatch, SendBatch, UdpSocket};

use crate::forwarder::FIRST_CHANNEL;

#[derive(Args)]
pub(crate) struct Options {
    /// Which way packets go.
    #[arg(long, value_enum)]
    direction: Direction,
    /// Packets a second, evenly spread; as fast as they come back without.
    #[arg(long)]
    rate: Option<u32>,
    /// Ports of the forwarder as it printed them.
    #[arg(long, value_delimiter = ',')]
    ports: Vec<u16>,
    /// The address to be the peer at.
    #[arg(long)]
    peer: SocketAddr,
    /// The process whose CPU time counts.
    #[arg(long)]
    pid: u32,
    /// Bytes of application data a packet.
    #[arg(long, default_value_t = 160)]
    size: usize,
    /// Packets on their way at a time, without a rate.
    #[arg(long, default_value_t = 128)]
    window: u64,
    /// Milliseconds measured, after a warm-up.
    #[arg(long, default_value_t = 1000)]
    milliseconds: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Direction {
    /// From clients to the peer.
    Up,
    /// From the peer to clients.
    Down,
}

/// What one run has shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    pub(crate) cpu_nanoseconds: u64,
    /// How long the forwarder could have run and was not let: the mark of a
    /// machine that does something else as well.
    pub(crate) waited_nanoseconds: u64,
    pub(crate) sent: u64,
    pub(crate) delivered: u64,
    /// Times that nothing came for a while although something had to.
    pub(crate) stalls: u64,
}

const WARM_UP: Duration = Duration::from_millis(400);

/// In a closed loop, what has not come back by then is lost.
const STALL: Duration = Duration::from_millis(20);

/// Runs the load and prints its outcome as five numbers.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    turn_udp::raise_descriptor_limit()?;
    let mut world = World::new(options)?;
    world.register()?;
    world.drive(options, WARM_UP)?;
    let (ran, waited) = schedstat(options.pid)?;
    let mut outcome = world.drive(options, Duration::from_millis(options.milliseconds))?;
    let (ran_now, waited_now) = schedstat(options.pid)?;
    outcome.cpu_nanoseconds = ran_now - ran;
    outcome.waited_nanoseconds = waited_now - waited;
    let Outcome { cpu_nanoseconds, waited_nanoseconds, sent, delivered, stalls } = outcome;
    writeln!(io::stdout(), "{cpu_nanoseconds} {waited_nanoseconds} {sent} {delivered} {stalls}")?;
    Ok(())
}

impl Outcome {
    /// Reads what `run` prints.
    pub(crate) fn parse(line: &str) -> anyhow::Result<Self> {
        let mut numbers = line.split_whitespace().map(str::parse);
        let mut next = || numbers.next().context("five numbers")?.context("a number");
        Ok(Self {
            cpu_nanoseconds: next()?,
            waited_nanoseconds: next()?,
            sent: next()?,
            delivered: next()?,
            stalls: next()?,
        })
    }
}

/// Nanoseconds that the main thread of a process has run, and that it has
/// waited for a core.
fn schedstat(pid: u32) -> anyhow::Result<(u64, u64)> {
    let text = fs::read_to_string(format!("/proc/{pid}/schedstat"))?;
    let (ran, rest) = text.split_once(' ').context("schedstat has three numbers")?;
    let (waited, _) = rest.split_once(' ').context("schedstat has three numbers")?;
    Ok((ran.parse()?, waited.parse()?))
}

struct World {
    clients: Vec<Rc<UdpSocket>>,
    peer: Rc<UdpSocket>,
    listener: Destination,
    relays: Vec<Destination>,
    set: Epoll,
    ready: Ready,
    received: RecvBatch,
    sending: SendBatch,
    /// A ChannelData message; its first two bytes change.
    message: Vec<u8>,
    /// The channel that sends next.
    turn: usize,
}

impl World {
    fn new(options: &Options) -> anyhow::Result<Self> {
        let large = ListenerOptions { receive_buffer: Some(4 << 20), ..ListenerOptions::default() };
        let peer = Rc::new(UdpSocket::listener(options.peer, &large)?);
        let to = |port: &u16| Destination::to(([127, 0, 0, 1], *port).into());
        let (listener, relays) = options.ports.split_first().context("the listener's port")?;
        let set = Epoll::new()?;
        let mut clients = Vec::with_capacity(relays.len());
        for token in 0..relays.len() as u64 {
            let local = SocketAddr::from(([127, 0, 0, 1], 0));
            let client = UdpSocket::listener(local, &ListenerOptions::default())?;
            set.add(&client, token)?;
            clients.push(Rc::new(client));
        }
        let length = u16::try_from(options.size)?.to_be_bytes();
        let mut message = vec![0; 4 + options.size];
        message.splice(2..4, length);
        Ok(Self {
            clients,
            peer,
            listener: to(listener),
            relays: relays.iter().map(to).collect(),
            set,
            ready: Ready::new(),
            received: RecvBatch::new(256),
            sending: SendBatch::new(),
            message,
            turn: 0,
        })
    }

    /// Lets the forwarder learn every client's address.
    fn register(&mut self) -> anyhow::Result<()> {
        for _ in 0..self.clients.len() {
            self.send(Direction::Up, 1);
            let until = Instant::now() + Duration::from_secs(1);
            while self.receive(Direction::Up)? == 0 {
                anyhow::ensure!(Instant::now() < until, "the forwarder does not forward");
            }
        }
        Ok(())
    }

    fn drive(&mut self, options: &Options, duration: Duration) -> anyhow::Result<Outcome> {
        let direction = options.direction;
        let mut outcome =
            Outcome { cpu_nanoseconds: 0, waited_nanoseconds: 0, sent: 0, delivered: 0, stalls: 0 };
        let start = Instant::now();
        let mut last = start;
        let mut on_their_way = 0;
        loop {
            let now = Instant::now();
            let elapsed = now - start;
            if elapsed >= duration {
                break;
            }
            let due = match options.rate {
                None => options.window - on_their_way,
                Some(rate) => {
                    let due = elapsed.as_nanos() * u128::from(rate) / 1_000_000_000;
                    u64::try_from(due)?.saturating_sub(outcome.sent)
                }
            };
            if due > 0 {
                self.send(direction, due);
                outcome.sent += due;
                on_their_way += due;
            }
            let arrived = self.receive(direction)?;
            outcome.delivered += arrived;
            on_their_way = on_their_way.saturating_sub(arrived);
            if arrived > 0 {
                last = now;
            } else if options.rate.is_none() && now - last > STALL {
                outcome.stalls += 1;
                on_their_way = 0;
                last = now;
            }
        }
        // What is still on its way belongs to this drive.
        let until = Instant::now() + Duration::from_millis(5);
        while on_their_way > 0 && Instant::now() < until {
            let arrived = self.receive(direction)?;
            outcome.delivered += arrived;
            on_their_way = on_their_way.saturating_sub(arrived);
        }
        Ok(outcome)
    }

    /// Sends `count` packets, one a channel in turn.
    fn send(&mut self, direction: Direction, count: u64) {
        let channels = self.clients.iter().zip(&self.relays).zip(FIRST_CHANNEL..);
        for ((client, relay), channel) in
            channels.cycle().skip(self.turn).take(usize::try_from(count).unwrap_or(0))
        {
            match direction {
                Direction::Up => {
                    self.message.splice(..2, channel.to_be_bytes());
                    self.sending.push_bytes(client, self.listener, &self.message);
                }
                Direction::Down => {
                    let payload = self.message.get(4..).unwrap_or_default();
                    self.sending.push_bytes(&self.peer, *relay, payload);
                }
            }
        }
        self.turn = (self.turn + usize::try_from(count).unwrap_or(0)) % self.clients.len();
        self.sending.flush(&mut self.received, |_, _, _| {});
    }

    /// Counts what has arrived.
    fn receive(&mut self, direction: Direction) -> anyhow::Result<u64> {
        self.received.clear();
        let mut slots = 0;
        match direction {
            Direction::Up => slots += self.received.fill(&self.peer, 256)?.slots.len(),
            Direction::Down => {
                for token in self.set.wait(&mut self.ready, Some(Duration::ZERO))? {
                    let client = usize::try_from(*token).ok().and_then(|i| self.clients.get(i));
                    let client = client.context("a token of ours")?;
                    slots += self.received.fill(client, 4)?.slots.len();
                }
            }
        }
        Ok(slots as u64)
    }
}
