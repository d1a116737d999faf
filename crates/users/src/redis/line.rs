//! The connection to a Redis server: made when it is needed, made anew when it has failed.
//!
//! Invariants:
//! - one connection carries all questions at once; a second one is not made beside it;
//! - no question takes longer than [`CONNECT_WITHIN`] and [`ANSWER_WITHIN`] together;
//! - a connection that has let one question wait too long is given up, so that a host that has
//!   vanished does not hold up the next one;
//! - after a failure nobody connects for a moment, which grows and is never the same twice.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ErrorKind, FromRedisValue,
    IntoConnectionInfo as _, Pipeline, RedisError, ServerError,
};
use tokio::time::Instant;

use crate::StoreError;

const CONNECT_WITHIN: Duration = Duration::from_millis(350);
const ANSWER_WITHIN: Duration = Duration::from_millis(350);
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// Of unacknowledged data: after that the kernel gives a connection up.
const UNACKNOWLEDGED: Duration = Duration::from_secs(5);
const MOST_OF_A_REASON: usize = 200;

const SCHEMES: &str = "redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE], rediss://... with TLS, or \
                       redis+unix:///PATH[?db=DATABASE&user=...&pass=...]";

/// A way to a Redis server.
pub(crate) struct Line {
    name: String,
    client: Client,
    state: Mutex<State>,
    /// Held by who connects.
    connecting: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    connection: Option<MultiplexedConnection>,
    /// Of the connection: a failure of an earlier one does not end it.
    serial: u64,
    pause: Duration,
    /// Nobody connects before this; and why.
    rest: Option<(Instant, RedisError)>,
}

/// A question under way. Where its asker gives up, the connection is not trusted any more.
struct Trust<'a> {
    line: &'a Line,
    serial: u64,
    is_over: bool,
}

impl Line {
    /// Reads the URL; connects to nobody.
    pub(crate) fn open(key: &str, url: &str) -> Result<Self, StoreError> {
        let refuse = |what: String| StoreError::Url { what, help: format!("write {SCHEMES}") };
        // The driver's text does not repeat the URL.
        let info = url.into_connection_info().map_err(|error| {
            refuse(format!("the Redis URL of {key} cannot be used: {}", reason(&error)))
        })?;
        let database = info.redis_settings().db();
        let name = match info.addr() {
            ConnectionAddr::Tcp(host, port) => format!("redis://{}/{database}", at(host, *port)),
            ConnectionAddr::TcpTls { insecure: true, .. } => {
                return Err(StoreError::Url {
                    what: format!("the Redis URL of {key} ends with #insecure"),
                    help: "leave it out: put the server's CA among the system's, or name it in \
                           the environment variable SSL_CERT_FILE"
                        .to_owned(),
                });
            }
            ConnectionAddr::TcpTls { host, port, .. } => {
                format!("rediss://{}/{database}", at(host, *port))
            }
            ConnectionAddr::Unix(path) => format!("redis+unix://{}?db={database}", path.display()),
            _ => return Err(refuse(format!("the Redis URL of {key} has an unknown scheme"))),
        };
        let keepalive = TcpKeepalive::new().with_time(UNACKNOWLEDGED).with_interval(UNACKNOWLEDGED);
        let tcp = TcpSettings::default()
            .set_nodelay(true)
            .set_keepalive(keepalive)
            .set_user_timeout(UNACKNOWLEDGED);
        let settings = info.redis_settings().clone().set_skip_set_lib_name();
        let client = Client::open(info.set_tcp_settings(tcp).set_redis_settings(settings))
            .map_err(|error| {
                refuse(format!("the Redis URL of {key} cannot be used: {}", reason(&error)))
            })?;
        let (state, connecting) = (Mutex::default(), tokio::sync::Mutex::default());
        Ok(Self { name, client, state, connecting })
    }

    /// Scheme, host and database, never a password.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Sends a pipeline and reads its answers. Where the connection turns out to be closed, it is
    /// sent a second time: it must not matter if the first one has arrived.
    pub(crate) async fn ask<T: FromRedisValue>(
        &self,
        pipeline: &Pipeline,
    ) -> Result<T, StoreError> {
        let is_at_rest = self.open_connection().is_some();
        match self.attempt(pipeline).await {
            Err(error) if is_at_rest && error.is_unrecoverable_error() && !error.is_timeout() => {
                self.ask_once(pipeline).await
            }
            answer => answer.map_err(|error| self.failure(&error)),
        }
    }

    /// Sends a pipeline and reads its answers, never a second time.
    pub(crate) async fn ask_once<T: FromRedisValue>(
        &self,
        pipeline: &Pipeline,
    ) -> Result<T, StoreError> {
        self.attempt(pipeline).await.map_err(|error| self.failure(&error))
    }

    async fn attempt<T: FromRedisValue>(&self, pipeline: &Pipeline) -> Result<T, RedisError> {
        let (mut connection, serial) = self.connection().await?;
        let mut trust = Trust { line: self, serial, is_over: false };
        let answer = pipeline.query_async(&mut connection).await;
        trust.is_over = match &answer {
            Ok(_) => true,
            Err(error) => !error.is_timeout() && !error.is_unrecoverable_error(),
        };
        answer
    }

    async fn connection(&self) -> Result<(MultiplexedConnection, u64), RedisError> {
        if let Some(open) = self.open_connection() {
            return Ok(open);
        }
        let _turn = self.connecting.lock().await;
        if let Some(open) = self.open_connection() {
            return Ok(open);
        }
        self.rested()?;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_WITHIN))
            .set_response_timeout(Some(ANSWER_WITHIN));
        let connected = self.client.get_multiplexed_async_connection_with_config(&config).await;
        let mut state = self.state();
        match connected {
            Ok(connection) => {
                state.serial += 1;
                state.connection = Some(connection.clone());
                state.pause = Duration::ZERO;
                state.rest = None;
                Ok((connection, state.serial))
            }
            Err(error) => {
                state.pause = (state.pause * 2).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
                let random = getrandom::u32().unwrap_or_default() % 1024;
                let pause = state.pause / 2 + state.pause * random / 2048;
                state.rest = Some((Instant::now() + pause, error.clone()));
                Err(error)
            }
        }
    }

    fn open_connection(&self) -> Option<(MultiplexedConnection, u64)> {
        let state = self.state();
        state.connection.clone().map(|connection| (connection, state.serial))
    }

    fn rested(&self) -> Result<(), RedisError> {
        match &self.state().rest {
            Some((until, error)) if Instant::now() < *until => Err(error.clone()),
            Some(_) | None => Ok(()),
        }
    }

    fn failure(&self, error: &RedisError) -> StoreError {
        let is_of_another_type =
            matches!(error.kind(), ErrorKind::UnexpectedReturnType | ErrorKind::Parse)
                || refusal(error).is_some_and(|refusal| refusal.code() == "WRONGTYPE");
        if is_of_another_type {
            // The driver's text would repeat the value.
            let what = "a key holds a value of another type than coturn writes".to_owned();
            return StoreError::Malformed { store: self.name.clone(), what };
        }
        StoreError::Unavailable { store: self.name.clone(), reason: reason(error) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Trust<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            let mut state = self.line.state();
            if state.serial == self.serial {
                state.connection = None;
            }
        }
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line").field("name", &self.name).finish_non_exhaustive()
    }
}

fn at(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// The first command of a pipeline that the server has refused.
fn refusal(error: &RedisError) -> Option<ServerError> {
    let refusals = error.clone().into_server_errors()?;
    refusals.first().map(|(_, refusal)| refusal.clone())
}

/// One line of what the driver or the server says.
fn reason(error: &RedisError) -> String {
    let text = refusal(error).map_or_else(|| error.to_string(), |refusal| refusal.to_string());
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MOST_OF_A_REASON).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_no_password() {
        let name = |url: &str| Line::open("auth.stores", url).unwrap().name().to_owned();
        assert_eq!(name("redis://:hunter2@db.example:6380/2"), "redis://db.example:6380/2");
        assert_eq!(name("redis://u:hunter2@[::1]/"), "redis://[::1]:6379/0");
        assert_eq!(name("rediss://:hunter2@db.example"), "rediss://db.example:6379/0");
        assert_eq!(
            name("redis+unix:///run/redis.sock?db=3&pass=hunter2"),
            "redis+unix:///run/redis.sock?db=3"
        );
        let line = Line::open("auth.stores", "redis://:hunter2@db.example").unwrap();
        assert!(!format!("{line:?}").contains("hunter2"));
    }

    #[test]
    fn an_unusable_url_is_refused_without_its_password() {
        for url in [
            "redis://:hunter2@",
            "redis://:hunter2@db.example/x",
            "rediss://:hunter2@db.example/0#insecure",
            "http://:hunter2@db.example",
            "redis",
        ] {
            let error = Line::open("auth.stores", url).unwrap_err().to_string();
            assert!(error.contains("help") && !error.contains("hunter2"), "{url}: {error}");
        }
    }
}
