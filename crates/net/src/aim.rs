//! Whom a relay has sent to of late: one peer again and again, or several.

use std::cell::Cell;
use std::net::SocketAddr;

/// Counts datagrams in a row to one peer.
///
/// Peers are told apart by their ports, which two of them may have in common; then the one that is
/// met last is taken for the only one, which costs no more than a system call now and then.
#[derive(Debug)]
pub(crate) struct Aim {
    port: Cell<u16>,
    row: Cell<u16>,
    /// How many in a row make a peer the steady one.
    steady: Cell<u16>,
}

/// A call that got so far sends on to the peer that it has chosen, where checks of candidates go
/// from one to the next.
const AT_FIRST: u16 = 8;

/// Whoever has a steady peer changes it for another one less easily.
const LATER: u16 = 64;

impl Aim {
    pub(crate) const fn new() -> Self {
        Self { port: Cell::new(0), row: Cell::new(0), steady: Cell::new(AT_FIRST) }
    }

    /// Another datagram for this peer, who is not the steady one; says whether he is from now on.
    #[inline]
    pub(crate) fn is_steady(&self, peer: SocketAddr) -> bool {
        let row = if self.port.replace(peer.port()) == peer.port() {
            self.row.get().saturating_add(1)
        } else {
            1
        };
        let is_steady = row >= self.steady.get();
        self.row.set(if is_steady { 0 } else { row });
        if is_steady {
            self.steady.set(LATER);
        }
        is_steady
    }

    /// A datagram for the steady peer.
    #[inline]
    pub(crate) fn keep(&self) {
        self.row.set(0);
    }

    /// A steady peer is of no use here, so it takes long until the next one.
    pub(crate) fn give_up(&self) {
        self.steady.set(u16::MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_sent_to_alone_is_steady_at_once_and_another_one_later() {
        let aim = Aim::new();
        assert_eq!(until_steady(&aim, 1), AT_FIRST);
        assert_eq!(until_steady(&aim, 2), LATER);
    }

    #[test]
    fn nobody_is_steady_while_several_take_turns() {
        let aim = Aim::new();
        for _ in 0..1_000 {
            assert!(![1, 1, 2].into_iter().any(|port| aim.is_steady(peer(port))));
        }
    }

    #[test]
    fn a_steady_peer_stays_so_while_he_is_among_others() {
        let aim = Aim::new();
        until_steady(&aim, 1);
        for _ in 0..1_000 {
            assert!(!(0..LATER - 1).any(|_| aim.is_steady(peer(2))));
            aim.keep();
        }
    }

    #[test]
    fn what_was_given_up_is_not_tried_again_soon() {
        let aim = Aim::new();
        aim.give_up();
        assert_eq!(until_steady(&aim, 1), u16::MAX);
    }

    fn until_steady(aim: &Aim, port: u16) -> u16 {
        (1..=u16::MAX).find(|_| aim.is_steady(peer(port))).unwrap_or_default()
    }

    fn peer(port: u16) -> SocketAddr {
        ([192, 0, 2, 1], port).into()
    }
}
