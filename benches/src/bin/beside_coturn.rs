//! Our server and coturn in turn under the same load: what does a packet cost
//! each of them?
//!
//! In each round both are started anew, one after the other, each with one
//! thread for packets on the server's core; the load has another core. Who goes
//! first alternates, so that a drift of the machine favours nobody. What counts
//! is the median of the rounds.

#![forbid(unsafe_code)]

use std::{
    env,
    io::{self, Write},
    path::{Path, PathBuf},
    process::{ExitCode, Stdio},
};

use anyhow::Context;
use clap::Parser;
use turn_benches::{Contestant, Credentials, Direction, Load, Outcome, median, pinned};

#[derive(Parser)]
#[command(about = "Measures turnserver beside coturn: CPU time a relayed packet")]
struct Arguments {
    /// Rounds of both servers.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Only one direction.
    #[arg(long, value_enum)]
    direction: Option<Direction>,
    /// Our binary; the one beside this program if it is not given.
    #[arg(long)]
    turnserver: Option<PathBuf>,
    /// coturn's binary; where `cargo xtask tools` puts Debian's if it is not given.
    #[arg(long)]
    coturn: Option<PathBuf>,
    /// The core of the server.
    #[arg(long, default_value_t = 0)]
    server_core: u32,
    /// The core of the load.
    #[arg(long, default_value_t = 1)]
    load_core: u32,
    /// How often a run is repeated in which the server had to wait for its core.
    #[arg(long, default_value_t = 4)]
    repeats: usize,
    /// Fails when the ratio ours/coturn is above this in a direction.
    #[arg(long)]
    at_most: Option<f64>,
    #[command(flatten)]
    load: Load,
}

/// The runs of one direction: ours and coturn's, round by round.
struct Duel {
    direction: Direction,
    rounds: Vec<[Outcome; 2]>,
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let contestants = contestants(&arguments)?;
    let mut out = io::stdout().lock();
    for contestant in &contestants {
        let core = arguments.server_core;
        let how = contestant.describe(core, arguments.load.allocations)?;
        writeln!(out, "{}:\n{}\n", contestant.name(), indented(&how))?;
    }
    writeln!(out, "load: {}\n", arguments.load.arguments().join(" "))?;
    let mut duels: Vec<_> = Direction::ALL
        .into_iter()
        .filter(|direction| arguments.direction.is_none_or(|only| only == *direction))
        .map(|direction| Duel { direction, rounds: Vec::new() })
        .collect();
    for round in 0..arguments.rounds {
        for duel in &mut duels {
            let mut pair = [Outcome::default(); 2];
            let places = pair.iter_mut().zip(&contestants);
            // Who goes first alternates.
            let order: Vec<_> =
                if round % 2 == 0 { places.collect() } else { places.rev().collect() };
            for (outcome, contestant) in order {
                *outcome = undisturbed(&arguments, contestant, duel.direction)?;
                print_run(&mut out, round, contestant, duel.direction, outcome)?;
            }
            duel.rounds.push(pair);
        }
    }
    writeln!(out, "\n{HEADER}")?;
    let mut is_within = true;
    for duel in &duels {
        writeln!(out, "{}", duel.row())?;
        is_within &= arguments.at_most.is_none_or(|most| duel.ratio() <= most);
    }
    Ok(if is_within { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn contestants(arguments: &Arguments) -> anyhow::Result<[Contestant; 2]> {
    let ours = match &arguments.turnserver {
        Some(path) => path.clone(),
        None => beside("turnserver")?,
    };
    let foreign = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/foreign/coturn");
    let coturn = arguments.coturn.clone().unwrap_or_else(|| foreign.join("usr/bin/turnserver"));
    Ok([Contestant::Ours(ours), Contestant::Coturn(coturn)])
}

/// A program that was built with this one.
fn beside(name: &str) -> anyhow::Result<PathBuf> {
    let path = env::current_exe()?.with_file_name(name);
    anyhow::ensure!(
        path.is_file(),
        "{} is not there; run: cargo build --release -p turnserver -p turn-benches --bins",
        path.display()
    );
    Ok(path)
}

/// One run, or a few until one is undisturbed.
fn undisturbed(
    arguments: &Arguments,
    contestant: &Contestant,
    direction: Direction,
) -> anyhow::Result<Outcome> {
    let mut best = run(arguments, contestant, direction)?;
    for _ in 0..arguments.repeats {
        if !best.is_disturbed() {
            break;
        }
        let again = run(arguments, contestant, direction)?;
        if again.server_waited_ns < best.server_waited_ns {
            best = again;
        }
    }
    Ok(best)
}

/// One run of one server that was started for it.
fn run(
    arguments: &Arguments,
    contestant: &Contestant,
    direction: Direction,
) -> anyhow::Result<Outcome> {
    let server = contestant.start(arguments.server_core, arguments.load.allocations)?;
    let output = pinned(arguments.load_core, beside("load")?)
        .args(["--server", &server.address().to_string()])
        .args(["--pid", &server.pid().to_string()])
        .args(["--user", Credentials::USERNAME, "--password", Credentials::PASSWORD])
        .args(["--direction", direction.name()])
        .args(arguments.load.arguments())
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start taskset")?;
    anyhow::ensure!(output.status.success(), "the load on {} failed", contestant.name());
    serde_json::from_slice(&output.stdout).context("the load prints an outcome")
}

fn print_run(
    out: &mut impl Write,
    round: usize,
    contestant: &Contestant,
    direction: Direction,
    outcome: &Outcome,
) -> io::Result<()> {
    writeln!(
        out,
        "round {:2} {:4} {:6}  {:6.2} us  {:7.0} packets/s  lost {}  stalls {}  server {:3.0} %  \
         generator idle {:2.0} %{}",
        round + 1,
        direction.name(),
        contestant.name(),
        outcome.cpu_us_per_packet(),
        outcome.packets_per_second(),
        outcome.lost(),
        outcome.stalls,
        outcome.server_load() * 100.0,
        outcome.generator_idle() * 100.0,
        if outcome.is_disturbed() { "  DISTURBED" } else { "" },
    )
}

const HEADER: &str = "\
| direction | ours us | coturn us | ratio | min-max | kpps ours, coturn | lost ours, coturn |
|---|---|---|---|---|---|---|";

impl Duel {
    /// The median of the rounds' own ratios of ours to coturn's.
    fn ratio(&self) -> f64 {
        median(self.ratios())
    }

    fn row(&self) -> String {
        let of = |place: usize, figure: fn(&Outcome) -> f64| {
            median(self.rounds.iter().filter_map(|pair| pair.get(place)).map(figure))
        };
        let lost = |place: usize| -> u64 {
            self.rounds.iter().filter_map(|pair| pair.get(place)).map(Outcome::lost).sum()
        };
        format!(
            "| {} | {:.2} | {:.2} | {:.2} | {:.2}-{:.2} | {:.0}, {:.0} | {}, {} |",
            self.direction.name(),
            of(0, Outcome::cpu_us_per_packet),
            of(1, Outcome::cpu_us_per_packet),
            self.ratio(),
            self.ratios().fold(f64::INFINITY, f64::min),
            self.ratios().fold(0.0, f64::max),
            of(0, Outcome::packets_per_second) / 1e3,
            of(1, Outcome::packets_per_second) / 1e3,
            lost(0),
            lost(1),
        )
    }

    fn ratios(&self) -> impl Iterator<Item = f64> {
        self.rounds
            .iter()
            .map(|[ours, coturn]| ours.cpu_us_per_packet() / coturn.cpu_us_per_packet())
    }
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}
