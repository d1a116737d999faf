//! One run: set up, warm up, measure, end.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::thread;
use std::time::Duration;

use super::binding::Bindings;
use super::cycles::Cycles;
use super::drive::{Drive, Exchange};
use super::pace::Pace;
use super::relaying::Relaying;
use super::stamp::Clock;
use super::tally::Tally;
use super::{CpuTime, LoadError, Pattern, Plan, Report, Rss, ServerProcess};
use crate::Credentials;

/// Where everybody is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ends {
    /// The server.
    pub server: SocketAddr,
    /// Where clients are bound.
    pub clients: IpAddr,
    /// Where peers are bound: best an address that nothing else of the measurement is bound to.
    pub peers: IpAddr,
    /// Where junk comes from: an address that no client has a permission for.
    pub stranger: IpAddr,
}

impl Ends {
    /// A server on this host, with peers and the stranger on addresses of their own.
    #[must_use]
    pub const fn on_loopback(server: SocketAddr) -> Self {
        Self {
            server,
            clients: IpAddr::V4(Ipv4Addr::LOCALHOST),
            peers: IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2)),
            stranger: IpAddr::V4(Ipv4Addr::new(127, 0, 0, 3)),
        }
    }
}

/// Puts a load on a server and says what came of it.
///
/// # Errors
/// The plan contradicts itself, the server refuses what a client needs, a packet does not get
/// through before the load begins, or the sockets fail.
pub fn run(
    ends: &Ends,
    credentials: &Credentials,
    plan: &Plan,
    server: &ServerProcess,
) -> Result<Report, LoadError> {
    plan.check()?;
    turn_udp::raise_descriptor_limit()?;
    let clock = Clock::start();
    let drive = Drive { pace: pace(plan), train: plan.train, clock, server };
    let mut rss = Rss { before: server.rss_kib()?, ..Rss::default() };
    rss.set_up = rss.before;
    let tally = match plan.pattern {
        Pattern::Relay => {
            let mut relaying = Relaying::set_up(ends, credentials, plan, clock)?;
            rss.set_up = server.rss_kib()?;
            relaying.see_through()?;
            let tally = measure(&drive, &mut relaying, plan)?;
            rss.after = server.rss_kib()?;
            relaying.end()?;
            tally
        }
        Pattern::Idle => {
            let idle = Relaying::set_up(ends, credentials, plan, clock)?;
            rss.set_up = server.rss_kib()?;
            let tally = sleep(clock, server, plan.duration())?;
            rss.after = server.rss_kib()?;
            idle.end()?;
            tally
        }
        Pattern::Binding => measure(&drive, &mut Bindings::new(ends, plan, clock)?, plan)?,
        Pattern::Cycle => measure(&drive, &mut Cycles::new(ends, credentials, plan, clock)?, plan)?,
    };
    if rss.after == 0 {
        rss.after = server.rss_kib()?;
    }
    Ok(Report::new(plan, &tally, server.is_known().then_some(rss)))
}

fn measure(
    drive: &Drive<'_>,
    exchange: &mut impl Exchange,
    plan: &Plan,
) -> Result<Tally, LoadError> {
    drive.run(exchange, Duration::from_millis(plan.warm_up))?;
    drive.run(exchange, plan.duration())
}

/// Measures what a server does that nobody asks.
fn sleep(clock: Clock, server: &ServerProcess, duration: Duration) -> Result<Tally, LoadError> {
    let mut tally = Tally::since(clock.now());
    let books =
        || Ok::<_, LoadError>((server.cpu_time()?, CpuTime::of_process(std::process::id())?));
    let before = books()?;
    thread::sleep(duration);
    let after = books()?;
    tally.elapsed = clock.now() - tally.since;
    tally.idle = tally.elapsed;
    tally.server = after.0 - before.0;
    tally.generator = after.1 - before.1;
    Ok(tally)
}

const fn pace(plan: &Plan) -> Pace {
    match plan.rate {
        Some(rate) => Pace::Open { rate },
        None => Pace::Closed { window: plan.window },
    }
}
