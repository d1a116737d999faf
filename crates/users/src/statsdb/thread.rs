//! The handle that other threads have of the publisher.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use tokio::runtime;
use tokio::sync::mpsc;

use super::event::StatsEvent;
use super::publisher::Publisher;
use crate::StoreError;
use crate::redis::Line;

/// Publishes to a Redis server, from a thread of its own.
///
/// Dropping it publishes what waits, for a second at most.
#[derive(Debug)]
pub struct StatsDb {
    events: Option<mpsc::Sender<StatsEvent>>,
    dropped: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

/// Events that wait.
const QUEUE: usize = 8192;

impl StatsDb {
    /// Opens the database by its URL; connects with the first event.
    ///
    /// # Errors
    /// The URL cannot be used, or no thread can be started.
    pub fn connect(url: &str) -> Result<Self, StoreError> {
        let line = Line::open("metrics.redis_statsdb", url)?;
        let failed = |error: io::Error| StoreError::Unavailable {
            store: "metrics.redis_statsdb".to_owned(),
            reason: format!("its thread cannot be started: {error}"),
        };
        let runtime =
            runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let (events, received) = mpsc::channel(QUEUE);
        let dropped = Arc::default();
        let publisher = Publisher::new(line, Arc::clone(&dropped));
        let thread = std::thread::Builder::new()
            .name("statsdb".to_owned())
            .spawn(move || {
                runtime.block_on(publisher.serve(received));
                runtime.shutdown_background();
            })
            .map_err(failed)?;
        Ok(Self { events: Some(events), dropped, thread: Some(thread) })
    }

    /// Takes an event on its way. Never blocks.
    pub fn publish(&self, event: StatsEvent) {
        let is_taken = self.events.as_ref().is_some_and(|events| events.try_send(event).is_ok());
        if !is_taken {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Events that nobody heard of: no room, or no server.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

impl Drop for StatsDb {
    fn drop(&mut self) {
        self.events = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
