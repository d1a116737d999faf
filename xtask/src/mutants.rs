//! Mutation testing of the functions that carry row tags: a mutant that no test catches is a
//! requirement that no test keeps.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;

use anyhow::{Context, Result, bail};

use crate::command::{program, root};
use crate::tags::tagged_files;
use crate::tools;

/// Pinned, so that figures of two runs compare.
const VERSION: &str = "27.1.0";

/// The least share of mutants that the tests must catch, in percent.
const LEAST_CAUGHT: usize = 90;

/// Mutates the tagged functions, runs the tests of the crate that each stands in, and writes
/// target/mutants-summary.txt with the survivors.
///
/// # Errors
/// When fewer than 90 % are caught.
pub(crate) fn run() -> Result<()> {
    let tool = tools::cargo_tool("cargo-mutants", VERSION)?;
    let files = tagged_files()?;
    let wanted: Vec<String> = files
        .iter()
        .filter(|file| !file.functions.is_empty())
        .map(|file| {
            let names: BTreeSet<&str> = file.functions.iter().map(String::as_str).collect();
            let names: Vec<&str> = names.into_iter().collect();
            format!(r"{}:.*\b({})\b", file.path.replace('.', r"\."), names.join("|"))
        })
        .collect();
    if wanted.is_empty() {
        bail!("no function carries a row tag");
    }
    let mut command = program(tool);
    command.args(["mutants", "--workspace", "--no-times", "--jobs", "2", "--profile", "dev"]);
    // The tests have just passed unmutated; again would cost the whole run.
    command.args(["--baseline", "skip", "--timeout", "120"]);
    command.args(["--output", "target", "--re", &wanted.join("|")]);
    command.args(files.iter().flat_map(|file| ["--file", file.path.as_str()]));
    // Every mutant runs the model too: a few of its runs are enough here.
    command.env("PROPTEST_CASES", "16");
    // Its exit code says "some survived", which the figures below judge.
    let _ = command.status().context("cannot start cargo-mutants")?;
    let summary = Summary::read()?;
    let path = root().join("target/mutants-summary.txt");
    fs::write(&path, summary.text()).with_context(|| path.display().to_string())?;
    println!("{}", summary.text());
    if summary.percent() < LEAST_CAUGHT {
        bail!("{} % of the mutants were caught, {LEAST_CAUGHT} % is the least", summary.percent());
    }
    Ok(())
}

/// What cargo-mutants found. A mutant that hangs was noticed too.
#[derive(Debug, Default)]
struct Summary {
    caught: usize,
    timeout: usize,
    unviable: usize,
    survivors: Vec<String>,
}

impl Summary {
    fn read() -> Result<Self> {
        let lines = |name: &str| -> Result<Vec<String>> {
            let path = root().join("target/mutants.out").join(name);
            let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            Ok(text.lines().map(str::to_owned).collect())
        };
        Ok(Self {
            caught: lines("caught.txt")?.len(),
            timeout: lines("timeout.txt")?.len(),
            unviable: lines("unviable.txt")?.len(),
            survivors: lines("missed.txt")?,
        })
    }

    fn percent(&self) -> usize {
        let noticed = self.caught + self.timeout;
        (noticed * 100).checked_div(noticed + self.survivors.len()).unwrap_or(0)
    }

    fn text(&self) -> String {
        let mut text = format!(
            "{} % caught: {} caught, {} timed out, {} survived, {} did not compile\n",
            self.percent(),
            self.caught,
            self.timeout,
            self.survivors.len(),
            self.unviable
        );
        for survivor in &self.survivors {
            let _ = writeln!(text, "survived: {survivor}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_counts_as_caught_and_the_uncompilable_do_not_count() {
        let survivors = vec!["x".to_owned()];
        let summary = Summary { caught: 8, timeout: 1, unviable: 90, survivors };
        assert_eq!(summary.percent(), 90);
        assert_eq!(Summary::default().percent(), 0);
    }
}
