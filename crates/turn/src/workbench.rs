//! What a handler works on when its answer may come later: the engine lends it.

use crate::action::Outbox;
use crate::counters::Counters;
use crate::id::ShardId;
use crate::notes::note_response;
use crate::random::Random;
use crate::reject::Reject;
use crate::reply::{Asked, Reply, Signer};
use crate::settings::Settings;
use crate::shared::Shared;
use crate::table::Allocations;

/// The parts of an engine.
pub(crate) struct Workbench<'e> {
    pub(crate) shard: ShardId,
    pub(crate) table: &'e mut Allocations,
    pub(crate) settings: &'e Settings,
    pub(crate) shared: &'e Shared,
    pub(crate) counters: &'e Counters,
    pub(crate) random: &'e mut Random,
    pub(crate) outbox: &'e mut Outbox,
}

impl Workbench<'_> {
    pub(crate) fn refuse(&mut self, asked: &Asked, signer: &Signer, reject: &Reject) {
        asked.refuse(signer, reject, self.outbox);
        note_response(self.counters, self.shared, asked, Some(reject), self.outbox);
    }

    pub(crate) fn succeed(&mut self, asked: &Asked, signer: &Signer, reply: &Reply) {
        asked.succeed(signer, reply, self.outbox);
        note_response(self.counters, self.shared, asked, None, self.outbox);
    }
}
