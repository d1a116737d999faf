//! What a socket is made with, and the socket options that socket2 has not.

use std::{
    io,
    net::SocketAddr,
    os::fd::{AsRawFd, BorrowedFd},
};

/// Options of a socket that clients send to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListenerOptions {
    /// Joins a group of sockets at the same address (`SO_REUSEPORT`), one for
    /// each shard.
    pub reuse_port: bool,
    /// Takes trains of datagrams as one where the kernel can (`UDP_GRO`).
    pub gro: bool,
    /// Says which local address a datagram came to (`IP_PKTINFO`); a control
    /// message for each datagram, so for wildcard sockets only.
    pub packet_info: bool,
    /// Bytes of receive buffer to ask for (`SO_RCVBUF`).
    pub receive_buffer: Option<usize>,
    /// Bytes of send buffer to ask for (`SO_SNDBUF`).
    pub send_buffer: Option<usize>,
}

/// Options of a relayed transport address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RelayOptions {
    /// Takes trains of datagrams as one where the kernel can (`UDP_GRO`).
    pub gro: bool,
    /// The differentiated services code point of what is sent, 0 to 63.
    pub dscp: u8,
    /// Bytes of receive buffer to ask for (`SO_RCVBUF`).
    pub receive_buffer: Option<usize>,
    /// Bytes of send buffer to ask for (`SO_SNDBUF`).
    pub send_buffer: Option<usize>,
}

/// Sets whether routers may fragment (RFC 8656 section 12, DONT-FRAGMENT).
pub(crate) fn set_dont_fragment(fd: BorrowedFd<'_>, local: SocketAddr, on: bool) -> io::Result<()> {
    // PROBE sets DF and leaves discovery to the application: what does not
    // fit the interface is refused, what an ICMP error says is not remembered.
    match (local, on) {
        (SocketAddr::V4(_), true) => {
            set_int(fd, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_PROBE)
        }
        (SocketAddr::V4(_), false) => {
            set_int(fd, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_DONT)
        }
        (SocketAddr::V6(_), true) => {
            set_int(fd, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_PROBE)
        }
        (SocketAddr::V6(_), false) => {
            set_int(fd, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_DONT)
        }
    }
}

/// Asks for the destination address of each datagram.
pub(crate) fn set_packet_info(fd: BorrowedFd<'_>, local: SocketAddr) -> io::Result<()> {
    match local {
        SocketAddr::V4(_) => set_int(fd, libc::IPPROTO_IP, libc::IP_PKTINFO, 1),
        SocketAddr::V6(_) => set_int(fd, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1),
    }
}

/// Asks for trains of datagrams.
pub(crate) fn set_gro(fd: BorrowedFd<'_>) -> io::Result<()> {
    set_int(fd, libc::SOL_UDP, libc::UDP_GRO, 1)
}

/// Sets a socket option that is an int.
pub(crate) fn set_int(fd: BorrowedFd<'_>, level: i32, name: i32, value: i32) -> io::Result<()> {
    #[expect(clippy::cast_possible_truncation, reason = "the size of an int is 4")]
    let size = size_of::<i32>() as libc::socklen_t;
    // SAFETY: `value` is readable for `size` bytes for the length of the call.
    match unsafe { libc::setsockopt(fd.as_raw_fd(), level, name, (&raw const value).cast(), size) }
    {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
