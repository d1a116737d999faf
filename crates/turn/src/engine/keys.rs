//! The engine's calls for names that only a credential store can know.
//!
//! ```text
//!   request ──> gate ──> FindKey ──> host ──key_found──> gate, once more from the first byte
//!                 │                    │
//!                 └─ too many wait     └─ down, late, never: 500
//! ```

use turn_codec::Message;

use crate::auth_failure::AuthFailure;
use crate::engine::Engine;
use crate::found_user::KeyAnswer;
use crate::gate::{Refusal, Source};
use crate::id::{RealmId, Ticket};
use crate::link::{FiveTuple, Link};
use crate::outcome::Outcome;
use crate::time::Now;
use crate::waiting::Parking;

impl Engine {
    /// Takes the host's answer to [`FindKey`](crate::Action::FindKey). One that comes too late, or
    /// a second one, means nothing. Drain [`poll_action`](Engine::poll_action).
    pub fn key_found(&mut self, now: Now, ticket: Ticket, answer: KeyAnswer) {
        let Some(parked) = self.waiting.take(ticket) else { return };
        if matches!(answer, KeyAnswer::Unavailable) {
            self.counters.key_lookups_unavailable.add(1);
        }
        // What was parked has been parsed before.
        if let Ok(message) = Message::parse(&parked.bytes) {
            self.request(now, parked.link, message, &parked.bytes, Some(&answer));
        }
    }

    /// Requests of this shard that wait for [`key_found`](Self::key_found).
    pub fn waiting_for_keys(&self) -> usize {
        self.waiting.len()
    }

    /// Keeps a request until the host has answered.
    pub(super) fn ask(
        &mut self,
        now: Now,
        link: Link,
        message: &Message<'_>,
        bytes: &[u8],
        name: &str,
    ) -> Outcome {
        let is_exempt = self.settings.limits.exempts(link.tuple.client.ip());
        let request = (link, message.transaction_id());
        match self.waiting.park(request, bytes, name, is_exempt, now.mono) {
            Parking::Asked(ticket) => {
                self.counters.key_lookups.add(1);
                self.outbox.find_key(ticket, link.realm, name);
                Outcome::Handled
            }
            Parking::Known => Outcome::Handled,
            Parking::Full => {
                self.counters.key_lookups_full.add(1);
                let refusal = Refusal::Failed(AuthFailure::StoreUnavailable, Source::Proven);
                self.refused(now, link, message, refusal)
            }
        }
    }

    /// Answers what has waited long enough: the store does not.
    pub(super) fn give_up_waiting(&mut self, now: Now) {
        while let Some(ticket) = self.waiting.overdue(now.mono) {
            self.key_found(now, ticket, KeyAnswer::Unavailable);
        }
    }

    /// Whether an Allocate of this 5-tuple is under way.
    pub(super) fn has_begun(&self, tuple: &FiveTuple) -> bool {
        self.openings.contains(tuple) || self.waiting.contains(tuple)
    }

    /// Refuses the allocations of a user that are being made; how many there were.
    pub(super) fn refuse_openings_of(&mut self, now: Now, realm: RealmId, user: &str) -> usize {
        let account = self.gate.account_of(realm, user);
        let (openings, mut bench) = self.workbench();
        openings.refuse_of(&mut bench, now, |owner| owner.is_user(&account, user))
    }
}
