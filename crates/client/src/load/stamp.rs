//! What each packet carries: which flow it belongs to and when it left.
//!
//! ```text
//!  0       4              12            size
//! [ flow  | nanoseconds  | filling ....]        big endian
//! ```
//!
//! A Binding request carries the same twelve bytes as its transaction id.

use std::time::Instant;

/// The first bytes of a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// The flow by number.
    pub(crate) flow: u32,
    /// When it left, by the [`Clock`].
    pub(crate) left: u64,
}

/// Nanoseconds since the generator began.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock(Instant);

impl Stamp {
    pub(crate) const LEN: usize = 12;

    pub(crate) fn to_bytes(self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        let (flow, left) = bytes.split_at_mut(4);
        flow.copy_from_slice(&self.flow.to_be_bytes());
        left.copy_from_slice(&self.left.to_be_bytes());
        bytes
    }

    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let (flow, rest) = bytes.split_first_chunk()?;
        let left = rest.first_chunk()?;
        Some(Self { flow: u32::from_be_bytes(*flow), left: u64::from_be_bytes(*left) })
    }
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn now(self) -> u64 {
        u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamp_survives_the_way() {
        let stamp = Stamp { flow: 70_000, left: 1 << 40 };
        assert_eq!(Stamp::read(&stamp.to_bytes()), Some(stamp));
        assert_eq!(Stamp::read(&[&stamp.to_bytes()[..], b"filling"].concat()), Some(stamp));
        assert_eq!(Stamp::read(&stamp.to_bytes()[1..]), None);
    }
}
