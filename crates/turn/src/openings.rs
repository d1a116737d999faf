//! Allocate requests that wait for the host: for a socket to be bound, or for
//! another shard to give up a reservation.
//!
//! ```text
//!   start ──> OpenRelay ──Opened──> (next socket) ──> finish: the allocation lives
//!     │            │
//!     │            └──Failed: port taken──> another port, 16 times
//!     └──> ClaimReservation ──Claimed──> finish
//! ```
//!
//! Sockets are opened one after the other, so that at most one is under way.

use std::time::{Duration, Instant};

use arrayvec::ArrayVec;
use turn_codec::attribute::AddressErrorCode;
use turn_codec::{AddressFamily, StatusCode};

use crate::action::{Claim, Completion, OpenError};
use crate::allocation::{Account, Allocation, Owner, RelayProtocol, Relays, Reservation, Traffic};
use crate::gate::Authenticated;
use crate::id::{RelayId, ShardId, Ticket};
use crate::ledger::Permit;
use crate::lifetime;
use crate::link::{FiveTuple, LinkId};
use crate::meter::Meter;
use crate::methods::allocate::{Wanted, WantedPort, unavailable};
use crate::port_map::Parity;
use crate::reject::Reject;
use crate::reply::{Asked, Reply, Signer};
use crate::report::Report;
use crate::time::Now;
use crate::workbench::Workbench;

/// RFC 8656 section 7.2: a reservation is held for at least 30 seconds. [T8]
// [T8]
const RESERVATION_LIFETIME: Duration = Duration::from_secs(30);

/// Ports that the kernel may call taken before the request is refused.
const MOST_ATTEMPTS: u8 = 16;

/// The requests under way; one at most where the host answers at once.
#[derive(Debug, Default)]
pub(crate) struct Openings {
    waiting: Vec<(Ticket, Opening)>,
    tickets: u64,
}

/// One request under way.
#[derive(Debug)]
struct Opening {
    asked: Asked,
    asked_at: Instant,
    owner: Owner,
    signer: Signer,
    lifetime: Duration,
    protocol: RelayProtocol,
    /// Of the allocation; a reservation brings its own.
    permit: Option<Permit>,
    /// Of the reservation that is to be made, for EVEN-PORT with R = 1.
    reserve: Option<Permit>,
    parity: Parity,
    families: ArrayVec<AddressFamily, 2>,
    opened: ArrayVec<RelayId, 2>,
    /// Bound by the host right now.
    current: Option<RelayId>,
    address_error: Option<AddressErrorCode<'static>>,
    attempts: u8,
}

/// What became of one step.
enum Step {
    /// The host has something to do first.
    Waiting,
    /// All there is to open is open.
    Open,
    /// Nothing could be opened.
    Refused(Reject),
}

impl Openings {
    /// Whether a request of this 5-tuple is under way.
    pub(crate) fn contains(&self, tuple: &FiveTuple) -> bool {
        self.waiting.iter().any(|(_, opening)| opening.asked.link.tuple == *tuple)
    }

    /// Starts on what an authenticated request wants. The answer to the client
    /// is queued now or by [`complete`](Self::complete).
    pub(crate) fn start(
        &mut self,
        bench: &mut Workbench<'_>,
        now: Now,
        request: Authenticated<'_>,
        wanted: Wanted,
    ) {
        let (asked, owner, signer) = request.into_owner();
        let realm = bench.settings.realm(owner.account.realm);
        let lifetime = lifetime::granted(realm, wanted.lifetime, now.mono, &owner, now);
        let mut opening = Opening {
            asked,
            asked_at: now.mono,
            owner,
            signer,
            lifetime,
            protocol: wanted.protocol,
            permit: None,
            reserve: None,
            parity: Parity::Any,
            families: ArrayVec::new(),
            opened: ArrayVec::new(),
            current: None,
            address_error: None,
            attempts: 0,
        };
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        let step = match wanted.port {
            WantedPort::Reserved(token) => opening.claim(bench, now, ticket, token),
            WantedPort::New { families, parity, missing } => {
                opening.families = families;
                opening.parity = parity;
                opening.address_error = missing;
                match opening.take_permits(bench) {
                    Ok(()) => opening.open_next(bench, now, ticket),
                    Err(reject) => Step::Refused(reject),
                }
            }
        };
        self.settle(bench, now, ticket, opening, step);
    }

    /// Takes the host's answer.
    pub(crate) fn complete(
        &mut self,
        bench: &mut Workbench<'_>,
        now: Now,
        ticket: Ticket,
        done: Completion,
    ) {
        let Some(at) = self.waiting.iter().position(|(waiting, _)| *waiting == ticket) else {
            // Nobody waits any more: what was opened is closed again.
            if let Completion::Opened(relay) = done {
                bench.outbox.close_relay(relay);
            }
            return;
        };
        let (_, mut opening) = self.waiting.swap_remove(at);
        let step = match done {
            Completion::Opened(relay) if opening.current == Some(relay) => {
                opening.current = None;
                opening.opened.push(relay);
                opening.open_next(bench, now, ticket)
            }
            Completion::Failed(relay, error) if opening.current == Some(relay) => {
                opening.current = None;
                opening.failed(bench, now, ticket, relay, error)
            }
            Completion::Claimed(Some(relay)) => opening.claimed(bench, relay),
            Completion::Claimed(None) => Step::Refused(Reject::InsufficientCapacity),
            Completion::Opened(_) | Completion::Failed(..) => Step::Waiting,
        };
        self.settle(bench, now, ticket, opening, step);
    }

    /// Gives up what a connection that closed has asked for.
    pub(crate) fn abandon(&mut self, bench: &mut Workbench<'_>, now: Now, link: LinkId) {
        let is_of = |it: &Asked| it.link.id == link && it.link.tuple.transport.is_connection();
        self.give_up(bench, now, None, |it| is_of(&it.asked));
    }

    /// Refuses what the users that are meant have asked for; gives how many these were.
    pub(crate) fn refuse_of(
        &mut self,
        bench: &mut Workbench<'_>,
        now: Now,
        is_meant: impl Fn(&Owner) -> bool,
    ) -> usize {
        self.give_up(bench, now, Some(&Reject::Forbidden), |it| is_meant(&it.owner))
    }

    fn give_up(
        &mut self,
        bench: &mut Workbench<'_>,
        now: Now,
        reject: Option<&Reject>,
        is_meant: impl Fn(&Opening) -> bool,
    ) -> usize {
        let before = self.waiting.len();
        while let Some(at) = self.waiting.iter().position(|(_, opening)| is_meant(opening)) {
            let (_, mut opening) = self.waiting.swap_remove(at);
            opening.close_all(bench, now);
            if let Some(reject) = reject {
                bench.refuse(&opening.asked, &opening.signer, reject);
            }
        }
        before - self.waiting.len()
    }

    fn settle(
        &mut self,
        bench: &mut Workbench<'_>,
        now: Now,
        ticket: Ticket,
        mut opening: Opening,
        step: Step,
    ) {
        match step {
            Step::Waiting => self.waiting.push((ticket, opening)),
            Step::Open => opening.finish(bench, now),
            Step::Refused(reject) => {
                opening.close_all(bench, now);
                bench.refuse(&opening.asked, &opening.signer, &reject);
            }
        }
    }
}

impl Opening {
    /// RFC 8656 section 7.2, check 10: quotas. A reservation costs a unit of
    /// its own `[H19]`.
    fn take_permits(&mut self, bench: &Workbench<'_>) -> Result<(), Reject> {
        self.permit = Some(bench.admit(&self.asked.link, &self.owner)?);
        // [H19]
        if self.parity == Parity::EvenPair {
            self.reserve = Some(bench.admit(&self.asked.link, &self.owner)?);
        }
        Ok(())
    }

    fn open_next(&mut self, bench: &mut Workbench<'_>, now: Now, ticket: Ticket) -> Step {
        if self.parity == Parity::EvenPair && self.opened.len() == 1 {
            return self.open_reserve(bench, now, ticket);
        }
        while let Some(family) = self.families.first().copied() {
            if self
                .opened
                .iter()
                .any(|id| bench.table.relay(*id).is_some_and(|relay| relay.family() == family))
            {
                self.families.remove(0);
                continue;
            }
            let link = self.asked.link;
            if let Some(relay) = bench.claim_relay(link, family, self.protocol, self.parity, now) {
                return self.wait_for(bench, ticket, relay);
            }
            self.families.remove(0);
            self.lack(family);
        }
        if self.opened.is_empty() {
            Step::Refused(Reject::InsufficientCapacity)
        } else {
            Step::Open
        }
    }

    /// The second socket of a pair; its port was taken together with the first.
    fn open_reserve(&mut self, bench: &mut Workbench<'_>, now: Now, ticket: Ticket) -> Step {
        let first = self.opened.first().and_then(|id| bench.table.relay(*id));
        let Some((space, port)) = first.map(|relay| (relay.space, relay.bound.port())) else {
            return Step::Refused(Reject::InsufficientCapacity);
        };
        match bench.table.insert_relay(
            &bench.settings.relay,
            space,
            port.saturating_add(1),
            now.mono,
        ) {
            Some(relay) => self.wait_for(bench, ticket, relay),
            None => {
                bench.table.release_port(space, port.saturating_add(1), now.mono);
                Step::Refused(Reject::InsufficientCapacity)
            }
        }
    }

    fn wait_for(&mut self, bench: &mut Workbench<'_>, ticket: Ticket, relay: RelayId) -> Step {
        let Some(bind) = bench.table.relay(relay).map(|relay| relay.bound) else {
            return Step::Refused(Reject::InsufficientCapacity);
        };
        self.current = Some(relay);
        bench.outbox.open_relay(ticket, relay, bind, self.protocol);
        Step::Waiting
    }

    fn failed(
        &mut self,
        bench: &mut Workbench<'_>,
        now: Now,
        ticket: Ticket,
        relay: RelayId,
        error: OpenError,
    ) -> Step {
        let family = bench.table.relay(relay).map(crate::allocation::Relay::family);
        self.close(bench, now, relay);
        if self.parity == Parity::EvenPair {
            // The other half of the pair goes with it.
            self.close_all(bench, now);
        }
        if error == OpenError::AddressInUse && self.attempts < MOST_ATTEMPTS {
            self.attempts += 1;
            return self.open_next(bench, now, ticket);
        }
        if let Some(family) = family {
            self.families.retain(|other| *other != family);
            self.lack(family);
        }
        self.open_next(bench, now, ticket)
    }

    /// RFC 8656 section 7.2: one family of two cannot be had.
    // [T7]
    fn lack(&mut self, family: AddressFamily) {
        self.address_error
            .get_or_insert_with(|| unavailable(family, StatusCode::INSUFFICIENT_CAPACITY));
    }

    fn claim(
        &mut self,
        bench: &mut Workbench<'_>,
        now: Now,
        ticket: Ticket,
        token: [u8; 8],
    ) -> Step {
        let [shard, ..] = token;
        let account = self.owner.account.hash;
        if ShardId(shard) != bench.shard {
            bench.outbox.claim_reservation(ticket, ShardId(shard), Claim { token, account });
            return Step::Waiting;
        }
        match bench.table.claim_reservation(token, account, now.mono) {
            Some((relay, reservation)) => {
                self.permit = Some(reservation.permit);
                self.opened.push(relay);
                Step::Open
            }
            // [T4] RFC 8656 section 7.2, check 5: not a valid token: 508.
            None => Step::Refused(Reject::InsufficientCapacity),
        }
    }

    fn claimed(&mut self, bench: &mut Workbench<'_>, relay: RelayId) -> Step {
        match bench.table.take_reservation(relay) {
            Some(reservation) => {
                self.permit = Some(reservation.permit);
                self.opened.push(relay);
                Step::Open
            }
            None => Step::Refused(Reject::InsufficientCapacity),
        }
    }

    /// Every socket is there: the allocation lives from now on.
    fn finish(mut self, bench: &mut Workbench<'_>, now: Now) {
        // Its realm may have gone while the host was at work.
        let is_removed = bench.settings.realm(self.owner.account.realm).is_removed;
        let Some(permit) = self.permit.take().filter(|_| !is_removed) else {
            self.close_all(bench, now);
            return bench.refuse(&self.asked, &self.signer, &Reject::InsufficientCapacity);
        };
        let reserved = (self.parity == Parity::EvenPair).then(|| self.opened.pop()).flatten();
        let reservation = match (reserved, self.reserve.take()) {
            (Some(relay), Some(permit)) => {
                let token = bench.token();
                let account = self.owner.account.hash;
                let reservation = Reservation { token, account, permit };
                bench.table.reserve(relay, reservation, now.mono + RESERVATION_LIFETIME);
                Some(token)
            }
            (Some(relay), None) => {
                self.close(bench, now, relay);
                None
            }
            (None, _) => None,
        };
        let mut relays = Relays::default();
        let mut relayed = ArrayVec::new();
        for id in &self.opened {
            if let Some(relay) = bench.table.relay(*id) {
                relays.set(relay.family(), Some(*id));
                relayed.push(relay.advertised);
            }
        }
        let link = self.asked.link;
        let address_error = self.address_error;
        let id = bench.table.next_id();
        let (user, marks) = (self.owner.name.clone(), self.owner.marks.clone());
        let Account { realm, tenant, .. } = self.owner.account;
        let meter = Meter::is_needed(bench.settings, &self.owner).then(Box::default);
        let mut given = relayed.iter().copied();
        let given = [given.next(), given.next()];
        let allocation = Allocation {
            id,
            link,
            owner: self.owner,
            transaction: self.asked.transaction,
            relays,
            relayed: given,
            protocol: self.protocol,
            born: now.mono,
            permissions: crate::permission::Permissions::default(),
            channels: crate::channel::Channels::default(),
            fan_out: crate::fan_out::FanOut::default(),
            meter,
            traffic: Traffic::default(),
            reservation,
            address_error,
            permit,
        };
        if bench.table.insert(allocation, now.mono + self.lifetime).is_none() {
            for relay in self.opened {
                bench.table.discard_relay(relay, now.mono, bench.outbox);
            }
            return bench.refuse(&self.asked, &self.signer, &Reject::InsufficientCapacity);
        }
        let reply = Reply {
            relayed,
            address_error,
            lifetime: Some(self.lifetime),
            mapped: Some(link.tuple.client),
            reservation,
            connection: None,
        };
        bench.succeed(&self.asked, &self.signer, &reply);
        bench.outbox.report(Report::Created {
            id,
            user,
            realm,
            tenant,
            marks,
            link,
            relayed: given,
            lifetime: self.lifetime,
            asked_at: self.asked_at,
        });
    }

    /// Closes a relay that never became an allocation's.
    fn close(&self, bench: &mut Workbench<'_>, now: Now, relay: RelayId) {
        let port = bench.table.relay(relay).map(|relay| (relay.space, relay.bound.port()));
        bench.table.discard_relay(relay, now.mono, bench.outbox);
        // A pair's second port is held even before it has a slot.
        if self.parity == Parity::EvenPair
            && self.opened.is_empty()
            && let Some((space, port)) = port
            && port % 2 == 0
        {
            bench.table.release_port(space, port.saturating_add(1), now.mono);
        }
    }

    fn close_all(&mut self, bench: &mut Workbench<'_>, now: Now) {
        for relay in std::mem::take(&mut self.opened) {
            bench.table.discard_relay(relay, now.mono, bench.outbox);
        }
        if let Some(relay) = self.current.take() {
            self.close(bench, now, relay);
        }
    }
}
