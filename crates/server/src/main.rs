//! `turnserver`: a STUN and TURN server.

#![forbid(unsafe_code)]

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::CommandFactory as _;
use turn_config::{Config, Environment};
use turnserver::arguments::Arguments;
use turnserver::cli::{Cli, Command, ConfigCommand, Reached};
use turnserver::commands;
use turnserver::manual::manual;
use turnserver::serve::serve;
use turnserver::source::Source;
use turnserver::surroundings::Surroundings;

fn main() -> ExitCode {
    let line: Vec<String> =
        std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    let arguments = match Arguments::parse(&line) {
        Ok(arguments) => arguments,
        // Prints help and version, too.
        Err(error) => error.exit(),
    };
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            complain(&format!("{}\n", message.trim_end()));
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), String> {
    let source = || {
        Source::new(arguments, Environment::new(std::env::vars_os()))
            .map_err(|error| error.to_string())
    };
    let Some(command) = &arguments.cli().command else { return serve(source()?, print) };
    match command {
        Command::Check => {
            let checked = commands::check(&source()?).map_err(|error| error.to_string())?;
            print(&checked.policy)?;
            complain(&checked.findings);
        }
        Command::Config { what: ConfigCommand::Example } => print(Config::example())?,
        Command::Import { file, keep_peer_policy } => {
            let imported =
                commands::import(file, *keep_peer_policy).map_err(|error| error.to_string())?;
            print(&imported.toml)?;
            complain(&imported.remarks);
        }
        Command::Reload(reached) => {
            let socket = socket(reached, arguments, source)?;
            print(&at_once(commands::reload(&socket))?)?;
        }
        Command::Drain { reached, wait } => {
            let socket = socket(reached, arguments, source)?;
            let mut say = |line: &str| {
                // A reader that has gone does not stop a drain.
                let _ = print(line);
            };
            at_once(commands::drain(&socket, *wait, &mut say))?;
        }
        Command::Status { reached, json } => {
            let socket = socket(reached, arguments, source)?;
            print(&at_once(commands::status(&socket, *json))?)?;
        }
        Command::Allocations { reached, json, kill } => {
            let socket = socket(reached, arguments, source)?;
            print(&match kill {
                Some(id) => at_once(commands::kill(&socket, id))?,
                None => at_once(commands::allocations(&socket, *json))?,
            })?;
        }
        Command::Man => {
            let page = manual().map_err(|error| format!("error: {error}"))?;
            print(&String::from_utf8_lossy(&page))?;
        }
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "turnserver", &mut script);
            print(&String::from_utf8_lossy(&script))?;
        }
    }
    Ok(())
}

fn socket(
    reached: &Reached,
    arguments: &Arguments,
    source: impl FnOnce() -> Result<Source, String>,
) -> Result<PathBuf, String> {
    let is_file_named = arguments.cli().config.is_some();
    commands::socket(reached.socket.as_deref(), is_file_named, || {
        let loaded = source()?.load(&Surroundings::find().unwrap_or_default());
        loaded.map(|configured| configured.config).map_err(|error| error.to_string())
    })
}

fn at_once<T>(question: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("error: {error}"))?;
    runtime.block_on(question)
}

fn complain(text: &str) {
    // Nobody reads it: nothing more can be done.
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
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
