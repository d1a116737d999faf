//! Whatever stands in a file or on a command line: nothing panics, and what is taken reads back.

mod common;

use std::path::Path;

use proptest::prelude::*;
use turn_coturn::{ImportOptions, import, options, parse_arguments, parse_file};

/// Values that options meet in files, and some that they should not.
fn value() -> impl Strategy<Value = String> {
    let usual = [
        "",
        "0",
        "1",
        "off",
        "3478",
        "65535",
        "600",
        "99999999999999999999",
        "10.20.0.5",
        "::",
        "0.0.0.0",
        "203.0.113.7/10.20.0.5",
        "10.0.0.0-10.255.255.255",
        "fc00::/7",
        "ann:north",
        "a:0x12",
        "/etc/turnserver/fullchain.pem",
        "/etc/turnserver/privkey.pem",
        "turn.example.org",
        "stdout",
        "ipv6",
        "keep",
        "\"quoted\" # remark",
        "value # remark",
        "10.20.0.5:5000",
        "é:ü",
    ];
    prop_oneof![
        8 => prop::sample::select(usual.map(str::to_owned).to_vec()),
        1 => "\\PC{0,40}",
        1 => any::<String>(),
    ]
}

fn name() -> impl Strategy<Value = String> {
    let names: Vec<String> = options().map(|option| option.name.to_owned()).collect();
    prop_oneof![20 => prop::sample::select(names), 1 => "[a-z-]{0,12}"]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_file_is_taken_or_refused_and_reads_back(
        lines in prop::collection::vec((name(), prop::sample::select(vec!["=", " ", " = "]), value()), 0..12),
        keep_peer_policy: bool,
    ) {
        let text: String = lines.iter().map(|(name, between, value)| format!("{name}{between}{value}\n")).collect();
        let parsed = parse_file(&text, "t.conf");
        match import(&parsed, &common::surroundings(), ImportOptions { keep_peer_policy }) {
            Err(refused) => prop_assert!(!refused.0.is_empty()),
            Ok(import) => {
                let toml = import.config.to_toml();
                let read = turn_config::from_str(&toml, Path::new("/etc/turnserver.toml"));
                prop_assert_eq!(read.map_err(|errors| format!("{text}\n{errors}")), Ok(import.config));
            }
        }
    }

    #[test]
    fn any_text_is_read(text: String) {
        parse_file(&text, "t.conf");
    }

    #[test]
    fn any_command_line_is_read(words in prop::collection::vec(
        prop_oneof![value(), name().prop_map(|name| format!("--{name}")), "-[a-zA-Z]{1,3}"], 0..8
    )) {
        let _ = parse_arguments(&words);
    }
}
