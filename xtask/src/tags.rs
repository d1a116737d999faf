//! Row tags in the code: `// [S7]` marks the check that keeps row S7 of docs/rfc-rows.toml.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Result, bail};

use crate::command::root;
use crate::rfc_status::Rows;
use crate::rust_source::{Function, code_only, files, functions};
use crate::walls::relative;

/// A source file with tags.
#[derive(Debug)]
pub(crate) struct TaggedFile {
    /// Its path from the workspace's root.
    pub(crate) path: String,
    /// The rows that it keeps.
    pub(crate) rows: BTreeSet<String>,
    /// The functions that carry a tag.
    pub(crate) functions: BTreeSet<String>,
}

/// Every file under `crates` that carries a tag.
///
/// # Errors
/// When a file cannot be read.
pub(crate) fn tagged_files() -> Result<Vec<TaggedFile>> {
    let mut tagged = Vec::new();
    for file in files(&root().join("crates"))? {
        let source = fs::read_to_string(&file)?;
        let tags = tags(&source);
        if tags.is_empty() {
            continue;
        }
        let functions = functions(&code_only(&source));
        tagged.push(TaggedFile {
            path: relative(&file).display().to_string(),
            functions: tags.iter().filter_map(|(line, _)| owner(&functions, *line)).collect(),
            rows: tags.into_iter().map(|(_, row)| row).collect(),
        });
    }
    Ok(tagged)
}

/// The files that keep each row.
///
/// # Errors
/// As [`tagged_files`].
pub(crate) fn files_by_row() -> Result<BTreeMap<String, BTreeSet<String>>> {
    let mut by_row: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in tagged_files()? {
        for row in file.rows {
            by_row.entry(row).or_default().insert(file.path.clone());
        }
    }
    Ok(by_row)
}

/// A tag must name a row that exists.
///
/// # Errors
/// Lists the tags that do not.
pub(crate) fn check() -> Result<()> {
    let rows = Rows::read()?;
    let unknown: Vec<String> = files_by_row()?
        .into_iter()
        .filter(|(row, _)| !rows.contains(row))
        .map(|(row, files)| format!("[{row}] in {files:?}"))
        .collect();
    if unknown.is_empty() {
        return Ok(());
    }
    bail!("tags of no row in docs/rfc-rows.toml: {}", unknown.join(", "))
}

/// The tags of a source, each with its line, counted from 1, anywhere in a comment: `// [S7]`,
/// `// [S7, H8]`, `// why. [S7] [H8]`. A module's own description tags nothing.
fn tags(source: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (index, line) in source.lines().enumerate() {
        let Some((_, comment)) = line.split_once("//").filter(|(_, text)| !text.starts_with('!'))
        else {
            continue;
        };
        for list in comment.split('[').skip(1).filter_map(|rest| rest.split_once(']')) {
            let rows: Vec<&str> = list.0.split(',').map(str::trim).collect();
            if rows.iter().all(|row| is_row(row)) {
                found.extend(rows.into_iter().map(|row| (index + 1, row.to_owned())));
            }
        }
    }
    found
}

/// Whether a word has the form of a row's id: `S7`, `A10b`.
fn is_row(word: &str) -> bool {
    let mut chars = word.chars();
    chars.next().is_some_and(|letter| "SATPCIXMONHR".contains(letter))
        && chars.next().is_some_and(|digit| digit.is_ascii_digit())
        && chars.all(|c| c.is_ascii_digit() || c.is_ascii_lowercase())
}

/// The innermost function around a line, or the next one below it.
fn owner(functions: &[Function], line: usize) -> Option<String> {
    functions
        .iter()
        .rfind(|function| (function.first..=function.last).contains(&line))
        .or_else(|| functions.iter().find(|function| function.first > line))
        .map(|function| function.name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_read_one_or_many_on_a_line() {
        let source = "x(); // [S7] first\n// [S8, A10b]\n// why. [S9] [H8]\n// [no row]\n/// [`S1`]\n//! [S2]";
        let found: Vec<_> = tags(source);
        let expected = [(1, "S7"), (2, "S8"), (2, "A10b"), (3, "S9"), (3, "H8")];
        assert_eq!(found, expected.map(|(line, row)| (line, row.to_owned())));
    }

    #[test]
    fn a_tag_belongs_to_the_function_around_or_below_it() {
        let function = |name: &str, first, last| Function { name: name.to_owned(), first, last };
        let functions =
            [function("outer", 2, 9), function("inner", 4, 6), function("next", 12, 13)];
        assert_eq!(owner(&functions, 5).as_deref(), Some("inner"));
        assert_eq!(owner(&functions, 8).as_deref(), Some("outer"));
        assert_eq!(owner(&functions, 11).as_deref(), Some("next"));
        assert_eq!(owner(&functions, 14), None);
    }
}
