//! The packet task: reads, relays and sends, and naps when that pays.
//!
//! Readiness is cleared only where the next datagram makes a new event for
//! sure. Whoever has more to do yields to the runtime, which then polls its
//! driver: waking oneself would starve it. At most one nap lies between two
//! visits to the runtime.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::{spawn_local, yield_now};
use turn_udp::{ListenerOptions, Ready, UdpSocket, Watched};

use crate::clock;
use crate::core::{Core, RelaySet};
use crate::pace::{FULL_VISIT, Napper};
use crate::rebuild::rebuild;

/// Runs the packet task of a shard.
pub(crate) struct Packets {
    pub(crate) core: Rc<RefCell<Core>>,
    pub(crate) listeners: Vec<Option<Watched<Rc<UdpSocket>>>>,
    pub(crate) options: Vec<ListenerOptions>,
    pub(crate) relays: RelaySet,
    pub(crate) napper: Arc<Napper>,
    pub(crate) errands: mpsc::UnboundedReceiver<Errand>,
    /// Their other end, for whoever binds a listener anew.
    pub(crate) sender: mpsc::UnboundedSender<Errand>,
}

/// What other tasks want of the packet task.
#[derive(Debug)]
pub(crate) enum Errand {
    /// The listener of this slot has a socket again.
    Rebuilt(usize, UdpSocket),
    /// To learn that every socket has been asked.
    Beat(oneshot::Sender<()>),
}

/// What one turn over all sockets came to.
#[derive(Debug, Clone, Copy, Default)]
struct Turn {
    datagrams: usize,
    /// Something was left unread.
    more: bool,
    /// Some relay socket may have more: it gave all that it was asked for.
    unsure: bool,
}

impl Packets {
    pub(crate) async fn run(mut self) -> io::Result<()> {
        let mut ready = Ready::new();
        loop {
            let turn = poll_fn(|context| self.poll_turn(&mut ready, context)).await?;
            if turn.more {
                // Who is left unread is not kept waiting: one busy flow fills no
                // turn, and a nap after each would be its ceiling.
                self.napper.count(turn.datagrams);
                yield_now().await;
            } else {
                let is_busy = std::mem::take(&mut self.core.borrow_mut().host.has_busy_streams);
                if is_busy {
                    // A connection with more to do than fits into its turn would sleep with us.
                    self.napper.count(turn.datagrams);
                } else {
                    // Streams that were given something write it before the nap, all at once.
                    if std::mem::take(&mut self.core.borrow_mut().host.has_woken_streams) {
                        yield_now().await;
                    }
                    self.napper.after(turn.datagrams);
                }
                if turn.unsure {
                    // At most one nap lies between two visits to the runtime.
                    yield_now().await;
                }
            }
        }
    }

    /// Asks every socket, so that any of them wakes the task, and serves those
    /// that are ready.
    fn poll_turn(
        &mut self,
        ready: &mut Ready,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<Turn>> {
        let mut core = self.core.borrow_mut();
        core.host.counters.turns.add(1);
        let now = clock::now();
        let mut turn = None;
        let mut broken = None;
        for (slot, listener) in self.listeners.iter().enumerate() {
            let Some(listener) = listener else { continue };
            let Poll::Ready(guard) = listener.poll_readable(context) else { continue };
            let mut guard = guard?;
            let turn = turn.get_or_insert_with(Turn::default);
            let visit = core.visit_listener(slot, now);
            turn.datagrams += visit.datagrams;
            if visit.is_drained {
                guard.clear_ready();
            } else {
                turn.more = true;
            }
            if visit.is_broken {
                // A second one is met again at the next turn.
                broken = Some(slot);
            }
        }
        if let Poll::Ready(guard) = self.relays.poll_readable(context) {
            let mut guard = guard?;
            let turn = turn.get_or_insert_with(Turn::default);
            let tokens = self.relays.inner().wait(ready, Some(Duration::ZERO))?;
            let is_all = tokens.len() < Ready::CAPACITY;
            let visit = core.visit_relays(tokens, now);
            turn.datagrams += visit.datagrams;
            // Every ready socket was asked and gave less than it was asked for:
            // the next datagram makes an event, though the level-triggered set
            // was never seen empty.
            if is_all && visit.is_drained {
                guard.clear_ready();
            } else if is_all && visit.datagrams < FULL_VISIT {
                turn.unsure = true;
            } else {
                turn.more = true;
            }
        }
        drop(core);
        while let Poll::Ready(Some(errand)) = self.errands.poll_recv(context) {
            match errand {
                Errand::Rebuilt(slot, socket) => {
                    self.finish_rebuild(slot, socket)?;
                    turn.get_or_insert_with(Turn::default).more = true;
                }
                // Whoever asked may have stopped waiting.
                Errand::Beat(turned) => drop(turned.send(())),
            }
        }
        if let Some(slot) = broken {
            self.start_rebuild(slot);
        }
        turn.map_or(Poll::Pending, |turn| Poll::Ready(Ok(turn)))
    }

    fn start_rebuild(&mut self, slot: usize) {
        let Some(place) = self.listeners.get_mut(slot) else { return };
        let Some(watched) = place.take() else { return };
        let address = watched.inner().local_addr();
        let options = self.options.get(slot).copied().unwrap_or_default();
        spawn_local(rebuild(slot, address, options, self.sender.clone()));
    }

    fn finish_rebuild(&mut self, slot: usize, socket: UdpSocket) -> io::Result<()> {
        let socket = Rc::new(socket);
        let mut core = self.core.borrow_mut();
        if let Some(listener) = core.host.listeners.get_mut(slot) {
            listener.socket = Rc::clone(&socket);
        }
        core.host.counters.listeners_rebuilt.add(1);
        if let Some(place) = self.listeners.get_mut(slot) {
            *place = Some(Watched::new(socket)?);
        }
        Ok(())
    }
}
