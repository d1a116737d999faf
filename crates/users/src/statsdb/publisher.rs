//! What runs in the thread: events become commands, and keys are put right after an outage.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use redis::Pipeline;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tracing::{info, warn};

use super::event::{StatsChange, StatsEvent, StatsId, StatsTraffic};
use crate::StoreError;
use crate::redis::Line;

/// Turns events into what coturn sends.
pub(super) struct Publisher {
    line: Line,
    dropped: Arc<AtomicU64>,
    live: HashMap<StatsId, Live>,
    /// Status keys of allocations that ended while the server was away.
    left_behind: Vec<String>,
    state: State,
    is_announced: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The keys of a former process are there.
    Fresh,
    Up,
    /// Keys and what lives differ.
    Down,
}

/// What is known of an allocation that lives.
struct Live {
    /// What its keys begin with.
    key: String,
    status: String,
    published: StatsTraffic,
}

/// Events sent at once.
const BATCH: usize = 256;
/// Allocations whose state is known, for the time after an outage.
const MOST_REMEMBERED: usize = 262_144;
/// Ended ones whose key could not be deleted.
const MOST_LEFT_BEHIND: usize = 65_536;
/// Keys that one step of a sweep looks at, and how many steps there are at most.
const STEP: usize = 1000;
const MOST_STEPS: usize = 10_000;
/// What a stop waits for.
const LAST_WORDS: Duration = Duration::from_secs(1);

impl Publisher {
    pub(super) fn new(line: Line, dropped: Arc<AtomicU64>) -> Self {
        let (live, left_behind) = (HashMap::new(), Vec::new());
        Self { line, dropped, live, left_behind, state: State::Fresh, is_announced: false }
    }

    /// Publishes until nobody has events any more.
    pub(super) async fn serve(mut self, mut events: mpsc::Receiver<StatsEvent>) {
        let mut batch = Vec::with_capacity(BATCH);
        while events.recv_many(&mut batch, BATCH).await > 0 {
            if !events.is_closed() {
                self.publish(&mut batch).await;
            } else if timeout(LAST_WORDS, self.publish(&mut batch)).await.is_err() {
                return;
            }
        }
    }

    async fn publish(&mut self, batch: &mut Vec<StatsEvent>) {
        let is_ready = self.catch_up().await;
        let count = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        let mut pipeline = Pipeline::new();
        for event in batch.drain(..) {
            self.note(event, &mut pipeline);
        }
        let result = match is_ready {
            Ok(()) if pipeline.is_empty() => Ok(()),
            Ok(()) => self.line.ask::<()>(&pipeline).await,
            Err(error) => Err(error),
        };
        match result {
            Ok(()) => self.is_up(),
            Err(error) => self.is_down(count, &error),
        }
    }

    /// Makes the keys agree with what lives.
    async fn catch_up(&mut self) -> Result<(), StoreError> {
        match self.state {
            State::Up => return Ok(()),
            State::Fresh => {
                self.sweep().await?;
                self.state = State::Down;
            }
            State::Down => {}
        }
        while let Some(start) = self.left_behind.len().checked_sub(1) {
            let start = start / BATCH * BATCH;
            let keys = self.left_behind.get(start..).unwrap_or_default();
            let mut pipeline = Pipeline::new();
            pipeline.del(keys).ignore();
            self.line.ask::<()>(&pipeline).await?;
            self.left_behind.truncate(start);
        }
        let live: Vec<&Live> = self.live.values().collect();
        for some in live.chunks(BATCH) {
            let mut pipeline = Pipeline::new();
            for live in some {
                pipeline.set(status_key(&live.key), &live.status).ignore();
            }
            self.line.ask::<()>(&pipeline).await?;
        }
        self.state = State::Up;
        Ok(())
    }

    /// Deletes the status keys of a former process, as coturn does when it starts.
    async fn sweep(&self) -> Result<(), StoreError> {
        let mut cursor = 0_u64;
        for _ in 0..MOST_STEPS {
            let mut pipeline = Pipeline::new();
            pipeline.cmd("SCAN").arg(cursor);
            pipeline.arg("MATCH").arg("turn/*/allocation/*/status").arg("COUNT").arg(STEP);
            let ((next, keys),): ((u64, Vec<Vec<u8>>),) = self.line.ask(&pipeline).await?;
            if !keys.is_empty() {
                let mut pipeline = Pipeline::new();
                pipeline.del(keys).ignore();
                self.line.ask::<()>(&pipeline).await?;
            }
            cursor = next;
            if cursor == 0 {
                break;
            }
        }
        Ok(())
    }

    fn note(&mut self, event: StatsEvent, pipeline: &mut Pipeline) {
        let key = event.key();
        match event.change {
            StatsChange::New(status) => self.set(event.id, key, status.text("new"), pipeline),
            StatsChange::Refreshed(status) => {
                self.set(event.id, key, status.text("refreshed"), pipeline);
            }
            StatsChange::Traffic(total) => {
                let Some(live) = self.live.get_mut(&event.id) else { return };
                let since = total.since(&live.published);
                if since != StatsTraffic::default() {
                    live.published = total;
                    publish_traffic(pipeline, &key, "traffic", &since);
                }
            }
            StatsChange::Deleted(total) => {
                let published = self.live.remove(&event.id).map(|live| live.published);
                let since = total.since(&published.unwrap_or_default());
                publish_traffic(pipeline, &key, "traffic", &since);
                let status = status_key(&key);
                pipeline.del(&status).ignore();
                pipeline.publish(&status, "deleted").ignore();
                publish_traffic(pipeline, &key, "total_traffic", &total);
                // Forgotten again as soon as this batch has arrived.
                if self.left_behind.len() < MOST_LEFT_BEHIND {
                    self.left_behind.push(status);
                }
            }
        }
    }

    fn set(&mut self, id: StatsId, key: String, status: String, pipeline: &mut Pipeline) {
        let status_key = status_key(&key);
        pipeline.set(&status_key, &status).ignore();
        pipeline.publish(status_key, &status).ignore();
        if let Some(live) = self.live.get_mut(&id) {
            live.status = status;
        } else if self.live.len() < MOST_REMEMBERED {
            self.live.insert(id, Live { key, status, published: StatsTraffic::default() });
        }
    }

    fn is_up(&mut self) {
        self.left_behind.clear();
        if self.is_announced {
            self.is_announced = false;
            let dropped = self.dropped.load(Ordering::Relaxed);
            info!(server = self.line.name(), dropped, "the statistics database answers again");
        }
    }

    fn is_down(&mut self, lost: u64, error: &StoreError) {
        self.dropped.fetch_add(lost, Ordering::Relaxed);
        if self.state == State::Up {
            self.state = State::Down;
        }
        if !self.is_announced {
            self.is_announced = true;
            warn!(%error, "the statistics database does not answer: events are dropped until it is back");
        }
    }
}

fn status_key(key: &str) -> String {
    format!("{key}/status")
}

fn publish_traffic(pipeline: &mut Pipeline, key: &str, what: &str, traffic: &StatsTraffic) {
    pipeline.publish(format!("{key}/{what}"), traffic.at_client()).ignore();
    pipeline.publish(format!("{key}/{what}/peer"), traffic.at_peers()).ignore();
}
