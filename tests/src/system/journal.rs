//! What the shards have reported: on which of them an allocation lives, and how others ended.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use turn_engine::{AllocationId, EndReason, Report, ShardId};
use turn_net::Observer;

/// An observer that remembers.
#[derive(Debug, Default)]
pub struct Journal {
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    /// The last allocation of each client.
    created: HashMap<SocketAddr, AllocationId>,
    ended: Vec<(AllocationId, EndReason)>,
}

impl Observer for Journal {
    fn report(&self, _: ShardId, report: Report) {
        match report {
            Report::Created { id, link, .. } => {
                self.entries().created.insert(link.tuple.client, id);
            }
            Report::Ended { id, reason, .. } => self.entries().ended.push((id, reason)),
            Report::AuthFailed { .. }
            | Report::Refused { .. }
            | Report::LimitReached { .. }
            | Report::PeerDenied { .. } => {}
        }
    }
}

impl Journal {
    /// The shard of a client's last allocation. A shard reports before it answers, so whoever
    /// holds a success response finds it here.
    ///
    /// # Panics
    /// When this client has allocated nothing.
    pub fn shard_of(&self, client: SocketAddr) -> ShardId {
        let entries = self.entries();
        entries.created.get(&client).expect("this client has an allocation").shard
    }

    /// How allocations have ended, in order.
    pub fn ended(&self) -> Vec<(AllocationId, EndReason)> {
        self.entries().ended.clone()
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
