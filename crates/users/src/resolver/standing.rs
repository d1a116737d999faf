//! How a store does: what it is asked while it fails, what an operator hears of it.
//!
//! A store that has failed three look-ups in a row is down: one look-up at a time still goes to
//! it, the others are answered without it at once. So an outage holds up nobody for long, and
//! its end is noticed by the next look-up.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing::{info, warn};

use crate::{Store, StoreError};

/// How a store does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreHealth {
    /// Its [`name`](Store::name).
    pub name: String,
    /// It answers.
    pub is_up: bool,
    /// What it said when it failed last; nothing once it is back.
    pub last_error: Option<String>,
    /// Look-ups that went to it.
    pub looked_up: u64,
    /// Those of them that failed.
    pub failed: u64,
    /// Look-ups that memory answered with what it had said.
    pub cached: u64,
}

/// A store and how it does.
pub(super) struct Standing {
    store: Arc<dyn Store>,
    state: Mutex<State>,
    is_tried: AtomicBool,
    looked_up: AtomicU64,
    failed: AtomicU64,
    cached: AtomicU64,
}

#[derive(Debug, Default, Clone)]
struct State {
    /// Failed look-ups since the last good one.
    failures: u32,
    /// The last reading of the catalogue has failed.
    is_poll_failing: bool,
    /// It could not be reached for that.
    is_out_of_reach: bool,
    /// The operator has been told that it is down.
    is_announced: bool,
    /// The operator has been told of an answer that makes no sense.
    is_malformed_announced: bool,
    last_error: Option<String>,
}

/// Leave to ask a store; one that is down gives it to one look-up at a time.
#[derive(Debug)]
pub(super) struct Leave<'a> {
    trial: Option<&'a AtomicBool>,
}

const FAILURES_OF_A_STORE_THAT_IS_DOWN: u32 = 3;

impl Standing {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            state: Mutex::default(),
            is_tried: AtomicBool::new(false),
            looked_up: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            cached: AtomicU64::new(0),
        }
    }

    /// Takes over what is known of the store that stood in its place before a reload.
    pub(super) fn follow(self, former: &Self) -> Self {
        let counter = |former: &AtomicU64| AtomicU64::new(former.load(Ordering::Relaxed));
        Self {
            state: Mutex::new(former.state().clone()),
            looked_up: counter(&former.looked_up),
            failed: counter(&former.failed),
            cached: counter(&former.cached),
            ..self
        }
    }

    /// Nothing while it is down and already being tried.
    pub(super) fn leave(&self) -> Option<Leave<'_>> {
        if self.state().is_answering() {
            return Some(Leave { trial: None });
        }
        let is_first = !self.is_tried.swap(true, Ordering::Relaxed);
        // Made only where it is given: the end of one is the end of the trial.
        is_first.then(|| Leave { trial: Some(&self.is_tried) })
    }

    /// Counts a look-up, and tells the operator where it changes something.
    pub(super) fn looked_up(&self, failure: Option<&StoreError>) {
        self.looked_up.fetch_add(1, Ordering::Relaxed);
        let mut state = self.state();
        match failure {
            None => state.failures = 0,
            Some(error) => {
                self.failed.fetch_add(1, Ordering::Relaxed);
                state.last_error = Some(error.to_string());
                if is_about_one_answer(error) {
                    // It answers: what it said of one user is not usable.
                    state.failures = 0;
                    self.announce_malformed(&mut state, error);
                } else {
                    state.failures = state.failures.saturating_add(1);
                }
            }
        }
        self.announce(&mut state);
    }

    /// Notes how a reading of the catalogue went.
    pub(super) fn polled(&self, failure: Option<&StoreError>) {
        let mut state = self.state();
        state.is_poll_failing = failure.is_some();
        state.is_out_of_reach = failure.is_some_and(|error| !is_about_one_answer(error));
        match failure {
            Some(error) => state.last_error = Some(error.to_string()),
            None => state.failures = 0,
        }
        self.announce(&mut state);
    }

    pub(super) fn served_from_memory(&self) {
        self.cached.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    pub(super) fn name(&self) -> &str {
        self.store.name()
    }

    pub(super) fn health(&self) -> StoreHealth {
        let state = self.state();
        StoreHealth {
            name: self.name().to_owned(),
            is_up: state.is_up(),
            last_error: state.last_error.clone(),
            looked_up: self.looked_up.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            cached: self.cached.load(Ordering::Relaxed),
        }
    }

    /// WARN once when it goes down, INFO when it is back.
    fn announce(&self, state: &mut State) {
        let store = self.name();
        if state.is_up() == state.is_announced {
            state.is_announced = !state.is_announced;
            if state.is_announced {
                let error = state.last_error.as_deref().unwrap_or_default();
                if state.is_answering() && !state.is_out_of_reach {
                    warn!(
                        store,
                        error,
                        "a credential store's secrets and realms cannot be read: what was read \
                         last stays in force"
                    );
                } else {
                    warn!(
                        store,
                        error,
                        "a credential store does not answer: users that only it knows get 500 \
                         until it is back; live allocations go on"
                    );
                }
            } else {
                state.last_error = None;
                info!(store, "the credential store answers again");
            }
        }
    }

    fn announce_malformed(&self, state: &mut State, error: &StoreError) {
        if !state.is_malformed_announced {
            state.is_malformed_announced = true;
            let store = self.name();
            warn!(store, %error, "a credential store's answer makes no sense; said once");
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    const fn is_answering(&self) -> bool {
        self.failures < FAILURES_OF_A_STORE_THAT_IS_DOWN
    }

    const fn is_up(&self) -> bool {
        self.is_answering() && !self.is_poll_failing
    }
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        if let Some(trial) = self.trial {
            trial.store(false, Ordering::Relaxed);
        }
    }
}

impl fmt::Debug for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Standing").field("store", &self.name()).finish_non_exhaustive()
    }
}

/// The store has answered, only not usably.
const fn is_about_one_answer(error: &StoreError) -> bool {
    match error {
        StoreError::Malformed { .. } => true,
        StoreError::Unavailable { .. }
        | StoreError::Url { .. }
        | StoreError::Taken { .. }
        | StoreError::ReadOnly { .. } => false,
    }
}
