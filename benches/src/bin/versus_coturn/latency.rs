//! What the rounds of the latency cases have shown beyond the figure that is compared.

use turn_benches::median;
use turn_client::load::Report;

use crate::{
    case::Figure,
    duel::{Duel, Round},
};

const HEADER: &str = "\
| | case | server | p50 µs | p99, median of tenths | p99 | p99, least - most | p99.9 | most | late p99 |
|---|---|---|---|---|---|---|---|---|---|";

/// The table; `None` where there was no such case.
pub(crate) fn table(duels: &[Duel]) -> Option<String> {
    let of_latency = duels.iter().filter(|duel| duel.case.figure == Figure::Latency);
    let rows: Vec<_> = of_latency.flat_map(rows).collect();
    (!rows.is_empty()).then(|| format!("{HEADER}\n{}", rows.join("\n")))
}

fn rows(duel: &Duel) -> [String; 2] {
    let [ours, theirs] = duel.case.sides;
    let of = |name: &str, side: fn(&Round) -> &Report| {
        let all = |figure: fn(&Report) -> f64| duel.rounds.iter().map(move |it| figure(side(it)));
        let p99 = || all(|report| report.latency_us.p99);
        format!(
            "| {} | {} | {name} | {:.0} | {:.0} | {:.0} | {:.0} - {:.0} | {:.0} | {:.0} | {:.0} |",
            duel.case.pattern,
            duel.case.name,
            median(all(|report| report.latency_us.p50)),
            median(all(|report| report.typical_p99_us)),
            median(p99()),
            p99().fold(f64::INFINITY, f64::min),
            p99().fold(0.0, f64::max),
            median(all(|report| report.latency_us.p999)),
            all(|report| report.latency_us.max).fold(0.0, f64::max),
            median(all(|report| report.generator.late_us.p99)),
        )
    };
    [of(ours.name(), |round| &round.ours), of(theirs.name(), |round| &round.theirs)]
}
