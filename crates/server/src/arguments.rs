//! Whose command line it is: ours, or one that starts coturn.
//!
//! A line belongs to coturn as soon as one argument is an option of coturn that we have not, and no
//! argument is one of our commands. Our own switches may stand beside coturn's flags and are taken
//! out of them; what both have (`-c`, `-h`) means what it means to coturn then.

use std::fmt;

use clap::{CommandFactory as _, Parser as _};
use turn_coturn::{is_coturn_argument, parse_arguments};

use crate::cli::Cli;

/// A command line, told apart. `Debug` leaves coturn's flags out.
#[derive(Clone)]
pub enum Arguments {
    /// Ours.
    Ours(Cli),
    /// coturn's flags, with switches of ours beside them.
    Coturn {
        /// Ours.
        cli: Cli,
        /// coturn's, without the program's name. They may hold secrets.
        flags: Vec<String>,
    },
}

/// Our switches that may stand beside coturn's flags, and whether a value follows.
const BESIDE: [(&str, bool); 2] = [("--self-signed", false), ("--log-level", true)];

/// Our long form of `-c`.
const CONFIG: &str = "--config";

impl Arguments {
    /// Tells a command line apart; `line` begins with the program's name.
    ///
    /// # Errors
    /// It is ours and wrong, or asks for help: clap knows how to print that. An error of coturn's
    /// flags is found when they are read.
    pub fn parse(line: &[String]) -> Result<Self, clap::Error> {
        let (program, words) = match line.split_first() {
            Some((program, words)) => (program.clone(), words),
            None => ("turnserver".to_owned(), line),
        };
        if !is_coturns(words) {
            return Cli::try_parse_from(line).map(Self::Ours);
        }
        let (mut ours, mut flags) = (vec![program.clone()], Vec::new());
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let name = word.split_once('=').map_or(word.as_str(), |(name, _)| name);
            if name == CONFIG {
                // coturn knows the short form only.
                flags.push("-c".to_owned());
                flags.extend(word.split_once('=').map(|(_, file)| file.to_owned()));
                continue;
            }
            match BESIDE.iter().find(|(known, _)| *known == name) {
                Some((_, has_value)) => {
                    ours.push(word.clone());
                    if *has_value && !word.contains('=') {
                        ours.extend(words.next().cloned());
                    }
                }
                None => flags.push(word.clone()),
            }
        }
        if let Ok(parsed) = parse_arguments(&flags) {
            // clap prints and ends for these.
            let asked = [(parsed.help, "--help"), (parsed.version, "--version")];
            if let Some((_, flag)) = asked.into_iter().find(|(is_asked, _)| *is_asked) {
                Cli::try_parse_from([program.as_str(), flag])?;
            }
        }
        Ok(Self::Coturn { cli: Cli::try_parse_from(ours)?, flags })
    }

    /// Our own part.
    pub fn cli(&self) -> &Cli {
        match self {
            Self::Ours(cli) | Self::Coturn { cli, .. } => cli,
        }
    }
}

impl fmt::Debug for Arguments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ours(cli) => f.debug_tuple("Ours").field(cli).finish(),
            Self::Coturn { cli, flags: _ } => {
                f.debug_struct("Coturn").field("cli", cli).finish_non_exhaustive()
            }
        }
    }
}

fn is_coturns(words: &[String]) -> bool {
    let ours = Cli::command();
    let is_command = |word: &String| ours.get_subcommands().any(|known| known.get_name() == word);
    let has_long = |name: &str| {
        name == "help"
            || name == "version"
            || ours.get_arguments().any(|known| known.get_long() == Some(name))
    };
    // Ours stand alone; a letter more makes it a cluster of coturn's.
    let is_short = |letters: &str| letters == "h" || letters == "V" || letters.starts_with('c');
    let is_ours = |word: &str| match word.strip_prefix("--") {
        Some(long) => has_long(long.split_once('=').map_or(long, |(name, _)| name)),
        None => word.strip_prefix('-').is_some_and(is_short),
    };
    // The word behind an option may be its value and look like anything, but a line of ours begins
    // with a command or holds nothing that only coturn has.
    !first_operand(words, has_long).is_some_and(is_command)
        && words.iter().any(|word| is_coturn_argument(word) && !is_ours(word))
}

/// The first word that is none of our options and no value of one, where nothing else stands before
/// it. coturn takes no such word.
fn first_operand(words: &[String], has_long: impl Fn(&str) -> bool) -> Option<&String> {
    const WITH_VALUE: [&str; 4] = ["-c", CONFIG, "--format", "--log-level"];
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if WITH_VALUE.contains(&word.as_str()) {
            words.next();
        } else if let Some(long) = word.strip_prefix("--") {
            let name = long.split_once('=').map_or(long, |(name, _)| name);
            has_long(name).then_some(())?;
        } else if word.starts_with('-') {
            word.starts_with("-c").then_some(())?;
        } else {
            return Some(word);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::path::PathBuf;

    use super::*;

    fn parse(line: &str) -> Result<Arguments, clap::Error> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Arguments::parse(&words)
    }

    fn flags(line: &str) -> Vec<String> {
        match parse(line).unwrap() {
            Arguments::Coturn { flags, .. } => flags,
            Arguments::Ours(cli) => panic!("{cli:?}"),
        }
    }

    #[test]
    fn what_both_have_is_ours_as_long_as_nothing_is_coturns_alone() {
        for line in ["turnserver", "turnserver -c a.conf", "turnserver --config=a --log-level warn"]
        {
            assert!(matches!(parse(line).unwrap(), Arguments::Ours(_)), "{line}");
        }
        assert_eq!(flags("turnserver -c a.conf -v"), ["-c", "a.conf", "-v"]);
    }

    #[test]
    fn coturns_flags_make_it_coturns_long_and_short() {
        assert_eq!(flags("turnserver -n --no-tls"), ["-n", "--no-tls"]);
        assert_eq!(flags("turnserver --user=ann:secret --realm a.b").len(), 3);
        assert_eq!(flags("turnserver -a -o -u ann:secret").len(), 4);
    }

    #[test]
    fn switches_of_ours_are_taken_out() {
        let parsed = parse("turnserver -n --log-level debug --self-signed -a").unwrap();
        let Arguments::Coturn { cli, flags } = parsed else { panic!("{parsed:?}") };
        assert_eq!(flags, ["-n", "-a"]);
        assert!(cli.self_signed);
        assert_eq!(cli.log_level, Some(turn_config::LogLevel::Debug));
    }

    #[test]
    fn the_file_may_be_named_in_our_long_form_too() {
        for line in ["turnserver --config a.conf -v", "turnserver --config=a.conf -v"] {
            assert_eq!(flags(line), ["-c", "a.conf", "-v"], "{line}");
        }
    }

    #[test]
    fn values_of_coturns_flags_are_not_in_the_debug_output() {
        let parsed = parse("turnserver -u ann:hunter2").unwrap();
        assert!(!format!("{parsed:?}").contains("hunter2"));
    }

    #[test]
    fn a_command_of_ours_is_never_coturns() {
        let Arguments::Ours(cli) = parse("turnserver import -c a x.conf").unwrap() else {
            panic!()
        };
        assert_eq!(cli.config, Some(PathBuf::from("a")));
        for line in [
            "turnserver -c a.toml credentials --user bob --realm r",
            "turnserver --config=a.toml --log-level warn probe --user ann",
            "turnserver users list --realm r",
        ] {
            assert!(matches!(parse(line).unwrap(), Arguments::Ours(_)), "{line}");
        }
        // The value of an option is no command.
        assert_eq!(flags("turnserver --realm check -a"), ["--realm", "check", "-a"]);
        assert_eq!(flags("turnserver -c check -a"), ["-c", "check", "-a"]);
        let error = parse("turnserver check --lt-cred-mech").unwrap_err().to_string();
        assert!(error.contains("--lt-cred-mech"), "{error}");
    }

    #[test]
    fn help_and_version_are_answered_on_either_line() {
        for line in [
            "turnserver --help",
            "turnserver -v --help",
            "turnserver -V",
            "turnserver --version -a",
        ] {
            let kind = parse(line).unwrap_err().kind();
            assert!(
                kind == clap::error::ErrorKind::DisplayHelp
                    || kind == clap::error::ErrorKind::DisplayVersion,
                "{line}: {kind}"
            );
        }
    }

    #[test]
    fn a_mistake_that_is_nobodys_is_ours() {
        let error = parse("turnserver --secret hunter2").unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }
}
