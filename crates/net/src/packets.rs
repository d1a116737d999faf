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

use tokio::io::unix::AsyncFdReadyGuard;
use tokio::sync::mpsc;
use tokio::task::{spawn_local, yield_now};
use turn_udp::{Epoll, ListenerOptions, Ready, UdpSocket, Watched, nap};

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

impl Packets {
    pub(crate) async fn run(mut self) -> io::Result<()> {
        let mut ready = Ready::new();
        let mut broken = Vec::new();
        loop {
            let waiting = poll_fn(|context| {
                poll_any(&self.listeners, &self.relays, &mut self.rebuilt, context)
            });
            let (clients, peers, rebuilt) = waiting.await?;
            let now = clock::now();
            let mut datagrams = 0;
            let mut more = false;
            for (slot, mut guard) in clients {
                let visit = self.core.borrow_mut().visit_listener(slot, now);
                datagrams += visit.datagrams;
                if visit.is_broken {
                    broken.push(slot);
                }
                if visit.is_drained || visit.is_broken {
                    guard.clear_ready();
                } else {
                    more = true;
                }
            }
            if let Some(mut guard) = peers {
                let tokens = self.relays.inner().wait(&mut ready, Some(Duration::ZERO))?;
                // The set is level-triggered, the runtime is not: only an empty
                // look proves that the next datagram will be an event.
                if tokens.is_empty() {
                    guard.clear_ready();
                } else {
                    datagrams += self.core.borrow_mut().visit_relays(tokens, now).datagrams;
                    more = true;
                }
            }
            for slot in broken.drain(..) {
                self.start_rebuild(slot);
            }
            if let Some((slot, socket)) = rebuilt {
                self.finish_rebuild(slot, socket)?;
            }
            if let Some(budget) = self.pace.after(datagrams, now.mono) {
                self.core.borrow().host.counters.naps.add(1);
                nap(budget);
            }
            if more {
                yield_now().await;
            }
        }
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

/// Listeners that are ready, the relay set if it is, a listener bound anew.
type Any<'a> = (
    Vec<(usize, AsyncFdReadyGuard<'a, Rc<UdpSocket>>)>,
    Option<AsyncFdReadyGuard<'a, Epoll>>,
    Option<(usize, UdpSocket)>,
);

/// Asks everything, so that anything wakes the task.
fn poll_any<'a>(
    listeners: &'a [Option<Watched<Rc<UdpSocket>>>],
    relays: &'a Watched<Epoll>,
    rebuilt: &mut mpsc::Receiver<(usize, UdpSocket)>,
    context: &mut Context<'_>,
) -> Poll<io::Result<Any<'a>>> {
    let mut clients = Vec::new();
    for (slot, listener) in listeners.iter().enumerate() {
        if let Some(listener) = listener
            && let Poll::Ready(guard) = listener.poll_readable(context)
        {
            clients.push((slot, guard?));
        }
    }
    let peers = match relays.poll_readable(context) {
        Poll::Ready(guard) => Some(guard?),
        Poll::Pending => None,
    };
    let rebuilt = match rebuilt.poll_recv(context) {
        Poll::Ready(rebuilt) => rebuilt,
        Poll::Pending => None,
    };
    if clients.is_empty() && peers.is_none() && rebuilt.is_none() {
        return Poll::Pending;
    }
    Poll::Ready(Ok((clients, peers, rebuilt)))
}
