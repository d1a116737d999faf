//! A client of real clock: what it refreshes lives for eleven minutes without losing a message,
//! and what nobody refreshes ends when RFC 8656 says (sections 3.2, 9 and 12).
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::thread;
use std::time::{Duration, Instant};

use turn_client::{Client, Error, Origin};
use turn_codec::{ChannelNumber, StatusCode};
use turn_tests::lab::{self, IPV4};
use turn_tests::system::{Echo, Scripted, allocated, channel};

/// Permissions are for addresses: a channel's must not cover the other peer.
const BOUND: SocketAddr = SocketAddr::new(IPV4, 0);
const PERMITTED: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2)), 0);

/// Longer than the lifetimes of a permission, a channel, an allocation and a nonce.
const WHOLE: Duration = Duration::from_secs(660);

/// How often a client refreshes what it holds, as browsers do.
const REFRESH: Duration = Duration::from_secs(240);

/// RFC 8656 section 9: permissions last 300 s.
const PERMISSIONS_OVER: Duration = Duration::from_secs(305);

const TICK: Duration = Duration::from_millis(250);

/// How long a message on this machine may take.
const SOON: Duration = Duration::from_secs(5);

/// The time that silence is listened to.
const SILENCE: Duration = Duration::from_millis(500);

#[test]
fn realtime_client_relays_for_eleven_minutes() {
    let server = Scripted::start(&lab::config_with_user("ann", "secret"));
    let (bound, permitted) = (Echo::on(BOUND), Echo::on(PERMITTED));
    let peers = [bound.address(), permitted.address()];

    let (mut ann, allocation) = allocated(server.address());
    assert_eq!(allocation.lifetime, Duration::from_secs(600));
    refresh_peers(&mut ann, peers);
    // Refreshes its allocation alone.
    let (mut careless, of_careless) = allocated(server.address());
    refresh_peers(&mut careless, peers);
    // Refreshes nothing.
    let (mut forgetful, _) = allocated(server.address());
    let mut careless_is_heard = true;

    let start = Instant::now();
    let mut next_refresh = REFRESH;
    let mut messages = 0_u32;
    while start.elapsed() < WHOLE {
        let message = messages.to_be_bytes();
        ann.send_channel(number(), &message).unwrap();
        assert_eq!(bound.echo(), message);
        expect(&mut ann, Origin::Channel(number()), &message);
        ann.send_to(permitted.address(), &message).unwrap();
        assert_eq!(permitted.echo(), message);
        expect(&mut ann, Origin::Peer(permitted.address()), &message);
        messages += 1;

        if start.elapsed() >= next_refresh {
            next_refresh += REFRESH;
            assert_eq!(ann.refresh(Duration::from_secs(600)).unwrap(), Duration::from_secs(600));
            refresh_peers(&mut ann, peers);
            careless.refresh(Duration::from_secs(600)).unwrap();
        }
        if careless_is_heard && start.elapsed() > PERMISSIONS_OVER {
            careless_is_heard = false;
            for peer in [&bound, &permitted] {
                peer.send(of_careless.relayed, b"too late");
            }
            expect_silence(&mut careless);
        }
        thread::sleep(TICK);
    }
    assert!(!careless_is_heard && messages > 1_000, "only {messages} messages in {WHOLE:?}");

    // Its channel is gone: with a new permission, data comes without a number.
    careless.create_permission(&peers).unwrap();
    bound.send(of_careless.relayed, b"no channel");
    expect(&mut careless, Origin::Peer(bound.address()), b"no channel");
    let error = forgetful.refresh(Duration::from_secs(600)).unwrap_err();
    assert_eq!(error.code(), Some(StatusCode::ALLOCATION_MISMATCH), "{error:?}");

    // The same allocation from the first message to the last.
    ann.refresh(Duration::ZERO).unwrap();
    assert!(ann.stale_nonces() >= 1, "no nonce has aged");
    assert_eq!(server.counter("allocations_created"), 3);
}

/// Channel and permission: everything that a client holds of its peers.
fn refresh_peers(client: &mut Client, [bound, permitted]: [SocketAddr; 2]) {
    client.bind_channel(number(), bound).unwrap();
    client.create_permission(&[permitted]).unwrap();
}

fn number() -> ChannelNumber {
    channel(0)
}

#[track_caller]
fn expect(client: &mut Client, from: Origin, data: &[u8]) {
    let received = client.receive(SOON).unwrap();
    assert_eq!((received.from, received.data.as_slice()), (from, data));
}

#[track_caller]
fn expect_silence(client: &mut Client) {
    let received = client.receive(SILENCE);
    assert!(matches!(received, Err(Error::Timeout)), "{received:?}");
}
