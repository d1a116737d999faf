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

use std::time::Duration;

use arrayvec::ArrayVec;
use turn_codec::attribute::AddressErrorCode;
use turn_codec::{AddressFamily, StatusCode};

use crate::action::{Claim, Completion, OpenError, Outbox, Report};
use crate::allocation::{Allocation, Owner, Relays, Reservation, Traffic};
use crate::counters::Counters;
use crate::gate::Authenticated;
use crate::id::{RelayId, ShardId, Ticket};
use crate::ledger::{Permit, Quota, QuotaReached};
use crate::lifetime;
use crate::link::{FiveTuple, LinkId, SourcePrefix};
use crate::meter::Meter;
use crate::methods::allocate::{Wanted, WantedPort, unavailable};
use crate::notes::note_response;
use crate::port_map::Parity;
use crate::random::Random;
use crate::reject::Reject;
use crate::reply::{Asked, Reply, Signer};
use crate::settings::{PerUser, Settings};
use crate::shared::{Shared, is_exempt};
use crate::table::Allocations;
use crate::time::Now;

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
    owner: Owner,
    signer: Signer,
    lifetime: Duration,
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

/// What an opening works on; the engine lends it.
pub(crate) struct Opener<'e> {
    pub(crate) shard: ShardId,
    pub(crate) table: &'e mut Allocations,
    pub(crate) settings: &'e Settings,
    pub(crate) shared: &'e Shared,
    pub(crate) counters: &'e Counters,
    pub(crate) random: &'e mut Random,
    pub(crate) outbox: &'e mut Outbox,
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
        opener: &mut Opener<'_>,
        now: Now,
        request: Authenticated<'_>,
        wanted: Wanted,
    ) {
        let (asked, owner, signer) = request.into_owner();
        let lifetime = lifetime::granted(opener.settings, wanted.lifetime, now.mono, &owner, now);
        let mut opening = Opening {
            asked,
            owner,
            signer,
            lifetime,
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
            WantedPort::Reserved(token) => opening.claim(opener, now, ticket, token),
            WantedPort::New { families, parity, missing } => {
                opening.families = families;
                opening.parity = parity;
                opening.address_error = missing;
                match opening.take_permits(opener) {
                    Ok(()) => opening.open_next(opener, now, ticket),
                    Err(reject) => Step::Refused(reject),
                }
            }
        };
        self.settle(opener, now, ticket, opening, step);
    }

    /// Takes the host's answer.
    pub(crate) fn complete(
        &mut self,
        opener: &mut Opener<'_>,
        now: Now,
        ticket: Ticket,
        done: Completion,
    ) {
        let Some(at) = self.waiting.iter().position(|(waiting, _)| *waiting == ticket) else {
            // Nobody waits any more: what was opened is closed again.
            if let Completion::Opened(relay) = done {
                opener.outbox.close_relay(relay);
            }
            return;
        };
        let (_, mut opening) = self.waiting.swap_remove(at);
        let step = match done {
            Completion::Opened(relay) if opening.current == Some(relay) => {
                opening.current = None;
                opening.opened.push(relay);
                opening.open_next(opener, now, ticket)
            }
            Completion::Failed(relay, error) if opening.current == Some(relay) => {
                opening.current = None;
                opening.failed(opener, now, ticket, relay, error)
            }
            Completion::Claimed(Some(relay)) => opening.claimed(opener, relay),
            Completion::Claimed(None) => Step::Refused(Reject::InsufficientCapacity),
            Completion::Opened(_) | Completion::Failed(..) => Step::Waiting,
        };
        self.settle(opener, now, ticket, opening, step);
    }

    /// Gives up what a stream that closed has asked for.
    pub(crate) fn abandon(&mut self, opener: &mut Opener<'_>, now: Now, link: LinkId) {
        let is_of = |opening: &Opening| {
            opening.asked.link.id == link && opening.asked.link.tuple.transport.is_stream()
        };
        while let Some(at) = self.waiting.iter().position(|(_, opening)| is_of(opening)) {
            let (_, mut opening) = self.waiting.swap_remove(at);
            opening.close_all(opener, now);
        }
    }

    fn settle(
        &mut self,
        opener: &mut Opener<'_>,
        now: Now,
        ticket: Ticket,
        mut opening: Opening,
        step: Step,
    ) {
        match step {
            Step::Waiting => self.waiting.push((ticket, opening)),
            Step::Open => opening.finish(opener, now),
            Step::Refused(reject) => {
                opening.close_all(opener, now);
                opener.refuse(&opening.asked, &opening.signer, &reject);
            }
        }
    }
}

impl Opening {
    /// RFC 8656 section 7.2, check 10: quotas. A reservation costs a unit of
    /// its own `[H19]`.
    fn take_permits(&mut self, opener: &Opener<'_>) -> Result<(), Reject> {
        self.permit = Some(opener.admit(&self.asked, &self.owner)?);
        // [H19]
        if self.parity == Parity::EvenPair {
            self.reserve = Some(opener.admit(&self.asked, &self.owner)?);
        }
        Ok(())
    }

    fn open_next(&mut self, opener: &mut Opener<'_>, now: Now, ticket: Ticket) -> Step {
        if self.parity == Parity::EvenPair && self.opened.len() == 1 {
            return self.open_reserve(opener, now, ticket);
        }
        while let Some(family) = self.families.first().copied() {
            if self
                .opened
                .iter()
                .any(|id| opener.table.relay(*id).is_some_and(|relay| relay.family() == family))
            {
                self.families.remove(0);
                continue;
            }
            if let Some(relay) = opener.claim_relay(family, self.parity, now) {
                return self.wait_for(opener, ticket, relay);
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
    fn open_reserve(&mut self, opener: &mut Opener<'_>, now: Now, ticket: Ticket) -> Step {
        let first = self.opened.first().and_then(|id| opener.table.relay(*id));
        let Some((address, port)) = first.map(|relay| (relay.address, relay.bound.port())) else {
            return Step::Refused(Reject::InsufficientCapacity);
        };
        match opener.table.insert_relay(
            &opener.settings.relay,
            address,
            port.saturating_add(1),
            now.mono,
        ) {
            Some(relay) => self.wait_for(opener, ticket, relay),
            None => {
                opener.table.release_port(address, port.saturating_add(1), now.mono);
                Step::Refused(Reject::InsufficientCapacity)
            }
        }
    }

    fn wait_for(&mut self, opener: &mut Opener<'_>, ticket: Ticket, relay: RelayId) -> Step {
        let Some(bind) = opener.table.relay(relay).map(|relay| relay.bound) else {
            return Step::Refused(Reject::InsufficientCapacity);
        };
        self.current = Some(relay);
        opener.outbox.open_relay(ticket, relay, bind);
        Step::Waiting
    }

    fn failed(
        &mut self,
        opener: &mut Opener<'_>,
        now: Now,
        ticket: Ticket,
        relay: RelayId,
        error: OpenError,
    ) -> Step {
        let family = opener.table.relay(relay).map(crate::allocation::Relay::family);
        self.close(opener, now, relay);
        if self.parity == Parity::EvenPair {
            // The other half of the pair goes with it.
            self.close_all(opener, now);
        }
        if error == OpenError::AddressInUse && self.attempts < MOST_ATTEMPTS {
            self.attempts += 1;
            return self.open_next(opener, now, ticket);
        }
        if let Some(family) = family {
            self.families.retain(|other| *other != family);
            self.lack(family);
        }
        self.open_next(opener, now, ticket)
    }

    /// RFC 8656 section 7.2: one family of two cannot be had.
    // [T7]
    fn lack(&mut self, family: AddressFamily) {
        self.address_error
            .get_or_insert_with(|| unavailable(family, StatusCode::INSUFFICIENT_CAPACITY));
    }

    fn claim(&mut self, opener: &mut Opener<'_>, now: Now, ticket: Ticket, token: [u8; 8]) -> Step {
        let [shard, ..] = token;
        let account = self.owner.account.hash;
        if ShardId(shard) != opener.shard {
            opener.outbox.claim_reservation(ticket, ShardId(shard), Claim { token, account });
            return Step::Waiting;
        }
        match opener.table.claim_reservation(token, account, now.mono) {
            Some((relay, reservation)) => {
                self.permit = Some(reservation.permit);
                self.opened.push(relay);
                Step::Open
            }
            // [T4] RFC 8656 section 7.2, check 5: not a valid token: 508.
            None => Step::Refused(Reject::InsufficientCapacity),
        }
    }

    fn claimed(&mut self, opener: &mut Opener<'_>, relay: RelayId) -> Step {
        match opener.table.take_reservation(relay) {
            Some(reservation) => {
                self.permit = Some(reservation.permit);
                self.opened.push(relay);
                Step::Open
            }
            None => Step::Refused(Reject::InsufficientCapacity),
        }
    }

    /// Every socket is there: the allocation lives from now on.
    fn finish(mut self, opener: &mut Opener<'_>, now: Now) {
        let reserved = (self.parity == Parity::EvenPair).then(|| self.opened.pop()).flatten();
        let Some(permit) = self.permit.take() else {
            self.close_all(opener, now);
            return opener.refuse(&self.asked, &self.signer, &Reject::InsufficientCapacity);
        };
        let reservation = match (reserved, self.reserve.take()) {
            (Some(relay), Some(permit)) => {
                let token = opener.token();
                let account = self.owner.account.hash;
                let reservation = Reservation { token, account, permit };
                opener.table.reserve(relay, reservation, now.mono + RESERVATION_LIFETIME);
                Some(token)
            }
            (Some(relay), None) => {
                self.close(opener, now, relay);
                None
            }
            (None, _) => None,
        };
        let mut relays = Relays::default();
        let mut relayed = ArrayVec::new();
        for id in &self.opened {
            if let Some(relay) = opener.table.relay(*id) {
                relays.set(relay.family(), Some(*id));
                relayed.push(relay.advertised);
            }
        }
        let link = self.asked.link;
        let address_error = self.address_error;
        let id = opener.table.next_id();
        let user = self.owner.name.clone();
        let meter = Meter::is_needed(&opener.settings.limits).then(Box::default);
        let allocation = Allocation {
            id,
            link,
            owner: self.owner,
            transaction: self.asked.transaction,
            relays,
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
        if opener.table.insert(allocation, now.mono + self.lifetime).is_none() {
            for relay in self.opened {
                opener.table.discard_relay(relay, now.mono, opener.outbox);
            }
            return opener.refuse(&self.asked, &self.signer, &Reject::InsufficientCapacity);
        }
        let reply = Reply {
            relayed: relayed.clone(),
            address_error,
            lifetime: Some(self.lifetime),
            mapped: Some(link.tuple.client),
            reservation,
        };
        opener.succeed(&self.asked, &self.signer, &reply);
        let mut relayed = relayed.into_iter();
        let relayed = [relayed.next(), relayed.next()];
        opener.outbox.report(Report::Created { id, user, link, relayed, lifetime: self.lifetime });
    }

    /// Closes a relay that never became an allocation's.
    fn close(&self, opener: &mut Opener<'_>, now: Now, relay: RelayId) {
        let port = opener.table.relay(relay).map(|relay| (relay.address, relay.bound.port()));
        opener.table.discard_relay(relay, now.mono, opener.outbox);
        // A pair's second port is held even before it has a slot.
        if self.parity == Parity::EvenPair
            && self.opened.is_empty()
            && let Some((address, port)) = port
            && port % 2 == 0
        {
            opener.table.release_port(address, port.saturating_add(1), now.mono);
        }
    }

    fn close_all(&mut self, opener: &mut Opener<'_>, now: Now) {
        for relay in std::mem::take(&mut self.opened) {
            opener.table.discard_relay(relay, now.mono, opener.outbox);
        }
        if let Some(relay) = self.current.take() {
            opener.table.discard_relay(relay, now.mono, opener.outbox);
        }
    }
}

impl Opener<'_> {
    pub(crate) fn refuse(&mut self, asked: &Asked, signer: &Signer, reject: &Reject) {
        asked.refuse(signer, reject, self.outbox);
        note_response(self.counters, self.shared, asked, Some(reject), self.outbox);
    }

    fn succeed(&mut self, asked: &Asked, signer: &Signer, reply: &Reply) {
        asked.succeed(signer, reply, self.outbox);
        note_response(self.counters, self.shared, asked, None, self.outbox);
    }

    /// The least used relay address of a family that has a port left.
    fn claim_relay(&mut self, family: AddressFamily, parity: Parity, now: Now) -> Option<RelayId> {
        let mut candidates: ArrayVec<(usize, usize), 16> = self
            .settings
            .relay
            .addresses
            .iter()
            .enumerate()
            .filter(|(_, relay)| AddressFamily::of_ip(&relay.bound) == family)
            .filter_map(|(at, _)| self.shared.ports(at).map(|ports| (ports.taken(), at)))
            .take(16)
            .collect();
        candidates.sort_unstable();
        // [T9]
        let random = self.random.next_u32();
        candidates.into_iter().find_map(|(_, at)| {
            self.table.claim_relay(&self.settings.relay, at, parity, random, now.mono)
        })
    }

    fn admit(&self, asked: &Asked, owner: &Owner) -> Result<Permit, Reject> {
        let limits = &self.settings.limits;
        let source = asked.link.tuple.client.ip();
        let user = match limits.allocations_per_user {
            PerUser::Auto => owner.account.is_time_limited.then_some(PerUser::AUTO),
            PerUser::Count(count) => Some(count),
            PerUser::Off => None,
        };
        let of_source =
            if is_exempt(limits, source) { None } else { limits.allocations_per_source };
        // [H18]
        let quota = Quota { all: limits.allocations, user, source: of_source };
        let prefix = SourcePrefix::of(source).bits();
        self.shared.ledger.admit(owner.account.hash, prefix, quota).map_err(|reached| match reached
        {
            QuotaReached::All => Reject::Quota("allocations"),
            QuotaReached::User => Reject::Quota("allocations_per_user"),
            QuotaReached::Source => Reject::Quota("allocations_per_source"),
        })
    }

    /// 8 bytes: the shard, which any shard must be able to read, and 7 random
    /// ones `[T8]`.
    fn token(&mut self) -> [u8; 8] {
        let mut token = [0; 8];
        // [T8]
        self.random.fill(&mut token);
        let [shard, ..] = &mut token;
        *shard = self.shard.0;
        token
    }
}
