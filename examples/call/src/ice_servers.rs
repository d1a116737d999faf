//! Where the `iceServers` of a call come from: the `turnserver` program beside us, the
//! `[credentials]` listener of a running one, or a file.
//!
//! Invariants: no more than [`AT_ONCE`] requests at a time, each bounded in time and size; neither key
//! nor credential is in a log line or an error.

use std::fmt;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use serde_json::Value;
use tokio::process::Command;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::arguments::Arguments;

/// Requests at a time.
const AT_ONCE: usize = 4;

/// How long one may take.
const WITHIN: Duration = Duration::from_secs(10);

/// The largest answer that is read.
const MOST_BYTES: usize = 64 * 1024;

/// How long the credentials of a call are good for.
const LIFETIME: &str = "1h";

/// A source of `iceServers`.
#[derive(Debug)]
pub(crate) struct IceServers {
    source: Source,
    places: Semaphore,
}

/// What goes into `RTCPeerConnection`.
#[derive(Clone)]
pub(crate) struct Servers(Value);

enum Source {
    Program { program: PathBuf, config: Option<PathBuf> },
    Listener { client: reqwest::Client, url: String, key: String },
    File(PathBuf),
}

impl IceServers {
    /// As the command line says.
    ///
    /// # Errors
    /// When the key's file cannot be read.
    pub(crate) fn new(arguments: &Arguments) -> Result<Self> {
        let source = match (&arguments.credentials, &arguments.key_file, &arguments.ice_servers) {
            (Some(url), Some(file), _) => {
                let key = std::fs::read_to_string(file)
                    .with_context(|| format!("{}: the server key is read there", file.display()))?;
                let client = reqwest::Client::builder()
                    .timeout(WITHIN)
                    .redirect(reqwest::redirect::Policy::none())
                    .build()?;
                let url = format!("{}/v1/credentials", url.trim_end_matches('/'));
                Source::Listener { client, url, key: key.trim().to_owned() }
            }
            (_, _, Some(file)) => Source::File(file.clone()),
            _ => Source::Program {
                program: arguments.turnserver.clone().unwrap_or_else(beside_us),
                config: arguments.config.clone(),
            },
        };
        Ok(Self { source, places: Semaphore::new(AT_ONCE) })
    }

    /// The servers for one user.
    ///
    /// # Errors
    /// With what is missing and how to bring it about.
    pub(crate) async fn fetch(&self, user: &str) -> Result<Servers> {
        let fetched = async {
            let _place = self.places.acquire().await?;
            match &self.source {
                Source::Program { program, config } => run(program, config.as_ref(), user).await,
                Source::Listener { client, url, key } => ask(client, url, key, user).await,
                Source::File(path) => {
                    let text = tokio::fs::read(path).await;
                    text.with_context(|| format!("{} holds no iceServers", path.display()))
                }
            }
        };
        let text = timeout(WITHIN, fetched).await.map_err(|_| {
            anyhow!("no credentials within {} s from {:?}", WITHIN.as_secs(), self.source)
        })??;
        Servers::read(&text).with_context(|| format!("{:?} gave no iceServers", self.source))
    }
}

impl Servers {
    /// Reads `{"iceServers": [...]}` or the bare array.
    fn read(text: &[u8]) -> Result<Self> {
        let value: Value = serde_json::from_slice(text)
            .map_err(|error| anyhow!("no JSON at line {}", error.line()))?;
        let list = value.get("iceServers").unwrap_or(&value);
        if list.as_array().is_none_or(Vec::is_empty) {
            bail!("the JSON has no list of servers");
        }
        Ok(Self(list.clone()))
    }

    /// For the page.
    pub(crate) fn into_json(self) -> Value {
        self.0
    }

    /// The URLs of relays.
    pub(crate) fn urls(&self) -> Vec<&str> {
        let servers = self.0.as_array().into_iter().flatten();
        let urls = servers.filter_map(|server| server.get("urls"));
        let urls = urls.flat_map(|urls| match urls {
            Value::Array(list) => list.iter().collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
            Value::String(_) | Value::Object(_) => vec![urls],
        });
        urls.filter_map(Value::as_str).filter(|url| url.starts_with("turn")).collect()
    }
}

impl fmt::Debug for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Servers").field(&self.urls()).finish()
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Program { program, .. } => write!(f, "`{} credentials`", program.display()),
            Self::Listener { url, .. } => f.write_str(url),
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}

/// The program of the same build, or else the one that is installed.
fn beside_us() -> PathBuf {
    let name = "turnserver";
    let ours = std::env::current_exe().ok().map(|path| path.with_file_name(name));
    ours.filter(|path| path.is_file()).unwrap_or_else(|| PathBuf::from(name))
}

async fn run(program: &PathBuf, config: Option<&PathBuf>, user: &str) -> Result<Vec<u8>> {
    let mut command = Command::new(program);
    command.args(["credentials", "--user", user, "--ttl", LIFETIME]);
    if let Some(config) = config {
        command.arg("--config").arg(config);
    }
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await;
    let output = output.with_context(|| {
        format!(
            "{} cannot be run; build it with: cargo build --release, or name it with --turnserver",
            program.display()
        )
    })?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let said: String = said.trim().chars().take(500).collect();
        bail!("`turnserver credentials` says: {said}");
    }
    if output.stdout.len() > MOST_BYTES {
        bail!("`turnserver credentials` printed more than {MOST_BYTES} bytes");
    }
    Ok(output.stdout)
}

async fn ask(client: &reqwest::Client, url: &str, key: &str, user: &str) -> Result<Vec<u8>> {
    let wish = serde_json::json!({ "user": user, "ttl": 3600 });
    let mut response = client
        .post(url)
        .bearer_auth(key)
        .json(&wish)
        .send()
        .await
        .with_context(|| format!("nobody answers at {url}"))?;
    if !response.status().is_success() {
        bail!("{url} answers {}; is the key one of credentials.server_keys?", response.status());
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > MOST_BYTES {
            bail!("{url} answers with more than {MOST_BYTES} bytes");
        }
    }
    Ok(body)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_prints_and_a_bare_list_are_read() {
        let list =
            r#"[{"urls":"stun:a"},{"urls":["turn:a","turns:a"],"username":"u","credential":"c"}]"#;
        for text in [list.to_owned(), format!("{{\"iceServers\":{list},\"ttl\":3600}}")] {
            let servers = Servers::read(text.as_bytes()).unwrap();
            assert_eq!(servers.urls(), ["turn:a", "turns:a"]);
            let shown = format!("{servers:?}");
            assert!(!shown.contains("credential"), "{shown}");
        }
    }

    #[test]
    fn what_holds_no_servers_is_refused_without_being_repeated() {
        for text in ["", "{", "{}", "[]", r#"{"iceServers":{"credential":"hunter2"}}"#] {
            let error = Servers::read(text.as_bytes()).unwrap_err();
            assert!(!format!("{error:#}").contains("hunter2"));
        }
    }
}
