//! `turnserver check`: what would be in force, secrets left out, and what is odd about it.

use std::fmt::Write as _;
use std::time::SystemTime;

use crate::certificates;
use crate::plan::relay_addresses;
use crate::realms::Registry;
use crate::settings::{Given, settings};
use crate::source::{Source, Unreadable};
use crate::surroundings::Surroundings;

/// A configuration that would serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// The effective policy, as TOML whatever the file is written in.
    pub policy: String,
    /// One finding a line.
    pub findings: String,
}

/// Tests what `source` reads.
///
/// # Errors
/// Everything that keeps it from serving.
pub fn check(source: &Source) -> Result<Checked, Unreadable> {
    let surroundings = Surroundings::find().unwrap_or_default();
    let configured = source.load(&surroundings)?;
    let config = &configured.config;
    let relay = relay_addresses(config, &surroundings);
    let given = Given { surroundings: &surroundings, relay: &relay, trial: None };
    let settled = Registry::default()
        .extended(config)
        .map_err(Into::into)
        .and_then(|registry| settings(config, &registry, given));
    settled.map_err(|error| Unreadable(format!("error: {error}")))?;
    let of_certificates = certificates::check(config, SystemTime::now())
        .map_err(|error| Unreadable(format!("error: {error}")))?;
    let mut findings = String::new();
    let warnings = config.warnings();
    let warnings = warnings.iter().map(ToString::to_string);
    let of_certificates = of_certificates.iter().map(ToString::to_string);
    for warning in configured.warnings.iter().cloned().chain(warnings).chain(of_certificates) {
        // Writing to a String cannot fail.
        let _ = writeln!(findings, "warning: {warning}");
    }
    for remark in &configured.remarks {
        let _ = writeln!(findings, "note: {remark}");
    }
    let mut policy = String::new();
    if let Some(path) = configured.path.filter(|_| configured.is_coturn) {
        let _ = writeln!(policy, "# {} as turnserver understands it", path.display());
    }
    policy.push_str(&config.to_redacted_toml());
    Ok(Checked { policy, findings })
}
