//! The data path: ChannelData and Send toward peers, datagrams of peers toward
//! clients, and both at once when the peer is an allocation of ours.
//!
//! RFC 8656 sections 11.2, 11.3, 12.5 and 12.6. Nothing is copied, allocated,
//! locked or logged here.

use std::net::SocketAddr;
use std::ops::Range;
use std::time::Instant;

use turn_codec::{AddressFamily, ChannelData, TransactionId, data_indication_head};

use crate::allocation::Allocation;
use crate::buckets::Buckets;
use crate::counters::Counters;
use crate::id::{AllocationKey, RealmId, RelayId, ShardId};
use crate::limit_name::LimitName;
use crate::link::FiveTuple;
use crate::meter::Direction;
use crate::methods::send::Outgoing;
use crate::outcome::{DropReason, Prefix, Relayed, Route};
use crate::peer_policy::Target;
use crate::settings::Settings;
use crate::shared::Shared;
use crate::table::Allocations;
use crate::time::Now;

/// What relaying looks at; the engine lends it for one packet.
pub(crate) struct Relaying<'e> {
    pub(crate) shard: ShardId,
    pub(crate) table: &'e mut Allocations,
    pub(crate) settings: &'e Settings,
    pub(crate) shared: &'e Shared,
    pub(crate) counters: &'e Counters,
    pub(crate) indications: &'e mut Indications,
    /// A limit that refused, for a WARN.
    pub(crate) refused_by: &'e mut Option<LimitName>,
}

/// Transaction ids of Data indications: unique, and unguessable only in their
/// first four bytes, since nothing answers them.
#[derive(Debug)]
pub(crate) struct Indications {
    pub(crate) prefix: [u8; 4],
    pub(crate) next: u64,
}

/// How a packet reaches its peer at this moment.
enum Way {
    Outside(SocketAddr),
    Inside(ShardId, RelayId),
}

impl Relaying<'_> {
    /// RFC 8656 section 12.6: a ChannelData message from a client.
    pub(crate) fn channel_data(
        &mut self,
        now: Now,
        tuple: &FiveTuple,
        bytes: &[u8],
    ) -> Result<Relayed, DropReason> {
        // [C5, C6]
        let data = ChannelData::parse_datagram_in(self.settings.relay.channels, bytes)
            .map_err(|_| DropReason::Malformed)?;
        let key = self.table.find(tuple, now.mono).ok_or(DropReason::NoAllocation)?;
        let allocation = self.table.get(key).ok_or(DropReason::NoAllocation)?;
        // [C9] No look at permissions: these gate inbound data and Send.
        let (peer, target) =
            allocation.channels.peer(data.number(), now.mono).ok_or(DropReason::NoChannel)?;
        let family = AddressFamily::of(&peer);
        // [T3] ChannelData never sets DF.
        let outgoing =
            Outgoing { family, target, peer, payload: data.data_range(), dont_fragment: false };
        self.toward_peer(now, key, outgoing)
    }

    /// Toward a peer, with permission and policy judged.
    pub(crate) fn toward_peer(
        &mut self,
        now: Now,
        key: AllocationKey,
        out: Outgoing,
    ) -> Result<Relayed, DropReason> {
        let Outgoing { family, target, peer, payload, dont_fragment } = out;
        let allocation = self.table.get(key).ok_or(DropReason::NoAllocation)?;
        let via = allocation.relays.of(family).ok_or(DropReason::NoFamily)?;
        let realm = allocation.link.realm;
        let relay = self
            .table
            .relay(via)
            .filter(|relay| relay.expires_at > now.mono)
            .ok_or(DropReason::Stale)?;
        let from = relay.advertised;
        let way = self.way(realm, target, peer)?;
        let (table, toll) = self.toll(now);
        let allocation = table.get_mut(key).ok_or(DropReason::NoAllocation)?;
        toll.take(allocation, Direction::Up, payload.len(), Unit::Datagram)?;
        match way {
            Way::Inside(shard, to) => self.toward_relay(now, shard, to, from, payload),
            Way::Outside(peer) => {
                let route = Route::Peer { via, peer };
                Ok(Relayed { route, prefix: Prefix::EMPTY, payload, padding: 0, dont_fragment })
            }
        }
    }

    /// Bytes of a connection to a peer (RFC 6062 section 5.4): whether they may
    /// flow now.
    pub(crate) fn stretch(
        &mut self,
        now: Now,
        relay: RelayId,
        direction: Direction,
        bytes: usize,
    ) -> bool {
        let (table, toll) = self.toll(now);
        table.relay_and_allocation(relay, now.mono).is_some_and(|(_, allocation)| {
            toll.take(allocation, direction, bytes, Unit::Stretch).is_ok()
        })
    }

    /// The table, and beside it what payload has to pass.
    fn toll(&mut self, now: Now) -> (&mut Allocations, Toll<'_>) {
        let toll = Toll {
            settings: self.settings,
            buckets: &self.shared.buckets,
            counters: self.counters,
            refused_by: &mut *self.refused_by,
            now: now.mono,
        };
        (&mut *self.table, toll)
    }

    fn way(&self, realm: RealmId, target: Target, peer: SocketAddr) -> Result<Way, DropReason> {
        let (relay_address, port) = match target {
            Target::Outside(peer) => return Ok(Way::Outside(peer)),
            Target::Inside { relay_address, port } => (relay_address, port),
        };
        if let Some((shard, to)) =
            self.shared.ports(relay_address).and_then(|ports| ports.live(port))
        {
            return Ok(Way::Inside(shard, to));
        }
        // [H6] An operator's own service beside us, if its port is allowed.
        let relays = &self.settings.relay.addresses;
        self.settings
            .realm(realm)
            .peers
            .judge_outside(relays, peer)
            .map(Way::Outside)
            .map_err(|_| DropReason::NotRelayed)
    }

    /// Toward another of our own relayed transport addresses: no socket in
    /// between, the receiver's permissions as for any peer.
    fn toward_relay(
        &mut self,
        now: Now,
        shard: ShardId,
        to: RelayId,
        from: SocketAddr,
        payload: Range<usize>,
    ) -> Result<Relayed, DropReason> {
        self.counters.relayed_inside.add(1);
        if shard == self.shard {
            return self.toward_client(now, to, from, payload);
        }
        self.counters.relayed_across.add(1);
        let route = Route::Shard { shard, relay: to, from };
        Ok(Relayed { route, prefix: Prefix::EMPTY, payload, padding: 0, dont_fragment: false })
    }

    /// RFC 8656 section 11.3: a datagram that reached a relayed transport
    /// address.
    pub(crate) fn toward_client(
        &mut self,
        now: Now,
        to: RelayId,
        peer: SocketAddr,
        payload: Range<usize>,
    ) -> Result<Relayed, DropReason> {
        let settings = self.settings;
        let (table, toll) = self.toll(now);
        let (_, allocation) = table.relay_and_allocation(to, now.mono).ok_or(DropReason::Stale)?;
        // [P4] A permission first, even where a channel is bound.
        let peer = if allocation.permissions.is_live(peer.ip(), now.mono) {
            peer
        } else {
            // What an own service answers is shown as it was addressed.
            advertised(settings, peer)
                .find(|peer| allocation.permissions.is_live(peer.ip(), now.mono))
                .ok_or(DropReason::NoPermission)?
        };
        toll.take(allocation, Direction::Down, payload.len(), Unit::Datagram)?;
        let link = allocation.link;
        let number = allocation.channels.number(peer, now.mono);
        // [C8] RFC 8656 section 12.5: a bound peer's data MUST go by its channel.
        let (prefix, padding) = match number {
            Some(number) => {
                let len = u16::try_from(payload.len()).map_err(|_| DropReason::Malformed)?;
                // [C7]
                let padding =
                    if link.tuple.transport.is_stream() { padding_of(payload.len()) } else { 0 };
                (Prefix::channel(ChannelData::header(number, len)), padding)
            }
            None => (self.indications.data_prefix(peer, payload.len())?, padding_of(payload.len())),
        };
        let route = Route::Client { link: link.id, to: link.tuple.client, from: link.tuple.server };
        Ok(Relayed { route, prefix, payload, padding, dont_fragment: false })
    }
}

/// What the payload of one toll is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Datagram,
    /// Some bytes of a connection.
    Stretch,
}

/// What payload passes before it leaves: bandwidth limits, then the counts.
struct Toll<'t> {
    settings: &'t Settings,
    buckets: &'t Buckets,
    counters: &'t Counters,
    refused_by: &'t mut Option<LimitName>,
    now: Instant,
}

impl Toll<'_> {
    fn take(
        self,
        allocation: &mut Allocation,
        direction: Direction,
        bytes: usize,
        unit: Unit,
    ) -> Result<(), DropReason> {
        if let Some(meter) = &mut allocation.meter {
            let owner = &allocation.owner;
            let admitted =
                meter.admit(direction, bytes, owner, self.settings, self.buckets, self.now);
            if let Err(limit) = admitted {
                self.refused_by.get_or_insert(limit);
                return Err(DropReason::Bandwidth);
            }
        }
        let (traffic, counters) = (&mut allocation.traffic, self.counters);
        let (packets, payload, relayed, relayed_bytes) = match direction {
            Direction::Up => (
                &mut traffic.up_packets,
                &mut traffic.up_bytes,
                &counters.relayed_up,
                &counters.relayed_up_bytes,
            ),
            Direction::Down => (
                &mut traffic.down_packets,
                &mut traffic.down_bytes,
                &counters.relayed_down,
                &counters.relayed_down_bytes,
            ),
        };
        if unit == Unit::Datagram {
            *packets += 1;
            relayed.add(1);
        }
        *payload += bytes as u64;
        relayed_bytes.add(bytes as u64);
        Ok(())
    }
}

impl Indications {
    fn data_prefix(&mut self, peer: SocketAddr, len: usize) -> Result<Prefix, DropReason> {
        self.next = self.next.wrapping_add(1);
        let [a, b, c, d] = self.prefix;
        let [e, f, g, h, i, j, k, l] = self.next.to_be_bytes();
        let id = TransactionId::new([a, b, c, d, e, f, g, h, i, j, k, l]);
        Prefix::write(|bytes| data_indication_head(bytes, peer, len, id))
            .map_err(|_| DropReason::Malformed)
    }
}

/// A bound address of ours as it is advertised, where the two differ, and as it was before.
pub(crate) fn advertised(
    settings: &Settings,
    peer: SocketAddr,
) -> impl Iterator<Item = SocketAddr> {
    let relay = settings.relay.addresses.iter().find(|relay| relay.bound == peer.ip());
    relay.into_iter().flat_map(move |relay| {
        let other = (relay.advertised != relay.bound).then_some(relay.advertised);
        let forms = other.into_iter().chain(relay.former.iter().copied());
        forms.map(move |form| SocketAddr::new(form, peer.port()))
    })
}

/// Zero bytes up to the next multiple of four.
fn padding_of(len: usize) -> u8 {
    match len % 4 {
        1 => 3,
        2 => 2,
        3 => 1,
        _ => 0,
    }
}
