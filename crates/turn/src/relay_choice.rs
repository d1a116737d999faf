//! Which relay address and port a new relayed transport address gets, and what the next port is
//! claimed with.
//!
//! RFC 8656 section 7.2: ports are chosen at random `[T9]`, tokens cannot be guessed `[T8]`.

use arrayvec::ArrayVec;
use turn_codec::AddressFamily;

use crate::allocation::{PortSpace, RelayProtocol};
use crate::id::RelayId;
use crate::link::Link;
use crate::port_map::Parity;
use crate::time::Now;
use crate::workbench::Workbench;

impl Workbench<'_> {
    /// The least used relay address of a realm and a family that has a port left, or the one that
    /// the client sent to.
    pub(crate) fn claim_relay(
        &mut self,
        link: Link,
        family: AddressFamily,
        protocol: RelayProtocol,
        parity: Parity,
        now: Now,
    ) -> Option<RelayId> {
        let space = |address| PortSpace { address, protocol };
        let is_other = |bound| {
            self.settings.relay.prefer_listener && link.tuple.server.ip().to_canonical() != bound
        };
        let mut candidates: ArrayVec<(bool, usize, usize), 16> = self
            .settings
            .relay_addresses(link.realm)
            .filter(|(_, relay)| AddressFamily::of_ip(&relay.bound) == family)
            .filter_map(|(at, relay)| {
                let ports = self.shared.ports_in(space(at))?;
                Some((is_other(relay.bound), ports.taken(), at))
            })
            .take(16)
            .collect();
        candidates.sort_unstable();
        // [T9]
        let random = self.random.next_u32();
        candidates.into_iter().find_map(|(.., at)| {
            self.table.claim_relay(&self.settings.relay, space(at), parity, random, now.mono)
        })
    }

    /// 8 bytes: the shard, which any shard must be able to read, and 7 random
    /// ones `[T8]`.
    pub(crate) fn token(&mut self) -> [u8; 8] {
        let mut token = [0; 8];
        // [T8]
        self.random.fill(&mut token);
        let [shard, ..] = &mut token;
        *shard = self.shard.0;
        token
    }
}
