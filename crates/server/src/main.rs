//! `turnserver`: a STUN and TURN server.

#![forbid(unsafe_code)]

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use clap::Parser as _;
use tokio::time::{Instant, sleep_until};
use tracing::{error, info, warn};
use turn_config::Config;
use turnserver::certificate_watch::CertificateWatch;
use turnserver::certificates;
use turnserver::cli::{Cli, Command, Configured};
use turnserver::logging::{self, LogObserver};
use turnserver::plan::Origin;
use turnserver::server::Server;
use turnserver::signals::{Signals, Wish};
use turnserver::state::{self, Kept, TrialCredentials};

/// How soon it is seen that a shard has ended.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            let mut stderr = std::io::stderr().lock();
            // Nobody reads it: nothing more can be done.
            let _ = writeln!(stderr, "{message}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<(), String> {
    let Configured { config, origin, warnings } =
        cli.configuration().map_err(|error| error.to_string())?;
    let file_warnings: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    match cli.command {
        Some(Command::Check) => check(&config, &file_warnings),
        None => serve(&config, origin, &file_warnings),
    }
}

/// `turnserver check`: what would be in force, on standard output.
fn check(config: &Config, file_warnings: &[String]) -> Result<(), String> {
    let surroundings = turnserver::surroundings::Surroundings::find().unwrap_or_default();
    let relay = turnserver::plan::relay_addresses(config, &surroundings);
    turnserver::plan::settings(config, &surroundings, &relay, None)
        .map_err(|error| format!("error: {error}"))?;
    let certificates = certificates::check(config, SystemTime::now())
        .map_err(|error| format!("error: {error}"))?;
    print(&config.to_redacted_toml())?;
    let mut stderr = std::io::stderr().lock();
    let warnings = config.warnings();
    let warnings = warnings.iter().map(ToString::to_string);
    let certificates = certificates.iter().map(ToString::to_string);
    for warning in file_warnings.iter().cloned().chain(warnings).chain(certificates) {
        writeln!(stderr, "warning: {warning}").map_err(|error| error.to_string())?;
    }
    Ok(())
}

fn serve(config: &Config, origin: Origin, file_warnings: &[String]) -> Result<(), String> {
    let log = logging::start(&config.log);
    file_warnings.iter().for_each(|warning| warn!("{warning}"));
    // Without a file, users of our own make it a working server.
    let trial = match origin {
        Origin::Defaults => Some(trial_credentials()?),
        Origin::File => None,
    };
    announced(config, trial.as_ref()).warnings().iter().for_each(|warning| warn!("{warning}"));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("error: cannot start: {error}"))?;
    // Before anything is served, so that a SIGHUP that comes early ends nothing.
    let signals = runtime
        .block_on(async { Signals::heed() })
        .map_err(|error| format!("error: no signals: {error}"))?;
    let observer = Arc::new(LogObserver::default());
    let server = Server::start(config, origin, trial.as_ref(), observer)
        .map_err(|error| format!("error: {error}"))?;
    print(&server.banner().render())?;
    log.serve();
    let signal = runtime.block_on(look_after(&server, signals));
    info!(signal, "stopping");
    server.stop().map_err(|error| format!("error: a shard failed: {error}"))
}

/// The configuration as it will serve: with credentials of our own it does relay.
fn announced(config: &Config, trial: Option<&TrialCredentials>) -> Config {
    let mut announced = config.clone();
    announced.auth.secrets.extend(trial.map(|trial| trial.secret.clone()));
    announced
}

fn trial_credentials() -> Result<TrialCredentials, String> {
    let directories = state::directories(|name| std::env::var_os(name));
    let mut failed = None;
    let mut random = |bytes: &mut [u8]| {
        if let Err(error) = getrandom::fill(bytes) {
            failed = Some(error);
        }
    };
    let trial = state::load_or_create(&directories, &mut random)
        .map_err(|error| format!("error: {error}"))?;
    if let Some(error) = failed {
        return Err(format!("error: no randomness: {error}"));
    }
    if let Some(warning) = &trial.warning {
        warn!("{warning}");
    }
    if let Kept::ForThisRunOnly { reason } = &trial.kept {
        warn!("the user and the secret are for this run only: {reason}");
    }
    Ok(trial)
}

/// Does what signals ask for and looks after the certificates and the shards, until a signal says
/// stop or a shard has failed.
async fn look_after(server: &Server, mut signals: Signals) -> &'static str {
    let certificates = server.certificates().map(|loaded| Arc::clone(loaded.certificates()));
    let mut watch = CertificateWatch::new(certificates, Instant::now());
    let mut checks = tokio::time::interval(CHECK_INTERVAL);
    loop {
        let is_replaced = tokio::select! {
            _ = checks.tick() => {
                if server.fleet().is_running() {
                    continue;
                }
                // Its clients would find nobody; a supervisor starts all of it anew.
                error!("a shard has ended by itself");
                return "none";
            }
            wish = signals.next() => match wish {
                Wish::Stop(signal) => return signal,
                Wish::Reload(signal) => watch.reload(signal, SystemTime::now()),
            },
            () = sleep_until(watch.next_look()) => watch.look(Instant::now(), SystemTime::now()),
        };
        if is_replaced && let Err(error) = server.certificates_replaced() {
            error!(%error, "a shard has not taken the new certificate over");
        }
    }
}

fn print(text: &str) -> Result<(), String> {
    let mut stdout = std::io::stdout().lock();
    // A closed pipe behind `turnserver | head` is no reason to stop serving.
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(format!("error: {error}"))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}
