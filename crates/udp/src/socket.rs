//! A UDP socket: of a listener or of a relayed transport address.
//!
//! It owns its descriptor, never blocks, and remembers what it has learned
//! about itself: its address, whether DF is set, whether trains can leave.

use std::{
    cell::Cell,
    io,
    net::SocketAddr,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd},
};

use socket2::{Domain, Protocol, Socket, Type};

use crate::{
    options::{self, ListenerOptions, RelayOptions},
    probe::capabilities,
};

/// A bound, non-blocking UDP socket of one address family.
///
/// It can move to another thread (also as a descriptor, see
/// [`Self::into_owned_fd`]); it is not shared between threads.
#[derive(Debug)]
pub struct UdpSocket {
    fd: OwnedFd,
    local: SocketAddr,
    /// The one address it is connected to.
    peer: Cell<Option<SocketAddr>>,
    /// Whether runs may leave as trains; off once the path has refused one.
    gso: Cell<bool>,
    /// The DF setting, once something was sent: the kernel's own default would set DF and learn path
    /// MTUs, which a relay must not do unless the client asked for it.
    dont_fragment: Cell<Option<bool>>,
    /// Where the current `SendBatch` keeps its messages for this socket. Only
    /// a hint, checked before use.
    group: Cell<usize>,
}

impl UdpSocket {
    /// Binds a socket that clients send to.
    ///
    /// # Errors
    /// What `socket`, `setsockopt` or `bind` says: among others `AddrInUse`,
    /// `AddrNotAvailable`, `PermissionDenied` for a privileged port.
    pub fn listener(address: SocketAddr, o: &ListenerOptions) -> io::Result<Self> {
        let socket = open(address, o.gro, o.receive_buffer, o.send_buffer)?;
        if o.reuse_port {
            socket.set_reuse_port(true)?;
        }
        if o.packet_info {
            options::set_packet_info(socket.as_fd(), address)?;
        }
        bind(socket, address)
    }

    /// Binds a relayed transport address.
    ///
    /// No option lets another socket share the port.
    ///
    /// # Errors
    /// As for [`Self::listener`].
    pub fn relay(address: SocketAddr, o: &RelayOptions) -> io::Result<Self> {
        bind(open_relay(address, o)?, address)
    }

    /// Binds a second socket to a relayed transport address, to be connected
    /// to one peer ([`Self::connect`]). Until then each of the two may get
    /// what comes in.
    ///
    /// While it binds, but not before and not after, another socket of the
    /// same user (`SO_REUSEPORT`) could share the port.
    ///
    /// # Errors
    /// As for [`Self::listener`]; `InvalidInput` for a socket on a
    /// wildcard, which would get an address by being connected.
    pub fn beside(&self, o: &RelayOptions) -> io::Result<Self> {
        if self.local.ip().is_unspecified() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let first = socket2::SockRef::from(&self.fd);
        let second = open_relay(self.local, o)?;
        second.set_reuse_port(true)?;
        first.set_reuse_port(true)?;
        let bound = bind(second, self.local);
        first.set_reuse_port(false)?;
        let second = bound?;
        socket2::SockRef::from(&second.fd).set_reuse_port(false)?;
        second.gso.set(self.gso.get());
        Ok(second)
    }

    /// Connects to a peer, or to another one than before: all that comes from
    /// there to the address of this socket comes to it, before any other at
    /// the same address, and what is sent there leaves without a look at the
    /// routing table. Other destinations can still be sent to.
    ///
    /// From now on ICMP errors about the peer fail calls on this socket, as
    /// [`crate::Verdict::Retry`] has it.
    ///
    /// # Errors
    /// What `connect` says, for example that there is no route.
    pub fn connect(&self, peer: SocketAddr) -> io::Result<()> {
        self.peer.set(None);
        socket2::SockRef::from(&self.fd).connect(&peer.into())?;
        self.peer.set(Some(peer));
        Ok(())
    }

    /// Takes a bound, non-blocking UDP socket back from its descriptor.
    ///
    /// # Errors
    /// What `getsockname` says, for example that this is no IP socket.
    pub fn from_owned_fd(fd: OwnedFd) -> io::Result<Self> {
        let name = socket2::SockRef::from(&fd).local_addr()?;
        let local = name.as_socket().ok_or(io::ErrorKind::InvalidInput)?;
        Ok(Self::bound(fd, local))
    }

    fn bound(fd: OwnedFd, local: SocketAddr) -> Self {
        Self {
            fd,
            local,
            peer: Cell::new(None),
            gso: Cell::new(capabilities().gso),
            dont_fragment: Cell::new(None),
            group: Cell::new(0),
        }
    }

    /// Gives the descriptor away, still bound.
    pub fn into_owned_fd(self) -> OwnedFd {
        self.fd
    }

    /// The address this socket is bound to.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// The address this socket is connected to, if the kernel has not undone
    /// that (as `ss --kill` does).
    #[inline]
    pub fn peer(&self) -> Option<SocketAddr> {
        self.peer.get()
    }

    #[inline]
    pub(crate) fn is_connected_to(&self, address: &SocketAddr) -> bool {
        self.peer.get().is_some_and(|peer| peer == *address)
    }

    /// The kernel has no peer for this socket any more.
    pub(crate) fn forget_peer(&self) {
        self.peer.set(None);
    }

    /// Sets DF on what leaves from now on (and on IPv6 refuses to fragment),
    /// or lets it be fragmented. Costs a system call only when it changes
    /// something.
    ///
    /// # Errors
    /// What `setsockopt` says.
    pub fn set_dont_fragment(&self, on: bool) -> io::Result<()> {
        if self.dont_fragment.get() == Some(on) {
            return Ok(());
        }
        options::set_dont_fragment(self.as_fd(), self.local, on)?;
        self.dont_fragment.set(Some(on));
        Ok(())
    }

    /// Whether runs of datagrams leave this socket as trains.
    pub fn gso(&self) -> bool {
        self.gso.get()
    }

    /// The bytes of receive buffer that the kernel granted, which may be less
    /// than was asked for (`net.core.rmem_max`).
    ///
    /// # Errors
    /// What `getsockopt` says.
    pub fn receive_buffer(&self) -> io::Result<usize> {
        socket2::SockRef::from(&self.fd).recv_buffer_size()
    }

    pub(crate) fn stop_gso(&self) {
        self.gso.set(false);
    }

    pub(crate) fn group(&self) -> usize {
        self.group.get()
    }

    pub(crate) fn set_group(&self, group: usize) {
        self.group.set(group);
    }
}

impl AsFd for UdpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for UdpSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

/// What both kinds of socket have in common.
fn open(
    address: SocketAddr,
    gro: bool,
    receive_buffer: Option<usize>,
    send_buffer: Option<usize>,
) -> io::Result<Socket> {
    let domain = Domain::for_address(address);
    // Close-on-exec comes with `new`.
    let socket = Socket::new(domain, Type::DGRAM.nonblocking(), Some(Protocol::UDP))?;
    if address.is_ipv6() {
        // One family a socket, so that no address has two spellings.
        socket.set_only_v6(true)?;
    }
    if gro && capabilities().gro {
        options::set_gro(socket.as_fd())?;
    }
    if let Some(bytes) = receive_buffer {
        socket.set_recv_buffer_size(bytes)?;
    }
    if let Some(bytes) = send_buffer {
        socket.set_send_buffer_size(bytes)?;
    }
    Ok(socket)
}

fn open_relay(address: SocketAddr, o: &RelayOptions) -> io::Result<Socket> {
    let socket = open(address, o.gro, o.receive_buffer, o.send_buffer)?;
    if o.dscp != 0 {
        let octet = u32::from(o.dscp) << 2;
        match address {
            SocketAddr::V4(_) => socket.set_tos_v4(octet)?,
            SocketAddr::V6(_) => socket.set_tclass_v6(octet)?,
        }
    }
    Ok(socket)
}

fn bind(socket: Socket, address: SocketAddr) -> io::Result<UdpSocket> {
    socket.bind(&address.into())?;
    match address.port() {
        // Only the kernel knows which port it chose.
        0 => UdpSocket::from_owned_fd(socket.into()),
        _ => Ok(UdpSocket::bound(socket.into(), address)),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]

    use std::{ptr, thread};

    use super::*;

    #[test]
    fn a_listener_shares_its_port_with_its_group_only() {
        let alone = ListenerOptions::default();
        let grouped = ListenerOptions { reuse_port: true, ..alone };
        let first = UdpSocket::listener(localhost(), &grouped).unwrap();
        let second = UdpSocket::listener(first.local_addr(), &grouped).unwrap();
        assert_eq!(first.local_addr(), second.local_addr());
        let third = UdpSocket::listener(first.local_addr(), &alone);
        assert_eq!(third.unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn a_relay_never_shares_its_port() {
        let relay = UdpSocket::relay(localhost(), &RelayOptions::default()).unwrap();
        let grouped = ListenerOptions { reuse_port: true, ..ListenerOptions::default() };
        assert!(UdpSocket::listener(relay.local_addr(), &grouped).is_err());
        assert!(UdpSocket::relay(relay.local_addr(), &RelayOptions::default()).is_err());
    }

    #[test]
    fn a_relay_shares_its_port_with_the_one_beside_it_only() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let options = RelayOptions::default();
            let relay = UdpSocket::relay(address.parse().unwrap(), &options).unwrap();
            drop(relay.beside(&options).unwrap());
            let beside = relay.beside(&options).unwrap();
            assert_eq!(beside.local_addr(), relay.local_addr());
            let grouped = ListenerOptions { reuse_port: true, ..ListenerOptions::default() };
            assert!(UdpSocket::listener(relay.local_addr(), &grouped).is_err());
            assert!(UdpSocket::relay(relay.local_addr(), &options).is_err());
            drop(relay);
            assert!(UdpSocket::listener(beside.local_addr(), &grouped).is_err());
        }
        let wildcard = UdpSocket::relay("0.0.0.0:0".parse().unwrap(), &RelayOptions::default());
        let error = wildcard.unwrap().beside(&RelayOptions::default()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn an_ipv6_socket_leaves_the_ipv4_port_alone() {
        let options = RelayOptions::default();
        let six = UdpSocket::relay("[::]:0".parse().unwrap(), &options).unwrap();
        let port = six.local_addr().port();
        UdpSocket::relay(SocketAddr::new("0.0.0.0".parse().unwrap(), port), &options).unwrap();
    }

    #[test]
    fn df_follows_set_dont_fragment() {
        let options = RelayOptions::default();
        let four = UdpSocket::relay(localhost(), &options).unwrap();
        let six = UdpSocket::relay("[::1]:0".parse().unwrap(), &options).unwrap();
        let discovery = [
            (&four, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER),
            (&six, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER),
        ];
        for (socket, level, name) in discovery {
            socket.set_dont_fragment(false).unwrap();
            assert_eq!(read_int(socket, level, name), libc::IP_PMTUDISC_DONT);
            socket.set_dont_fragment(true).unwrap();
            assert_eq!(read_int(socket, level, name), libc::IP_PMTUDISC_PROBE);
            socket.set_dont_fragment(false).unwrap();
            assert_eq!(read_int(socket, level, name), libc::IP_PMTUDISC_DONT);
        }
    }

    #[test]
    fn dscp_is_the_upper_six_bits() {
        let options = RelayOptions { dscp: 46, ..RelayOptions::default() };
        let four = UdpSocket::relay(localhost(), &options).unwrap();
        let six = UdpSocket::relay("[::1]:0".parse().unwrap(), &options).unwrap();
        assert_eq!(read_int(&four, libc::IPPROTO_IP, libc::IP_TOS), 0xb8);
        assert_eq!(read_int(&six, libc::IPPROTO_IPV6, libc::IPV6_TCLASS), 0xb8);
    }

    #[test]
    fn a_bound_socket_moves_between_threads() {
        let relay = UdpSocket::relay(localhost(), &RelayOptions::default()).unwrap();
        let address = relay.local_addr();
        let fd = relay.into_owned_fd();
        let moved = thread::spawn(move || UdpSocket::from_owned_fd(fd).unwrap());
        assert_eq!(moved.join().unwrap().local_addr(), address);
    }

    #[test]
    fn a_granted_buffer_is_known() {
        let options = RelayOptions { receive_buffer: Some(65536), ..RelayOptions::default() };
        let relay = UdpSocket::relay(localhost(), &options).unwrap();
        assert!(relay.receive_buffer().unwrap() >= 65536);
    }

    fn localhost() -> SocketAddr {
        "127.0.0.1:0".parse().unwrap()
    }

    fn read_int(socket: &UdpSocket, level: i32, name: i32) -> i32 {
        let mut value = 0_i32;
        let mut size = libc::socklen_t::try_from(size_of::<i32>()).unwrap();
        // SAFETY: `value` has room for `size` bytes, and both are writable for
        // the length of the call.
        let outcome = unsafe {
            let into = ptr::from_mut(&mut value).cast();
            libc::getsockopt(socket.as_raw_fd(), level, name, into, &raw mut size)
        };
        assert_eq!(outcome, 0);
        value
    }
}
