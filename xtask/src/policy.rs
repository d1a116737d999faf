//! The dependency policy: `deny.toml`, judged by `cargo deny`.

use anyhow::Result;

use crate::command::{program, run};
use crate::tools;

/// Pinned, so that a new release cannot turn an unchanged tree red. Its build from nothing takes
/// a bit over a minute on two cores (2026-11-21).
const VERSION: &str = "0.20.2";

/// Judges bans, licences and sources; the advisory database is out of reach of the package registry.
///
/// # Errors
/// When a crate breaks the policy.
pub(crate) fn check() -> Result<()> {
    let deny = tools::cargo_tool("cargo-deny", VERSION)?;
    let mut command = program(deny);
    command.args(["--log-level", "error", "--all-features", "check"]);
    run(command.args(["--hide-inclusion-graph", "bans", "licenses", "sources"]))
}
