//! Requests that wait for a credential store to say whose name they give.
//!
//! RFC 8489 section 9.2.4: what cannot be judged yet is kept as it came, and judged again from its
//! first byte once the host has answered [`Action::FindKey`](crate::Action::FindKey). Nothing is
//! kept of a sender who has not proven its address by a nonce, and no more than
//! [`MOST`] requests of at most [`MOST_BYTES`] bytes for [`LONGEST`].

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use turn_codec::TransactionId;

use crate::id::{RealmId, Ticket};
use crate::link::{FiveTuple, Link, LinkId, SourcePrefix};

/// Requests of a shard that may wait at a time.
pub(crate) const MOST: usize = 1_024;

/// Of these, how many may come from one IPv4 address or IPv6 /64, so that no single one takes all
/// the room.
pub(crate) const MOST_OF_SOURCE: usize = MOST / 4;

/// A request that is longer has nothing that an Allocate needs.
pub(crate) const MOST_BYTES: usize = 2_048;

/// How long a request waits at most; the host answers within a second.
pub(crate) const LONGEST: Duration = Duration::from_secs(5);

/// The requests of a shard that wait for a key.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    /// By ticket, which is by age: all wait equally long.
    requests: BTreeMap<Ticket, Parked>,
    tickets: u64,
}

/// One request as it came.
#[derive(Debug)]
pub(crate) struct Parked {
    pub(crate) link: Link,
    pub(crate) bytes: Box<[u8]>,
    /// The name that is asked for, as the store has it.
    pub(crate) name: Box<str>,
    transaction: TransactionId,
    arrived: Instant,
}

/// What became of a request that is to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parking {
    /// It waits from now on.
    Asked(Ticket),
    /// It waits already: this is its retransmit.
    Known,
    /// Too many wait.
    Full,
}

impl Waiting {
    /// Keeps a request. Sources that are exempt from limits may take all the room.
    pub(crate) fn park(
        &mut self,
        (link, transaction): (Link, TransactionId),
        bytes: &[u8],
        name: &str,
        is_exempt: bool,
        now: Instant,
    ) -> Parking {
        let source = SourcePrefix::of(link.tuple.client.ip());
        let mut of_source = 0;
        for parked in self.requests.values() {
            if parked.transaction == transaction && parked.link.tuple == link.tuple {
                return Parking::Known;
            }
            of_source += usize::from(SourcePrefix::of(parked.link.tuple.client.ip()) == source);
        }
        // [H11] Bounded, and who gets here has proven its address.
        let is_full = self.requests.len() >= MOST || !is_exempt && of_source >= MOST_OF_SOURCE;
        if is_full || bytes.len() > MOST_BYTES {
            return Parking::Full;
        }
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        let parked =
            Parked { link, bytes: bytes.into(), name: name.into(), transaction, arrived: now };
        self.requests.insert(ticket, parked);
        Parking::Asked(ticket)
    }

    /// The request of a ticket, which waits no more.
    pub(crate) fn take(&mut self, ticket: Ticket) -> Option<Parked> {
        self.requests.remove(&ticket)
    }

    /// Whether a request of this 5-tuple waits.
    pub(crate) fn contains(&self, tuple: &FiveTuple) -> bool {
        self.requests.values().any(|parked| parked.link.tuple == *tuple)
    }

    /// Forgets what came by a connection that has ended.
    pub(crate) fn abandon(&mut self, link: LinkId) {
        self.requests.retain(|_, parked| {
            parked.link.id != link || !parked.link.tuple.transport.is_connection()
        });
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.requests.clear();
    }

    /// The requests that ask for this name.
    pub(crate) fn of_user(&self, realm: RealmId, name: &str) -> Vec<Ticket> {
        let asks = |parked: &Parked| parked.link.realm == realm && *parked.name == *name;
        let requests = self.requests.iter().filter(|(_, parked)| asks(parked));
        requests.map(|(ticket, _)| *ticket).collect()
    }

    /// The ticket of a request that has waited long enough.
    pub(crate) fn overdue(&self, now: Instant) -> Option<Ticket> {
        let (ticket, parked) = self.requests.first_key_value()?;
        (parked.arrived + LONGEST <= now).then_some(*ticket)
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.requests.first_key_value().map(|(_, parked)| parked.arrived + LONGEST)
    }

    pub(crate) fn len(&self) -> usize {
        self.requests.len()
    }
}
