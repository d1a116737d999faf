//! Relay throughput over real sockets: our server in this process, clients and
//! a peer beside it, ChannelData of 160 bytes both ways.
//!
//! Not a criterion bench: what is asked is packets a second of a saturated
//! server and its CPU time a packet, not the time of a call. `cargo bench
//! --bench relay -- up/1000` runs one case. Outside `cargo bench` it does
//! nothing.

use std::{
    env,
    io::{self, Write},
    path::Path,
    sync::Arc,
};

use turn_benches::{Credentials, OurConfig, free_address, pin};
use turn_client::load::{self, Direction, Ends, Plan, Report, ServerProcess};
use turnserver::{logging::LogObserver, plan::Origin, server::Server};

const ALLOCATIONS: [usize; 3] = [1, 100, 1_000];

/// Where the shard and the generator run.
const CORES: [u32; 2] = [0, 1];

/// What the name of a shard's thread begins with.
const SHARD: &str = "shard-";

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
    for direction in [Direction::Up, Direction::Down] {
        for allocations in ALLOCATIONS {
            let name = format!("{}/{allocations}", direction.name());
            if name.contains(&only) {
                print(&mut out, &name, &run(direction, allocations)?)?;
            }
        }
    }
    writeln!(out, "(CPU: of the shard, a packet that arrived; idle: of the generator)")?;
    Ok(())
}

/// One server, one load.
fn run(direction: Direction, allocations: usize) -> anyhow::Result<Report> {
    let address = free_address()?;
    let config = OurConfig { shards: Some(1), ..OurConfig::at(address) };
    let config = turn_config::from_str(&config.to_toml(), Path::new("bench.toml"))?;
    let observer = Arc::new(LogObserver::default());
    let server = Server::start(&config, Origin::File, None, observer)?;
    // Where there are not two cores, or no taskset, the scheduler decides.
    let is_shard = |name: &str| name.starts_with(SHARD);
    let _ = pin(CORES[0], is_shard).and_then(|_| pin(CORES[1], |name| !is_shard(name)));
    let plan = Plan { direction, allocations, ..Plan::default() };
    let shard = ServerProcess::threads_here(SHARD);
    let report = load::run(&Ends::on_loopback(address), &Credentials::of_client(), &plan, &shard)?;
    server.stop()?;
    Ok(report)
}

fn print(out: &mut impl Write, name: &str, report: &Report) -> io::Result<()> {
    writeln!(
        out,
        "{name:<10} {:>11.0} {:>10.2} {:>7} {:>6.0} %{}",
        report.per_second,
        report.cpu_us_per_packet().unwrap_or(f64::NAN),
        report.lost,
        report.generator.idle * 100.0,
        if report.is_disturbed() { "  disturbed" } else { "" },
    )
}
