//! A configuration of ours from coturn's options.
//!
//! Each file here turns the options of one subject into the section of the same subject; all of
//! them write into one [`Draft`](draft::Draft). Nothing stops at the first thing that is wrong:
//! every refusal and every note is reported.

mod auth;
#[cfg(test)]
mod bench;
mod connection;
mod draft;
mod limits;
mod listeners;
mod log;
mod metrics;
mod peers;
mod process;
mod relay;
mod stores;
mod tls;

use std::fmt;

use turn_config::{Config, PeerRule};

use crate::note::{Note, Place};
use crate::parsed::Parsed;
use crate::surroundings::Surroundings;

pub use connection::store_url;
use draft::Draft;

/// How to import.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ImportOptions {
    /// Writes coturn's peer policy out: opens the private ranges, and the own addresses, that
    /// coturn has open by default and we have not.
    pub keep_peer_policy: bool,
}

/// What coturn's options come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// The configuration; [`turn_config::from_str`] takes its TOML back.
    pub config: Config,
    /// What became of every option, in the order of the file.
    pub notes: Vec<Note>,
    /// `peers.allow` entries that [`ImportOptions::keep_peer_policy`] adds: peers that coturn would
    /// reach with these options and we do not.
    pub closed_peers: Vec<PeerRule>,
}

impl Import {
    /// The notes that an operator should be warned of.
    pub fn warnings(&self) -> impl Iterator<Item = &Note> {
        self.notes.iter().filter(|note| note.kind.is_warning())
    }
}

/// Why the server must not start with an option. `Display` is one line without a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The option's long name.
    pub option: String,
    /// Where it stands.
    pub place: Place,
    /// Why, and what to write instead.
    pub message: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { option, place, message } = self;
        write!(f, "error: {place}: {option}: {message}")
    }
}

/// Options that the server must not start with; at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused(pub Vec<Refusal>);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(Refusal::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for Refused {}

/// Turns coturn's options into a configuration.
///
/// # Errors
/// Options that decide who gets in or what can be reached and cannot be honoured, and values that
/// cannot be read; all of them.
pub fn import(
    parsed: &Parsed,
    surroundings: &Surroundings<'_>,
    options: ImportOptions,
) -> Result<Import, Refused> {
    let mut draft = Draft::new(parsed, surroundings);
    stores::import(&mut draft);
    auth::import(&mut draft);
    tls::import(&mut draft);
    listeners::import(&mut draft);
    relay::import(&mut draft);
    limits::import(&mut draft);
    metrics::import(&mut draft);
    stores::import_statsdb(&mut draft);
    log::import(&mut draft);
    process::import(&mut draft);
    // Last, because the ports of all listeners stay closed to peers.
    let closed_peers = peers::import(&mut draft, options);
    let (config, notes) = draft.finish()?;
    Ok(Import { config, notes, closed_peers })
}
