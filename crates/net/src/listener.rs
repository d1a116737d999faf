//! Listeners: one reuse-port group for each address, a socket a shard.
//!
//! A wildcard address becomes one socket for each address present at start,
//! plus one wildcard socket with PKTINFO for addresses that come later, so
//! that every reply leaves from where its request arrived and the usual packet
//! pays for no control message `[S14]`.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::thread::sleep;
use std::time::{Duration, Instant};

use turn_udp::{ListenerOptions, UdpSocket};

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

/// A socket bound for one shard.
#[derive(Debug)]
pub(crate) struct Bound {
    pub(crate) socket: UdpSocket,
    pub(crate) options: ListenerOptions,
}

/// Bytes asked for: a burst while the shard looks elsewhere. The kernel caps
/// it at net.core.rmem_max.
const RECEIVE_BUFFER: usize = 4 << 20;
const SEND_BUFFER: usize = 2 << 20;

/// Binds every plan for `shards` shards, in shard order. A port of 0 is chosen
/// by the kernel once and then the same for all.
pub(crate) fn bind_all(
    plans: &[ListenPlan],
    shards: usize,
    present: &[IpAddr],
) -> Result<Vec<Vec<Bound>>, ListenError> {
    let mut groups: Vec<Vec<Bound>> = (0..shards).map(|_| Vec::new()).collect();
    for plan in plans {
        match bind_plan(plan, &mut groups, present) {
            Ok(()) => {}
            Err(error) if plan.optional && is_family_missing(&error) => {}
            Err(source) => return Err(ListenError { address: plan.address, source }),
        }
    }
    Ok(groups)
}

fn bind_plan(plan: &ListenPlan, groups: &mut [Vec<Bound>], present: &[IpAddr]) -> io::Result<()> {
    let asked = plan.address;
    if !asked.ip().is_unspecified() {
        return bind_group(asked, ordinary(), groups, plan.patience).map(|_| ());
    }
    // Another process on the port shows here, before the group shares it.
    drop(UdpSocket::listener(asked, &ListenerOptions::default())?);
    let wildcard = ListenerOptions { packet_info: true, gro: false, ..ordinary() };
    let port = bind_group(asked, wildcard, groups, plan.patience)?;
    for address in present.iter().filter(|address| address.is_ipv4() == asked.is_ipv4()) {
        match bind_group(SocketAddr::new(*address, port), ordinary(), groups, Duration::ZERO) {
            // Gone since we looked, or not bindable yet: the wildcard serves it.
            Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => {}
            other => {
                other?;
            }
        }
    }
    Ok(())
}

/// One socket for each shard; gives the port.
fn bind_group(
    address: SocketAddr,
    options: ListenerOptions,
    groups: &mut [Vec<Bound>],
    patience: Duration,
) -> io::Result<u16> {
    let started = Instant::now();
    let mut address = address;
    if address.port() != 0 && !address.ip().is_unspecified() {
        let alone = ListenerOptions { reuse_port: false, ..ListenerOptions::default() };
        loop {
            match UdpSocket::listener(address, &alone) {
                Err(error)
                    if error.kind() == io::ErrorKind::AddrNotAvailable
                        && started.elapsed() < patience =>
                {
                    sleep(Duration::from_millis(250));
                }
                // Our own wildcard socket of the same port is no stranger.
                Err(error)
                    if error.kind() == io::ErrorKind::AddrInUse
                        && has_wildcard(groups, address) =>
                {
                    break;
                }
                other => {
                    drop(other?);
                    break;
                }
            }
        }
    }
    for group in groups {
        let socket = UdpSocket::listener(address, &options)?;
        address.set_port(socket.local_addr().port());
        group.push(Bound { socket, options });
    }
    Ok(address.port())
}

fn has_wildcard(groups: &[Vec<Bound>], address: SocketAddr) -> bool {
    groups.iter().flatten().any(|bound| {
        let local = bound.socket.local_addr();
        local.ip().is_unspecified()
            && local.port() == address.port()
            && local.is_ipv4() == address.is_ipv4()
    })
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
