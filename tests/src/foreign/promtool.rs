//! Debian's `promtool`: what Prometheus itself thinks of an exposition and of rules.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::process::{Finished, Running};

/// How long one judgement may take.
const LIMIT: Duration = Duration::from_secs(30);

/// What is wrong with an exposition in the text format, by line: what does not parse, and what
/// breaks the conventions for names, units and help. Empty when all is well.
///
/// # Panics
/// When promtool is missing or does not end.
pub fn check_metrics(exposition: &str) -> Vec<String> {
    let mut promtool = Running::with_input(promtool().args(["check", "metrics"]));
    promtool.input().write_all(exposition.as_bytes()).expect("promtool reads its input");
    promtool.end_input();
    complaints(&promtool.finish(LIMIT))
}

/// What is wrong with a file of recording and alerting rules, expressions included. Empty when all is
/// well.
///
/// # Panics
/// As [`check_metrics`].
pub fn check_rules(path: &Path) -> Vec<String> {
    complaints(&run(&["check", "rules", "--lint=all", "--lint-fatal"], path))
}

/// What is wrong with a `prometheus.yml` and the files that it names. Empty when all is well.
///
/// # Panics
/// As [`check_metrics`].
pub fn check_config(path: &Path) -> Vec<String> {
    complaints(&run(&["check", "config"], path))
}

/// What is wrong with how rules behave, by a file of promtool's unit tests. Empty when all is well.
///
/// # Panics
/// As [`check_metrics`].
pub fn test_rules(path: &Path) -> Vec<String> {
    complaints(&run(&["test", "rules"], path))
}

fn run(arguments: &[&str], path: &Path) -> Finished {
    Running::start(promtool().args(arguments).arg(path)).finish(LIMIT)
}

/// What it wrote, if it is not content.
fn complaints(finished: &Finished) -> Vec<String> {
    assert!(!finished.timed_out, "promtool hangs: {}", finished.output);
    if finished.exit == Some(0) {
        return Vec::new();
    }
    let lines = finished.output.lines().map(str::trim).filter(|line| !line.is_empty());
    let mut lines: Vec<String> = lines.map(str::to_owned).collect();
    lines.push(format!("promtool: exit code {:?}", finished.exit));
    lines
}

fn promtool() -> Command {
    let path: PathBuf =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/foreign/prometheus/usr/bin/promtool");
    assert!(path.is_file(), "promtool is missing; run: cargo xtask tools");
    Command::new(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clean_exposition_has_no_complaints() {
        let text = "# HELP turn_frames_total Frames.\n# TYPE turn_frames_total counter\n\
                    turn_frames_total 1\n";
        assert_eq!(check_metrics(text), [""; 0]);
    }

    #[test]
    fn a_counter_without_help_and_suffix_is_complained_of() {
        let complaints = check_metrics("# TYPE turn_frames counter\nturn_frames 1\n").join("\n");
        assert!(complaints.contains("no help text"), "{complaints}");
        assert!(complaints.contains("_total"), "{complaints}");
    }

    #[test]
    fn rules_with_a_broken_expression_are_complained_of() {
        let rule = |expression: &str| {
            format!("groups: [{{name: g, rules: [{{record: 'a:b', expr: '{expression}'}}]}}]\n")
        };
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let path = directory.path().join("rules.yaml");
        for (expression, is_clean) in [("rate(x[5m])", true), ("rate(x[5m)", false)] {
            std::fs::write(&path, rule(expression)).expect("a file can be written");
            assert_eq!(check_rules(&path).is_empty(), is_clean, "{expression}");
        }
    }
}
