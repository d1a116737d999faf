//! UDP clients behind a proxy that puts a PROXY header of version 2 in front of
//! every datagram; what goes back to them goes to the proxy, without one.
//!
//! Nothing is kept for a client: its link names the listener, the proxy's
//! address and the proxy's port for it.
//!
//! ```text
//!   Slot   index: | number of the proxy's address | its port |   generation: | listener |
//! ```

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use stun_responder::is_binding;
use turn_engine::{FiveTuple, Link, LinkId, Now, Outcome, Transport};
use turn_udp::{Datagram, Destination};

use crate::host::{Host, Listener, destination};
use crate::link::{LinkKind, Slot};
use crate::proxy_header::ProxyHeader;

/// The proxies that datagrams have come from.
#[derive(Debug, Default)]
pub(crate) struct Upstreams {
    addresses: Vec<IpAddr>,
    numbers: HashMap<IpAddr, u16>,
}

impl Upstreams {
    /// The link of a client behind this proxy; `None` after 65,536 proxies.
    fn link(&mut self, listener: usize, upstream: SocketAddr) -> Option<LinkId> {
        let number = match self.numbers.get(&upstream.ip()) {
            Some(number) => *number,
            None => {
                let number = u16::try_from(self.addresses.len()).ok()?;
                self.addresses.push(upstream.ip());
                self.numbers.insert(upstream.ip(), number);
                number
            }
        };
        let slot = Slot {
            index: u32::from(number) << 16 | u32::from(upstream.port()),
            generation: u32::try_from(listener).ok()?,
        };
        Some(LinkKind::Proxied(slot).id())
    }

    /// The listener and the proxy of a link.
    fn of(&self, slot: Slot) -> Option<(usize, SocketAddr)> {
        let [a, b, c, d] = slot.index.to_be_bytes();
        let address = self.addresses.get(usize::from(u16::from_be_bytes([a, b])))?;
        let upstream = SocketAddr::new(*address, u16::from_be_bytes([c, d]));
        Some((usize::try_from(slot.generation).ok()?, upstream))
    }

    /// The listener that a link's datagrams leave from, and where they go.
    pub(crate) fn way<'s>(
        &self,
        listeners: &'s [Listener],
        slot: Slot,
        from: SocketAddr,
        dont_fragment: bool,
    ) -> Option<(&'s Listener, Destination)> {
        let (listener, upstream) = self.of(slot)?;
        let listener = listeners.get(listener)?;
        Some((listener, destination(listener, upstream, from, dont_fragment)))
    }
}

impl Host {
    /// Serves a datagram that came to a listener behind proxies.
    pub(crate) fn serve_proxied(
        &mut self,
        slot: usize,
        listener: &Listener,
        server: SocketAddr,
        datagram: &Datagram<'_>,
        now: Now,
    ) {
        let upstream = datagram.from;
        // [H31] A listener behind a proxy serves nobody else, and nothing without a header.
        let is_upstream =
            listener.upstreams.iter().any(|range| range.contains(upstream.ip().to_canonical()));
        let header = if is_upstream {
            ProxyHeader::of_datagram(datagram.bytes)
        } else {
            ProxyHeader::Invalid
        };
        let ProxyHeader::Complete { len, addresses } = header else {
            self.counters.proxy_refused.add(1);
            return;
        };
        let client = addresses.map_or(upstream, |addresses| addresses.client);
        let bytes = datagram.bytes.get(len..).unwrap_or_default();
        if !listener.spoken.plain {
            return;
        }
        if is_binding(bytes) {
            let to = destination(listener, upstream, server, false);
            return self.answer_binding(listener, bytes, client, to, now);
        }
        let Some(id) = self.upstreams.link(slot, upstream) else { return };
        let tuple = FiveTuple { transport: Transport::Udp, client, server };
        let link = Link { id, tuple, realm: listener.realm };
        match self.engine.from_client(now, link, bytes) {
            Outcome::Relay(relayed) => self.relay_copy(relayed, bytes),
            Outcome::Handled => self.drain_actions(now),
            Outcome::Dropped(_) => {}
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn link_leads_back_to_its_proxy() {
        let mut upstreams = Upstreams::default();
        for (listener, upstream) in
            [(0, "192.0.2.1:4000"), (7, "192.0.2.1:65535"), (1, "[2001:db8::1]:1")]
        {
            let upstream: SocketAddr = upstream.parse().unwrap();
            let link = upstreams.link(listener, upstream).unwrap();
            let LinkKind::Proxied(slot) = LinkKind::of(link) else { panic!("a proxied link") };
            assert_eq!(upstreams.of(slot), Some((listener, upstream)));
        }
        assert_eq!(upstreams.addresses.len(), 2);
    }
}
