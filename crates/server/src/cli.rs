//! The command line: our own switches and commands. coturn's flags are
//! [`arguments`](crate::arguments).
//!
//! Invariant: no flag of ours takes a password, key or secret, because everybody on a host can
//! read the command lines of its processes.

mod issued;
mod managed;
mod stored;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use turn_config::LogLevel;

pub use issued::{CredentialArgs, IceFormat};
pub use managed::{AccountArgs, AccountsCommand};
pub use stored::{SecretsCommand, StoreArgs, UserArgs, UsersCommand};

/// STUN and TURN server for WebRTC.
#[derive(Debug, Clone, Parser)]
#[command(
    name = "turnserver",
    version,
    after_help = "Without --config it takes /etc/turnserver.toml, /etc/turnserver.conf or \
                  /etc/coturn/turnserver.conf, the first that is there. Without any of them it \
                  starts with defaults and credentials of its own, and prints them ready to \
                  paste.\ncoturn's flags (docs/coturn.md) start it too, without any file.\nPasswords \
                  and secrets stand in the configuration file only: everybody on a host can read \
                  command lines."
)]
pub struct Cli {
    /// Configuration file: ours (*.toml; every key stands in turnserver.toml.example) or coturn's (*.conf)
    #[arg(short, long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,

    /// What the configuration file is written in, whatever its name; stands before a command
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub format: Option<Format>,

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

/// What a configuration file is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Ours
    Toml,
    /// coturn's turnserver.conf
    Coturn,
}

/// What to do instead of serving.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Validate the configuration and print what would be in force, secrets left out
    Check,
    /// Print what the configuration file can say
    Config {
        /// What to print.
        #[command(subcommand)]
        what: ConfigCommand,
    },
    /// Read a file of coturn's and print the equivalent TOML, secrets included; remarks go to standard error
    Import {
        /// coturn's turnserver.conf
        file: PathBuf,
        /// Deny what coturn denies by default and nothing more: private networks become peers
        #[arg(long)]
        keep_peer_policy: bool,
    },
    /// Tell the running server to read its configuration again; says what changed
    Reload(Reached),
    /// Tell the running server to take no new allocations and to end when the live ones have ended
    Drain {
        /// Where the server is.
        #[command(flatten)]
        reached: Reached,
        /// Come back when the server has ended
        #[arg(long)]
        wait: bool,
    },
    /// Show how the running server does
    Status {
        /// Where the server is.
        #[command(flatten)]
        reached: Reached,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Show the live allocations of the running server
    Allocations {
        /// Where the server is.
        #[command(flatten)]
        reached: Reached,
        /// As JSON
        #[arg(long)]
        json: bool,
        /// End this one instead
        #[arg(long, value_name = "ID")]
        kill: Option<String>,
    },
    /// Write the users of a store
    Users {
        /// What to do.
        #[command(subcommand)]
        what: UsersCommand,
    },
    /// Write the shared secrets of a store, from which applications make time-limited credentials
    Secrets {
        /// What to do.
        #[command(subcommand)]
        what: SecretsCommand,
    },
    /// Print a time-limited credential with the URLs of this server (iceServers)
    Credentials {
        /// Whose it is.
        #[command(flatten)]
        of: CredentialArgs,
        /// Where the server is, if it has to be asked.
        #[command(flatten)]
        reached: Reached,
    },
    /// Managed credentials of the running server
    Accounts {
        /// What to do.
        #[command(subcommand)]
        what: AccountsCommand,
    },
    /// Show what was used, day by day or in sums
    Usage {
        /// Where the server is.
        #[command(flatten)]
        reached: Reached,
        /// First day, as 2026-11-01 [default: 30 days ago]
        #[arg(long, value_name = "DAY")]
        from: Option<String>,
        /// Last day, included [default: today]
        #[arg(long, value_name = "DAY")]
        to: Option<String>,
        /// A row for each of these: day, realm, tenant, user, label, credential
        #[arg(long, value_name = "NAMES", default_value = "day")]
        by: String,
        /// Each allocation instead, a JSON object a line, oldest first
        #[arg(long, conflicts_with_all = ["by", "json"])]
        log: bool,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// See whether a server answers, for health checks: exit status 0 or 1, within 5 s
    Probe {
        /// The server, such as turn:turn.example.org:3478?transport=udp; the certificate of turns:
        /// is not judged [default: the first listener of the configuration]
        #[arg(long, value_name = "URL")]
        url: Option<String>,
        /// Make an allocation as this user, and give it back; without it STUN Binding is asked
        #[arg(long, value_name = "NAME")]
        user: Option<String>,
        /// File with the user's password on its first line [default: standard input]
        #[arg(long, value_name = "FILE", requires = "user")]
        password_file: Option<PathBuf>,
    },
    /// Print DNS records by which clients find this server: SRV, NAPTR, A and AAAA
    Dns {
        /// Name of the server, such as turn.example.org [default: credentials.host]
        #[arg(long, value_name = "NAME")]
        host: Option<String>,
    },
    /// Print the manual page
    Man,
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// What `turnserver config` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Subcommand)]
pub enum ConfigCommand {
    /// Every key with its default
    Example,
}

/// The running server.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Reached {
    /// Admin socket of the running server (admin.socket) [default: that of the configuration]
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    #![expect(
        clippy::unwrap_used,
        clippy::wildcard_enum_match_arm,
        reason = "a test fails by panicking"
    )]

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
        assert_eq!((cli.log_level, cli.command, cli.format), (None, None, None));
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
    fn commands_for_a_running_server_take_its_socket() {
        let socket = Some(PathBuf::from("a.sock"));
        for line in ["reload", "drain --wait", "status --json", "allocations --kill 1-2"] {
            let cli = parse(&format!("turnserver {line} --socket a.sock")).unwrap();
            let reached = match cli.command.unwrap() {
                Command::Reload(reached)
                | Command::Drain { reached, .. }
                | Command::Status { reached, .. }
                | Command::Allocations { reached, .. } => reached,
                other => panic!("{other:?}"),
            };
            assert_eq!(reached.socket, socket);
        }
    }

    #[test]
    fn import_takes_a_file_of_coturns() {
        let cli = parse("turnserver import --keep-peer-policy a.conf").unwrap();
        let file = PathBuf::from("a.conf");
        assert_eq!(cli.command, Some(Command::Import { file, keep_peer_policy: true }));
    }

    #[test]
    fn stores_with_a_password_are_named_by_a_file() {
        let add = |store: &str| parse(&format!("turnserver users add ann {store}"));
        assert!(add("--realm r --store sqlite:///a.db").is_ok());
        assert!(add("--store-file a.url --password-file a.pw").is_ok());
        assert!(add("--store-file a.url --store sqlite:///a.db").is_err());
        assert!(parse("turnserver secrets delete --all --realm r").is_ok());
    }

    #[test]
    fn credentials_have_a_lifetime_and_a_format() {
        let cli = parse("turnserver credentials --user ann --ttl 10m --format rest").unwrap();
        let Some(Command::Credentials { of, .. }) = cli.command else { panic!("{cli:?}") };
        assert_eq!((of.user.as_deref(), of.ttl.as_secs()), (Some("ann"), 600));
        assert_eq!(of.format.shape(), turn_admin::Shape::Rest);
        assert!(parse("turnserver credentials --ttl 1w").is_err());
        assert!(parse("turnserver accounts disable ann --realm r").is_ok());
        assert!(parse("turnserver probe --url turn:h --user ann --password-file a").is_ok());
    }

    #[test]
    fn secrets_are_refused_on_the_command_line_and_not_repeated() {
        for line in ["turnserver --secret hunter2", "turnserver --password=hunter2"] {
            let error = parse(line).unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
