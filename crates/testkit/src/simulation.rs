//! The engines of a process and what they ask for: sockets, reservations of other
//! shards, replies. Every datagram that leaves is judged before it is handed out.

mod connections;
mod keys;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use turn_codec::{Class, Message, Method};
use turn_engine::{
    Action, AllocationId, Claim, Completion, ConnectFailed, ConnectionId, Engine, FiveTuple, Link,
    LinkId, NonceKey, Now, Outcome, RealmId, RelayId, RelayProtocol, Relayed, Report, Route,
    ShardId, Shared, TenantId, Ticket, Transport,
};

use crate::client::ClientState;
use crate::clock::Clock;
use crate::emitted::{Emitted, Event};
use crate::invariants;
use crate::kernel::Kernel;
use crate::reference::Reference;
use crate::seeded::Seeded;
use crate::setup::Setup;
use crate::store::Store;

/// One server process and all that surrounds it.
#[derive(Debug, Default)]
pub(crate) struct Simulation {
    pub(crate) setup: Setup,
    pub(crate) clock: Clock,
    pub(crate) kernel: Kernel,
    pub(crate) reference: Reference,
    pub(crate) clients: Vec<ClientState>,
    pub(crate) reports: Vec<Report>,
    pub(crate) store: Store,
    /// Time has moved since the last sweep.
    pub(crate) is_unswept: bool,
    /// While set, completions wait until [`release`](Self::release).
    pub(crate) is_holding: bool,
    pub(crate) ids: u64,
    process: Option<Process>,
    held: Vec<Held>,
    /// What a client has sent just now: a connection that is handed over takes it along.
    current: Vec<u8>,
    asked: HashMap<(FiveTuple, [u8; 12]), Vec<u8>>,
    streams: HashMap<LinkId, FiveTuple>,
}

/// The link of the UDP listeners.
pub(crate) const UDP: LinkId = LinkId(0);

#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) engines: Vec<Engine>,
    pub(crate) shared: Arc<Shared>,
}

/// What made the engine speak.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Cause {
    Client(FiveTuple),
    Peer,
    Host,
}

/// An answer of the host that waits.
#[derive(Debug)]
enum Held {
    Completion(ShardId, Ticket, Completion),
    Connected(ConnectionId, Result<(), ConnectFailed>),
}

/// An action that no longer borrows its engine.
enum Step {
    Reply { link: LinkId, to: SocketAddr, from: SocketAddr, bytes: Vec<u8> },
    Open { ticket: Ticket, relay: RelayId, bind: SocketAddr, protocol: RelayProtocol },
    Close(RelayId),
    Connect { connection: ConnectionId, bind: SocketAddr, peer: SocketAddr },
    Splice { link: LinkId, connection: ConnectionId },
    ClosePeer(ConnectionId),
    HandOver { link: LinkId, shard: ShardId },
    Claim { ticket: Ticket, shard: ShardId, claim: Claim },
    FindKey { ticket: Ticket, realm: RealmId, name: String },
    Report(Report),
}

impl Simulation {
    /// The engines, made of the setup on first use.
    pub(crate) fn process(&mut self) -> &mut Process {
        let Self { setup, clock, kernel, reference, process, .. } = self;
        process.get_or_insert_with(|| {
            let settings = Arc::new(setup.build());
            let addresses = &settings.relay.addresses;
            *kernel = std::mem::take(kernel).with_shards(setup.shards);
            *reference = Reference::new(addresses.iter().map(|at| at.advertised).collect());
            let mut seeded = Seeded::new(setup.seed);
            let mut key = [0; 32];
            seeded.fill(&mut key);
            let started = clock.now().mono;
            let shared = Shared::new(addresses.len(), &setup.ports, NonceKey::new(key), started);
            let shared = Arc::new(shared);
            let engine = |shard| {
                let random = Seeded::random(seeded.next_u64());
                Engine::new(ShardId(shard), Arc::clone(&settings), Arc::clone(&shared), random)
            };
            Process {
                engines: (0..setup.shards).map(engine).collect(),
                shared: Arc::clone(&shared),
            }
        })
    }

    pub(crate) fn link_of(&mut self, tuple: FiveTuple) -> LinkId {
        if tuple.transport == Transport::Udp {
            return UDP;
        }
        if let Some((link, _)) = self.streams.iter().find(|(_, known)| **known == tuple) {
            return *link;
        }
        self.ids += 1;
        let link = LinkId(self.ids);
        self.streams.insert(link, tuple);
        link
    }

    fn link(&mut self, tuple: FiveTuple) -> Link {
        let (realm, _) = self.side_of(&tuple);
        Link { id: self.link_of(tuple), tuple, realm }
    }

    /// The realm that a 5-tuple speaks to, and the tenant whose secret it has.
    fn side_of(&self, tuple: &FiveTuple) -> (RealmId, Option<TenantId>) {
        let client = self.clients.iter().rev().find(|client| client.tuple == *tuple);
        client.map_or_else(Default::default, |client| (client.realm, client.tenant))
    }

    /// Hands a client's datagram or frame to the shard that it reaches.
    pub(crate) fn client_sends(&mut self, tuple: FiveTuple, bytes: &[u8]) -> Emitted {
        self.process();
        let link = self.link(tuple);
        let shard = self.kernel.shard_of(&tuple);
        if let Ok(message) = Message::parse(bytes)
            && message.class() == Class::Request
        {
            self.asked.insert((tuple, *message.transaction_id().as_bytes()), bytes.to_vec());
        }
        let now = self.clock.now();
        self.current = bytes.to_vec();
        let outcome = self.engine(shard).from_client(now, link, bytes);
        let mut emitted = Emitted::default();
        self.follow(shard, outcome, bytes, &mut emitted);
        let has_changed = !emitted.is_silent() && emitted.dropped.is_none();
        self.settle(Cause::Client(tuple), &emitted, has_changed);
        emitted
    }

    /// Hands a peer's datagram to the relay socket that it reaches, if there is one.
    pub(crate) fn peer_sends(
        &mut self,
        relayed: SocketAddr,
        peer: SocketAddr,
        bytes: &[u8],
    ) -> Emitted {
        self.process();
        let bound = SocketAddr::new(self.setup.bound_form(relayed.ip()), relayed.port());
        let mut emitted = Emitted::default();
        let Some((shard, relay)) = self.kernel.socket_at((RelayProtocol::Udp, bound)) else {
            return emitted;
        };
        let now = self.clock.now();
        let outcome = self.engine(shard).from_peer(now, relay, peer, bytes);
        self.follow(shard, outcome, bytes, &mut emitted);
        self.settle(Cause::Peer, &emitted, false);
        emitted
    }

    /// Moves time, sweeping at each deadline on the way. All that a sweep says is that a Connect
    /// has failed, or that a store has not answered.
    pub(crate) fn advance(&mut self, by: Duration) -> Emitted {
        let target = self.clock.now().mono + by;
        let emitted = self.sweep_until(target);
        for event in &emitted.events {
            let Event::ToClient { bytes, .. } = event else { panic!("a sweep sends {event:?}") };
            let message = Message::parse(bytes).expect("it was witnessed");
            // What has waited in vain for a store is refused; its nonce may have aged meanwhile.
            let has_waited = matches!(invariants::code(&message), 500 | 438);
            assert_eq!(message.class(), Class::Error);
            assert!(has_waited || message.method() == Method::CONNECT, "a sweep says {message:?}");
        }
        self.clock.advance_to(target);
        self.reference.prune(target);
        self.is_unswept = false;
        invariants::check(self);
        emitted
    }

    fn sweep_until(&mut self, target: std::time::Instant) -> Emitted {
        let mut emitted = Emitted::default();
        let shards = u8::try_from(self.process().engines.len()).unwrap_or(u8::MAX);
        for shard in (0..shards).map(ShardId) {
            let mut clock = self.clock.clone();
            while let Some(due) = self.engine(shard).next_deadline().filter(|due| *due <= target) {
                clock.advance_to(due);
                let now = clock.now();
                self.engine(shard).expire(now);
                let next = self.engine(shard).next_deadline();
                assert!(next.is_none_or(|next| next > now.mono), "a sweep ends what is due");
                self.drain(shard, now, &mut emitted);
            }
        }
        emitted
    }

    /// Gives the setup's settings to the engines, as a reload does.
    pub(crate) fn reload(&mut self) -> Emitted {
        let settings = Arc::new(self.setup.build());
        let now = self.clock.now();
        for engine in &mut self.process().engines {
            engine.apply(now, Arc::clone(&settings));
        }
        self.reference.end_realms(|realm| settings.realm(realm).is_removed);
        self.reference.add_own(settings.relay.addresses.iter().map(|at| at.advertised));
        let mut emitted = Emitted::default();
        let shards = u8::try_from(self.process().engines.len()).unwrap_or(u8::MAX);
        (0..shards).for_each(|shard| self.drain(ShardId(shard), now, &mut emitted));
        emitted
    }

    /// An operator ends an allocation.
    pub(crate) fn end_allocation(&mut self, id: AllocationId) -> bool {
        let now = self.clock.now();
        let mut tuple = None;
        let engine = self.engine(id.shard);
        engine.survey(now, 0, usize::MAX, &mut |it| {
            if it.id == id {
                tuple = Some(it.link.tuple);
            }
        });
        let was_there = engine.end_allocation(now, id);
        assert_eq!(was_there, tuple.is_some(), "what is live can be ended");
        if let Some(tuple) = tuple {
            self.reference.end(&tuple);
        }
        self.drain_silently(id.shard, now);
        was_there
    }

    /// A stream ends.
    pub(crate) fn close_link(&mut self, tuple: FiveTuple) {
        let link = self.link_of(tuple);
        let shard = self.kernel.shard_of(&tuple);
        let now = self.clock.now();
        self.engine(shard).link_closed(now, link);
        self.reference.end(&tuple);
        self.drain_silently(shard, now);
        self.streams.remove(&link);
        self.kernel.forget_client(&tuple);
    }

    /// A relay socket fails for good.
    pub(crate) fn fail_relay(&mut self, relayed: SocketAddr) {
        let bound = SocketAddr::new(self.setup.bound_form(relayed.ip()), relayed.port());
        let protocols = [RelayProtocol::Udp, RelayProtocol::Tcp];
        let is_open =
            |protocol: &RelayProtocol| self.kernel.socket_at((*protocol, bound)).is_some();
        let protocol = protocols.into_iter().find(is_open).expect("an open relay socket");
        let (shard, relay) = self.kernel.socket_at((protocol, bound)).expect("it is open");
        let now = self.clock.now();
        self.engine(shard).relay_failed(now, relay);
        self.reference.end_relay(protocol, relayed, now.mono);
        self.drain_silently(shard, now);
    }

    /// Hands out the completions that were held.
    pub(crate) fn release(&mut self) -> Emitted {
        self.is_holding = false;
        let now = self.clock.now();
        let mut emitted = Emitted::default();
        for held in std::mem::take(&mut self.held) {
            match held {
                Held::Completion(shard, ticket, done) => {
                    self.engine(shard).complete(now, ticket, done);
                    self.drain(shard, now, &mut emitted);
                }
                Held::Connected(connection, outcome) => {
                    self.connected(connection, outcome, &mut emitted);
                }
            }
        }
        self.settle(Cause::Host, &emitted, true);
        emitted
    }

    fn drain_silently(&mut self, shard: ShardId, now: Now) {
        let mut emitted = Emitted::default();
        self.drain(shard, now, &mut emitted);
        emitted.expect_silence();
        invariants::check(self);
    }

    fn settle(&mut self, cause: Cause, emitted: &Emitted, has_changed: bool) {
        emitted.events.iter().for_each(|event| invariants::judge(self, cause, event));
        let is_waiting = self.process().engines.iter().any(|it| it.waiting_for_keys() > 0);
        if !self.is_holding && !is_waiting {
            // The answer to a Connect may take its time.
            self.asked.retain(|_, request| {
                Message::parse(request).is_ok_and(|request| request.method() == Method::CONNECT)
            });
        }
        if has_changed {
            invariants::check(self);
        }
    }

    fn follow(&mut self, shard: ShardId, outcome: Outcome, input: &[u8], emitted: &mut Emitted) {
        match outcome {
            Outcome::Relay(relayed) => self.relay(shard, &relayed, input, emitted),
            Outcome::Handled => {}
            Outcome::Dropped(reason) => emitted.dropped = Some(reason),
        }
        let now = self.clock.now();
        self.drain(shard, now, emitted);
    }

    fn relay(&mut self, shard: ShardId, relayed: &Relayed, input: &[u8], emitted: &mut Emitted) {
        let payload = input.get(relayed.payload.clone()).expect("the payload lies in the input");
        let mut bytes = relayed.prefix.as_bytes().to_vec();
        bytes.extend_from_slice(payload);
        bytes.extend(std::iter::repeat_n(0, relayed.padding.into()));
        match relayed.route {
            Route::Peer { via, peer } => {
                let from = self.kernel.bound(shard, via).expect("an open relay socket");
                let dont_fragment = relayed.dont_fragment;
                emitted.events.push(Event::ToPeer { from, to: peer, bytes, dont_fragment });
            }
            Route::Client { link, to, from } => {
                let tuple = self.tuple(link, to, from);
                emitted.events.push(Event::ToClient { tuple, bytes });
            }
            Route::Shard { shard, relay, from } => {
                let now = self.clock.now();
                let outcome = self.engine(shard).from_peer(now, relay, from, &bytes);
                self.follow(shard, outcome, &bytes, emitted);
            }
        }
    }

    fn drain(&mut self, shard: ShardId, now: Now, emitted: &mut Emitted) {
        while let Some(step) = self.engine(shard).poll_action().map(own) {
            match step {
                Step::Reply { link, to, from, bytes } => {
                    let tuple = self.tuple(link, to, from);
                    let is_raw = self.kernel.is_spliced(&tuple);
                    assert!(!is_raw, "{tuple:?} carries a peer's bytes, and no message");
                    self.witness(tuple, &bytes, now);
                    emitted.events.push(Event::ToClient { tuple, bytes });
                }
                Step::Open { ticket, relay, bind, protocol } => {
                    let done = match self.kernel.open(shard, relay, (protocol, bind)) {
                        Ok(()) => Completion::Opened(relay),
                        Err(error) => Completion::Failed(relay, error),
                    };
                    self.complete(shard, now, ticket, done);
                }
                Step::Close(relay) => self.kernel.close(shard, relay),
                Step::Connect { connection, bind, peer } => {
                    self.connect(connection, bind, peer, emitted);
                }
                Step::Splice { link, connection } => {
                    let tuple = self.streams.get(&link).copied();
                    let wire = self.kernel.connections.get_mut(&connection);
                    let wire = wire.expect("only an open connection is spliced");
                    assert_eq!(wire.spliced, None, "a connection is spliced once");
                    wire.spliced = Some(tuple.expect("a stream that was opened"));
                }
                Step::ClosePeer(connection) => self.close_peer(connection, emitted),
                Step::HandOver { link, shard: to } => {
                    let tuple = self.streams.remove(&link).expect("a stream that was opened");
                    self.kernel.move_client(tuple, to);
                    let link = self.link(tuple);
                    let bytes = self.current.clone();
                    let outcome = self.engine(to).from_client(now, link, &bytes);
                    self.follow(to, outcome, &bytes, emitted);
                }
                Step::Claim { ticket, shard: holder, claim } => {
                    let claimed = self.hand_over(holder, shard, claim, now);
                    self.complete(shard, now, ticket, Completion::Claimed(claimed));
                }
                Step::FindKey { ticket, realm, name } => self.find_key(shard, ticket, realm, name),
                Step::Report(report) => self.reports.push(report),
            }
        }
    }

    fn complete(&mut self, shard: ShardId, now: Now, ticket: Ticket, done: Completion) {
        if self.is_holding {
            self.held.push(Held::Completion(shard, ticket, done));
        } else {
            self.engine(shard).complete(now, ticket, done);
        }
    }

    fn hand_over(
        &mut self,
        holder: ShardId,
        taker: ShardId,
        claim: Claim,
        now: Now,
    ) -> Option<RelayId> {
        let holder_engine = self.process().engines.get_mut(usize::from(holder.0))?;
        let (relay, moving) = holder_engine.detach(now, claim)?;
        let adopted = self.engine(taker).adopt(now, moving).expect("a shard has room");
        self.kernel.hand_over((holder, relay), (taker, adopted));
        Some(adopted)
    }

    /// A reply leaves: it must answer a request, from where that was sent to.
    fn witness(&mut self, tuple: FiveTuple, bytes: &[u8], now: Now) {
        let reply = Message::parse(bytes).expect("the engine writes well-formed messages");
        if reply.class() == Class::Indication {
            assert_eq!(reply.method(), Method::CONNECTION_ATTEMPT, "what a client is told unasked");
            return;
        }
        let id = *reply.transaction_id().as_bytes();
        let request = self.asked.remove(&(tuple, id)).expect("only a request gets a reply");
        let request = Message::parse(&request).expect("it was parsed before");
        assert_eq!(reply.method(), request.method(), "a reply has the method of its request");
        let (realm, tenant) = self.side_of(&tuple);
        let is_anonymous = self.setup.settings.realm(realm).anonymous;
        invariants::judge_reply(&request, &reply, is_anonymous);
        if reply.class() == Class::Success {
            let account = self.setup.account_of(realm, tenant, &request);
            self.reference.observe(now.mono, tuple, &account, &request, &reply);
        }
    }

    fn tuple(&self, link: LinkId, client: SocketAddr, server: SocketAddr) -> FiveTuple {
        if link == UDP {
            return FiveTuple { transport: Transport::Udp, client, server };
        }
        let tuple = *self.streams.get(&link).expect("a stream that was opened");
        assert_eq!((tuple.client, tuple.server), (client, server), "a stream has two ends");
        tuple
    }

    fn engine(&mut self, shard: ShardId) -> &mut Engine {
        let engines = &mut self.process().engines;
        engines.get_mut(usize::from(shard.0)).expect("a shard of this process")
    }
}

fn own(action: Action<'_>) -> Step {
    match action {
        Action::Reply { link, to, from, bytes } => {
            Step::Reply { link, to, from, bytes: bytes.to_vec() }
        }
        Action::OpenRelay { ticket, relay, bind, protocol } => {
            Step::Open { ticket, relay, bind, protocol }
        }
        Action::CloseRelay(relay) => Step::Close(relay),
        Action::ConnectPeer { connection, bind, peer, .. } => {
            Step::Connect { connection, bind, peer }
        }
        Action::Splice { link, connection } => Step::Splice { link, connection },
        Action::ClosePeer(connection) => Step::ClosePeer(connection),
        Action::HandOver { link, shard } => Step::HandOver { link, shard },
        Action::ClaimReservation { ticket, shard, claim } => Step::Claim { ticket, shard, claim },
        Action::FindKey { ticket, realm, name } => {
            Step::FindKey { ticket, realm, name: name.to_owned() }
        }
        Action::Report(report) => Step::Report(report),
    }
}
