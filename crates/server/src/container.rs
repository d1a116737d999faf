//! What the official coturn image understands beside coturn's options, put into our words: its
//! entry point finds the public address out for `$(detect-external-ip)` in an argument and for
//! `DETECT_EXTERNAL_IP=yes` in the environment. No shell evaluates anything here.
//!
//! | said | means |
//! |---|---|
//! | `--external-ip='$(detect-external-ip)'`, also with `--ipv4` or `--ipv6` inside | `relay.external = ["auto"]` |
//! | `DETECT_EXTERNAL_IP=yes`, `DETECT_EXTERNAL_IPV6=yes` | the same |
//! | the same and `REAL_EXTERNAL_IP=203.0.113.7` | `relay.external = ["203.0.113.7"]` |
//! | `--relay-ip='$(detect-external-ip)'`, `--listening-ip=…`, `DETECT_RELAY_IP=yes` | the default: relay sockets are on the addresses of the default route, listeners everywhere |
//! | `turnserver` as the first argument | nothing: the image starts no other program |
//!
//! `TURN__RELAY__EXTERNAL` in the environment goes before all of it.

use std::ffi::OsString;

/// A command line and an environment in our words.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Container {
    /// The command line, the program's name first.
    pub line: Vec<String>,
    /// The environment.
    pub variables: Vec<(OsString, OsString)>,
}

/// coturn's options whose value the image may have to find out, and whether it is the public address.
const ADDRESSES: [(&str, &str, bool); 3] =
    [("--external-ip", "-X", true), ("--relay-ip", "-E", false), ("--listening-ip", "-L", false)];

/// What an argument is replaced for.
const DETECT: &str = "$(detect-external-ip";

/// The variable of ours that says the same.
const EXTERNAL: &str = "TURN__RELAY__EXTERNAL";

impl Container {
    /// Translates the line and the variables that a process was started with. What says nothing of
    /// the image's stays as it is.
    pub fn translate(
        line: Vec<String>,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Self {
        let mut this = Self { line: Vec::new(), variables: variables.into_iter().collect() };
        let mut is_asked = ["DETECT_EXTERNAL_IP", "DETECT_EXTERNAL_IPV6"]
            .iter()
            .any(|name| this.variable(name).is_some_and(|value| is_yes(&value)));
        let mut words = line.into_iter();
        this.line.extend(words.next());
        let mut words = words.peekable();
        words.next_if(|word| word == "turnserver");
        while let Some(word) = words.next() {
            let next = words.peek().map(String::as_str);
            let Some(found) = Detected::read(&word, next) else {
                this.line.push(word);
                continue;
            };
            is_asked |= found.is_public;
            if found.is_two_words {
                words.next();
            }
        }
        if is_asked && this.variable(EXTERNAL).is_none() {
            let address = this.variable("REAL_EXTERNAL_IP").filter(|address| !address.is_empty());
            // Whatever it holds, it is the text of a string.
            let address = address.unwrap_or_else(|| "auto".to_owned());
            let address = address.replace(['"', '\\', '\n', '\r'], "");
            this.variables.push((EXTERNAL.into(), format!("[\"{}\"]", address.trim()).into()));
        }
        this
    }

    fn variable(&self, name: &str) -> Option<String> {
        let mut variables = self.variables.iter();
        let (_, value) = variables.find(|(found, _)| found == name)?;
        Some(value.to_string_lossy().into_owned())
    }
}

/// An argument whose value is to be found out.
struct Detected {
    is_public: bool,
    /// The value is the word behind it.
    is_two_words: bool,
}

impl Detected {
    fn read(word: &str, next: Option<&str>) -> Option<Self> {
        let (option, value) = ADDRESSES.iter().find_map(|option| {
            let (long, short, _) = option;
            let behind = word.strip_prefix(long).or_else(|| word.strip_prefix(short))?;
            Some((option, behind))
        })?;
        let (_, _, is_public) = *option;
        let is_two_words = value.is_empty();
        let value = if is_two_words { next? } else { value.trim_start_matches('=') };
        value.starts_with(DETECT).then_some(Self { is_public, is_two_words })
    }
}

/// Whether a variable of the image's is set: it takes any value, people write `yes` or `no`.
fn is_yes(value: &str) -> bool {
    !["", "0", "no", "false", "off"].contains(&value.trim().to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_official_images_own_command_asks_for_the_public_address() {
        let said = "turnserver --log-file=stdout --external-ip=$(detect-external-ip)";
        let translated = translate(&said.split(' ').collect::<Vec<_>>(), &[]);
        assert_eq!(translated.line, ["turnserver", "--log-file=stdout"]);
        assert_eq!(external(&translated), Some("[\"auto\"]"));
    }

    #[test]
    fn every_spelling_of_the_option_is_understood() {
        for words in [
            ["--external-ip=$(detect-external-ip --ipv6)", "-n"].as_slice(),
            &["--external-ip", "$(detect-external-ip)", "-n"],
            &["-X", "$(detect-external-ip)", "-n"],
            &["-X$(detect-external-ip)/10.0.0.5", "-n"],
            &["turnserver", "-X=$(detect-external-ip)", "-n"],
        ] {
            let translated = translate(&[&["turnserver"], words].concat(), &[]);
            assert_eq!(translated.line, ["turnserver", "-n"], "{words:?}");
            assert_eq!(external(&translated), Some("[\"auto\"]"), "{words:?}");
        }
    }

    #[test]
    fn addresses_of_sockets_are_found_without_being_asked_for() {
        let words = ["turnserver", "-n", "--relay-ip=$(detect-external-ip)", "-L", "10.0.0.5"];
        let translated = translate(&words, &[("DETECT_RELAY_IP", "yes")]);
        assert_eq!(translated.line, ["turnserver", "-n", "-L", "10.0.0.5"]);
        assert_eq!(external(&translated), None);
    }

    #[test]
    fn variables_ask_as_well() {
        for (value, external) in [("yes", Some("[\"auto\"]")), ("no", None), ("", None)] {
            let translated = translate(&["turnserver"], &[("DETECT_EXTERNAL_IP", value)]);
            assert_eq!(self::external(&translated), external, "{value}");
        }
        let said = [("DETECT_EXTERNAL_IPV6", "1"), ("REAL_EXTERNAL_IP", "203.0.113.7\n")];
        assert_eq!(external(&translate(&["turnserver"], &said)), Some("[\"203.0.113.7\"]"));
    }

    #[test]
    fn what_is_said_in_our_words_goes_first() {
        let said = [("DETECT_EXTERNAL_IP", "yes"), (EXTERNAL, "[\"metadata\"]")];
        let translated = translate(&["turnserver"], &said);
        assert_eq!(external(&translated), Some("[\"metadata\"]"));
        assert_eq!(translated.variables.len(), 2);
    }

    #[test]
    fn anything_else_is_left_alone() {
        let words = ["turnserver", "--external-ip=203.0.113.7", "--realm=$(hostname)", "-X"];
        let translated = translate(&words, &[("HOME", "/")]);
        assert_eq!(translated.line, words);
        assert_eq!(translated.variables.len(), 1);
        assert_eq!(translate(&[], &[]), Container::default());
    }

    #[test]
    fn an_address_cannot_become_another_key() {
        let said = [("DETECT_EXTERNAL_IP", "yes"), ("REAL_EXTERNAL_IP", "a\"]\n[auth]\nx=\"\\")];
        assert_eq!(external(&translate(&["turnserver"], &said)), Some("[\"a][auth]x=\"]"));
    }

    fn translate(line: &[&str], variables: &[(&str, &str)]) -> Container {
        let line = line.iter().map(|word| (*word).to_owned()).collect();
        Container::translate(line, variables.iter().map(|(a, b)| (a.into(), b.into())))
    }

    fn external(container: &Container) -> Option<&str> {
        let mut variables = container.variables.iter();
        variables.find(|(name, _)| name == EXTERNAL)?.1.to_str()
    }

    impl std::fmt::Debug for Container {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "{:?} {:?}", self.line, self.variables)
        }
    }
}
