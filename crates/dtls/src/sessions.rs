//! The sessions of a shard, found by the client's and the server's address.
//!
//! RFC 6347 section 4.2.8: a hello from a known client is judged by its cookie like any other, and
//! only a verified one displaces the session that is there. Records of unknown clients that are no
//! ClientHello are dropped.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::cookie::CookieKey;
use crate::front::{Verdict, VerifiedHello, judge};
use crate::half_open::{HalfOpen, Prefix};
use crate::hello::ClientHello;
use crate::identity::DtlsIdentity;
use crate::limits::Limits;
use crate::name::{Path, SessionId};
use crate::outbox::{Outbox, Output};
use crate::record::HANDSHAKE_FAILURE;
use crate::report::{DropReason, Received, SendError, Tally};
use crate::session::{Emitted, Failed, MAX_MESSAGE_LEN, Session, State};

/// The sessions of one shard.
///
/// After any call with `&mut self`, drain [`Sessions::poll`].
pub struct Sessions {
    cookies: CookieKey,
    limits: Limits,
    slots: Vec<Slot>,
    free: Vec<u32>,
    // std's SipHash: what is looked up here may be spoofed.
    by_path: HashMap<Path, SessionId>,
    by_prefix: HashMap<Prefix, u32>,
    half_open: HalfOpen,
    outbox: Outbox,
    scratch: Vec<u8>,
    tally: Tally,
}

#[derive(Default)]
struct Slot {
    generation: u32,
    entry: Option<Box<Entry>>,
}

struct Entry {
    path: Path,
    session: Session,
    began: Instant,
    heard: Instant,
    was_connected: bool,
}

impl Sessions {
    /// No sessions yet.
    pub fn new(cookies: CookieKey, limits: Limits) -> Self {
        Self {
            cookies,
            limits,
            slots: Vec::new(),
            free: Vec::new(),
            by_path: HashMap::new(),
            by_prefix: HashMap::new(),
            half_open: HalfOpen::default(),
            outbox: Outbox::default(),
            scratch: Vec::new(),
            tally: Tally::default(),
        }
    }

    /// Other limits, for sessions that begin from now on.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Takes a datagram whose first byte is that of a DTLS record (RFC 7983: 20 to 63). A session
    /// that it begins gets `identity`.
    pub fn receive(
        &mut self,
        now: Instant,
        path: Path,
        datagram: &[u8],
        identity: &DtlsIdentity,
    ) -> Received {
        let known = self.by_path.get(&path).copied();
        if let Some(hello) = ClientHello::parse(datagram) {
            // The hello that began the session, come again: its flight may have been lost.
            let own = known.filter(|&id| {
                self.entry(id).is_some_and(|entry| entry.session.cookie().0 == *hello.cookie)
            });
            if own.is_none() {
                return self.greet(now, path, hello, identity);
            }
        }
        match known {
            Some(id) => self.deliver(now, id, datagram),
            // [H14]
            None => Received::Dropped(DropReason::UnknownClient),
        }
    }

    /// Sends a message on a session: one record, one datagram.
    ///
    /// # Errors
    ///
    /// Where the message cannot go out, see [`SendError`].
    pub fn send(&mut self, id: SessionId, message: &[u8]) -> Result<(), SendError> {
        if message.len() > MAX_MESSAGE_LEN {
            return Err(SendError::TooLong);
        }
        let Self { slots, outbox, scratch, .. } = self;
        let entry = entry_mut(slots, id).ok_or(SendError::Unknown)?;
        if entry.session.state() != State::Connected {
            return Err(SendError::NotConnected);
        }
        let path = entry.path;
        let sent = entry.session.send(message, scratch, &mut |out| outbox.emitted(id, path, out));
        if sent == Err(Failed) {
            self.end(id);
            return Err(SendError::Unknown);
        }
        Ok(())
    }

    /// Takes the oldest output; its bytes are copied to `buffer`.
    pub fn poll<'b>(&mut self, buffer: &'b mut Vec<u8>) -> Option<Output<'b>> {
        self.outbox.take(buffer)
    }

    /// Ends a session with a `close_notify`. No [`Output::Closed`] follows.
    pub fn close(&mut self, id: SessionId) {
        let Self { slots, outbox, scratch, .. } = self;
        let Some(entry) = entry_mut(slots, id) else { return };
        let path = entry.path;
        entry.session.close(scratch, &mut |out| outbox.emitted(id, path, out));
        self.forget(id);
    }

    /// Sends again what is due, and ends the handshakes that have run out of time.
    pub fn expire(&mut self, now: Instant) {
        for id in self.half_open.due(now) {
            let Self { slots, outbox, scratch, .. } = self;
            let Some(entry) = entry_mut(slots, id) else { continue };
            let path = entry.path;
            let session = &mut entry.session;
            let done = session.timeout(now, scratch, &mut |out| outbox.emitted(id, path, out));
            // One that asks for a time that has passed would be due for ever.
            if done == Ok(()) && session.deadline() > now {
                self.half_open.set_deadline(id, session.deadline());
            } else {
                self.tally.timed_out += 1;
                self.forget(id);
            }
        }
    }

    /// Ends, with a `close_notify`, the connected sessions that have not been heard for `idle` and
    /// that the host does not want to keep. Looks at each session; meant for every few seconds.
    pub fn sweep(
        &mut self,
        now: Instant,
        idle: Duration,
        mut keep: impl FnMut(SessionId, Path) -> bool,
    ) {
        let ids: Vec<_> = self
            .by_path
            .values()
            .copied()
            .filter(|&id| {
                self.entry(id).is_some_and(|entry| {
                    entry.was_connected
                        && now.saturating_duration_since(entry.heard) >= idle
                        && !keep(id, entry.path)
                })
            })
            .collect();
        for id in ids {
            let path = self.path(id);
            self.close(id);
            if let Some(path) = path {
                self.outbox.closed(id, path);
            }
        }
    }

    /// When [`Sessions::expire`] is due.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.half_open.next_deadline()
    }

    /// The path of a session that lives.
    pub fn path(&self, id: SessionId) -> Option<Path> {
        self.entry(id).map(|entry| entry.path)
    }

    /// When a session that lives began its handshake.
    pub fn began(&self, id: SessionId) -> Option<Instant> {
        self.entry(id).map(|entry| entry.began)
    }

    /// All sessions, handshakes included.
    pub fn len(&self) -> usize {
        self.by_path.len()
    }

    /// Whether there is no session.
    pub fn is_empty(&self) -> bool {
        self.by_path.is_empty()
    }

    /// Handshakes that are under way.
    pub fn half_open(&self) -> usize {
        self.half_open.len()
    }

    /// What has happened since the start.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    fn greet(
        &mut self,
        now: Instant,
        path: Path,
        hello: ClientHello<'_>,
        identity: &DtlsIdentity,
    ) -> Received {
        // [H13]
        match judge(&self.cookies, now, path, hello) {
            Verdict::Verify(request) => {
                self.outbox.answer(path, &request);
                Received::CookieSent
            }
            Verdict::Refuse(alert) => {
                self.outbox.answer(path, &alert);
                Received::Refused
            }
            Verdict::Accept(verified) => self.accept(now, path, &verified, identity),
            Verdict::Drop => Received::Dropped(DropReason::Hello),
        }
    }

    fn accept(
        &mut self,
        now: Instant,
        path: Path,
        verified: &VerifiedHello<'_>,
        identity: &DtlsIdentity,
    ) -> Received {
        if let Some(old) = self.by_path.get(&path).copied() {
            self.end(old);
        }
        let prefix = Prefix::of(path.client.ip());
        let of_prefix = self.by_prefix.get(&prefix).copied().unwrap_or(0);
        if self.limits.sessions_per_prefix.is_some_and(|limit| of_prefix >= limit) {
            return Received::Dropped(DropReason::Limit);
        }
        // [H14]
        let Limits { half_open, half_open_per_prefix, .. } = self.limits;
        if let Some(id) = self.half_open.displaced(prefix, half_open, half_open_per_prefix) {
            self.tally.evicted += 1;
            self.forget(id);
        }

        let id = self.vacant();
        let Self { outbox, scratch, .. } = self;
        let session = Session::accept(identity, now, verified, scratch, &mut |out| {
            outbox.emitted(id, path, out);
        });
        let Ok(session) = session else {
            let hello = verified.hello();
            let (version, sequence) = (hello.record_version, hello.record_sequence);
            self.outbox.alert(path, version, sequence, HANDSHAKE_FAILURE);
            self.free.push(id.slot());
            return Received::Refused;
        };
        self.half_open.add(id, prefix, session.deadline());
        self.by_path.insert(path, id);
        *self.by_prefix.entry(prefix).or_default() += 1;
        self.tally.accepted += 1;
        if let Some(slot) = self.slots.get_mut(index(id)) {
            let (began, heard) = (now, now);
            let entry = Entry { path, session, began, heard, was_connected: false };
            slot.entry = Some(Box::new(entry));
        }
        Received::Session(id)
    }

    fn deliver(&mut self, now: Instant, id: SessionId, datagram: &[u8]) -> Received {
        let Self { slots, outbox, scratch, .. } = self;
        let Some(entry) = entry_mut(slots, id) else {
            return Received::Dropped(DropReason::UnknownClient);
        };
        let path = entry.path;
        entry.heard = now;
        let session = &mut entry.session;
        // Connected and closed may come in one datagram; the host hears of both.
        let mut connects = false;
        let done = session.receive(now, datagram, scratch, &mut |out| {
            connects |= out == Emitted::Connected;
            outbox.emitted(id, path, out);
        });
        let (state, deadline) = (session.state(), session.deadline());
        if connects && !entry.was_connected {
            entry.was_connected = true;
            self.tally.connected += 1;
            self.half_open.remove(id);
        }
        if done == Err(Failed) {
            self.end(id);
            return Received::Dropped(DropReason::Failed);
        }
        match state {
            State::Hello | State::Handshake => self.half_open.set_deadline(id, deadline),
            State::Connected => {}
            State::Closed => self.end(id),
        }
        Received::Session(id)
    }

    /// Forgets a session, and tells the host where it knew of it.
    fn end(&mut self, id: SessionId) {
        if let Some(entry) = self.entry(id)
            && entry.was_connected
        {
            let path = entry.path;
            self.outbox.closed(id, path);
        }
        self.forget(id);
    }

    fn forget(&mut self, id: SessionId) {
        let Some(slot) = self.slots.get_mut(index(id)) else { return };
        if slot.generation != id.generation() {
            return;
        }
        let Some(entry) = slot.entry.take() else { return };
        if !entry.was_connected {
            self.tally.failed += 1;
        }
        slot.generation = slot.generation.wrapping_add(1) & SessionId::GENERATION_MASK;
        self.free.push(id.slot());
        self.by_path.remove(&entry.path);
        self.half_open.remove(id);
        let prefix = Prefix::of(entry.path.client.ip());
        if let Some(count) = self.by_prefix.get_mut(&prefix) {
            *count -= 1;
            if *count == 0 {
                self.by_prefix.remove(&prefix);
            }
        }
    }

    /// The id of a slot that is free, taken off the list.
    fn vacant(&mut self) -> SessionId {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        });
        let generation =
            self.slots.get(index(SessionId::new(slot, 0))).map_or(0, |slot| slot.generation);
        SessionId::new(slot, generation)
    }

    fn entry(&self, id: SessionId) -> Option<&Entry> {
        let slot = self.slots.get(index(id))?;
        slot.entry.as_deref().filter(|_| slot.generation == id.generation())
    }
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sessions")
            .field("len", &self.len())
            .field("half_open", &self.half_open())
            .finish_non_exhaustive()
    }
}

fn entry_mut(slots: &mut [Slot], id: SessionId) -> Option<&mut Entry> {
    let slot = slots.get_mut(index(id))?;
    slot.entry.as_deref_mut().filter(|_| slot.generation == id.generation())
}

fn index(id: SessionId) -> usize {
    usize::try_from(id.slot()).unwrap_or(usize::MAX)
}
