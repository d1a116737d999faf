//! Port 443 shared with a web server: Debian's nginx with the configuration of docs/443-only.md in
//! front of our server, and what PROXY headers of strangers are worth.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::time::Duration;

use turn_client::{AllocateOptions, Client, Origin, Wire};
use turn_codec::Message;
use turn_codec::attribute::XorMappedAddress;
use turn_tests::foreign::{Nginx, SClient, free_port};
use turn_tests::lab::{IPV4, IPV6};
use turn_tests::system::{EchoThread, Site, Terms, binding_request, channel, user};

const SOON: Duration = Duration::from_secs(5);

/// The web server beside us.
const WEB: &str = "www.example.org";

/// Only what comes from here may tell who the client is.
const UPSTREAM: &str = "proxy_protocol = [\"127.0.0.1\"]";

/// Transports in a header of version 2.
const STREAM: u8 = 1;
const DATAGRAM: u8 = 2;

/// The time that silence is listened to.
const SILENCE: Duration = Duration::from_millis(500);

/// Clients that are not the upstream.
const STRANGER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 9));

#[test]
fn nginx_configuration_of_the_guide_relays_and_tells_who_the_client_is() {
    let site = Site::start(&behind_nginx());
    let web = SocketAddr::new(IPV4, free_port(IPV4));
    let fronts = [IPV4, IPV6].map(|ip| SocketAddr::new(ip, free_port(ip)));
    let configuration = of_the_guide(&site, web, fronts);
    let nginx = Nginx::start(&configuration, fronts[0]);

    // The client is where nginx is not.
    for (front, local) in [(fronts[0], STRANGER), (fronts[1], IPV6)] {
        let local = SocketAddr::new(local, 0);
        let client = Client::connect_tls(local, front, &site.tls_options(), user());
        let mut client = client.unwrap_or_else(|error| panic!("{error}: {}", nginx.output()));
        let seen = client.binding().unwrap();
        assert_eq!(seen, client.local_addr().unwrap());
        let peer = EchoThread::start();
        client.allocate(&AllocateOptions::default()).unwrap();
        client.bind_channel(channel(0), peer.address()).unwrap();
        for message in 0..100_u32 {
            client.send_channel(channel(0), &message.to_be_bytes()).unwrap();
            let echo = client.receive(SOON).unwrap();
            assert_eq!(echo.from, Origin::Channel(channel(0)));
            assert_eq!(echo.data, message.to_be_bytes());
        }
    }
    // Every other name is the web server's.
    let authority = site.directory().join("authority.pem");
    let report = SClient::tls(fronts[0]).trusting(&authority).name(WEB).run(SOON);
    assert_eq!(report.subject.as_deref(), Some(WEB), "{report:#?}");
    assert!(report.verified && report.reflexive.is_none(), "{report:#?}");
}

#[test]
fn h31_a_proxy_header_that_is_no_upstreams_is_refused() {
    let terms = Terms { transports: &["tcp", "tls"], ..behind_nginx() };
    let site = Site::start(&terms);
    let request = binding_request(1);
    let header = b"PROXY TCP4 198.51.100.1 127.0.0.1 1234 443\r\n";
    // The upstream is believed.
    let mut upstream = connect(IPV4, site.address());
    upstream.write_all(&[header.as_slice(), &request].concat()).unwrap();
    let seen = reflexive(&mut upstream, &request);
    assert_eq!(seen, Some("198.51.100.1:1234".parse().unwrap()));
    // Nobody else is, with a header or without; nor is the upstream without one.
    let too_long = [b"PROXY TCP4 ".as_slice(), &[b'1'; 300], b"\r\n"].concat();
    for (source, bytes) in [
        (STRANGER, [header.as_slice(), &request].concat()),
        (STRANGER, request.clone()),
        (IPV4, request.clone()),
        (IPV4, [header.as_slice(), header, &request].concat()),
        (IPV4, too_long),
        (IPV4, b"PROXY TCP4 198.51.100.1 127.0.0.1 99999 443\r\n".to_vec()),
    ] {
        let mut stream = connect(source, site.address());
        let _ = stream.write_all(&bytes);
        let shown = String::from_utf8_lossy(&bytes).into_owned();
        assert_eq!(rest(&mut stream), b"", "from {source}: {shown:?}");
    }
    // A handshake of a stranger, who brings no header, goes nowhere either.
    let local = SocketAddr::new(STRANGER, 0);
    let refused = Wire::connect_tls(local, site.address(), &site.tls_options());
    assert!(refused.is_err(), "{refused:?}");
}

#[test]
fn h31_headers_of_version_2_are_believed_of_the_upstream_over_tcp_and_udp() {
    let site = Site::start(&Terms { transports: &["udp", "tcp"], ..behind_nginx() });
    let request = binding_request(1);
    let client: SocketAddr = "198.51.100.1:1234".parse().unwrap();
    let mut stream = connect(IPV4, site.address());
    stream.write_all(&[version_2(STREAM), request.clone()].concat()).unwrap();
    assert_eq!(reflexive(&mut stream, &request), Some(client));

    let ask = |source, bytes: &[u8]| {
        let socket = UdpSocket::bind((source, 0)).unwrap();
        socket.set_read_timeout(Some(SILENCE)).unwrap();
        socket.send_to(bytes, site.address()).unwrap();
        let mut response = [0; 256];
        let (length, _) = socket.recv_from(&mut response).ok()?;
        address_in(response.get(..length)?, &request)
    };
    let datagram = [version_2(DATAGRAM), request.clone()].concat();
    assert_eq!(ask(IPV4, &datagram), Some(client));
    // Strangers, and the upstream without a header or with one for a stream.
    assert_eq!(ask(STRANGER, &datagram), None);
    assert_eq!(ask(STRANGER, &request), None);
    assert_eq!(ask(IPV4, &request), None);
    assert_eq!(ask(IPV4, &[version_2(STREAM), request.clone()].concat()), None);
}

#[test]
fn h31_without_upstreams_a_proxy_header_is_garbage() {
    let site = Site::start(&Terms::default());
    let request = binding_request(1);
    let mut stream = connect(IPV4, site.address());
    let header = b"PROXY TCP4 198.51.100.1 127.0.0.1 1234 443\r\n";
    stream.write_all(&[header.as_slice(), &request].concat()).unwrap();
    assert_eq!(reflexive(&mut stream, &request), None);
    // Others are not told apart from it.
    let local = SocketAddr::new(STRANGER, 0);
    let client = Client::connect_tls(local, site.address(), &site.tls_options(), user());
    let mut client = client.unwrap();
    assert_eq!(client.binding().unwrap(), client.local_addr().unwrap());
}

fn behind_nginx() -> Terms<'static> {
    Terms { transports: &["tls"], listen: UPSTREAM, shards: 2, ..Terms::default() }
}

/// The guide's `nginx` block, with ports and paths of the test.
fn of_the_guide(site: &Site, web: SocketAddr, fronts: [SocketAddr; 2]) -> String {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/443-only.md");
    let guide = fs::read_to_string(guide).unwrap();
    let (_, block) = guide.split_once("\n```nginx\n").unwrap();
    let (block, _) = block.split_once("\n```\n").unwrap();
    let certificate = site.authority().leaf(&[WEB]).write_to(site.directory(), "web");
    let pages = site.directory().display().to_string();
    let mut configuration = format!("{block}\n");
    for (theirs, ours) in [
        ("listen 443;", format!("listen {};", fronts[0])),
        ("listen [::]:443;", format!("listen {};", fronts[1])),
        ("127.0.0.1:5349", site.address().to_string()),
        ("127.0.0.1:8443", web.to_string()),
        (
            "/etc/letsencrypt/live/www.example.org/fullchain.pem",
            certificate.certificate.display().to_string(),
        ),
        (
            "/etc/letsencrypt/live/www.example.org/privkey.pem",
            certificate.key.display().to_string(),
        ),
        ("/var/www/html", pages),
    ] {
        assert!(configuration.contains(theirs), "no {theirs} in:\n{configuration}");
        configuration = configuration.replace(theirs, &ours);
    }
    configuration
}

fn connect(source: IpAddr, server: SocketAddr) -> TcpStream {
    let domain = socket2::Domain::IPV4;
    let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::new(source, 0).into()).unwrap();
    socket.connect(&server.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream
}

/// All that comes until the server closes.
fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Ok(_) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => bytes,
        Err(error) => panic!("the server does not close: {error}"),
    }
}

/// The address in the response to a Binding request; `None` when the server closes instead.
fn reflexive(stream: &mut TcpStream, request: &[u8]) -> Option<SocketAddr> {
    let mut bytes = [0; 256];
    let length = stream.read(&mut bytes).unwrap_or(0);
    address_in(bytes.get(..length)?, request)
}

fn address_in(response: &[u8], request: &[u8]) -> Option<SocketAddr> {
    let message = Message::parse(response).ok()?;
    assert_eq!(response.get(8..20), request.get(8..20));
    let XorMappedAddress(address) = message.get().ok()??;
    Some(address)
}

/// A PROXY header of version 2 for 198.51.100.1:1234 to 192.0.2.1:443, over IPv4.
fn version_2(transport: u8) -> Vec<u8> {
    let signature = b"\r\n\r\n\0\r\nQUIT\n";
    let rest = [0x21, 0x10 | transport, 0, 12, 198, 51, 100, 1, 192, 0, 2, 1, 4, 210, 1, 187];
    [signature.as_slice(), &rest].concat()
}
