//! Whose configuration a file is.

use std::path::Path;

use crate::file::active_lines;
use crate::options::{REMOVED, option};

/// Who reads a configuration file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// `turn-config`: TOML.
    Toml,
    /// This crate: coturn's `turnserver.conf`.
    Coturn,
}

/// The format of a file called `name` with this `text`.
///
/// `*.toml` is TOML and `*.conf` is coturn's. Another name is coturn's only if no line is the header
/// of a table and at least one key is an option of coturn.
pub fn looks_like_coturn(name: &Path, text: &str) -> Format {
    let extension = name.extension().and_then(|extension| extension.to_str());
    match extension.map(str::to_ascii_lowercase).as_deref() {
        Some("toml") => return Format::Toml,
        Some("conf") => return Format::Coturn,
        Some(_) | None => {}
    }
    let has_header = active_lines(text).any(|(_, line)| line.starts_with('['));
    let has_option = active_lines(text).any(|(_, line)| {
        let key = line.split([' ', '\t', '=']).next().unwrap_or(line);
        option(key).is_some() || REMOVED.iter().any(|removed| removed.name == key)
    });
    if has_option && !has_header { Format::Coturn } else { Format::Toml }
}

/// Whether some line of `text` is neither empty nor a comment; a file without one says nothing.
pub fn has_active_line(text: &str) -> bool {
    active_lines(text).next().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, text: &str) -> Format {
        looks_like_coturn(Path::new(name), text)
    }

    #[test]
    fn the_extension_decides_whatever_is_inside() {
        assert_eq!(of("/etc/turnserver.toml", "listening-port=3478"), Format::Toml);
        assert_eq!(of("/etc/turnserver.conf", "[auth]"), Format::Coturn);
        assert_eq!(of("a.CONF", ""), Format::Coturn);
    }

    #[test]
    fn another_name_is_coturns_only_without_tables_and_with_a_known_key() {
        assert_eq!(of("turnserver", "# x\nlistening-port=3478\n"), Format::Coturn);
        assert_eq!(of("turnserver", "  prod\n"), Format::Coturn);
        assert_eq!(of("turnserver", "realm = 'x'\n[auth]\n"), Format::Toml);
        assert_eq!(of("turnserver", "shards = 2\n"), Format::Toml);
        assert_eq!(of("turnserver.conf.bak", "fingerprint\n"), Format::Coturn);
        assert_eq!(of("turnserver", ""), Format::Toml);
    }

    #[test]
    fn comments_and_empty_lines_are_not_active() {
        assert!(!has_active_line("# a\n\n   \t\r\n  # b"));
        assert!(has_active_line("# a\nsyslog"));
    }
}
