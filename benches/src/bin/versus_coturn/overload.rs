//! Twice as much as a server can relay: what is left of its goodput?
//!
//! Each server is held to half a core by a control group. Closed loops find its peak, then an open
//! loop offers twice that.

use std::io::{self, Write};

use serde::Serialize;
use turn_benches::{Kind, median};
use turn_client::load::{Direction, Plan, Report, Transport};

use crate::{arena::Arena, half_core::HalfCore};

/// One server, one load, round by round.
#[derive(Serialize)]
pub(crate) struct Overload {
    server: &'static str,
    name: String,
    rounds: Vec<Pair>,
}

/// The peak and what is left of it.
#[derive(Serialize)]
struct Pair {
    /// The best closed loop.
    peak: Report,
    offered_twice: Report,
}

/// One load.
struct Load {
    name: String,
    plan: Plan,
    /// Packets on their way in the closed loops: enough to wait while the server must not run, and
    /// over UDP not more than its receive buffer holds.
    windows: [u64; 2],
}

/// The share of twice the peak that must really have been offered.
const OFFERED: f64 = 0.95;

/// The share of the peak that must be left.
const MUST: f64 = 0.8;

const HEADER: &str = "\
| | case | server | peak kpps | offered kpps | goodput kpps | of the peak | min-max | must | n |
|---|---|---|---|---|---|---|---|---|---|";

/// Measures both servers; `plan` says for how long.
pub(crate) fn measure(
    arena: &Arena,
    out: &mut impl Write,
    rounds: usize,
    plan: &Plan,
) -> anyhow::Result<Vec<Overload>> {
    let loads = loads(plan);
    let mut all = Vec::new();
    for load in &loads {
        for kind in [Kind::Ours, Kind::Coturn] {
            let name = load.name.clone();
            all.push((load, kind, Overload { server: kind.name(), name, rounds: Vec::new() }));
        }
    }
    for round in 0..rounds {
        for (load, kind, overload) in &mut all {
            let pair = Pair::measure(arena, *kind, load)?;
            print_pair(out, round, overload, &pair)?;
            overload.rounds.push(pair);
        }
    }
    let all: Vec<_> = all.into_iter().map(|(_, _, overload)| overload).collect();
    writeln!(out, "\n{HEADER}")?;
    all.iter().try_for_each(|overload| writeln!(out, "{}", overload.row()))?;
    Ok(all)
}

fn loads(plan: &Plan) -> Vec<Load> {
    let udp = [Direction::Up, Direction::Down].map(|direction| Load {
        name: format!("overload, {}", direction.name()),
        plan: Plan { direction, ..plan.clone() },
        windows: [128, 256],
    });
    let tls = Load {
        name: "overload, TLS up".into(),
        plan: Plan { transport: Transport::Tls, allocations: 10, ..plan.clone() },
        windows: [256, 1_024],
    };
    udp.into_iter().chain([tls]).collect()
}

/// One run of a server that has half a core.
fn held(arena: &Arena, kind: Kind, plan: &Plan) -> anyhow::Result<Report> {
    // Made first, so that it is removed last.
    let group = HalfCore::new()?;
    let server = arena.start(kind)?;
    group.hold(server.pid())?;
    arena.load(&server, plan)
}

impl Pair {
    fn measure(arena: &Arena, kind: Kind, load: &Load) -> anyhow::Result<Self> {
        let closed = |window| held(arena, kind, &Plan { window, ..load.plan.clone() });
        let [one, other] = load.windows.map(closed);
        let (one, other) = (one?, other?);
        let peak = if one.per_second > other.per_second { one } else { other };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a packet rate"
        )]
        let rate = Some((peak.per_second * 2.0).max(1.0) as u32);
        let offered_twice = held(arena, kind, &Plan { rate, ..load.plan.clone() })?;
        Ok(Self { peak, offered_twice })
    }

    /// Packets a second that the generator has really sent.
    fn offered(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let sent = self.offered_twice.sent as f64;
        sent / self.offered_twice.seconds
    }

    /// What is left of the peak, where the generator could offer that much.
    fn left(&self) -> Option<f64> {
        let is_offered = self.offered() >= self.peak.per_second * 2.0 * OFFERED;
        is_offered.then(|| self.offered_twice.per_second / self.peak.per_second)
    }
}

impl Overload {
    /// The median over the rounds that say something.
    fn left(&self) -> Option<f64> {
        Some(median(self.rounds.iter().filter_map(Pair::left))).filter(|left| !left.is_nan())
    }

    /// Whether it is ours and too little is left, as far as anybody could tell.
    pub(crate) fn is_missed(&self) -> bool {
        self.server == Kind::Ours.name() && self.left().is_none_or(|left| left < MUST)
    }

    fn row(&self) -> String {
        let middle = |of: fn(&Pair) -> f64| median(self.rounds.iter().map(of)) / 1e3;
        let left: Vec<_> = self.rounds.iter().filter_map(Pair::left).collect();
        let shown = |left: Option<f64>| left.map_or_else(|| "-".into(), |it| format!("{it:.2}"));
        format!(
            "| o | {} | {} | {:.1} | {:.1} | {:.1} | {} | {} - {} | {MUST:.2} | {} |",
            self.name,
            self.server,
            middle(|it| it.peak.per_second),
            middle(Pair::offered),
            middle(|it| it.offered_twice.per_second),
            shown(self.left()),
            shown(left.iter().copied().reduce(f64::min)),
            shown(left.iter().copied().reduce(f64::max)),
            left.len(),
        )
    }
}

fn print_pair(
    out: &mut impl Write,
    round: usize,
    overload: &Overload,
    pair: &Pair,
) -> io::Result<()> {
    let Pair { peak, offered_twice } = pair;
    let load = |report: &Report| report.server.as_ref().map_or(f64::NAN, |it| it.load * 100.0);
    writeln!(
        out,
        "round {:2}  o {:17} {:7} peak {:7.0}/s (window {})  offered {:7.0}/s  goodput {:7.0}/s  server \
         {:.0} %, {:.0} %  generator idle {:.0} %",
        round + 1,
        overload.name,
        overload.server,
        peak.per_second,
        peak.plan.window,
        pair.offered(),
        offered_twice.per_second,
        load(peak),
        load(offered_twice),
        offered_twice.generator.idle * 100.0,
    )
}
