//! A page and its fenced blocks.

use std::fs;
use std::path::Path;

/// Every page of docs/guides.
pub const NAMES: [&str; 9] = [
    "README.md",
    "bigbluebutton.md",
    "browser.md",
    "dns.md",
    "home-assistant.md",
    "jitsi.md",
    "livekit.md",
    "nextcloud-talk.md",
    "synapse.md",
];

/// A page of docs/guides.
#[derive(Debug, Clone)]
pub struct Guide {
    name: String,
    text: String,
}

impl Guide {
    /// Reads one by its file name.
    ///
    /// # Panics
    /// When it is not there.
    pub fn open(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/guides").join(name);
        let text = fs::read_to_string(&path);
        let text = text.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self { name: name.to_owned(), text }
    }

    /// All of it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its blocks of a language, as they stand there.
    pub fn blocks(&self, language: &str) -> Vec<String> {
        let mut blocks = Vec::new();
        let mut lines = self.text.lines();
        while let Some(line) = lines.next() {
            let Some(found) = line.strip_prefix("```") else { continue };
            let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            if found == language {
                blocks.push(block.join("\n") + "\n");
            }
        }
        blocks
    }

    /// The first block of a language in which some text stands.
    ///
    /// # Panics
    /// When there is none.
    pub fn block(&self, language: &str, with: &str) -> String {
        let found = self.blocks(language).into_iter().find(|block| block.contains(with));
        found.unwrap_or_else(|| panic!("{}: no {language} block with {with:?}", self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_told_apart_by_language() {
        let text = "a\n```toml\nx = 1\n```\nb\n```sh\ntrue\n```\n```toml\ny = 2\nz = 3\n```\n";
        let guide = Guide { name: "a".to_owned(), text: text.to_owned() };
        assert_eq!(guide.blocks("toml"), ["x = 1\n", "y = 2\nz = 3\n"]);
        assert_eq!(guide.block("toml", "z ="), "y = 2\nz = 3\n");
        assert_eq!(guide.blocks("js"), [""; 0]);
    }
}
