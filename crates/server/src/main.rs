//! `turnserver`: a STUN and TURN server.

#![forbid(unsafe_code)]

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser as _;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};
use turn_config::Config;
use turnserver::cli::{Cli, Command};
use turnserver::logging::{self, LogObserver};
use turnserver::plan::Origin;
use turnserver::server::Server;
use turnserver::state::{self, Kept, TrialCredentials};

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
    let (config, origin, file_warnings) = configuration(cli)?;
    match cli.command {
        Some(Command::Check) => check(&config, &file_warnings),
        None => serve(&config, origin, &file_warnings),
    }
}

/// The configuration of the file, or the defaults, with the command line on top.
fn configuration(cli: &Cli) -> Result<(Config, Origin, Vec<String>), String> {
    let (mut config, origin, warnings) = match &cli.config {
        None => (Config::default(), Origin::Defaults, Vec::new()),
        Some(path) => {
            let loaded = turn_config::load(path).map_err(|error| error.to_string())?;
            let warnings = loaded.warnings.iter().map(ToString::to_string).collect();
            (loaded.config, Origin::File, warnings)
        }
    };
    config.lab.loopback_peers |= cli.allow_loopback_peers;
    if let Some(level) = cli.log_level {
        config.log.level = level;
    }
    Ok((config, origin, warnings))
}

/// `turnserver check`: what would be in force, on standard output.
fn check(config: &Config, file_warnings: &[String]) -> Result<(), String> {
    let surroundings = turnserver::surroundings::Surroundings::find().unwrap_or_default();
    let relay = turnserver::plan::relay_addresses(config, &surroundings);
    turnserver::plan::settings(config, &surroundings, &relay, None)
        .map_err(|error| format!("error: {error}"))?;
    print(&config.to_redacted_toml())?;
    let mut stderr = std::io::stderr().lock();
    let warnings = config.warnings();
    for warning in file_warnings.iter().cloned().chain(warnings.iter().map(ToString::to_string)) {
        writeln!(stderr, "warning: {warning}").map_err(|error| error.to_string())?;
    }
    Ok(())
}

fn serve(config: &Config, origin: Origin, file_warnings: &[String]) -> Result<(), String> {
    let _guard = logging::start(&config.log);
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
    let observer = Arc::new(LogObserver::default());
    let server = Server::start(config, origin, trial.as_ref(), observer)
        .map_err(|error| format!("error: {error}"))?;
    print(&server.banner().render())?;
    let signal = runtime
        .block_on(wait_for_signal())
        .map_err(|error| format!("error: no signals: {error}"))?;
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

async fn wait_for_signal() -> std::io::Result<&'static str> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    })
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
