//! What one run has shown: one JSON object.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::tally::Tally;
use super::{CpuTime, Histogram, Pattern, Percentiles, Plan, Rss};

/// What one run has shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// What was done.
    pub plan: Plan,
    /// How long it took.
    pub seconds: f64,
    /// Packets that the kernel took from the generator (cycles begun, requests sent).
    pub sent: u64,
    /// Those of them that arrived at the other end (cycles completed, responses).
    pub received: u64,
    /// The others, without cycles that were refused.
    pub lost: u64,
    /// Cycles that the server refused, by error code; 0 is an answer that could not be used.
    pub refused: BTreeMap<u16, u64>,
    /// What came to a place that it was not meant for.
    pub stray: u64,
    /// Junk sent beside it.
    pub junk: u64,
    /// Times that a closed loop had to be started again because nothing came back.
    pub stalls: u64,
    /// What was received until the end of the measurement, a second.
    pub per_second: f64,
    /// From leaving to arriving, of all that were received.
    pub latency_us: Percentiles,
    /// The median of the 99th percentiles of its tenths of a second: what is left of the 99th
    /// percentile when something else on the server's core, for some milliseconds now and then, is
    /// not counted; that of the whole where no tenth was over.
    pub typical_p99_us: f64,
    /// The server's books, where its process is known.
    pub server: Option<ServerFigures>,
    /// The generator's books.
    pub generator: GeneratorFigures,
    /// What kept the rate from being higher.
    pub limited_by: Limit,
}

/// What the load cost the server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServerFigures {
    /// CPU time over the measurement, all threads, user and system.
    pub cpu: CpuTime,
    /// How much of the time it ran, 1 being a whole core.
    pub load: f64,
    /// Microseconds of CPU time a packet (response, cycle) that arrived in the measurement.
    pub cpu_us_per_packet: Option<f64>,
    /// Whether it waited for its core for more than a fiftieth of the time.
    pub is_disturbed: bool,
    /// Resident memory.
    pub rss_kib: Rss,
    /// What each allocation has added to it until the warm-up; `None` for binding and cycle.
    pub rss_kib_per_allocation: Option<f64>,
}

/// What it cost the generator, which polls: its CPU time is that of a whole core.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GeneratorFigures {
    /// CPU time of the process over the measurement.
    pub cpu: CpuTime,
    /// The share of the time in which it had nothing to do.
    pub idle: f64,
    /// By how much packets left later than the rate wants.
    pub late_us: Percentiles,
    /// Whether it waited for its core for more than a fiftieth of the time.
    pub is_disturbed: bool,
    /// Whether a rate was kept: all packets left, and 99 of 100 at most 1 ms late.
    pub kept_schedule: bool,
}

/// What kept the rate from being higher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Limit {
    /// It was asked for.
    Rate,
    /// The server had no CPU time left.
    Server,
    /// The generator had none: the run says nothing about the server.
    Generator,
    /// Neither: too few packets were on their way.
    Window,
}

/// A packet that leaves later than this does not keep its schedule.
const LATE: u64 = 1_000_000;

/// A server above this share of a core is saturated.
const SATURATED: f64 = 0.9;

/// A generator below this share of idle time has none.
const BUSY: f64 = 0.05;

/// Who waited for a core for this share of the time, as one in so many, says more about the machine
/// than about itself.
const DISTURBED: u64 = 50;

/// How much may be missing at the end of an open loop: one batch.
const AT_THE_END: u64 = 64;

impl Report {
    pub(crate) fn new(plan: &Plan, tally: &Tally, rss: Option<Rss>) -> Self {
        let generator = GeneratorFigures::new(tally);
        let server = rss.map(|rss| ServerFigures::new(plan, tally, rss));
        let limited_by = Limit::of(plan, server.as_ref(), &generator);
        Self {
            plan: plan.clone(),
            seconds: ratio(tally.elapsed, 1_000_000_000),
            sent: tally.sent,
            received: tally.received,
            lost: tally.sent.saturating_sub(tally.settled()),
            refused: tally.refused.clone(),
            stray: tally.stray,
            junk: tally.junk,
            stalls: tally.stalls,
            per_second: if tally.elapsed == 0 {
                0.0
            } else {
                ratio(tally.received_in_time, tally.elapsed) * 1e9
            },
            latency_us: tally.latency.percentiles(),
            typical_p99_us: ratio(
                tally.tenths.median().unwrap_or_else(|| tally.latency.percentile(99)),
                1_000,
            ),
            server,
            generator,
            limited_by,
        }
    }

    /// Microseconds of the server's CPU time a packet, where both are known.
    #[must_use]
    pub fn cpu_us_per_packet(&self) -> Option<f64> {
        self.server.as_ref()?.cpu_us_per_packet
    }

    /// Whether server or generator did not have its core for itself.
    #[must_use]
    pub fn is_disturbed(&self) -> bool {
        self.generator.is_disturbed
            || self.server.as_ref().is_some_and(|server| server.is_disturbed)
    }
}

impl ServerFigures {
    fn new(plan: &Plan, tally: &Tally, rss: Rss) -> Self {
        let packets = tally.received_in_time;
        let holds_allocations = matches!(plan.pattern, Pattern::Relay | Pattern::Idle);
        let grown = rss.set_up.saturating_sub(rss.before);
        Self {
            cpu: tally.server,
            load: ratio(tally.server.ran, tally.elapsed.max(1)),
            cpu_us_per_packet: (packets > 0).then(|| ratio(tally.server.ran, packets) / 1e3),
            is_disturbed: is_disturbed(tally.server, tally.elapsed),
            rss_kib: rss,
            rss_kib_per_allocation: holds_allocations
                .then(|| ratio(grown, plan.allocations.max(1) as u64)),
        }
    }
}

impl GeneratorFigures {
    fn new(tally: &Tally) -> Self {
        Self {
            cpu: tally.generator,
            idle: ratio(tally.idle, tally.elapsed.max(1)),
            late_us: tally.late.percentiles(),
            is_disturbed: is_disturbed(tally.generator, tally.elapsed),
            kept_schedule: tally.sent + AT_THE_END >= tally.planned && is_punctual(&tally.late),
        }
    }
}

impl Limit {
    fn of(plan: &Plan, server: Option<&ServerFigures>, generator: &GeneratorFigures) -> Self {
        let is_open = plan.rate.is_some() || plan.pattern == Pattern::Idle;
        let is_saturated = server.is_some_and(|server| server.load >= SATURATED);
        match (is_open, is_saturated) {
            (true, _) if generator.kept_schedule => Self::Rate,
            (true, _) => Self::Generator,
            (false, true) => Self::Server,
            (false, false) if generator.idle < BUSY => Self::Generator,
            (false, false) => Self::Window,
        }
    }
}

const fn is_disturbed(cpu: CpuTime, elapsed: u64) -> bool {
    cpu.waited > elapsed / DISTURBED
}

fn is_punctual(late: &Histogram) -> bool {
    late.percentile(99) <= LATE
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn ratio(of: u64, to: u64) -> f64 {
    of as f64 / to as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_follow_from_the_counts() {
        let report = Report::new(&Plan::default(), &saturated(), Some(rss()));
        assert_eq!((report.sent, report.received, report.lost), (200_110, 200_000, 100));
        assert_eq!(report.refused, BTreeMap::from([(437, 10)]));
        assert_eq!(format!("{:.0}", report.per_second), "99500");
        let server = report.server.unwrap();
        // Stragglers are received, but their CPU time is not in the books.
        assert_eq!(format!("{:.3}", server.cpu_us_per_packet.unwrap()), "9.648");
        assert_eq!(format!("{:.2}", server.load), "0.96");
        assert_eq!(server.rss_kib_per_allocation, Some(2.0));
        assert!(server.is_disturbed);
        assert_eq!(report.limited_by, Limit::Server);
    }

    #[test]
    fn report_survives_json_and_names_its_fields() {
        let report = Report::new(&Plan::default(), &saturated(), Some(rss()));
        let json = serde_json::to_value(&report).unwrap();
        for field in [
            "/plan/pattern",
            "/plan/direction",
            "/plan/allocations",
            "/sent",
            "/received",
            "/lost",
            "/per_second",
            "/latency_us/p50",
            "/latency_us/p90",
            "/latency_us/p99",
            "/latency_us/p999",
            "/typical_p99_us",
            "/latency_us/max",
            "/server/cpu/ran",
            "/server/cpu_us_per_packet",
            "/server/rss_kib/before",
            "/server/rss_kib/after",
            "/generator/cpu/ran",
            "/generator/idle",
            "/generator/late_us/p99",
            "/generator/kept_schedule",
        ] {
            assert!(json.pointer(field).is_some_and(|value| !value.is_null()), "{field}: {json}");
        }
        assert_eq!(json.pointer("/limited_by").unwrap(), "server");
        assert_eq!(json.pointer("/refused/437").unwrap(), 10);
        assert_eq!(serde_json::from_value::<Report>(json).unwrap(), report);
    }

    #[test]
    fn nothing_received_has_no_cost_and_survives_json_too() {
        let report = Report::new(&Plan::default(), &Tally::default(), Some(rss()));
        assert_eq!(report.cpu_us_per_packet(), None);
        let json = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
    }

    #[test]
    fn bottleneck_is_told_from_the_books() {
        let mut tally = saturated();
        tally.server.ran = 1_000_000_000;
        tally.idle = 90_000_000;
        assert_eq!(limit(&tally, None), Limit::Generator);
        tally.idle = 600_000_000;
        assert_eq!(limit(&tally, None), Limit::Window);
        // At a rate it is the schedule that tells.
        tally.planned = tally.sent;
        assert_eq!(limit(&tally, Some(100_000)), Limit::Rate);
        tally.late.add(2_000_000, 10_000);
        assert_eq!(limit(&tally, Some(100_000)), Limit::Generator);
        tally.late = Histogram::new();
        tally.planned += 65;
        assert_eq!(limit(&tally, Some(100_000)), Limit::Generator);
    }

    fn limit(tally: &Tally, rate: Option<u32>) -> Limit {
        Report::new(&Plan { rate, ..Plan::default() }, tally, Some(rss())).limited_by
    }

    fn saturated() -> Tally {
        let mut tally = Tally {
            elapsed: 2_000_000_000,
            sent: 200_110,
            received: 200_000,
            received_in_time: 199_000,
            server: CpuTime { ran: 1_920_000_000, waited: 40_000_001 },
            ..Tally::default()
        };
        (0..10).for_each(|_| tally.refused(437));
        tally
    }

    fn rss() -> Rss {
        Rss { before: 3_000, set_up: 5_000, after: 6_000 }
    }
}
