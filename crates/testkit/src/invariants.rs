//! What must hold after every step, whatever was sent.

use std::collections::HashSet;
use std::net::SocketAddr;

use turn_codec::attribute::ErrorCode;
use turn_codec::{AttributeType, Class, Message};
use turn_engine::{FiveTuple, PortCount, RealmId, RelayAddress, RelayProtocol, ShardId, TenantId};

use crate::emitted::{Attempt, Data, Event, Framing};
use crate::kernel::Bound;
use crate::reference::Account;
use crate::simulation::{Cause, Simulation};

/// Judges one datagram that leaves: toward a peer only with a live permission or a
/// live channel bound to it, toward a client only with a live permission, and on the
/// channel of the peer where there is one.
pub(crate) fn judge(simulation: &Simulation, cause: Cause, event: &Event) {
    match event {
        Event::ToPeer { from, to, .. } => judge_egress(simulation, cause, *from, *to),
        Event::ToClient { tuple, bytes } => {
            if let Some(data) = Data::read(bytes) {
                judge_ingress(simulation, cause, tuple, &data);
            }
            if let Some(Attempt { peer, .. }) = Attempt::read(bytes) {
                let now = simulation.clock.now().mono;
                let is_permitted = simulation.reference.is_permitted(tuple, peer.ip(), now);
                assert!(is_permitted, "{peer} has no permission of {tuple:?}");
            }
        }
    }
}

fn judge_egress(simulation: &Simulation, cause: Cause, from: SocketAddr, to: SocketAddr) {
    let now = simulation.clock.now().mono;
    let setup = &simulation.setup;
    let mut relayed = setup.advertised_forms(from).into_iter();
    let owner = relayed.find_map(|relayed| simulation.reference.owner(relayed, now));
    let owner = owner.unwrap_or_else(|| panic!("{from} is no live relayed transport address"));
    assert!(
        matches!(cause, Cause::Client(tuple) if tuple == owner),
        "only its client sends from {from}"
    );
    // An own service is named by its advertised address and reached at its bound one.
    let may = setup.advertised_forms(to).into_iter().chain([to]).any(|peer| {
        simulation.reference.is_permitted(&owner, peer.ip(), now)
            || simulation.reference.channel_of(&owner, peer, now).is_some()
    });
    assert!(may, "{owner:?} has no live permission or channel for {to}");
    let is_relay = |relay: &RelayAddress| {
        [relay.bound, relay.advertised].contains(&to.ip()) || relay.former.contains(&to.ip())
    };
    let is_own = setup.settings.relay.addresses.iter().any(is_relay);
    let mut rules = setup.settings.realms.iter().flat_map(|realm| &realm.peers.allow);
    let is_opened = rules.any(|rule| rule.ports.is_some());
    assert!(!is_own || is_opened, "{to} is an own address, which no relay socket sends to");
}

fn judge_ingress(simulation: &Simulation, cause: Cause, tuple: &FiveTuple, data: &Data) {
    let now = simulation.clock.now().mono;
    let reference = &simulation.reference;
    let peer = match data.framing {
        Framing::Indication(peer) => {
            assert_eq!(
                reference.channel_of(tuple, peer, now),
                None,
                "data of a bound peer goes by its channel"
            );
            peer
        }
        Framing::Channel(number) => {
            let peer = reference.peer_of(tuple, number, now);
            peer.unwrap_or_else(|| panic!("channel {number:#x} is not bound at {tuple:?}"))
        }
    };
    assert!(reference.is_permitted(tuple, peer.ip(), now), "{peer} has no permission of {tuple:?}");
    // From one allocation to another: the sender needs its own grant.
    if let Cause::Client(sender) = cause {
        assert_eq!(
            reference.owner(peer, now),
            Some(sender),
            "data without a socket in between comes from its sender's relayed address"
        );
        let relayed = reference.relayed(tuple, now);
        let may = relayed.into_iter().any(|to| {
            reference.is_permitted(&sender, to.ip(), now)
                || reference.channel_of(&sender, to, now).is_some()
        });
        assert!(may, "{sender:?} has no permission or channel for {tuple:?}");
    }
}

/// Judges one reply: only requests are answered; those who have not authenticated get
/// 400, 401, 438 or 500, and everybody else a signed message.
pub(crate) fn judge_reply(request: &Message<'_>, reply: &Message<'_>, is_anonymous: bool) {
    assert_eq!(request.class(), Class::Request, "only requests are answered");
    assert_eq!(
        reply.has_fingerprint(),
        request.has_fingerprint(),
        "FINGERPRINT is there where the request had it"
    );
    let code = code(reply);
    let is_signed = reply.has_integrity() || reply.has_integrity_sha256();
    let is_challenge = matches!(code, 401 | 438);
    let challenge = [AttributeType::REALM, AttributeType::NONCE];
    if is_challenge {
        assert!(challenge.into_iter().all(|kind| reply.has(kind)), "{code} names realm and nonce");
        assert!(!is_signed, "{code} is not signed");
    } else {
        assert!(!challenge.into_iter().any(|kind| reply.has(kind)), "{code} is no challenge");
        // 500: nobody knows yet whose key would sign it.
        let is_bare = matches!(code, 400 | 500);
        assert!(is_signed || is_bare || is_anonymous, "{code} is signed");
    }
    assert!(!reply.has(AttributeType::USERNAME), "no response names the user");
}

/// The code of a reply; 200 is success.
pub(crate) fn code(reply: &Message<'_>) -> u16 {
    match reply.class() {
        Class::Success => 200,
        Class::Error => {
            let error = reply.get::<ErrorCode<'_>>().expect("well-formed ERROR-CODE");
            error.expect("ERROR-CODE").code.get()
        }
        other @ (Class::Request | Class::Indication) => panic!("a reply of class {other:?}"),
    }
}

/// Judges the state of all engines, the ports and the sockets.
pub(crate) fn check(simulation: &mut Simulation) {
    if simulation.is_holding {
        return;
    }
    let now = simulation.clock.now().mono;
    let addresses = simulation.setup.settings.relay.addresses.clone();
    let process = simulation.process();
    let shared = std::sync::Arc::clone(&process.shared);
    let allocations: usize = process.engines.iter().map(|engine| engine.allocations()).sum();
    let relays: usize = process.engines.iter().map(|engine| engine.relays()).sum();

    let connections: usize = process.engines.iter().map(|engine| engine.peer_connections()).sum();
    assert_eq!(connections, simulation.kernel.connections.len(), "connections with peers");
    for connection in simulation.kernel.connections.values() {
        let socket = simulation.kernel.socket_at((RelayProtocol::Tcp, connection.relayed));
        assert!(socket.is_some(), "{connection:?} belongs to a relay socket");
    }

    let second = shared.second(now);
    let (mut live, mut held) = (0, 0);
    let maps = |(at, address): (usize, &RelayAddress)| {
        let udp = shared.ports(at).expect("a port map for each relay address");
        let tcp = shared.tcp_ports(at).expect("a port map for each relay address");
        let bound = address.bound;
        [(bound, RelayProtocol::Udp, udp), (bound, RelayProtocol::Tcp, tcp)]
    };
    for (address, protocol, ports) in addresses.iter().enumerate().flat_map(maps) {
        let PortCount { free, quarantined, held: reserved, live: published } = ports.count(second);
        assert_eq!(free + quarantined + reserved + published, ports.len());
        assert_eq!(ports.taken(), reserved + published, "taken ports are held or live");
        let is_here = |bound: &Bound| bound.0 == protocol && bound.1.ip() == address;
        let sockets = simulation.kernel.sockets().filter(|(bound, ..)| is_here(bound));
        let mut count = 0;
        for ((_, bound), shard, relay) in sockets {
            count += 1;
            if let Some(owner) = ports.live(bound.port()) {
                assert_eq!(owner, (shard, relay), "{bound} is published where its socket is");
            }
        }
        assert_eq!(count, reserved + published, "a port in use has a socket at {address:?}");
        live += published;
        held += reserved;
    }
    assert_eq!(relays, live + held, "each relay has a socket and a port");
    assert_eq!(
        shared.allocations() as usize,
        allocations + held,
        "quota units are live allocations and reservations"
    );
    if simulation.is_unswept {
        return;
    }
    let reference = &simulation.reference;
    assert_eq!(allocations, reference.allocations(now), "live allocations");
    assert_eq!(held, reference.reservations(now), "reservations");
    for (realm, id) in simulation.setup.settings.realms.iter().zip((0..).map(RealmId)) {
        let units = |tenant: Option<TenantId>| {
            let is_meant = |account: &Account| {
                account.realm == id && tenant.is_none_or(|_| account.tenant == tenant)
            };
            reference.units_of(is_meant, now)
        };
        assert_eq!(shared.allocations_of_realm(id) as usize, units(None), "units of {id:?}");
        for tenant in (0..).map(TenantId).take(realm.tenants.len()) {
            let counted = shared.allocations_of_tenant(id, tenant) as usize;
            assert_eq!(counted, units(Some(tenant)), "units of {tenant:?} of {id:?}");
        }
    }
    let bound = |address: SocketAddr| {
        SocketAddr::new(simulation.setup.bound_form(address.ip()), address.port())
    };
    for protocol in [RelayProtocol::Udp, RelayProtocol::Tcp] {
        let expected: HashSet<SocketAddr> =
            reference.addresses(protocol, now).into_iter().map(bound).collect();
        let open = simulation.kernel.sockets().filter(|((its, _), ..)| *its == protocol);
        let open: HashSet<_> = open.map(|((_, bound), ..)| bound).collect();
        assert_eq!(open, expected, "the open sockets are the live and the reserved addresses");
    }
}

/// Judges a server that everybody has left long ago.
pub(crate) fn nothing_is_left(simulation: &mut Simulation) {
    check(simulation);
    let now = simulation.clock.now().mono;
    let addresses = simulation.setup.settings.relay.addresses.len();
    let process = simulation.process();
    for (engine, shard) in process.engines.iter().zip(0..) {
        let state = (engine.allocations(), engine.relays(), engine.peer_connections());
        assert_eq!(state, (0, 0, 0), "at {:?}", ShardId(shard));
        assert_eq!(engine.waiting_for_keys(), 0, "at {:?}", ShardId(shard));
        assert_eq!(engine.next_deadline(), None, "at {:?}", ShardId(shard));
    }
    assert_eq!(process.shared.allocations(), 0, "quota units");
    let shared = &process.shared;
    for ports in (0..addresses).flat_map(|at| [shared.ports(at), shared.tcp_ports(at)]).flatten() {
        let count = ports.count(process.shared.second(now));
        assert_eq!(count, PortCount { free: ports.len(), ..PortCount::default() });
    }
    assert_eq!(simulation.kernel.sockets().count(), 0, "sockets");
}
