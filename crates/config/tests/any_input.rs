//! No text makes the reader panic, and every refusal can be printed.

use std::path::Path;

use proptest::prelude::*;
use turn_config::{Config, Environment, Switches, from_environment, from_str};

const EXAMPLE: &str = Config::example();

/// Reads `text` and prints what comes of it.
fn read(text: &str) {
    match from_str(text, Path::new("t.toml")) {
        Ok(config) => assert!(!config.to_redacted_toml().is_empty()),
        Err(errors) => {
            assert!(!errors.as_slice().is_empty());
            assert!(errors.to_string().contains("t.toml:"));
        }
    }
}

/// The example with its samples uncommented, so that every value is reached.
fn full_example() -> String {
    EXAMPLE
        .lines()
        .filter(|line| !line.starts_with("# ") && *line != "#")
        .map(|line| line.trim_start_matches('#'))
        .fold(String::new(), |text, line| text + line + "\n")
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        read(&text);
    }

    #[test]
    fn a_damaged_example_is_read_or_refused(
        damages in prop::collection::vec((any::<prop::sample::Index>(), "\\PC|[\n\"'\\[\\]{}=#,0-9:/-]"), 1..4)
    ) {
        let mut characters: Vec<String> = full_example().chars().map(String::from).collect();
        for (place, damage) in damages {
            *place.get_mut(&mut characters) = damage;
        }
        read(&characters.concat());
    }

    #[test]
    fn any_environment_is_read_or_refused(
        variables in prop::collection::vec(
            ("(__)?([A-Za-z.]{0,3}|LISTEN|AUTH|USERS|SECRETS|REALMS|LIMITS)(__[A-Z_]{0,9}){0,3}(_FILE)?",
             "[\\[{\"']?(\\PC|[\n=:,\\\\\"'{}\\[\\]]){0,12}"),
            0..4,
        )
    ) {
        let variables =
            variables.into_iter().map(|(key, value)| (format!("TURN__{key}"), value)).collect();
        let environment = Environment { variables, ..Environment::default() };
        if let Err(error) = from_environment(Switches::default(), &environment) {
            prop_assert!(error.to_string().contains("TURN__"), "{error}");
        }
    }

    #[test]
    fn any_value_of_any_key_is_read_or_refused(key in any::<prop::sample::Index>(), value in "\\PC{0,24}") {
        let example = full_example();
        let target = key.index(example.lines().count());
        let text = example
            .lines()
            .enumerate()
            .map(|(number, line)| match line.split_once(" = ") {
                Some((key, _)) if number == target => format!("{key} = {value:?}\n"),
                _ => format!("{line}\n"),
            })
            .collect::<String>();
        read(&text);
    }
}
