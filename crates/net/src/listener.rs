//! Listeners: one reuse-port group for each address, a socket a shard.
//!
//! A wildcard address becomes one socket for each address present at start,
//! plus one wildcard socket with PKTINFO for addresses that come later, so
//! that every reply leaves from where its request arrived and the usual packet
//! pays for no control message `[S14]`.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::thread::sleep;
use std::time::{Duration, Instant};

use turn_engine::{AddressRange, RealmId, Transport};
use turn_udp::{ListenerOptions, UdpSocket};

use crate::stream::{Entrance, Spoken, bind_stream, probe_stream};

/// Where to listen.
#[derive(Debug, Clone)]
pub struct ListenPlan {
    /// Address and port; the address may be unspecified.
    pub address: SocketAddr,
    /// An address that this host does not have is waited for this long.
    pub patience: Duration,
    /// Whether the server can do without: an IPv6 wildcard on a host without
    /// IPv6, when nobody asked for it by name.
    pub optional: bool,
    /// What is spoken there; told apart by first bytes.
    pub transports: Vec<Transport>,
    /// Who connects on behalf of clients and says so with a PROXY header; empty
    /// where clients connect themselves.
    pub proxy_upstreams: Vec<AddressRange>,
    /// The realm of the clients that come here. `None`: TLS clients choose theirs by the
    /// name they ask for (SNI), all others are in the default realm.
    pub realm: Option<RealmId>,
}

/// An address that is listened on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listening {
    /// The address, with a port that the kernel may have chosen.
    pub address: SocketAddr,
    /// What is spoken there.
    pub transports: Vec<Transport>,
}

/// A listener could not be bound.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}")]
pub struct ListenError {
    /// The address that was asked for.
    pub address: SocketAddr,
    /// What the kernel said.
    #[source]
    pub source: io::Error,
}

/// A UDP socket bound for one shard.
#[derive(Debug)]
pub(crate) struct Bound {
    pub(crate) socket: UdpSocket,
    pub(crate) options: ListenerOptions,
    pub(crate) entrance: Entrance,
}

/// The listeners of one shard.
#[derive(Debug, Default)]
pub(crate) struct Group {
    pub(crate) datagrams: Vec<Bound>,
    pub(crate) streams: Vec<(TcpListener, Entrance)>,
}

/// Bytes asked for: a burst while the shard looks elsewhere. The kernel caps
/// it at net.core.rmem_max.
const RECEIVE_BUFFER: usize = 4 << 20;
const SEND_BUFFER: usize = 2 << 20;

/// A port that the kernel chose for UDP may be taken for TCP.
const TRIES_FOR_A_PORT: u32 = 16;

/// Binds every plan for `shards` shards, in shard order. A port of 0 is chosen
/// by the kernel once and then the same for all.
pub(crate) fn bind_all(
    plans: &[ListenPlan],
    shards: usize,
    present: &[IpAddr],
) -> Result<(Vec<Group>, Vec<Listening>), ListenError> {
    let mut groups: Vec<Group> = (0..shards).map(|_| Group::default()).collect();
    let mut listening = Vec::new();
    for plan in plans {
        match bind_at_some_port(plan, &mut groups, present) {
            Ok(addresses) => listening.extend(
                addresses
                    .into_iter()
                    .map(|address| Listening { address, transports: plan.transports.clone() }),
            ),
            Err(error) if plan.optional && is_family_missing(&error) => {}
            Err(source) => return Err(ListenError { address: plan.address, source }),
        }
    }
    Ok((groups, listening))
}

fn bind_at_some_port(
    plan: &ListenPlan,
    groups: &mut [Group],
    present: &[IpAddr],
) -> io::Result<Vec<SocketAddr>> {
    let mut tries = if plan.address.port() == 0 { TRIES_FOR_A_PORT } else { 1 };
    loop {
        let before: Vec<_> =
            groups.iter().map(|group| (group.datagrams.len(), group.streams.len())).collect();
        tries -= 1;
        match bind_plan(plan, groups, present) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && tries > 0 => {
                for (group, (datagrams, streams)) in groups.iter_mut().zip(before) {
                    group.datagrams.truncate(datagrams);
                    group.streams.truncate(streams);
                }
            }
            outcome => return outcome,
        }
    }
}

/// Binds what a plan asks for; gives the addresses.
fn bind_plan(
    plan: &ListenPlan,
    groups: &mut [Group],
    present: &[IpAddr],
) -> io::Result<Vec<SocketAddr>> {
    let speaks = |transport| plan.transports.contains(&transport);
    let over_udp = Spoken { plain: speaks(Transport::Udp), secured: speaks(Transport::Dtls) };
    let over_tcp = Spoken { plain: speaks(Transport::Tcp), secured: speaks(Transport::Tls) };
    let mut address = plan.address;
    let entrance =
        |spoken| Entrance { spoken, upstreams: plan.proxy_upstreams.clone(), realm: plan.realm };
    if over_udp != Spoken::default() {
        let entrance = entrance(over_udp);
        address.set_port(bind_datagrams(address, &entrance, plan.patience, groups, present)?);
    }
    if over_tcp != Spoken::default() {
        address.set_port(bind_streams(address, &entrance(over_tcp), plan.patience, groups)?);
    }
    let mut addresses = vec![address];
    if address.ip().is_unspecified() {
        let same_family = present.iter().filter(|own| own.is_ipv4() == address.is_ipv4());
        addresses.extend(same_family.map(|own| SocketAddr::new(*own, address.port())));
    }
    Ok(addresses)
}

/// UDP sockets for every shard; gives the port.
fn bind_datagrams(
    asked: SocketAddr,
    entrance: &Entrance,
    patience: Duration,
    groups: &mut [Group],
    present: &[IpAddr],
) -> io::Result<u16> {
    if !asked.ip().is_unspecified() {
        return bind_group(asked, ordinary(), entrance, groups, patience);
    }
    // Another process on the port shows here, before the group shares it.
    drop(UdpSocket::listener(asked, &ListenerOptions::default())?);
    let wildcard = ListenerOptions { packet_info: true, gro: false, ..ordinary() };
    let port = bind_group(asked, wildcard, entrance, groups, patience)?;
    for own in present.iter().filter(|own| own.is_ipv4() == asked.is_ipv4()) {
        let address = SocketAddr::new(*own, port);
        match bind_group(address, ordinary(), entrance, groups, Duration::ZERO) {
            // Gone since we looked, or not bindable yet: the wildcard serves it.
            Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => {}
            other => {
                other?;
            }
        }
    }
    Ok(port)
}

/// One UDP socket for each shard; gives the port.
fn bind_group(
    address: SocketAddr,
    options: ListenerOptions,
    entrance: &Entrance,
    groups: &mut [Group],
    patience: Duration,
) -> io::Result<u16> {
    let mut address = address;
    if address.port() != 0 && !address.ip().is_unspecified() {
        let alone = ListenerOptions { reuse_port: false, ..ListenerOptions::default() };
        match wait_for_address(patience, || UdpSocket::listener(address, &alone)) {
            // Our own wildcard socket of the same port is no stranger.
            Err(error)
                if error.kind() == io::ErrorKind::AddrInUse && has_wildcard(groups, address) => {}
            probed => drop(probed?),
        }
    }
    for group in groups {
        let socket = UdpSocket::listener(address, &options)?;
        address.set_port(socket.local_addr().port());
        group.datagrams.push(Bound { socket, options, entrance: entrance.clone() });
    }
    Ok(address.port())
}

/// One TCP socket for each shard, also at a wildcard: an accepted connection
/// knows its own address. Gives the port.
fn bind_streams(
    address: SocketAddr,
    entrance: &Entrance,
    patience: Duration,
    groups: &mut [Group],
) -> io::Result<u16> {
    let mut address = address;
    if address.port() != 0 {
        match wait_for_address(patience, || probe_stream(address)) {
            Err(error)
                if error.kind() == io::ErrorKind::AddrInUse
                    && has_stream_wildcard(groups, address) => {}
            probed => probed?,
        }
    }
    for group in groups {
        let socket = bind_stream(address)?;
        address.set_port(socket.local_addr()?.port());
        group.streams.push((socket, entrance.clone()));
    }
    Ok(address.port())
}

/// Binds, and tries again while the host does not have the address.
fn wait_for_address<T>(patience: Duration, bind: impl Fn() -> io::Result<T>) -> io::Result<T> {
    let started = Instant::now();
    loop {
        match bind() {
            Err(error)
                if error.kind() == io::ErrorKind::AddrNotAvailable
                    && started.elapsed() < patience =>
            {
                sleep(Duration::from_millis(250));
            }
            outcome => return outcome,
        }
    }
}

fn has_wildcard(groups: &[Group], address: SocketAddr) -> bool {
    let bound = groups.iter().flat_map(|group| &group.datagrams);
    bound.map(|bound| bound.socket.local_addr()).any(|local| is_wildcard_of(local, address))
}

fn has_stream_wildcard(groups: &[Group], address: SocketAddr) -> bool {
    let bound = groups.iter().flat_map(|group| &group.streams);
    bound
        .filter_map(|(socket, _)| socket.local_addr().ok())
        .any(|local| is_wildcard_of(local, address))
}

fn is_wildcard_of(local: SocketAddr, address: SocketAddr) -> bool {
    local.ip().is_unspecified()
        && local.port() == address.port()
        && local.is_ipv4() == address.is_ipv4()
}

fn is_family_missing(error: &io::Error) -> bool {
    // EAFNOSUPPORT, and EADDRNOTAVAIL where IPv6 is switched off by sysctl.
    error.raw_os_error() == Some(97) || error.kind() == io::ErrorKind::AddrNotAvailable
}

fn ordinary() -> ListenerOptions {
    ListenerOptions {
        reuse_port: true,
        gro: true,
        packet_info: false,
        receive_buffer: Some(RECEIVE_BUFFER),
        send_buffer: Some(SEND_BUFFER),
    }
}
