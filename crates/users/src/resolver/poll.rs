//! Reading a store's catalogue, again and again.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::desk::Event;
use super::options::Options;
use super::standing::Standing;
use crate::{Catalog, StoreError};

/// Which reading of which store: those of before a reload are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) generation: u64,
    pub(super) store: usize,
}

/// Reads until it is aborted or nobody listens.
pub(super) async fn poll(
    standing: Arc<Standing>,
    reading: Reading,
    options: Options,
    events: UnboundedSender<Event>,
) {
    // The start of the server waits for the first reading: it gets no longer than a look-up.
    // If that is too short, the next one comes soon.
    let mut within = options.deadline.min(options.poll_within);
    let mut pause = options.poll_every / 5;
    loop {
        let result = read(&standing, within).await;
        if result.is_ok() {
            pause = options.poll_every;
        }
        standing.polled(result.as_ref().err());
        if events.send(Event::Polled(reading, result.ok())).is_err() {
            return;
        }
        sleep(about(pause)).await;
        (within, pause) = (options.poll_within, options.poll_every);
    }
}

/// A task of its own: a driver that panics is a store that fails.
async fn read(standing: &Standing, within: Duration) -> Result<Catalog, StoreError> {
    let unavailable =
        |reason| StoreError::Unavailable { store: standing.name().to_owned(), reason };
    let store = Arc::clone(standing.store());
    let mut task = JoinSet::new();
    task.spawn(async move { store.catalog().await });
    match timeout(within, task.join_next()).await {
        Ok(Some(Ok(result))) => result,
        Ok(_) => Err(unavailable("reading its catalogue panicked".to_owned())),
        Err(_) => {
            let millis = within.as_millis();
            Err(unavailable(format!("its catalogue could not be read within {millis} ms")))
        }
    }
}

/// A fifth more or less, so that many servers do not ask one database at the same moment.
fn about(time: Duration) -> Duration {
    let random = getrandom::u32().unwrap_or(u32::MAX / 2);
    time.mul_f64(0.4f64.mul_add(f64::from(random) / f64::from(u32::MAX), 0.8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_a_fifth_longer_or_shorter() {
        let mut pauses: Vec<_> = (0..1_000).map(|_| about(Duration::from_secs(5))).collect();
        pauses.sort_unstable();
        assert!(pauses.first().is_some_and(|least| *least >= Duration::from_secs(4)));
        assert!(pauses.last().is_some_and(|most| *most <= Duration::from_secs(6)));
        pauses.dedup();
        assert!(pauses.len() > 900);
    }
}
