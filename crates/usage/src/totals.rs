//! The bytes of a period for each that a threshold watches, and who has passed it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tracing::warn;

use crate::threshold::Subject;
use crate::{Day, Party, Threshold};

/// A threshold that was passed.
#[derive(Debug, Clone)]
pub(crate) struct Crossing {
    pub(crate) threshold: Arc<Threshold>,
    pub(crate) subject: Subject,
    /// The first day of the period.
    pub(crate) start: Day,
    /// Bytes when it was seen.
    pub(crate) bytes: u64,
    /// Unix seconds; nothing until it is recorded.
    pub(crate) at: u64,
}

/// What is added up for every threshold.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    watches: Vec<Watch>,
    passed: Vec<Crossing>,
}

#[derive(Debug)]
struct Watch {
    threshold: Arc<Threshold>,
    start: Day,
    sums: HashMap<Subject, u64>,
    passed: HashSet<Subject>,
    is_full: bool,
}

impl Totals {
    /// Whom a threshold watches at most; those with the most bytes are there after a start.
    pub(crate) const MOST_SUBJECTS: usize = 200_000;

    /// Watches for these, from nothing.
    pub(crate) fn new(thresholds: &[Threshold], day: Day) -> Self {
        let watch = |threshold: &Threshold| Watch {
            threshold: Arc::new(threshold.clone()),
            start: threshold.period.start(day),
            sums: HashMap::new(),
            passed: HashSet::new(),
            is_full: false,
        };
        Self { watches: thresholds.iter().map(watch).collect(), passed: Vec::new() }
    }

    /// Adds bytes of a day to everything that watches this party.
    pub(crate) fn add(&mut self, day: Day, party: &Party, bytes: u64) {
        if bytes == 0 {
            return;
        }
        for watch in &mut self.watches {
            watch.turn(watch.threshold.period.start(day));
            if watch.start != watch.threshold.period.start(day) {
                continue;
            }
            let Some(subject) = watch.threshold.subject(party) else { continue };
            self.passed.extend(watch.add(subject, bytes));
        }
    }

    /// What was passed since the last time.
    pub(crate) fn take(&mut self) -> Vec<Crossing> {
        std::mem::take(&mut self.passed)
    }

    /// Takes back what could not be recorded.
    pub(crate) fn take_back(&mut self, crossings: Vec<Crossing>) {
        self.passed.extend(crossings);
    }

    /// The thresholds and the first day of each one's period.
    pub(crate) fn watched(&self) -> impl Iterator<Item = (usize, Arc<Threshold>, Day)> + '_ {
        let watches = self.watches.iter().enumerate();
        watches.map(|(place, watch)| (place, Arc::clone(&watch.threshold), watch.start))
    }

    /// What the database knows of a watch: its sums, and who has passed it already.
    pub(crate) fn load(&mut self, place: usize, sums: Vec<(Subject, u64)>, passed: Vec<Subject>) {
        let Some(watch) = self.watches.get_mut(place) else { return };
        watch.passed.extend(passed);
        for (subject, bytes) in sums {
            let only = watch.threshold.name.as_ref();
            if only.is_none_or(|only| *only == subject.name) {
                self.passed.extend(watch.add(subject, bytes));
            }
        }
    }
}

impl Watch {
    /// Begins a period that is later than the present one.
    fn turn(&mut self, start: Day) {
        if start > self.start {
            self.start = start;
            self.sums.clear();
            self.passed.clear();
            self.is_full = false;
        }
    }

    fn add(&mut self, subject: Subject, bytes: u64) -> Option<Crossing> {
        if self.sums.len() >= Totals::MOST_SUBJECTS && !self.sums.contains_key(&subject) {
            if !self.is_full {
                self.is_full = true;
                let (per, most) = (self.threshold.per.as_str(), Totals::MOST_SUBJECTS);
                warn!(per, most, "usage.thresholds: too many names; more are not watched");
            }
            return None;
        }
        let sum = self.sums.entry(subject.clone()).or_default();
        *sum = sum.saturating_add(bytes);
        let bytes = *sum;
        if bytes < self.threshold.bytes || !self.passed.insert(subject.clone()) {
            return None;
        }
        let threshold = Arc::clone(&self.threshold);
        Some(Crossing { threshold, subject, start: self.start, bytes, at: 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Per, Period};

    #[test]
    fn a_threshold_is_passed_once_a_period() {
        let mut totals = Totals::new(&[threshold(100, Period::Day)], day(0));
        totals.add(day(0), &ann(), 60);
        assert!(totals.take().is_empty());
        totals.add(day(0), &ann(), 60);
        totals.add(day(0), &ann(), 60);
        let passed = totals.take();
        assert_eq!(passed.len(), 1);
        assert_eq!((passed[0].bytes, passed[0].subject.name.as_str()), (120, "ann"));

        totals.add(day(1), &ann(), 99);
        // What belongs to the day before is no part of this one.
        totals.add(day(0), &ann(), 99);
        assert!(totals.take().is_empty());
        totals.add(day(1), &ann(), 1);
        assert_eq!(totals.take().len(), 1);
    }

    #[test]
    fn a_month_goes_on_over_its_days() {
        let first: Day = "2026-11-29".parse().unwrap();
        let mut totals = Totals::new(&[threshold(100, Period::Month)], first);
        totals.add(first, &ann(), 60);
        totals.add("2026-11-30".parse().unwrap(), &ann(), 39);
        assert!(totals.take().is_empty());
        totals.add("2026-12-01".parse().unwrap(), &ann(), 60);
        assert!(totals.take().is_empty());
        totals.add("2026-12-31".parse().unwrap(), &ann(), 60);
        assert_eq!(totals.take()[0].start.to_string(), "2026-12-01");
    }

    #[test]
    fn who_has_passed_before_a_restart_does_not_pass_again() {
        let mut totals = Totals::new(&[threshold(100, Period::Day)], day(0));
        let of = |name: &str| Subject { realm: "r".to_owned(), name: name.to_owned() };
        totals.load(0, vec![(of("ann"), 120), (of("bob"), 90)], vec![of("ann")]);
        totals.add(day(0), &ann(), 60);
        assert!(totals.take().is_empty());
        totals.add(day(0), &Party { user: "bob".to_owned(), ..ann() }, 10);
        assert_eq!(totals.take()[0].bytes, 100);
    }

    #[test]
    fn names_are_bounded() {
        let mut totals = Totals::new(&[threshold(2, Period::Day)], day(0));
        for n in 0..=Totals::MOST_SUBJECTS {
            totals.add(day(0), &Party { user: n.to_string(), ..ann() }, 1);
        }
        let last = Party { user: Totals::MOST_SUBJECTS.to_string(), ..ann() };
        totals.add(day(0), &last, 9);
        assert!(totals.take().is_empty());
        totals.add(day(0), &Party { user: "0".to_owned(), ..ann() }, 1);
        assert_eq!(totals.take().len(), 1);
    }

    fn day(number: u32) -> Day {
        Day::from_number(20_000 + number).unwrap()
    }

    fn ann() -> Party {
        Party { realm: "r".to_owned(), user: "ann".to_owned(), ..Party::default() }
    }

    fn threshold(bytes: u64, period: Period) -> Threshold {
        let webhook = "http://127.0.0.1/".to_owned();
        Threshold { bytes, per: Per::User, name: None, period, webhook, token: None }
    }
}
