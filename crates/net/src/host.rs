//! The host of an engine: sends what it relays, opens and closes what it asks
//! for, and answers Binding requests beside it.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;

use stun_responder::{MAX_REPLY_LEN, Verdict as Binding, is_binding, respond};
use turn_engine::{
    Action, Completion, Engine, FiveTuple, Link, LinkId, Now, OpenError, Outcome, RelayId, Relayed,
    Report, Route, ShardId, Shared, Transport,
};
use turn_udp::{Datagram, Datagrams, Destination, RecvBatch, RelayOptions, SendBatch, UdpSocket};

use crate::fleet::Observer;
use crate::mailbox::{Address, Message};
use crate::net_counters::NetCounters;
use crate::relay_sockets::RelaySockets;
use crate::ring::{RingWriter, ring};

/// An engine with its sockets and what is on its way out.
pub(crate) struct Host {
    pub(crate) shard: ShardId,
    pub(crate) engine: Engine,
    pub(crate) shared: Arc<Shared>,
    pub(crate) listeners: Vec<Listener>,
    pub(crate) relays: RelaySockets,
    pub(crate) relay_options: RelayOptions,
    pub(crate) outgoing: SendBatch,
    pub(crate) neighbours: Vec<Address>,
    pub(crate) writers: Vec<Option<RingWriter>>,
    pub(crate) counters: Arc<NetCounters>,
    pub(crate) observer: Arc<dyn Observer>,
    /// Shards that have something new in a ring.
    pub(crate) to_wake: Vec<ShardId>,
    /// A datagram from a ring with its prefix.
    pub(crate) scratch: Vec<u8>,
}

/// A socket that clients send to.
#[derive(Debug, Clone)]
pub(crate) struct Listener {
    pub(crate) socket: Rc<UdpSocket>,
    /// Bound to an unspecified address: each reply names its source.
    pub(crate) is_wildcard: bool,
}

impl Host {
    /// Serves what a listener has received; gives the number of datagrams.
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
            if is_binding(datagram.bytes) {
                self.answer_binding(&listener, server, &datagram, now);
                continue;
            }
            let tuple = FiveTuple { transport: Transport::Udp, client: datagram.from, server };
            let link = Link { id: LinkId(slot as u64), tuple };
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
        let Outcome::Relay(relayed) = self.engine.from_peer(now, relay, from, payload) else {
            return;
        };
        self.scratch.clear();
        self.scratch.extend_from_slice(relayed.prefix.as_bytes());
        self.scratch.extend_from_slice(payload.get(relayed.payload).unwrap_or_default());
        self.scratch.resize(self.scratch.len() + usize::from(relayed.padding), 0);
        if let Some((socket, to)) = resolve(&self.listeners, &self.relays, &relayed.route, false) {
            self.outgoing.push_bytes(socket, to, &self.scratch);
        }
    }

    /// Does what the engine asks for until it asks for nothing more.
    pub(crate) fn drain_actions(&mut self, now: Now) {
        loop {
            let completion = match self.engine.poll_action() {
                None => return,
                Some(Action::Reply { link, to, from, bytes }) => {
                    let route = Route::Client { link, to, from };
                    if let Some((socket, to)) =
                        resolve(&self.listeners, &self.relays, &route, false)
                    {
                        self.outgoing.push_bytes(socket, to, bytes);
                    }
                    None
                }
                Some(Action::OpenRelay { ticket, relay, bind }) => {
                    let opened = open_relay(&mut self.relays, relay, bind, &self.relay_options);
                    Some(match opened {
                        Ok(()) => {
                            self.counters.relays_opened.add(1);
                            (ticket, Completion::Opened(relay))
                        }
                        Err(error) => (ticket, Completion::Failed(relay, error)),
                    })
                }
                Some(Action::CloseRelay(relay)) => {
                    if self.relays.remove(relay).is_some() {
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
    pub(crate) fn flush(&mut self, received: &RecvBatch) {
        let flushed = self.outgoing.flush(received, |_, _, _| {});
        self.counters.sent.add(flushed.datagrams);
        self.counters.sent_in_runs.add(flushed.segmented);
        self.counters.send_dropped.add(flushed.dropped);
        self.counters.send_calls.add(flushed.syscalls);
        for shard in self.to_wake.drain(..) {
            if let Some(address) = self.neighbours.get(usize::from(shard.0)) {
                address.wake();
            }
        }
    }

    /// Queues a datagram where its route says; its payload stays where it is.
    fn relay(&mut self, relayed: Relayed, datagram: &Datagram<'_>) {
        if let Route::Shard { shard, relay, from } = relayed.route {
            let payload = datagram.bytes.get(relayed.payload).unwrap_or_default();
            return self.relay_across(shard, relay, from, payload);
        }
        let Some((socket, to)) =
            resolve(&self.listeners, &self.relays, &relayed.route, relayed.dont_fragment)
        else {
            return;
        };
        let payload = datagram.at.range(relayed.payload).padded(relayed.padding);
        self.outgoing.push(socket, to, relayed.prefix.as_bytes(), payload);
    }

    fn relay_across(&mut self, shard: ShardId, relay: RelayId, from: SocketAddr, payload: &[u8]) {
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

    /// Answers a Binding request without asking the engine: no state, no
    /// allocation, a bucket and 32 bytes.
    fn answer_binding(
        &mut self,
        listener: &Listener,
        server: SocketAddr,
        datagram: &Datagram<'_>,
        now: Now,
    ) {
        let limits = &self.engine.settings().limits;
        if !self.shared.admit_binding(limits, datagram.from, now.mono) {
            self.counters.binding_dropped.add(1);
            if self.shared.meets_limit("binding_replies") {
                let report = Report::LimitReached { key: "binding_replies" };
                self.observer.report(self.shard, report);
            }
            return;
        }
        let mut reply = [0; MAX_REPLY_LEN];
        match respond(datagram.bytes, datagram.from, &mut reply) {
            Binding::Reply(bytes) => {
                let to = destination(listener, datagram.from, server, false);
                self.outgoing.push_bytes(&listener.socket, to, bytes);
                self.counters.binding_replies.add(1);
            }
            Binding::NotBinding | Binding::Silent => self.counters.binding_dropped.add(1),
        }
    }
}

/// The socket and destination of a route to a peer or a client.
fn resolve<'s>(
    listeners: &'s [Listener],
    relays: &'s RelaySockets,
    route: &Route,
    dont_fragment: bool,
) -> Option<(&'s Rc<UdpSocket>, Destination)> {
    match route {
        Route::Peer { via, peer } => relays
            .get(*via)
            .map(|socket| (socket, Destination { to: *peer, source: None, dont_fragment })),
        Route::Client { link, to, from } => {
            let listener = listeners.get(usize::try_from(link.0).ok()?)?;
            Some((&listener.socket, destination(listener, *to, *from, dont_fragment)))
        }
        Route::Shard { .. } => None,
    }
}

/// RFC 8489 section 6.3.1.2: a reply leaves from the address that was asked. [S14]
fn destination(
    listener: &Listener,
    to: SocketAddr,
    from: SocketAddr,
    dont_fragment: bool,
) -> Destination {
    Destination { to, source: listener.is_wildcard.then_some(from.ip()), dont_fragment }
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
fn open_relay(
    relays: &mut RelaySockets,
    relay: RelayId,
    bind: SocketAddr,
    options: &RelayOptions,
) -> Result<(), OpenError> {
    let opened = UdpSocket::relay(bind, options).and_then(|socket| relays.insert(relay, socket));
    opened.map_err(|error| match error.kind() {
        // A security module that denies this port may allow the next.
        io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied => OpenError::AddressInUse,
        io::ErrorKind::AddrNotAvailable => OpenError::AddressUnavailable,
        _ => OpenError::Exhausted,
    })
}
