//! Channel bindings: a number of two bytes for a peer's transport address.
//!
//! RFC 8656 section 12. A binding lives 600 s; ChannelData refreshes it never
//! (section 12, MUST NOT) `[C4]`.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use turn_codec::ChannelNumber;

use crate::peer_policy::Target;

/// RFC 8656 section 12: a channel binding lasts 10 minutes unless refreshed.
pub const CHANNEL_LIFETIME: Duration = Duration::from_secs(600);

/// The channels of one allocation: a short list, searched from its start.
#[derive(Debug, Default)]
pub(crate) struct Channels {
    entries: Vec<Channel>,
}

#[derive(Debug)]
struct Channel {
    number: ChannelNumber,
    peer: SocketAddr,
    /// Where the policy sends packets for the peer, judged when it was bound.
    target: Target,
    expires_at: Instant,
}

/// Why a channel cannot be bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BindError {
    /// The number is bound to another peer, or the peer to another number.
    Conflict,
    /// `channels_per_allocation` is reached.
    Full,
}

impl Channels {
    /// Whether the pair can be bound: it is bound already, or neither half is.
    pub(crate) fn admits(
        &self,
        number: ChannelNumber,
        peer: SocketAddr,
        most: Option<u32>,
        now: Instant,
    ) -> Result<(), BindError> {
        for channel in self.live(now) {
            match (channel.number == number, channel.peer == peer) {
                (true, true) => return Ok(()),
                // [C3] RFC 8656 section 12.2: the channel is not bound to another peer, the peer
                // not to another channel.
                (true, false) | (false, true) => return Err(BindError::Conflict),
                (false, false) => {}
            }
        }
        // [H22]
        let full = most.is_some_and(|most| self.live(now).count() >= most as usize);
        if full { Err(BindError::Full) } else { Ok(()) }
    }

    /// Binds or refreshes the pair, which `admits` has allowed.
    pub(crate) fn bind(
        &mut self,
        number: ChannelNumber,
        peer: SocketAddr,
        target: Target,
        now: Instant,
    ) {
        // [C4]
        let expires_at = now + CHANNEL_LIFETIME;
        if let Some(channel) =
            self.entries.iter_mut().find(|channel| channel.number == number && channel.peer == peer)
        {
            channel.target = target;
            channel.expires_at = expires_at;
            return;
        }
        self.entries.retain(|channel| channel.expires_at > now);
        if self.entries.capacity() == 0 {
            // Most allocations have one: a Vec would begin with four.
            self.entries.reserve_exact(1);
        }
        self.entries.push(Channel { number, peer, target, expires_at });
    }

    /// The peer of a channel, and where its packets go.
    pub(crate) fn peer(&self, number: ChannelNumber, now: Instant) -> Option<(SocketAddr, Target)> {
        self.live(now)
            .find(|channel| channel.number == number)
            .map(|channel| (channel.peer, channel.target))
    }

    pub(crate) fn number(&self, peer: SocketAddr, now: Instant) -> Option<ChannelNumber> {
        self.live(now).find(|channel| channel.peer == peer).map(|channel| channel.number)
    }

    pub(crate) fn retain(&mut self, mut keep: impl FnMut(SocketAddr) -> bool) {
        self.entries.retain(|channel| keep(channel.peer));
    }

    /// Judges each peer again: where its packets go from now on, or that it is one no more.
    pub(crate) fn judge(&mut self, mut judge: impl FnMut(SocketAddr) -> Option<Target>) {
        self.entries.retain_mut(|channel| match judge(channel.peer) {
            Some(target) => {
                channel.target = target;
                true
            }
            None => false,
        });
    }

    pub(crate) fn count(&self, now: Instant) -> usize {
        self.live(now).count()
    }

    fn live(&self, now: Instant) -> impl Iterator<Item = &Channel> {
        self.entries.iter().filter(move |channel| channel.expires_at > now)
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test needs some instant to start from")]
mod tests {
    use super::*;

    fn number(value: u16) -> ChannelNumber {
        ChannelNumber::new(value).expect("a channel number")
    }

    fn peer(port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], port))
    }

    fn target(port: u16) -> Target {
        Target::Outside(peer(port))
    }

    #[test]
    fn c3_a_number_and_a_peer_belong_to_each_other_alone() {
        let start = Instant::now();
        let mut channels = Channels::default();
        channels.bind(number(0x4000), peer(1), target(1), start);
        assert_eq!(channels.admits(number(0x4000), peer(1), Some(1), start), Ok(()));
        assert_eq!(channels.admits(number(0x4000), peer(2), None, start), Err(BindError::Conflict));
        assert_eq!(channels.admits(number(0x4001), peer(1), None, start), Err(BindError::Conflict));
        assert_eq!(channels.admits(number(0x4001), peer(2), Some(1), start), Err(BindError::Full));
        assert_eq!(channels.admits(number(0x4001), peer(2), Some(2), start), Ok(()));
    }

    #[test]
    fn c4_both_halves_can_be_bound_anew_after_600_seconds() {
        let start = Instant::now();
        let later = start + CHANNEL_LIFETIME;
        let mut channels = Channels::default();
        channels.bind(number(0x4000), peer(1), target(1), start);
        let before = later - Duration::from_millis(1);
        assert_eq!(channels.peer(number(0x4000), before), Some((peer(1), target(1))));
        assert_eq!(channels.peer(number(0x4000), later), None);
        assert_eq!(channels.number(peer(1), later), None);
        assert_eq!(channels.admits(number(0x4000), peer(2), Some(1), later), Ok(()));
        channels.bind(number(0x4000), peer(2), target(2), later);
        assert_eq!(channels.peer(number(0x4000), later), Some((peer(2), target(2))));
    }
}
