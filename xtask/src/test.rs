//! `cargo xtask test`: tools, lint, the binaries that tests start, instruction counts, every test,
//! docs/rfc-status.md.
//!
//! Tests whose name begins with `realtime_` wait for a real clock (lifetimes of RFC 8656 are
//! minutes). They run beside the others, and their output is printed when they are done.

use std::io::{self, BufRead as _, BufReader};
use std::process::Command;
use std::thread;

use anyhow::{Context, Result, bail};

use crate::command::{cargo_build, run as run_command};
use crate::steps::Steps;
use crate::tally::Tally;
use crate::{instructions, lint, mutants, rfc_status, tools};

/// What the names of the tests that wait for a real clock begin with.
const REALTIME: &str = "realtime_";

/// How much is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// What every submission must pass.
    Usual,
    /// That, and the checks that take hours.
    Long,
}

/// A check of `--long`.
struct LongCheck {
    name: &'static str,
    run: fn() -> Result<()>,
}

/// The checks of `--long`: a new one is an entry here.
const LONG: [LongCheck; 2] = [
    LongCheck { name: "long: tests marked #[ignore]", run: ignored_tests },
    LongCheck { name: "long: mutants of the functions that carry row tags", run: mutants::run },
];

/// Runs everything, ends with the line that counts, and tells whether all of it passed.
pub(crate) fn run(extent: Extent) -> bool {
    let mut steps = Steps::default();
    let mut tally = Tally::default();
    // Without the tools half of the tests could only say so, each in its own way.
    if steps.run("tools", tools::install) {
        lint::steps_of_lint(&mut steps);
        steps.run("build: turnserver, turn-call", || {
            let packages = ["--package", "turnserver", "--package", "turn-call"];
            run_command(cargo_build("build").args(packages).arg("--bins"))
        });
        steps.run("instruction counts", || instructions::run(instructions::Purpose::Check));
        steps.run("tests", || all_tests(&mut tally));
        steps.run("rfc-status", || tally.save().and_then(|()| rfc_status::write(&tally.names)));
        if extent == Extent::Long {
            for check in LONG {
                steps.run(check.name, check.run);
            }
        }
    }
    close(&steps, &tally)
}

/// Prints what failed and the closing line. A step that failed for another reason than a failed
/// test counts as one more failure, so that the line never reads as success by mistake.
fn close(steps: &Steps, tally: &Tally) -> bool {
    let failed_steps: Vec<&String> =
        steps.failed().iter().filter(|step| *step != "tests" || tally.failed == 0).collect();
    for name in &tally.failures {
        println!("failed: {name}");
    }
    for step in &failed_steps {
        println!("failed: {step}");
    }
    if tally.ignored > 0 {
        println!("left to --long: {} tests marked #[ignore]", tally.ignored);
    }
    let failed = tally.failed + failed_steps.len();
    println!("{} passed, {failed} failed", tally.passed);
    failed == 0
}

fn all_tests(tally: &mut Tally) -> Result<()> {
    // Compiled once and first: the two runs below then start at the same time.
    run_command(cargo_build("test").args(["--workspace", "--no-run"]))?;
    let beside = thread::spawn(|| {
        let mut command = cargo_test();
        command.args(["--workspace", "--tests", "--", REALTIME]);
        let mut lines = Vec::new();
        let outcome = stream(&mut command, |line| lines.push(line.to_owned()));
        (outcome, lines)
    });
    let mut command = cargo_test();
    command.args(["--workspace", "--", "--skip", REALTIME]);
    let outcome = stream(&mut command, |line| {
        println!("{line}");
        tally.line(line);
    });
    println!("--> tests that wait for a real clock");
    let Ok((outcome_beside, lines)) = beside.join() else { bail!("reading the tests panicked") };
    let mut clock = Tally::default();
    for line in &lines {
        clock.line(line);
        if !is_empty_run(line) {
            println!("{line}");
        }
    }
    tally.add(clock);
    outcome.and(outcome_beside)
}

/// Whether a line only says that a binary has none of the tests that were asked for.
fn is_empty_run(line: &str) -> bool {
    let line = line.trim();
    line.is_empty()
        || line == "running 0 tests"
        || line.starts_with("Running ")
        || line.starts_with("test result: ok. 0 passed")
}

fn ignored_tests() -> Result<()> {
    run_command(cargo_test().args(["--workspace", "--", "--ignored"]))
}

fn cargo_test() -> Command {
    let mut command = cargo_build("test");
    command.arg("--no-fail-fast");
    command
}

/// Runs a command and hands over its output, standard output and standard error in one, by line.
fn stream(command: &mut Command, mut each: impl FnMut(&str)) -> Result<()> {
    let (reader, writer) = io::pipe()?;
    command.stdout(writer.try_clone()?).stderr(writer);
    let mut child = command.spawn().context("cannot start cargo")?;
    // The command still holds the writing end; without this the reader would never see its end.
    command.stdout(io::stdout()).stderr(io::stderr());
    for line in BufReader::new(reader).split(b'\n') {
        each(&String::from_utf8_lossy(&line?));
    }
    let status = child.wait()?;
    if !status.success() {
        bail!("cargo test: {status}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_step_is_never_a_success() {
        let mut steps = Steps::default();
        assert!(close(&steps, &Tally::default()));
        steps.run("a step that fails", || bail!("as it should"));
        assert!(!close(&steps, &Tally::default()));
    }

    #[test]
    fn both_outputs_of_a_command_arrive_in_order() -> Result<()> {
        let mut lines = Vec::new();
        let mut command = Command::new("sh");
        command.args(["-c", "echo one; echo two >&2; echo three"]);
        stream(&mut command, |line| lines.push(line.to_owned()))?;
        assert_eq!(lines, ["one", "two", "three"]);
        Ok(())
    }
}
