//! The engine: routes what comes in to the table, the gate and the handlers,
//! and nothing more.
//!
//! Sans-I/O: time, randomness and packets are arguments, what is to be sent or
//! opened is returned. The driving contract:
//!
//! 1. hand in a packet with [`from_client`](Engine::from_client) or
//!    [`from_peer`](Engine::from_peer);
//! 2. on [`Outcome::Relay`], send it; on [`Outcome::Handled`], drain
//!    [`poll_action`](Engine::poll_action) until it gives `None`, answering
//!    with [`complete`](Engine::complete) and [`key_found`](Engine::key_found) on
//!    the way or later;
//! 3. at [`next_deadline`](Engine::next_deadline) call [`expire`](Engine::expire),
//!    then drain again.

mod connections;
mod control;
mod keys;

use std::collections::HashSet;
use std::hash::RandomState;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use arrayvec::ArrayVec;
use turn_codec::attribute::XorPeerAddress;
use turn_codec::{ChannelRange, Class, Message, Method, PacketKind, StatusCode, classify};

use crate::action::{Action, Claim, Completion, Moving, Outbox};
use crate::allocation::Owner;
use crate::counters::Counters;
use crate::found_user::KeyAnswer;
use crate::gate::{self, Admission, Authenticated, Evidence, Gate, Refusal, Source};
use crate::id::{AllocationKey, RelayId, ShardId, Ticket};
use crate::limit_name::LimitName;
use crate::link::Link;
use crate::methods::{
    allocate, channel_bind, connect, connection_bind, create_permission, refresh, send,
};
use crate::nonce::{Bearer, Nonces};
use crate::notes::{note_auth_failure, note_limit, note_response};
use crate::openings::Openings;
use crate::outcome::{DropReason, Outcome, Relayed};
use crate::random::Random;
use crate::reject::Reject;
use crate::relaying::{Indications, Relaying};
use crate::reply::{Asked, Reply};
use crate::report::{EndReason, Report};
use crate::settings::Settings;
use crate::shared::Shared;
use crate::table::Allocations;
use crate::time::Now;
use crate::waiting::Waiting;
use crate::workbench::Workbench;

pub use control::AllocationView;

/// One shard's TURN server.
#[derive(Debug)]
pub struct Engine {
    shard: ShardId,
    settings: Arc<Settings>,
    shared: Arc<Shared>,
    counters: Arc<Counters>,
    gate: Gate,
    table: Allocations,
    openings: Openings,
    waiting: Waiting,
    indications: Indications,
    random: Random,
    outbox: Outbox,
    /// Limits of packets that this shard has noted, so that a packet which they drop asks nobody.
    noted: HashSet<LimitName>,
    /// Peers of Send indications that were denied; the first few are reported.
    denied: ArrayVec<IpAddr, MOST_DENIED>,
}

impl Engine {
    /// An engine without allocations. `shared` is the same for all shards of
    /// the process.
    pub fn new(
        shard: ShardId,
        settings: Arc<Settings>,
        shared: Arc<Shared>,
        mut random: Random,
    ) -> Self {
        let counters = Arc::new(Counters::default());
        let mut prefix = [0; 4];
        random.fill(&mut prefix);
        let accounts: RandomState = shared.accounts.clone();
        shared.add_shard(shard);
        Self {
            shard,
            gate: Gate::new(Nonces::new(shared.nonce_key.clone()), accounts),
            table: Allocations::new(
                shard,
                Arc::clone(&shared),
                Arc::clone(&counters),
                random.next_u64(),
            ),
            openings: Openings::default(),
            waiting: Waiting::default(),
            indications: Indications { prefix, next: random.next_u64() },
            outbox: Outbox::default(),
            noted: HashSet::new(),
            denied: ArrayVec::new(),
            settings,
            shared,
            counters,
            random,
        }
    }

    /// Takes a datagram or frame from a client.
    pub fn from_client(&mut self, now: Now, link: Link, bytes: &[u8]) -> Outcome {
        match classify(bytes) {
            PacketKind::ChannelData => self.channel_data(now, link, bytes),
            PacketKind::Stun => self.stun(now, link, bytes),
            // Channel numbers above 0x4FFF begin with bytes that are nobody's.
            PacketKind::Unknown if self.settings.relay.channels == ChannelRange::Rfc5766 => {
                self.channel_data(now, link, bytes)
            }
            PacketKind::Dtls | PacketKind::Unknown => self.dropped(DropReason::Malformed),
        }
    }

    /// Takes a datagram that reached a relayed transport address, from outside
    /// or from another shard.
    pub fn from_peer(
        &mut self,
        now: Now,
        relay: RelayId,
        peer: SocketAddr,
        bytes: &[u8],
    ) -> Outcome {
        let relayed =
            self.relaying(|relaying| relaying.toward_client(now, relay, peer, 0..bytes.len()));
        self.outcome(relayed)
    }

    /// The socket of a relay failed for good: its allocation ends.
    pub fn relay_failed(&mut self, now: Now, relay: RelayId) {
        self.table.close_relay(relay, now.mono, EndReason::SocketFailed, &mut self.outbox);
    }

    /// The next thing for the host to do; `None` when there is nothing left.
    pub fn poll_action(&mut self) -> Option<Action<'_>> {
        self.outbox.poll()
    }

    /// Takes the host's answer to an action that carried this ticket.
    pub fn complete(&mut self, now: Now, ticket: Ticket, done: Completion) {
        let (openings, mut bench) = self.workbench();
        openings.complete(&mut bench, now, ticket, done);
    }

    /// Gives up a reservation to another shard: the relay whose socket must go
    /// along, and what to hand to that shard's [`adopt`](Self::adopt).
    pub fn detach(&mut self, now: Now, claim: Claim) -> Option<(RelayId, Moving)> {
        let (relay, reservation) =
            self.table.claim_reservation(claim.token, claim.account, now.mono)?;
        self.table.detach(relay, reservation).map(|detached| (relay, Moving(detached)))
    }

    /// Takes in what another shard gave up; its socket has this name from now
    /// on. `None` when this shard is full.
    pub fn adopt(&mut self, now: Now, moving: Moving) -> Option<RelayId> {
        self.table.adopt(moving.0, now.mono)
    }

    /// When [`expire`](Self::expire) has something to do.
    pub fn next_deadline(&self) -> Option<Instant> {
        let deadlines = [self.table.next_deadline(), self.waiting.next_deadline()];
        deadlines.into_iter().flatten().min()
    }

    /// Closes what has expired.
    pub fn expire(&mut self, now: Now) {
        self.table.expire(now.mono, &mut self.outbox);
        self.give_up_waiting(now);
    }

    /// This shard's counters.
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    /// The settings in force.
    pub fn settings(&self) -> &Arc<Settings> {
        &self.settings
    }

    fn channel_data(&mut self, now: Now, link: Link, bytes: &[u8]) -> Outcome {
        let relayed = self.relaying(|relaying| relaying.channel_data(now, &link.tuple, bytes));
        self.outcome(relayed)
    }

    fn stun(&mut self, now: Now, link: Link, bytes: &[u8]) -> Outcome {
        let Ok(message) = Message::parse(bytes) else {
            return self.dropped(DropReason::Malformed);
        };
        match (message.class(), message.method()) {
            (Class::Indication, Method::SEND) => self.send(now, link, &message),
            (
                Class::Request,
                Method::ALLOCATE
                | Method::REFRESH
                | Method::CREATE_PERMISSION
                | Method::CHANNEL_BIND
                | Method::CONNECT
                | Method::CONNECTION_BIND,
            ) => self.request(now, link, message, bytes, None),
            // [S2] RFC 8489 section 6.3: only a request that we know gets an answer.
            (Class::Request | Class::Indication | Class::Success | Class::Error, _) => {
                self.dropped(DropReason::Unexpected)
            }
        }
    }

    fn send(&mut self, now: Now, link: Link, message: &Message<'_>) -> Outcome {
        // [A19] RFC 8656 section 5: without an allocation an indication is silence.
        let Some(key) = self.table.find(&link.tuple, now.mono) else {
            return self.dropped(DropReason::NoAllocation);
        };
        let relayed = self.relaying(|relaying| {
            let outgoing = send::send(relaying, now, key, message)?;
            relaying.toward_peer(now, key, outgoing)
        });
        if matches!(relayed, Err(DropReason::PeerDenied)) {
            self.note_denied(link, message);
        }
        self.outcome(relayed)
    }

    /// No answer goes to a Send indication, so a peer that its permission does not reach is only
    /// known to the operator by a report. What a shard ever reports of these is bounded.
    fn note_denied(&mut self, link: Link, message: &Message<'_>) {
        let Some(peer) = message.get::<XorPeerAddress>().ok().flatten() else { return };
        let peer = peer.0.ip();
        if !self.denied.contains(&peer) && self.denied.try_push(peer).is_ok() {
            self.outbox.report(Report::PeerDenied { peer, realm: link.realm });
        }
    }

    /// Judges a request and serves it, with what a credential store has said of its name if that
    /// was asked.
    fn request(
        &mut self,
        now: Now,
        link: Link,
        message: Message<'_>,
        bytes: &[u8],
        answer: Option<&KeyAnswer>,
    ) -> Outcome {
        let key = self.table.find(&link.tuple, now.mono);
        if let Some(shard) = connection_bind::elsewhere(&self.shared, self.shard, &link, &message)
            && key.is_none()
            // What has waited is no longer the message that the host has just handed in.
            && answer.is_none()
            && !self.has_begun(&link.tuple)
        {
            self.outbox.hand_over(link.id, shard);
            return Outcome::Handled;
        }
        let live = live_owner(&self.table, now, key, &message);
        let evidence = Evidence { live, answer };
        match self.gate.admit(&self.settings, &self.shared, now, link, message, evidence) {
            Ok(Admission::Passed(request)) => {
                self.authenticated(now, key, request);
                Outcome::Handled
            }
            Ok(Admission::Asks(name)) => self.ask(now, link, &message, bytes, &name),
            Err(refusal) => self.refused(now, link, &message, refusal),
        }
    }

    fn authenticated(&mut self, now: Now, key: Option<AllocationKey>, request: Authenticated<'_>) {
        // What has expired must neither come back to life nor stand in the way.
        self.table.expire(now.mono, &mut self.outbox);
        let asked = *request.asked();
        let signer = request.signer().clone();
        if let Err(reject) = self.serve(now, key, request) {
            asked.refuse(&signer, &reject, &mut self.outbox);
            note_response(&self.counters, &self.shared, &asked, Some(&reject), &mut self.outbox);
        }
    }

    fn serve(
        &mut self,
        now: Now,
        key: Option<AllocationKey>,
        request: Authenticated<'_>,
    ) -> Result<(), Reject> {
        // [S3, S4] RFC 8489 section 6.3.1, after authentication.
        // [S6] Optional ones and known ones that do not belong here are passed over.
        let unknown: ArrayVec<_, { turn_codec::MAX_ATTRIBUTES }> =
            request.message().unknown_required().take(turn_codec::MAX_ATTRIBUTES).collect();
        if !unknown.is_empty() {
            return Err(Reject::UnknownAttributes(unknown));
        }
        let method = request.message().method();
        if method == Method::ALLOCATE {
            return self.allocate(now, key, request);
        }
        if method == Method::CONNECTION_BIND {
            // A connection that waits for its Allocate is as good as a control connection.
            if self.has_begun(&request.link().tuple) {
                return Err(Reject::BadRequest);
            }
            let (_, mut bench) = self.workbench();
            return connection_bind::connection_bind(&mut bench, now, key, &request);
        }
        // [A19, A18] RFC 8656 section 5: no allocation: 437; somebody else's: 441.
        let key = key.ok_or(Reject::AllocationMismatch)?;
        if self.table.get(key).is_none_or(|allocation| !allocation.owner.is(request.owner())) {
            return Err(Reject::WrongCredentials);
        }
        self.table.follow(key, request.link());
        if method == Method::CONNECT {
            return connect::connect(&mut self.workbench().1, now, key, request);
        }
        let Self { table, settings, outbox, .. } = self;
        let reply = match method {
            Method::REFRESH => refresh::refresh(table, settings, now, key, &request, outbox),
            Method::CREATE_PERMISSION => {
                create_permission::create_permission(table, settings, now, key, &request)
            }
            Method::CHANNEL_BIND => channel_bind::channel_bind(table, settings, now, key, &request),
            Method { .. } => return Ok(()),
        }?;
        self.succeed(&request, &reply);
        Ok(())
    }

    fn allocate(
        &mut self,
        now: Now,
        key: Option<AllocationKey>,
        request: Authenticated<'_>,
    ) -> Result<(), Reject> {
        // [T1, S16] RFC 8656 section 7.2, check 2: a 5-tuple in use is a mismatch, a retransmit of the
        // request that made it gets the same answer.
        if let Some(allocation) = key.and_then(|key| self.table.get(key)) {
            if allocation.transaction != request.message().transaction_id()
                || !allocation.owner.is(request.owner())
            {
                return Err(Reject::AllocationMismatch);
            }
            let relays = || allocation.relays.iter().filter_map(|id| self.table.relay(id));
            let expires_at = relays().map(|relay| relay.expires_at).min().unwrap_or(now.mono);
            let reply = Reply {
                relayed: relays().map(|relay| relay.advertised).collect(),
                address_error: allocation.address_error,
                lifetime: Some(expires_at.saturating_duration_since(now.mono)),
                mapped: Some(request.link().tuple.client),
                reservation: allocation.reservation,
                connection: None,
            };
            self.succeed(&request, &reply);
            return Ok(());
        }
        if self.openings.contains(&request.link().tuple) {
            // Its answer is on the way; a retransmit needs no second one.
            return Ok(());
        }
        // [R19] What lives goes on; nothing new begins.
        if self.shared.is_draining() {
            return Err(Reject::InsufficientCapacity);
        }
        let wanted =
            allocate::allocate(&self.settings, &self.shared, request.link(), request.message())?;
        let (openings, mut bench) = self.workbench();
        openings.start(&mut bench, now, request, wanted);
        Ok(())
    }

    fn succeed(&mut self, request: &Authenticated<'_>, reply: &Reply) {
        request.asked().succeed(request.signer(), reply, &mut self.outbox);
        note_response(&self.counters, &self.shared, request.asked(), None, &mut self.outbox);
    }

    /// Answers who has not authenticated, as far as the limits allow it.
    fn refused(
        &mut self,
        now: Now,
        link: Link,
        message: &Message<'_>,
        refusal: Refusal,
    ) -> Outcome {
        let asked = Asked::of(link, message);
        let client = link.tuple.client;
        if let Some(failure) = refusal.failure() {
            self.counters.count_auth_failure(failure);
        }
        let Some(code) = refusal.code() else { return self.dropped(DropReason::ReplyLimit) };
        // [H10, H12] A connection or a nonce has proven its address, a datagram has not.
        let is_proven = refusal.source() == Source::Proven || link.tuple.transport.is_connection();
        if !is_proven && !self.shared.admit_challenge(&self.settings.limits, client, now.mono) {
            let limit = LimitName::of_process("challenges");
            note_limit(&self.counters, &self.shared, limit, &mut self.outbox);
            return self.dropped(DropReason::ReplyLimit);
        }
        // [A20] The realm of the link, whatever a stranger has named.
        let realm = self.settings.realm(link.realm);
        if code == StatusCode::BAD_REQUEST || code == StatusCode::SERVER_ERROR {
            asked.challenge(code, None, &mut self.outbox);
        } else {
            let features = gate::features(&realm.keyring);
            let bearer = Bearer::of(&link.tuple);
            let nonce = self.gate.nonces().issue(features, &realm.name, bearer, now.unix);
            let offer = gate::offer(&realm.keyring);
            let with = (&*realm.name, &nonce, offer.as_ref());
            asked.challenge(code, Some(with), &mut self.outbox);
        }
        self.counters.count_response(asked.method, Some(code));
        // A challenge is the first half of every exchange; a wrong password is news.
        // [H29] Nothing that a stranger sends makes a line.
        if refusal.source() == Source::Proven
            && let Some(failure) = refusal.failure()
        {
            note_auth_failure(&realm.keyring, link, message, failure, &mut self.outbox);
        }
        Outcome::Handled
    }

    fn relaying<T>(&mut self, relay: impl FnOnce(&mut Relaying<'_>) -> T) -> T {
        let mut refused_by = None;
        let result = relay(&mut Relaying {
            shard: self.shard,
            table: &mut self.table,
            settings: &self.settings,
            shared: &self.shared,
            counters: &self.counters,
            indications: &mut self.indications,
            refused_by: &mut refused_by,
        });
        if let Some(limit) = refused_by {
            if self.noted.contains(&limit) {
                self.counters.count_limit(limit.key);
            } else {
                self.noted.insert(limit);
                note_limit(&self.counters, &self.shared, limit, &mut self.outbox);
            }
        }
        result
    }

    fn workbench(&mut self) -> (&mut Openings, Workbench<'_>) {
        let bench = Workbench {
            shard: self.shard,
            table: &mut self.table,
            settings: &self.settings,
            shared: &self.shared,
            counters: &self.counters,
            random: &mut self.random,
            outbox: &mut self.outbox,
        };
        (&mut self.openings, bench)
    }

    fn outcome(&self, relayed: Result<Relayed, DropReason>) -> Outcome {
        match relayed {
            Ok(relayed) => Outcome::Relay(relayed),
            Err(reason) => self.dropped(reason),
        }
    }

    fn dropped(&self, reason: DropReason) -> Outcome {
        self.counters.count_drop(reason);
        Outcome::Dropped(reason)
    }
}

/// Denied peers of Send indications that a shard reports.
const MOST_DENIED: usize = 8;

/// Whose stored key serves a request: the maker of the allocation that it is about.
fn live_owner<'t>(
    table: &'t Allocations,
    now: Now,
    key: Option<AllocationKey>,
    message: &Message<'_>,
) -> Option<&'t Owner> {
    if message.method() == Method::CONNECTION_BIND {
        let id = connection_bind::named(message).ok().flatten()?;
        let relay = table.peer_connections().get(id)?.relay;
        return table.owner_of(relay, now.mono);
    }
    key.and_then(|key| table.get(key)).map(|allocation| &allocation.owner)
}
