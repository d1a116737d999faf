//! The texts that a configuration is read from, and the lines of them that errors show.
//!
//! A place is one number: the offset in all texts laid end to end, the file first, one character
//! between two of them. So one tree holds values of the file and of the environment.

use std::ops::Range;
use std::path::{Path, PathBuf};

/// What stands in an excerpt instead of a value that may be a secret.
///
/// Its width never depends on the value.
const MASK: &str = "\"***\"";

/// One line of the file, fit to be printed, and where the caret goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Excerpt {
    /// Line number, from 1.
    pub(crate) line: usize,
    /// Column of the mistake in the file, in characters from 1.
    pub(crate) column: usize,
    /// The line as shown: secrets masked, tabs widened, no control characters.
    pub(crate) text: String,
    /// Characters of `text` to the left of the caret.
    pub(crate) indent: usize,
    /// Length of the caret, at least 1.
    pub(crate) width: usize,
}

/// The texts, with the ranges that must never be shown.
pub(crate) struct Source<'t> {
    parts: Vec<Part<'t>>,
    pub(crate) hidden: Vec<Range<usize>>,
}

/// A file or an environment variable.
struct Part<'t> {
    name: PathBuf,
    text: &'t str,
    base: usize,
}

impl<'t> Source<'t> {
    /// The text of a file that is called `name`.
    pub(crate) fn new(name: &Path, text: &'t str) -> Self {
        let parts = vec![Part { name: name.to_owned(), text, base: 0 }];
        Self { parts, hidden: Vec::new() }
    }

    /// Adds a text, and says where its places begin.
    pub(crate) fn add(&mut self, name: &Path, text: &'t str) -> usize {
        let base = self.parts.last().map_or(0, |last| last.base + last.text.len() + 1);
        self.parts.push(Part { name: name.to_owned(), text, base });
        base
    }

    /// The name of the text at `at`.
    pub(crate) fn name(&self, at: usize) -> &Path {
        self.part(at).map_or(Path::new(""), |part| part.name.as_path())
    }

    /// The place `at` as a sentence ends with it, seen from `from`.
    pub(crate) fn place(&self, at: usize, from: usize) -> String {
        let line = self.excerpt(&(at..at)).line;
        let (name, here) = (self.name(at), self.name(from));
        if name == here { format!("in line {line}") } else { format!("in {}", name.display()) }
    }

    fn part(&self, at: usize) -> Option<&Part<'t>> {
        self.parts.iter().rev().find(|part| part.base <= at)
    }

    /// Cuts out the first line of `span`.
    pub(crate) fn excerpt(&self, span: &Range<usize>) -> Excerpt {
        let (whole, base) = self.part(span.start).map_or(("", 0), |part| (part.text, part.base));
        let mut start = (span.start - base).min(whole.len());
        while !whole.is_char_boundary(start) {
            start -= 1;
        }
        let span = start..span.end.saturating_sub(base).max(start + 1);
        let (before, after) = whole.split_at(start);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = after.find('\n').map_or(whole.len(), |newline| start + newline);
        let line = whole.get(line_start..line_end).unwrap_or_default();

        let mut text = String::new();
        let mut width = 0;
        let mut caret: Option<Range<usize>> = None;
        let mut mask: Option<(usize, usize)> = None; // (start of the hidden range, column of its mask)
        for (offset, character) in line.char_indices() {
            let at = line_start + offset;
            let piece = match self.hidden.iter().find(|range| range.contains(&(base + at))) {
                Some(range) => match mask {
                    Some((of, column)) if of == range.start => column,
                    _ => {
                        mask = Some((range.start, width));
                        text.push_str(MASK);
                        width += MASK.len();
                        width - MASK.len()
                    }
                },
                None => {
                    let mut buffer = [0; 4];
                    let shown = match character {
                        '\r' => continue,
                        '\t' => "    ",
                        other if other.is_control() => "?",
                        other => other.encode_utf8(&mut buffer),
                    };
                    text.push_str(shown);
                    width += shown.chars().count();
                    width - shown.chars().count()
                }
            };
            if span.contains(&at) {
                let from = caret.as_ref().map_or(piece, |caret| caret.start);
                caret = Some(from..width);
            }
        }
        let caret = caret.unwrap_or(width..width);
        Excerpt {
            line: before.matches('\n').count() + 1,
            column: whole.get(line_start..start).map_or(0, |left| left.chars().count()) + 1,
            text,
            indent: caret.start,
            width: caret.len().max(1),
        }
    }

    /// Hides the file's line at `at` unless it stands where no secret can stand.
    ///
    /// A file that does not parse has no tree that says what belongs to
    /// `[auth]`, so this goes by the lines above, and hides when in doubt.
    /// Says whether it did.
    pub(crate) fn hide_unless_harmless(&mut self, at: usize) -> bool {
        let whole = self.parts.first().map_or("", |file| file.text);
        let at = at.min(whole.len());
        let end = whole.get(at..).and_then(|rest| rest.find('\n'));
        let end = end.map_or(whole.len(), |newline| at + newline);
        let mut harmless = true; // before the first header stand only realm, shards and dotted keys
        // Whether an item of a list can be one of secrets, whose key somebody has taken out.
        let mut item_is_harmless = false;
        let mut is_item = false;
        for line in whole.get(..end).unwrap_or_default().lines() {
            let line = line.trim();
            let content = line.split('#').next().unwrap_or_default().trim();
            if line.starts_with('[') {
                harmless = is_harmless_header(content.trim_matches(['[', ']']));
                item_is_harmless = harmless;
            }
            let comment = line.starts_with('#');
            if is_telltale(line) {
                harmless &= comment;
                item_is_harmless = false;
            }
            is_item = line.starts_with(['"', '\'']);
        }
        if is_item {
            harmless &= item_is_harmless;
        }
        if !harmless {
            let start = whole.get(..at).and_then(|before| before.rfind('\n'));
            self.hidden.push(start.map_or(0, |newline| newline + 1)..end);
        }
        !harmless
    }
}

/// Whether no secret stands in the section of this header.
fn is_harmless_header(header: &str) -> bool {
    const OF_A_REALM: [&str; 3] = [".peers", ".limits", ".relay"];
    HARMLESS.contains(&header)
        || (header.starts_with("realms.") && OF_A_REALM.iter().any(|end| header.ends_with(end)))
}

/// Whether `text` has a word that secrets stand beside.
pub(crate) fn is_telltale(text: &str) -> bool {
    const TELLTALE: [&str; 9] = [
        "auth",
        "secret",
        "users",
        "password",
        "credential",
        "token",
        "redis",
        "://",
        "-----begin",
    ];
    let lowercase = text.to_ascii_lowercase();
    TELLTALE.iter().any(|word| lowercase.contains(word))
}

/// Sections that hold no secret.
pub(crate) const HARMLESS: [&str; 10] = [
    "listen",
    "tls",
    "tls.certificates",
    "relay",
    "peers",
    "limits",
    "drain",
    "metrics",
    "log",
    "lab",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source<'_> {
        Source::new(Path::new("t.toml"), text)
    }

    #[test]
    fn the_caret_stands_under_its_span_behind_tabs_and_umlauts() {
        let text = "a = 1\n\tü = \"x\"\r\n";
        let found = source(text).excerpt(&(12..15));
        assert_eq!((found.line, found.column), (2, 6));
        assert_eq!(found.text, "    ü = \"x\"");
        assert_eq!((found.indent, found.width), (8, 3));
    }

    #[test]
    fn a_mask_has_one_width_whatever_it_hides_and_the_caret_follows_it() {
        for secret in ["\"s\"", "\"a much longer secret\""] {
            let text = format!("k = {secret}, bad = 5");
            let bad = text.find("bad").unwrap_or_default();
            let mut masked = source(&text);
            masked.hidden.push(4..4 + secret.len());
            let found = masked.excerpt(&(bad..bad + 3));
            assert_eq!(found.text, "k = \"***\", bad = 5");
            assert_eq!((found.indent, found.width), (11, 3));
        }
    }

    #[test]
    fn a_hidden_text_of_several_lines_shows_on_none_of_them() {
        let text = "a = '''one\ntwo\nthree'''";
        let mut masked = source(text);
        masked.hidden.push(4..text.len());
        for at in [5, 12, 16] {
            let shown = masked.excerpt(&(at..at + 1)).text;
            assert!(!shown.contains("one") && !shown.contains("two") && !shown.contains("three"));
        }
    }

    #[test]
    fn the_end_of_the_file_has_a_place() {
        let found = source("a = ").excerpt(&(4..4));
        assert_eq!((found.line, found.column, found.indent, found.width), (1, 5, 4, 1));
        let found = source("").excerpt(&(9..9));
        assert_eq!((found.line, found.column, found.width), (1, 1, 1));
    }

    #[test]
    fn lines_that_may_hold_a_secret_are_hidden_in_a_broken_file() {
        let hides = |text: &str, needle: &str| {
            source(text).hide_unless_harmless(text.find(needle).unwrap_or_default())
        };
        assert!(hides("[auth]\nsecrets = [\n'xyz\n]", "xyz"));
        assert!(hides("[ath]\nx = 'xyz", "xyz"));
        assert!(hides("auth = { users = { a = 'xyz } }", "xyz"));
        assert!(hides("[relay]\nsecrets = [\n'xyz\n]", "xyz"));
        assert!(hides("[auth]\n[auth.users]\nalice = 'xyz", "xyz"));
        assert!(hides("[tls]\nkey = -----BEGIN PRIVATE KEY-----\nxyz", "xyz"));
        assert!(!hides("[tls]\ncertificates = [{ certificate = xyz }]", "xyz"));
        assert!(!hides("[auth]\nsecrets = []\n[relay]\nports = xyz", "xyz"));
        assert!(hides("[realms.b]\n[realms.b.auth]\nx = 'xyz", "xyz"));
        assert!(hides("[admin]\nsocket = 'xyz", "xyz"));
        assert!(!hides("[realms.'b.example'.limits]\nallocations = xyz", "xyz"));
        assert!(!hides("realm = xyz", "xyz"));
        assert!(hides("shards = 2\n# secrets = [\n'xyz',\n# ]", "xyz"));
        assert!(hides("[listen]\n# [auth]\n# secrets = [\n  \"xyz\",\n# ]", "xyz"));
        assert!(!hides("[peers]\nallow = [\n  \"xyz\"\n  \"abc\"", "abc"));
        assert!(!hides("realm = 'a'\n[peers\nallow = []", "peers"));
    }

    #[test]
    fn each_text_has_lines_of_its_own() {
        let mut both = source("a = 1\nb = 2");
        let base = both.add(Path::new("TURN__C"), "TURN__C=3");
        let found = both.excerpt(&(base + 8..base + 9));
        assert_eq!((found.line, found.column, found.text.as_str()), (1, 9, "TURN__C=3"));
        assert_eq!((both.name(base), both.name(6)), (Path::new("TURN__C"), Path::new("t.toml")));
        assert_eq!(both.excerpt(&(6..7)).line, 2);
        assert_eq!(
            (both.place(6, 0), both.place(6, base)),
            ("in line 2".into(), "in t.toml".into())
        );
    }
}
