//! coturn's command line, as `getopt_long` takes it: `--long=value`, `--long value`, `-p 3478`,
//! `-p3478`, `-vf`.
//!
//! An argument that coturn has not is an error here, because whoever types it is there to read it.
//! Values are never repeated: they may be secrets.

use std::path::PathBuf;

use turn_config::Secret;

use crate::file::shown;
use crate::note::{Note, NoteKind, Place};
use crate::options::{OptionSpec, REMOVED, Value, option, option_of_short};
use crate::parsed::{Parsed, Setting};
use crate::suggest::nearest;

/// A command line that cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArgumentError {
    /// No option of coturn.
    #[error("{argument}: coturn has no such option{}", meant(*nearest))]
    Unknown {
        /// The option as typed, without its value.
        argument: String,
        /// What it was probably meant to be.
        nearest: Option<&'static str>,
    },
    /// The value is missing.
    #[error("{argument} needs a value: write {argument} VALUE")]
    NoValue {
        /// The option as typed.
        argument: String,
    },
    /// A word that belongs to no option.
    #[error(
        "argument {position} belongs to no option (behind an option whose value may be left out, \
         write --option=value)"
    )]
    Stray {
        /// Its place, from 1.
        position: usize,
    },
}

fn meant(nearest: Option<&'static str>) -> String {
    nearest.map_or_else(String::new, |name| format!("; did you mean --{name}?"))
}

/// Whether `argument` is an option of coturn, so that the line it stands on is for
/// [`parse_arguments`].
pub fn is_coturn_argument(argument: &str) -> bool {
    if let Some(long) = argument.strip_prefix("--") {
        let name = long.split_once('=').map_or(long, |(name, _)| name);
        return option(name).is_some() || REMOVED.iter().any(|removed| removed.name == name);
    }
    let mut short = argument.strip_prefix('-').unwrap_or("").chars();
    short.next().is_some_and(|letter| "cnh".contains(letter) || option_of_short(letter).is_some())
}

/// Reads coturn's command line, without the program's name.
///
/// # Errors
/// An unknown option, a missing value, a word too many.
pub fn parse_arguments(arguments: &[String]) -> Result<Parsed, ArgumentError> {
    let mut parsed = Parsed::default();
    let mut rest = Words { words: arguments, position: 0 };
    while let Some(word) = rest.next() {
        if let Some(long) = word.strip_prefix("--") {
            read_long(&mut parsed, &mut rest, long)?;
        } else if let Some(letters) = word.strip_prefix('-').filter(|letters| !letters.is_empty()) {
            read_short(&mut parsed, &mut rest, letters)?;
        } else {
            return Err(ArgumentError::Stray { position: rest.position });
        }
    }
    Ok(parsed)
}

/// The words of a command line.
struct Words<'w> {
    words: &'w [String],
    position: usize,
}

impl<'w> Words<'w> {
    fn next(&mut self) -> Option<&'w str> {
        let word = self.words.get(self.position)?;
        self.position += 1;
        Some(word)
    }

    /// The next word, if it is none that begins an option.
    fn next_value(&mut self) -> Option<&'w str> {
        let word = self.words.get(self.position).filter(|word| !word.starts_with('-'))?;
        self.position += 1;
        Some(word)
    }
}

fn read_long(parsed: &mut Parsed, rest: &mut Words<'_>, long: &str) -> Result<(), ArgumentError> {
    let (name, written) = match long.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (long, None),
    };
    let argument = || format!("--{}", shown(name));
    if name == "help" {
        parsed.help = true;
        return Ok(());
    }
    if let Some(removed) = REMOVED.iter().find(|removed| removed.name == name) {
        let (option, place) = (name.to_owned(), Place::CommandLine);
        let message = removed.reason.to_owned();
        parsed.notes.push(Note { option, place, kind: NoteKind::Ignored, message });
        return Ok(());
    }
    let Some(option) = option(name) else {
        return Err(ArgumentError::Unknown { argument: argument(), nearest: nearest(name) });
    };
    let value = match (option.value, written) {
        (_, Some(value)) => value,
        // A connection string may begin with a dash as well as anything else.
        (Value::Required, None) => {
            rest.next().ok_or_else(|| ArgumentError::NoValue { argument: argument() })?
        }
        (Value::Optional, None) => rest.next_value().unwrap_or(""),
        (Value::Flag, None) => "",
    };
    add(parsed, option, value);
    Ok(())
}

fn read_short(
    parsed: &mut Parsed,
    rest: &mut Words<'_>,
    letters: &str,
) -> Result<(), ArgumentError> {
    let mut letters = letters.chars();
    while let Some(letter) = letters.next() {
        let argument = || format!("-{letter}");
        let mut value = || {
            let joined = letters.as_str();
            letters = "".chars();
            if joined.is_empty() { rest.next() } else { Some(joined) }
                .ok_or_else(|| ArgumentError::NoValue { argument: argument() })
        };
        match letter {
            'n' => parsed.without_file = true,
            'h' => parsed.help = true,
            'c' => parsed.config_file = Some(PathBuf::from(value()?)),
            _ => {
                let Some(option) = option_of_short(letter) else {
                    return Err(ArgumentError::Unknown { argument: argument(), nearest: None });
                };
                let value = match option.value {
                    Value::Required | Value::Optional => value()?,
                    Value::Flag => "",
                };
                add(parsed, option, value);
            }
        }
    }
    Ok(())
}

fn add(parsed: &mut Parsed, option: &'static OptionSpec, value: &str) {
    if option.name == "version" {
        parsed.version = true;
    }
    let (value, place) = (Secret::new(value), Place::CommandLine);
    parsed.settings.push(Setting { option, value, uncut: None, place });
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::path::Path;

    use super::*;

    fn parse(line: &str) -> Result<Parsed, ArgumentError> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        parse_arguments(&words)
    }

    fn pairs(line: &str) -> Vec<String> {
        let pair =
            |setting: &Setting| format!("{}={}", setting.option.name, setting.value.reveal());
        parse(line).unwrap().settings.iter().map(pair).collect()
    }

    #[test]
    fn long_options_take_their_value_behind_an_equals_sign_or_a_space() {
        assert_eq!(
            pairs("--listening-port=3478 --realm a.b --fingerprint"),
            ["listening-port=3478", "realm=a.b", "fingerprint="]
        );
        assert_eq!(
            pairs("--no-tls=0 --stale-nonce --stale-nonce 10 --stale-nonce=20"),
            ["no-tls=0", "stale-nonce=", "stale-nonce=10", "stale-nonce=20"]
        );
        assert_eq!(pairs("--pidfile="), ["pidfile="]);
    }

    #[test]
    fn short_options_cluster_and_take_joined_values() {
        assert_eq!(
            pairs("-vfa -p3479 -L 10.0.0.1 -u ann:b"),
            [
                "verbose=",
                "fingerprint=",
                "lt-cred-mech=",
                "listening-port=3479",
                "listening-ip=10.0.0.1",
                "user=ann:b"
            ]
        );
        assert_eq!(pairs("-ap 3480"), ["lt-cred-mech=", "listening-port=3480"]);
    }

    #[test]
    fn file_help_and_version_are_no_options_of_the_file() {
        let parsed = parse("-c /etc/t.conf -n -h --version").unwrap();
        assert_eq!(parsed.config_file.as_deref(), Some(Path::new("/etc/t.conf")));
        assert!(parsed.without_file && parsed.help && parsed.version);
    }

    #[test]
    fn mistakes_are_named_without_their_values() {
        let message = |line| parse(line).unwrap_err().to_string();
        assert_eq!(
            message("--static-auth-secrets=hunter2"),
            "--static-auth-secrets: coturn has no such option; did you mean --static-auth-secret?"
        );
        assert_eq!(message("-y"), "-y: coturn has no such option");
        assert_eq!(message("--realm"), "--realm needs a value: write --realm VALUE");
        assert_eq!(message("-p"), "-p needs a value: write -p VALUE");
        let stray = message("--fingerprint hunter2");
        assert!(stray.starts_with("argument 2 ") && !stray.contains("hunter2"), "{stray}");
    }

    #[test]
    fn removed_names_are_noted() {
        let parsed = parse("--prod --no-tlsv1=1").unwrap();
        assert_eq!((parsed.settings.len(), parsed.notes.len()), (0, 2));
    }

    #[test]
    fn a_line_is_known_as_coturns_by_its_options() {
        for argument in ["--lt-cred-mech", "--realm=a", "-a", "-p3478", "-n", "--prod"] {
            assert!(is_coturn_argument(argument), "{argument}");
        }
        for argument in ["--self-signed", "check", "--socket", "-", "", "-y"] {
            assert!(!is_coturn_argument(argument), "{argument}");
        }
    }

    #[test]
    fn values_are_not_in_the_debug_output() {
        let text = format!("{:?}", parse("-u ann:hunter2 --cli-password hunter2").unwrap());
        assert!(!text.contains("hunter2"), "{text}");
    }
}
