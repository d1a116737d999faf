//! A second socket at the address of a first one, for sending only.
//!
//! Whoever waits for a socket is told of each datagram that has left it, since
//! room has become free: an epoll set takes two locks for that and finds that
//! nobody had asked. Nobody waits for a sender. It is connected to its own
//! address, from which nothing comes, so that whatever arrives is still the
//! first socket's.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    os::fd::AsFd,
    sync::OnceLock,
};

use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::socket::UdpSocket;

/// Opens a sender for each of these sockets, where that can be: not at an
/// unspecified address, and not where the kernel says no.
///
/// All sockets that are bound to the same port at the same or the unspecified
/// address must be among them. What comes to a sender between its being bound
/// and connected, some microseconds, is in its queue.
pub fn open_senders(sockets: &[&UdpSocket]) -> Vec<Option<UdpSocket>> {
    static WORK: OnceLock<bool> = OnceLock::new();
    if *WORK.get_or_init(|| try_out().is_ok_and(|works| works)) {
        open_all(sockets)
    } else {
        sockets.iter().map(|_| None).collect()
    }
}

fn open_all(sockets: &[&UdpSocket]) -> Vec<Option<UdpSocket>> {
    // Another socket can be bound beside them for as long as this takes, by
    // whoever asks for that too.
    let share = |on| sockets.iter().all(|it| SockRef::from(*it).set_reuse_address(on).is_ok());
    let senders: Vec<_> = if share(true) {
        sockets.iter().map(|socket| open(socket).ok()).collect()
    } else {
        sockets.iter().map(|_| None).collect()
    };
    share(false);
    let close = |sender: &UdpSocket| SockRef::from(sender).set_reuse_address(false).is_ok();
    senders.into_iter().map(|sender| sender.filter(close)).collect()
}

fn open(first: &UdpSocket) -> io::Result<UdpSocket> {
    let address = first.local_addr();
    if address.ip().is_unspecified() {
        return Err(io::ErrorKind::Unsupported.into());
    }
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::DGRAM.nonblocking(), Some(Protocol::UDP))?;
    let options = SockRef::from(first);
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
        socket.set_tclass_v6(options.tclass_v6()?)?;
    } else {
        socket.set_tos_v4(options.tos_v4()?)?;
    }
    // The kernel doubles what it is asked for.
    socket.set_send_buffer_size(options.send_buffer_size()? / 2)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.connect(&address.into())?;
    let sender = UdpSocket::bound(socket.into(), address);
    sender.set_dont_fragment(false)?;
    Ok(sender)
}

/// Whether a sender works as it should here: what is sent to its address
/// arrives at the first socket, and what it sends comes from that address.
fn try_out() -> io::Result<bool> {
    let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let bind = || {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM.nonblocking(), Some(Protocol::UDP))?;
        socket.bind(&socket2::SockAddr::from(local))?;
        UdpSocket::from_owned_fd(socket.into())
    };
    let (first, other) = (bind()?, bind()?);
    let sender = open_all(&[&first]).pop().flatten().ok_or(io::ErrorKind::Unsupported)?;
    let send = |from: &UdpSocket, to: &UdpSocket| {
        SockRef::from(&from.as_fd()).send_to(b"x", &to.local_addr().into())
    };
    let comes_from = |socket: &UdpSocket| {
        let mut byte = [std::mem::MaybeUninit::uninit()];
        let (_, from) = SockRef::from(&socket.as_fd()).recv_from(&mut byte).ok()?;
        from.as_socket()
    };
    send(&other, &first)?;
    send(&sender, &other)?;
    Ok(comes_from(&sender).is_none()
        && comes_from(&first) == Some(other.local_addr())
        && comes_from(&other) == Some(first.local_addr()))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]

    use std::time::{Duration, Instant};

    use super::*;
    use crate::{
        datagram::Datagram,
        options::{ListenerOptions, RelayOptions},
        recv::RecvBatch,
    };

    #[test]
    fn senders_work_here() {
        assert!(try_out().unwrap());
    }

    #[test]
    fn what_arrives_is_the_first_sockets_and_what_leaves_has_its_address() {
        for local in ["127.0.0.1:0", "[::1]:0"] {
            let local: SocketAddr = local.parse().unwrap();
            let first = UdpSocket::relay(local, &RelayOptions::default()).unwrap();
            let sender = open_senders(&[&first]).pop().flatten().unwrap();
            assert_eq!(sender.local_addr(), first.local_addr());
            let peers = [(); 4].map(|()| std::net::UdpSocket::bind(local).unwrap());
            for peer in &peers {
                peer.send_to(b"in", first.local_addr()).unwrap();
                let peer_address = peer.local_addr().unwrap();
                SockRef::from(&sender.as_fd()).send_to(b"out", &peer_address.into()).unwrap();
                peer.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
                let mut bytes = [0; 8];
                assert_eq!(peer.recv_from(&mut bytes).unwrap(), (3, first.local_addr()));
            }
            let mut received = RecvBatch::new(8);
            let mut count = 0;
            let until = Instant::now() + Duration::from_secs(5);
            while count < peers.len() && Instant::now() < until {
                let filled = received.fill(&first, 8).unwrap();
                let is_in = |it: &Datagram<'_>| it.bytes == b"in";
                count += received.datagrams(filled.slots).filter(is_in).count();
                received.clear();
            }
            assert_eq!(count, peers.len());
            assert!(received.fill(&sender, 8).unwrap().slots.is_empty());
        }
    }

    #[test]
    fn options_are_those_of_the_first_socket() {
        let options = RelayOptions { dscp: 46, ..RelayOptions::default() };
        for local in ["127.0.0.1:0", "[::1]:0"] {
            let first = UdpSocket::relay(local.parse().unwrap(), &options).unwrap();
            let sender = open_senders(&[&first]).pop().flatten().unwrap();
            let both = [&first, &sender].map(SockRef::from);
            let octets = both.each_ref().map(|it| {
                if local.starts_with('[') { it.tclass_v6() } else { it.tos_v4() }.unwrap()
            });
            assert_eq!(octets, [0xb8, 0xb8]);
            let [buffer, same] = both.map(|it| it.send_buffer_size().unwrap());
            assert_eq!(buffer, same);
        }
    }

    #[test]
    fn nobody_else_can_join_afterwards() {
        let local = "127.0.0.1:0".parse().unwrap();
        let first = UdpSocket::relay(local, &RelayOptions::default()).unwrap();
        let _sender = open_senders(&[&first]).pop().flatten().unwrap();
        let stranger = Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
        stranger.set_reuse_address(true).unwrap();
        stranger.set_reuse_port(true).unwrap();
        let joined = stranger.bind(&first.local_addr().into());
        assert_eq!(joined.unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }

    /// The sender must change nothing about which socket of a group a client reaches.
    #[test]
    fn a_group_keeps_its_order() {
        let grouped = ListenerOptions { reuse_port: true, ..ListenerOptions::default() };
        let first = UdpSocket::listener("127.0.0.1:0".parse().unwrap(), &grouped).unwrap();
        let second = UdpSocket::listener(first.local_addr(), &grouped).unwrap();
        let group = [&first, &second];
        let clients: Vec<_> =
            (0..32).map(|_| std::net::UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
        let mut received = RecvBatch::new(64);
        let mut reached = || {
            for client in &clients {
                client.send_to(b"x", first.local_addr()).unwrap();
            }
            group.map(|socket| {
                let filled = received.fill(socket, 64).unwrap();
                let mut from: Vec<_> =
                    received.datagrams(filled.slots).map(|datagram| datagram.from).collect();
                received.clear();
                from.sort();
                from
            })
        };
        let before = reached();
        let senders = open_senders(&group);
        assert!(senders.iter().all(Option::is_some));
        assert_eq!(reached(), before);
        assert_eq!(before.iter().map(Vec::len).sum::<usize>(), clients.len());
    }

    #[test]
    fn a_wildcard_has_none_and_stays_as_it_was() {
        let wildcard =
            UdpSocket::listener("0.0.0.0:0".parse().unwrap(), &ListenerOptions::default()).unwrap();
        assert!(open_senders(&[&wildcard]).pop().flatten().is_none());
        assert!(!SockRef::from(&wildcard).reuse_address().unwrap());
    }
}
