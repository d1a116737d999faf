//! What is measured: the patterns with their loads and goals.

use turn_benches::Kind;
use turn_client::load::{Direction, Pattern, Plan, Report, Transport};

/// One load on all servers.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// The pattern's letter.
    pub(crate) pattern: char,
    /// What tells it from the others.
    pub(crate) name: String,
    pub(crate) plan: Plan,
    pub(crate) figure: Figure,
    pub(crate) goal: Goal,
    /// Whether `--quick` has it.
    pub(crate) is_quick: bool,
    /// For how many times as long as the others it is measured.
    pub(crate) length: u64,
    /// Whose figure is held against whose.
    pub(crate) sides: [Kind; 2],
    /// The highest ratio to coturn's mux mode, where it takes part: it has one relay socket for all
    /// allocations and tells them apart by their peers.
    pub(crate) beside_mux: Option<Option<f64>>,
    /// The nap of the bare forwarder in microseconds, where it takes part.
    pub(crate) beside_floor: Option<u64>,
}

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Figure {
    /// Server CPU time in microseconds a packet, response or cycle.
    CpuTime,
    /// Resident memory in KiB an allocation.
    Memory,
    /// The 99th percentile of the latency in microseconds: the median over tenths of a second, which a
    /// machine's housekeeping does not move.
    Latency,
}

/// How ours must compare.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Goal {
    /// Ours divided by theirs.
    Ratio { must: f64, aim: f64 },
    /// Ours at most so much above theirs.
    Above(f64),
}

/// Allocations of the media patterns over streams.
const STREAMS: usize = 300;

/// The default latency budget in microseconds.
const BUDGET: u16 = 400;

impl Figure {
    /// The figure of one run.
    pub(crate) fn of(self, report: &Report) -> Option<f64> {
        match self {
            Self::CpuTime => report.cpu_us_per_packet(),
            Self::Memory => report.server.as_ref()?.rss_kib_per_allocation,
            Self::Latency => Some(report.typical_p99_us),
        }
    }

    pub(crate) const fn unit(self) -> &'static str {
        match self {
            Self::CpuTime => "µs",
            Self::Memory => "KiB",
            Self::Latency => "µs p99",
        }
    }
}

impl Case {
    fn new(pattern: char, name: impl Into<String>, plan: Plan, must: f64, aim: f64) -> Self {
        Self {
            pattern,
            name: name.into(),
            plan,
            figure: Figure::CpuTime,
            goal: Goal::Ratio { must, aim },
            is_quick: true,
            length: 1,
            sides: [Kind::Ours, Kind::Coturn],
            beside_mux: None,
            beside_floor: None,
        }
    }

    /// Whether somebody waited for a core who had it for itself: two shards on one core wait for each
    /// other.
    pub(crate) fn is_disturbed(&self, report: &Report) -> bool {
        if self.sides.contains(&Kind::OursTwoShards) {
            return report.generator.is_disturbed;
        }
        report.is_disturbed()
    }

    fn full_only(self) -> Self {
        Self { is_quick: false, ..self }
    }

    /// Held against the other's latency: so many microseconds above it at most.
    fn of_latency(self, above: f64) -> Self {
        let goal = Goal::Above(above);
        Self { figure: Figure::Latency, goal, length: 2, ..self.full_only() }
    }

    /// Beside a forwarder without TURN that naps for so many microseconds.
    fn beside_floor(self, nap: u16) -> Self {
        Self { beside_floor: Some(nap.into()), ..self }
    }

    fn beside_mux(self, must: Option<f64>) -> Self {
        Self { beside_mux: Some(must), ..self }
    }
}

/// All of them, in the order of their letters.
pub(crate) fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    all.extend(bulk());
    all.extend(many());
    all.extend(media());
    all.extend(pairs());
    all.extend(signalling());
    all.extend(streams());
    all.extend(junk());
    all.extend(latency());
    all.extend(shards());
    all
}

fn up_and_down() -> [Direction; 2] {
    [Direction::Up, Direction::Down]
}

fn bulk() -> impl Iterator<Item = Case> {
    let of = |allocations, window| {
        up_and_down().map(|direction| {
            let sizes = vec![1_200];
            let plan = Plan { direction, allocations, sizes, window, train: 16, ..Plan::default() };
            let name = format!("bulk, {allocations} alloc., 1200 B, {}", direction.name());
            Case::new('a', name, plan, 0.33, 0.28).beside_mux(Some(0.6))
        })
    };
    of(1, 64).into_iter().chain(of(10, 160).map(Case::full_only))
}

fn many() -> impl Iterator<Item = Case> {
    let of = |allocations: usize| {
        up_and_down().into_iter().zip([(0.78, 0.68), (0.70, 0.60)]).map(
            move |(direction, (must, aim))| {
                let name = format!("{allocations} alloc., 160 B, {}", direction.name());
                let plan = Plan { direction, allocations, ..Plan::default() };
                Case::new('b', name, plan, must, aim)
            },
        )
    };
    let beside = |case: Case| case.beside_mux(None).beside_floor(BUDGET);
    of(1_000).map(beside).chain(of(5_000).map(Case::full_only))
}

/// 1,000 calls at 30 packets a second each, small and large ones in turn.
fn media_plan(direction: Direction) -> Plan {
    Plan { direction, sizes: vec![160, 1_200], rate: Some(30_000), ..Plan::default() }
}

fn media() -> impl Iterator<Item = Case> {
    let goals = [(0.55, 0.45), (0.58, 0.48)];
    let media = up_and_down().into_iter().zip(goals).map(|(direction, (must, aim))| {
        let name = format!("media 30 kpps, {}", direction.name());
        let case = Case::new('c', name, media_plan(direction), must, aim);
        case.beside_mux(None).beside_floor(BUDGET)
    });
    let faster = up_and_down().into_iter().zip(goals).map(|(direction, (must, aim))| {
        let name = format!("media 50 kpps, {}", direction.name());
        let plan = Plan { rate: Some(50_000), ..media_plan(direction) };
        Case::new('c', name, plan, must, aim).full_only().beside_floor(BUDGET)
    });
    let without_nap = up_and_down().map(|direction| {
        let name = format!("media 30 kpps, nap off, {}", direction.name());
        let case = Case::new('c', name, media_plan(direction), 0.78, 0.78);
        let case = case.full_only().beside_floor(0);
        Case { sides: [Kind::OursWithoutNap, Kind::Coturn], ..case }
    });
    media.chain(faster).chain(without_nap)
}

fn pairs() -> impl Iterator<Item = Case> {
    let saturated = Plan { direction: Direction::Pairs, ..Plan::default() };
    let few = Plan { allocations: 10, ..saturated.clone() };
    let media = Plan { rate: Some(20_000), ..saturated.clone() };
    [
        Case::new('d', "pairs, 10 alloc., 160 B", few, 0.45, 0.35).full_only(),
        Case::new('d', "pairs, 1000 alloc., 160 B", saturated, 0.45, 0.35),
        Case::new('d', "pairs, media 20 kpps", media, 0.35, 0.30),
    ]
    .into_iter()
}

/// Few sockets for Binding: a call that brings many answers keeps the generator ahead of the server.
fn signalling() -> impl Iterator<Item = Case> {
    let binding = Plan { pattern: Pattern::Binding, allocations: 8, ..Plan::default() };
    let cycle = Plan {
        pattern: Pattern::Cycle,
        allocations: 64,
        window: 64,
        client_addresses: 50_000,
        ..Plan::default()
    };
    let idle = |allocations| {
        let plan = Plan { pattern: Pattern::Idle, allocations, ..Plan::default() };
        let case = Case::new('g', format!("{allocations} idle alloc."), plan, 0.12, 0.08);
        Case { figure: Figure::Memory, ..case }
    };
    [
        Case::new('e', "Binding", binding, 0.60, 0.50),
        Case::new('f', "set-up and tear-down", cycle, 0.25, 0.20),
        idle(1_000),
        idle(5_000).full_only(),
    ]
    .into_iter()
}

fn streams() -> impl Iterator<Item = Case> {
    let media = [(Transport::Tcp, "TCP", 0.60, 0.50), (Transport::Tls, "TLS", 0.55, 0.45)]
        .into_iter()
        .flat_map(|(transport, word, must, aim)| {
            up_and_down().map(|direction| {
                let rate = Some(30_000);
                let plan =
                    Plan { direction, transport, allocations: STREAMS, rate, ..Plan::default() };
                let name = format!("{word} media 30 kpps, {}", direction.name());
                Case::new('h', name, plan, must, aim).beside_floor(BUDGET)
            })
        });
    let saturated =
        Plan { transport: Transport::Tls, allocations: 10, window: 64, ..Plan::default() };
    let saturated = Case::new('h', "TLS, 10 alloc., 160 B, up", saturated, 0.50, 0.50);
    media.chain([saturated.beside_floor(BUDGET)])
}

fn junk() -> impl Iterator<Item = Case> {
    up_and_down().into_iter().map(|direction| {
        let name = format!("media 30 kpps, 20 % junk, {}", direction.name());
        let plan = Plan { junk: 20, ..media_plan(direction) };
        Case::new('i', name, plan, 0.60, 0.50)
    })
}

/// Half of what coturn can do, so that neither has a backlog.
fn latency() -> impl Iterator<Item = Case> {
    up_and_down().into_iter().map(|direction| {
        let name = format!("latency at 55 kpps, {}", direction.name());
        let plan = Plan { direction, rate: Some(55_000), ..Plan::default() };
        Case::new('l', name, plan, 1.0, 1.0).of_latency(2.0 * f64::from(BUDGET))
    })
}

/// Two shards beside one, both on the server's core: what crossing from one to the other costs. A core
/// for each would need a third one for the load.
fn shards() -> impl Iterator<Item = Case> {
    let goals = [(Direction::Up, 1.15), (Direction::Down, 1.15), (Direction::Pairs, 1.35)];
    let beside_one = |rate: Option<u32>, word: &'static str| {
        goals.map(|(direction, must)| {
            let name = format!("2 shards : 1 shard, {word}, {}", direction.name());
            let plan = Plan { direction, rate, ..Plan::default() };
            let case = Case::new('s', name, plan, must, must).full_only();
            Case { sides: [Kind::OursTwoShards, Kind::Ours], ..case }
        })
    };
    // Half of what coturn can do, as for latency.
    let plan = Plan { direction: Direction::Pairs, rate: Some(35_000), ..Plan::default() };
    let across = Case::new('s', "2 shards : coturn, latency of pairs at 35 kpps", plan, 1.0, 1.0);
    let across = across.of_latency(3.0 * f64::from(BUDGET));
    let across = Case { sides: [Kind::OursTwoShards, Kind::Coturn], ..across };
    let at_rate = beside_one(Some(50_000), "50 kpps");
    at_rate.into_iter().chain(beside_one(None, "saturated")).chain([across])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_has_a_quick_case_and_every_plan_holds() {
        let all = cases();
        for pattern in 'a'..='i' {
            assert!(all.iter().any(|case| case.pattern == pattern && case.is_quick), "{pattern}");
        }
        for case in all {
            assert!(case.plan.check().is_ok(), "{}", case.name);
        }
    }

    #[test]
    fn names_are_unique_within_a_pattern() {
        let all = cases();
        for case in &all {
            let same = |it: &&Case| (it.pattern, &it.name) == (case.pattern, &case.name);
            assert_eq!(all.iter().filter(same).count(), 1, "{}", case.name);
        }
    }
}
