//! Errors that peers and routes cause, for real.
#![expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]

mod common;

use std::{
    net::SocketAddr, os::fd::AsRawFd, process::Command, ptr, rc::Rc, thread, time::Duration,
};

use common::{drain, numbered, payloads, plain, send};
use turn_udp::{
    Destination, Epoll, Ready, RecvBatch, RelayOptions, Role, SendBatch, UdpSocket, Verdict,
    verdict,
};

#[test]
fn r11_refused_messages_among_good_ones_cost_nobody_else() {
    let (relay, peer) = (relay(), plain());
    let good = Destination::to(peer.local_addr());
    let no_port = Destination::to(([127, 0, 0, 1], 0).into());
    // Without SO_BROADCAST the kernel says EACCES.
    let broadcast = Destination::to(([127, 255, 255, 255], 9).into());
    // A socket on 127.0.0.1 has no route to the world; nothing leaves.
    let world = Destination::to(([192, 0, 2, 1], 9).into());
    let datagrams = [
        (&relay, good, numbered(1, 10)),
        (&relay, no_port, numbered(2, 10)),
        (&relay, good, numbered(3, 10)),
        (&relay, broadcast, numbered(4, 10)),
        (&relay, good, numbered(5, 65_507)),
        (&relay, good, numbered(6, 65_508)),
        (&relay, world, numbered(7, 10)),
        (&relay, world, numbered(7, 10)),
        (&relay, good, numbered(8, 10)),
    ];
    let (flushed, errors) = send(datagrams);
    assert_eq!((flushed.datagrams, flushed.dropped), (4, 5));
    let errnos: Vec<_> = errors.iter().map(|error| error.errno).collect();
    let expected = [libc::EINVAL, libc::EACCES, libc::EMSGSIZE, libc::EINVAL, libc::EINVAL];
    assert_eq!(errnos, expected);
    for error in errors {
        assert_eq!(error.verdict(Role::RelaySend), Verdict::DropPacket);
    }
    let expected = [(1, 10), (3, 10), (5, 65_507), (8, 10)].map(|(n, size)| numbered(n, size));
    assert_eq!(payloads(&peer), expected);
    assert!(relay.gso(), "no train was at fault");
}

#[test]
fn r11_a_thousand_refusals_cost_the_healthy_peer_nothing() {
    refuse_a_thousand(&relay());
}

#[test]
fn r11_a_thousand_refusals_that_the_socket_hears_of_cost_the_healthy_peer_nothing() {
    let relay = relay();
    hear_icmp_errors(&relay);
    refuse_a_thousand(&relay);
}

#[test]
fn r11_a_refusal_met_when_receiving_is_used_up_by_it() {
    let (relay, peer) = (relay(), plain());
    hear_icmp_errors(&relay);
    let (set, mut ready) = (Epoll::new().unwrap(), Ready::new());
    set.add(&*relay, 1).unwrap();
    send([(&relay, Destination::to(closed_port()), vec![1])]);
    send([(&peer, Destination::to(relay.local_addr()), vec![2])]);
    assert_eq!(set.wait(&mut ready, Some(Duration::ZERO)).unwrap(), [1]);
    let error = RecvBatch::new(4).fill(&relay, 4).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ECONNREFUSED));
    assert_eq!(verdict(Role::RelayRecv, &error), Verdict::Retry);
    assert_eq!(payloads(&relay), [vec![2]]);
}

#[test]
fn r10_a_full_send_buffer_drops_and_recovers() {
    // The smallest buffer and large datagrams, which nobody takes yet.
    let options = RelayOptions { send_buffer: Some(1), ..RelayOptions::default() };
    let relay = Rc::new(UdpSocket::relay("127.0.0.1:0".parse().unwrap(), &options).unwrap());
    let peer = plain();
    let to = Destination::to(peer.local_addr());
    let (flushed, errors) = send([1, 2].map(|number| (&relay, to, numbered(number, 60_000))));
    assert_eq!(flushed.datagrams + flushed.dropped, 2);
    assert!(errors.iter().all(|e| e.verdict(Role::RelaySend) == Verdict::DropPacket));
    drain(&peer);
    let (flushed, _) = send([(&relay, to, vec![3])]);
    assert_eq!((flushed.datagrams, payloads(&peer)), (1, vec![vec![3]]));
}

#[test]
fn df_comes_and_goes_between_the_messages_of_a_flush() {
    let (relay, peer) = (relay(), plain());
    let soft = Destination::to(peer.local_addr());
    let rigid = Destination { dont_fragment: true, ..soft };
    let all = [soft, rigid, rigid, soft, rigid];
    let (flushed, errors) = send(all.map(|to| (&relay, to, vec![1; 1000])));
    assert_eq!((flushed.datagrams, flushed.dropped, errors.len()), (5, 0, 0));
    assert_eq!((flushed.syscalls, flushed.segmented), (4, 2));
    assert_eq!(payloads(&peer).len(), 5);
}

#[test]
fn r26_what_an_interface_does_not_carry_is_fragmented_unless_df_forbids_it() {
    let in_small_world = thread::spawn(|| {
        enter_network_with_mtu(1400);
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let options = RelayOptions::default();
            let relay = Rc::new(UdpSocket::relay(address.parse().unwrap(), &options).unwrap());
            let peer = common::bound(address, &common::with_gro());
            let soft = Destination::to(peer.local_addr());
            let rigid = Destination { dont_fragment: true, ..soft };
            // A train of these needs fragments, so it leaves one by one.
            let (flushed, _) = send([1, 2].map(|number| (&relay, soft, numbered(number, 1500))));
            assert_eq!((flushed.datagrams, flushed.dropped, flushed.segmented), (2, 0, 0));
            assert_eq!(payloads(&peer), [1, 2].map(|number| numbered(number, 1500)));
            assert!(relay.gso(), "no fault of trains");
            let sizes = [1300, 1300, 1500, 1500, 100];
            let (flushed, errors) = send(sizes.map(|size| (&relay, rigid, numbered(3, size))));
            assert_eq!((flushed.datagrams, flushed.dropped, flushed.segmented), (3, 2, 2));
            assert!(errors.iter().all(|error| error.errno == libc::EMSGSIZE), "{errors:?}");
            assert_eq!(payloads(&peer), [1300, 1300, 100].map(|size| numbered(3, size)));
        }
    });
    in_small_world.join().unwrap();
}

/// Moves this thread to a network namespace of its own, with nothing but a
/// loopback interface.
fn enter_network_with_mtu(mtu: u32) {
    // SAFETY: the call takes flags only and touches no memory.
    let made = unsafe { libc::unshare(libc::CLONE_NEWNET) };
    assert_eq!(made, 0, "a network namespace takes root: sudo -E cargo xtask test");
    let mut command = Command::new("ip");
    command.args(["link", "set", "lo", "mtu", &mtu.to_string(), "up"]);
    let status =
        command.status().unwrap_or_else(|error| panic!("{error}; run: apt-get install iproute2"));
    assert!(status.success(), "{command:?}");
}

fn refuse_a_thousand(relay: &Rc<UdpSocket>) {
    let peer = plain();
    let (refusing, healthy) = (Destination::to(closed_port()), Destination::to(peer.local_addr()));
    let (mut received, mut batch) = (RecvBatch::new(1), SendBatch::new());
    let mut arrived = Vec::new();
    for number in 0..1000_u16 {
        batch.push_bytes(relay, refusing, b"refused");
        batch.push_bytes(relay, healthy, &number.to_be_bytes());
        // Sometimes several wait in one call, sometimes one a call.
        if number % 3 > 0 {
            batch.flush(&mut received, |_, to, error| assert_ne!(*to, healthy, "{error}"));
            arrived.append(&mut payloads(&peer));
        }
    }
    batch.flush(&mut received, |_, to, error| assert_ne!(*to, healthy, "{error}"));
    arrived.append(&mut payloads(&peer));
    assert!(arrived.into_iter().eq((0..1000_u16).map(|n| n.to_be_bytes().to_vec())));
}

/// A port that was bound a moment ago and is not any more.
fn closed_port() -> SocketAddr {
    plain().local_addr()
}

fn relay() -> Rc<UdpSocket> {
    let local = "127.0.0.1:0".parse().unwrap();
    Rc::new(UdpSocket::relay(local, &RelayOptions::default()).unwrap())
}

/// `IP_RECVERR`: ICMP errors fail the next call on the socket.
fn hear_icmp_errors(socket: &UdpSocket) {
    let on = 1_i32;
    let size = libc::socklen_t::try_from(size_of::<i32>()).unwrap();
    // SAFETY: `on` is readable for `size` bytes for the length of the call.
    let outcome = unsafe {
        let value = ptr::from_ref(&on).cast();
        libc::setsockopt(socket.as_raw_fd(), libc::IPPROTO_IP, libc::IP_RECVERR, value, size)
    };
    assert_eq!(outcome, 0);
}
