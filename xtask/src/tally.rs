//! What a `cargo test` run says: how many tests passed and failed, and which.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::command::root;

/// The counts and names of a run, read line by line.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Tests that passed.
    pub(crate) passed: usize,
    /// Tests that failed.
    pub(crate) failed: usize,
    /// Tests that are marked `#[ignore]`.
    pub(crate) ignored: usize,
    /// Names of those that passed, as `turn_codec::message::tests::name`.
    pub(crate) names: BTreeSet<String>,
    /// Names of those that failed.
    pub(crate) failures: BTreeSet<String>,
    binary: String,
}

impl Tally {
    /// Reads one line of the output, standard output and standard error in one.
    pub(crate) fn line(&mut self, line: &str) {
        let line = line.trim();
        if let Some(binary) = binary(line) {
            self.binary = binary;
        } else if let Some(result) = line.strip_prefix("test result: ") {
            self.passed += count(result, "passed");
            self.failed += count(result, "failed");
            self.ignored += count(result, "ignored");
        } else if let Some((name, verdict)) =
            line.strip_prefix("test ").and_then(|rest| rest.rsplit_once(" ... "))
        {
            let name = name.split(" - ").next().unwrap_or(name);
            let name = format!("{}::{name}", self.binary);
            match verdict {
                "ok" => self.names.insert(name),
                "FAILED" => self.failures.insert(name),
                _ => false,
            };
        }
    }

    /// Adds another run's counts and names.
    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.ignored += other.ignored;
        self.names.extend(other.names);
        self.failures.extend(other.failures);
    }

    /// Keeps the names for a later `cargo xtask rfc-status`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn save(&self) -> Result<()> {
        let lines: String = self.names.iter().flat_map(|name| [name.as_str(), "\n"]).collect();
        let path = saved();
        fs::write(&path, lines).with_context(|| path.display().to_string())
    }
}

/// The names that the last run saved.
///
/// # Errors
/// When there was none.
pub(crate) fn last_run() -> Result<BTreeSet<String>> {
    let path = saved();
    let text = fs::read_to_string(&path)
        .with_context(|| format!("{} is made by: cargo xtask test", path.display()))?;
    Ok(text.lines().map(str::to_owned).collect())
}

fn saved() -> PathBuf {
    root().join("target/tests-ran.txt")
}

/// The test binary that a line of cargo announces, without the hash of its file name.
fn binary(line: &str) -> Option<String> {
    if let Some(name) = line.strip_prefix("Doc-tests ") {
        return Some(format!("{name} doc"));
    }
    let path = line.strip_prefix("Running ")?.rsplit_once('(')?.1.strip_suffix(')')?;
    let file = path.rsplit('/').next()?;
    Some(file.rsplit_once('-').map_or(file, |(name, _)| name).to_owned())
}

/// The number before a word in `ok. 3 passed; 1 failed; 0 ignored`.
fn count(result: &str, word: &str) -> usize {
    let words: Vec<&str> = result.split([' ', ';', '.']).collect();
    words
        .windows(2)
        .find_map(|pair| match pair {
            [number, name] if *name == word => number.parse().ok(),
            _ => None,
        })
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "
     Running unittests src/lib.rs (target/checked/deps/turn_codec-0a1b2c)

running 3 tests
test message::tests::s7_no_effect ... ok
test message::tests::s8_vectors - should panic ... ok
test message::tests::s9_broken ... FAILED
test message::tests::slow ... ignored, takes hours
test message::tests::slow has been running for over 60 seconds
test result: FAILED. 2 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s
     Running tests/e2e.rs (target/checked/deps/e2e-0a1b2c)
test p6_sweep ... ok
test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
   Doc-tests turn_codec
test crates/codec/src/lib.rs - (line 9) ... ok
test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s";

    #[test]
    fn counts_come_from_every_result_line() {
        let tally = read();
        assert_eq!((tally.passed, tally.failed, tally.ignored), (4, 1, 1));
    }

    #[test]
    fn names_carry_their_binary() {
        let tally = read();
        let names: Vec<&str> = tally.names.iter().map(String::as_str).collect();
        let expected = [
            "e2e::p6_sweep",
            "turn_codec doc::crates/codec/src/lib.rs",
            "turn_codec::message::tests::s7_no_effect",
            "turn_codec::message::tests::s8_vectors",
        ];
        assert_eq!(names, expected);
        assert!(tally.failures.contains("turn_codec::message::tests::s9_broken"));
    }

    fn read() -> Tally {
        let mut tally = Tally::default();
        OUTPUT.lines().for_each(|line| tally.line(line));
        tally
    }
}
