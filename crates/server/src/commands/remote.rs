//! Commands that speak to the running server over its admin socket.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use turn_admin::client::{Client, ClientError};
use turn_admin::{AllocationRow, DrainState, DrainStatus, Ended, Status};
use turn_config::Config;

use super::table::{Table, amount, duration};

/// How often a server that drains is asked how it goes.
const ASK_INTERVAL: Duration = Duration::from_millis(500);

/// The admin socket to speak to: the one that is `named`, else that of the configuration. The usual
/// one takes its place only where the configuration was looked for, because whoever asks may not be
/// able to read it; where a file is named, another server may be at the usual one.
///
/// # Errors
/// The file that is named cannot be used, or there is no socket.
pub fn socket(
    named: Option<&Path>,
    is_file_named: bool,
    configured: impl FnOnce() -> Result<Config, String>,
) -> Result<PathBuf, String> {
    if let Some(path) = named {
        return Ok(path.to_owned());
    }
    let config = match configured() {
        Ok(config) => config,
        Err(error) if is_file_named => {
            let error = error.trim_end();
            return Err(format!(
                "{error}\n\nerror: so it is not known where the server's admin socket is\n  = help: correct the file, or \
                 name the socket: --socket PATH"
            ));
        }
        Err(_) => Config::default(),
    };
    config.admin.socket.path().map(ToOwned::to_owned).ok_or_else(|| {
        "error: admin.socket is \"off\" in this configuration, so no command reaches its server\n  = help: signals do: \
         SIGHUP reloads, SIGUSR1 drains; or name the socket of another: --socket PATH"
            .to_owned()
    })
}

/// `turnserver reload`: what has changed.
///
/// # Errors
/// The server is not there, or the new configuration has mistakes.
pub async fn reload(socket: &Path) -> Result<String, String> {
    let report = connect(socket).await?.reload().await.map_err(told)?;
    let report = report.map_err(|errors| {
        format!(
            "nothing has changed, because the configuration has mistakes:\n{}",
            errors.join("\n")
        )
    })?;
    let mut text = String::new();
    let lists = [("changed", &report.changed), ("waits for a restart", &report.needs_restart)];
    for (what, keys) in lists {
        keys.iter().for_each(|key| text.push_str(&format!("{what}: {key}\n")));
    }
    if text.is_empty() {
        text.push_str("nothing in the configuration has changed\n");
    }
    Ok(text)
}

/// `turnserver drain`: how it stands; with `waits` when it is over. Each step is given to `say`.
///
/// # Errors
/// The server is not there.
pub async fn drain(
    socket: &Path,
    waits: bool,
    say: &mut (dyn FnMut(&str) + Send),
) -> Result<(), String> {
    let client = connect(socket).await?;
    let mut status = client.drain().await.map_err(told)?;
    say(&drain_line(&status));
    let mut left = status.allocations;
    while waits && status.state != DrainState::Drained {
        tokio::time::sleep(ASK_INTERVAL).await;
        status = match client.drain_status().await {
            Ok(status) => status,
            // It has ended, perhaps while it was about to answer.
            Err(ClientError::NoServer { .. }) => break,
            Err(_) if Client::connect(socket).await.is_err() => break,
            Err(error) => return Err(told(error)),
        };
        if status.allocations != left {
            left = status.allocations;
            say(&drain_line(&status));
        }
    }
    if !waits {
        return Ok(());
    }
    if has_ended(&client).await {
        say("ended\n");
        return Ok(());
    }
    let pid = client.status().await.map_err(told)?.pid;
    Err(format!(
        "error: the server has drained and does not end\n  = help: its log says why; kill -9 {pid} ends it"
    ))
}

/// Whether the server is gone, which closes its doors last.
async fn has_ended(client: &Client) -> bool {
    // Bounded: a server that does not end is no reason to hang.
    for _ in 0..60 {
        if client.version().await.is_err() {
            return true;
        }
        tokio::time::sleep(ASK_INTERVAL).await;
    }
    false
}

fn drain_line(status: &DrainStatus) -> String {
    match status.state {
        DrainState::Serving => "serving\n".to_owned(),
        DrainState::Draining => format!("draining: {} allocations left\n", status.allocations),
        DrainState::Drained => format!("drained: {} allocations left\n", status.allocations),
    }
}

/// `turnserver status`.
///
/// # Errors
/// The server is not there.
pub async fn status(socket: &Path, as_json: bool) -> Result<String, String> {
    let status = connect(socket).await?.status().await.map_err(told)?;
    if as_json { json(&status) } else { Ok(status_text(&status)) }
}

/// `turnserver allocations`.
///
/// # Errors
/// The server is not there.
pub async fn allocations(socket: &Path, as_json: bool) -> Result<String, String> {
    let rows = connect(socket).await?.allocations().await.map_err(told)?;
    if as_json { json(&rows) } else { Ok(allocations_text(&rows)) }
}

/// `turnserver allocations --kill ID`.
///
/// # Errors
/// The server is not there, or has no such allocation.
pub async fn kill(socket: &Path, id: &str) -> Result<String, String> {
    match connect(socket).await?.end_allocation(id).await.map_err(told)? {
        Ended::Done => Ok(format!("ended: {id}\n")),
        Ended::Unknown => Err(format!(
            "error: no live allocation has the id {id}; `turnserver allocations` lists them"
        )),
        Ended::NotAnId => Err(format!(
            "error: {id:?} is no id of an allocation; `turnserver allocations` lists them"
        )),
    }
}

fn status_text(status: &Status) -> String {
    let mut table = Table::new(&[]);
    let mut line = |name: &str, value: String| table.row(vec![name.to_owned(), value]);
    line("version", format!("{} {}", status.version.name, status.version.version));
    line(
        "state",
        match (status.drain.state, status.ready) {
            (DrainState::Serving, true) => "serving".to_owned(),
            (DrainState::Serving, false) => "not ready".to_owned(),
            (DrainState::Draining, _) => {
                format!("draining, {} allocations left", status.drain.allocations)
            }
            (DrainState::Drained, _) => "drained".to_owned(),
        },
    );
    line("process", format!("{}, up {}", status.pid, duration(status.uptime)));
    line("configuration", status.configuration.clone().unwrap_or_else(|| "none".to_owned()));
    line("realms", status.realms.join(", "));
    for listener in &status.listeners {
        let realm = listener.realm.as_deref().unwrap_or("by server name");
        line("listens on", format!("{} {} ({realm})", listener.transport, listener.address));
    }
    let counts = &status.allocations;
    line(
        "allocations",
        format!(
            "{} live, {} of them used; {} made, {} ended",
            counts.live, counts.used, counts.created, counts.ended
        ),
    );
    for (name, way) in [("to peers", &status.up), ("to clients", &status.down)] {
        line(name, format!("{} in {} packets", amount(way.bytes), way.packets));
    }
    for pool in &status.ports {
        line(
            "relay ports",
            format!("{} {}: {} of {} in use", pool.protocol, pool.address, pool.used, pool.size),
        );
    }
    for certificate in &status.certificates {
        let left = certificate.not_after.saturating_sub(now());
        let days = left.div_euclid(86_400);
        line("certificate", format!("{}, {days} days left", certificate.names.join(", ")));
    }
    if let Some(reload) = &status.last_reload {
        let ago = u64::try_from(now()).unwrap_or(0).saturating_sub(reload.at);
        let how = if reload.applied { "applied" } else { "refused" };
        line("last reload", format!("{how}, {} ago", duration(ago)));
    }
    table.to_string()
}

fn allocations_text(rows: &[AllocationRow]) -> String {
    if rows.is_empty() {
        return "no allocations\n".to_owned();
    }
    let mut table = Table::new(&[
        "ID", "USER", "REALM", "CLIENT", "RELAYED", "AGE", "EXPIRES", "UP", "DOWN", "PEERS",
    ]);
    for row in rows {
        let realm = match &row.tenant {
            Some(tenant) => format!("{}/{tenant}", row.realm),
            None => row.realm.clone(),
        };
        table.row(vec![
            row.id.clone(),
            // A name could hold anything, and this goes to a terminal.
            row.user.escape_debug().to_string(),
            realm,
            format!("{} {}", row.transport, row.client),
            format!("{} {}", row.protocol, row.relayed.join(" ")),
            duration(row.age),
            duration(row.expires_in),
            amount(row.up.bytes),
            amount(row.down.bytes),
            row.peers.join(" "),
        ]);
    }
    table.to_string()
}

fn now() -> i64 {
    i64::try_from(crate::clock::unix_seconds(std::time::SystemTime::now())).unwrap_or(i64::MAX)
}

pub(super) fn json(value: &impl Serialize) -> Result<String, String> {
    serde_json::to_string_pretty(value)
        .map(|text| text + "\n")
        .map_err(|error| format!("error: {error}"))
}

async fn connect(socket: &Path) -> Result<Client, String> {
    Client::connect(PathBuf::from(socket)).await.map_err(told)
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn told(error: ClientError) -> String {
    format!("error: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_socket_is_never_taken_for_that_of_a_named_file() {
        let usual = Path::new("/run/turnserver/admin.sock");
        let broken = || Err("error: a mistake".to_owned());
        assert_eq!(socket(None, false, broken).as_deref(), Ok(usual));
        let error = socket(None, true, broken).err().unwrap_or_default();
        assert!(error.starts_with("error: a mistake") && error.contains("--socket"), "{error}");
        let mut off = Config::default();
        off.admin.socket = turn_config::SocketPath::Off;
        for is_file_named in [false, true] {
            let error = socket(None, is_file_named, || Ok(off.clone())).err().unwrap_or_default();
            assert!(error.contains("SIGHUP"), "{error}");
        }
        let named = Path::new("a.sock");
        assert_eq!(socket(Some(named), true, broken).as_deref(), Ok(named));
    }

    #[test]
    fn a_table_of_allocations_shows_whose_they_are_and_escapes_names() {
        let row = AllocationRow {
            id: "0-1-2".to_owned(),
            realm: "a.example".to_owned(),
            tenant: Some("app".to_owned()),
            user: "an\x1bn".to_owned(),
            client: "192.0.2.1:5000".to_owned(),
            transport: "udp".to_owned(),
            protocol: "udp".to_owned(),
            relayed: vec!["203.0.113.7:50000".to_owned()],
            age: 3_700,
            ..AllocationRow::default()
        };
        let text = allocations_text(&[row]);
        for part in ["0-1-2", "a.example/app", r"an\u{1b}n", "udp 192.0.2.1:5000", "1h 1m"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert_eq!(allocations_text(&[]), "no allocations\n");
    }

    #[test]
    fn a_status_says_whether_it_serves() {
        let mut status = Status { ready: true, ..Status::default() };
        assert!(status_text(&status).contains("serving"));
        status.drain.state = DrainState::Draining;
        status.drain.allocations = 7;
        assert!(status_text(&status).contains("draining, 7 allocations left"));
    }
}
