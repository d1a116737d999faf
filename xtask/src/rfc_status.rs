//! `cargo xtask rfc-status`: docs/rfc-status.md from docs/rfc-rows.toml, the tests that ran and
//! the row tags in the code.
//!
//! A test keeps a row when a segment of its path begins with the row's id: `s7_...`, `a10b_...`,
//! or several ids in a row, `s2_h8_...`. A row is kept by a test that ran and passed, or it says
//! in `gap` why it is not.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::command::{in_ci, root};
use crate::{tags, tally};

/// The requirement rows, in the order of docs/rfc-rows.toml.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rows {
    row: Vec<Row>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    id: String,
    source: String,
    text: String,
    /// Why no test keeps it, or not all of it, yet.
    gap: Option<String>,
}

impl Rows {
    /// Reads docs/rfc-rows.toml.
    ///
    /// # Errors
    /// When it is missing, malformed or names a row twice.
    pub(crate) fn read() -> Result<Self> {
        let path = root().join("docs/rfc-rows.toml");
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let rows: Self = toml::from_str(&text).with_context(|| path.display().to_string())?;
        let mut seen = BTreeSet::new();
        if let Some(twice) = rows.row.iter().find(|row| !seen.insert(&row.id)) {
            bail!("docs/rfc-rows.toml names {} twice", twice.id);
        }
        Ok(rows)
    }

    /// Whether there is a row of this id.
    pub(crate) fn contains(&self, id: &str) -> bool {
        self.row.iter().any(|row| row.id == id)
    }
}

/// Writes the page from the tests of the last `cargo xtask test`.
///
/// # Errors
/// As [`write()`].
pub(crate) fn from_last_run() -> Result<()> {
    write(&tally::last_run()?)
}

/// Writes docs/rfc-status.md.
///
/// # Errors
/// When a row has neither a test that ran nor a gap with its reason; in CI also when the page
/// differs from the one that was committed.
pub(crate) fn write(tests: &BTreeSet<String>) -> Result<()> {
    let rows = Rows::read()?;
    let status = Status::new(&rows, tests, &tags::files_by_row()?);
    let path = root().join("docs/rfc-status.md");
    let before = fs::read_to_string(&path).unwrap_or_default();
    fs::write(&path, &status.page).with_context(|| path.display().to_string())?;
    println!("docs/rfc-status.md: {}", status.summary);
    if !status.untagged.is_empty() {
        println!("look: tested, but no check carries the tag: {}", status.untagged.join(" "));
    }
    if !status.missing.is_empty() {
        bail!("no test ran for: {}", status.missing.join(" "));
    }
    if in_ci() && before != status.page {
        bail!("docs/rfc-status.md is not what was committed; commit what cargo xtask test writes");
    }
    Ok(())
}

/// The page and what is wrong with it.
struct Status {
    page: String,
    summary: String,
    missing: Vec<String>,
    untagged: Vec<String>,
}

impl Status {
    fn new(
        rows: &Rows,
        tests: &BTreeSet<String>,
        files: &BTreeMap<String, BTreeSet<String>>,
    ) -> Self {
        let by_row = tests_by_row(tests);
        let mut table = String::new();
        let (mut kept, mut gaps) = (0_usize, 0_usize);
        let (mut missing, mut untagged) = (Vec::new(), Vec::new());
        for row in &rows.row {
            let tests = by_row.get(&row.id.to_lowercase());
            let checks = files.get(&row.id);
            let mut proof: Vec<String> =
                tests.into_iter().flatten().map(|test| format!("`{test}`")).collect();
            kept += usize::from(tests.is_some());
            gaps += usize::from(row.gap.is_some());
            match &row.gap {
                Some(gap) => proof.push(format!("RFC-GAP: {gap}")),
                None if tests.is_none() => {
                    missing.push(row.id.clone());
                    proof.push("**no test ran**".to_owned());
                }
                None if checks.is_none() => untagged.push(row.id.clone()),
                None => {}
            }
            let checks: Vec<String> =
                checks.into_iter().flatten().map(|file| format!("`{file}`")).collect();
            let cells =
                [&row.id, &row.text, &row.source, &checks.join("<br>"), &proof.join("<br>")];
            let cells = cells.map(|cell| cell.replace('|', "\\|")).join(" | ");
            let _ = writeln!(table, "| {cells} |");
        }
        let summary = format!(
            "{} rows, {kept} with tests, {gaps} with a gap, {} with neither",
            rows.row.len(),
            missing.len()
        );
        let page = format!(
            "# RFC status\n\n\
             Written by `cargo xtask test` from [rfc-rows.toml](rfc-rows.toml) and the tests that \
             ran; not by hand.\nS to N are requirements, H are hazards, R are reliability \
             targets. A check in the code carries\nits row as `// [S7]`, a test bears it in its \
             name. What is missing is an RFC-GAP with its\nreason.\n\n{summary}.\n\n\
             | Row | Requirement | Source | Check in | Kept by |\n|---|---|---|---|---|\n{table}"
        );
        Self { page, summary, missing, untagged }
    }
}

/// The tests of each row, by the row's id in lower case.
fn tests_by_row(tests: &BTreeSet<String>) -> BTreeMap<String, BTreeSet<&str>> {
    let mut by_row: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for test in tests {
        for id in test.split("::").flat_map(leading_ids) {
            by_row.entry(id.to_owned()).or_default().insert(test);
        }
    }
    by_row
}

/// The ids that a segment of a test's path begins with.
fn leading_ids(segment: &str) -> impl Iterator<Item = &str> {
    segment.split('_').take_while(|word| is_id(word))
}

/// A letter of a row, digits, and perhaps one more letter.
fn is_id(word: &str) -> bool {
    let Some(number) = word.strip_prefix(|letter| "satpcixmonhr".contains(letter)) else {
        return false;
    };
    let number = number.strip_suffix(|letter: char| letter.is_ascii_lowercase()).unwrap_or(number);
    !number.is_empty() && number.chars().all(|digit| digit.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_at_the_start_of_any_segment_counts() {
        assert_eq!(ids("turn_codec::message::tests::s7_attributes"), ["s7"]);
        assert_eq!(ids("e2e::a10b_offers::it_holds"), ["a10b"]);
        assert_eq!(ids("e2e::s2_h8_loops"), ["s2", "h8"]);
    }

    #[test]
    fn an_id_elsewhere_does_not_count() {
        assert!(ids("turn_codec::tests::attributes_s7").is_empty());
        assert!(ids("turn_codec::tests::sha1_vectors").is_empty());
        assert!(ids("turn_codec::tests::ipv4_only").is_empty());
    }

    #[test]
    fn a_row_without_test_or_gap_is_missing() {
        let status = status(&["a::s1_kept"]);
        assert_eq!(status.missing, ["S2"]);
        assert!(status.page.contains("| S1 | one | RFC 1 |  | `a::s1_kept` |"));
        assert!(status.page.contains("| S3 | three | RFC 3 |  | RFC-GAP: later |"));
    }

    #[test]
    fn a_gap_may_be_kept_in_part() {
        let status = status(&["a::s3_part"]);
        assert!(status.page.contains("`a::s3_part`<br>RFC-GAP: later"));
    }

    #[test]
    fn the_committed_rows_parse() -> Result<()> {
        let rows = Rows::read()?;
        assert!(rows.row.iter().all(|row| is_id(&row.id.to_lowercase()) && !row.text.is_empty()));
        assert!(
            ["S1", "A10b", "T17", "P8", "C9", "I3", "H35", "R17"]
                .iter()
                .all(|id| rows.contains(id))
        );
        Ok(())
    }

    fn ids(test: &str) -> Vec<&str> {
        test.split("::").flat_map(leading_ids).collect()
    }

    fn status(tests: &[&str]) -> Status {
        let row = |id: &str, source: &str, text: &str, gap: Option<&str>| Row {
            id: id.to_owned(),
            source: source.to_owned(),
            text: text.to_owned(),
            gap: gap.map(str::to_owned),
        };
        let rows = Rows {
            row: vec![
                row("S1", "RFC 1", "one", None),
                row("S2", "RFC 2", "two", None),
                row("S3", "RFC 3", "three", Some("later")),
            ],
        };
        let tests = tests.iter().map(|test| (*test).to_owned()).collect();
        Status::new(&rows, &tests, &BTreeMap::new())
    }
}
