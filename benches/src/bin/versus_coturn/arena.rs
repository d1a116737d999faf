//! One core for the server, one for the load: runs, one after the other.

use std::{
    io::{self, Write},
    path::PathBuf,
    process::Stdio,
};

use anyhow::Context;
use turn_benches::{Contestant, Credentials, Floor, Kind, Running, pinned};
use turn_client::load::{Direction, Plan, Report};

use crate::{
    Arguments, bare,
    binaries::{Binaries, debian_coturn},
    case::Case,
    crossing,
    duel::{Role, Round},
    mux,
};

/// Everything that a run needs.
pub(crate) struct Arena {
    binaries: Binaries,
    coturn: PathBuf,
    /// coturn 4.17 for its mux mode, where there is one.
    mux: Option<PathBuf>,
    server_core: u32,
    load_core: u32,
    repeats: usize,
}

/// What one run has shown.
struct Run {
    report: Report,
    /// The share of its packets that went from shard to shard, where there are several.
    crossed: Option<f64>,
}

/// Where the clients of set-up cycles begin: all of 127.0.0.0/8 is there.
const FIRST_OF_MANY_CLIENTS: &str = "127.1.0.1";

impl Arena {
    /// Finds or builds everything.
    pub(crate) fn new(arguments: &Arguments, repeats: usize) -> anyhow::Result<Self> {
        let binaries = Binaries::find(!arguments.no_build)?;
        let coturn = arguments.coturn.clone().unwrap_or_else(debian_coturn);
        anyhow::ensure!(
            coturn.is_file(),
            "{} is not there; run: cargo xtask tools",
            coturn.display()
        );
        Ok(Self {
            coturn,
            mux: mux::find()?,
            binaries,
            server_core: arguments.server_core,
            load_core: arguments.load_core,
            repeats,
        })
    }

    /// What decides about the comparison.
    pub(crate) fn conditions(&self) -> anyhow::Result<String> {
        let mut text = String::new();
        let kinds = [Kind::Ours, Kind::Coturn, Kind::CoturnMux];
        for contestant in kinds.into_iter().filter_map(|kind| self.contestant(kind)) {
            let how = contestant.describe(self.server_core)?;
            text.push_str(&format!("{}:\n{}\n\n", contestant.kind.name(), indented(&how)));
        }
        text.push_str(&format!(
            "server on core {}, turnserver-load on core {}\n",
            self.server_core, self.load_core
        ));
        Ok(text)
    }

    /// One run of each server; who goes first alternates.
    pub(crate) fn round(
        &self,
        out: &mut impl Write,
        round: usize,
        case: &Case,
    ) -> anyhow::Result<Round> {
        let [ours, theirs] = case.sides.map(|kind| self.contestant(kind));
        let mux = self.contestant(Kind::CoturnMux).filter(|_| case.beside_mux.is_some());
        let mut places = [
            (ours, Role::Judged, None),
            (theirs, Role::Yardstick, None),
            (mux, Role::Yardstick, None),
        ];
        let mut order: Vec<_> = places.iter_mut().collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for (contestant, role, run) in order {
            if let Some(contestant) = contestant {
                let it = self.usable(contestant, *role, case)?;
                print_run(out, round, contestant, case, &it)?;
                *run = Some(it);
            }
        }
        let floor = case.beside_floor.map(|nap| self.floor(&case.plan, nap)).transpose()?;
        if let Some(floor) = &floor {
            print_floor(out, round, case, floor)?;
        }
        let [ours, theirs, mux] = places.map(|(_, _, run)| run);
        let Run { report: ours, crossed } = ours.context("a run")?;
        let theirs = theirs.context("a run")?.report;
        Ok(Round { ours, theirs, mux: mux.map(|run| run.report), floor, crossed })
    }

    /// One run of the bare forwarder, or a few until one is undisturbed.
    fn floor(&self, plan: &Plan, nap: u64) -> anyhow::Result<Floor> {
        let cores = [self.server_core, self.load_core];
        let run = || bare::measure(&self.binaries.floor, cores, plan, nap);
        let mut last = run()?;
        for _ in 0..self.repeats {
            if !last.is_disturbed {
                break;
            }
            last = run()?;
        }
        Ok(last)
    }

    /// A server, unless nobody has said where it is.
    fn contestant(&self, kind: Kind) -> Option<Contestant> {
        let binary = match kind {
            Kind::Ours | Kind::OursWithoutNap | Kind::OursTwoShards => &self.binaries.turnserver,
            Kind::Coturn => &self.coturn,
            Kind::CoturnMux => self.mux.as_ref()?,
        };
        Some(Contestant { kind, binary: binary.clone() })
    }

    /// One run, or a few until one is undisturbed and says something about the server.
    fn usable(&self, contestant: &Contestant, role: Role, case: &Case) -> anyhow::Result<Run> {
        // Not usable is worse than disturbed.
        let badness =
            |run: &Run| (!role.can_use(case.figure, &run.report), case.is_disturbed(&run.report));
        let mut best = self.run(contestant, case)?;
        for _ in 0..self.repeats {
            if badness(&best) == (false, false) {
                break;
            }
            let again = self.run(contestant, case)?;
            if badness(&again) <= badness(&best) {
                best = again;
            }
        }
        Ok(best)
    }

    /// One run of one server that was started for it.
    fn run(&self, contestant: &Contestant, case: &Case) -> anyhow::Result<Run> {
        let server = contestant.start(self.server_core)?;
        let mut plan = case.plan.clone();
        if contestant.kind == Kind::CoturnMux {
            // It tells allocations apart by their peers.
            plan.peers = plan.allocations;
        }
        self.observe(&server, &plan)
            .with_context(|| format!("{} on {}", case.name, contestant.kind.name()))
    }

    fn observe(&self, server: &Running, plan: &Plan) -> anyhow::Result<Run> {
        let report = self.load(server, plan)?;
        let metrics = server.metrics().filter(|_| plan.direction == Direction::Pairs);
        let crossed = metrics.map(crossing::share).transpose()?.flatten();
        Ok(Run { report, crossed })
    }

    /// Starts a server on its core.
    pub(crate) fn start(&self, kind: Kind) -> anyhow::Result<Running> {
        let contestant = self.contestant(kind).context("no such server")?;
        contestant.start(self.server_core)
    }

    /// Puts a load on a server.
    pub(crate) fn load(&self, server: &Running, plan: &Plan) -> anyhow::Result<Report> {
        let mut command = pinned(self.load_core, &self.binaries.load);
        command
            .args(["--server", &server.address().to_string()])
            .args(["--pid", &server.pid().to_string()])
            .args(["--user", Credentials::USERNAME, "--password", Credentials::PASSWORD])
            .args(plan.arguments());
        if plan.client_addresses > 1 {
            command.args(["--clients", FIRST_OF_MANY_CLIENTS]);
        }
        let output = command.stderr(Stdio::inherit()).output().context("cannot start taskset")?;
        anyhow::ensure!(
            output.status.success(),
            "the load failed; the server said: {}",
            server.said()
        );
        serde_json::from_slice(&output.stdout).context("the load prints a report")
    }
}

fn print_run(
    out: &mut impl Write,
    round: usize,
    contestant: &Contestant,
    case: &Case,
    run: &Run,
) -> io::Result<()> {
    let Run { report, crossed } = run;
    let load = report.server.as_ref().map_or(0.0, |server| server.load);
    writeln!(
        out,
        "round {:2}  {} {:36} {:11} {:8.2} {:6} {:8.0}/s  lost {}  p50 {:.0}, p99 {:.0} us  server {:3.0} %  \
         generator idle {:2.0} %  limited by {:?}{}{}{}",
        round + 1,
        case.pattern,
        case.name,
        contestant.kind.name(),
        case.figure.of(report).unwrap_or(f64::NAN),
        case.figure.unit(),
        report.per_second,
        report.lost,
        report.latency_us.p50,
        report.latency_us.p99,
        load * 100.0,
        report.generator.idle * 100.0,
        report.limited_by,
        if case.is_disturbed(report) { "  DISTURBED" } else { "" },
        crossed.map_or_else(String::new, |share| format!("  crossed {:.0} %", share * 100.0)),
        if report.refused.is_empty() {
            String::new()
        } else {
            format!("  refused {:?}", report.refused)
        },
    )
}

fn print_floor(out: &mut impl Write, round: usize, case: &Case, floor: &Floor) -> io::Result<()> {
    let Floor { cpu_us_per_packet, per_second, lost, is_disturbed } = floor;
    writeln!(
        out,
        "round {:2}  {} {:36} {:11} {cpu_us_per_packet:8.2} {:6} {per_second:8.0}/s  lost {lost}{}",
        round + 1,
        case.pattern,
        case.name,
        "floor",
        case.figure.unit(),
        if *is_disturbed { "  DISTURBED" } else { "" },
    )
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}
