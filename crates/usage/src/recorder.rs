//! The handle that everybody else holds: it hands over and never waits.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc as blocking;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::sync::{mpsc, oneshot, watch};

use crate::database::Database;
use crate::worker::{Message, Worker};
use crate::{Ended, Live, LogPage, LogQuery, Options, Query, UsageError, UsageRows};

/// Messages that wait for the recorder's thread.
const INBOX: usize = 16_384;

/// How long the last handle waits for what is still to be written.
const FAREWELL: Duration = Duration::from_secs(5);

/// Counts what is relayed, keeps it in SQLite and answers questions about it.
///
/// The last handle that is dropped waits until everything is written, 5 s at most.
#[derive(Clone)]
pub struct Recorder {
    shared: Arc<Shared>,
}

struct Shared {
    path: Option<PathBuf>,
    /// There until the last handle is dropped.
    inbox: Option<mpsc::Sender<Message>>,
    options: watch::Sender<Options>,
    lost: Arc<AtomicU64>,
    /// Says nothing, and is closed when the thread has written everything.
    ended: Mutex<blocking::Receiver<()>>,
}

impl Recorder {
    /// Opens the file, makes it (mode 0600) where it is missing, and starts the thread. Without a
    /// path everything is kept in memory and ends with the process.
    ///
    /// # Errors
    /// The file cannot be used; it is left as it is, and the caller may go on in memory.
    pub fn open(path: Option<&Path>, options: Options) -> Result<Self, UsageError> {
        let (inbox, messages) = mpsc::channel(INBOX);
        let (options, changes) = watch::channel(options);
        let (opened, outcome) = blocking::sync_channel(1);
        let (end, ended) = blocking::sync_channel(1);
        let lost = Arc::new(AtomicU64::new(0));
        let path = path.map(Path::to_owned);
        let body = {
            let (path, lost) = (path.clone(), Arc::clone(&lost));
            move || {
                let _end: blocking::SyncSender<()> = end;
                let runtime = match Builder::new_current_thread().enable_all().build() {
                    Ok(runtime) => runtime,
                    Err(error) => {
                        let _ = opened.send(Err(UsageError::Thread(error.to_string())));
                        return;
                    }
                };
                runtime.block_on(async move {
                    let database = match Database::open(path.as_deref()).await {
                        Ok(database) => database,
                        Err(error) => {
                            let _ = opened.send(Err(error));
                            return;
                        }
                    };
                    let worker = Worker::new(database, messages, changes, lost);
                    let _ = opened.send(Ok(()));
                    worker.run().await;
                });
            }
        };
        thread::Builder::new()
            .name("usage".to_owned())
            .spawn(body)
            .map_err(|error| UsageError::Thread(error.to_string()))?;
        outcome.recv().map_err(|_| UsageError::Ended)??;
        let (inbox, ended) = (Some(inbox), Mutex::new(ended));
        Ok(Self { shared: Arc::new(Shared { path, inbox, options, lost, ended }) })
    }

    /// Counts what came since the last look. `live` are all that live; `unix_now` in seconds. What
    /// arrives while the thread is behind is left out, for the next look has it too.
    pub fn observe(&self, live: Vec<Live>, unix_now: u64) {
        self.hand_over(Message::Observed(live, unix_now));
    }

    /// Counts the rest of an allocation and writes it into the allocation log.
    pub fn ended(&self, ended: Ended, unix_now: u64) {
        if !self.hand_over(Message::Ended(Box::new(ended), unix_now)) {
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Exchanges the options.
    pub fn replace(&self, options: Options) {
        self.shared.options.send_replace(options);
    }

    /// Waits until everything that was handed over is written.
    ///
    /// # Errors
    /// The database does not answer; what was counted stays in memory and is tried again.
    pub async fn flush(&self) -> Result<(), UsageError> {
        self.ask(Message::Flush).await
    }

    /// Usage, with everything that was handed over until now.
    ///
    /// # Errors
    /// The database does not answer, or not in time.
    pub async fn usage(&self, query: Query) -> Result<UsageRows, UsageError> {
        self.ask(|answer| Message::Usage(query, answer)).await
    }

    /// A page of the allocation log.
    ///
    /// # Errors
    /// As [`Recorder::usage`].
    pub async fn log(&self, query: LogQuery) -> Result<LogPage, UsageError> {
        self.ask(|answer| Message::Log(query, answer)).await
    }

    /// Allocations whose end was not recorded because too much waited.
    pub fn lost(&self) -> u64 {
        self.shared.lost.load(Ordering::Relaxed)
    }

    /// The file; nothing: in memory.
    pub fn path(&self) -> Option<&Path> {
        self.shared.path.as_deref()
    }

    /// Whether there was room for it.
    fn hand_over(&self, message: Message) -> bool {
        self.shared.inbox.as_ref().is_some_and(|inbox| inbox.try_send(message).is_ok())
    }

    async fn ask<T>(
        &self,
        message: impl FnOnce(oneshot::Sender<Result<T, UsageError>>) -> Message,
    ) -> Result<T, UsageError> {
        let (answer, answered) = oneshot::channel();
        let inbox = self.shared.inbox.as_ref().ok_or(UsageError::Ended)?;
        inbox.send(message(answer)).await.map_err(|_| UsageError::Ended)?;
        answered.await.map_err(|_| UsageError::Ended)?
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // Without a sender the thread writes what it has and ends.
        self.inbox = None;
        let ended = self.ended.get_mut().unwrap_or_else(PoisonError::into_inner);
        let _ = ended.recv_timeout(FAREWELL);
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").field("path", &self.shared.path).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
