//! Just enough of Rust's lexical grammar to tell code from comments and strings, so that a word
//! in a comment is no violation of a wall.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Every `.rs` file below a directory, sorted; a directory that does not exist has none.
///
/// # Errors
/// When a directory cannot be read.
pub(crate) fn files(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut waiting = vec![directory.to_path_buf()];
    while let Some(directory) = waiting.pop() {
        if !directory.is_dir() {
            continue;
        }
        for entry in fs::read_dir(&directory).with_context(|| directory.display().to_string())? {
            let path = entry?.path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The source with comments and the contents of literals blanked out; lines stay where they are.
pub(crate) fn code_only(source: &str) -> String {
    let mut lexer = Lexer { rest: source, code: String::with_capacity(source.len()) };
    let mut previous = ' ';
    while let Some(next) = lexer.rest.chars().next() {
        if lexer.rest.starts_with("//") {
            lexer.blank(lexer.rest.find('\n').unwrap_or(lexer.rest.len()));
        } else if lexer.rest.starts_with("/*") {
            lexer.blank(block_comment(lexer.rest));
        } else if let Some(length) = literal(lexer.rest, previous) {
            lexer.blank(length);
        } else {
            lexer.keep(next);
        }
        previous = next;
    }
    lexer.code
}

/// The identifiers and keywords of code without comments, each with its line, counted from 1.
pub(crate) fn words(code: &str) -> impl Iterator<Item = (usize, &str)> {
    code.lines().enumerate().flat_map(|(index, line)| {
        line.split(|c: char| !is_word(c))
            .filter(|word| !word.is_empty())
            .map(move |word| (index + 1, word))
    })
}

/// A function and the lines of its signature and body, counted from 1.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) first: usize,
    pub(crate) last: usize,
}

/// The functions that have a body, in the order of their `fn`.
pub(crate) fn functions(code: &str) -> Vec<Function> {
    let mut found: Vec<Function> = Vec::new();
    let mut open: Vec<(usize, usize)> = Vec::new(); // index into `found`, depth of its body
    let mut pending: Option<usize> = None; // a signature whose body has not begun
    let mut depth = 0_usize;
    let mut parentheses = 0_usize; // and brackets: `[u8; 4]` ends no signature
    for (index, line) in code.lines().enumerate() {
        let mut after_fn = false;
        for token in line.split_inclusive(|c: char| !is_word(c)) {
            let word = token.trim_end_matches(|c: char| !is_word(c));
            if after_fn && !word.is_empty() {
                pending = Some(found.len());
                found.push(Function { name: word.to_owned(), first: index + 1, last: index + 1 });
            }
            after_fn = word == "fn" || (after_fn && word.is_empty());
            match token.chars().next_back() {
                Some('{') => {
                    depth += 1;
                    if let Some(function) = pending.take() {
                        open.push((function, depth));
                    }
                }
                Some('}') => {
                    if open.last().is_some_and(|&(_, at)| at == depth) {
                        let closed = open.pop().and_then(|(at, _)| found.get_mut(at));
                        if let Some(function) = closed {
                            function.last = index + 1;
                        }
                    }
                    depth = depth.saturating_sub(1);
                }
                Some('(' | '[') => parentheses += 1,
                Some(')' | ']') => parentheses = parentheses.saturating_sub(1),
                Some(';') if parentheses == 0 => pending = None,
                _ => {}
            }
        }
    }
    found
}

struct Lexer<'s> {
    rest: &'s str,
    code: String,
}

impl Lexer<'_> {
    fn keep(&mut self, next: char) {
        self.code.push(next);
        self.rest = self.rest.get(next.len_utf8()..).unwrap_or_default();
    }

    fn blank(&mut self, bytes: usize) {
        let (gone, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        self.code.extend(gone.chars().map(|c| if c == '\n' { c } else { ' ' }));
        self.rest = rest;
    }
}

/// The length of a block comment; they nest.
fn block_comment(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                break;
            }
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    at
}

/// The length of the string or character literal that starts here.
fn literal(text: &str, previous: char) -> Option<usize> {
    let first = text.chars().next()?;
    if first == '\'' {
        return character(text);
    }
    let prefix = if first == '"' {
        0
    } else if is_word(previous) {
        return None; // the end of an identifier, not a prefix
    } else {
        ["br", "cr", "r", "b", "c"]
            .iter()
            .find(|prefix| {
                text.strip_prefix(**prefix).is_some_and(|rest| {
                    rest.trim_start_matches('#').starts_with('"')
                        && (prefix.ends_with('r') || rest.starts_with('"'))
                })
            })?
            .len()
    };
    let raw = text.get(..prefix)?.ends_with('r');
    let rest = text.get(prefix..)?;
    let hashes = rest.len() - rest.trim_start_matches('#').len();
    let start = prefix + hashes + 1;
    if raw {
        let end = format!("\"{}", "#".repeat(hashes));
        let body = text.get(start..)?;
        return Some(body.find(&end).map_or(text.len(), |at| start + at + end.len()));
    }
    let mut escaped = false;
    for (at, c) in text.get(start..)?.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some(start + at + 1),
            _ => {}
        }
    }
    Some(text.len())
}

/// The length of a character literal; `None` for a lifetime.
fn character(text: &str) -> Option<usize> {
    let mut chars = text.char_indices().skip(1);
    let (_, first) = chars.next()?;
    if first == '\\' {
        chars.next();
        return chars.find(|&(_, c)| c == '\'').map(|(at, _)| at + 1);
    }
    chars.next().filter(|&(_, c)| c == '\'').map(|(at, _)| at + 1)
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_no_code() {
        let source =
            "a // UdpSocket\n/* b /* c */ d */ e \"f \\\" g\" r#\"h \" i\"# 'j' 'k' '\\'' l<'m>";
        let code = code_only(source);
        assert_eq!(words(&code).map(|(_, word)| word).collect::<Vec<_>>(), ["a", "e", "l", "m"]);
    }

    #[test]
    fn lines_stay_where_they_are() {
        let code = code_only("/* one\ntwo */ three\n\"four\nfive\" six");
        assert_eq!(words(&code).collect::<Vec<_>>(), [(2, "three"), (4, "six")]);
    }

    #[test]
    fn an_identifier_that_ends_in_r_is_no_raw_string() {
        let code = code_only("four(\"five\") br\"six\" r(7)");
        assert_eq!(words(&code).map(|(_, word)| word).collect::<Vec<_>>(), ["four", "r", "7"]);
    }

    #[test]
    fn functions_know_their_lines() {
        let code = "trait B { fn no_body(&self, a: [u8; 4]); }\nimpl A {\n  fn one(\n    &self,\n  ) -> u8 {\n    { 1 }\n  }\n\n  fn two() { fn in_two() {} }\n}\n";
        let lines: Vec<_> =
            functions(code).into_iter().map(|f| (f.name, f.first, f.last)).collect();
        let expected = [("no_body", 1, 1), ("one", 3, 7), ("two", 9, 9), ("in_two", 9, 9)];
        assert_eq!(lines, expected.map(|(name, first, last)| (name.to_owned(), first, last)));
    }
}
