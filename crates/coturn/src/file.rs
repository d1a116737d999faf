//! `turnserver.conf`: one option a line.
//!
//! ```text
//! key=value      key value      key = "value"      flag      flag=0      key=value # remark
//! ```
//!
//! A `#` begins a comment at the start of a line only; behind a value coturn takes it as a part of
//! the value. Guides have remarks there all the same, so a `#` behind white space is cut off here,
//! and [`Setting::uncut`] keeps what coturn sees.

use std::sync::Arc;

use turn_config::Secret;

use crate::note::{Note, NoteKind, Place};
use crate::options::{REMOVED, option};
use crate::parsed::{Parsed, Setting};
use crate::suggest::nearest;

/// Reads the text of a `turnserver.conf`; `name` is the file in messages.
///
/// Nothing is an error: an unknown name becomes a [`Note`] with the nearest known one, as coturn
/// goes on with a message too.
pub fn parse_file(text: &str, name: &str) -> Parsed {
    let mut parsed = Parsed::default();
    let file: Arc<str> = name.into();
    for (line, text) in active_lines(text) {
        let place = Place::Line { file: Arc::clone(&file), line };
        match read_line(text, place) {
            Ok(setting) => parsed.settings.push(setting),
            Err(note) => parsed.notes.push(note),
        }
    }
    parsed
}

/// Lines that are neither empty nor comments, without white space around them, numbered from 1.
pub(crate) fn active_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

fn read_line(line: &str, place: Place) -> Result<Setting, Note> {
    let end = line.find([' ', '\t', '=']).unwrap_or(line.len());
    let (key, rest) = line.split_at(end);
    let written = rest.trim_start_matches([' ', '\t', '=']);
    let Some(option) = option(key) else {
        return Err(not_an_option(key, place));
    };
    let (value, uncut) = value_of(written);
    let is_odd = |c: char| c.is_control() || c == char::REPLACEMENT_CHARACTER;
    // [H35] A rule about peers is not passed over: it stays, is none that can be read, and stops the
    // start.
    if value.contains(is_odd) && !key.ends_with("-peer-ip") {
        let message =
            "the value has control characters or is not UTF-8; write it in UTF-8 without them";
        let (option, kind) = (key.to_owned(), NoteKind::Ignored);
        return Err(Note { option, place, kind, message: message.to_owned() });
    }
    Ok(Setting { option, value: Secret::new(value), uncut: uncut.map(Secret::new), place })
}

/// The value without quotes and remark, and, where a remark was cut off, all of it.
fn value_of(written: &str) -> (&str, Option<&str>) {
    if let Some(inside) = written.strip_prefix('"') {
        let closes = |end: &usize| is_remark(inside.get(end + 1..).unwrap_or(""));
        let end = inside.match_indices('"').map(|(at, _)| at).find(closes);
        // A quote that does not close belongs to nobody, and is taken off as coturn does.
        return (end.and_then(|end| inside.get(..end)).unwrap_or(inside), None);
    }
    let start = written.char_indices().find(|(at, c)| {
        let before = written.get(..*at).unwrap_or("");
        *c == '#' && (before.is_empty() || before.ends_with([' ', '\t']))
    });
    match start {
        Some((at, _)) => {
            let value = written.get(..at).unwrap_or("").trim_end();
            (value, (!value.is_empty()).then_some(written))
        }
        None => (written, None),
    }
}

/// Whether `rest`, which stands behind a closing quote, says nothing.
fn is_remark(rest: &str) -> bool {
    let rest = rest.trim_start();
    rest.is_empty() || rest.starts_with('#')
}

fn not_an_option(key: &str, place: Place) -> Note {
    if let Some(removed) = REMOVED.iter().find(|removed| removed.name == key) {
        let message = removed.reason.to_owned();
        return Note { option: key.to_owned(), place, kind: NoteKind::Ignored, message };
    }
    let word = word_of(key);
    let message = match nearest(word) {
        _ if key.starts_with('[') => {
            "a header of TOML; if that is what the file is written in, say --format toml or name it \
             *.toml"
                .to_owned()
        }
        Some(name) if word.len() < key.len() => {
            format!("no option; write `{name}=VALUE`, and the line has no effect until then")
        }
        Some(name) => format!("coturn has no such option; did you mean `{name}`?"),
        None => "coturn has no such option; the line has no effect".to_owned(),
    };
    Note { option: shown(key), place, kind: NoteKind::Unknown, message }
}

/// What is shown of a key that is none. It may be a stray secret, or have one behind it
/// (`user:ann:password`): so it is the word in front, and all of that only where it looks like the
/// name of an option.
pub(crate) fn shown(key: &str) -> String {
    let word = word_of(key);
    let is_name = |c: char| c.is_ascii_lowercase() || "-_".contains(c);
    let most = if word.chars().all(is_name) || nearest(word).is_some() { 32 } else { 4 };
    let mut shown: String = word.chars().take(most).collect();
    if key.starts_with('[') {
        shown.push('[');
    }
    if shown.len() < key.len() {
        shown.push_str("...");
    }
    shown
}

/// The letters in front of which the name of an option can consist.
fn word_of(key: &str) -> &str {
    let ends = |c: char| !(c.is_ascii_alphanumeric() || "-_".contains(c));
    key.split(ends).next().unwrap_or(key)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn values(text: &str) -> Vec<(&'static str, String)> {
        let parsed = parse_file(text, "t.conf");
        assert_eq!(parsed.notes, []);
        let pair = |setting: &Setting| (setting.option.name, setting.value.reveal().to_owned());
        parsed.settings.iter().map(pair).collect()
    }

    fn value(line: &str) -> String {
        values(line).pop().unwrap().1
    }

    #[test]
    fn keys_and_values_stand_apart_in_every_way_that_coturn_takes() {
        for line in ["realm=a.b", "realm a.b", "realm = a.b", "realm\ta.b", "  realm ==  a.b  "] {
            assert_eq!(values(line), [("realm", "a.b".to_owned())], "{line}");
        }
        assert_eq!(
            values("fingerprint\nsyslog=0"),
            [("fingerprint", String::new()), ("syslog", "0".to_owned())]
        );
    }

    #[test]
    fn outer_quotes_are_taken_off() {
        assert_eq!(value(r#"cipher-list="A B:C""#), "A B:C");
        assert_eq!(value(r#"realm="a # b""#), "a # b");
        assert_eq!(value(r#"realm="a" # a remark with "quotes" in it"#), "a");
        assert_eq!(value(r#"realm="a"b""#), r#"a"b"#);
        assert_eq!(value(r#"realm="a" # a remark"#), "a");
        assert_eq!(value(r#"realm="a"#), "a");
        assert_eq!(value("realm='a'"), "'a'");
    }

    #[test]
    fn a_remark_behind_a_value_is_cut_off_and_kept_aside() {
        let parsed = parse_file("static-auth-secret=north # put yours here\nuser-quota=12 #x", "t");
        let setting = parsed.settings.first().unwrap();
        assert_eq!(setting.value.reveal(), "north");
        assert_eq!(setting.uncut.as_ref().unwrap().reveal(), "north # put yours here");
        assert_eq!(parsed.settings.last().unwrap().value.reveal(), "12");
        assert_eq!(value("static-auth-secret=nor#th"), "nor#th");
    }

    #[test]
    fn a_remark_behind_a_flag_is_no_value() {
        let parsed = parse_file("lt-cred-mech # only on old versions", "t");
        assert_eq!(parsed.settings.first().unwrap().value.reveal(), "");
        assert_eq!(parsed.settings.first().unwrap().uncut, None);
    }

    #[test]
    fn empty_files_comments_line_ends_and_long_lines_are_fine() {
        assert_eq!(values(""), []);
        assert_eq!(values("\u{feff}# a\r\n\r\n \t\r\n   # b\r\n"), []);
        assert_eq!(
            values("realm=a\r\nsyslog\r\n"),
            [("realm", "a".to_owned()), ("syslog", String::new())]
        );
        assert_eq!(value(&format!("static-auth-secret={}", "s".repeat(5000))).len(), 5000);
    }

    #[test]
    fn repeated_keys_are_all_kept_with_their_lines() {
        let parsed = parse_file("user=a:b\n\nuser=c:d\n", "t.conf");
        let lines: Vec<_> = parsed.settings.iter().map(|s| s.place.to_string()).collect();
        assert_eq!(lines, ["t.conf:1", "t.conf:3"]);
    }

    #[test]
    fn an_unknown_key_is_noted_with_its_line_and_the_nearest_name() {
        let parsed = parse_file("syslog\nlistening_ip=10.0.0.1\nbanana=secret\n", "t.conf");
        let notes: Vec<_> = parsed.notes.iter().map(Note::to_string).collect();
        assert_eq!(
            notes,
            [
                "t.conf:2: listening_ip: unknown: coturn has no such option; did you mean `listening-ip`?",
                "t.conf:3: banana: unknown: coturn has no such option; the line has no effect",
            ]
        );
    }

    #[test]
    fn a_secret_where_a_name_should_be_is_not_repeated() {
        let notes = |text: &str| -> String {
            parse_file(text, "t.conf").notes.iter().map(|note| format!("{note}\n")).collect()
        };
        let colon = notes("user:ann:hunter2\nstatic-auth-secret:hunter2");
        assert!(!colon.contains("ann") && !colon.contains("hunter2"), "{colon}");
        assert!(colon.starts_with("t.conf:1: user...: unknown: no option; write `user=VALUE`"));
        let stray = notes("Zm9vYmFyYmF6MTIz");
        assert!(stray.starts_with("t.conf:1: Zm9v...: unknown: coturn has no such"), "{stray}");
        assert!(notes("NO-TLZ").starts_with("t.conf:1: NO-TLZ: "));
    }

    #[test]
    fn names_that_coturn_has_removed_are_noted_and_do_nothing() {
        let parsed = parse_file("prod\nno-tlsv1 # old\nno-loopback-peers\n", "t.conf");
        assert_eq!(parsed.settings, []);
        assert!(parsed.notes.iter().all(|note| note.kind == NoteKind::Ignored));
        assert_eq!(parsed.notes.len(), 3);
    }

    #[test]
    fn a_value_with_control_characters_or_of_another_encoding_is_not_taken() {
        let parsed = parse_file("realm=a\u{1}b\nuser=a:b\nuser=c:\u{fffd}", "t.conf");
        assert_eq!((parsed.settings.len(), parsed.notes.len()), (1, 2));
    }

    #[test]
    fn h35_a_rule_about_peers_is_never_passed_over() {
        let parsed =
            parse_file("denied-peer-ip=10.0.0.0\u{1}-10.9.9.9\nallowed-peer-ip=\u{fffd}", "t.conf");
        assert_eq!((parsed.settings.len(), parsed.notes.len()), (2, 0));
    }

    #[test]
    fn a_file_of_toml_is_told_apart() {
        let parsed = parse_file("[[listen]]\naddress = '::'", "t.conf");
        let told = parsed.notes.first().unwrap().to_string();
        assert!(told.starts_with("t.conf:1: [...: ") && told.contains("--format toml"), "{told}");
    }
}
