//! Who waits for an answer, and what it can be.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::StoredUser;

/// What a look-up came to.
#[derive(Debug, Clone)]
pub enum Answer {
    /// The first store, in their order, that knows the user.
    Found(StoredUser),
    /// Every store has answered, and none knows the user.
    Unknown,
    /// A store that might know the user has failed, or too much is being asked: try again.
    Unavailable,
}

type Callback = Box<dyn FnOnce(Answer) + Send>;

/// One question. Dropped without an answer, it answers [`Answer::Unavailable`].
pub(super) struct Caller {
    callback: Option<Callback>,
    waiting: Arc<AtomicUsize>,
}

impl Caller {
    /// Nothing where `most` wait already; the callback has been called then.
    pub(super) fn admit(
        waiting: &Arc<AtomicUsize>,
        most: usize,
        callback: Callback,
    ) -> Option<Self> {
        // Made first: where the bound is passed, dropping it answers and counts down again.
        let before = waiting.fetch_add(1, Ordering::Relaxed);
        let caller = Self { callback: Some(callback), waiting: Arc::clone(waiting) };
        (before < most).then_some(caller)
    }

    pub(super) fn answer(mut self, answer: Answer) {
        self.finish(answer);
    }

    fn finish(&mut self, answer: Answer) {
        if let Some(callback) = self.callback.take() {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            callback(answer);
        }
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        self.finish(Answer::Unavailable);
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller").finish_non_exhaustive()
    }
}
