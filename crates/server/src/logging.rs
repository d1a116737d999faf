//! Logs: the subscriber, and what becomes of an engine's reports.
//!
//! A shard must never wait for whoever reads the log, so once it serves, lines
//! go through a bounded queue to a thread of their own and are dropped when it
//! is full. What the start has to say is written at once: nobody waits for it,
//! and it stands above the banner. User names are shown escaped, one record a
//! line `[H29]`.

use std::collections::HashSet;
use std::io::{Stderr, stderr};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tracing::{debug, info, warn};
use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::writer::EitherWriter;
use turn_config::{Log, LogFormat, LogLevel};
use turn_engine::{Report, ShardId};
use turn_net::Observer;

/// The running log; what is queued is written when it is dropped.
#[derive(Debug)]
pub struct Logging {
    is_serving: Arc<AtomicBool>,
    _queue: WorkerGuard,
}

impl Logging {
    /// From now on nobody waits for whoever reads the log.
    pub fn serve(&self) {
        self.is_serving.store(true, Ordering::Relaxed);
    }
}

/// Where a line goes: straight to standard error until the server serves, through the queue then.
#[derive(Debug)]
struct Lines {
    is_serving: Arc<AtomicBool>,
    queue: NonBlocking,
}

impl MakeWriter<'_> for Lines {
    type Writer = EitherWriter<NonBlocking, Stderr>;

    fn make_writer(&self) -> Self::Writer {
        if self.is_serving.load(Ordering::Relaxed) {
            EitherWriter::A(self.queue.clone())
        } else {
            EitherWriter::B(stderr())
        }
    }
}

/// Starts logging to standard error.
pub fn start(log: &Log) -> Logging {
    let (queue, guard) = NonBlockingBuilder::default().lossy(true).finish(stderr());
    let is_serving = Arc::new(AtomicBool::new(false));
    let writer = Lines { is_serving: Arc::clone(&is_serving), queue };
    let level = match log.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    // [H29] The DTLS library logs what any client can provoke.
    let filter = EnvFilter::new(format!("{level},dimpl=off"));
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).with_target(false);
    // A second start in one process, as in tests, keeps the first one's subscriber.
    let _ = match log.format {
        LogFormat::Text => builder.with_ansi(false).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    Logging { is_serving, _queue: guard }
}

/// Writes an engine's reports to the log.
#[derive(Debug, Default)]
pub struct LogObserver {
    denied: Mutex<HashSet<IpAddr>>,
}

/// Denied peers that get a line of their own before we fall silent.
const MOST_DENIED: usize = 32;

impl Observer for LogObserver {
    fn report(&self, shard: ShardId, report: Report) {
        match report {
            Report::Created { id, user, link, relayed, lifetime } => {
                let relayed: Vec<_> = relayed.into_iter().flatten().collect();
                info!(%id, ?user, client = %link.tuple.client, ?relayed, lifetime = lifetime.as_secs(), "allocation created");
            }
            Report::Ended { id, user, reason, traffic, age } => info!(
                %id,
                ?user,
                reason = reason.as_str(),
                age = age.as_secs(),
                up_packets = traffic.up_packets,
                up_bytes = traffic.up_bytes,
                down_packets = traffic.down_packets,
                down_bytes = traffic.down_bytes,
                "allocation ended"
            ),
            Report::Refused { client, method, code } => {
                debug!(shard = shard.0, %client, method, code, "request refused")
            }
            Report::LimitReached { key } => warn!(
                key = format!("limits.{key}"),
                "a limit has refused for the first time; raise it or set it to \"off\" if this was no abuse"
            ),
            Report::PeerDenied { peer } => self.denied(peer),
        }
    }

    fn out_of_descriptors(&self, shard: ShardId, error: &std::io::Error) {
        warn!(
            shard = shard.0, %error,
            "a connection cannot be accepted for want of descriptors or memory; what lives goes on, and accepting goes on by itself; \
             raise LimitNOFILE= in the systemd unit, or `ulimit -Hn`"
        );
    }
}

impl LogObserver {
    /// The first refusal of an address names the line that would allow it.
    fn denied(&self, peer: IpAddr) {
        let mut denied = self.denied.lock().unwrap_or_else(PoisonError::into_inner);
        if denied.len() < MOST_DENIED && denied.insert(peer) {
            warn!(
                %peer,
                "a client asked for a peer that the peer policy denies; if it is meant to be reached, \
                 put it under [peers]: allow = [\"{peer}\"] (an address of this host needs its ports: \
                 \"{peer}:10000-20000\")"
            );
        }
    }
}
