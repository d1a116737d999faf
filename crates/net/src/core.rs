//! A shard's state between two awaits: its receive buffers and the host of its
//! engine, with one visit for each place that packets come from.

use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use turn_engine::{Claim, Completion, Moving, Now, ShardId, Ticket};
use turn_udp::{Epoll, RecvBatch, Role, UdpSocket, Verdict, Watched, verdict};

use crate::host::Host;
use crate::mailbox::Message;
use crate::ring::RingReader;

/// Receive buffers of a shard.
pub(crate) const BUFFERS: usize = 32;

/// Datagrams taken from a ring at a visit.
const AT_MOST_FROM_A_RING: usize = 256;

/// What the three tasks of a shard share. Never borrowed across an await.
pub(crate) struct Core {
    pub(crate) received: RecvBatch,
    pub(crate) host: Host,
    pub(crate) readers: Vec<RingReader>,
    /// Visits to relay sockets, so that one that is ready at two in a row is known.
    pub(crate) turn: u32,
}

/// The set of relay sockets, watched by the runtime.
pub(crate) type RelaySet = Rc<Watched<Epoll>>;

/// What a visit to sockets came to.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Visit {
    pub(crate) datagrams: usize,
    /// The socket gave less than it was asked for.
    pub(crate) is_drained: bool,
    /// The socket has failed for good.
    pub(crate) is_broken: bool,
}

impl Core {
    /// Reads one batch of a listener and serves it.
    pub(crate) fn visit_listener(&mut self, slot: usize, now: Now) -> Visit {
        let Some(listener) = self.host.listeners.get(slot) else { return Visit::default() };
        self.host.counters.receive_calls.add(1);
        let filled = match self.received.fill(&listener.socket, BUFFERS) {
            Ok(filled) => filled,
            Err(error) => return self.receive_failed(Role::ListenerRecv, &error),
        };
        self.host.counters.truncated.add(filled.truncated);
        let datagrams = self.host.serve_clients(slot, self.received.datagrams(filled.slots), now);
        self.flush();
        Visit { datagrams, is_drained: filled.drained, is_broken: false }
    }

    /// Serves relay sockets that are ready, and flushes when the buffers are
    /// used and at the end.
    pub(crate) fn visit_relays(&mut self, ready: &[u64], now: Now) -> Visit {
        let mut visit = Visit { is_drained: true, ..Visit::default() };
        self.turn = self.turn.wrapping_add(1);
        for token in ready {
            if self.received.free_slots() == 0 {
                self.flush();
            }
            let Some(next) = self.host.relays.next(*token) else { continue };
            let relay = next.relay;
            self.host.counters.receive_calls.add(1);
            match self.received.fill(next.polled.socket(), next.polled.ask(self.turn)) {
                Ok(filled) => {
                    visit.is_drained &= next.was_read(&filled);
                    self.host.counters.truncated.add(filled.truncated);
                    let datagrams = self.received.datagrams(filled.slots);
                    visit.datagrams += self.host.serve_peers(relay, datagrams, now);
                }
                Err(error) => {
                    // There may be more behind the error.
                    visit.is_drained = false;
                    if self.receive_failed(Role::RelayRecv, &error).is_broken {
                        self.host.engine.relay_failed(now, relay);
                        self.host.drain_actions(now);
                    }
                }
            }
        }
        self.flush();
        visit
    }

    /// Takes over what other shards have put into their rings; says whether
    /// there is more.
    pub(crate) fn visit_rings(&mut self, now: Now) -> bool {
        let mut more = false;
        for reader in &mut self.readers {
            let mut taken = 0;
            while taken < AT_MOST_FROM_A_RING
                && let Some((relay, from, payload)) = reader.pop()
            {
                taken += 1;
                self.host.serve_neighbour(relay, from, payload, now);
            }
            more |= taken == AT_MOST_FROM_A_RING;
            self.host.counters.ring_received.add(taken as u64);
        }
        self.flush();
        more
    }

    /// Lets the engine close what has expired, and hears what it has to report of dropped packets.
    pub(crate) fn expire(&mut self, now: Now) {
        if self.host.engine.next_deadline().is_some_and(|due| due <= now.mono) {
            self.host.engine.expire(now);
        }
        self.host.drain_actions(now);
        self.flush();
    }

    /// Another shard claims a reservation of ours: it gets it with its socket.
    pub(crate) fn give_up(&mut self, now: Now, to: ShardId, ticket: Ticket, claim: Claim) {
        let moved = self.host.engine.detach(now, claim).and_then(|(relay, moving)| {
            let socket = self.host.relays.remove(relay)?;
            self.host.counters.relays_closed.add(1);
            // What was queued on it has been flushed, so this is its only owner.
            Rc::into_inner(socket).map(|socket| (moving, socket.into_owned_fd()))
        });
        let Some(address) = self.host.neighbours.get(usize::from(to.0)) else { return };
        if let Err(message) = address.post(Message::Claimed { ticket, moved })
            && let Message::Claimed { moved: Some((moving, _)), .. } = *message
            && let Some(relay) = self.host.engine.adopt(now, moving)
        {
            // The claimant is gone: port and quota are given back here.
            self.host.engine.relay_failed(now, relay);
            self.host.drain_actions(now);
        }
    }

    /// The answer to a claim of ours.
    pub(crate) fn take_in(&mut self, now: Now, ticket: Ticket, moved: Option<(Moving, OwnedFd)>) {
        let relay = moved.and_then(|(moving, fd)| {
            let relay = self.host.engine.adopt(now, moving)?;
            let socket = UdpSocket::from_owned_fd(fd);
            if socket.and_then(|socket| self.host.relays.insert(relay, socket)).is_ok() {
                self.host.counters.relays_opened.add(1);
                return Some(relay);
            }
            self.host.engine.relay_failed(now, relay);
            None
        });
        self.host.engine.complete(now, ticket, Completion::Claimed(relay));
        self.host.drain_actions(now);
        self.flush();
    }

    /// Sends what is queued, then makes the buffers free again.
    pub(crate) fn flush(&mut self) {
        self.host.flush(&mut self.received);
        self.received.clear();
    }

    fn receive_failed(&mut self, role: Role, error: &io::Error) -> Visit {
        self.host.counters.receive_errors.add(1);
        match verdict(role, error) {
            // The error has been used up by being seen: the next visit reads on.
            Verdict::Retry | Verdict::DropPacket => Visit::default(),
            Verdict::CloseAllocation | Verdict::RebuildListener => {
                Visit { is_broken: true, ..Visit::default() }
            }
        }
    }
}
