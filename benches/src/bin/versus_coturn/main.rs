//! Our server and coturn in turn under the same loads: what does a packet, a cycle, an allocation
//! cost each of them?
//!
//! In each round every server is started anew for every case, on the server's core; the load
//! generator has another one. Who goes first alternates, so that a drift of the machine favours
//! nobody. What counts is the median of the rounds' own ratios; a round in which the generator was
//! the bottleneck does not count and is told.

#![forbid(unsafe_code)]

mod arena;
mod bare;
mod binaries;
mod case;
mod crossing;
mod duel;
mod half_core;
mod latency;
mod machine;
mod mux;
mod overload;

use std::{
    fs,
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::Context;
use clap::Parser;
use serde_json::json;
use turn_client::load::{Pattern, Plan};

use crate::{
    arena::Arena,
    binaries::target,
    case::{Case, cases},
    duel::{Duel, HEADER, MUX_HEADER},
    overload::Overload,
};

#[derive(Parser)]
#[command(
    about = "Measures turnserver beside coturn, pattern by pattern; prints medians and ratios"
)]
struct Arguments {
    /// The main cases with short measurements: under two minutes.
    #[arg(long, conflicts_with = "full")]
    quick: bool,
    /// All cases, five rounds of a second: under fifteen minutes. This is the default.
    #[arg(long)]
    full: bool,
    /// Only these patterns: a bulk, b many, c media, d pairs, e Binding, f set-up, g memory,
    /// h streams, i junk, l latency, s shards, o overload (needs to make control groups).
    #[arg(long, value_delimiter = ',')]
    pattern: Vec<char>,
    /// Rounds of all cases; no round begins that would end beyond the time.
    #[arg(long)]
    rounds: Option<usize>,
    /// Milliseconds measured in each run.
    #[arg(long)]
    milliseconds: Option<u64>,
    /// coturn's binary, if it is not Debian's, which `cargo xtask tools` fetches.
    #[arg(long)]
    coturn: Option<PathBuf>,
    /// The core of the server.
    #[arg(long, default_value_t = 0)]
    server_core: u32,
    /// The core of the load.
    #[arg(long, default_value_t = 1)]
    load_core: u32,
    /// How often a run is repeated in which the server had to wait for its core, or the generator
    /// was the bottleneck.
    #[arg(long)]
    repeats: Option<usize>,
    /// Takes the programs beside this one as they are.
    #[arg(long)]
    no_build: bool,
}

/// The pattern that is no case of the table.
const OVERLOAD: char = 'o';

/// What `--quick` or `--full` mean.
struct Extent {
    rounds: usize,
    repeats: usize,
    milliseconds: u64,
    warm_up: u64,
    /// Beyond this no round begins.
    time: Duration,
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let extent = Extent::of(&arguments);
    let arena = Arena::new(&arguments, extent.repeats)?;
    let mut duels: Vec<_> = cases()
        .into_iter()
        .filter(|case| arguments.pattern.is_empty() || arguments.pattern.contains(&case.pattern))
        .filter(|case| case.is_quick || !arguments.quick)
        .map(|case| Duel { case: timed(case, &extent), rounds: Vec::new() })
        .collect();
    // It needs privileges, and has a measure of its own.
    let has_overload = arguments.pattern.contains(&OVERLOAD);
    anyhow::ensure!(!duels.is_empty() || has_overload, "no pattern has such a letter");
    let mut out = io::stdout().lock();
    let machine = machine::describe();
    let conditions = arena.conditions()?;
    writeln!(out, "{machine}\n\n{conditions}")?;

    let start = Instant::now();
    for round in 0..extent.rounds {
        let longest = start.elapsed().checked_div(u32::try_from(round)?).unwrap_or_default();
        if round > 0 && start.elapsed() + longest > extent.time {
            writeln!(out, "the time is over after {round} of {} rounds", extent.rounds)?;
            break;
        }
        for duel in &mut duels {
            let pair = arena.round(&mut out, round, &duel.case)?;
            duel.rounds.push(pair);
        }
    }
    if !duels.is_empty() {
        print_tables(&mut out, &duels)?;
    }
    let overloads = if has_overload {
        let Extent { rounds, milliseconds, warm_up, .. } = extent;
        let plan = Plan { milliseconds, warm_up, ..Plan::default() };
        overload::measure(&arena, &mut out, rounds, &plan)?
    } else {
        Vec::new()
    };
    let path = target().join("versus-coturn.json");
    let text = serde_json::to_string_pretty(&as_json(&machine, &conditions, &duels, &overloads))?;
    fs::write(&path, text).with_context(|| path.display().to_string())?;
    writeln!(out, "\nall runs: target/versus-coturn.json")?;
    let is_good = |duel: &Duel| matches!(duel.summary().verdict, "must" | "aim");
    let is_good = duels.iter().all(is_good) && !overloads.iter().any(Overload::is_missed);
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Extent {
    fn of(arguments: &Arguments) -> Self {
        let usual = if arguments.quick {
            let time = Duration::from_secs(115);
            Self { rounds: 3, repeats: 1, milliseconds: 400, warm_up: 200, time }
        } else {
            let time = Duration::from_secs(870);
            Self { rounds: 5, repeats: 2, milliseconds: 1_000, warm_up: 400, time }
        };
        Self {
            rounds: arguments.rounds.unwrap_or(usual.rounds).max(1),
            repeats: arguments.repeats.unwrap_or(usual.repeats),
            milliseconds: arguments.milliseconds.unwrap_or(usual.milliseconds),
            ..usual
        }
    }
}

/// The case for as long as this extent measures.
fn timed(case: Case, extent: &Extent) -> Case {
    let milliseconds = match case.plan.pattern {
        // Nothing happens in it.
        Pattern::Idle => 50,
        Pattern::Relay | Pattern::Binding | Pattern::Cycle => extent.milliseconds * case.length,
    };
    let plan = Plan { milliseconds, warm_up: extent.warm_up, ..case.plan };
    Case { plan, ..case }
}

fn print_tables(out: &mut impl Write, duels: &[Duel]) -> io::Result<()> {
    writeln!(out, "\n{HEADER}")?;
    for duel in duels {
        writeln!(out, "{}", duel.row())?;
    }
    if let Some(table) = latency::table(duels) {
        writeln!(out, "\n{table}")?;
    }
    let mut mux = duels.iter().filter_map(Duel::mux_row).peekable();
    if mux.peek().is_some() {
        writeln!(out, "\n{MUX_HEADER}")?;
        for row in mux {
            writeln!(out, "{row}")?;
        }
    }
    // Pattern (i) has a second condition: what junk costs our own useful packets.
    let clean = |junk: &&Duel| {
        let same = Plan { junk: 0, ..junk.case.plan.clone() };
        duels.iter().find(|it| it.case.plan == same && it.case.sides == junk.case.sides)
    };
    for duel in duels.iter().filter(|duel| duel.case.plan.junk > 0) {
        let ours = clean(&duel).and_then(|clean| clean.summary().ours).zip(duel.summary().ours);
        if let Some((clean, junk)) = ours {
            let (name, ratio) = (&duel.case.name, junk / clean);
            writeln!(out, "{name}: ours a useful packet {ratio:.2} of clean (at most 1.25)")?;
        }
    }
    for duel in duels {
        if let Some(crossed) = duel.summary().crossed {
            writeln!(out, "{}: {:.0} % from shard to shard", duel.case.name, crossed * 100.0)?;
        }
    }
    Ok(())
}

fn as_json(
    machine: &str,
    conditions: &str,
    duels: &[Duel],
    overloads: &[Overload],
) -> serde_json::Value {
    let cases: Vec<_> = duels
        .iter()
        .map(|duel| {
            json!({
                "pattern": duel.case.pattern,
                "name": duel.case.name,
                "unit": duel.case.figure.unit(),
                "summary": duel.summary(),
                "rounds": duel.rounds,
            })
        })
        .collect();
    json!({
        "machine": machine,
        "conditions": conditions,
        "cases": cases,
        "overload": overloads,
    })
}
