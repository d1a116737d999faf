//! coturn 4.17 for its mux mode, where the environment says where it is.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::Context;
use turn_benches::Kind;

/// The variable that has its path.
const VARIABLE: &str = "COTURN_MUX";

/// The program, if the variable is set.
///
/// # Errors
/// It cannot be started, or it is a version without such a mode.
pub(crate) fn find() -> anyhow::Result<Option<PathBuf>> {
    let Some(path) = env::var_os(VARIABLE).map(PathBuf::from) else { return Ok(None) };
    check(&path).with_context(|| format!("{VARIABLE}={}", path.display()))?;
    Ok(Some(path))
}

fn check(program: &Path) -> anyhow::Result<()> {
    let output = Command::new(program).arg("-h").stdin(Stdio::null()).output();
    let output = output.context("cannot be started")?;
    check_help(&String::from_utf8_lossy(&[output.stdout, output.stderr].concat()))
}

fn check_help(help: &str) -> anyhow::Result<()> {
    let missing: Vec<_> =
        Kind::MUX_OPTIONS.into_iter().filter(|option| !help.contains(option)).collect();
    anyhow::ensure!(
        missing.is_empty(),
        "this version has no {}; the mode came with coturn 4.17",
        missing.join(", no ")
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]

    use super::*;

    #[test]
    fn version_that_lists_both_options_is_taken() {
        check_help(" --multiplex-peer\n --udp-gso\n --no-cli").unwrap();
    }

    #[test]
    fn version_without_them_is_refused_by_their_names() {
        let said = |help| check_help(help).unwrap_err().to_string();
        assert!(said(" --udp-gso\n").contains("no --multiplex-peer;"));
        assert!(said(" --no-cli\n").contains("no --multiplex-peer, no --udp-gso;"));
    }

    #[test]
    fn program_that_is_no_coturn_or_not_there_is_refused() {
        let said = |path| check(Path::new(path)).unwrap_err().to_string();
        assert!(said("/bin/echo").contains("no --multiplex-peer"));
        assert_eq!(said("/nonexistent/turnserver"), "cannot be started");
    }
}
