//! The command line.
//!
//! Invariant: no flag takes a secret or key, because everybody on a host can read the command lines
//! of its processes.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;

/// A call to try: a signalling server and one page, beside `turnserver`.
#[derive(Debug, Clone, Parser)]
#[command(
    name = "turn-call",
    version,
    after_help = "Without --credentials and --ice-servers it runs `turnserver credentials` for each \
                  browser that joins. Whoever reaches the page is given credentials for the relay: \
                  it is for trials, not for the Internet."
)]
pub(crate) struct Arguments {
    /// Where the page is served
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "0.0.0.0:3443")]
    pub(crate) listen: SocketAddr,

    /// Plain HTTP: browsers give cameras to pages on localhost only then
    #[arg(long)]
    pub(crate) http: bool,

    /// Certificate chain in PEM instead of one made at start
    #[arg(long, value_name = "FILE", requires = "key", conflicts_with = "http")]
    pub(crate) certificate: Option<PathBuf>,

    /// Private key in PEM that belongs to --certificate
    #[arg(long, value_name = "FILE", requires = "certificate")]
    pub(crate) key: Option<PathBuf>,

    /// The turnserver program [default: the one beside this program, else that of PATH]
    #[arg(long, value_name = "FILE")]
    pub(crate) turnserver: Option<PathBuf>,

    /// Configuration file of the running turnserver, if it has one
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// URL of a `[credentials]` listener, as `https://turn.example.org:8443`, instead of the program
    #[arg(long, value_name = "URL", requires = "key_file", conflicts_with = "ice_servers")]
    pub(crate) credentials: Option<String>,

    /// File with the server key for --credentials
    #[arg(long, value_name = "FILE", requires = "credentials")]
    pub(crate) key_file: Option<PathBuf>,

    /// File with the JSON that turnserver prints at its start, {"iceServers": [...]}, for everybody
    #[arg(long, value_name = "FILE")]
    pub(crate) ice_servers: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_listener_of_credentials_needs_its_key_in_a_file() {
        let parse = |line: &str| Arguments::try_parse_from(line.split_whitespace());
        assert!(parse("turn-call").is_ok());
        assert!(parse("turn-call --credentials https://a.example").is_err());
        assert!(parse("turn-call --credentials https://a.example --key-file key").is_ok());
        assert!(parse("turn-call --certificate a.pem").is_err());
    }
}
