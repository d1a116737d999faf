//! The command line.
//!
//! Invariant: no flag takes a password, key or secret, because everybody on a
//! host can read the command lines of its processes.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use turn_config::{Config, LoadError, LogLevel, Switches, Warning};

use crate::plan::Origin;

/// STUN and TURN server for WebRTC.
#[derive(Debug, Parser)]
#[command(
    name = "turnserver",
    version,
    after_help = "Without --config it starts with defaults and credentials of its own, and prints \
                  them ready to paste.\nPasswords and secrets stand in the configuration file \
                  only: everybody on a host can read command lines."
)]
pub struct Cli {
    /// Configuration file (TOML); every key stands in turnserver.toml.example
    #[arg(short, long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,

    /// Lab switch: let clients reach 127.0.0.0/8 and ::1 of this host, for trials on one machine
    #[arg(long, global = true)]
    pub allow_loopback_peers: bool,

    /// Trial switch: TLS and DTLS with a certificate made at start, which no client can verify;
    /// without --config on ports 3478 and 5349
    #[arg(long, global = true)]
    pub self_signed: bool,

    /// How much to log: error, warn, info, debug or trace; wins over the file
    #[arg(long, value_name = "LEVEL", global = true)]
    pub log_level: Option<LogLevel>,

    /// What to do instead of serving.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What to do instead of serving.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Validate the configuration and print what would be in force, secrets left out
    Check,
}

/// A configuration with the command line on top.
#[derive(Debug)]
pub struct Configured {
    /// What is in force.
    pub config: Config,
    /// Whether there was a file.
    pub origin: Origin,
    /// What is odd about the file itself.
    pub warnings: Vec<Warning>,
}

impl Cli {
    /// The configuration of the file, or the defaults, with the command line on top.
    ///
    /// # Errors
    /// [`LoadError`], ready to be printed.
    pub fn configuration(&self) -> Result<Configured, LoadError> {
        let switches =
            Switches { self_signed: self.self_signed, loopback_peers: self.allow_loopback_peers };
        let mut configured = match &self.config {
            None => Configured {
                config: Config::without_file(switches),
                origin: Origin::Defaults,
                warnings: Vec::new(),
            },
            Some(path) => {
                let loaded = turn_config::load(path, switches)?;
                let (config, warnings) = (loaded.config, loaded.warnings);
                Configured { config, origin: Origin::File, warnings }
            }
        };
        if let Some(level) = self.log_level {
            configured.config.log.level = level;
        }
        Ok(configured)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use clap::CommandFactory as _;

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn no_arguments_serve_with_defaults() {
        let cli = parse("turnserver").unwrap();
        assert_eq!((cli.config, cli.allow_loopback_peers), (None, false));
        assert_eq!((cli.log_level, cli.command), (None, None));
    }

    #[test]
    fn check_takes_the_file_before_or_behind_it() {
        for line in ["turnserver check -c a.toml", "turnserver --config a.toml check"] {
            let cli = parse(line).unwrap();
            assert_eq!(cli.command, Some(Command::Check));
            assert_eq!(cli.config, Some(PathBuf::from("a.toml")));
        }
    }

    #[test]
    fn the_log_level_is_one_of_the_files() {
        let cli = parse("turnserver --allow-loopback-peers --log-level debug").unwrap();
        assert_eq!((cli.allow_loopback_peers, cli.log_level), (true, Some(LogLevel::Debug)));
        let error = parse("turnserver --log-level loud").unwrap_err().to_string();
        assert!(error.contains("write error, warn, info, debug or trace"), "{error}");
    }

    #[test]
    fn a_trial_of_tls_needs_no_file() {
        let configured = parse("turnserver --self-signed").unwrap().configuration().unwrap();
        assert_eq!(configured.origin, Origin::Defaults);
        assert!(configured.config.tls.self_signed);
        let ports: Vec<u16> =
            configured.config.listen.iter().map(|listen| listen.address.port()).collect();
        assert_eq!(ports, [3478, 3478, 5349, 5349]);
        let plain = parse("turnserver").unwrap().configuration().unwrap();
        assert_eq!(plain.config, Config::default());
    }

    #[test]
    fn the_command_line_wins_over_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("t.toml");
        std::fs::write(&path, "[log]\nlevel = 'warn'\n").unwrap();
        let line = format!("turnserver -c {} --log-level trace --self-signed", path.display());
        let configured = parse(&line).unwrap().configuration().unwrap();
        assert_eq!(configured.origin, Origin::File);
        assert_eq!(configured.config.log.level, LogLevel::Trace);
        assert!(configured.config.tls.self_signed && !configured.config.lab.loopback_peers);
    }

    #[test]
    fn secrets_are_refused_on_the_command_line_and_not_repeated() {
        for line in [
            "turnserver --static-auth-secret=hunter2",
            "turnserver --user=alice:hunter2",
            "turnserver --secret hunter2",
            "turnserver -u alice:hunter2",
        ] {
            let error = parse(line).unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
