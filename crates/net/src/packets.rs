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
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::{spawn_local, yield_now};
use turn_udp::{ListenerOptions, Ready, UdpSocket, Watched, nap};

use crate::clock;
use crate::core::{Core, RelaySet};
use crate::pace::Pace;
use crate::rebuild::rebuild;

/// Runs the packet task of a shard.
pub(crate) struct Packets {
    pub(crate) core: Rc<RefCell<Core>>,
    pub(crate) listeners: Vec<Option<Watched<Rc<UdpSocket>>>>,
    pub(crate) options: Vec<ListenerOptions>,
    pub(crate) relays: RelaySet,
    pub(crate) pace: Pace,
    pub(crate) rebuilt: mpsc::Receiver<(usize, UdpSocket)>,
    pub(crate) rebuilder: mpsc::Sender<(usize, UdpSocket)>,
}

/// What one turn over all sockets came to.
#[derive(Debug, Clone, Copy, Default)]
struct Turn {
    datagrams: usize,
    /// Something was left unread.
    more: bool,
}

impl Packets {
    pub(crate) async fn run(mut self) -> io::Result<()> {
        let mut ready = Ready::new();
        loop {
            let turn = poll_fn(|context| self.poll_turn(&mut ready, context)).await?;
            let nap_for = self.pace.after(turn.datagrams, clock::now().mono);
            let is_busy = std::mem::take(&mut self.core.borrow_mut().host.has_busy_streams);
            if turn.more {
                // Who is left unread is not kept waiting: one busy flow fills no
                // turn, and a nap after each would be its ceiling.
                yield_now().await;
            } else if let Some(budget) = nap_for.filter(|_| !is_busy) {
                // A connection with more to do than fits into its turn would sleep with us.
                // Streams that were given something write it before the nap, all at once.
                if std::mem::take(&mut self.core.borrow_mut().host.has_woken_streams) {
                    yield_now().await;
                }
                self.core.borrow().host.counters.naps.add(1);
                nap(budget);
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
            } else {
                turn.more = true;
            }
        }
        drop(core);
        if let Poll::Ready(Some((slot, socket))) = self.rebuilt.poll_recv(context) {
            self.finish_rebuild(slot, socket)?;
            turn.get_or_insert_with(Turn::default).more = true;
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
        spawn_local(rebuild(slot, address, options, self.rebuilder.clone()));
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
