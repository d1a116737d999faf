//! `turnserver credentials`: a time-limited credential with the URLs of this server.

use std::ffi::OsString;
use std::path::Path;
use std::time::{Duration, SystemTime};

use turn_admin::client::Client;
use turn_admin::{IceRequest, IssueError, Shape, Wish};
use turn_config::{Config, Limit};
use turn_net::Listening;

use crate::certificates::ServerCertificates;
use crate::issuing::Mint;
use crate::plan::relay_addresses;
use crate::reach::{Reach, endpoints, reach};
use crate::source::Configured;
use crate::state::{self, TrialCredentials};
use crate::surroundings::Surroundings;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Asked {
    /// User, tag, lifetime, realm and tenant.
    pub wish: Wish,
    /// How it is written.
    pub shape: Shape,
}

/// Makes a credential with a secret of the configuration, or with that of a trial that has been
/// started on this host; the text to print. Nothing where neither is there, so that the running
/// server has to be asked.
///
/// # Errors
/// The wish cannot be met.
pub fn offline(
    asked: &Asked,
    configured: &Configured,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<Option<String>, String> {
    let config = &configured.config;
    if !config.relay.discover.is_empty() && !has_host(config) {
        // Only the running server knows what it has found.
        return Ok(None);
    }
    let trial = trial(variable)?.filter(|_| !config.can_relay());
    let reach = reached(config);
    let mint = Mint { config, learned: None, trial: trial.as_ref(), reach: &reach };
    match mint.issue(&asked.wish, SystemTime::now()) {
        Ok(issued) => {
            refuse_what_is_refused(asked, config)?;
            Ok(Some(asked.shape.text(&issued)))
        }
        Err(IssueError::NoSecret) => Ok(None),
        Err(IssueError::NoRealm) => {
            Err("error: there is no such realm in the configuration\n  = help: `turnserver check` \
                                         prints those that there are"
                .to_owned())
        }
        Err(error) => Err(format!(
            "error: {error:?}: user names and tags have no \"#\" and no control characters"
        )),
    }
}

/// The same from the running server.
///
/// # Errors
/// It is not there, or has no secret either.
pub async fn from_server(asked: &Asked, socket: &Path) -> Result<String, String> {
    let help = "add a shared secret to the configuration (auth.secrets), or start the server: without \
                configuration it makes one of its own; where each secret has a tenant, name one: --tenant";
    let told = |error: turn_admin::client::ClientError| {
        format!(
            "error: no shared secret is here, and so the server was asked: {error}\n  = help: {help}"
        )
    };
    let Wish { realm, tenant, user, tag, ttl } = asked.wish.clone();
    let format = Some(asked.shape.as_str().to_owned());
    let request = IceRequest { realm, tenant, user, tag, ttl: Some(ttl.as_secs()), format };
    let client = Client::connect(socket).await.map_err(told)?;
    client.ice_servers(&request).await.map_err(told)
}

/// A credential that this server would refuse helps nobody.
fn refuse_what_is_refused(asked: &Asked, config: &Config) -> Result<(), String> {
    let realm = asked.wish.realm.as_deref().unwrap_or(&config.realm);
    let named = config.realms.iter().find(|it| it.name == realm);
    let most = named.map_or(config.auth.max_credential_ttl, |it| it.auth.max_credential_ttl);
    match most {
        Limit::At(most) if asked.wish.ttl > most => Err(format!(
            "error: max_credential_ttl of realm {realm} refuses credentials of more than {} s\n  = help: ask for a \
             shorter one: --ttl {}s",
            most.as_secs(),
            most.as_secs()
        )),
        Limit::At(_) | Limit::Off => Ok(()),
    }
}

fn has_host(config: &Config) -> bool {
    config.credentials.as_ref().is_some_and(|it| it.host.is_some())
}

/// Where clients would reach a server of this configuration.
pub(super) fn reached(config: &Config) -> Vec<Reach> {
    let surroundings = Surroundings::find().unwrap_or_default();
    let relay = relay_addresses(config, &surroundings);
    let names = ServerCertificates::load(config, &[], SystemTime::now())
        .ok()
        .flatten()
        .map_or_else(Vec::new, |loaded| loaded.names());
    let listening: Vec<Listening> = config
        .listen
        .iter()
        .map(|listen| Listening {
            address: listen.address,
            transports: listen.transports.iter().map(|it| engine_transport(*it)).collect(),
        })
        .collect();
    reach(&endpoints(&config.listen, &listening), &relay.addresses, &names)
}

fn engine_transport(transport: turn_config::Transport) -> turn_engine::Transport {
    match transport {
        turn_config::Transport::Udp => turn_engine::Transport::Udp,
        turn_config::Transport::Tcp => turn_engine::Transport::Tcp,
        turn_config::Transport::Tls => turn_engine::Transport::Tls,
        turn_config::Transport::Dtls => turn_engine::Transport::Dtls,
    }
}

/// What a trial of this user has kept; none is made here.
fn trial(variable: impl Fn(&str) -> Option<OsString>) -> Result<Option<TrialCredentials>, String> {
    let mut directories = state::directories(variable);
    directories.retain(|directory| directory.join("credentials.json").is_file());
    directories.truncate(1);
    if directories.is_empty() {
        return Ok(None);
    }
    // The file is there, so that nothing is made and nothing is random.
    let trial = state::load_or_create(&directories, &mut |bytes| bytes.fill(0));
    let trial = trial.map_err(|error| format!("error: {error}"))?;
    Ok(matches!(trial.kept, state::Kept::In(_)).then_some(trial))
}

/// A lifetime as the configuration spells it: `90s`, `10m`, `1h`, `30d`.
///
/// # Errors
/// It is none, or less than a second or more than ten years.
pub fn lifetime(text: &str) -> Result<Duration, String> {
    let end = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(end);
    let size = match unit.trim() {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => 0,
    };
    let seconds = number.parse::<u64>().ok().and_then(|number| number.checked_mul(size));
    seconds
        .filter(|seconds| (1..=10 * 365 * 86_400).contains(seconds))
        .map(Duration::from_secs)
        .ok_or_else(|| "write a number and a unit of s, m, h or d, such as 90s or 1h".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_read() {
        assert_eq!(lifetime("1h"), Ok(Duration::from_secs(3600)));
        assert_eq!(lifetime("90s"), Ok(Duration::from_secs(90)));
        for text in ["", "1", "h", "0s", "-1h", "9999d", "1w"] {
            assert!(lifetime(text).is_err(), "{text}");
        }
    }
}
