//! Who finds the keys of users that only a credential store can know, and the slip that the
//! answer comes back with.
//!
//! ```text
//!   shard ──FindKey──> KeyFinder::find(realm, name, slip)     must not block
//!   shard <──mailbox── slip.answer(answer), from any thread
//! ```

use std::fmt;

use turn_engine::{KeyAnswer, RealmId, Ticket};

use crate::mailbox::{Address, Message};

/// Looks names up in credential stores.
pub trait KeyFinder: Send + Sync + fmt::Debug {
    /// Looks for the user of a realm by its prepared name and answers on the slip, now or later
    /// and from whichever thread. Called on a shard's thread: it must not block.
    fn find(&self, realm: RealmId, name: &str, slip: KeySlip);
}

/// Where the answer to one [`KeyFinder::find`] goes. Dropped without one, the answer is that the
/// store is unavailable.
#[derive(Debug)]
#[must_use = "a client waits for the answer"]
pub struct KeySlip {
    to: Option<(Address, Ticket)>,
}

impl KeySlip {
    pub(crate) const fn new(address: Address, ticket: Ticket) -> Self {
        Self { to: Some((address, ticket)) }
    }

    /// Answers. Should the shard's mailbox be full, the client hears after 5 s that the store is
    /// unavailable, and asks again.
    pub fn answer(mut self, answer: KeyAnswer) {
        self.post(answer);
    }

    fn post(&mut self, answer: KeyAnswer) {
        if let Some((address, ticket)) = self.to.take() {
            // A shard that has ended needs no answer, and one that is flooded answers by itself.
            let _ = address.post(Message::KeyFound { ticket, answer });
        }
    }
}

impl Drop for KeySlip {
    fn drop(&mut self) {
        self.post(KeyAnswer::Unavailable);
    }
}
