//! Turns at steps of TLS handshakes, each of which costs up to a millisecond.
//!
//! Between two of them everything else that is ready has its turn, so that a
//! thousand clients who connect at once hold no media up `[H15]`.

use tokio::sync::{AcquireError, Semaphore, SemaphorePermit};
use tokio::task::yield_now;

/// The handshakes of a shard, one step of one at a time.
#[derive(Debug)]
pub(crate) struct HandshakeTurns(Semaphore);

impl HandshakeTurns {
    pub(crate) const fn new() -> Self {
        Self(Semaphore::const_new(1))
    }

    /// Waits for a turn, which ends with the permit: take one step before the next
    /// await.
    ///
    /// # Errors
    /// Never: the turns are not closed.
    pub(crate) async fn next(&self) -> Result<SemaphorePermit<'_>, AcquireError> {
        let turn = self.0.acquire().await?;
        // Whoever was woken since the last step goes first, sockets included.
        yield_now().await;
        Ok(turn)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[tokio::test(flavor = "current_thread")]
    async fn h15_others_have_their_turn_between_two_steps() {
        let turns = std::rc::Rc::new(HandshakeTurns::new());
        let seen = std::rc::Rc::new(RefCell::new(Vec::new()));
        let tasks = tokio::task::LocalSet::new();
        for _ in 0..20 {
            let (turns, seen) = (turns.clone(), seen.clone());
            tasks.spawn_local(async move {
                let _turn = turns.next().await.unwrap();
                seen.borrow_mut().push("step");
            });
        }
        let packets = seen.clone();
        tasks
            .run_until(async move {
                while packets.borrow().iter().filter(|each| **each == "step").count() < 20 {
                    packets.borrow_mut().push("packets");
                    yield_now().await;
                }
            })
            .await;
        assert!(!seen.borrow().windows(2).any(|two| two == ["step", "step"]), "{seen:?}");
    }
}
