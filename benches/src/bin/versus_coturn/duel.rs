//! The rounds of one case, and what they come to.

use serde::Serialize;
use turn_benches::{Floor, median};
use turn_client::load::{Limit, Report};

use crate::case::{Case, Figure, Goal};

/// One case with its runs, round by round.
pub(crate) struct Duel {
    pub(crate) case: Case,
    pub(crate) rounds: Vec<Round>,
}

/// One run of each server.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Round {
    pub(crate) ours: Report,
    pub(crate) theirs: Report,
    pub(crate) mux: Option<Report>,
    /// The same load through a forwarder without TURN.
    pub(crate) floor: Option<Floor>,
    /// The share of our packets that went from shard to shard, where there are several.
    pub(crate) crossed: Option<f64>,
}

/// What a server's run is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Its figure must be low.
    Judged,
    /// Its figure is what the other one is held against.
    Yardstick,
}

/// What the rounds come to.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Summary {
    pub(crate) ours: Option<f64>,
    pub(crate) theirs: Option<f64>,
    pub(crate) mux: Option<f64>,
    /// What the same load costs without TURN, and the median of its ratios to theirs.
    pub(crate) floor: Option<f64>,
    pub(crate) floor_ratio: Option<f64>,
    /// The median of the rounds' own ratios, and their span.
    pub(crate) ratio: Option<f64>,
    pub(crate) least: Option<f64>,
    pub(crate) most: Option<f64>,
    pub(crate) ratio_to_mux: Option<f64>,
    /// Rounds that count.
    pub(crate) rounds: usize,
    /// Rounds that do not, because the generator was the bottleneck in one of them.
    pub(crate) unused: usize,
    /// Rounds that count although it was in our run, so that our figure is a bound.
    pub(crate) bounds: usize,
    /// The share of our packets that went from shard to shard.
    pub(crate) crossed: Option<f64>,
    /// Rounds that count although a server or the generator had to wait for its core.
    pub(crate) disturbed: usize,
    /// Shares of packets lost: ours, theirs.
    pub(crate) lost: [f64; 2],
    pub(crate) verdict: &'static str,
}

pub(crate) const HEADER: &str = "\
| | case | ours | coturn | ratio | min-max | must | aim | verdict | floor | kpps | lost % | p99 µs | n |
|---|---|---|---|---|---|---|---|---|---|---|---|---|---|";

pub(crate) const MUX_HEADER: &str = "\
| | case | ours | coturn mux | ratio | must |
|---|---|---|---|---|---|";

impl Role {
    /// Whether a run says something about its server.
    ///
    /// In a closed loop in which the generator is the bottleneck the server has fewer packets to
    /// serve at a time than if it were saturated, and wakes more often for them: it pays at least
    /// what it would pay then. That may be told of whom it cannot flatter.
    pub(crate) fn can_use(self, figure: Figure, report: &Report) -> bool {
        !is_generator_bound(report)
            || (self == Self::Judged && figure == Figure::CpuTime && report.plan.rate.is_none())
    }
}

const fn is_generator_bound(report: &Report) -> bool {
    matches!(report.limited_by, Limit::Generator)
}

impl Round {
    /// Whether all of it says something about the servers.
    fn counts(&self, figure: Figure) -> bool {
        Role::Judged.can_use(figure, &self.ours) && Role::Yardstick.can_use(figure, &self.theirs)
    }
}

impl Duel {
    /// What the rounds come to.
    pub(crate) fn summary(&self) -> Summary {
        let figure = self.case.figure;
        let used: Vec<_> = self.rounds.iter().filter(|round| round.counts(figure)).collect();
        let ratios: Vec<_> =
            used.iter().filter_map(|round| ratio(figure, &round.ours, &round.theirs)).collect();
        let to_mux = used.iter().filter_map(|round| {
            let mux = round.mux.as_ref().filter(|mux| Role::Yardstick.can_use(figure, mux))?;
            ratio(figure, &round.ours, mux)
        });
        let floor = |round: &&&Round| Some(round.floor?.cpu_us_per_packet);
        let to_floor = used.iter().filter_map(|round| {
            let theirs = figure.of(&round.theirs).filter(|theirs| *theirs > 0.0)?;
            Some(floor(&round)? / theirs)
        });
        let lost = [lost_share(&used, |it| &it.ours), lost_share(&used, |it| &it.theirs)];
        let ours = middle(used.iter().filter_map(|round| figure.of(&round.ours)));
        let theirs = middle(used.iter().filter_map(|round| figure.of(&round.theirs)));
        let ratio = middle(ratios.iter().copied());
        let is_disturbed = |round: &&&Round| {
            [&round.ours, &round.theirs].into_iter().any(|it| self.case.is_disturbed(it))
        };
        let bounds = used.iter().filter(|round| is_generator_bound(&round.ours)).count();
        Summary {
            ours,
            theirs,
            mux: middle(used.iter().filter_map(|round| figure.of(round.mux.as_ref()?))),
            floor: middle(used.iter().filter_map(|round| floor(&round))),
            floor_ratio: middle(to_floor),
            ratio,
            least: ratios.iter().copied().reduce(f64::min),
            most: ratios.iter().copied().reduce(f64::max),
            ratio_to_mux: middle(to_mux),
            rounds: used.len(),
            unused: self.rounds.len() - used.len(),
            bounds,
            crossed: middle(used.iter().filter_map(|round| round.crossed)),
            disturbed: used.iter().filter(is_disturbed).count(),
            lost,
            verdict: verdict(self.case.goal, ours, theirs, ratio, lost, bounds > 0),
        }
    }

    /// A line of the table.
    pub(crate) fn row(&self) -> String {
        let summary = self.summary();
        let used = || self.rounds.iter().filter(|round| round.counts(self.case.figure));
        let pair = |of: fn(&Report) -> f64, digits: usize| {
            let ours = middle(used().map(|round| of(&round.ours)));
            let theirs = middle(used().map(|round| of(&round.theirs)));
            format!("{}, {}", shown_with(ours, digits), shown_with(theirs, digits))
        };
        let (must, aim) = match self.case.goal {
            Goal::Ratio { must, aim } => (format!("{must:.2}"), format!("{aim:.2}")),
            Goal::Above(most) => (format!("+{most:.0}"), "-".into()),
        };
        let unused = match summary.unused {
            0 => String::new(),
            count => format!(" ({count} generator-bound, not used)"),
        };
        let bounds = match summary.bounds {
            0 => String::new(),
            count => format!(" ({count} generator-bound for ours)"),
        };
        let floor = summary.floor.zip(summary.floor_ratio);
        let floor = floor.map(|(cost, ratio)| format!("{cost:.2} ({ratio:.2})"));
        let at_most = if summary.bounds > 0 { "≤ " } else { "" };
        let disturbed = match summary.disturbed {
            0 => String::new(),
            count => format!(" ({count} disturbed)"),
        };
        format!(
            "| {} | {}, {} | {at_most}{} | {} | {at_most}{} | {} - {} | {must} | {aim} | {} | {} | {} | \
             {:.2}, {:.2} | {} | {}{unused}{bounds}{disturbed} |",
            self.case.pattern,
            self.case.name,
            self.case.figure.unit(),
            shown(summary.ours),
            shown(summary.theirs),
            shown(summary.ratio),
            shown(summary.least),
            shown(summary.most),
            summary.verdict,
            floor.as_deref().unwrap_or("-"),
            pair(|report| report.per_second / 1e3, 1),
            summary.lost[0] * 100.0,
            summary.lost[1] * 100.0,
            pair(|report| report.latency_us.p99, 0),
            summary.rounds,
        )
    }

    /// A line of the table of coturn's mux mode, where it took part.
    pub(crate) fn mux_row(&self) -> Option<String> {
        let must = self.case.beside_mux?;
        let summary = self.summary();
        summary.mux?;
        Some(format!(
            "| {} | {}, {} | {} | {} | {} | {} |",
            self.case.pattern,
            self.case.name,
            self.case.figure.unit(),
            shown(summary.ours),
            shown(summary.mux),
            shown(summary.ratio_to_mux),
            must.map_or_else(|| "-".into(), |must| format!("{must:.2}")),
        ))
    }
}

fn ratio(figure: Figure, ours: &Report, theirs: &Report) -> Option<f64> {
    let theirs = figure.of(theirs).filter(|theirs| *theirs > 0.0)?;
    Some(figure.of(ours)? / theirs)
}

fn lost_share(rounds: &[&Round], of: fn(&Round) -> &Report) -> f64 {
    let sum = |count: fn(&Report) -> u64| rounds.iter().map(|round| count(of(round))).sum::<u64>();
    let (lost, sent) = (sum(|report| report.lost), sum(|report| report.sent));
    if sent == 0 { 0.0 } else { precise(lost) / precise(sent) }
}

/// The share that may be lost more than they lose: one in ten thousand, which an overflow of the
/// generator's own buffer explains.
const NOISE_OF_LOSS: f64 = 1e-4;

fn verdict(
    goal: Goal,
    ours: Option<f64>,
    theirs: Option<f64>,
    ratio: Option<f64>,
    lost: [f64; 2],
    is_bound: bool,
) -> &'static str {
    let (Some(ours), Some(theirs), Some(ratio)) = (ours, theirs, ratio) else {
        return "no figure";
    };
    if lost[0] > lost[1] + NOISE_OF_LOSS {
        return "LOSES MORE";
    }
    match goal {
        Goal::Ratio { aim, .. } if ratio <= aim => "aim",
        Goal::Ratio { must, .. } if ratio <= must => "must",
        Goal::Above(most) if ours <= theirs + most => "must",
        // A bound above the goal says nothing.
        Goal::Ratio { .. } | Goal::Above(_) if is_bound => "no figure",
        Goal::Ratio { .. } | Goal::Above(_) => "MISSED",
    }
}

fn middle(figures: impl Iterator<Item = f64>) -> Option<f64> {
    Some(median(figures)).filter(|middle| !middle.is_nan())
}

fn shown(figure: Option<f64>) -> String {
    shown_with(figure, 2)
}

fn shown_with(figure: Option<f64>, digits: usize) -> String {
    figure.map_or_else(|| "-".into(), |figure| format!("{figure:.digits$}"))
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
const fn precise(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]

    use serde_json::json;
    use turn_client::load::Plan;

    use super::*;
    use crate::case::cases;

    const GOAL: Goal = Goal::Ratio { must: 0.5, aim: 0.4 };

    #[test]
    fn verdict_follows_the_goals() {
        let of = |ratio: f64| verdict(GOAL, Some(ratio), Some(1.0), Some(ratio), [0.0; 2], false);
        assert_eq!((of(0.4), of(0.45), of(0.51)), ("aim", "must", "MISSED"));
        let late =
            |ours| verdict(Goal::Above(400.0), Some(ours), Some(20.0), Some(9.0), [0.0; 2], false);
        assert_eq!((late(420.0), late(421.0)), ("must", "MISSED"));
        assert_eq!(verdict(GOAL, None, Some(1.0), None, [0.0; 2], false), "no figure");
    }

    #[test]
    fn cheap_server_that_loses_more_does_not_pass() {
        let of = |lost| verdict(GOAL, Some(0.1), Some(1.0), Some(0.1), lost, false);
        assert_eq!(of([0.01, 0.0]), "LOSES MORE");
        assert_eq!((of([0.01, 0.02]), of([0.000_05, 0.0])), ("aim", "aim"));
    }

    #[test]
    fn bound_may_pass_and_never_misses() {
        let of = |ratio: f64| verdict(GOAL, Some(ratio), Some(1.0), Some(ratio), [0.0; 2], true);
        assert_eq!((of(0.4), of(0.45), of(0.51)), ("aim", "must", "no figure"));
    }

    #[test]
    fn generator_bound_run_is_a_bound_for_ours_and_nothing_for_theirs() {
        let (free, bound) = (run(Limit::Server, None, 2.0), run(Limit::Generator, None, 2.0));
        let duel = |ours: &Report, theirs: &Report| {
            let case = cases().into_iter().next().unwrap();
            let (ours, theirs) = (ours.clone(), theirs.clone());
            let round = Round { ours, theirs, mux: None, floor: None, crossed: None };
            Duel { case, rounds: vec![round] }
        };
        let summary = duel(&bound, &free).summary();
        assert_eq!((summary.rounds, summary.bounds, summary.unused), (1, 1, 0));
        assert!(duel(&bound, &free).row().contains("| ≤ 2.00 | 2.00 | ≤ 1.00 |"));
        let summary = duel(&free, &bound).summary();
        assert_eq!((summary.rounds, summary.unused, summary.verdict), (0, 1, "no figure"));
        let summary = duel(&free, &free).summary();
        assert_eq!((summary.rounds, summary.bounds, summary.unused), (1, 0, 0));
        assert!(!duel(&free, &free).row().contains('≤'));
    }

    #[test]
    fn bound_is_of_cpu_time_in_a_closed_loop_only() {
        let (closed, open) =
            (run(Limit::Generator, None, 2.0), run(Limit::Generator, Some(9), 2.0));
        assert!(Role::Judged.can_use(Figure::CpuTime, &closed));
        assert!(!Role::Judged.can_use(Figure::Latency, &closed));
        assert!(!Role::Judged.can_use(Figure::CpuTime, &open));
        assert!(!Role::Yardstick.can_use(Figure::CpuTime, &closed));
        assert!(Role::Yardstick.can_use(Figure::CpuTime, &run(Limit::Rate, Some(9), 2.0)));
    }

    /// A run that cost so many microseconds a packet.
    fn run(limited_by: Limit, rate: Option<u32>, cost: f64) -> Report {
        let percentiles =
            json!({ "count": 0, "p50": 0.0, "p90": 0.0, "p99": 0.0, "p999": 0.0, "max": 0.0 });
        let cpu = json!({ "ran": 0, "waited": 0 });
        let report = json!({
            "plan": Plan { rate, ..Plan::default() },
            "seconds": 1.0, "sent": 10, "received": 10, "lost": 0, "refused": {}, "stray": 0, "junk": 0,
            "stalls": 0, "per_second": 10.0, "latency_us": percentiles, "typical_p99_us": 0.0,
            "server": {
                "cpu": cpu, "load": 1.0, "cpu_us_per_packet": cost, "is_disturbed": false,
                "rss_kib": { "before": 0, "set_up": 0, "after": 0 }, "rss_kib_per_allocation": null,
            },
            "generator": {
                "cpu": cpu, "idle": 0.0, "late_us": percentiles, "is_disturbed": false, "kept_schedule": true,
            },
            "limited_by": limited_by,
        });
        serde_json::from_value(report).unwrap()
    }
}
