//! What README and guides say to write is taken.

use std::path::Path;

use turn_config::from_str;

const GUIDES: [(&str, &str); 2] = [
    ("README.md", include_str!("../../../README.md")),
    ("docs/443-only.md", include_str!("../../../docs/443-only.md")),
];

#[test]
fn every_configuration_in_a_guide_reads() {
    for (name, guide) in GUIDES {
        let blocks: Vec<String> = guide.split("```toml\n").skip(1).map(block).collect();
        assert!(!blocks.is_empty(), "{name} has none");
        for text in blocks {
            let read = from_str(&text, Path::new(name));
            assert!(
                read.is_ok(),
                "{text}\n{}",
                read.err().map_or_else(String::new, |e| e.to_string())
            );
        }
    }
}

/// What stands before the closing fence, without the indentation of a list.
fn block(rest: &str) -> String {
    rest.lines()
        .take_while(|line| line.trim() != "```")
        .fold(String::new(), |text, line| text + line.trim_start() + "\n")
}
