//! A naive reference: who may send what to whom, as maps with expiries.
//!
//! It learns from what was granted on the wire (requests and their success responses)
//! and from nothing else, so it can be wrong only where the RFC's text is misread:
//!
//! - RFC 8656 section 9: a permission is an address and lives 300 s;
//! - section 12: a channel is a number and a transport address and lives 600 s;
//! - section 11 and 12: Send needs a permission, ChannelData a channel, what comes in
//!   a permission, and a bound peer's data goes by its channel.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use turn_codec::attribute::{
    ChannelNumberAttribute, Lifetime, RequestedAddressFamily, RequestedTransport, ReservationToken,
    XorPeerAddress, XorRelayedAddress,
};
use turn_codec::{AddressFamily, Message, Method};
use turn_engine::{FiveTuple, RealmId, RelayProtocol, TenantId};

use crate::emitted::Framing;

const PERMISSION: Duration = Duration::from_secs(300);
const CHANNEL: Duration = Duration::from_secs(600);
const RESERVATION: Duration = Duration::from_secs(30);

/// What is granted at this moment.
#[derive(Debug, Clone, Default)]
pub struct Reference {
    allocations: HashMap<FiveTuple, Granted>,
    reservations: Vec<Reserved>,
    /// Advertised relay addresses.
    own: Vec<IpAddr>,
}

/// Whose an allocation is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The realm.
    pub realm: RealmId,
    /// The tenant, for a time-limited name made with its secret.
    pub tenant: Option<TenantId>,
    /// The user.
    pub user: String,
}

/// Where a datagram must come out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// At a peer, from this relayed transport address.
    Peer {
        /// The relayed transport address, as advertised.
        from: SocketAddr,
        /// The peer.
        to: SocketAddr,
    },
    /// At a client.
    Client {
        /// The client's 5-tuple.
        tuple: FiveTuple,
        /// How it is framed.
        framing: Framing,
    },
    /// Nowhere.
    Nowhere,
}

#[derive(Debug, Clone)]
struct Granted {
    account: Account,
    protocol: RelayProtocol,
    relays: Vec<Relay>,
    permissions: HashMap<IpAddr, Instant>,
    channels: HashMap<u16, (SocketAddr, Instant)>,
}

#[derive(Debug, Clone, Copy)]
struct Relay {
    address: SocketAddr,
    expires_at: Instant,
}

#[derive(Debug, Clone)]
struct Reserved {
    token: [u8; 8],
    account: Account,
    address: SocketAddr,
    expires_at: Instant,
}

impl Reference {
    /// A reference of a server that relays at these advertised addresses.
    pub fn new(own: Vec<IpAddr>) -> Self {
        Self { own, ..Self::default() }
    }

    /// Learns from a request and the success response to it.
    ///
    /// # Panics
    /// When the response lacks what a success response must have.
    pub fn observe(
        &mut self,
        now: Instant,
        tuple: FiveTuple,
        account: &Account,
        request: &Message<'_>,
        response: &Message<'_>,
    ) {
        match request.method() {
            Method::ALLOCATE => self.allocated(now, tuple, account, request, response),
            Method::REFRESH => self.refreshed(now, tuple, request, response),
            Method::CREATE_PERMISSION => {
                let peers: Vec<_> = request.all::<XorPeerAddress>().flatten().collect();
                let granted = self.allocations.get_mut(&tuple).expect("a permission of somebody");
                for XorPeerAddress(peer) in peers {
                    granted.permissions.insert(peer.ip(), now + PERMISSION);
                }
            }
            Method::CHANNEL_BIND => {
                let peer = request.get::<XorPeerAddress>().ok().flatten().expect("a peer").0;
                let number = request.get::<ChannelNumberAttribute>().ok().flatten();
                let number = number.expect("a channel number").0;
                let granted = self.allocations.get_mut(&tuple).expect("a channel of somebody");
                granted.permissions.insert(peer.ip(), now + PERMISSION);
                granted.channels.insert(number, (peer, now + CHANNEL));
            }
            // What these make is the host's; the world looks at its connections.
            Method::CONNECT | Method::CONNECTION_BIND => {
                assert_eq!(request.method(), response.method());
            }
            other => panic!("{other:?} has no success response"),
        }
    }

    fn allocated(
        &mut self,
        now: Instant,
        tuple: FiveTuple,
        account: &Account,
        request: &Message<'_>,
        response: &Message<'_>,
    ) {
        let relayed: Vec<_> =
            response.all::<XorRelayedAddress>().flatten().map(|address| address.0).collect();
        assert!(!relayed.is_empty(), "a success response has XOR-RELAYED-ADDRESS");
        if self.is_live(&tuple, now) {
            // A retransmit: the same answer, and nothing new.
            assert_eq!(self.relayed(&tuple, now), relayed);
            return;
        }
        if let Ok(Some(ReservationToken(token))) = request.get() {
            self.reservations.retain(|reserved| reserved.token != token);
        }
        let expires_at = now + lifetime(response);
        if let (Ok(Some(ReservationToken(token))), Some(first)) = (response.get(), relayed.first())
        {
            let address = SocketAddr::new(first.ip(), first.port() + 1);
            let (account, expires_at) = (account.clone(), now + RESERVATION);
            self.reservations.push(Reserved { token, account, address, expires_at });
        }
        let relays = relayed.into_iter().map(|address| Relay { address, expires_at }).collect();
        let protocol = match request.get() {
            Ok(Some(RequestedTransport::TCP)) => RelayProtocol::Tcp,
            Ok(Some(RequestedTransport { .. }) | None) | Err(_) => RelayProtocol::Udp,
        };
        let granted = Granted {
            account: account.clone(),
            protocol,
            relays,
            permissions: HashMap::new(),
            channels: HashMap::new(),
        };
        self.allocations.insert(tuple, granted);
    }

    fn refreshed(
        &mut self,
        now: Instant,
        tuple: FiveTuple,
        request: &Message<'_>,
        response: &Message<'_>,
    ) {
        let lifetime = lifetime(response);
        let family = request.get::<RequestedAddressFamily>().ok().flatten().map(|family| family.0);
        let granted = self.allocations.get_mut(&tuple).expect("a Refresh of somebody");
        let is_meant =
            |relay: &Relay| family.is_none_or(|family| family == AddressFamily::of(&relay.address));
        if lifetime.is_zero() {
            granted.relays.retain(|relay| !is_meant(relay));
        } else {
            granted.relays.retain(|relay| relay.expires_at > now);
            granted
                .relays
                .iter_mut()
                .filter(|relay| is_meant(relay))
                .for_each(|relay| relay.expires_at = now + lifetime);
        }
        self.prune(now);
    }

    /// Forgets what has expired.
    pub fn prune(&mut self, now: Instant) {
        self.reservations.retain(|reserved| reserved.expires_at > now);
        self.allocations.retain(|_, granted| {
            granted.relays.retain(|relay| relay.expires_at > now);
            let families: Vec<_> =
                granted.relays.iter().map(|relay| AddressFamily::of(&relay.address)).collect();
            let stays = |peer: &IpAddr| families.contains(&AddressFamily::of_ip(peer));
            granted.permissions.retain(|peer, expires_at| *expires_at > now && stays(peer));
            granted.channels.retain(|_, (peer, expires_at)| *expires_at > now && stays(&peer.ip()));
            !granted.relays.is_empty()
        });
    }

    /// Ends the allocation of a 5-tuple.
    pub fn end(&mut self, tuple: &FiveTuple) {
        self.allocations.remove(tuple);
    }

    /// Ends the allocations of the realms that are meant; their reservations stay until they expire.
    pub fn end_realms(&mut self, is_meant: impl Fn(RealmId) -> bool) {
        self.allocations.retain(|_, granted| !is_meant(granted.account.realm));
    }

    /// Ends the allocations of the accounts that are meant; their reservations stay until they
    /// expire.
    pub fn end_accounts(&mut self, is_meant: impl Fn(&Account) -> bool) {
        self.allocations.retain(|_, granted| !is_meant(&granted.account));
    }

    /// From now on these, too, are advertised relay addresses.
    pub fn add_own(&mut self, own: impl Iterator<Item = IpAddr>) {
        self.own.extend(own);
    }

    /// Ends one relayed transport address.
    pub fn end_relay(&mut self, protocol: RelayProtocol, address: SocketAddr, now: Instant) {
        let meant = |granted: &&mut Granted| granted.protocol == protocol;
        for granted in self.allocations.values_mut().filter(meant) {
            granted.relays.retain(|relay| relay.address != address);
        }
        self.prune(now);
    }

    /// Where a Send indication must come out.
    pub fn send(&self, tuple: &FiveTuple, peer: SocketAddr, now: Instant) -> Delivery {
        if peer.port() != 0 && self.is_permitted(tuple, peer.ip(), now) {
            self.outbound(tuple, peer, now)
        } else {
            Delivery::Nowhere
        }
    }

    /// Where ChannelData must come out.
    pub fn channel_data(&self, tuple: &FiveTuple, number: u16, now: Instant) -> Delivery {
        self.peer_of(tuple, number, now)
            .map_or(Delivery::Nowhere, |peer| self.outbound(tuple, peer, now))
    }

    /// Where a datagram for a relayed transport address must come out.
    pub fn inbound(&self, relayed: SocketAddr, peer: SocketAddr, now: Instant) -> Delivery {
        match self.owner(relayed, now) {
            Some(tuple) if self.is_permitted(&tuple, peer.ip(), now) => {
                let framing = self
                    .channel_of(&tuple, peer, now)
                    .map_or(Framing::Indication(peer), Framing::Channel);
                Delivery::Client { tuple, framing }
            }
            Some(_) | None => Delivery::Nowhere,
        }
    }

    fn outbound(&self, tuple: &FiveTuple, peer: SocketAddr, now: Instant) -> Delivery {
        let family = AddressFamily::of(&peer);
        let relayed = self.relayed(tuple, now);
        let Some(from) = relayed.into_iter().find(|from| AddressFamily::of(from) == family) else {
            return Delivery::Nowhere;
        };
        if self.own.contains(&peer.ip()) {
            self.inbound(peer, from, now)
        } else {
            Delivery::Peer { from, to: peer }
        }
    }

    /// Whether a 5-tuple has a live allocation.
    pub fn is_live(&self, tuple: &FiveTuple, now: Instant) -> bool {
        !self.relayed(tuple, now).is_empty()
    }

    /// The live relayed transport addresses of a 5-tuple.
    pub fn relayed(&self, tuple: &FiveTuple, now: Instant) -> Vec<SocketAddr> {
        let relays = self.allocations.get(tuple).map_or(&[][..], |granted| &granted.relays);
        relays.iter().filter(|relay| relay.expires_at > now).map(|relay| relay.address).collect()
    }

    /// Whose a relayed transport address for UDP is.
    pub fn owner(&self, relayed: SocketAddr, now: Instant) -> Option<FiveTuple> {
        let mut tuples = self.allocations_of(RelayProtocol::Udp);
        tuples.find(|tuple| self.relayed(tuple, now).contains(&relayed)).copied()
    }

    fn allocations_of(&self, protocol: RelayProtocol) -> impl Iterator<Item = &FiveTuple> {
        let of = self.allocations.iter().filter(move |(_, granted)| granted.protocol == protocol);
        of.map(|(tuple, _)| tuple)
    }

    /// Whether an address has a live permission.
    pub fn is_permitted(&self, tuple: &FiveTuple, peer: IpAddr, now: Instant) -> bool {
        self.permissions(tuple, now).contains(&peer)
    }

    /// The addresses with a live permission.
    pub fn permissions(&self, tuple: &FiveTuple, now: Instant) -> Vec<IpAddr> {
        let live = |granted: &Granted| {
            let live = granted.permissions.iter().filter(|(_, expires_at)| **expires_at > now);
            live.map(|(peer, _)| *peer).collect()
        };
        self.live(tuple, now).map(live).unwrap_or_default()
    }

    /// The live channels.
    pub fn channels(&self, tuple: &FiveTuple, now: Instant) -> Vec<(u16, SocketAddr)> {
        let live = |granted: &Granted| {
            let live = granted.channels.iter().filter(|(_, (_, expires_at))| *expires_at > now);
            live.map(|(number, (peer, _))| (*number, *peer)).collect()
        };
        self.live(tuple, now).map(live).unwrap_or_default()
    }

    /// The channel of a peer's transport address.
    pub fn channel_of(&self, tuple: &FiveTuple, peer: SocketAddr, now: Instant) -> Option<u16> {
        let channels = self.channels(tuple, now);
        channels.into_iter().find(|(_, bound)| *bound == peer).map(|(number, _)| number)
    }

    /// The peer of a channel.
    pub fn peer_of(&self, tuple: &FiveTuple, number: u16, now: Instant) -> Option<SocketAddr> {
        let channels = self.channels(tuple, now);
        channels.into_iter().find(|(bound, _)| *bound == number).map(|(_, peer)| peer)
    }

    /// Live allocations.
    pub fn allocations(&self, now: Instant) -> usize {
        self.allocations.keys().filter(|tuple| self.is_live(tuple, now)).count()
    }

    /// Live reservations.
    pub fn reservations(&self, now: Instant) -> usize {
        self.reservations.iter().filter(|reserved| reserved.expires_at > now).count()
    }

    /// Allocations and reservations of the accounts that are meant.
    pub fn units_of(&self, is_meant: impl Fn(&Account) -> bool, now: Instant) -> usize {
        let live = self.allocations.iter().filter(|(tuple, _)| self.is_live(tuple, now));
        let reserved = self.reservations.iter().filter(|reserved| reserved.expires_at > now);
        live.filter(|(_, granted)| is_meant(&granted.account)).count()
            + reserved.filter(|reserved| is_meant(&reserved.account)).count()
    }

    /// The reserved address of a token, if this account may claim it.
    pub fn reserved(&self, token: [u8; 8], account: &Account, now: Instant) -> Option<SocketAddr> {
        let is_it = |reserved: &&Reserved| {
            reserved.token == token && reserved.account == *account && reserved.expires_at > now
        };
        self.reservations.iter().find(is_it).map(|reserved| reserved.address)
    }

    /// Every live relayed and reserved address for UDP or for TCP, as advertised.
    pub fn addresses(&self, protocol: RelayProtocol, now: Instant) -> Vec<SocketAddr> {
        let live = self.allocations_of(protocol).flat_map(|tuple| self.relayed(tuple, now));
        let is_live =
            |reserved: &&Reserved| protocol == RelayProtocol::Udp && reserved.expires_at > now;
        let reserved = self.reservations.iter().filter(is_live);
        live.chain(reserved.map(|reserved| reserved.address)).collect()
    }

    fn live(&self, tuple: &FiveTuple, now: Instant) -> Option<&Granted> {
        self.allocations.get(tuple).filter(|_| self.is_live(tuple, now))
    }
}

fn lifetime(response: &Message<'_>) -> Duration {
    let Lifetime(seconds) = response.get().ok().flatten().expect("LIFETIME");
    Duration::from_secs(seconds.into())
}
