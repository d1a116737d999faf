//! What is being imported: the options, what has become of them so far, and the configuration.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use turn_config::Config;

use super::{Refusal, Refused};
use crate::note::{Note, NoteKind, Place};
use crate::options::{Value, Verdict};
use crate::parsed::{Parsed, Setting};
use crate::surroundings::Surroundings;

/// The import while it is being made.
pub(super) struct Draft<'a> {
    pub(super) config: Config,
    pub(super) surroundings: &'a Surroundings<'a>,
    parsed: &'a Parsed,
    notes: Vec<Note>,
    refusals: Vec<Refusal>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(parsed: &'a Parsed, surroundings: &'a Surroundings<'a>) -> Self {
        let config = Config::default();
        Self { config, surroundings, parsed, notes: Vec::new(), refusals: Vec::new() }
    }

    /// Every line of an option that says something.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &'a Setting> + use<'a> {
        debug_assert!(crate::options::option(name).is_some(), "{name}");
        let name = name.to_owned();
        self.parsed.settings.iter().filter(move |it| it.option.name == name && !says_nothing(it))
    }

    /// Every line of these options that says something, in the order of the lines.
    pub(super) fn all_of(
        &self,
        names: &'static [&str],
    ) -> impl Iterator<Item = &'a Setting> + use<'a> {
        let settings = self.parsed.settings.iter();
        settings.filter(|it| names.contains(&it.option.name) && !says_nothing(it))
    }

    /// The line of an option that counts: the last.
    pub(super) fn last(&self, name: &str) -> Option<&'a Setting> {
        self.all(name).last()
    }

    /// Whether a flag is on; nothing where it is not written.
    pub(super) fn flag(&mut self, name: &str) -> Option<bool> {
        let setting = self.last(name)?;
        let read = truth(setting.value.reveal());
        if read.is_none() {
            self.refuse(setting, "it is on or off: write `=on` or `=off`");
        }
        read
    }

    /// Whether a flag is written and on.
    pub(super) fn is_on(&mut self, name: &str) -> bool {
        self.flag(name) == Some(true)
    }

    /// The number of an option, read as coturn reads it: the digits in front count.
    pub(super) fn number(&mut self, name: &str) -> Option<(&'a Setting, u64)> {
        let setting = self.last(name)?;
        let text = setting.value.reveal();
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, rest) = text.split_at(digits);
        let Ok(number) = number.parse::<u64>() else {
            self.refuse(setting, "not a number; write digits only");
            return None;
        };
        if !rest.is_empty() {
            let message = format!("read as {number}, as coturn does; write digits only");
            self.note(setting, NoteKind::Changed, message);
        }
        Some((setting, number))
    }

    /// A port, of which 0 is none.
    pub(super) fn port(&mut self, name: &str) -> Option<u16> {
        let (setting, number) = self.number(name)?;
        match u16::try_from(number) {
            Ok(port) => (port != 0).then_some(port),
            Err(_) => {
                self.refuse(setting, "not a port; write 1 to 65535");
                None
            }
        }
    }

    /// One address, or those of a host name.
    pub(super) fn addresses_of(&self, text: &str) -> Vec<IpAddr> {
        let bare = text.trim().trim_start_matches('[').trim_end_matches(']');
        let found = match bare.parse::<IpAddr>() {
            Ok(address) => vec![address],
            Err(_) if is_name(bare) => self.surroundings.host.addresses_of(bare),
            Err(_) => Vec::new(),
        };
        let mut addresses: Vec<IpAddr> = Vec::new();
        for address in found.iter().map(IpAddr::to_canonical) {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        addresses
    }

    /// Where coturn would look for a file: a relative path starts from several directories, the
    /// first of which is that of the configuration here.
    pub(super) fn places_of(&self, path: &str) -> Vec<PathBuf> {
        let own = &self.surroundings.directory;
        let others = ["/etc", "/etc/turnserver", "/etc/coturn", "/usr/local/etc"];
        if Path::new(path).is_absolute() {
            return vec![PathBuf::from(path)];
        }
        let directories = [own.as_path()].into_iter().chain(others.map(Path::new));
        directories.map(|directory| directory.join(path)).collect()
    }

    pub(super) fn note(&mut self, at: &Setting, kind: NoteKind, message: impl Into<String>) {
        let (option, place) = (at.option.name.to_owned(), at.place.clone());
        self.notes.push(Note { option, place, kind, message: message.into() });
    }

    /// A note about an option that is not written.
    pub(super) fn note_absent(&mut self, option: &str, message: impl Into<String>) {
        let (option, place) = (option.to_owned(), Place::Absent);
        let message = message.into();
        self.notes.push(Note { option, place, kind: NoteKind::Changed, message });
    }

    pub(super) fn refuse(&mut self, at: &Setting, message: impl Into<String>) {
        let (option, place) = (at.option.name.to_owned(), at.place.clone());
        self.refusals.push(Refusal { option, place, message: message.into() });
    }

    pub(super) fn refuse_absent(&mut self, option: &str, message: impl Into<String>) {
        let (option, place) = (option.to_owned(), Place::Absent);
        self.refusals.push(Refusal { option, place, message: message.into() });
    }

    /// The configuration, and the notes in the order of the options.
    pub(super) fn finish(mut self) -> Result<(Config, Vec<Note>), Refused> {
        for setting in &self.parsed.settings {
            self.judge(setting);
        }
        if !self.refusals.is_empty() {
            self.refusals.dedup();
            return Err(Refused(self.refusals));
        }
        let mut notes = self.parsed.notes.clone();
        notes.append(&mut self.notes);
        let rank = |note: &Note| match &note.place {
            Place::Line { line, .. } => (0, *line),
            Place::CommandLine => (1, 0),
            Place::Absent => (2, 0),
        };
        notes.sort_by_key(rank);
        Ok((self.config, notes))
    }

    /// What the table alone says of an option.
    fn judge(&mut self, setting: &Setting) {
        let option = setting.option;
        let value = setting.value.reveal();
        let is_off = option.value == Value::Flag && truth(value) == Some(false);
        if option.value == Value::Flag && truth(value).is_none() {
            self.refuse(setting, "it is on or off: write `=on` or `=off`");
        }
        if setting.place == Place::CommandLine && option.holds_secret() {
            let message = "everybody on this host can read command lines; move it to the file";
            self.note(setting, NoteKind::Changed, message);
        }
        let later = |other: &&Setting| other.option.name == option.name && !says_nothing(other);
        let is_last = self.parsed.settings.iter().rfind(later).is_none_or(|it| it == setting);
        if says_nothing(setting) {
            self.note(setting, NoteKind::Ignored, "it has no value");
        } else if !option.is_repeatable() && !is_last {
            self.note(
                setting,
                NoteKind::Ignored,
                "it stands again further on, and the last counts",
            );
        } else {
            match option.verdict {
                Verdict::Applied(Some(key)) => self.note_applied(setting, key),
                Verdict::Applied(None) if is_off => {
                    self.note(setting, NoteKind::Ignored, fragment(option.what));
                }
                Verdict::Applied(None) => self.note_applied(setting, "always so"),
                Verdict::Ignored if is_off || value == option.default => {
                    self.note_applied(setting, "always so");
                }
                Verdict::Ignored => {
                    self.note(setting, NoteKind::Ignored, fragment(option.what));
                }
                Verdict::Refused if is_off => self.note_applied(setting, "always so"),
                Verdict::Refused => {
                    let message = format!("{}; remove the option", fragment(option.what));
                    self.refuse(setting, message);
                }
            }
        }
    }

    /// Notes that an option has its effect, unless something else was said of it.
    fn note_applied(&mut self, setting: &Setting, key: &str) {
        let about = |note: &Note| note.option == setting.option.name && note.place == setting.place;
        if setting.place == Place::CommandLine || !self.notes.iter().any(about) {
            self.note(setting, NoteKind::Applied, key);
        }
    }
}

/// A sentence of the table as messages have it: no capital, no full stop.
fn fragment(sentence: &str) -> String {
    let sentence = sentence.trim_end_matches('.');
    let mut rest = sentence.chars();
    match (rest.next(), rest.clone().next()) {
        (Some(first), Some(second)) if !second.is_uppercase() => {
            first.to_lowercase().chain(rest).collect()
        }
        _ => sentence.to_owned(),
    }
}

/// Whether the value that an option needs is empty, as templates leave it.
fn says_nothing(setting: &Setting) -> bool {
    setting.option.value == Value::Required && setting.value.reveal().is_empty()
}

/// coturn's booleans; nothing where the word is none.
fn truth(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "" | "on" => Some(true),
        "off" => Some(false),
        text => match text.as_bytes().first()? {
            b'1'..=b'9' | b'y' | b't' => Some(true),
            b'0' | b'n' | b'f' => Some(false),
            _ => None,
        },
    }
}

/// Whether `text` can be a host name. No name has letters only of an address.
fn is_name(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    text.chars().all(plain) && text.contains(|c: char| c.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn booleans_are_those_of_coturn() {
        for on in ["", "1", "on", "yes", "true", "t", "Y", "7", "ON"] {
            assert_eq!(truth(on), Some(true), "{on}");
        }
        for off in ["0", "off", "no", "n", "false", "F", "OFF"] {
            assert_eq!(truth(off), Some(false), "{off}");
        }
        assert_eq!((truth("maybe"), truth("o")), (None, None));
    }

    #[test]
    fn a_sentence_becomes_a_fragment_and_keeps_its_abbreviations() {
        assert_eq!(fragment("Keys are long."), "keys are long");
        assert_eq!(fragment("TLS begins with 1.2."), "TLS begins with 1.2");
        assert_eq!(fragment("OAuth is none."), "OAuth is none");
    }

    #[test]
    fn a_name_is_no_address() {
        assert!(is_name("turn.example.org") && is_name("localhost"));
        assert!(
            !is_name("10.0.0.1") && !is_name("fe80::1") && !is_name("10.0.0.0/8") && !is_name("")
        );
    }
}
