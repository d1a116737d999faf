//! A shard's loop: the listener and one nested epoll set of all relay sockets
//! in a tokio current-thread runtime, beside which TCP, TLS, timers and
//! messages can run.
//!
//! ```text
//! tokio's epoll (edge) --+-- listener
//!                        +-- set of relay sockets (level) --+-- relay 0
//!                                                           +-- relay 1 ...
//! ```
//!
//! Invariants:
//! * readiness is cleared only where the next datagram is sure to make a new
//!   event: every socket that was asked gave less than it was asked for, and
//!   every ready socket was asked;
//! * whoever has more to do yields to the runtime, which then polls its
//!   driver; waking oneself would starve it;
//! * at most one nap between two visits of the runtime.

use std::{
    future::poll_fn,
    io,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{io::unix::AsyncFdReadyGuard, runtime, task::yield_now};
use turn_udp::{Epoll, Ready, UdpSocket, Watched, nap};

use crate::{forwarder::Forwarder, pace::Pace};

/// Tasks between two looks at the driver, tokio's own default.
const EVENT_INTERVAL: u32 = 61;

/// Forwards for ever.
pub(crate) fn run(forwarder: Forwarder, pace: Pace) -> anyhow::Result<()> {
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .event_interval(EVENT_INTERVAL)
        .build_local(runtime::LocalOptions::default())?;
    runtime.block_on(packets(forwarder, pace))?;
    Ok(())
}

/// The packet task.
async fn packets(mut forwarder: Forwarder, mut pace: Pace) -> io::Result<()> {
    let set = Epoll::new()?;
    forwarder.watch_relays(&set)?;
    let listener = Watched::new(Rc::clone(&forwarder.listener))?;
    let relays = Watched::new(set)?;
    let mut ready = Ready::new();
    loop {
        let (clients, peers) = poll_fn(|cx| either(&listener, &relays, cx)).await?;
        let mut datagrams = 0;
        let mut more = false;
        if let Some(mut guard) = clients {
            let served = forwarder.serve_listener()?;
            datagrams += served.datagrams;
            if served.drained {
                guard.clear_ready();
            } else {
                more = true;
            }
        }
        if let Some(mut guard) = peers {
            let tokens = relays.inner().wait(&mut ready, Some(Duration::ZERO))?;
            let all = tokens.len() < Ready::CAPACITY;
            let served = forwarder.serve_relays(tokens)?;
            datagrams += served.datagrams;
            if served.drained && all {
                guard.clear_ready();
            } else {
                more = true;
            }
        }
        if let Some(budget) = pace.after(datagrams) {
            nap(budget);
        }
        if more {
            yield_now().await;
        }
    }
}

/// What is ready, if only one of the two.
type Either<'a> =
    (Option<AsyncFdReadyGuard<'a, Rc<UdpSocket>>>, Option<AsyncFdReadyGuard<'a, Epoll>>);

/// Asks both, so that either wakes the task.
fn either<'a>(
    listener: &'a Watched<Rc<UdpSocket>>,
    relays: &'a Watched<Epoll>,
    context: &mut Context<'_>,
) -> Poll<io::Result<Either<'a>>> {
    match (listener.poll_readable(context)?, relays.poll_readable(context)?) {
        (Poll::Pending, Poll::Pending) => Poll::Pending,
        (clients, peers) => Poll::Ready(Ok((into_option(clients), into_option(peers)))),
    }
}

fn into_option<T>(poll: Poll<T>) -> Option<T> {
    match poll {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}
