//! What a [`LinkId`] stands for: the engine stores it and gives it back, only
//! this file looks inside.
//!
//! ```text
//!   63 62 61                    32 31                 0
//!   | tag | generation of the slot | slot              |
//! ```

use turn_engine::LinkId;

/// The place that a link names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LinkKind {
    /// The slot of a UDP listener.
    Listener(usize),
    /// A TCP or TLS connection.
    Stream(Slot),
    /// A DTLS session.
    Dtls(Slot),
    /// A UDP client behind a proxy.
    Proxied(Slot),
}

/// A place that is used again; a stale name of it finds nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Slot {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

impl Slot {
    /// Generations wrap at 30 bits.
    pub(crate) const GENERATION_MASK: u32 = (1 << 30) - 1;
}

impl LinkKind {
    pub(crate) const fn id(self) -> LinkId {
        let (tag, slot) = match self {
            Self::Listener(slot) => return LinkId(slot as u64),
            Self::Stream(slot) => (1, slot),
            Self::Dtls(slot) => (2, slot),
            Self::Proxied(slot) => (3, slot),
        };
        let generation = slot.generation & Slot::GENERATION_MASK;
        LinkId(tag << 62 | (generation as u64) << 32 | slot.index as u64)
    }

    /// Whether what goes out on a link goes through a connection's own state.
    pub(crate) const fn is_connection(link: LinkId) -> bool {
        matches!(link.0 >> 62, 1 | 2)
    }

    pub(crate) fn of(link: LinkId) -> Self {
        let [a, b, c, d, e, f, g, h] = link.0.to_be_bytes();
        let index = u32::from_be_bytes([e, f, g, h]);
        let high = u32::from_be_bytes([a, b, c, d]);
        let slot = Slot { index, generation: high & Slot::GENERATION_MASK };
        match high >> 30 {
            0 => Self::Listener(slot.index as usize),
            1 => Self::Stream(slot),
            2 => Self::Dtls(slot),
            _ => Self::Proxied(slot),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_come_back_out_of_their_ids() {
        let slot = Slot { index: u32::MAX, generation: Slot::GENERATION_MASK };
        for kind in [
            LinkKind::Listener(0),
            LinkKind::Listener(7),
            LinkKind::Stream(Slot { index: 0, generation: 0 }),
            LinkKind::Stream(slot),
            LinkKind::Dtls(slot),
            LinkKind::Proxied(slot),
        ] {
            assert_eq!(LinkKind::of(kind.id()), kind);
            let is_connection = matches!(kind, LinkKind::Stream(_) | LinkKind::Dtls(_));
            assert_eq!(LinkKind::is_connection(kind.id()), is_connection);
        }
    }

    #[test]
    fn generation_of_a_slot_is_part_of_its_name() {
        let [old, new] = [1, 2].map(|generation| LinkKind::Stream(Slot { index: 3, generation }));
        assert_ne!(old.id(), new.id());
    }
}
