//! Instruction counts, measured or stored, and what their difference means.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// The most that a count may grow, in percent of the stored one.
const BOUND: u64 = 3;

/// The same where another toolchain made the stored one.
const WIDE_BOUND: u64 = 10;

/// Counts by the name of the bench, and what they hold for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Counts {
    /// What made and ran the code.
    pub(crate) toolchain: Toolchain,
    /// Instructions by bench.
    pub(crate) counts: BTreeMap<String, u64>,
}

/// What counts depend on beside the code: the compiler, and the library in which memory is
/// allocated and copied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Toolchain {
    /// As `rustc --version` says.
    pub(crate) rustc: String,
    /// The host triple.
    pub(crate) host: String,
    /// As `getconf GNU_LIBC_VERSION` says.
    pub(crate) libc: String,
    /// As `valgrind --version` says: it decides which instructions a program finds on its processor.
    pub(crate) valgrind: String,
}

/// What a comparison has found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// What makes the gate red.
    pub(crate) faults: Vec<String>,
    /// What somebody should read all the same.
    pub(crate) notes: Vec<String>,
}

/// How far the measured counts may be above the stored ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bound {
    Percent(u64),
    /// Instructions of another processor: only the names compare.
    None,
}

impl Counts {
    /// Reads stored counts.
    ///
    /// # Errors
    /// When this is not what [`Self::text`] writes.
    pub(crate) fn read(text: &str) -> Result<Self> {
        toml::from_str(text).context("stored instruction counts")
    }

    /// The file's text.
    ///
    /// # Errors
    /// When a count is beyond what TOML can hold.
    pub(crate) fn text(&self) -> Result<String> {
        let text = toml::to_string(self).context("instruction counts")?;
        Ok(format!("{HEAD}\n{text}"))
    }

    /// Compares with what is stored.
    pub(crate) fn judge(&self, stored: &Self) -> Verdict {
        let mut verdict = Verdict::default();
        let bound = self.toolchain.bound(&stored.toolchain, &mut verdict.notes);
        for (name, &was) in &stored.counts {
            match (self.counts.get(name), bound) {
                (None, _) => verdict.faults.push(format!("{name}: has a number and did not run")),
                (Some(_), Bound::None) => {}
                (Some(&is), Bound::Percent(most)) if is * 100 > was * (100 + most) => {
                    verdict.faults.push(format!(
                        "{name}: {is} instructions, {was} stored: {} where +{most} % is the most",
                        difference(was, is)
                    ));
                }
                (Some(&is), Bound::Percent(_)) if is * 100 < was * (100 - BOUND) => {
                    let difference = difference(was, is);
                    verdict.notes.push(format!(
                        "{name}: {is} instructions, {was} stored: {difference}; worth keeping"
                    ));
                }
                (Some(_), Bound::Percent(_)) => {}
            }
        }
        let is_new = |name: &&String| !stored.counts.contains_key(*name);
        for name in self.counts.keys().filter(is_new) {
            verdict.faults.push(format!("{name}: has no stored number"));
        }
        verdict
    }

    /// A line for each bench: a thousandth of the counts, which is one operation, stored and measured.
    pub(crate) fn table(&self, stored: Option<&Self>) -> Vec<String> {
        let was = |name: &String| stored.and_then(|stored| stored.counts.get(name)).copied();
        let line = |(name, &is): (&String, &u64)| match was(name) {
            Some(was) => {
                let (is_one, was_one) = (thousandth(is), thousandth(was));
                format!("{is_one:>10} {was_one:>10} {:>8}  {name}", difference(was, is))
            }
            None => format!("{:>10} {:>10} {:>8}  {name}", thousandth(is), "-", "-"),
        };
        self.counts.iter().map(line).collect()
    }
}

impl Toolchain {
    fn bound(&self, stored: &Self, notes: &mut Vec<String>) -> Bound {
        let parts = [
            (&self.host, &stored.host),
            (&self.rustc, &stored.rustc),
            (&self.libc, &stored.libc),
            (&self.valgrind, &stored.valgrind),
        ];
        let others: Vec<String> = parts
            .iter()
            .filter(|(here, there)| here != there)
            .map(|(here, there)| format!("{there} (here: {here})"))
            .collect();
        if others.is_empty() {
            return Bound::Percent(BOUND);
        }
        let others = others.join(", ");
        if self.host == stored.host {
            notes.push(format!(
                "WARNING: THE STORED COUNTS ARE OF ANOTHER TOOLCHAIN: {others}. They are held to \
                 +{WIDE_BOUND} % instead of +{BOUND} %"
            ));
            Bound::Percent(WIDE_BOUND)
        } else {
            notes.push(format!(
                "WARNING: THE STORED COUNTS ARE OF ANOTHER KIND OF MACHINE: {others}. Only the names \
                 of the benches are compared"
            ));
            Bound::None
        }
    }
}

/// What stands above the counts.
const HEAD: &str = "\
# Instructions of each counted bench, a thousand operations each. `cargo xtask test` is red where one
# grows by more than 3 %. Written by: cargo xtask instructions --bless
";

/// As `+3.1 %`.
#[expect(clippy::cast_precision_loss, reason = "for reading")]
fn difference(was: u64, is: u64) -> String {
    format!("{:+.1} %", (is as f64 / was as f64 - 1.0) * 100.0)
}

fn thousandth(count: u64) -> String {
    format!("{}.{}", count / 1_000, count % 1_000 / 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_within_the_bound_pass_in_silence() {
        for is in [9_700, 10_000, 10_300] {
            assert_eq!(judged(&[("a", 10_000)], &[("a", is)]), Verdict::default(), "{is}");
        }
    }

    #[test]
    fn a_count_above_the_bound_is_a_fault() {
        let verdict = judged(&[("a", 10_000), ("b", 10_000)], &[("a", 10_301), ("b", 10_000)]);
        let fault = "a: 10301 instructions, 10000 stored: +3.0 % where +3 % is the most";
        assert_eq!((verdict.faults, verdict.notes), (vec![fault.to_owned()], Vec::new()));
    }

    #[test]
    fn a_count_far_below_is_a_hint_and_no_fault() {
        let verdict = judged(&[("a", 10_000)], &[("a", 9_699)]);
        assert!(verdict.faults.is_empty());
        assert!(verdict.notes.iter().any(|note| note.contains("worth keeping")));
    }

    #[test]
    fn a_bench_that_is_gone_is_a_fault() {
        let verdict = judged(&[("a", 1), ("b", 1)], &[("a", 1)]);
        assert_eq!(verdict.faults, ["b: has a number and did not run"]);
    }

    #[test]
    fn a_bench_without_a_number_is_a_fault() {
        let verdict = judged(&[("a", 1)], &[("a", 1), ("b", 1)]);
        assert_eq!(verdict.faults, ["b: has no stored number"]);
    }

    #[test]
    fn nothing_measured_is_a_fault() {
        assert_eq!(judged(&[("a", 1)], &[]).faults.len(), 1);
    }

    #[test]
    fn numbers_of_another_rustc_are_held_to_a_wider_bound_and_said_so() {
        let stored = counts(&[("a", 10_000), ("b", 10_000)]);
        for (is, faults) in [(11_000, 0), (11_001, 1)] {
            let mut measured = counts(&[("a", is), ("b", 10_000)]);
            measured.toolchain.rustc = "rustc 1.96.0".to_owned();
            let verdict = measured.judge(&stored);
            assert_eq!(verdict.faults.len(), faults, "{is}");
            let [note] = verdict.notes.as_slice() else { panic!("{verdict:?}") };
            assert!(note.contains("rustc 1.95.0 (here: rustc 1.96.0)"), "{note}");
        }
    }

    #[test]
    fn another_libc_or_valgrind_is_another_toolchain() {
        let stored = counts(&[("a", 10_000)]);
        let (mut libc, mut valgrind) = (counts(&[("a", 10_900)]), counts(&[("a", 10_900)]));
        libc.toolchain.libc = "glibc 2.41".to_owned();
        valgrind.toolchain.valgrind = "valgrind-3.24.0".to_owned();
        for measured in [libc, valgrind] {
            let verdict = measured.judge(&stored);
            assert_eq!((verdict.faults.len(), verdict.notes.len()), (0, 1));
        }
    }

    #[test]
    fn on_another_kind_of_machine_a_missing_bench_is_still_a_fault() {
        let stored = counts(&[("a", 10_000), ("b", 1)]);
        let mut measured = counts(&[("a", 30_000)]);
        measured.toolchain.host = "aarch64-unknown-linux-gnu".to_owned();
        let verdict = measured.judge(&stored);
        assert_eq!(verdict.faults, ["b: has a number and did not run"]);
        assert!(verdict.notes.iter().any(|note| note.contains("aarch64")));
    }

    #[test]
    fn what_is_written_is_read_back() -> Result<()> {
        let counts = counts(&[("relaying::channel_data_to_peer", 644_226)]);
        assert_eq!(Counts::read(&counts.text()?)?, counts);
        assert!(Counts::read("[counts]\na = 1\n").is_err());
        Ok(())
    }

    #[test]
    fn the_table_has_one_operation_beside_what_it_was() {
        let lines = counts(&[("a", 644_226), ("b", 7_000)]).table(Some(&counts(&[("a", 600_000)])));
        assert_eq!(
            lines,
            ["     644.2      600.0   +7.4 %  a", "       7.0          -        -  b",]
        );
    }

    fn judged(stored: &[(&str, u64)], measured: &[(&str, u64)]) -> Verdict {
        counts(measured).judge(&counts(stored))
    }

    fn counts(counts: &[(&str, u64)]) -> Counts {
        let toolchain = Toolchain {
            rustc: "rustc 1.95.0".to_owned(),
            host: "x86_64-unknown-linux-gnu".to_owned(),
            libc: "glibc 2.36".to_owned(),
            valgrind: "valgrind-3.19.0".to_owned(),
        };
        let counts = counts.iter().map(|&(name, count)| (name.to_owned(), count)).collect();
        Counts { toolchain, counts }
    }
}
