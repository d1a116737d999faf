//! What the kernel and the sandbox around this process allow, asked once.
//!
//! A feature that is missing here is not used; one that fails later on is
//! given up where it failed ([`crate::SendBatch`], [`crate::RecvBatch`]).

use std::{io, net::Ipv4Addr, os::fd::AsFd, ptr, sync::OnceLock};

use crate::options;

/// The optional features of the UDP stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Sending a train of datagrams as one message (`UDP_SEGMENT`, Linux 4.18).
    pub gso: bool,
    /// Receiving a train of datagrams as one message (`UDP_GRO`, Linux 5.0).
    pub gro: bool,
    /// Several messages a receiving call.
    pub recvmmsg: bool,
    /// Several messages a sending call.
    pub sendmmsg: bool,
}

/// What this process may use; found out at the first call.
pub fn capabilities() -> Capabilities {
    static PROBED: OnceLock<Capabilities> = OnceLock::new();
    *PROBED.get_or_init(probe)
}

fn probe() -> Capabilities {
    let socket = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0));
    let takes = |name| {
        let socket = socket.as_ref().ok()?;
        options::set_int(socket.as_fd(), libc::SOL_UDP, name, 1).ok()
    };
    Capabilities {
        gso: takes(libc::UDP_SEGMENT).is_some(),
        gro: takes(libc::UDP_GRO).is_some(),
        recvmmsg: recvmmsg_exists(),
        sendmmsg: sendmmsg_exists(),
    }
}

fn recvmmsg_exists() -> bool {
    // SAFETY: -1 is no descriptor and the vector has no elements, so the
    // kernel follows neither pointer.
    let outcome = unsafe { libc::recvmmsg(-1, ptr::null_mut(), 0, 0, ptr::null_mut()) };
    outcome >= 0 || last_error_is_about_the_descriptor()
}

fn sendmmsg_exists() -> bool {
    // SAFETY: as in `recvmmsg_exists`.
    let outcome = unsafe { libc::sendmmsg(-1, ptr::null_mut(), 0, 0) };
    outcome >= 0 || last_error_is_about_the_descriptor()
}

/// A call that looks at its descriptor has passed every filter.
fn last_error_is_about_the_descriptor() -> bool {
    io::Error::last_os_error().raw_os_error() == Some(libc::EBADF)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_of_this_decade_has_everything() {
        let expected = Capabilities { gso: true, gro: true, recvmmsg: true, sendmmsg: true };
        assert_eq!(capabilities(), expected);
    }
}
