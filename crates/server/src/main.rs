//! `turnserver`: a STUN and TURN server.

#![forbid(unsafe_code)]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::CommandFactory as _;
use turn_config::{Config, Environment};
use turnserver::arguments::Arguments;
use turnserver::cli::{
    AccountArgs, AccountsCommand, Cli, Command, ConfigCommand, CredentialArgs, Reached,
    SecretsCommand, StoreArgs, UsersCommand,
};
use turnserver::commands::{self, AccountChange, OpenStore};
use turnserver::container::Container;
use turnserver::manual::manual;
use turnserver::serve::serve;
use turnserver::source::{Configured, Source};
use turnserver::surroundings::Surroundings;

fn main() -> ExitCode {
    let line: Vec<String> =
        std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    if is_turnadmin(&line) {
        return end(turnadmin(&line));
    }
    let Container { line, variables } = Container::translate(line, std::env::vars_os());
    let arguments = match Arguments::parse(&line) {
        Ok(arguments) => arguments,
        // Prints help and version, too.
        Err(error) => error.exit(),
    };
    end(run(&arguments, &Environment::new(variables)))
}

fn end(ran: Result<(), String>) -> ExitCode {
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            complain(&format!("{}\n", message.trim_end()));
            ExitCode::FAILURE
        }
    }
}

/// coturn's administration tool is its server under another name, and so is ours.
fn is_turnadmin(line: &[String]) -> bool {
    let name = line.first().map(Path::new).and_then(Path::file_name);
    name.is_some_and(|name| name == "turnadmin")
}

fn turnadmin(line: &[String]) -> Result<(), String> {
    print(&at_once(commands::turnadmin(line.get(1..).unwrap_or_default()))?)
}

fn run(arguments: &Arguments, environment: &Environment) -> Result<(), String> {
    let source = || Source::new(arguments, environment.clone()).map_err(|error| error.to_string());
    let configured = || load(source()?);
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
        Command::Users { what } => print(&at_once(users(what, configured))?)?,
        Command::Secrets { what } => print(&at_once(secrets(what, configured))?)?,
        Command::Credentials { of, reached } => {
            print(&credentials(of, configured()?, || socket(reached, arguments, source))?)?;
        }
        Command::Accounts { what } => {
            let socket = socket(reached_by(what), arguments, source)?;
            print(&at_once(accounts(what, &socket))?)?;
        }
        Command::Usage { reached, from, to, by, log, json } => {
            let socket = socket(reached, arguments, source)?;
            if *log {
                let days = (from.as_deref(), to.as_deref());
                let mut out = std::io::stdout().lock();
                return at_once(commands::usage_log(&socket, days, &mut out));
            }
            // As the admin interface has it.
            let to = to.clone().unwrap_or_else(|| turn_admin::Day::today().to_string());
            let from = from.clone().unwrap_or_else(|| {
                let last =
                    to.parse::<turn_admin::Day>().unwrap_or_else(|_| turn_admin::Day::today());
                last.minus(30).to_string()
            });
            print(&at_once(commands::usage(&socket, (&from, &to), by, *json))?)?;
        }
        Command::Probe { url, user, password_file } => {
            let target = match url {
                Some(url) => commands::Target::of_url(url).map_err(|help| {
                    format!("error: --url: not the URL of a server\n  = help: {help}")
                }),
                None => commands::Target::of_config(&configured()?.config),
            };
            let login = user.as_ref().map(|user| {
                let password = commands::read_password(password_file.as_deref(), "password")?;
                Ok::<_, String>((user.clone(), password))
            });
            let probe = commands::Probe { target: target?, login: login.transpose()? };
            print(&probe.run()?)?;
        }
        Command::Dns { host } => {
            print(&commands::zone(&configured()?.config, host.as_deref())?)?;
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

fn load(source: Source) -> Result<Configured, String> {
    source.load(&Surroundings::find().unwrap_or_default()).map_err(|error| error.to_string())
}

/// The store that is meant, and its realm; the configuration is read where either is not said.
fn place(
    place: &StoreArgs,
    configured: impl FnOnce() -> Result<Configured, String>,
) -> Result<(OpenStore, String), String> {
    let named = match (&place.store, &place.store_file) {
        (Some(url), _) => {
            // Everybody on a host can read command lines.
            if turn_config::StoreSource::new(url).has_secret() {
                return Err("error: --store: no URL, or one with a password\n  = help: put a URL with a password \
                            into a file of mode 600: --store-file FILE"
                    .to_owned());
            }
            Some(OpenStore::at(url)?)
        }
        (None, Some(file)) => Some(OpenStore::at(&commands::url_in(file)?)?),
        (None, None) => None,
    };
    match (named, &place.realm) {
        (Some(store), Some(realm)) => Ok((store, realm.clone())),
        (named, realm) => {
            let config = configured()
                .map_err(|error| {
                    format!("{}\n  = help: or say --realm and --store", error.trim_end())
                })?
                .config;
            let store = named.map_or_else(|| OpenStore::of(&config), Ok)?;
            Ok((store, realm.clone().unwrap_or(config.realm)))
        }
    }
}

async fn users(
    what: &UsersCommand,
    configured: impl FnOnce() -> Result<Configured, String>,
) -> Result<String, String> {
    match what {
        UsersCommand::Add(user) | UsersCommand::Passwd(user) => {
            let (store, realm) = place(&user.place, configured)?;
            let password = commands::read_password(user.password_file.as_deref(), "password")?;
            let must_be_there = matches!(what, UsersCommand::Passwd(_));
            commands::put_user(&store, &realm, &user.name, &password, must_be_there).await
        }
        UsersCommand::Delete { name, place: of } => {
            let (store, realm) = place(of, configured)?;
            commands::delete_user(&store, &realm, name).await
        }
        UsersCommand::List(of) => {
            let (store, _) = place(of, configured)?;
            commands::users(&store, of.realm.as_deref()).await
        }
    }
}

async fn secrets(
    what: &SecretsCommand,
    configured: impl FnOnce() -> Result<Configured, String>,
) -> Result<String, String> {
    match what {
        SecretsCommand::Add { secret_file, place: of } => {
            let (store, realm) = place(of, configured)?;
            let secret = commands::read_password(secret_file.as_deref(), "secret")?;
            commands::add_secret(&store, &realm, &secret).await
        }
        SecretsCommand::Delete { secret_file, all, place: of } => {
            let (store, realm) = place(of, configured)?;
            let secret = match all {
                true => None,
                false => Some(commands::read_password(secret_file.as_deref(), "secret")?),
            };
            let secret = secret.as_ref().map(|secret| secret.as_str());
            commands::delete_secrets(&store, &realm, secret).await
        }
        SecretsCommand::List(of) => {
            let (store, _) = place(of, configured)?;
            commands::secrets(&store, of.realm.as_deref()).await.map(|text| text.to_string())
        }
    }
}

fn credentials(
    of: &CredentialArgs,
    configured: Configured,
    socket: impl FnOnce() -> Result<PathBuf, String>,
) -> Result<String, String> {
    let wish = turn_admin::Wish {
        realm: of.realm.clone(),
        tenant: of.tenant.clone(),
        user: of.user.clone(),
        tag: of.tag.clone(),
        ttl: of.ttl,
    };
    let asked = commands::Asked { wish, shape: of.format.shape() };
    match commands::offline(&asked, &configured, |name| std::env::var_os(name))? {
        Some(text) => Ok(text),
        None => at_once(commands::from_server(&asked, &socket()?)),
    }
}

fn reached_by(what: &AccountsCommand) -> &Reached {
    match what {
        AccountsCommand::Create { reached, .. }
        | AccountsCommand::List { reached, .. }
        | AccountsCommand::Disable(AccountArgs { reached, .. })
        | AccountsCommand::Enable(AccountArgs { reached, .. })
        | AccountsCommand::Delete(AccountArgs { reached, .. }) => reached,
    }
}

async fn accounts(what: &AccountsCommand, socket: &Path) -> Result<String, String> {
    let (of, change) = match what {
        AccountsCommand::Create {
            user, label, realm, ttl, allocations, bandwidth, json, ..
        } => {
            let new = turn_admin::NewAccount {
                label: label.clone(),
                username: user.clone(),
                realm: realm.clone(),
                expires_at: None,
                ttl: ttl.map(|ttl| ttl.as_secs()),
                limits: turn_admin::AccountLimits {
                    allocations: *allocations,
                    bandwidth: *bandwidth,
                    bandwidth_per_allocation: None,
                },
            };
            return commands::create_account(socket, &new, *json).await;
        }
        AccountsCommand::List { realm, label, json, .. } => {
            return commands::accounts(socket, realm.as_deref(), label.as_deref(), *json).await;
        }
        AccountsCommand::Disable(of) => (of, AccountChange::Disable),
        AccountsCommand::Enable(of) => (of, AccountChange::Enable),
        AccountsCommand::Delete(of) => (of, AccountChange::Delete),
    };
    let name = turn_admin::AccountName { realm: of.realm.clone(), username: of.name.clone() };
    commands::change_account(socket, &name, change).await
}

fn socket(
    reached: &Reached,
    arguments: &Arguments,
    source: impl FnOnce() -> Result<Source, String>,
) -> Result<PathBuf, String> {
    let is_file_named = arguments.cli().config.is_some();
    commands::socket(reached.socket.as_deref(), is_file_named, || {
        load(source()?).map(|configured| configured.config)
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
