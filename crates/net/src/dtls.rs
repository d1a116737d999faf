//! DTLS clients of a shard: their sessions, between the UDP listeners and the
//! engine.
//!
//! RFC 7350 and RFC 8489 section 6.2.3. A record of application data is one
//! message, and goes to the same two engine calls as a plain datagram. What a
//! client must prove before there is a session is turn-dtls's to say
//! `[H13] [H14]`.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use stun_responder::{MAX_REPLY_LEN, is_binding};
use turn_dtls::{
    CookieKey, DropReason, DtlsIdentity, Limits, Output, Path, Received, SendError, SessionId,
    Sessions,
};
use turn_engine::{FiveTuple, Link, LinkId, Now, Outcome, Transport};

use crate::host::{Host, Listener, datagram_way};
use crate::link::{LinkKind, Slot};

/// First bytes of a DTLS record (RFC 7983 section 7).
const RECORDS: std::ops::RangeInclusive<u8> = 20..=63;

/// The content type of a handshake record (RFC 6347 section 4.1), the place of the
/// type of its first message, and that of a ClientHello.
const HANDSHAKE: u8 = 22;
const MESSAGE_TYPE_AT: usize = 13;
const CLIENT_HELLO: u8 = 1;

/// The DTLS side of a shard.
#[derive(Debug)]
pub(crate) struct DtlsClients {
    sessions: Sessions,
    identity: Option<Arc<DtlsIdentity>>,
    /// Sessions that had no allocation when they were last looked at, oldest first;
    /// some have ended since.
    strangers: VecDeque<SessionId>,
    /// The output under way.
    buffer: Vec<u8>,
    /// A message with its prefix.
    frame: Vec<u8>,
    /// Something may lie in the sessions' outbox.
    has_output: bool,
    /// Handshakes that have failed and were counted.
    failed: u64,
}

impl DtlsClients {
    pub(crate) fn new(cookies: CookieKey, identity: Option<Arc<DtlsIdentity>>) -> Self {
        Self {
            sessions: Sessions::new(cookies, Limits::default()),
            identity,
            strangers: VecDeque::new(),
            buffer: Vec::new(),
            frame: Vec::new(),
            has_output: false,
            failed: 0,
        }
    }

    /// New sessions get this certificate; live ones go on with theirs.
    pub(crate) fn set_identity(&mut self, identity: Arc<DtlsIdentity>) {
        self.identity = Some(identity);
    }

    /// Whether something waits for [`Host::pump_dtls`].
    pub(crate) const fn has_output(&self) -> bool {
        self.has_output
    }

    /// Queues a message on a session; says whether it will leave.
    pub(crate) fn send(&mut self, slot: Slot, parts: &[&[u8]]) -> bool {
        self.frame.clear();
        parts.iter().for_each(|part| self.frame.extend_from_slice(part));
        self.has_output = true;
        match self.sessions.send(session_of(slot), &self.frame) {
            Ok(()) => true,
            Err(SendError::Unknown | SendError::NotConnected | SendError::TooLong) => false,
        }
    }
}

/// Whether a datagram is a DTLS record.
pub(crate) fn is_record(datagram: &[u8]) -> bool {
    datagram.first().is_some_and(|first| RECORDS.contains(first))
}

impl Host {
    /// Serves a datagram that is a DTLS record.
    pub(crate) fn serve_record(&mut self, path: Path, datagram: &[u8], now: Now) {
        let Some(identity) = self.dtls.identity.clone() else { return };
        self.counters.dtls_records.add(1);
        if !is_hello(datagram) {
            let _ = self.dtls.sessions.receive(now.mono, path, datagram, &identity);
        } else if !self.serve_hello(path, datagram, &identity, now) {
            return;
        }
        self.dtls.has_output = true;
        self.pump_dtls(now);
    }

    /// Serves what may begin a handshake, no faster than `accepts` allows: a
    /// handshake costs as much as some hundred packets. Who is not answered asks
    /// again, as RFC 6347 section 4.2.4 has it.
    fn serve_hello(
        &mut self,
        path: Path,
        datagram: &[u8],
        identity: &DtlsIdentity,
        now: Now,
    ) -> bool {
        let Some(home) = self.home.upgrade() else { return false };
        let limits = &self.engine.settings().limits;
        let rate = limits.accepts;
        // [H14]
        self.dtls.sessions.set_limits(limits_for(limits, path.client.ip()));
        if !home.admission.may_shake_hands(rate, now.mono) {
            self.counters.dtls_hellos_held_back.add(1);
            self.meet_limit("accepts");
            return false;
        }
        let accepted = self.dtls.sessions.tally().accepted;
        let received = self.dtls.sessions.receive(now.mono, path, datagram, identity);
        if received == Received::Dropped(DropReason::Limit) {
            self.counters.dtls_sessions_refused.add(1);
            self.meet_limit("connections_per_source");
        }
        // Only with a cookie; a stranger who forges his address takes nobody's turn.
        if self.dtls.sessions.tally().accepted != accepted {
            home.admission.note_handshake(rate, now.mono);
        }
        true
    }

    /// Retransmits and ends what is due, and ends clients that have been idle
    /// for too long without an allocation.
    pub(crate) fn expire_dtls(&mut self, now: Now, idle: Duration) {
        let Self { dtls, engine, .. } = self;
        if dtls.sessions.is_empty() {
            return;
        }
        if dtls.sessions.next_deadline().is_some_and(|due| due <= now.mono) {
            dtls.sessions.expire(now.mono);
        }
        // [H15]
        dtls.sessions.sweep(now.mono, idle, |_, path| engine.serves(now, &tuple_of(path)));
        dtls.has_output = true;
        self.pump_dtls(now);
    }

    /// Says goodbye to every client.
    pub(crate) fn close_dtls(&mut self, now: Now) {
        self.dtls.sessions.sweep(now.mono, Duration::ZERO, |_, _| false);
        self.dtls.has_output = true;
        self.pump_dtls(now);
    }

    /// Does what the sessions ask for until they ask for nothing more.
    pub(crate) fn pump_dtls(&mut self, now: Now) {
        while std::mem::take(&mut self.dtls.has_output) {
            let mut buffer = std::mem::take(&mut self.dtls.buffer);
            while let Some(output) = self.dtls.sessions.poll(&mut buffer) {
                match output {
                    Output::Datagram { path, bytes } => {
                        let way = datagram_way(&self.listeners, path.server, path.client);
                        if let Some((socket, to)) = way {
                            self.outgoing.push_bytes(socket, to, bytes);
                        }
                    }
                    Output::Connected { session, .. } => {
                        self.counters.dtls_sessions.add(1);
                        if let Some(began) = self.dtls.sessions.began(session) {
                            let took = now.mono.saturating_duration_since(began);
                            self.note_handshake(Transport::Dtls, took);
                        }
                        self.take_in_stranger(session, now);
                    }
                    Output::Message { session, path, bytes } => {
                        self.serve_dtls_message(session, path, bytes, now);
                    }
                    Output::Closed { session, .. } => {
                        self.counters.dtls_sessions_closed.add(1);
                        self.engine.link_closed(now, link_of(session));
                        self.drain_actions(now);
                    }
                }
            }
            self.dtls.buffer = buffer;
        }
        let failed = self.dtls.sessions.tally().failed;
        let before = std::mem::replace(&mut self.dtls.failed, failed);
        self.counters.dtls_handshake_errors.add(failed.saturating_sub(before));
    }

    /// A session has begun; at the cap the oldest one without an allocation ends
    /// for it.
    fn take_in_stranger(&mut self, session: SessionId, now: Now) {
        let Some(home) = self.home.upgrade() else { return };
        let share = home.share_of_strangers(&self.engine.settings().limits);
        // [H15] Known even where nothing limits them, since a reload may bring a limit.
        let share_or_all = share.unwrap_or_else(|| 2 * self.dtls.sessions.len());
        if self.dtls.strangers.len() >= share_or_all {
            let Self { dtls: DtlsClients { sessions, strangers, .. }, engine, .. } = self;
            strangers.retain(|id| {
                sessions.path(*id).is_some_and(|path| !engine.serves(now, &tuple_of(path)))
            });
        }
        while share.is_some_and(|share| self.dtls.strangers.len() >= share)
            && let Some(oldest) = self.dtls.strangers.pop_front()
        {
            self.meet_limit("unauthenticated_connections");
            self.counters.connections_shed.add(1);
            self.counters.dtls_sessions_closed.add(1);
            self.dtls.sessions.close(oldest);
            self.engine.link_closed(now, link_of(oldest));
            self.drain_actions(now);
        }
        self.dtls.strangers.push_back(session);
    }

    fn serve_dtls_message(&mut self, session: SessionId, path: Path, bytes: &[u8], now: Now) {
        if is_binding(bytes) {
            let mut room = [0; MAX_REPLY_LEN];
            // No bucket: the cookie has proven the address.
            if let Some(reply) = self.binding_reply(bytes, path.client, &mut room) {
                self.dtls.send(slot_of(session), &[reply]);
            }
            return;
        }
        // What a client asks for by SNI the library does not say: its listener has to.
        let Some(listener) = listener_of(&self.listeners, path.server) else { return };
        let realm = listener.realm;
        let link = Link { id: link_of(session), tuple: tuple_of(path), realm };
        match self.engine.from_client(now, link, bytes) {
            Outcome::Relay(relayed) => self.relay_copy(relayed, bytes),
            Outcome::Handled => self.drain_actions(now),
            Outcome::Dropped(_) => {}
        }
    }
}

/// How many sessions the source of a hello may have, and begin at a time, by the limits that
/// are in force now.
fn limits_for(limits: &turn_engine::Limits, source: IpAddr) -> Limits {
    let usual = Limits::default();
    if limits.exempts(source) {
        let half_open_per_prefix = usual.half_open;
        return Limits { half_open_per_prefix, sessions_per_prefix: None, ..usual };
    }
    Limits { sessions_per_prefix: limits.connections_per_source, ..usual }
}

/// Whether a record may begin with a ClientHello.
fn is_hello(record: &[u8]) -> bool {
    record.first() == Some(&HANDSHAKE) && record.get(MESSAGE_TYPE_AT) == Some(&CLIENT_HELLO)
}

/// The path of a datagram that `client` has sent to `server`.
pub(crate) fn path(client: SocketAddr, server: SocketAddr) -> Path {
    Path { client, server }
}

/// The listener of an address: its own socket, or the wildcard's.
pub(crate) fn listener_of(listeners: &[Listener], server: SocketAddr) -> Option<&Listener> {
    let local = |listener: &&Listener| listener.socket.local_addr();
    listeners.iter().find(|listener| local(listener) == server).or_else(|| {
        listeners.iter().find(|listener| {
            let local = local(listener);
            listener.is_wildcard
                && local.port() == server.port()
                && local.is_ipv4() == server.is_ipv4()
        })
    })
}

fn tuple_of(path: Path) -> FiveTuple {
    FiveTuple { transport: Transport::Dtls, client: path.client, server: path.server }
}

fn link_of(session: SessionId) -> LinkId {
    LinkKind::Dtls(slot_of(session)).id()
}

/// Slots count from 0 and generations wrap at 30 bits in the one and at 32 in
/// the other; a session does not live for a billion of them.
fn slot_of(session: SessionId) -> Slot {
    Slot { index: session.slot(), generation: session.generation() & Slot::GENERATION_MASK }
}

fn session_of(slot: Slot) -> SessionId {
    SessionId::new(slot.index, slot.generation)
}
