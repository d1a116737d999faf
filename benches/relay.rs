//! Relay throughput over real sockets: our server in this process, clients and
//! a sink beside it, ChannelData of 160 bytes both ways.
//!
//! Not a criterion bench: what is asked is packets a second of a saturated
//! server and its CPU time a packet, not the time of a call. `cargo bench
//! --bench relay -- up/1000` runs one case. Outside `cargo bench` it does
//! nothing.

use std::{
    env,
    io::{self, Write},
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::Arc,
};

use turn_benches::{
    CpuTime, Credentials, Direction, Ends, Generator, Load, Outcome, free_address, measure,
    our_config, pin,
};
use turnserver::{logging::LogObserver, plan::Origin, server::Server};

const ALLOCATIONS: [usize; 3] = [1, 100, 1_000];

/// Where the shard and the generator run.
const CORES: [u32; 2] = [0, 1];

fn main() -> anyhow::Result<()> {
    // What `cargo test --benches` does not say.
    if !env::args().any(|argument| argument == "--bench") {
        return Ok(());
    }
    let only = env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "{:<10} {:>11} {:>10} {:>7} {:>8}",
        "relay", "packets/s", "CPU us", "lost", "idle"
    )?;
    for direction in Direction::ALL {
        for allocations in ALLOCATIONS {
            let name = format!("{}/{allocations}", direction.name());
            if name.contains(&only) {
                let outcome = run(direction, allocations)?;
                print(&mut out, &name, &outcome)?;
            }
        }
    }
    writeln!(out, "(CPU: of the shard, a packet that arrived; idle: of the generator)")?;
    Ok(())
}

/// One server, one load.
fn run(direction: Direction, allocations: usize) -> anyhow::Result<Outcome> {
    let load =
        Load { allocations, size: 160, rate: None, window: 128, train: 1, milliseconds: 1_000 };
    let address = free_address()?;
    let config = our_config(address, allocations);
    let config = turn_config::from_str(&config, Path::new("bench.toml"))?;
    let observer = Arc::new(LogObserver::default());
    let server = Server::start(&config, Origin::File, None, observer)?;
    // Where there are not two cores, or no taskset, the scheduler decides.
    let _ = pin(CORES[0], is_shard).and_then(|_| pin(CORES[1], |name| !is_shard(name)));
    let ends = Ends {
        server: address,
        clients: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        sink: SocketAddr::from((Ipv4Addr::new(127, 0, 0, 2), 0)),
    };
    let mut generator = Generator::new(ends, &Credentials::of_client(), &load)?;
    let outcome = measure(&mut generator, &load, direction, || {
        CpuTime::of_threads(std::process::id(), is_shard)
    })?;
    generator.end()?;
    server.stop()?;
    Ok(outcome)
}

fn is_shard(thread: &str) -> bool {
    thread.starts_with("shard-")
}

fn print(out: &mut impl Write, name: &str, outcome: &Outcome) -> io::Result<()> {
    writeln!(
        out,
        "{name:<10} {:>11.0} {:>10.2} {:>7} {:>6.0} %{}",
        outcome.packets_per_second(),
        outcome.cpu_us_per_packet(),
        outcome.lost(),
        outcome.generator_idle() * 100.0,
        if outcome.is_disturbed() { "  disturbed" } else { "" },
    )
}
