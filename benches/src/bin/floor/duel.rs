//! Both loops in turn, round by round, and the medians.

use std::{
    env,
    io::{self, BufRead, BufReader, Write},
    net::UdpSocket,
    process::{Child, Command, Stdio},
};

use anyhow::Context;
use clap::Args;

use crate::{Loop, load::Outcome};

#[derive(Args)]
pub(crate) struct Options {
    /// Paired rounds.
    #[arg(long, default_value_t = 9)]
    rounds: usize,
    /// Channels, each with a relay socket and a client of its own.
    #[arg(long, default_value_t = 1000)]
    sockets: usize,
    /// The nap, in microseconds; 0 for none.
    #[arg(long, default_value_t = 200)]
    nap: u64,
    /// Milliseconds measured a run.
    #[arg(long, default_value_t = 1000)]
    milliseconds: u64,
    /// Run only cases whose name contains this.
    #[arg(long, default_value = "")]
    only: String,
}

/// A load: its name, its direction, its rate.
struct Case(&'static str, &'static str, Option<u32>, Nap);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Nap {
    On,
    Off,
}

const CASES: [Case; 6] = [
    Case("many up, max", "up", None, Nap::On),
    Case("many down, max", "down", None, Nap::On),
    Case("media up, 30 kpps, nap", "up", Some(30_000), Nap::On),
    Case("media down, 30 kpps, nap", "down", Some(30_000), Nap::On),
    Case("media up, 30 kpps, no nap", "up", Some(30_000), Nap::Off),
    Case("media down, 30 kpps, no nap", "down", Some(30_000), Nap::Off),
];

/// Measures and prints a table.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    let cases: Vec<_> = CASES.iter().filter(|case| case.0.contains(&options.only)).collect();
    let mut results = vec![[const { Vec::new() }; 2]; cases.len()];
    for round in 0..options.rounds {
        for (case, [bare, tokio]) in cases.iter().zip(&mut results) {
            // Who goes first alternates, so that a drift favours nobody.
            if round % 2 == 0 {
                bare.push(measure(options, case, Loop::Bare)?);
                tokio.push(measure(options, case, Loop::Tokio)?);
            } else {
                tokio.push(measure(options, case, Loop::Tokio)?);
                bare.push(measure(options, case, Loop::Bare)?);
            }
        }
    }
    writeln!(
        out,
        "| case | bare us | tokio us | tokio/bare | min-max | kpps bare, tokio | lost | stalls |"
    )?;
    writeln!(out, "|---|---|---|---|---|---|---|---|")?;
    for (case, [bare, tokio]) in cases.iter().zip(&results) {
        let ratios = || bare.iter().zip(tokio).map(|(b, t)| t.cost() / b.cost());
        let thousands = |runs: &[Outcome]| {
            median(runs.iter().map(|run| run.delivered as f64 / options.milliseconds as f64))
        };
        let all = || bare.iter().chain(tokio);
        writeln!(
            out,
            "| {} | {:.2} | {:.2} | {:.2} | {:.2}-{:.2} | {:.0}, {:.0} | {} | {} |",
            case.0,
            median(bare.iter().map(Outcome::cost)),
            median(tokio.iter().map(Outcome::cost)),
            median(ratios()),
            ratios().fold(f64::INFINITY, f64::min),
            ratios().fold(0.0, f64::max),
            thousands(bare),
            thousands(tokio),
            all().map(|run| run.sent.saturating_sub(run.delivered)).sum::<u64>(),
            all().map(|run| run.stalls).sum::<u64>(),
        )?;
    }
    Ok(())
}

impl Outcome {
    /// Microseconds of CPU a delivered packet.
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    fn cost(&self) -> f64 {
        self.cpu_nanoseconds as f64 / 1000.0 / self.delivered.max(1) as f64
    }
}

/// One run of one loop, or a few until one is undisturbed.
fn measure(options: &Options, case: &Case, which: Loop) -> anyhow::Result<Outcome> {
    let mut outcome = run_once(options, case, which)?;
    for _ in 0..ATTEMPTS {
        if outcome.waited_nanoseconds < options.milliseconds * 1_000_000 / DISTURBED {
            break;
        }
        outcome = run_once(options, case, which)?;
    }
    Ok(outcome)
}

/// A run in which the forwarder waited for its core for a fiftieth of the time
/// says more about the machine than about the loop.
const DISTURBED: u64 = 50;

/// How often such a run is repeated.
const ATTEMPTS: usize = 20;

/// One run of one loop: the forwarder on core 0, the load on core 1.
fn run_once(options: &Options, case: &Case, which: Loop) -> anyhow::Result<Outcome> {
    // An address that no other socket of the measurement is bound to.
    let peer = UdpSocket::bind("127.0.0.2:0")?.local_addr()?.to_string();
    let nap = if case.3 == Nap::On { options.nap } else { 0 };
    let mut forwarder = pinned(0)?;
    forwarder.args(["forward", "--loop", if which == Loop::Bare { "bare" } else { "tokio" }]);
    forwarder.args(["--sockets", &options.sockets.to_string(), "--peer", &peer]);
    forwarder.args(["--nap", &nap.to_string()]);
    let mut forwarder = Running(forwarder.stdout(Stdio::piped()).spawn()?);
    let mut ports = String::new();
    let stdout = forwarder.0.stdout.as_mut().context("stdout is piped")?;
    BufReader::new(stdout).read_line(&mut ports)?;

    let mut load = pinned(1)?;
    load.args(["load", "--direction", case.1, "--ports", ports.trim(), "--peer", &peer]);
    load.args(["--pid", &forwarder.0.id().to_string()]);
    load.args(["--milliseconds", &options.milliseconds.to_string()]);
    if let Some(rate) = case.2 {
        load.args(["--rate", &rate.to_string()]);
    }
    let output = load.stderr(Stdio::inherit()).output()?;
    anyhow::ensure!(output.status.success(), "the load failed");
    Outcome::parse(&String::from_utf8(output.stdout)?)
}

/// This program on one core.
fn pinned(core: u32) -> anyhow::Result<Command> {
    let mut command = Command::new("taskset");
    command.args(["-c", &core.to_string()]).arg(env::current_exe()?);
    Ok(command)
}

/// A child that does not outlive its measurement.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
