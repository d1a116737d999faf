//! How often something was reloaded, and how the last time went.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use turn_admin::ReloadFigures;

use crate::clock::unix_seconds;

/// Reloads of one kind.
#[derive(Debug, Default)]
pub struct History(Mutex<Past>);

/// What has been so far.
#[derive(Debug, Clone, Copy, Default)]
pub struct Past {
    applied: u64,
    failed: u64,
    /// When the last one was, and whether it was applied.
    pub last: Option<(SystemTime, bool)>,
    last_applied_at: Option<SystemTime>,
}

impl History {
    /// One more.
    pub fn add(&self, now: SystemTime, is_applied: bool) {
        let mut past = self.lock();
        past.last = Some((now, is_applied));
        if is_applied {
            past.applied += 1;
            past.last_applied_at = Some(now);
        } else {
            past.failed += 1;
        }
    }

    /// What has been so far.
    pub fn past(&self) -> Past {
        *self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, Past> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Past {
    /// For metrics.
    pub fn figures(&self) -> ReloadFigures {
        ReloadFigures {
            applied: self.applied,
            failed: self.failed,
            last_applied: self.last.map(|(_, is_applied)| is_applied),
            last_applied_at: self.last_applied_at.map(|at| {
                #[expect(clippy::cast_precision_loss, reason = "exact for millions of years")]
                let seconds = unix_seconds(at) as f64;
                seconds
            }),
        }
    }
}
