//! Names of things that the host and the engine hand to each other.

use std::fmt;
use std::str::FromStr;

use crate::arena::Key;

/// One shard of the process: its engine, its listeners, its relay sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ShardId(pub u8);

/// A realm: its place in [`Settings::realms`](crate::Settings), where the first is the default. It
/// stays the same over reloads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct RealmId(pub u16);

/// A tenant of a realm: its place in [`Realm::tenants`](crate::Realm). It stays the same over
/// reloads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TenantId(pub u16);

/// One relayed transport address: slot and generation, at once the engine's
/// index and the host's poll token. A stale id finds nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RelayId {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

impl RelayId {
    /// Slots a shard can have: the port map has 24 bits for an index.
    pub(crate) const MAX_INDEX: u32 = (1 << 24) - 1;
    /// Generations wrap at 30 bits, what the port map has for them.
    pub(crate) const GENERATION_MASK: u32 = (1 << 30) - 1;

    /// The slot, for a host that keeps its sockets in an array.
    pub const fn index(self) -> usize {
        self.index as usize
    }

    /// The id as one word, for a poll token.
    pub const fn to_bits(self) -> u64 {
        (self.generation as u64) << 32 | self.index as u64
    }

    /// The id behind a poll token.
    pub const fn from_bits(bits: u64) -> Self {
        let [a, b, c, d, e, f, g, h] = bits.to_be_bytes();
        Self {
            generation: u32::from_be_bytes([a, b, c, d]),
            index: u32::from_be_bytes([e, f, g, h]),
        }
    }
}

impl Key for RelayId {
    fn new(index: u32, generation: u32) -> Self {
        Self { index, generation }
    }

    fn parts(self) -> (u32, u32) {
        (self.index, self.generation)
    }
}

/// The engine's own index of an allocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AllocationKey {
    index: u32,
    generation: u32,
}

impl Key for AllocationKey {
    fn new(index: u32, generation: u32) -> Self {
        Self { index, generation }
    }

    fn parts(self) -> (u32, u32) {
        (self.index, self.generation)
    }
}

/// An allocation's name in logs and reports: its shard and a serial number.
/// Shown as `shard-number`, as in `1-000042`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AllocationId {
    /// The shard that holds the allocation.
    pub shard: ShardId,
    /// Counts the allocations of that shard since its start.
    pub serial: u64,
}

impl fmt::Display for AllocationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:06}", self.shard.0, self.serial)
    }
}

/// A text that names no allocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the name of an allocation, which looks like 1-000042")]
pub struct NotAnAllocationId;

impl FromStr for AllocationId {
    type Err = NotAnAllocationId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        match text.split_once('-') {
            Some((shard, serial)) if is_number(shard) && is_number(serial) => Ok(Self {
                shard: ShardId(shard.parse().map_err(|_| NotAnAllocationId)?),
                serial: serial.parse().map_err(|_| NotAnAllocationId)?,
            }),
            Some(_) | None => Err(NotAnAllocationId),
        }
    }
}

/// A TCP connection between a relayed transport address and a peer, as CONNECTION-ID names it
/// (RFC 6062 section 6.2.1): the shard that holds it, and 24 random bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(u32);

impl ConnectionId {
    /// The lowest 24 bits of `random` behind the shard's number.
    pub(crate) const fn new(shard: ShardId, random: u32) -> Self {
        let [_, a, b, c] = random.to_be_bytes();
        Self(u32::from_be_bytes([shard.0, a, b, c]))
    }

    pub(crate) const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// The shard that holds the connection.
    pub const fn shard(self) -> ShardId {
        let [shard, ..] = self.0.to_be_bytes();
        ShardId(shard)
    }

    /// The id as CONNECTION-ID carries it.
    pub const fn to_bits(self) -> u32 {
        self.0
    }
}

/// A request that waits for the host: named in the action that asks and in the
/// answer to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub(crate) u64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allocation_id_is_read_as_it_is_shown() {
        for id in [(0, 1), (3, 42), (255, u64::MAX), (1, 12_345_678)] {
            let id = AllocationId { shard: ShardId(id.0), serial: id.1 };
            assert_eq!(id.to_string().parse(), Ok(id));
        }
        for text in ["", "-", "1", "1-", "-1", "256-000001", "1-+00001", "+1-000001", "1-0000x1"] {
            assert_eq!(text.parse::<AllocationId>(), Err(NotAnAllocationId), "{text}");
        }
    }
}
