//! The host of an engine: sends what it relays, opens and closes what it asks
//! for, and answers Binding requests beside it.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::{Rc, Weak};
use std::sync::Arc;

use stun_responder::{MAX_REPLY_LEN, Verdict as Binding, is_binding, respond};
use turn_engine::{
    Action, AddressRange, Completion, Engine, FiveTuple, KeyAnswer, Link, LinkId, Now, OpenError,
    Outcome, RealmId, RelayId, RelayProtocol, Relayed, Route, ShardId, Shared, Transport,
};
use turn_udp::{Datagram, Datagrams, Destination, RecvBatch, SendBatch, UdpSocket};

use crate::clock;
use crate::dtls::{DtlsClients, is_record, listener_of, path};
use crate::keys::{KeyFinder, KeySlip};
use crate::link::{LinkKind, Slot};
use crate::mailbox::{Address, Message};
use crate::net_counters::NetCounters;
use crate::observer::Observer;
use crate::proxied::Upstreams;
use crate::relay_sockets::RelaySockets;
use crate::ring::{RingWriter, ring};
use crate::stream::{Lane, Order, PeerSockets, Spoken, StreamContext, Streams, note};

/// An engine with its sockets and what is on its way out.
pub(crate) struct Host {
    pub(crate) shard: ShardId,
    pub(crate) engine: Engine,
    pub(crate) shared: Arc<Shared>,
    pub(crate) listeners: Vec<Listener>,
    pub(crate) relays: RelaySockets,
    pub(crate) streams: Streams,
    pub(crate) peers: PeerSockets,
    pub(crate) dtls: DtlsClients,
    pub(crate) upstreams: Upstreams,
    /// Where tasks of connections to peers are at home.
    pub(crate) home: Weak<StreamContext>,
    pub(crate) outgoing: SendBatch,
    pub(crate) neighbours: Vec<Address>,
    pub(crate) writers: Vec<Option<RingWriter>>,
    pub(crate) counters: Arc<NetCounters>,
    pub(crate) observer: Arc<dyn Observer>,
    /// Who looks up users that no keyring knows.
    pub(crate) keys: Option<Arc<dyn KeyFinder>>,
    /// Shards that have something new in a ring.
    pub(crate) to_wake: Vec<ShardId>,
    /// Streams that have something to write since the last flush.
    pub(crate) unwritten: Vec<Rc<Lane>>,
    /// Some task of a stream has something left to write.
    pub(crate) has_woken_streams: bool,
    /// Some task of a stream has more to do than fits into a turn.
    pub(crate) has_busy_streams: bool,
    /// A datagram from a ring with its prefix.
    pub(crate) scratch: Vec<u8>,
}

/// A socket that clients send to.
#[derive(Debug, Clone)]
pub(crate) struct Listener {
    pub(crate) socket: Rc<UdpSocket>,
    /// Bound to an unspecified address: each reply names its source.
    pub(crate) is_wildcard: bool,
    pub(crate) spoken: Spoken,
    /// Who puts a PROXY header in front of every datagram; empty: nobody does.
    pub(crate) upstreams: Rc<[AddressRange]>,
    /// Whose clients come here.
    pub(crate) realm: RealmId,
}

/// How something reaches a peer or a client.
pub(crate) enum Way<'s> {
    Datagram(&'s Rc<UdpSocket>, Destination),
    Stream(&'s Rc<Lane>),
    Dtls(Slot),
}

impl Host {
    /// Serves what a UDP listener has received; gives the number of datagrams.
    pub(crate) fn serve_clients(
        &mut self,
        slot: usize,
        datagrams: Datagrams<'_>,
        now: Now,
    ) -> usize {
        let Some(listener) = self.listeners.get(slot).cloned() else { return 0 };
        let mut served = 0;
        for datagram in datagrams {
            served += 1;
            let server = server_address(&listener, datagram.to);
            if !listener.upstreams.is_empty() {
                self.serve_proxied(slot, &listener, server, &datagram, now);
                continue;
            }
            if is_record(datagram.bytes) {
                if listener.spoken.secured {
                    self.serve_record(path(datagram.from, server), datagram.bytes, now);
                }
                continue;
            }
            if !listener.spoken.plain {
                continue;
            }
            if is_binding(datagram.bytes) {
                let to = destination(&listener, datagram.from, server, false);
                self.answer_binding(&listener, datagram.bytes, datagram.from, to, now);
                continue;
            }
            let tuple = FiveTuple { transport: Transport::Udp, client: datagram.from, server };
            let link = Link { id: LinkKind::Listener(slot).id(), tuple, realm: listener.realm };
            match self.engine.from_client(now, link, datagram.bytes) {
                Outcome::Relay(relayed) => self.relay(relayed, &datagram),
                Outcome::Handled => self.drain_actions(now),
                Outcome::Dropped(_) => {}
            }
        }
        self.counters.from_clients.add(served as u64);
        served
    }

    /// Serves what a relay socket has received; gives the number of datagrams.
    pub(crate) fn serve_peers(
        &mut self,
        relay: RelayId,
        datagrams: Datagrams<'_>,
        now: Now,
    ) -> usize {
        let mut served = 0;
        for datagram in datagrams {
            served += 1;
            match self.engine.from_peer(now, relay, datagram.from, datagram.bytes) {
                Outcome::Relay(relayed) => self.relay(relayed, &datagram),
                Outcome::Handled | Outcome::Dropped(_) => {}
            }
        }
        self.counters.from_peers.add(served as u64);
        served
    }

    /// Serves a datagram that another shard has handed over.
    pub(crate) fn serve_neighbour(
        &mut self,
        relay: RelayId,
        from: SocketAddr,
        payload: &[u8],
        now: Now,
    ) {
        if let Outcome::Relay(relayed) = self.engine.from_peer(now, relay, from, payload) {
            self.relay_copy(relayed, payload);
        }
    }

    /// Does what the engine asks for until it asks for nothing more.
    pub(crate) fn drain_actions(&mut self, now: Now) {
        loop {
            let completion = match self.engine.poll_action() {
                None => return,
                Some(Action::Reply { link, to, from, bytes }) => {
                    let route = Route::Client { link, to, from };
                    let Self { listeners, relays, streams, upstreams, .. } = self;
                    match resolve(listeners, relays, streams, upstreams, &route, false) {
                        Some(Way::Datagram(socket, to)) => {
                            self.outgoing.push_bytes(socket, to, bytes);
                        }
                        Some(Way::Stream(lane)) => {
                            lane.push_control(bytes);
                            note(&mut self.unwritten, lane);
                        }
                        Some(Way::Dtls(slot)) => {
                            self.dtls.send(slot, &[bytes]);
                        }
                        // [S19] The connection is gone, and no other is made.
                        None => {}
                    }
                    None
                }
                Some(Action::OpenRelay { ticket, relay, bind, protocol }) => {
                    let opened = self.open_relay(relay, bind, protocol);
                    Some(match opened {
                        Ok(()) => {
                            self.counters.relays_opened.add(1);
                            (ticket, Completion::Opened(relay))
                        }
                        Err(error) => (ticket, Completion::Failed(relay, error)),
                    })
                }
                Some(Action::CloseRelay(relay)) => {
                    if self.relays.close(relay) || self.peers.close_relay(relay) {
                        self.counters.relays_closed.add(1);
                    }
                    None
                }
                Some(Action::ClaimReservation { ticket, shard, claim }) => {
                    let from = self.shard;
                    let posted = self.neighbours.get(usize::from(shard.0)).is_some_and(|address| {
                        address.post(Message::Claim { from, ticket, claim }).is_ok()
                    });
                    if posted { None } else { Some((ticket, Completion::Claimed(None))) }
                }
                Some(Action::ConnectPeer { connection, bind, peer, .. }) => {
                    self.connect_peer(connection, bind, peer);
                    None
                }
                Some(Action::Splice { link, connection }) => {
                    self.order(link, Order::Splice(connection));
                    None
                }
                Some(Action::ClosePeer(connection)) => {
                    self.close_peer(connection);
                    None
                }
                Some(Action::HandOver { link, shard }) => {
                    self.order(link, Order::HandOver(shard));
                    None
                }
                Some(Action::FindKey { ticket, realm, name }) => {
                    let here = self.neighbours.get(usize::from(self.shard.0));
                    if let (Some(keys), Some(here)) = (&self.keys, here) {
                        keys.find(realm, name, KeySlip::new(here.clone(), ticket));
                    } else {
                        self.engine.key_found(now, ticket, KeyAnswer::Unavailable);
                    }
                    None
                }
                Some(Action::Report(report)) => {
                    self.observer.report(self.shard, report);
                    None
                }
            };
            if let Some((ticket, done)) = completion {
                self.engine.complete(now, ticket, done);
            }
        }
    }

    /// Sends what is queued and wakes who has something in a ring.
    pub(crate) fn flush(&mut self, received: &mut RecvBatch) {
        if self.dtls.has_output() {
            self.pump_dtls(clock::now());
        }
        self.write_streams();
        let flushed = self.outgoing.flush(received, |_, _, _| {});
        self.counters.sent.add(flushed.datagrams);
        self.counters.sent_in_runs.add(flushed.segmented);
        self.counters.send_dropped.add(flushed.dropped);
        self.counters.send_calls.add(flushed.syscalls);
        self.relays.connect_steady();
        for shard in self.to_wake.drain(..) {
            if let Some(address) = self.neighbours.get(usize::from(shard.0)) {
                address.wake();
            }
        }
    }

    /// Queues a datagram where its route says; on its way to a socket its payload
    /// stays where it is.
    fn relay(&mut self, relayed: Relayed, datagram: &Datagram<'_>) {
        if outlives_its_buffer(&relayed.route) {
            return self.relay_copy(relayed, datagram.bytes);
        }
        let Self { listeners, relays, streams, upstreams, .. } = self;
        let (route, dont_fragment) = (&relayed.route, relayed.dont_fragment);
        if let Some(Way::Datagram(socket, to)) =
            resolve(listeners, relays, streams, upstreams, route, dont_fragment)
        {
            let payload = datagram.at.range(relayed.payload).padded(relayed.padding);
            self.outgoing.push(socket, to, relayed.prefix.as_bytes(), payload);
        }
    }

    /// Hands a datagram to another shard.
    pub(crate) fn relay_across(
        &mut self,
        shard: ShardId,
        relay: RelayId,
        from: SocketAddr,
        payload: &[u8],
    ) {
        let place = usize::from(shard.0);
        let Some(writer) = self.writers.get_mut(place) else { return };
        if writer.is_none() {
            let (ours, theirs) = ring();
            if self.neighbours.get(place).is_some_and(|to| to.post(Message::Ring(theirs)).is_ok()) {
                *writer = Some(ours);
            }
        }
        if writer.as_mut().is_some_and(|writer| writer.push(relay, from, payload)) {
            self.counters.ring_sent.add(1);
            if !self.to_wake.contains(&shard) {
                self.to_wake.push(shard);
            }
        } else {
            self.counters.ring_dropped.add(1);
        }
    }

    fn open_relay(
        &mut self,
        relay: RelayId,
        bind: SocketAddr,
        protocol: RelayProtocol,
    ) -> Result<(), OpenError> {
        let opened = match protocol {
            RelayProtocol::Udp => self.relays.open(relay, bind),
            RelayProtocol::Tcp => self.listen_for_peers(relay, bind),
        };
        opened.map_err(|error| open_error(&error))
    }

    /// Tells the task of a connection what the engine wants of it.
    fn order(&self, link: LinkId, order: Order) {
        if let LinkKind::Stream(slot) = LinkKind::of(link)
            && let Some(lane) = self.streams.get(slot)
        {
            lane.order(order);
        }
    }

    /// Answers a Binding request without asking the engine: no state, no
    /// allocation, a bucket and 32 bytes.
    pub(crate) fn answer_binding(
        &mut self,
        listener: &Listener,
        bytes: &[u8],
        client: SocketAddr,
        to: Destination,
        now: Now,
    ) {
        let limits = &self.engine.settings().limits;
        if !self.shared.admit_binding(limits, client, now.mono) {
            self.counters.binding_dropped.add(1);
            self.meet_limit("binding_replies");
            return;
        }
        let mut room = [0; MAX_REPLY_LEN];
        if let Some(reply) = self.binding_reply(bytes, client, &mut room) {
            self.outgoing.push_bytes(&listener.socket, to, reply);
        }
    }

    /// The response to a Binding request of a client whose address is proven, or
    /// that has paid for it.
    pub(crate) fn binding_reply<'r>(
        &self,
        request: &[u8],
        client: SocketAddr,
        room: &'r mut [u8; MAX_REPLY_LEN],
    ) -> Option<&'r [u8]> {
        match respond(request, client, room) {
            Binding::Reply(reply) => {
                self.counters.binding_replies.add(1);
                Some(reply)
            }
            Binding::NotBinding | Binding::Silent => {
                self.counters.binding_dropped.add(1);
                None
            }
        }
    }
}

/// Whether what takes this route waits elsewhere for its turn: with another shard,
/// or in the queue of a connection.
const fn outlives_its_buffer(route: &Route) -> bool {
    match route {
        Route::Peer { .. } => false,
        Route::Client { link, .. } => LinkKind::is_connection(*link),
        Route::Shard { .. } => true,
    }
}

/// How a route to a peer or a client is taken; `None` where it leads nowhere
/// any more.
pub(crate) fn resolve<'s>(
    listeners: &'s [Listener],
    relays: &'s RelaySockets,
    streams: &'s Streams,
    upstreams: &Upstreams,
    route: &Route,
    dont_fragment: bool,
) -> Option<Way<'s>> {
    match route {
        Route::Peer { via, peer } => relays.toward(*via, *peer).map(|socket| {
            Way::Datagram(socket, Destination { to: *peer, source: None, dont_fragment })
        }),
        Route::Client { link, to, from } => match LinkKind::of(*link) {
            LinkKind::Listener(slot) => {
                let listener = listeners.get(slot)?;
                let to = destination(listener, *to, *from, dont_fragment);
                Some(Way::Datagram(&listener.socket, to))
            }
            LinkKind::Stream(slot) => streams.get(slot).map(Way::Stream),
            LinkKind::Dtls(slot) => Some(Way::Dtls(slot)),
            LinkKind::Proxied(slot) => upstreams
                .way(listeners, slot, *from, dont_fragment)
                .map(|(listener, to)| Way::Datagram(&listener.socket, to)),
        },
        Route::Shard { .. } => None,
    }
}

/// RFC 8489 section 6.3.1.2: a reply leaves from the address that was asked. [S14]
pub(crate) fn destination(
    listener: &Listener,
    to: SocketAddr,
    from: SocketAddr,
    dont_fragment: bool,
) -> Destination {
    Destination { to, source: listener.is_wildcard.then_some(from.ip()), dont_fragment }
}

/// How a datagram leaves from one of our addresses.
pub(crate) fn datagram_way(
    listeners: &[Listener],
    from: SocketAddr,
    to: SocketAddr,
) -> Option<(&Rc<UdpSocket>, Destination)> {
    let listener = listener_of(listeners, from)?;
    Some((&listener.socket, destination(listener, to, from, false)))
}

fn server_address(listener: &Listener, to: Option<IpAddr>) -> SocketAddr {
    let mut local = listener.socket.local_addr();
    if listener.is_wildcard
        && let Some(to) = to
    {
        local.set_ip(to);
    }
    local
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the kinds are the standard library's, and open"
)]
fn open_error(error: &io::Error) -> OpenError {
    match error.kind() {
        // A security module that denies this port may allow the next.
        io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied => OpenError::AddressInUse,
        io::ErrorKind::AddrNotAvailable => OpenError::AddressUnavailable,
        _ => OpenError::Exhausted,
    }
}
