//! Clients with DTLS: how many of them, and how fast.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dimpl::{Config, Dtls, DtlsCertificate, Output};
use turn_codec::Method;
use turn_codec::attribute::{Lifetime, RequestedTransport};
use turn_engine::{Limits, Rate, Transport};

use crate::client::{Bytes, is_success, request};
use crate::server::{Server, Setup};

#[test]
fn h15_at_the_cap_the_oldest_session_without_an_allocation_makes_room() {
    let limits = Limits { unauthenticated_connections: Some(2), ..Limits::default() };
    let server = dtls_server(limits);
    let mut allocated = Session::begin(server.address).connected();
    let allocate = request(Method::ALLOCATE, 1, &[&RequestedTransport::UDP, &Lifetime(600)]);
    assert!(is_success(&allocated.ask(&allocate)));
    let mut sessions: Vec<_> = (0..4).map(|_| Session::begin(server.address).connected()).collect();
    server.wait_for("connections_shed", 2);
    let mut ended = sessions.drain(..2);
    assert!(ended.all(|mut session| session.hears_the_end()));
    drop(ended);
    for session in sessions.iter_mut().chain([&mut allocated]) {
        assert!(is_success(&session.ask(&request(Method::BINDING, 2, &[]))));
    }
    assert_eq!((server.count("connections_shed"), server.allocations()), (2, 1));
}

#[test]
fn h14_handshakes_are_held_back_and_the_client_asks_again() {
    let limits =
        Limits { accepts: Some(Rate::new(1, Duration::from_secs(1), 2)), ..Limits::default() };
    let server = dtls_server(limits);
    for _ in 0..3 {
        Session::begin(server.address).connected();
    }
    assert!(server.count("dtls_hellos_held_back") >= 1);
    // Neither takes the other's.
    assert!(server.tcp().binds());
}

#[test]
fn h15_sessions_of_a_source_follow_the_limit_in_force_and_exempt_sources_have_none() {
    let limits = Limits { connections_per_source: Some(1), ..Limits::default() };
    let server = dtls_server(limits);
    let _first = Session::begin(server.address).connected();
    refused(&server, 1);
    let mut settings = server.settings.clone();
    settings.limits.connections_per_source = Some(2);
    server.apply(settings.clone());
    let _second = Session::begin(server.address).connected();
    refused(&server, 2);
    settings.limits.exempt_sources.push(server.address.ip().into());
    server.apply(settings);
    let _more: Vec<_> = (0..3).map(|_| Session::begin(server.address).connected()).collect();
}

/// One more session is not begun.
fn refused(server: &Server, times: u64) {
    let mut session = Session::begin(server.address);
    session.run(|_| server.count("dtls_sessions_refused") >= times);
    assert!(!session.is_connected);
}

fn dtls_server(limits: Limits) -> Server {
    let transports = vec![Transport::Udp, Transport::Dtls, Transport::Tcp];
    Setup { transports, limits, ..Setup::default() }.start()
}

/// A client of the same library on a socket of its own.
pub(crate) struct Session {
    dtls: Dtls,
    socket: UdpSocket,
    messages: Vec<Bytes>,
    is_connected: bool,
    is_closed: bool,
}

impl Session {
    pub(crate) fn begin(server: SocketAddr) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(server).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let made = rcgen::generate_simple_self_signed(["client".to_owned()]).unwrap();
        let own = DtlsCertificate {
            certificate: made.cert.der().to_vec(),
            private_key: made.signing_key.serialize_der(),
        };
        let config = Arc::new(Config::builder().build().unwrap());
        let mut dtls = Dtls::new_12(config, own, Instant::now());
        dtls.set_active(true);
        Self { dtls, socket, messages: Vec::new(), is_connected: false, is_closed: false }
    }

    pub(crate) fn connected(mut self) -> Self {
        self.run(|session| session.is_connected);
        self
    }

    pub(crate) fn ask(&mut self, message: &[u8]) -> Bytes {
        self.dtls.send_application_data(message).unwrap();
        self.run(|session| !session.messages.is_empty());
        self.messages.remove(0)
    }

    pub(crate) fn hears_the_end(&mut self) -> bool {
        self.run(|session| session.is_closed);
        self.is_closed
    }

    fn run(&mut self, is_done: impl Fn(&Self) -> bool) {
        let until = Instant::now() + Duration::from_secs(10);
        let mut buffer = [0; 4_096];
        loop {
            self.turn();
            if is_done(self) {
                return;
            }
            assert!(Instant::now() < until, "nothing comes any more");
            match self.socket.recv(&mut buffer) {
                Ok(len) => self.dtls.handle_packet(&buffer[..len]).unwrap(),
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the enum is the library's, and open")]
    fn turn(&mut self) {
        self.dtls.handle_timeout(Instant::now()).unwrap();
        let mut buffer = vec![0; 4_096];
        loop {
            match self.dtls.poll_output(&mut buffer) {
                Output::Packet(packet) => drop(self.socket.send(packet)),
                Output::Timeout(_) => return,
                Output::Connected => self.is_connected = true,
                Output::ApplicationData(message) => self.messages.push(message.to_vec()),
                Output::CloseNotify => self.is_closed = true,
                _ => {}
            }
        }
    }
}
