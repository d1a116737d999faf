//! A load generator for any TURN server: allocations with a channel each, and
//! packets through them, up or down, saturated or at a rate.
//!
//! Prints one JSON object. With `--pid`, the CPU time of the server a packet is
//! part of it.

#![forbid(unsafe_code)]

use std::{
    io::{self, Write},
    net::SocketAddr,
};

use clap::Parser;
use serde::Serialize;
use turn_benches::{CpuTime, Direction, Ends, Generator, Load, Outcome, measure};
use turn_client::Credentials;

#[derive(Parser)]
#[command(about = "Sends through a TURN server and says what a packet costs it")]
struct Arguments {
    /// The server.
    #[arg(long)]
    server: SocketAddr,
    /// The server's process on this host, whose CPU time counts.
    #[arg(long)]
    pid: Option<u32>,
    /// User name of a lab's server: everybody here can read command lines.
    #[arg(long)]
    user: String,
    /// Its password.
    #[arg(long)]
    password: String,
    /// Which way packets go.
    #[arg(long, value_enum)]
    direction: Direction,
    /// Where clients are bound.
    #[arg(long, default_value = "127.0.0.1:0")]
    clients: SocketAddr,
    /// Where the one peer is bound: an address that the server is not bound to.
    #[arg(long, default_value = "127.0.0.2:0")]
    sink: SocketAddr,
    #[command(flatten)]
    load: Load,
}

/// What is printed.
#[derive(Serialize)]
struct Report {
    direction: &'static str,
    allocations: usize,
    size: u16,
    rate: Option<u32>,
    packets_per_second: f64,
    lost: u64,
    cpu_us_per_packet: Option<f64>,
    server_load: Option<f64>,
    generator_idle: f64,
    #[serde(flatten)]
    outcome: Outcome,
}

fn main() -> anyhow::Result<()> {
    let Arguments { server, pid, user, password, direction, clients, sink, load } =
        Arguments::parse();
    let ends = Ends { server, clients, sink };
    let credentials = Credentials::password(user, password);
    let mut generator = Generator::new(ends, &credentials, &load)?;
    let outcome = measure(&mut generator, &load, direction, || {
        pid.map_or(Ok(CpuTime::default()), CpuTime::of_process)
    })?;
    generator.end()?;
    let report = Report {
        direction: direction.name(),
        allocations: load.allocations,
        size: load.size,
        rate: load.rate,
        packets_per_second: outcome.packets_per_second().round(),
        lost: outcome.lost(),
        cpu_us_per_packet: pid.map(|_| three_digits(outcome.cpu_us_per_packet())),
        server_load: pid.map(|_| three_digits(outcome.server_load())),
        generator_idle: three_digits(outcome.generator_idle()),
        outcome,
    };
    writeln!(io::stdout(), "{}", serde_json::to_string(&report)?)?;
    Ok(())
}

fn three_digits(figure: f64) -> f64 {
    (figure * 1e3).round() / 1e3
}
