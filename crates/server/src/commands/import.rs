//! `turnserver import`: a file of coturn's as TOML, secrets included.

use std::fmt::Write as _;
use std::path::Path;

use turn_coturn::ImportOptions;

use crate::source::{self, Unreadable};
use crate::surroundings::Surroundings;

/// The equivalent of a file of coturn's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// TOML that says the same.
    pub toml: String,
    /// What became of each option, one a line.
    pub remarks: String,
}

/// Reads `file`.
///
/// # Errors
/// It cannot be read, or one of its options must not be done without.
pub fn import(file: &Path, keep_peer_policy: bool) -> Result<Imported, Unreadable> {
    let text = source::read(file)?;
    let name = file.display();
    let parsed = turn_coturn::parse_file(&text, &name.to_string());
    let surroundings = Surroundings::find().unwrap_or_default();
    let options = ImportOptions { keep_peer_policy };
    let import = source::import(&parsed, Some(file), options, &surroundings)?;
    let mut remarks = String::new();
    for note in &import.notes {
        let severity = if note.kind.is_warning() { "warning" } else { "note" };
        // Writing to a String cannot fail.
        let _ = writeln!(remarks, "{severity}: {note}");
    }
    for warning in import.config.warnings() {
        let _ = writeln!(remarks, "warning: {warning}");
    }
    let policy = import.config.to_toml();
    Ok(Imported { toml: format!("# from {name}, by turnserver import\n{policy}"), remarks })
}
