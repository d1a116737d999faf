//! The command line.
//!
//! Invariant: no flag takes a password, key or secret, because everybody on a
//! host can read the command lines of its processes.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use turn_config::LogLevel;

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
