//! A running server as its operator has it: it heeds signals, opens doors, reloads, drains and ends.
//!
//! Everything here lives on the control thread; no shard ever waits for it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, sleep_until, timeout};
use tracing::{error, info, warn};
use turn_config::Config;

use crate::audience::Audience;
use crate::certificate_watch::CertificateWatch;
use crate::doors::{Doors, Keys};
use crate::drain::{Cause, Drain, Drained};
use crate::figures::Collector;
use crate::history::History;
use crate::logging::{LogObserver, Logger, PeerHints};
use crate::problem::StartError;
use crate::realms::Registry;
use crate::server::Server;
use crate::settings::SettingsError;
use crate::signals::{Signals, Wish};
use crate::source::{Configured, Source};
use crate::state::TrialCredentials;
use crate::systemd;
use crate::usage::UsageFeed;

/// A server and what an operator does with it.
#[derive(Debug)]
pub struct Running {
    /// Itself, for what outlives a question.
    pub(crate) me: Weak<Self>,
    pub(crate) server: Server,
    pub(crate) observer: Arc<LogObserver>,
    pub(crate) usage: Arc<UsageFeed>,
    pub(crate) source: Source,
    pub(crate) logger: Logger,
    pub(crate) keys: Keys,
    pub(crate) drain: Drain,
    /// Another configuration is in force.
    pub(crate) reloaded: Notify,
    /// Something about the drain has changed.
    pub(crate) drain_changed: Notify,
    /// What is in force.
    pub(crate) config: Mutex<Arc<Config>>,
    pub(crate) is_coturn: bool,
    /// What was warned of already.
    pub(crate) warnings: Mutex<Vec<String>>,
    pub(crate) path: Option<PathBuf>,
    /// Its lock makes reloads take turns.
    pub(crate) certificates: tokio::sync::Mutex<CertificateWatch>,
    pub(crate) reloads: History,
    pub(crate) certificate_reloads: Arc<History>,
    pub(crate) collector: Collector,
    pub(crate) started: SystemTime,
    /// When every shard had turned last.
    last_beat: Mutex<Instant>,
}

/// How often it is seen that a drain is over.
const DRAIN_INTERVAL: Duration = Duration::from_millis(100);

/// How often shards are asked for a sign of life, unless systemd asks oftener.
const BEAT_INTERVAL: Duration = Duration::from_secs(5);

/// A shard that has not turned for so long is taken for dead.
const BEAT_PATIENCE: Duration = Duration::from_secs(20);

impl Running {
    /// Starts to serve as `configured` says; what it is read from is `source`.
    ///
    /// # Errors
    /// [`StartError`], each with its fix.
    pub fn start(
        configured: Configured,
        source: Source,
        trial: Option<&TrialCredentials>,
        logger: Logger,
    ) -> Result<(Arc<Self>, Doors), StartError> {
        let Configured { config, origin, path, is_coturn, mut warnings, .. } = configured;
        warnings.extend(config.warnings().iter().map(ToString::to_string));
        let doors = Doors::bind(&config, origin)?;
        let observer = Arc::new(LogObserver::new(&config.log));
        let names = Registry::default().extended(&config).map_err(SettingsError::from)?;
        observer.set_names(Arc::new(names), PeerHints::default());
        let usage = UsageFeed::start(&config, Arc::clone(&observer))?;
        let audience = Audience { log: Arc::clone(&observer), usage: Arc::clone(&usage) };
        let server = Server::start(&config, origin, trial, Arc::new(audience))?;
        let certificate_reloads = Arc::new(History::default());
        let certificates = CertificateWatch::new(
            server.certificates().map(|loaded| Arc::clone(loaded.certificates())),
            Arc::clone(&certificate_reloads),
            tokio::time::Instant::now(),
        );
        let running = Arc::new_cyclic(|me| Self {
            me: Weak::clone(me),
            server,
            observer,
            usage,
            source,
            logger,
            keys: doors.keys(),
            drain: Drain::default(),
            reloaded: Notify::new(),
            drain_changed: Notify::new(),
            config: Mutex::new(Arc::new(config)),
            is_coturn,
            warnings: Mutex::new(warnings),
            // It is shown to those who stand in other directories.
            path: path.map(|path| std::path::absolute(&path).unwrap_or(path)),
            certificates: tokio::sync::Mutex::new(certificates),
            reloads: History::default(),
            certificate_reloads,
            collector: Collector::default(),
            started: SystemTime::now(),
            last_beat: Mutex::new(Instant::now()),
        });
        running.set_names(running.server.registry());
        Ok((running, doors))
    }

    /// The serving half.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// What is in force.
    pub fn config(&self) -> Arc<Config> {
        Arc::clone(&lock(&self.config))
    }

    /// Where its doors are.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Serves `doors` and does what signals ask for, until a signal or the end of a drain says stop.
    ///
    /// # Errors
    /// A door cannot be served, or a shard has ended by itself.
    pub async fn look_after(
        self: &Arc<Self>,
        doors: Doors,
        mut signals: Signals,
    ) -> Result<(), String> {
        let (over, until) = watch::channel(false);
        doors.open(self, &until).map_err(|error| format!("error: {error}"))?;
        let beats = tokio::spawn(Arc::clone(self).beat());
        let tasks = [
            beats,
            tokio::spawn(Arc::clone(self).watch_certificates()),
            tokio::spawn(Arc::clone(self).follow_stores()),
            tokio::spawn(Arc::clone(self).follow_usage()),
            tokio::spawn(Arc::clone(self).follow_addresses()),
        ];
        systemd::ready(&self.status_line());
        self.logger.serve();
        let ended = self.serve(&mut signals).await;
        systemd::stopping(Duration::ZERO);
        tasks.iter().for_each(JoinHandle::abort);
        // The doors close, and the socket's file goes.
        over.send_replace(true);
        for _ in 0..CLOSING_TURNS {
            tokio::task::yield_now().await;
        }
        ended
    }

    /// Stops every shard.
    ///
    /// # Errors
    /// The first error that a shard ended with.
    pub fn stop(&self) -> std::io::Result<()> {
        self.server.stop()
    }

    async fn serve(self: &Arc<Self>, signals: &mut Signals) -> Result<(), String> {
        let mut looks = interval(Duration::from_secs(1));
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut drain_looks = interval(DRAIN_INTERVAL);
        drain_looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // Nothing here waits for a shard or for a reload: one that hangs must not keep the next signal
        // from being heard.
        loop {
            tokio::select! {
                wish = signals.next() => {
                    if let Some(signal) = self.heed(wish) {
                        info!(signal, "stopping");
                        return Ok(());
                    }
                }
                () = self.server.fleet().ended() => {
                    // Its clients would find nobody; a supervisor starts all of it anew.
                    error!("a shard has ended by itself");
                    return Err("error: a shard has ended by itself".to_owned());
                }
                _ = looks.tick() => self.observer.tick(),
                () = self.drain_changed.notified() => {}
                _ = drain_looks.tick(), if self.drain.draining().is_some() => {}
            }
            if self.drain_is_over() {
                return Ok(());
            }
        }
    }

    /// Does what a signal asks for; the signal's name if that is to stop now.
    fn heed(self: &Arc<Self>, wish: Wish) -> Option<&'static str> {
        match wish {
            Wish::Stop(signal) => {
                let patience = self.config().drain.on_term;
                // [R19] The second one ends.
                if patience.is_zero() || !self.begin_to_drain(Cause::Signal(signal), patience) {
                    return Some(signal);
                }
                systemd::stopping(patience);
            }
            Wish::Drain => {
                if !self.begin_to_drain(Cause::Signal("SIGUSR1"), self.config().drain.deadline) {
                    info!("SIGUSR1: draining already; SIGTERM ends it");
                }
            }
            Wish::Reload => {
                let running = Arc::clone(self);
                tokio::spawn(async move {
                    // It has been said in the log.
                    let _ = running.reload_for("SIGHUP").await;
                });
            }
            Wish::Certificates => {
                let running = Arc::clone(self);
                tokio::spawn(async move { running.reload_certificates("SIGUSR2").await });
            }
        }
        None
    }

    /// From now on no new allocation is made; false where that is so already.
    pub(crate) fn begin_to_drain(&self, cause: Cause, patience: Duration) -> bool {
        let enough = self.config().drain.min_allocations;
        if !self.drain.begin(cause, Instant::now(), patience, enough) {
            return false;
        }
        // [R19] Readiness goes with it at once.
        self.server.fleet().set_draining(true);
        let live = self.server.fleet().allocations();
        info!(
            cause = cause.as_str(),
            allocations = live,
            min_allocations = enough,
            deadline = patience.as_secs(),
            "draining: new allocations are refused, live ones go on"
        );
        systemd::status(&self.status_line());
        self.drain_changed.notify_one();
        true
    }

    fn drain_is_over(&self) -> bool {
        let live = self.server.fleet().allocations();
        match self.drain.look(Instant::now(), live) {
            None => return false,
            Some(Drained::Empty) => info!(allocations = live, "drained, stopping"),
            Some(Drained::Deadline(live)) => {
                warn!(allocations = live, "stopping at the deadline of the drain; what lives ends");
            }
        }
        true
    }

    /// Looks at the certificates' files whenever it is time.
    async fn watch_certificates(self: Arc<Self>) {
        loop {
            let next_look = self.certificates.lock().await.next_look();
            sleep_until(next_look).await;
            let mut watch = self.certificates.lock().await;
            if watch.look(tokio::time::Instant::now(), SystemTime::now()) {
                self.certificates_replaced().await;
            }
        }
    }

    async fn reload_certificates(&self, signal: &'static str) {
        let mut watch = self.certificates.lock().await;
        if watch.reload(signal, SystemTime::now()) {
            self.certificates_replaced().await;
        }
    }

    pub(crate) async fn certificates_replaced(&self) {
        if let Err(error) = self.server.certificates_replaced().await {
            error!(%error, "a shard has not taken the new certificate over");
        }
    }

    /// Feeds the watchdog for as long as every shard turns.
    async fn beat(self: Arc<Self>) {
        let asked = systemd::watchdog_interval();
        let mut beats = interval(asked.unwrap_or(BEAT_INTERVAL).min(BEAT_INTERVAL));
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_told = false;
        loop {
            beats.tick().await;
            match timeout(BEAT_PATIENCE, self.server.fleet().beat()).await {
                Ok(Ok(())) => {
                    *lock(&self.last_beat) = Instant::now();
                    is_told = false;
                    // [R21] Only then.
                    if asked.is_some() {
                        systemd::alive();
                    }
                }
                // The main loop sees that a shard has ended.
                Ok(Err(_)) => {}
                Err(_) if is_told => {}
                Err(_) => {
                    is_told = true;
                    error!(seconds = BEAT_PATIENCE.as_secs(), "a shard has not turned for so long");
                }
            }
        }
    }

    /// Whether every shard has turned lately.
    pub(crate) fn has_beaten(&self) -> bool {
        lock(&self.last_beat).elapsed() < BEAT_PATIENCE && self.server.fleet().is_running()
    }

    /// For `systemctl status`.
    pub(crate) fn status_line(&self) -> String {
        match self.drain.draining() {
            Some(draining) => {
                let live = self.server.fleet().allocations();
                format!("draining because of {}: {live} allocations left", draining.cause.as_str())
            }
            None => {
                let listening = self.server.listening().len();
                format!("serving on {listening} listeners, {} shards", self.server.fleet().shards())
            }
        }
    }

    /// Tells the log what realms, tenants and refused peers are called.
    pub(crate) fn set_names(&self, registry: Arc<Registry>) {
        let config = self.config();
        self.usage.apply(&config, &registry);
        let names: Vec<&str> = registry.realms().map(|(name, _)| name).collect();
        let own = self.server.own_addresses(&config);
        let hints = PeerHints::new(&config, names, own, self.is_coturn);
        self.observer.set_names(registry, hints);
    }
}

/// Turns of the runtime in which doors may close.
const CLOSING_TURNS: usize = 64;

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use turn_config::Environment;

    use super::*;
    use crate::arguments::Arguments;
    use crate::logging;
    use crate::surroundings::Surroundings;

    #[tokio::test]
    async fn a_reload_that_hangs_keeps_nobody_from_stopping_the_server() {
        let (running, doors) = start("[metrics]\naddress = 'off'\n[admin]\nsocket = 'off'\n");
        let hangs = running.certificates.lock().await;
        let signals = Signals::heed().unwrap();
        let looking = tokio::spawn({
            let running = Arc::clone(&running);
            async move { running.look_after(doors, signals).await }
        });
        // Longer than anything in the loop waits for its turn.
        tokio::time::sleep(Duration::from_millis(1_200)).await;
        running.begin_to_drain(Cause::Admin, Duration::ZERO);
        timeout(Duration::from_secs(5), looking).await.unwrap().unwrap().unwrap();
        drop(hangs);
        running.stop().unwrap();
    }

    fn start(text: &str) -> (Arc<Running>, Doors) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("t.toml");
        let port = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let listen = format!("[[listen]]\naddress = '127.0.0.1:{port}'\n");
        std::fs::write(&path, format!("shards = 1\n{listen}{text}")).unwrap();
        let line = ["turnserver".to_owned(), "-c".to_owned(), path.display().to_string()];
        let arguments = Arguments::parse(&line).unwrap();
        let source = Source::new(&arguments, Environment::default()).unwrap();
        let configured = source.load(&Surroundings::find().unwrap()).unwrap();
        let logger = logging::start(&configured.config.log).unwrap();
        Running::start(configured, source, None, logger).unwrap()
    }
}
