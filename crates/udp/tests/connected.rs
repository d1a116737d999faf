//! A relay socket and the one beside it, which is connected to a peer.
#![expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]

mod common;

use std::{net::SocketAddr, os::fd::AsRawFd, ptr, rc::Rc};

use common::{drain, numbered, payloads, plain, send};
use turn_udp::{Destination, RecvBatch, RelayOptions, Role, UdpSocket, Verdict, verdict};

#[test]
fn each_gets_what_is_its_own_and_sends_to_everyone() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let (relay, connected) = pair(address);
        let [peer, other] = [(); 2].map(|()| relay_at(address));
        connected.connect(peer.local_addr()).unwrap();
        assert_eq!((connected.peer(), relay.peer()), (Some(peer.local_addr()), None));
        let here = Destination::to(relay.local_addr());
        send([(&peer, here, vec![1]), (&other, here, vec![2]), (&peer, here, vec![3])]);
        let from_peer = [1, 3].map(|byte| (peer.local_addr(), vec![byte]));
        assert_eq!(drain(&connected), from_peer);
        assert_eq!(drain(&relay), [(other.local_addr(), vec![2])]);
        for via in [&relay, &connected] {
            for to in [&peer, &other] {
                send([(via, Destination::to(to.local_addr()), vec![4])]);
                assert_eq!(drain(to), [(relay.local_addr(), vec![4])]);
            }
        }
    }
}

#[test]
fn the_peer_can_change() {
    let (relay, connected) = pair("127.0.0.1:0");
    let [first, second] = [plain(), plain()];
    let here = Destination::to(relay.local_addr());
    for (peer, other) in [(&first, &second), (&second, &first)] {
        connected.connect(peer.local_addr()).unwrap();
        send([(peer, here, vec![1]), (other, here, vec![2])]);
        assert_eq!((payloads(&connected), payloads(&relay)), (vec![vec![1]], vec![vec![2]]));
        send([(&connected, Destination::to(peer.local_addr()), vec![3])]);
        assert_eq!(payloads(peer), [[3]]);
    }
}

#[test]
fn without_the_connected_one_the_other_gets_everything_again() {
    let (relay, connected) = pair("127.0.0.1:0");
    let peer = plain();
    connected.connect(peer.local_addr()).unwrap();
    drop(connected);
    send([(&peer, Destination::to(relay.local_addr()), vec![1])]);
    assert_eq!(payloads(&relay), [[1]]);
}

#[test]
fn trains_and_df_leave_from_it_as_from_any_other() {
    let (_relay, connected) = pair("127.0.0.1:0");
    let peer = plain();
    connected.connect(peer.local_addr()).unwrap();
    let soft = Destination::to(peer.local_addr());
    let rigid = Destination { dont_fragment: true, ..soft };
    let all = [soft, soft, rigid, rigid, rigid];
    let (flushed, errors) = send(all.map(|to| (&connected, to, numbered(1, 1000))));
    assert_eq!((flushed.datagrams, flushed.segmented, errors.len()), (5, 5, 0));
    assert_eq!(payloads(&peer), vec![numbered(1, 1000); 5]);
}

#[test]
fn r11_a_peer_that_refused_a_thousand_times_gets_the_next_message_and_others_lose_none() {
    let (_relay, connected) = pair("127.0.0.1:0");
    let (peer, other) = (plain(), plain());
    let (refusing, healthy) = (peer.local_addr(), Destination::to(other.local_addr()));
    drop(peer);
    connected.connect(refusing).unwrap();
    for number in 0..1000 {
        // Nobody is there, and the socket hears of it.
        send([(&connected, Destination::to(refusing), vec![1])]);
        let (flushed, _) = send([(&connected, healthy, numbered(number, 2))]);
        assert_eq!((flushed.datagrams, payloads(&other)), (1, vec![numbered(number, 2)]));
    }
    send([(&connected, Destination::to(refusing), vec![1])]);
    let back = relay_at(&refusing.to_string());
    let (flushed, errors) = send([(&connected, Destination::to(refusing), vec![2])]);
    assert_eq!((flushed.datagrams, errors.len()), (1, 0));
    assert_eq!(payloads(&back), [[2]]);
}

#[test]
fn r11_a_refusal_met_when_receiving_is_used_up_by_it() {
    let (relay, connected) = pair("127.0.0.1:0");
    let gone = plain().local_addr();
    connected.connect(gone).unwrap();
    send([(&connected, Destination::to(gone), vec![1])]);
    let error = RecvBatch::new(4).fill(&connected, 4).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ECONNREFUSED));
    assert_eq!(verdict(Role::RelayRecv, &error), Verdict::Retry);
    let back = relay_at(&gone.to_string());
    send([(&back, Destination::to(relay.local_addr()), vec![2])]);
    assert_eq!(payloads(&connected), [[2]]);
}

#[test]
fn one_that_the_kernel_has_disconnected_names_its_peer() {
    let (_relay, connected) = pair("127.0.0.1:0");
    let peer = plain();
    connected.connect(peer.local_addr()).unwrap();
    disconnect(&connected);
    let to = Destination::to(peer.local_addr());
    let (flushed, errors) = send([(&connected, to, vec![1]), (&connected, to, vec![2, 2])]);
    assert_eq!((flushed.datagrams, errors.len(), connected.peer()), (2, 0, None));
    assert_eq!(payloads(&peer), [vec![1], vec![2, 2]]);
    send([(&connected, to, vec![3])]);
    assert_eq!(payloads(&peer), [[3]]);
    connected.connect(peer.local_addr()).unwrap();
    send([(&connected, to, vec![4])]);
    assert_eq!((connected.peer(), payloads(&peer)), (Some(peer.local_addr()), vec![vec![4]]));
}

#[test]
fn a_peer_without_a_way_is_none() {
    let (_relay, connected) = pair("127.0.0.1:0");
    connected.connect("255.255.255.255:9".parse().unwrap()).unwrap_err();
    assert_eq!(connected.peer(), None);
}

/// A relay socket and one beside it.
fn pair(address: &str) -> (Rc<UdpSocket>, Rc<UdpSocket>) {
    let relay = relay_at(address);
    let beside = Rc::new(relay.beside(&RelayOptions::default()).unwrap());
    (relay, beside)
}

fn relay_at(address: &str) -> Rc<UdpSocket> {
    let address: SocketAddr = address.parse().unwrap();
    Rc::new(UdpSocket::relay(address, &RelayOptions::default()).unwrap())
}

/// What an operator's `ss --kill` does to it.
fn disconnect(socket: &UdpSocket) {
    // SAFETY: a sockaddr is integers, for which all zeroes is a value: AF_UNSPEC.
    let nobody: libc::sockaddr = unsafe { std::mem::zeroed() };
    let size = libc::socklen_t::try_from(size_of_val(&nobody)).unwrap();
    // SAFETY: `nobody` is readable for `size` bytes for the length of the call.
    let outcome = unsafe { libc::connect(socket.as_raw_fd(), ptr::from_ref(&nobody), size) };
    assert_eq!(outcome, 0);
}
