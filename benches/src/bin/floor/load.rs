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
use turn_benches::Floor;
use turn_client::load::Transport;
use turn_udp::{Destination, ListenerOptions, RecvBatch, SendBatch, UdpSocket};

use crate::{clients::Clients, forwarder::FIRST_CHANNEL};

#[derive(Args)]
pub(crate) struct Options {
    /// Which way packets go.
    #[arg(long, value_enum)]
    direction: Direction,
    /// How clients reach the forwarder.
    #[arg(long, value_enum, default_value = "udp")]
    transport: Transport,
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
    /// Bytes of application data a packet, in turn.
    #[arg(long, value_delimiter = ',', default_value = "160")]
    sizes: Vec<usize>,
    /// Packets on their way at a time, without a rate.
    #[arg(long, default_value_t = 128)]
    window: u64,
    /// Milliseconds measured, after a warm-up.
    #[arg(long, default_value_t = 1000)]
    milliseconds: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Direction {
    /// From clients to the peer.
    Up,
    /// From the peer to clients.
    Down,
}

/// What has gone out and come in.
#[derive(Clone, Copy, Debug, Default)]
struct Counted {
    sent: u64,
    delivered: u64,
}

const WARM_UP: Duration = Duration::from_millis(400);

/// In a closed loop, what has not come back by then is lost.
const STALL: Duration = Duration::from_millis(20);

/// A forwarder that waited for its core for a fiftieth of the time says more about the machine.
const DISTURBED: u64 = 50;

/// Runs the load and prints what it cost, as [`Floor`].
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    turn_udp::raise_descriptor_limit()?;
    let mut world = World::new(options)?;
    world.register()?;
    world.drive(options, WARM_UP)?;
    let (ran, waited) = schedstat(options.pid)?;
    let Counted { sent, delivered } =
        world.drive(options, Duration::from_millis(options.milliseconds))?;
    let (ran_now, waited_now) = schedstat(options.pid)?;
    let milliseconds = options.milliseconds;
    let floor = Floor {
        cpu_us_per_packet: precise(ran_now - ran) / 1e3 / precise(delivered.max(1)),
        per_second: precise(delivered) * 1e3 / precise(milliseconds.max(1)),
        lost: sent.saturating_sub(delivered),
        is_disturbed: waited_now - waited > milliseconds * 1_000_000 / DISTURBED,
    };
    writeln!(io::stdout(), "{}", serde_json::to_string(&floor)?)?;
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
const fn precise(count: u64) -> f64 {
    count as f64
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
    clients: Clients,
    peer: Rc<UdpSocket>,
    relays: Vec<Destination>,
    received: RecvBatch,
    sending: SendBatch,
    /// ChannelData messages, one of each size; their first two bytes change.
    messages: Vec<Vec<u8>>,
    /// The channel that sends next.
    turn: usize,
}

impl World {
    fn new(options: &Options) -> anyhow::Result<Self> {
        let large = ListenerOptions { receive_buffer: Some(4 << 20), ..ListenerOptions::default() };
        let peer = Rc::new(UdpSocket::listener(options.peer, &large)?);
        let at = |port: &u16| SocketAddr::from(([127, 0, 0, 1], *port));
        let (listener, relays) = options.ports.split_first().context("the listener's port")?;
        let relays: Vec<_> = relays.iter().map(|port| Destination::to(at(port))).collect();
        let clients = Clients::connect(options.transport, at(listener), relays.len())?;
        anyhow::ensure!(!options.sizes.is_empty(), "no size");
        let message = |size: &usize| {
            let mut message = vec![0; 4 + size];
            message.splice(2..4, u16::try_from(*size)?.to_be_bytes());
            anyhow::Ok(message)
        };
        let messages = options.sizes.iter().map(message).collect::<Result<_, _>>()?;
        Ok(Self {
            clients,
            peer,
            relays,
            received: RecvBatch::new(256),
            sending: SendBatch::new(),
            messages,
            turn: 0,
        })
    }

    /// Lets the forwarder learn every client's address.
    fn register(&mut self) -> anyhow::Result<()> {
        for _ in 0..self.relays.len() {
            self.send(Direction::Up, 1)?;
            let until = Instant::now() + Duration::from_secs(1);
            while self.receive(Direction::Up)? == 0 {
                anyhow::ensure!(Instant::now() < until, "the forwarder does not forward");
            }
        }
        Ok(())
    }

    fn drive(&mut self, options: &Options, duration: Duration) -> anyhow::Result<Counted> {
        let direction = options.direction;
        let mut counted = Counted::default();
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
                    u64::try_from(due)?.saturating_sub(counted.sent)
                }
            };
            if due > 0 {
                self.send(direction, due)?;
                counted.sent += due;
                on_their_way += due;
            }
            let arrived = self.receive(direction)?;
            counted.delivered += arrived;
            on_their_way = on_their_way.saturating_sub(arrived);
            if arrived > 0 {
                last = now;
            } else if options.rate.is_none() && now - last > STALL {
                on_their_way = 0;
                last = now;
            }
        }
        // What is still on its way belongs to this drive.
        let until = Instant::now() + Duration::from_millis(5);
        while on_their_way > 0 && Instant::now() < until {
            let arrived = self.receive(direction)?;
            counted.delivered += arrived;
            on_their_way = on_their_way.saturating_sub(arrived);
        }
        Ok(counted)
    }

    /// Sends `count` packets, one a channel in turn.
    fn send(&mut self, direction: Direction, count: u64) -> anyhow::Result<()> {
        let Self { clients, relays, messages, sending, .. } = self;
        let kinds = messages.len();
        let channels = relays.iter().zip(FIRST_CHANNEL..).enumerate();
        let count = usize::try_from(count)?;
        for (at, (relay, channel)) in channels.cycle().skip(self.turn).take(count) {
            let Some(message) = messages.get_mut(at % kinds) else { continue };
            match direction {
                Direction::Up => {
                    message.splice(..2, channel.to_be_bytes());
                    clients.send(at, message, sending)?;
                }
                Direction::Down => {
                    let payload = message.get(4..).unwrap_or_default();
                    sending.push_bytes(&self.peer, *relay, payload);
                }
            }
        }
        self.turn = (self.turn + count) % self.relays.len();
        self.sending.flush(&mut self.received, |_, _, _| {});
        Ok(())
    }

    /// Counts what has arrived.
    fn receive(&mut self, direction: Direction) -> anyhow::Result<u64> {
        self.received.clear();
        match direction {
            Direction::Up => Ok(self.received.fill(&self.peer, 256)?.slots.len() as u64),
            Direction::Down => self.clients.receive(&mut self.received),
        }
    }
}
