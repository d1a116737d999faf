//! `turnserver-load`: puts a load on a TURN server and prints what it cost as one JSON object.

#![forbid(unsafe_code)]

use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Parser;
use turn_client::Credentials;
use turn_client::load::{Ends, LoadError, Plan, ServerProcess, run};
use turn_credentials::UnixSeconds;

#[derive(Parser)]
#[command(
    about = "Puts a load on a TURN server and prints what it cost as one JSON object",
    after_long_help = EXPLANATION
)]
struct Arguments {
    /// The server.
    #[arg(long)]
    server: SocketAddr,
    /// Processes of the server on this host, whose CPU time and memory are reported.
    #[arg(long, value_delimiter = ',')]
    pid: Vec<u32>,
    /// User name of a lab's server (everybody here can read command lines); with --secret a userid.
    #[arg(long)]
    user: Option<String>,
    /// Its password.
    #[arg(long, requires = "user", conflicts_with = "secret")]
    password: Option<String>,
    /// Shared secret for time-limited credentials, which are made for a day.
    #[arg(long)]
    secret: Option<String>,
    /// Where clients are bound.
    #[arg(long, default_value = "127.0.0.1")]
    clients: IpAddr,
    /// Where peers are bound: an address that the server is not bound to.
    #[arg(long = "peers-at", default_value = "127.0.0.2")]
    peers_at: IpAddr,
    /// Where junk comes from: an address without a permission.
    #[arg(long, default_value = "127.0.0.3")]
    stranger: IpAddr,
    #[command(flatten)]
    plan: Plan,
}

const EXPLANATION: &str = "\
Patterns: relay (packets through allocations: --direction up, down, both, pairs), binding, cycle \
(set-up and tear-down) and idle (allocations that do nothing; look at rss_kib_per_allocation).

Without --rate the loop is closed: --window packets are on their way and each that arrives lets \
another one go, so the server is saturated and nothing piles up. With --rate packets leave evenly \
spread, whatever comes back.

The generator polls on one thread and never sleeps: give it a core of its own (taskset -c 1) and \
the server another one. What it says:
  received, lost     counted where packets arrive; each carries its flow and its time
  per_second         received within the measurement
  latency_us         p50, p90, p99, p999, max
  typical_p99_us     median of the p99 of each tenth of a second: without what else ran on the
                     server's core for some milliseconds now and then
  server             with --pid: CPU time of all its threads over the measurement (ran; waited is
                     the time without a core), cpu_us_per_packet by what was received in it, RSS
                     before, with all allocations, and behind
  generator          idle is the share of time with nothing to do; kept_schedule whether a rate was
                     kept
  limited_by         rate, server, window; generator: the run says nothing about the server

The server must let clients reach the peers: --allow-loopback-peers, for coturn as for turnserver.

  taskset -c 1 turnserver-load --server 127.0.0.1:3478 --pid PID --user USER --password PASSWORD
  ... --direction down --rate 30000 --sizes 160,1200     1,000 calls at 30 packets a second each
  ... --allocations 1 --sizes 1200 --train 16 --window 64      bulk
  ... --direction pairs --window 64                            both ends on the relay
  ... --transport tls --allocations 300 --rate 30000           TLS clients
  ... --pattern cycle --allocations 64 --window 64 --clients 127.1.0.1 --client-addresses 50000
  ... --pattern idle --allocations 5000";

fn main() -> ExitCode {
    match measure() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "turnserver-load: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure() -> Result<(), LoadError> {
    let arguments = Arguments::parse();
    let ends = Ends {
        server: arguments.server,
        clients: arguments.clients,
        peers: arguments.peers_at,
        stranger: arguments.stranger,
    };
    let credentials = credentials(&arguments);
    let server = ServerProcess::of(arguments.pid);
    let report = run(&ends, &credentials, &arguments.plan, &server)?;
    let json = serde_json::to_string(&report).map_err(io::Error::from)?;
    writeln!(io::stdout(), "{json}")?;
    Ok(())
}

fn credentials(arguments: &Arguments) -> Credentials {
    let user = arguments.user.as_deref();
    match (&arguments.secret, user) {
        (Some(secret), userid) => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let expiry = now.saturating_add(Duration::from_secs(86_400)).as_secs();
            Credentials::time_limited(secret.as_bytes(), userid, UnixSeconds(expiry))
        }
        (None, Some(user)) => {
            Credentials::password(user, arguments.password.clone().unwrap_or_default())
        }
        (None, None) => Credentials::anonymous(),
    }
}
