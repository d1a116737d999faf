//! The loop: one epoll set, one thread, nothing else.

use turn_udp::{Epoll, Ready, nap};

use crate::{forwarder::Forwarder, pace::Pace};

/// The listener among the relay sockets' indices.
const LISTENER: u64 = u64::MAX;

/// Forwards for ever.
pub(crate) fn run(mut forwarder: Forwarder, mut pace: Pace) -> anyhow::Result<()> {
    let (set, mut ready) = (Epoll::new()?, Ready::new());
    forwarder.watch_relays(&set)?;
    set.add(&*forwarder.listener, LISTENER)?;
    loop {
        let tokens = set.wait(&mut ready, None)?;
        let mut datagrams = 0;
        if tokens.contains(&LISTENER) {
            datagrams += forwarder.serve_listener()?;
        }
        // The listener's token names no relay and is passed over.
        if tokens.iter().any(|token| *token != LISTENER) {
            datagrams += forwarder.serve_relays(tokens)?;
        }
        if let Some(budget) = pace.after(datagrams) {
            nap(budget);
        }
    }
}
