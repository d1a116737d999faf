//! `turnserver` without a command: from the command line to the last packet.

use std::sync::Arc;

use tokio::sync::oneshot;
use tracing::{debug, info, warn};
use turn_config::{Config, LogTarget};

use crate::doors::Doors;
use crate::logging::{self, Logger, SinkError};
use crate::plan::Origin;
use crate::process::is_root_of_a_host;
use crate::running::Running;
use crate::signals::Signals;
use crate::source::{Configured, Source};
use crate::state::{self, Kept, TrialCredentials};
use crate::surroundings::Surroundings;

/// Serves what `source` reads until a signal or the end of a drain says stop; `print` shows the
/// operator where it is reached.
///
/// # Errors
/// Why it cannot serve, with the fix; or that a shard has ended by itself.
pub fn serve(source: Source, print: impl FnOnce(&str) -> Result<(), String>) -> Result<(), String> {
    let surroundings = Surroundings::find().unwrap_or_default();
    let mut configured = source.load(&surroundings).map_err(|error| error.to_string())?;
    let logger = start_logging(&mut configured).map_err(|error| format!("error: {error}"))?;
    // Without a file, users of our own make it a working server.
    let trial = match configured.origin {
        Origin::Defaults => Some(trial_credentials()?),
        Origin::File => None,
    };
    say(&configured, trial.as_ref());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("error: cannot start: {error}"))?;
    let served = runtime.block_on(async {
        // Before anything is served, so that a signal that comes early ends nothing.
        let mut signals = Signals::heed().map_err(|error| format!("error: no signals: {error}"))?;
        let started = start(configured, source, trial, logger);
        let (running, doors) = tokio::select! {
            started = started => started?,
            signal = signals.stop() => {
                info!(signal, "stopping, before it has served");
                return Ok(None);
            }
        };
        print(&running.server().banner().render())?;
        let ended = running.look_after(doors, signals).await;
        Ok::<_, String>(Some((running, ended)))
    })?;
    let Some((running, ended)) = served else { return Ok(()) };
    let stopped = running.stop().map_err(|error| format!("error: a shard failed: {error}"));
    // Whoever still waits at a door has had time to hear of it.
    drop(runtime);
    ended.and(stopped)
}

/// Starts in a thread of its own: an address that is missing is waited for, and whoever wants to
/// stop meanwhile does not wait.
async fn start(
    configured: Configured,
    source: Source,
    trial: Option<TrialCredentials>,
    logger: Logger,
) -> Result<(Arc<Running>, Doors), String> {
    let (tell, started) = oneshot::channel();
    let starting = move || {
        // Nobody listens any more where the process is about to end.
        let _ = tell.send(Running::start(configured, source, trial.as_ref(), logger));
    };
    std::thread::Builder::new()
        .name("start".to_owned())
        .spawn(starting)
        .map_err(|error| format!("error: cannot start: {error}"))?;
    match started.await {
        Ok(started) => started.map_err(|error| format!("error: {error}")),
        Err(_) => Err("error: the start has panicked".to_owned()),
    }
}

/// Starts the log where the configuration wants it. coturn serves without the log file that it
/// cannot write, so a file of coturn's is no reason not to; one of ours says what is meant.
fn start_logging(configured: &mut Configured) -> Result<Logger, SinkError> {
    match logging::start(&configured.config.log) {
        Err(error) if configured.is_coturn => {
            configured.config.log.target = LogTarget::Stderr;
            configured.warnings.push(format!("{error}; until then the log is on standard error"));
            logging::start(&configured.config.log)
        }
        outcome => outcome,
    }
}

/// What there is to say of a configuration before it serves.
fn say(configured: &Configured, trial: Option<&TrialCredentials>) {
    configured.warnings.iter().for_each(|warning| warn!("{warning}"));
    if configured.is_coturn {
        info!(
            applied = configured.remarks.len(),
            otherwise = configured.warnings.len(),
            "coturn's options are understood; `turnserver check` shows what each of them became"
        );
    }
    configured.remarks.iter().for_each(|remark| debug!("{remark}"));
    let announced = announced(&configured.config, trial);
    announced.warnings().iter().for_each(|warning| warn!("{warning}"));
    if configured.origin == Origin::File && is_root_of_a_host() {
        info!(
            "running as root, which it has no need of: systemd/turnserver.service gives it a user of its own and low ports all the same"
        );
    }
}

/// The configuration as it will serve: with credentials of our own it does relay.
fn announced(config: &Config, trial: Option<&TrialCredentials>) -> Config {
    let mut announced = config.clone();
    announced
        .auth
        .secrets
        .extend(trial.map(|trial| turn_config::SharedSecret::new(trial.secret.reveal())));
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
