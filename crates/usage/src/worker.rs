//! The recorder's thread: takes what is handed over, writes every few seconds, answers.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tracing::{info, warn};

use crate::database::Database;
use crate::ledger::{Ledger, Pending};
use crate::totals::{Crossing, Totals};
use crate::webhook::Webhooks;
use crate::{Day, Ended, Live, LogPage, LogQuery, Options, Query, UsageError, UsageRows};

/// How often what was counted is written.
const COMMIT: Duration = Duration::from_secs(5);

/// How long messages gather before the next look.
const GATHER: Duration = Duration::from_millis(20);

/// How long a query may take.
const QUERY: Duration = Duration::from_secs(30);

/// How long the last write may take.
const LAST_WRITE: Duration = Duration::from_secs(3);

/// How long webhooks that are being called may take at the end.
const LAST_CALLS: Duration = Duration::from_millis(1_500);

/// What a handle sends.
pub(crate) enum Message {
    Observed(Vec<Live>, u64),
    Ended(Box<Ended>, u64),
    Flush(Answer<()>),
    Usage(Query, Answer<UsageRows>),
    Log(LogQuery, Answer<LogPage>),
}

type Answer<T> = oneshot::Sender<Result<T, UsageError>>;

/// A write that is under way: what it writes, and whether that was done.
type Commit = JoinHandle<(Pending, Result<(), UsageError>)>;

/// Everything that the thread has.
pub(crate) struct Worker {
    database: Database,
    messages: mpsc::Receiver<Message>,
    options: watch::Receiver<Options>,
    lost: Arc<AtomicU64>,
    ledger: Ledger,
    totals: Totals,
    webhooks: Webhooks,
    committing: Option<Commit>,
    /// The last time that was handed over.
    unix_now: u64,
    day: Option<Day>,
    /// What the database says of the present period is not in `totals` yet.
    must_load: bool,
    /// The last write failed, and somebody was told.
    is_down: bool,
}

impl Worker {
    pub(crate) fn new(
        database: Database,
        messages: mpsc::Receiver<Message>,
        options: watch::Receiver<Options>,
        lost: Arc<AtomicU64>,
    ) -> Self {
        Self {
            database,
            messages,
            options,
            lost,
            ledger: Ledger::new(Ledger::MOST_ROWS),
            totals: Totals::default(),
            webhooks: Webhooks::default(),
            committing: None,
            unix_now: 0,
            day: None,
            must_load: true,
            is_down: false,
        }
    }

    /// Works until the last handle is gone, and then writes what there is.
    pub(crate) async fn run(mut self) {
        let mut commit = interval(COMMIT);
        commit.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                message = self.messages.recv() => match message {
                    Some(message) => self.take_all(message).await,
                    None => break,
                },
                _ = commit.tick() => self.begin_commit(),
                written = finished(&mut self.committing) => self.written(written).await,
                Ok(()) = self.options.changed() => self.replaced().await,
                crossing = self.webhooks.delivered() => self.delivered(&crossing).await,
            }
        }
        if timeout(LAST_WRITE, self.settle()).await.is_err() {
            warn!("usage: the last write took too long; a few seconds are lost");
        }
        let calls = async {
            while let Some(crossing) = self.webhooks.last().await {
                self.delivered(&crossing).await;
            }
        };
        // What is not taken by then is called after the next start.
        let _ = timeout(LAST_CALLS, calls).await;
        self.database.close().await;
    }

    /// Takes this message and what has come behind it, and then lets some more come: whoever hands
    /// over has a thread to wake only where it waits, and shards hand over each end.
    async fn take_all(&mut self, message: Message) {
        self.take(message).await;
        for _ in 0..self.messages.max_capacity() {
            let Ok(message) = self.messages.try_recv() else { break };
            self.take(message).await;
        }
        sleep(GATHER).await;
    }

    async fn take(&mut self, message: Message) {
        match message {
            Message::Observed(live, now) => {
                let day = self.turn(now).await;
                self.ledger.observe(live, day, &mut self.totals);
            }
            Message::Ended(ended, now) => {
                let day = self.turn(now).await;
                if !self.ledger.end(ended, day, &mut self.totals) {
                    self.lost.fetch_add(1, Ordering::Relaxed);
                }
            }
            Message::Flush(answer) => {
                let _ = answer.send(self.settle().await);
            }
            Message::Usage(query, answer) => {
                let database = self.database.clone();
                self.query(answer, async move { database.usage(query).await }).await;
            }
            Message::Log(query, answer) => {
                let database = self.database.clone();
                self.query(answer, async move { database.log(query).await }).await;
            }
        }
    }

    /// Answers beside the loop, with everything that was counted until now.
    async fn query<T: Send + 'static>(
        &mut self,
        answer: Answer<T>,
        query: impl Future<Output = Result<T, UsageError>> + Send + 'static,
    ) {
        if let Err(error) = self.settle().await {
            let _ = answer.send(Err(error));
            return;
        }
        tokio::spawn(async move {
            let outcome = timeout(QUERY, query).await;
            let _ = answer.send(outcome.unwrap_or(Err(UsageError::TooSlow(QUERY.as_secs()))));
        });
    }

    /// Notes the time; the first one of a day prunes.
    async fn turn(&mut self, now: u64) -> Day {
        self.unix_now = now;
        let day = Day::of(now);
        if self.day.replace(day) != Some(day) {
            self.prune(day);
            if !self.is_down {
                self.know(day).await;
            }
        }
        // While the database is down only writes are tried, and nobody waits for those here.
        if self.must_load && self.committing.is_none() && !self.is_down {
            self.load(day).await;
        }
        day
    }

    /// Learns which rows the day has already.
    async fn know(&mut self, day: Day) {
        match self.database.parties(day, Ledger::MOST_ROWS).await {
            Ok(parties) => self.ledger.know(day, parties),
            Err(error) => self.failed(&error),
        }
    }

    /// Adds up what the thresholds watch, from the database and from what is not in it yet. No
    /// write may be under way.
    async fn load(&mut self, day: Day) {
        let thresholds = self.options.borrow().thresholds.clone();
        let mut totals = Totals::new(&thresholds, day);
        let watched: Vec<_> = totals.watched().collect();
        for (place, threshold, start) in watched {
            let (sums, passed) = match self.database.sums(&threshold, start).await {
                Ok(known) => known,
                Err(error) => return self.failed(&error),
            };
            totals.load(place, sums, passed);
            match self.database.undelivered(&threshold, start).await {
                Ok(crossings) => self.webhooks.send_all(crossings),
                Err(error) => return self.failed(&error),
            }
        }
        for (day, party, count) in self.ledger.pending().rows() {
            totals.add(day, party, count.traffic.bytes());
        }
        self.totals = totals;
        self.must_load = false;
        self.record().await;
    }

    async fn replaced(&mut self) {
        self.options.mark_unchanged();
        self.webhooks.forget();
        self.must_load = true;
        if let Some(day) = self.day
            && self.settle().await.is_ok()
        {
            self.load(day).await;
            self.prune(day);
        }
    }

    /// Deletes beside the loop what is older than it is to be kept.
    fn prune(&self, day: Day) {
        let (keep, keep_log) = {
            let options = self.options.borrow();
            (options.keep, options.keep_log)
        };
        let (database, now) = (self.database.clone(), self.unix_now);
        tokio::spawn(async move {
            if let Err(error) = database.prune(day, now, keep, keep_log).await {
                warn!(%error, "usage: old rows are not deleted; tried again tomorrow");
            }
        });
    }

    fn begin_commit(&mut self) {
        if self.committing.is_some() || self.ledger.pending().is_empty() {
            return;
        }
        let (database, pending) = (self.database.clone(), self.ledger.take());
        self.committing = Some(tokio::spawn(async move {
            let outcome = database.write(&pending).await;
            (pending, outcome)
        }));
    }

    /// Writes everything that was counted until now.
    async fn settle(&mut self) -> Result<(), UsageError> {
        while self.committing.is_some() {
            let written = finished(&mut self.committing).await;
            self.written(written).await;
        }
        let pending = self.ledger.take();
        let outcome = self.database.write(&pending).await;
        let answer = outcome.clone();
        self.written(Some((pending, outcome))).await;
        answer
    }

    /// What came of a write. What was not written stays counted and is tried again.
    async fn written(&mut self, written: Option<(Pending, Result<(), UsageError>)>) {
        let Some((pending, outcome)) = written else { return };
        if let Err(error) = outcome {
            let lost = self.ledger.take_back(pending);
            self.lost.fetch_add(lost, Ordering::Relaxed);
            return self.failed(&error);
        }
        if self.is_down {
            self.is_down = false;
            info!("usage is written again");
        }
        self.record().await;
    }

    /// Records which thresholds were passed, and calls for those that nobody has recorded yet.
    async fn record(&mut self) {
        let mut crossings = self.totals.take();
        for crossing in &mut crossings {
            crossing.at = self.unix_now;
        }
        if crossings.is_empty() {
            return;
        }
        match self.database.record(&crossings).await {
            Ok(new) => self.webhooks.send_all(new),
            Err(error) => {
                self.totals.take_back(crossings);
                self.failed(&error);
            }
        }
    }

    /// Remembers that a webhook was called.
    async fn delivered(&self, crossing: &Crossing) {
        if let Err(error) = self.database.delivered(crossing, self.unix_now).await {
            warn!(%error, "usage: that a webhook was called is not remembered");
        }
    }

    fn failed(&mut self, error: &UsageError) {
        if !self.is_down {
            self.is_down = true;
            warn!(
                %error,
                "usage is not written and waits in memory; look at usage.path, its disk and its mode"
            );
        }
    }
}

/// The end of the write that is under way; never where there is none.
async fn finished(commit: &mut Option<Commit>) -> Option<(Pending, Result<(), UsageError>)> {
    let Some(running) = commit else { return pending().await };
    let outcome = running.await;
    *commit = None;
    outcome.ok()
}
