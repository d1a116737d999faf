//! A socket that is read when a set says that it is ready.

use std::cell::Cell;
use std::rc::Rc;

use turn_udp::UdpSocket;

/// A socket, and how much it gave of late.
#[derive(Debug)]
pub(crate) struct Polled {
    socket: Rc<UdpSocket>,
    /// The turn in which it was read last.
    last_turn: Cell<u32>,
    /// It had several messages at once.
    is_busy: Cell<bool>,
}

/// Messages taken from one relay socket at a visit, so that none starves the
/// others.
const AT_MOST_FROM_A_RELAY: usize = 8;

impl Polled {
    pub(crate) fn new(socket: UdpSocket) -> Self {
        Self { socket: Rc::new(socket), last_turn: Cell::new(0), is_busy: Cell::new(false) }
    }

    /// How many messages to ask for in this turn. The usual socket has one, and to ask for a
    /// second costs a look that finds nothing; what is left shows in the next turn.
    #[inline]
    pub(crate) fn ask(&self, turn: u32) -> usize {
        if self.last_turn.replace(turn).wrapping_add(1) == turn {
            self.is_busy.set(true);
        }
        if self.is_busy.get() { AT_MOST_FROM_A_RELAY } else { 1 }
    }

    /// It gave so many.
    #[inline]
    pub(crate) fn gave(&self, messages: usize) {
        if messages <= 1 {
            self.is_busy.set(false);
        }
    }

    pub(crate) fn socket(&self) -> &Rc<UdpSocket> {
        &self.socket
    }

    pub(crate) fn into_socket(self) -> Rc<UdpSocket> {
        self.socket
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]
mod tests {
    use turn_udp::RelayOptions;

    use super::*;

    #[test]
    fn a_socket_with_a_packet_now_and_then_is_asked_for_one() {
        let polled = polled();
        for turn in [10, 12, 20] {
            assert_eq!(polled.ask(turn), 1);
            polled.gave(1);
        }
    }

    #[test]
    fn a_socket_that_was_not_emptied_is_asked_for_several_until_it_is() {
        let polled = polled();
        assert_eq!(polled.ask(10), 1);
        polled.gave(1);
        assert_eq!(polled.ask(11), AT_MOST_FROM_A_RELAY);
        polled.gave(3);
        assert_eq!(polled.ask(15), AT_MOST_FROM_A_RELAY);
        polled.gave(1);
        assert_eq!(polled.ask(20), 1);
    }

    fn polled() -> Polled {
        let local = "127.0.0.1:0".parse().unwrap();
        Polled::new(UdpSocket::relay(local, &RelayOptions::default()).unwrap())
    }
}
