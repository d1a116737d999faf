//! What the credential store says, and the end of what a disabled credential has opened.

use turn_engine::{KeyAnswer, RealmId, ShardId, Ticket};

use super::{Cause, Simulation};
use crate::emitted::Emitted;
use crate::store::StoreMode;

impl Simulation {
    /// The store answers what it has kept waiting.
    pub(crate) fn answer_keys(&mut self) -> Emitted {
        let mut emitted = Emitted::default();
        for (shard, ticket, realm, name) in std::mem::take(&mut self.store.held) {
            let answer = self.setup.look_up(realm, &name);
            let now = self.clock.now();
            self.engine(shard).key_found(now, ticket, answer);
            self.drain(shard, now, &mut emitted);
        }
        self.settle(Cause::Host, &emitted, true);
        emitted
    }

    /// A credential is disabled: each shard is walked in steps of `most` places.
    pub(crate) fn end_allocations_of(
        &mut self,
        realm: RealmId,
        user: &str,
        most: usize,
    ) -> (usize, Emitted) {
        let mut emitted = Emitted::default();
        let mut count = 0;
        let now = self.clock.now();
        let shards = u8::try_from(self.process().engines.len()).unwrap_or(u8::MAX);
        for shard in (0..shards).map(ShardId) {
            let mut cursor = Some(0);
            while let Some(first) = cursor {
                let engine = self.engine(shard);
                let (ended, next) = engine.end_allocations_within(now, realm, user, (first, most));
                count += ended;
                cursor = next;
                self.drain(shard, now, &mut emitted);
            }
        }
        self.reference.end_accounts(|account| account.realm == realm && account.user == user);
        self.settle(Cause::Host, &emitted, true);
        (count, emitted)
    }

    pub(super) fn find_key(
        &mut self,
        shard: ShardId,
        ticket: Ticket,
        realm: RealmId,
        name: String,
    ) {
        let answer = match self.store.mode {
            StoreMode::Answers => Some(self.setup.look_up(realm, &name)),
            StoreMode::IsDown => Some(KeyAnswer::Unavailable),
            StoreMode::IsLate => {
                self.store.held.push((shard, ticket, realm, name.clone()));
                None
            }
            StoreMode::IsSilent => None,
        };
        self.store.asked.push((realm, name));
        if let Some(answer) = answer {
            let now = self.clock.now();
            self.engine(shard).key_found(now, ticket, answer);
        }
    }
}
