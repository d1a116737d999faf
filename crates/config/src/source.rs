//! The text of a configuration file, and the lines of it that errors show.

use std::ops::Range;
use std::path::Path;

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

/// A file's name and text, with the byte ranges that must never be shown.
pub(crate) struct Source<'t> {
    pub(crate) name: &'t Path,
    pub(crate) text: &'t str,
    pub(crate) hidden: Vec<Range<usize>>,
}

impl Source<'_> {
    /// Cuts out the first line of `span`.
    pub(crate) fn excerpt(&self, span: &Range<usize>) -> Excerpt {
        let mut start = span.start.min(self.text.len());
        while !self.text.is_char_boundary(start) {
            start -= 1;
        }
        let span = start..span.end.max(start + 1);
        let (before, after) = self.text.split_at(start);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = after.find('\n').map_or(self.text.len(), |newline| start + newline);
        let line = self.text.get(line_start..line_end).unwrap_or_default();

        let mut text = String::new();
        let mut width = 0;
        let mut caret: Option<Range<usize>> = None;
        let mut mask: Option<(usize, usize)> = None; // (start of the hidden range, column of its mask)
        for (offset, character) in line.char_indices() {
            let at = line_start + offset;
            let piece = match self.hidden.iter().find(|range| range.contains(&at)) {
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
            column: self.text.get(line_start..start).map_or(0, |left| left.chars().count()) + 1,
            text,
            indent: caret.start,
            width: caret.len().max(1),
        }
    }

    /// Hides the line at `at` unless it stands where no secret can stand.
    ///
    /// A file that does not parse has no tree that says what belongs to
    /// `[auth]`, so this goes by the lines above, and hides when in doubt.
    /// Says whether it did.
    pub(crate) fn hide_unless_harmless(&mut self, at: usize) -> bool {
        const HARMLESS: [&str; 8] =
            ["listen", "tls", "tls.certificates", "relay", "peers", "limits", "log", "lab"];
        const TELLTALE: [&str; 7] =
            ["auth", "secret", "users", "password", "credential", "token", "-----begin"];

        let at = at.min(self.text.len());
        let end = self.text.get(at..).and_then(|rest| rest.find('\n'));
        let end = end.map_or(self.text.len(), |newline| at + newline);
        let mut harmless = true; // before the first header stand only realm, shards and dotted keys
        for line in self.text.get(..end).unwrap_or_default().lines() {
            let line = line.trim();
            let content = line.split('#').next().unwrap_or_default().trim();
            if line.starts_with('[') {
                harmless = HARMLESS.contains(&content.trim_matches(['[', ']']));
            }
            let lowercase = line.to_ascii_lowercase();
            let comment = line.starts_with('#');
            if !comment && TELLTALE.iter().any(|word| lowercase.contains(word)) {
                harmless = false;
            }
        }
        if !harmless {
            let start = self.text.get(..at).and_then(|before| before.rfind('\n'));
            self.hidden.push(start.map_or(0, |newline| newline + 1)..end);
        }
        !harmless
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source<'_> {
        Source { name: Path::new("t.toml"), text, hidden: Vec::new() }
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
        assert!(!hides("realm = xyz", "xyz"));
        assert!(!hides("realm = 'a'\n[peers\nallow = []", "peers"));
    }
}
