//! New settings while clients are served: what they deny ends at once, and
//! nothing else notices.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use turn_codec::attribute::{Data, RequestedTransport, XorPeerAddress};
use turn_codec::{Message, Method};
use turn_engine::{
    Bandwidth, Limits, PeerPolicy, PeerRule, Rate, Realm, RealmLimits, Settings, Transport,
};

use crate::client::{CHANNEL, Client, Datagrams, channel_data, channel_data_on, data_of, error_of};
use crate::dtls::Session;
use crate::server::{OverTls, Setup, certificate, open_realm};

/// What is denied, and what is not.
const DENIED: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const ALLOWED: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);

/// For what must come.
const PATIENCE: Duration = Duration::from_secs(10);

/// Settings that are applied under load.
const APPLIES: usize = 1_000;

/// Clients under load, of three transports.
const PLAYERS: u64 = 12;

#[test]
fn advertised_address_that_was_replaced_twice_still_leads_to_the_relay_that_was_told_it() {
    let server = Setup::default().start();
    let advertise = |last| {
        let mut settings = server.settings.clone();
        settings.relay.addresses[0].advertised = Ipv4Addr::new(127, 0, 0, last).into();
        server.apply(settings);
    };
    let (mut first, mut second) = (server.udp(), server.udp());
    let of_first = first.allocate();
    advertise(9);
    let of_second = second.allocate();
    assert_eq!(of_second.ip(), IpAddr::from([127, 0, 0, 9]));
    // What is applied knows only the latest address: the fleet remembers.
    advertise(10);
    assert_eq!(server.udp().allocate().ip(), IpAddr::from([127, 0, 0, 10]));
    first.bind_channel(of_second);
    second.permit(of_first);
    first.send(&channel_data(b"inside"));
    let indication = second.receive().unwrap();
    let indication = Message::parse(&indication).unwrap();
    assert_eq!(indication.get::<XorPeerAddress>().unwrap().unwrap().0, of_first);
    assert_eq!(indication.get::<Data<'_>>().unwrap().unwrap().0, b"inside");
    assert_eq!(server.count("relayed_inside"), 1);
}

#[test]
fn p7_datagrams_of_a_denied_range_end_with_its_permissions_and_channels() {
    let server = Setup::default().start();
    let [denied, allowed] = [DENIED, ALLOWED].map(echo_socket);
    for mut client in [Any::Datagrams(server.udp()), Any::Tls(Box::new(server.tls()))] {
        let relay = client.allocate();
        client.bind_channel_number(CHANNEL, address(&denied));
        client.bind_channel_number(CHANNEL + 1, address(&allowed));
        for (number, peer) in [(CHANNEL, &denied), (CHANNEL + 1, &allowed)] {
            client.send(&channel_data_on(number, b"ping"));
            assert_eq!(received(peer), b"ping");
            peer.send_to(b"pong", relay).unwrap();
            assert_eq!(data_of(&client.receive()), b"pong");
        }

        let asked = Instant::now();
        server.apply(denying(&server.settings));
        assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
        client.send(&channel_data_on(CHANNEL, b"late"));
        denied.send_to(b"late", relay).unwrap();
        // What follows it has come: so the other would have.
        client.send(&channel_data_on(CHANNEL + 1, b"next"));
        assert_eq!(received(&allowed), b"next");
        allowed.send_to(b"more", relay).unwrap();
        assert_eq!(data_of(&client.receive()), b"more");
        assert!(is_silent(&denied));
        assert_eq!(client.error_of_permission(address(&denied)), Some(403));
        server.apply(server.settings.clone());
    }
}

#[test]
fn p7_connections_to_a_denied_range_end_whether_spliced_or_waiting() {
    let server = Setup { shards: 2, ..Setup::default() }.start();
    let mut control = server.tcp();
    control.allocate_for(RequestedTransport::TCP);
    let [denied, allowed] = [DENIED, ALLOWED].map(|ip| TcpListener::bind((ip, 0)).unwrap());
    let mut splice = |listener: &TcpListener| {
        let connection = control.connect(listener.local_addr().unwrap());
        let mut data = server.tls();
        data.bind_connection(connection);
        (timed(listener.accept().unwrap().0), data)
    };
    let (mut spliced, mut data) = splice(&denied);
    let (mut kept, mut kept_data) = splice(&allowed);
    let other = TcpListener::bind((DENIED, 0)).unwrap();
    control.connect(other.local_addr().unwrap());
    let mut waiting = timed(other.accept().unwrap().0);
    data.send(b"before");
    assert_eq!(exactly(&mut spliced, 6), b"before");

    let asked = Instant::now();
    server.apply(denying(&server.settings));
    assert!(matches!(spliced.read(&mut [0; 1]), Ok(0) | Err(_)));
    assert!(matches!(waiting.read(&mut [0; 1]), Ok(0) | Err(_)));
    assert!(matches!(data.stream.read(&mut [0; 1]), Ok(0) | Err(_)));
    assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());

    kept_data.send(b"after");
    assert_eq!(exactly(&mut kept, 5), b"after");
    kept.write_all(b"back").unwrap();
    assert_eq!(kept_data.read_exactly(4), b"back");
    let refused = control.ask(Method::CONNECT, &[&XorPeerAddress(denied.local_addr().unwrap())]);
    assert_eq!(error_of(&refused), Some(403));
}

#[test]
fn r18_a_thousand_applies_under_load_lose_nothing() {
    let server = Setup { shards: 2, ..Setup::default() }.start();
    let variants = variants(&server.settings);
    let certificates = [certificate().0, certificate().0];
    let (is_over, carried) = (AtomicBool::new(false), AtomicU64::new(0));
    let begun = AtomicU64::new(0);
    let play = |number: u64| {
        let mut client = match number % 3 {
            0 => Any::Tls(Box::new(server.tls())),
            1 => Any::Stream(server.tcp()),
            _ => Any::Datagrams(server.udp()),
        };
        let peer = echo_socket(ALLOWED);
        client.allocate();
        client.bind_channel_number(CHANNEL, address(&peer));
        begun.fetch_add(1, Ordering::Relaxed);
        while !is_over.load(Ordering::Relaxed) {
            carried.fetch_add(rally(&mut client, &peer), Ordering::Relaxed);
        }
        client
    };
    thread::scope(|scope| {
        let over = Over(&is_over);
        let play = &play;
        let players: Vec<_> =
            (0..PLAYERS).map(|number| scope.spawn(move || play(number))).collect();
        let started = Instant::now();
        while begun.load(Ordering::Relaxed) < PLAYERS {
            assert!(started.elapsed() < PATIENCE, "not everybody has a channel");
            thread::sleep(Duration::from_millis(1));
        }
        let before = carried.load(Ordering::Relaxed);
        server.control(async |fleet| {
            for number in 0..APPLIES {
                fleet.apply(variants[number % 2].clone()).await.unwrap();
                fleet.set_tls(&certificates[number % 2]).await.unwrap();
            }
        });
        let during = carried.load(Ordering::Relaxed) - before;
        drop(over);
        let _clients: Vec<_> = players.into_iter().map(|it| it.join().unwrap()).collect();
        assert!(during > 500, "there was no load: {during} packets");
        assert_eq!(server.count("connections_closed"), 0);
        assert_eq!(server.allocations(), PLAYERS);
    });
}

#[test]
fn h15_caps_of_a_reload_bind_those_who_are_there_already() {
    let limits = Limits { unauthenticated_connections: None, ..Limits::default() };
    let transports = vec![Transport::Udp, Transport::Tcp, Transport::Dtls];
    let server = Setup { limits, transports, ..Setup::default() }.start();
    let mut streams: Vec<_> = (0..4).map(|_| server.tcp()).collect();
    assert!(streams.iter_mut().all(Client::binds));
    let mut sessions: Vec<_> = (0..4).map(|_| Session::begin(server.address).connected()).collect();
    let mut settings = server.settings.clone();
    settings.limits.unauthenticated_connections = Some(2);
    server.apply(settings);
    assert!(server.tcp().binds());
    Session::begin(server.address).connected();
    // Of each kind two are left, the new one among them.
    server.wait_for("connections_shed", 6);
    assert!(streams.iter_mut().take(3).all(|client| client.receive().is_none()));
    assert!(sessions.iter_mut().take(3).all(Session::hears_the_end));
    assert!(streams[3].binds());
    assert_eq!(server.count("connections_shed"), 6);
}

#[test]
fn queue_size_of_a_reload_holds_for_connections_that_are_open() {
    let server = Setup::default().start();
    let (peer, mut client) = (echo_socket(ALLOWED), server.tcp());
    let relay = client.allocate();
    client.bind_channel(address(&peer));
    let mut settings = server.settings.clone();
    settings.limits.queue_per_connection = 0;
    server.apply(settings);
    peer.send_to(b"lost", relay).unwrap();
    server.wait_for("stream_frames_dropped", 1);
    server.apply(server.settings.clone());
    peer.send_to(b"sent", relay).unwrap();
    assert_eq!(data_of(&client.receive().unwrap()), b"sent");
}

/// The same settings, without the first peer.
fn denying(settings: &Settings) -> Settings {
    let mut denying = settings.clone();
    let range = IpAddr::from(DENIED).into();
    denying.realms[0].peers.deny.push(PeerRule { range, ports: None });
    denying
}

/// Two sets of settings that differ in everything that a reload may change and that
/// does not concern the load.
fn variants(settings: &Settings) -> [Settings; 2] {
    let [mut one, mut two] = [settings.clone(), denying(settings)];
    one.limits = Limits { bandwidth: Some(FAST), connections_per_source: None, ..one.limits };
    two.limits = Limits { accepts: Some(Rate::per_second(50, 50)), ..two.limits };
    let limits = RealmLimits {
        bandwidth_per_allocation: Some(FAST),
        bandwidth_per_user: Some(FAST),
        bandwidth_per_realm: Some(FAST),
        ..RealmLimits::default()
    };
    let peers = PeerPolicy { loopback: true, ..PeerPolicy::default() };
    two.realms[0] = Realm { limits, server_names: Vec::new(), ..two.realms[0].clone() };
    one.realms.push(Realm { peers, ..open_realm("b.example") });
    two.realms.push(Realm::removed("b.example"));
    [one, two]
}

/// More than the load.
const FAST: Bandwidth = Bandwidth { bytes_per_second: 1 << 30 };

/// Ends the load, also where an assertion fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Sends a few packets to the peer, has them sent back, and gives how many that were.
/// Every one must arrive.
fn rally(client: &mut Any, peer: &UdpSocket) -> u64 {
    const PACKETS: u64 = 8;
    for number in 0..PACKETS {
        client.send(&channel_data(&number.to_be_bytes()));
    }
    let mut buffer = [0; 64];
    for number in 0..PACKETS {
        let (count, relay) = peer.recv_from(&mut buffer).expect("what a client sent arrives");
        assert_eq!(buffer[..count], number.to_be_bytes());
        peer.send_to(&buffer[..count], relay).unwrap();
    }
    for number in 0..PACKETS {
        assert_eq!(data_of(&client.receive()), number.to_be_bytes());
    }
    2 * PACKETS
}

/// A client of any transport.
enum Any {
    Datagrams(Client<Datagrams>),
    Stream(Client),
    Tls(Box<Client<OverTls>>),
}

impl Any {
    fn allocate(&mut self) -> SocketAddr {
        match self {
            Self::Datagrams(client) => client.allocate(),
            Self::Stream(client) => client.allocate(),
            Self::Tls(client) => client.allocate(),
        }
    }

    fn bind_channel_number(&mut self, number: u16, peer: SocketAddr) {
        match self {
            Self::Datagrams(client) => client.bind_channel_number(number, peer),
            Self::Stream(client) => client.bind_channel_number(number, peer),
            Self::Tls(client) => client.bind_channel_number(number, peer),
        }
    }

    fn send(&mut self, bytes: &[u8]) {
        match self {
            Self::Datagrams(client) => client.send(bytes),
            Self::Stream(client) => client.send(bytes),
            Self::Tls(client) => client.send(bytes),
        }
    }

    fn receive(&mut self) -> Vec<u8> {
        let frame = match self {
            Self::Datagrams(client) => client.receive(),
            Self::Stream(client) => client.receive(),
            Self::Tls(client) => client.receive(),
        };
        frame.expect("what a peer sent arrives")
    }

    fn error_of_permission(&mut self, peer: SocketAddr) -> Option<u16> {
        let (method, peer) = (Method::CREATE_PERMISSION, XorPeerAddress(peer));
        error_of(&match self {
            Self::Datagrams(client) => client.ask(method, &[&peer]),
            Self::Stream(client) => client.ask(method, &[&peer]),
            Self::Tls(client) => client.ask(method, &[&peer]),
        })
    }
}

fn echo_socket(ip: Ipv4Addr) -> UdpSocket {
    let socket = UdpSocket::bind((ip, 0)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

fn address(socket: &UdpSocket) -> SocketAddr {
    socket.local_addr().unwrap()
}

fn received(socket: &UdpSocket) -> Vec<u8> {
    let mut buffer = [0; 64];
    let count = socket.recv(&mut buffer).expect("a datagram");
    buffer[..count].to_vec()
}

/// Whether nothing has come, and nothing comes for a moment.
fn is_silent(socket: &UdpSocket) -> bool {
    socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let silence = socket.recv(&mut [0; 64]);
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    silence.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

fn timed(stream: TcpStream) -> TcpStream {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn exactly(stream: &mut TcpStream, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}
