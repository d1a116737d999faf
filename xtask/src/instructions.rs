//! The gate on instruction counts: wall clocks are noisy, callgrind's counts of the same binary are
//! the same on every run.
//!
//! The benches are `benches/instructions/counted`, built as the release is; what they are compared
//! with is `benches/instructions/counts.toml`.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, anyhow, bail};
use serde::Deserialize;
use serde_json::Value;

use crate::command::{cargo, in_ci, output, program, root};
use crate::counts::{Counts, Toolchain};
use crate::tools;

const PACKAGE: &str = "turn-instructions";
const STORED: &str = "benches/instructions/counts.toml";

/// The line that takes new counts for good.
const BLESS: &str = "cargo xtask instructions --bless";

/// What the counts are wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To be held against the stored ones.
    Check,
    /// To be stored.
    Bless,
}

/// Counts, prints, and checks or stores.
///
/// # Errors
/// When a tool is missing, a bench fails, or a count is not what is stored.
pub(crate) fn run(purpose: Purpose) -> Result<()> {
    tools::install_packages_of(&["valgrind"])?;
    let measured = Counts { counts: count(&install_runner()?)?, toolchain: toolchain()? };
    let path = root().join(STORED);
    let stored = fs::read_to_string(&path)
        .with_context(|| STORED.to_owned())
        .and_then(|text| Counts::read(&text));
    println!("instructions of one operation, stored, difference:");
    measured.table(stored.as_ref().ok()).iter().for_each(|line| println!("{line}"));
    if purpose == Purpose::Bless {
        return fs::write(&path, measured.text()?).with_context(|| STORED.to_owned());
    }
    let fix = format!("if this is meant: {BLESS}");
    let verdict = measured.judge(&stored.map_err(|error| anyhow!("{error:#}\n    {fix}"))?);
    if !verdict.notes.is_empty() {
        verdict.notes.iter().for_each(|note| println!("{note}"));
        println!("to store the new counts: {BLESS}");
    }
    if !verdict.faults.is_empty() {
        bail!("instruction counts:\n    {}\n    {fix}", verdict.faults.join("\n    "));
    }
    Ok(())
}

/// Installs gungraun's runner, in the version of the library that the benches are built with: they
/// refuse any other.
///
/// # Errors
/// When `Cargo.lock` has no such library or the build fails.
pub(crate) fn install_runner() -> Result<PathBuf> {
    let lock = fs::read_to_string(root().join("Cargo.lock")).context("Cargo.lock")?;
    tools::cargo_tool("gungraun-runner", &locked_version(&lock, "gungraun")?)
}

/// Runs the benches.
fn count(runner: &Path) -> Result<BTreeMap<String, u64>> {
    let mut command = cargo("bench");
    command.args(["--package", PACKAGE]);
    if in_ci() {
        command.arg("--locked");
    }
    // They look for the runner by its name.
    let directories = runner.parent().map(Path::to_path_buf).into_iter();
    let path = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths(directories.chain(env::split_paths(&path)))?;
    command.args(["--", "--output-format=json"]).env("PATH", path);
    counts(&output(command.stderr(Stdio::inherit()))?)
}

/// Reads the runner's output, an object a line.
fn counts(lines: &str) -> Result<BTreeMap<String, u64>> {
    let mut counts = BTreeMap::new();
    for line in lines.lines().filter(|line| !line.trim().is_empty()) {
        let summary: Value = serde_json::from_str(line).with_context(|| line.to_owned())?;
        let (name, count) = name_and_count(&summary)
            .with_context(|| format!("no name or no count in gungraun's output: {line}"))?;
        if counts.insert(name.clone(), count).is_some() {
            bail!("{name}: there are two benches with this name");
        }
    }
    Ok(counts)
}

fn name_and_count(summary: &Value) -> Option<(String, u64)> {
    let group = summary.get("group")?.as_str()?;
    let group = group.strip_suffix("_group").unwrap_or(group);
    let function = summary.get("function_name")?.as_str()?;
    let count = summary.pointer("/profiles/0/data/total/metrics/Ir/values/new")?.as_u64()?;
    Some((format!("{group}::{function}"), count))
}

fn toolchain() -> Result<Toolchain> {
    let line = |name: &str, argument: &str| -> Result<String> {
        Ok(output(program(name).arg(argument))?.trim().to_owned())
    };
    let about = line("rustc", "-vV")?;
    let host = about.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(Toolchain {
        rustc: about.lines().next().unwrap_or_default().to_owned(),
        host: host.context("rustc -vV names no host")?.to_owned(),
        libc: line("getconf", "GNU_LIBC_VERSION")?,
        valgrind: line("valgrind", "--version")?,
    })
}

/// The version of a package in a lock file.
fn locked_version(lock: &str, name: &str) -> Result<String> {
    #[derive(Deserialize)]
    struct Lock {
        package: Vec<Locked>,
    }
    #[derive(Deserialize)]
    struct Locked {
        name: String,
        version: String,
    }
    let lock: Lock = toml::from_str(lock).context("Cargo.lock")?;
    let found = lock.package.into_iter().find(|package| package.name == name);
    Ok(found.with_context(|| format!("Cargo.lock has no {name}"))?.version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_counts_are_read_from_every_line() -> Result<()> {
        let counts = counts(&format!("{}\n\n{}\n", summary("one", 7), summary("other", 8)))?;
        let expected = [("relaying::one".to_owned(), 7), ("relaying::other".to_owned(), 8)];
        assert_eq!(counts, BTreeMap::from(expected));
        Ok(())
    }

    #[test]
    fn a_line_without_a_count_and_a_name_twice_are_errors() {
        assert!(counts("{\"group\":\"a\",\"function_name\":\"b\",\"profiles\":[]}").is_err());
        assert!(counts(&format!("{0}\n{0}\n", summary("one", 7))).is_err());
    }

    #[test]
    fn versions_come_from_the_lock_file() -> Result<()> {
        let lock = "version = 4\n[[package]]\nname = \"gungraun\"\nversion = \"0.20.0\"\n";
        assert_eq!(locked_version(lock, "gungraun")?, "0.20.0");
        assert!(locked_version(lock, "gungraun-runner").is_err());
        Ok(())
    }

    fn summary(function: &str, count: u64) -> String {
        format!(
            "{{\"group\":\"relaying_group\",\"function_name\":\"{function}\",\"profiles\":[{{\"data\":\
             {{\"total\":{{\"metrics\":{{\"Ir\":{{\"values\":{{\"new\":{count}}}}}}}}}}}}}]}}"
        )
    }
}
