//! Where clients reach the server: hosts and ports to put into their URLs.
//!
//! A listener behind the PROXY protocol is not among them, because clients know
//! its load balancer instead.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use turn_config::Listen;
use turn_engine::{RelayAddress, Transport};
use turn_net::Listening;

/// One transport at one address that is listened on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoint {
    /// What is spoken.
    pub transport: Transport,
    /// The address, as bound.
    pub address: SocketAddr,
    /// Whether only a load balancer may connect (`proxy_protocol`).
    pub proxied: bool,
}

/// Where clients reach the server over one transport.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// What is spoken.
    pub transport: Transport,
    /// Addresses or names, the first being preferred; at least one.
    pub hosts: Vec<String>,
    /// The port of all of them.
    pub port: u16,
}

/// Ports of TLS, the most useful first: that of HTTPS, which firewalls let through, and that of
/// `turns` (RFC 8656 section 20).
const TLS_PORTS: [u16; 2] = [443, 5349];

/// Every transport of every listener, UDP first. A configured wildcard, which is a socket for each
/// address of the host, is one endpoint.
pub fn endpoints(configured: &[Listen], listening: &[Listening]) -> Vec<Endpoint> {
    let configured_at = |address| configured.iter().find(|listen| listen.address == address);
    let transports = [Transport::Udp, Transport::Tcp, Transport::Tls, Transport::Dtls];
    let mut endpoints = Vec::new();
    for transport in transports {
        for Listening { address, transports } in listening {
            let listen = configured_at(*address).or_else(|| configured_at(wildcard(*address)));
            let address = listen.map_or(*address, |listen| listen.address);
            let proxied = listen.is_some_and(|listen| !listen.proxy_protocol.is_empty());
            let endpoint = Endpoint { transport, address, proxied };
            if transports.contains(&transport) && !endpoints.contains(&endpoint) {
                endpoints.push(endpoint);
            }
        }
    }
    endpoints
}

fn wildcard(address: SocketAddr) -> SocketAddr {
    let ip: IpAddr = match address.ip() {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    SocketAddr::new(ip, address.port())
}

/// Where clients reach `endpoints`, for each transport that URLs can name.
///
/// `names` are those of the certificate: over TLS clients go by name.
pub fn reach(endpoints: &[Endpoint], relay: &[RelayAddress], names: &[String]) -> Vec<Reach> {
    // No URL leads to DTLS: browsers do not speak it.
    let transports = [Transport::Udp, Transport::Tcp, Transport::Tls];
    transports
        .into_iter()
        .filter_map(|transport| {
            let addresses: Vec<SocketAddr> = endpoints
                .iter()
                .filter(|endpoint| endpoint.transport == transport && !endpoint.proxied)
                .map(|endpoint| endpoint.address)
                .collect();
            let first = addresses.first()?.port();
            let is_listened_on = |port: &u16| addresses.iter().any(|other| other.port() == *port);
            let (preferred, names) = match transport {
                Transport::Tls => (TLS_PORTS.into_iter().find(is_listened_on), names),
                Transport::Udp | Transport::Tcp | Transport::Dtls => (None, [].as_slice()),
            };
            let port = preferred.unwrap_or(first);
            let at_port: Vec<IpAddr> = addresses
                .iter()
                .filter(|address| address.port() == port)
                .map(SocketAddr::ip)
                .collect();
            // A wildcard is a pattern and no host.
            let mut hosts: Vec<String> =
                names.iter().filter(|name| !name.starts_with('*')).cloned().collect();
            if hosts.is_empty() {
                hosts = shown(&at_port, relay).iter().map(IpAddr::to_string).collect();
            }
            Some(Reach { transport, hosts, port })
        })
        .collect()
}

/// The addresses that clients know: what is listened on, as the world sees it; where that is
/// every address, those of the relay.
fn shown(listening: &[IpAddr], relay: &[RelayAddress]) -> Vec<IpAddr> {
    if listening.iter().any(IpAddr::is_unspecified) {
        return relay.iter().map(|relay| relay.advertised).collect();
    }
    let advertised = |address: &IpAddr| {
        let own = relay.iter().find(|relay| relay.bound == *address);
        own.map_or(*address, |relay| relay.advertised)
    };
    listening.iter().map(advertised).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::path::Path;

    use super::*;

    const UDP: Transport = Transport::Udp;
    const TCP: Transport = Transport::Tcp;
    const TLS: Transport = Transport::Tls;
    const DTLS: Transport = Transport::Dtls;

    #[test]
    fn a_wildcard_is_one_endpoint_a_transport_and_what_is_named_beside_it_another() {
        let text = "
            [[listen]]
            address = '0.0.0.0:3478'
            [[listen]]
            address = '127.0.0.1:3478'
            transports = ['tcp']
            proxy_protocol = ['127.0.0.1']";
        let config = turn_config::from_str(text, Path::new("t")).unwrap();
        let both = vec![UDP, TCP];
        let on = |address: &str, transports: &[Transport]| Listening {
            address: address.parse().unwrap(),
            transports: transports.to_vec(),
        };
        let listening = [
            on("192.0.2.9:3478", &both),
            on("0.0.0.0:3478", &both),
            on("127.0.0.1:3478", &[TCP]),
            // A port that the kernel chose is not that of the configuration.
            on("[::1]:40000", &[UDP]),
        ];
        let proxied = Endpoint { proxied: true, ..at(TCP, "127.0.0.1:3478") };
        assert_eq!(
            endpoints(&config.listen, &listening),
            [at(UDP, "0.0.0.0:3478"), at(UDP, "[::1]:40000"), at(TCP, "0.0.0.0:3478"), proxied]
        );
    }

    #[test]
    fn a_wildcard_is_reached_where_the_relay_is_advertised() {
        let reached = reach(&[at(UDP, "0.0.0.0:3478"), at(TCP, "0.0.0.0:3478")], &nat(), &[]);
        let expected = |transport| Reach { transport, hosts: host("203.0.113.7"), port: 3478 };
        assert_eq!(reached, [expected(UDP), expected(TCP)]);
    }

    #[test]
    fn an_address_behind_nat_is_shown_as_the_world_sees_it() {
        let endpoints = [at(UDP, "10.0.0.5:3478"), at(UDP, "192.0.2.9:3478")];
        let reached = reach(&endpoints, &nat(), &[]);
        assert_eq!(reached.first().unwrap().hosts, ["203.0.113.7", "192.0.2.9"]);
    }

    #[test]
    fn tls_prefers_the_port_of_https_and_goes_by_the_names_of_the_certificate() {
        let endpoints =
            [at(TLS, "0.0.0.0:3478"), at(TLS, "0.0.0.0:5349"), at(TLS, "192.0.2.9:443")];
        let names = ["*.example.org".to_owned(), "turn.example.org".to_owned()];
        let named = reach(&endpoints, &nat(), &names);
        assert_eq!(named, [Reach { transport: TLS, hosts: host("turn.example.org"), port: 443 }]);
        let unnamed = reach(&endpoints, &nat(), &["*.example.org".to_owned()]);
        assert_eq!(unnamed, [Reach { transport: TLS, hosts: host("192.0.2.9"), port: 443 }]);
        let without_443 = reach(endpoints.get(..2).unwrap(), &nat(), &[]);
        assert_eq!(without_443.first().unwrap().port, 5349);
    }

    #[test]
    fn neither_dtls_nor_what_stands_behind_a_load_balancer_is_offered() {
        let proxied = Endpoint { proxied: true, ..at(TLS, "127.0.0.1:5349") };
        assert_eq!(reach(&[proxied, at(DTLS, "0.0.0.0:5349")], &nat(), &[]), []);
    }

    fn at(transport: Transport, address: &str) -> Endpoint {
        Endpoint { transport, address: address.parse().unwrap(), proxied: false }
    }

    fn host(name: &str) -> Vec<String> {
        vec![name.to_owned()]
    }

    fn nat() -> [RelayAddress; 1] {
        [RelayAddress::new("10.0.0.5".parse().unwrap(), "203.0.113.7".parse().unwrap())]
    }
}
