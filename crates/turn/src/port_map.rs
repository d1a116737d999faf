//! Which port of a relay address is in use, by whom: one word a port, shared
//! by all shards.
//!
//! RFC 8656 section 7.2 (choice of the relayed transport address) and 21.1.7
//! (ports must not be guessable). Touched on Allocate, on a reservation, at the
//! end of an allocation and when a peer is one of our own addresses.
//!
//! ```text
//!   free ──claim──> held ──publish──> live
//!     ^               │                 │
//!     └──60 s── quarantined <──release──┘
//! ```
//!
//! A held port is claimed but not yet bound, or reserved. No port belongs to a
//! shard in advance, so none is stranded.

use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::id::{RelayId, ShardId};

/// How long a released port rests before it is used again while others are
/// free, so that an old peer's packets do not reach a new allocation `[H20]`.
pub const QUARANTINE_SECONDS: u32 = 60;

/// The ports of one relay address.
#[derive(Debug)]
pub struct PortMap {
    first: u16,
    ports: Box<[AtomicU64]>,
    taken: AtomicU32,
    /// Before this second no port has rested, as a search through all of them has found.
    rested_from: AtomicU32,
}

/// What an Allocate request asks of a port (RFC 8656 section 18.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parity {
    Any,
    Even,
    /// An even port and the next higher one, together.
    EvenPair,
}

/// How many ports of a map are in which state; for tests and metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PortCount {
    /// Never used, or rested long enough.
    pub free: usize,
    /// Resting.
    pub quarantined: usize,
    /// Claimed or reserved.
    pub held: usize,
    /// A relayed transport address.
    pub live: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PortState {
    Free,
    Quarantined { until: u32 },
    Held,
    Live { shard: ShardId, relay: RelayId },
}

impl PortMap {
    /// A map of these ports, all free.
    pub fn new(ports: RangeInclusive<u16>) -> Self {
        Self {
            first: *ports.start(),
            ports: ports.map(|_| AtomicU64::new(PortState::Free.encode())).collect(),
            taken: AtomicU32::new(0),
            rested_from: AtomicU32::new(0),
        }
    }

    /// The shard and relay that a port is live on.
    pub fn live(&self, port: u16) -> Option<(ShardId, RelayId)> {
        match PortState::decode(self.word(port)?.load(Ordering::Acquire)) {
            PortState::Live { shard, relay } => Some((shard, relay)),
            PortState::Free | PortState::Quarantined { .. } | PortState::Held => None,
        }
    }

    /// Ports that are live or held.
    pub fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed) as usize
    }

    /// Ports of the map.
    pub fn len(&self) -> usize {
        self.ports.len()
    }

    /// Whether the map has no port at all.
    pub fn is_empty(&self) -> bool {
        self.ports.is_empty()
    }

    /// Counts the ports by state at `second`.
    pub fn count(&self, second: u32) -> PortCount {
        let mut count = PortCount::default();
        for word in &self.ports {
            match PortState::decode(word.load(Ordering::Acquire)) {
                PortState::Free => count.free += 1,
                PortState::Quarantined { until } if until <= second => count.free += 1,
                PortState::Quarantined { .. } => count.quarantined += 1,
                PortState::Held => count.held += 1,
                PortState::Live { .. } => count.live += 1,
            }
        }
        count
    }

    /// Takes a port, or an even port whose successor is taken with it. The
    /// search starts at `random`, passes every port at most twice and prefers
    /// rested ports to resting ones. That none has rested is found out once and
    /// remembered: many short allocations would search all ports each time.
    pub(crate) fn claim(&self, random: u32, parity: Parity, second: u32) -> Option<u16> {
        if self.taken() >= self.len() {
            return None;
        }
        if second >= self.rested_from.load(Ordering::Relaxed) {
            let rested = self.search(random, parity, |state| state.is_rested(second));
            if rested.is_some() {
                return rested;
            }
            if parity == Parity::Any {
                self.rested_from.store(self.first_rested(second), Ordering::Relaxed);
            }
        }
        self.search(random, parity, PortState::is_available)
    }

    pub(crate) fn publish(&self, port: u16, shard: ShardId, relay: RelayId) {
        if let Some(word) = self.word(port) {
            word.store(PortState::Live { shard, relay }.encode(), Ordering::Release);
        }
    }

    pub(crate) fn release(&self, port: u16, second: u32) {
        if let Some(word) = self.word(port) {
            // [H20]
            let rests = PortState::Quarantined { until: second.saturating_add(QUARANTINE_SECONDS) };
            let before = PortState::decode(word.swap(rests.encode(), Ordering::AcqRel));
            debug_assert!(!before.is_available(), "port {port} released twice");
            self.taken.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// When the first port will have rested, if none has now: what is released from now on rests
    /// for longer than what rests already.
    fn first_rested(&self, second: u32) -> u32 {
        let resting = self.ports.iter().filter_map(|word| {
            match PortState::decode(word.load(Ordering::Relaxed)) {
                PortState::Quarantined { until } => Some(until),
                PortState::Free | PortState::Held | PortState::Live { .. } => None,
            }
        });
        resting.min().unwrap_or(u32::MAX).min(second.saturating_add(QUARANTINE_SECONDS))
    }

    fn search(
        &self,
        random: u32,
        parity: Parity,
        usable: impl Fn(PortState) -> bool,
    ) -> Option<u16> {
        let count = u32::try_from(self.ports.len()).ok().filter(|&count| count > 0)?;
        let start = random % count;
        (0..count).find_map(|step| {
            let offset = u16::try_from((start + step) % count).ok()?;
            let port = self.first.checked_add(offset)?;
            match parity {
                Parity::Any => self.take(port, &usable).map(|_| port),
                Parity::Even if port % 2 == 0 => self.take(port, &usable).map(|_| port),
                Parity::EvenPair if port % 2 == 0 => {
                    let before = self.take(port, &usable)?;
                    let next = port.checked_add(1).and_then(|next| self.take(next, &usable));
                    if next.is_none() {
                        self.put_back(port, before);
                    }
                    next.map(|_| port)
                }
                Parity::Even | Parity::EvenPair => None,
            }
        })
    }

    /// Makes a port held and gives its word before, or does nothing.
    fn take(&self, port: u16, usable: impl Fn(PortState) -> bool) -> Option<u64> {
        let word = self.word(port)?;
        let seen = word.load(Ordering::Acquire);
        if !usable(PortState::decode(seen)) {
            return None;
        }
        let held = PortState::Held.encode();
        word.compare_exchange(seen, held, Ordering::AcqRel, Ordering::Relaxed).ok()?;
        self.taken.fetch_add(1, Ordering::Relaxed);
        Some(seen)
    }

    /// Undoes a `take` that nobody has seen.
    fn put_back(&self, port: u16, before: u64) {
        if let Some(word) = self.word(port) {
            word.store(before, Ordering::Release);
            self.taken.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn word(&self, port: u16) -> Option<&AtomicU64> {
        self.ports.get(usize::from(port.checked_sub(self.first)?))
    }
}

impl PortState {
    const TAG: u64 = 0b11;

    fn encode(self) -> u64 {
        match self {
            Self::Free => 0,
            Self::Quarantined { until } => 1 | u64::from(until) << 2,
            Self::Held => 2,
            Self::Live { shard, relay } => {
                3 | u64::from(shard.0) << 2
                    | u64::from(relay.index & RelayId::MAX_INDEX) << 10
                    | u64::from(relay.generation & RelayId::GENERATION_MASK) << 34
            }
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "each field is masked or shifted to its width"
    )]
    const fn decode(word: u64) -> Self {
        match word & Self::TAG {
            0 => Self::Free,
            1 => Self::Quarantined { until: (word >> 2) as u32 },
            2 => Self::Held,
            _ => Self::Live {
                shard: ShardId((word >> 2) as u8),
                relay: RelayId {
                    index: (word >> 10) as u32 & RelayId::MAX_INDEX,
                    generation: (word >> 34) as u32,
                },
            },
        }
    }

    const fn is_rested(self, second: u32) -> bool {
        match self {
            Self::Free => true,
            Self::Quarantined { until } => until <= second,
            Self::Held | Self::Live { .. } => false,
        }
    }

    const fn is_available(self) -> bool {
        matches!(self, Self::Free | Self::Quarantined { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RELAY: RelayId = RelayId { index: 0x00ab_cdef, generation: 0x3fff_fffe };

    #[test]
    fn states_survive_their_encoding() {
        for state in [
            PortState::Free,
            PortState::Quarantined { until: u32::MAX },
            PortState::Held,
            PortState::Live { shard: ShardId(255), relay: RELAY },
        ] {
            assert_eq!(PortState::decode(state.encode()), state);
        }
    }

    #[test]
    fn h20_released_port_rests_while_others_are_free() {
        let map = PortMap::new(49_152..=49_161);
        let port = map.claim(0, Parity::Any, 0).expect("all are free");
        map.release(port, 0);
        for _ in 0..9 {
            assert_ne!(map.claim(0, Parity::Any, 59), Some(port));
        }
        // The last one left is used although it rests, rather than refusing.
        assert_eq!(map.claim(0, Parity::Any, 59), Some(port));
    }

    #[test]
    fn h20_once_all_ports_rest_the_first_that_has_rested_is_preferred_again() {
        let map = PortMap::new(50_000..=50_002);
        for second in [10, 20, 30] {
            let port = map.claim(second - 10, Parity::Any, 0).expect("one is free");
            map.release(port, second);
        }
        // All rest: any will do. It rests anew.
        let resting = map.claim(2, Parity::Any, 40).expect("resting ones are better than none");
        map.release(resting, 40);
        // From 70 on one has rested, wherever the search starts.
        let rested = (0..3).map(|start| {
            let port = map.claim(start, Parity::Any, 71).expect("one has rested");
            map.put_back(port, PortState::Quarantined { until: 70 }.encode());
            port
        });
        let rested: Vec<u16> = rested.collect();
        assert_ne!(rested.first(), Some(&resting));
        assert!(rested.windows(2).all(|pair| pair.first() == pair.last()), "{rested:?}");
    }

    #[test]
    fn h19_half_a_pair_is_put_back_as_it_was() {
        let map = PortMap::new(50_000..=50_001);
        let both = map.claim(0, Parity::EvenPair, 0).expect("a pair is free");
        map.release(both, 0);
        assert_eq!(map.claim(0, Parity::EvenPair, 1), None);
        assert_eq!(map.count(1).quarantined, 1);
    }

    #[test]
    fn h20_released_port_is_used_again_after_its_rest() {
        let map = PortMap::new(50_000..=50_001);
        let port = map.claim(0, Parity::Any, 0).expect("all are free");
        map.release(port, 0);
        assert_eq!(map.claim(0, Parity::Any, 60), Some(port));
    }

    #[test]
    fn h19_even_pair_takes_both_ports_or_none() {
        let map = PortMap::new(50_001..=50_005);
        let even = map.claim(3, Parity::EvenPair, 0).expect("two pairs are free");
        assert_eq!(even % 2, 0);
        let other = map.claim(3, Parity::EvenPair, 0).expect("one pair is left");
        assert_ne!(even, other);
        assert_eq!(map.claim(3, Parity::EvenPair, 0), None);
        assert_eq!(map.taken(), 4);
        assert_eq!(map.claim(0, Parity::Any, 0), Some(50_001));
        assert_eq!(map.claim(0, Parity::Any, 0), None);
    }

    #[test]
    fn t8_even_without_reservation_takes_one_port() {
        let map = PortMap::new(50_000..=50_009);
        let port = map.claim(7, Parity::Even, 0).expect("five are free");
        assert_eq!(port % 2, 0);
        assert_eq!(map.taken(), 1);
    }

    #[test]
    fn live_port_names_its_shard_and_relay_until_it_is_released() {
        let map = PortMap::new(50_000..=50_000);
        let port = map.claim(0, Parity::Any, 0).expect("it is free");
        assert_eq!(map.live(port), None);
        map.publish(port, ShardId(3), RELAY);
        assert_eq!(map.live(port), Some((ShardId(3), RELAY)));
        map.release(port, 5);
        assert_eq!(map.live(port), None);
        assert_eq!(map.live(49_999), None);
        assert_eq!(map.count(6), PortCount { quarantined: 1, ..PortCount::default() });
    }
}
