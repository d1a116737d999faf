//! Twice as much as a server can relay: what is left of its goodput?
//!
//! Each server is held to half a core by a control group. A closed loop finds its peak, then an open
//! loop offers twice that.

use std::io::Write;

use serde::Serialize;
use turn_benches::{Kind, median};
use turn_client::load::{Direction, Limit, Plan, Report};

use crate::{arena::Arena, half_core::HalfCore};

/// One server, one direction, round by round.
#[derive(Serialize)]
pub(crate) struct Overload {
    server: &'static str,
    direction: String,
    rounds: Vec<Pair>,
}

/// The peak and what is left of it.
#[derive(Serialize)]
struct Pair {
    peak: Report,
    offered_twice: Report,
}

/// The share of the peak that must be left.
const MUST: f64 = 0.8;

/// Measures both servers.
pub(crate) fn measure(
    arena: &Arena,
    out: &mut impl Write,
    rounds: usize,
    plan: &Plan,
) -> anyhow::Result<Vec<Overload>> {
    let mut all = Vec::new();
    for direction in [Direction::Up, Direction::Down] {
        for kind in [Kind::Ours, Kind::Coturn] {
            let plan = Plan { direction, ..plan.clone() };
            let rounds: anyhow::Result<_> = (0..rounds).map(|_| pair(arena, kind, &plan)).collect();
            let it = Overload { server: kind.name(), direction: direction.name(), rounds: rounds? };
            writeln!(out, "{}", it.row())?;
            all.push(it);
        }
    }
    Ok(all)
}

/// A server for each of both loads.
fn pair(arena: &Arena, kind: Kind, plan: &Plan) -> anyhow::Result<Pair> {
    let peak = held(arena, kind, plan)?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a packet rate")]
    let rate = (peak.per_second * 2.0).max(1.0) as u32;
    let offered_twice = held(arena, kind, &Plan { rate: Some(rate), ..plan.clone() })?;
    Ok(Pair { peak, offered_twice })
}

fn held(arena: &Arena, kind: Kind, plan: &Plan) -> anyhow::Result<Report> {
    // Made first, so that it is removed last.
    let group = HalfCore::new()?;
    let server = arena.start(kind)?;
    group.hold(server.pid())?;
    arena.load(&server, plan)
}

impl Overload {
    /// The median of what is left, over the rounds in which the generator kept its schedule.
    fn left(&self) -> f64 {
        let kept = self.rounds.iter().filter(|it| it.offered_twice.limited_by == Limit::Rate);
        median(kept.map(|it| it.offered_twice.per_second / it.peak.per_second))
    }

    /// Whether it is ours and too little is left.
    pub(crate) fn is_missed(&self) -> bool {
        self.server == Kind::Ours.name() && (self.left() < MUST || self.left().is_nan())
    }

    fn row(&self) -> String {
        let middle = |of: fn(&Pair) -> f64| median(self.rounds.iter().map(of)) / 1e3;
        format!(
            "o  overload at half a core, {:4} {:7} peak {:.1} kpps, offered twice {:.1} kpps: {:.2} of it \
             (at least {MUST})",
            self.direction,
            self.server,
            middle(|it| it.peak.per_second),
            middle(|it| it.offered_twice.per_second),
            self.left(),
        )
    }
}
