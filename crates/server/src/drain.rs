//! Leaving without hanging up on anybody. `[R19]`
//!
//! ```text
//! serving --begin(why, patience, enough)--> draining --live <= enough, or deadline--> done
//! ```
//!
//! While it drains the server is not ready, new Allocate requests get 508, and what lives goes on.
//! There is no way back: whoever changes their mind starts a server anew.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Why the server drains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// A signal, by its name.
    Signal(&'static str),
    /// `turnserver drain`, or `POST /drain`.
    Admin,
}

/// A drain under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Draining {
    /// Why.
    pub cause: Cause,
    /// Since when.
    pub since: Instant,
    /// When it ends whatever still lives.
    pub deadline: Instant,
    /// It ends when no more allocations live than this.
    pub enough: u32,
}

/// How a drain ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drained {
    /// Few enough allocations were left.
    Empty,
    /// This many were left at the deadline.
    Deadline(u32),
}

/// Whether the server serves or drains.
#[derive(Debug, Default)]
pub struct Drain(Mutex<Option<Draining>>);

impl Drain {
    /// Begins to drain for at most `patience`; false where it did so already, which changes nothing.
    pub fn begin(&self, cause: Cause, now: Instant, patience: Duration, enough: u32) -> bool {
        let mut state = self.lock();
        if state.is_some() {
            return false;
        }
        // Longer than the clock can count is for ever in practice.
        let deadline = now.checked_add(patience).unwrap_or(now + FOREVER);
        *state = Some(Draining { cause, since: now, deadline, enough });
        true
    }

    /// The drain under way.
    pub fn draining(&self) -> Option<Draining> {
        *self.lock()
    }

    /// Whether a drain is over, with so many allocations alive.
    pub fn look(&self, now: Instant, live: u32) -> Option<Drained> {
        let draining = self.draining()?;
        if live <= draining.enough {
            Some(Drained::Empty)
        } else if now >= draining.deadline {
            Some(Drained::Deadline(live))
        } else {
            None
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Draining>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const FOREVER: Duration = Duration::from_secs(365 * 86_400);

impl Cause {
    /// In one word, or two.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Signal(name) => name,
            Self::Admin => "turnserver drain",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn r19_a_drain_is_over_when_nobody_is_left() {
        let (drain, now) = (Drain::default(), Instant::now());
        assert_eq!(drain.look(now, 0), None);
        assert!(drain.begin(Cause::Signal("SIGUSR1"), now, MINUTE, 0));
        assert_eq!(drain.look(now, 3), None);
        assert_eq!(drain.look(now + MINUTE / 2, 0), Some(Drained::Empty));
    }

    #[test]
    fn r19_a_drain_is_over_at_its_deadline_or_at_its_threshold() {
        let (drain, now) = (Drain::default(), Instant::now());
        drain.begin(Cause::Admin, now, MINUTE, 2);
        assert_eq!(drain.look(now, 3), None);
        assert_eq!(drain.look(now, 2), Some(Drained::Empty));
        assert_eq!(drain.look(now + MINUTE, 3), Some(Drained::Deadline(3)));
    }

    #[test]
    fn a_second_beginning_changes_nothing() {
        let (drain, now) = (Drain::default(), Instant::now());
        drain.begin(Cause::Admin, now, MINUTE, 0);
        let first = drain.draining();
        assert!(!drain.begin(Cause::Signal("SIGUSR1"), now + MINUTE, MINUTE, 5));
        assert_eq!(drain.draining(), first);
    }

    #[test]
    fn no_deadline_is_too_far_away() {
        let (drain, now) = (Drain::default(), Instant::now());
        drain.begin(Cause::Admin, now, Duration::MAX, 0);
        assert_eq!(drain.look(now + MINUTE, 1), None);
    }
}
