//! ConnectionAttempt: tells a client that a peer has connected to its relayed transport address.
//!
//! RFC 6062 section 5.3. Without a permission of the peer's address nothing is said and the
//! connection is closed at once `[X6]`.

use std::net::SocketAddr;

use turn_codec::attribute::{self, XorPeerAddress};
use turn_codec::{Class, MessageWriter, Method, NoRoom, TransactionId};

use crate::allocation::RelayProtocol;
use crate::id::{ConnectionId, RelayId};
use crate::limit_name::LimitName;
use crate::notes::note_limit;
use crate::relaying::advertised;
use crate::time::Now;
use crate::workbench::Workbench;

/// Room for the indication: header 20, XOR-PEER-ADDRESS 24, CONNECTION-ID 8.
const ROOM: usize = 52;

/// A peer has connected; `None`: it may not.
pub(crate) fn accept(
    bench: &mut Workbench<'_>,
    now: Now,
    to: RelayId,
    peer: SocketAddr,
) -> Option<ConnectionId> {
    let Workbench { shard, table, settings, shared, counters, random, outbox } = bench;
    let (_, allocation) = table.relay_and_allocation(to, now.mono)?;
    if allocation.protocol != RelayProtocol::Tcp {
        return None;
    }
    let id = allocation.link.realm;
    let realm = settings.realm(id);
    let is_permitted = |peer: &SocketAddr| {
        // [P6]
        allocation.permissions.is_live(peer.ip(), now.mono)
            && realm.peers.judge_address(&settings.relay.addresses, peer.ip()).is_ok()
    };
    // [X6] Another allocation, or an own service, is shown as it is addressed.
    let peer = advertised(settings, peer).chain([peer]).find(is_permitted)?;
    let (link, relays) = (allocation.link, allocation.relays);
    let connections = table.peer_connections_mut();
    let open: usize = relays.iter().map(|relay| connections.count(relay)).sum();
    // [H22]
    let most = realm.limits.peer_connections_per_allocation;
    if most.is_some_and(|most| open >= most as usize) {
        note_limit(
            counters,
            shared,
            LimitName::of_realm(id, "peer_connections_per_allocation"),
            outbox,
        );
        return None;
    }
    let connection = connections.accepted(random, *shard, (to, peer), now.mono)?;
    let mut transaction = [0; 12];
    random.fill(&mut transaction);
    // [X6, S19] On the control connection and on no other.
    outbox.reply(&link, ROOM, |buffer| indication(buffer, transaction, peer, connection));
    Some(connection)
}

fn indication(
    buffer: &mut [u8],
    transaction: [u8; 12],
    peer: SocketAddr,
    id: ConnectionId,
) -> Result<usize, NoRoom> {
    let transaction = TransactionId::new(transaction);
    let mut writer =
        MessageWriter::new(buffer, Class::Indication, Method::CONNECTION_ATTEMPT, transaction)?;
    writer.push(&XorPeerAddress(peer))?;
    writer.push(&attribute::ConnectionId(id.to_bits()))?;
    Ok(writer.finish().len())
}
