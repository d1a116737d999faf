//! What an error of a socket means for its owner.
//!
//! Two things are kept apart: what one peer, one route or one full queue did,
//! which costs at most one datagram, and a socket that is of no use any more.
//! On Linux an ICMP error can wait on a socket and fail a call that has
//! nothing to do with it; such an error is used up by being seen, hence
//! [`Verdict::Retry`].

use std::io;

/// What the socket does, and which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Receiving from clients.
    ListenerRecv,
    /// Sending to clients.
    ListenerSend,
    /// Receiving from peers.
    RelayRecv,
    /// Sending to peers.
    RelaySend,
}

/// What to do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The call may be made again: it was interrupted, there is nothing to do
    /// yet, or it met an error that someone else had caused.
    Retry,
    /// This datagram is lost; the socket is as good as before.
    DropPacket,
    /// The relay socket is of no use any more.
    CloseAllocation,
    /// The listener must be bound anew, with a back-off.
    RebuildListener,
}

/// Why a message was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} datagrams not sent: {}", self.datagrams, io::Error::from_raw_os_error(self.errno))]
pub struct SendError {
    /// The error number of the system call.
    pub errno: i32,
    /// How many datagrams were lost by it.
    pub datagrams: u32,
}

impl SendError {
    /// What this means for the socket that it happened on.
    pub fn verdict(self, role: Role) -> Verdict {
        judge(role, self.errno)
    }
}

/// What `error` means for a socket in this role.
///
/// An error that is no system error costs its datagram.
pub fn verdict(role: Role, error: &io::Error) -> Verdict {
    error.raw_os_error().map_or(Verdict::DropPacket, |errno| judge(role, errno))
}

/// Whether an ICMP error can have left this on a socket, to fail the next
/// call, whatever that one is about.
pub(crate) fn may_be_pending(errno: i32) -> bool {
    matches!(
        errno,
        libc::ECONNREFUSED
            | libc::EHOSTUNREACH
            | libc::ENETUNREACH
            | libc::EHOSTDOWN
            | libc::ENONET
            | libc::ENOPROTOOPT
            | libc::EOPNOTSUPP
            | libc::EPROTO
    )
}

/// Whether the kernel has no room for the message now.
pub(crate) fn is_full(errno: i32) -> bool {
    matches!(errno, libc::EAGAIN | libc::ENOBUFS | libc::ENOMEM)
}

fn judge(role: Role, errno: i32) -> Verdict {
    let broken = match role {
        Role::ListenerRecv | Role::ListenerSend => Verdict::RebuildListener,
        Role::RelayRecv | Role::RelaySend => Verdict::CloseAllocation,
    };
    match (errno, role) {
        (libc::EINTR, _) => Verdict::Retry,
        // [R11] [R12] The one thing that no later call can mend.
        (libc::EBADF | libc::ENOTSOCK, _) => broken,
        // Nothing to read is no loss.
        (libc::EAGAIN, Role::ListenerRecv | Role::RelayRecv) => Verdict::Retry,
        // [R10]
        (errno, _) if is_full(errno) => Verdict::DropPacket,
        // [R11]
        (errno, _) if may_be_pending(errno) => Verdict::Retry,
        // [R12] A receiving listener meets nothing else that passes by itself;
        // the back-off bounds what a wrong guess costs.
        (
            libc::EMSGSIZE | libc::EACCES | libc::EPERM | libc::EINVAL | libc::EADDRNOTAVAIL,
            Role::ListenerRecv,
        ) => Verdict::Retry,
        (_, Role::ListenerRecv) => Verdict::RebuildListener,
        // [R11] A route, a filter or the destination itself is against it.
        (_, Role::ListenerSend | Role::RelaySend | Role::RelayRecv) => Verdict::DropPacket,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use Verdict::{
        CloseAllocation as Close, DropPacket as Drop, RebuildListener as Rebuild, Retry,
    };

    /// Listener receives, listener sends, relay receives, relay sends.
    const ROLES: [Role; 4] =
        [Role::ListenerRecv, Role::ListenerSend, Role::RelayRecv, Role::RelaySend];

    #[test]
    fn r10_a_full_queue_costs_the_packet_and_nothing_else() {
        expect(libc::EAGAIN, [Retry, Drop, Retry, Drop]);
        expect(libc::ENOBUFS, [Drop, Drop, Drop, Drop]);
        expect(libc::ENOMEM, [Drop, Drop, Drop, Drop]);
        expect(libc::EINTR, [Retry, Retry, Retry, Retry]);
    }

    #[test]
    fn r11_what_a_peer_or_a_route_does_never_closes_an_allocation() {
        for errno in [
            libc::ECONNREFUSED,
            libc::EHOSTUNREACH,
            libc::ENETUNREACH,
            libc::EHOSTDOWN,
            libc::ENONET,
            libc::ENOPROTOOPT,
            libc::EOPNOTSUPP,
            libc::EPROTO,
        ] {
            expect(errno, [Retry, Retry, Retry, Retry]);
        }
        for errno in [libc::EPERM, libc::EACCES, libc::EINVAL, libc::EMSGSIZE, libc::EADDRNOTAVAIL]
        {
            expect(errno, [Retry, Drop, Drop, Drop]);
        }
        expect(libc::EIO, [Rebuild, Drop, Drop, Drop]);
        expect(libc::EFAULT, [Rebuild, Drop, Drop, Drop]);
    }

    #[test]
    fn r12_a_dead_listener_is_rebuilt() {
        expect(libc::EBADF, [Rebuild, Rebuild, Close, Close]);
        expect(libc::ENOTSOCK, [Rebuild, Rebuild, Close, Close]);
        expect(libc::ENETDOWN, [Rebuild, Drop, Drop, Drop]);
        expect(libc::ENODEV, [Rebuild, Drop, Drop, Drop]);
    }

    #[test]
    fn r11_no_error_number_at_all_closes_an_allocation_but_the_two_of_a_dead_descriptor() {
        for errno in (1..=133).filter(|errno| ![libc::EBADF, libc::ENOTSOCK].contains(errno)) {
            for role in ROLES {
                assert_ne!(judge(role, errno), Close, "{errno}");
            }
            assert_ne!(judge(Role::ListenerSend, errno), Rebuild, "{errno}");
        }
    }

    #[test]
    fn an_error_of_no_system_call_costs_its_packet() {
        let error = io::Error::other("not from here");
        assert_eq!(verdict(Role::RelaySend, &error), Drop);
    }

    #[test]
    fn a_send_error_reads_as_a_sentence() {
        let error = SendError { errno: libc::ENOBUFS, datagrams: 2 };
        assert!(error.to_string().starts_with("2 datagrams not sent: No buffer space"));
        assert_eq!(error.verdict(Role::RelaySend), Drop);
    }

    fn expect(errno: i32, verdicts: [Verdict; 4]) {
        let error = io::Error::from_raw_os_error(errno);
        assert_eq!(ROLES.map(|role| verdict(role, &error)), verdicts, "{error}");
    }
}
