//! `turnserver probe`: whether a server answers, for health checks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use turn_client::{AllocateOptions, Client, Credentials, Error, TlsOptions};
use turn_codec::StatusCode;
use turn_config::{Config, Listen, Transport};
use zeroize::Zeroizing;

/// What is asked, and as whom.
#[derive(Clone)]
pub struct Probe {
    /// Where.
    pub target: Target,
    /// Name and password: an allocation is made and given back. Nothing: STUN Binding only.
    pub login: Option<(String, Zeroizing<String>)>,
}

/// A server, and what is spoken to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// UDP, TCP or TLS.
    pub transport: Transport,
    /// A name or an address.
    pub host: String,
    /// Its port.
    pub port: u16,
}

impl Target {
    /// Reads `stun:HOST`, `turn:HOST:PORT?transport=tcp`, `turns:HOST` (RFC 7064, RFC 7065).
    ///
    /// # Errors
    /// It is none of these.
    pub fn of_url(url: &str) -> Result<Self, String> {
        let wrong = || {
            "write turn:HOST:PORT?transport=udp, turns:HOST:PORT?transport=tcp or stun:HOST:PORT"
                .to_owned()
        };
        let (scheme, rest) = url.split_once(':').ok_or_else(wrong)?;
        let (server, query) = rest.split_once('?').map_or((rest, None), |(a, b)| (a, Some(b)));
        let is_tls = matches!(scheme, "turns" | "stuns");
        if !is_tls && !matches!(scheme, "turn" | "stun") {
            return Err(wrong());
        }
        let transport = match (query, is_tls) {
            (None | Some("transport=tcp"), true) => Transport::Tls,
            (Some("transport=tcp"), false) => Transport::Tcp,
            (None | Some("transport=udp"), false) => Transport::Udp,
            (Some(_), _) => return Err(wrong()),
        };
        let usual = if is_tls { 5349 } else { 3478 };
        let (host, port) = match server.strip_prefix('[') {
            Some(inner) => {
                let (host, port) = inner.split_once(']').ok_or_else(wrong)?;
                (host, port.strip_prefix(':'))
            }
            None => server.split_once(':').map_or((server, None), |(a, b)| (a, Some(b))),
        };
        let port = port.map_or(Ok(usual), str::parse).map_err(|_| wrong())?;
        if host.is_empty() || port == 0 {
            return Err(wrong());
        }
        Ok(Self { transport, host: host.to_owned(), port })
    }

    /// A listener of this host: the first over UDP, else over TCP, else over TLS.
    ///
    /// # Errors
    /// All of them are for a load balancer only.
    pub fn of_config(config: &Config) -> Result<Self, String> {
        let open: Vec<&Listen> =
            config.listen.iter().filter(|listen| listen.proxy_protocol.is_empty()).collect();
        let of = |transport: Transport| {
            let listen = open.iter().find(|listen| listen.transports.contains(&transport))?;
            let host: IpAddr = match listen.address.ip() {
                IpAddr::V4(v4) if v4.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
                IpAddr::V6(v6) if v6.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
                named @ (IpAddr::V4(_) | IpAddr::V6(_)) => named,
            };
            Some(Self { transport, host: host.to_string(), port: listen.address.port() })
        };
        [Transport::Udp, Transport::Tcp, Transport::Tls].into_iter().find_map(of).ok_or_else(|| {
            "error: no listener of the configuration answers to this host over UDP, TCP or TLS\n  = help: name one: \
             --url turn:HOST:PORT?transport=udp"
                .to_owned()
        })
    }
}

impl Probe {
    /// Asks; what came back. Returns within five seconds.
    ///
    /// # Errors
    /// Nothing usable came back.
    pub fn run(self) -> Result<String, String> {
        let shown = format!(
            "{} {} port {}",
            name(self.target.transport),
            self.target.host,
            self.target.port
        );
        let (told, tells) = mpsc::channel();
        // A connection that hangs ends with the process.
        std::thread::spawn(move || told.send(self.ask()));
        let answer = tells.recv_timeout(WITHIN).unwrap_or(Err(Failure::from(Error::Timeout)));
        match answer {
            Ok(answer) => Ok(format!("{shown}: {answer}\n")),
            Err(Failure { why, help }) => Err(format!("error: {shown}: {why}\n  = help: {help}")),
        }
    }

    fn ask(&self) -> Result<String, Failure> {
        let Target { transport, host, port } = &self.target;
        let found = (host.as_str(), *port).to_socket_addrs();
        let not_found =
            |why| Failure { why, help: "name the server as its clients find it: --url" };
        let found = found.map_err(|error| not_found(format!("not found: {error}")))?;
        let mut last = not_found("the name has no address".to_owned());
        for server in found {
            match self.ask_at(*transport, server) {
                Ok(answer) => return Ok(answer),
                Err(error) => last = error.into(),
            }
        }
        Err(last)
    }

    fn ask_at(&self, transport: Transport, server: SocketAddr) -> Result<String, Error> {
        let local = SocketAddr::new(
            if server.is_ipv4() {
                Ipv4Addr::UNSPECIFIED.into()
            } else {
                Ipv6Addr::UNSPECIFIED.into()
            },
            0,
        );
        let credentials = match &self.login {
            Some((user, password)) => Credentials::password(user, password.as_str()),
            None => Credentials::anonymous(),
        };
        let start = Instant::now();
        let mut client = match transport {
            Transport::Udp | Transport::Dtls => Client::connect(local, server, credentials)?,
            Transport::Tcp => Client::connect_tcp(local, server, credentials)?,
            Transport::Tls => {
                let options = TlsOptions::trusting_anybody(&self.target.host);
                Client::connect_tls(local, server, &options, credentials)?
            }
        };
        let what = if self.login.is_some() {
            let allocation = client.allocate(&AllocateOptions::default())?;
            // Given back at once; where that fails it ends by itself.
            let _ = client.refresh(Duration::ZERO);
            format!("relays from {}", allocation.relayed)
        } else {
            format!("sees us at {}", client.binding()?)
        };
        Ok(format!("{what}, within {} ms", start.elapsed().as_millis()))
    }
}

/// Nothing usable came back.
struct Failure {
    why: String,
    help: &'static str,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let help = match error.code() {
            Some(StatusCode::UNAUTHENTICATED | StatusCode::WRONG_CREDENTIALS) => {
                "the server does not take this name and password: see `turnserver users list`, the realm, and for \
                 a time-limited name that both clocks are right"
            }
            Some(StatusCode::FORBIDDEN) => "the user may not allocate here: see the server's log",
            Some(StatusCode::ALLOCATION_QUOTA_REACHED) => {
                "the user, this address or the realm has as many allocations as it may: see [limits] and \
                 `turnserver allocations`"
            }
            Some(StatusCode::SERVER_ERROR) => {
                "the server's log says why; a store of credentials that is down also shows in `turnserver status`"
            }
            Some(StatusCode::INSUFFICIENT_CAPACITY) => {
                "the server drains, or has no port left: see `turnserver status` and relay.ports"
            }
            Some(_) => "the server's log at level debug says more",
            None => {
                "see whether the server runs (`turnserver status`), listens there and is let through the firewall"
            }
        };
        Self { why: error.to_string(), help }
    }
}

fn name(transport: Transport) -> &'static str {
    match transport {
        Transport::Udp => "udp",
        Transport::Tcp => "tcp",
        Transport::Tls => "tls",
        Transport::Dtls => "dtls",
    }
}

/// Container runtimes wait for seconds.
const WITHIN: Duration = Duration::from_millis(4_500);

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use turn_client::Refusal;

    use super::*;

    fn target(url: &str) -> Result<(Transport, String, u16), String> {
        Target::of_url(url).map(|it| (it.transport, it.host, it.port))
    }

    #[test]
    fn urls_of_stun_and_turn_read() {
        let host = || "h".to_owned();
        assert_eq!(target("stun:h"), Ok((Transport::Udp, host(), 3478)));
        assert_eq!(target("turn:h:1?transport=tcp"), Ok((Transport::Tcp, host(), 1)));
        assert_eq!(target("turns:h"), Ok((Transport::Tls, host(), 5349)));
        assert_eq!(target("turn:[::1]:5"), Ok((Transport::Udp, "::1".to_owned(), 5)));
        for wrong in
            ["h", "http:h", "turn:", "turn:h:0", "turn:h:x", "turn:h?transport=sctp", "turn:[::1"]
        {
            assert!(target(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_first_listener_that_serves_this_host_is_asked() {
        let of = |text: &str| {
            let config = turn_config::from_str(text, std::path::Path::new("t")).unwrap();
            Target::of_config(&config).map(|it| (it.transport, it.host, it.port))
        };
        assert_eq!(of(""), Ok((Transport::Udp, "127.0.0.1".to_owned(), 3478)));
        let tcp = "[[listen]]\naddress = '[::]:9'\ntransports = ['tcp']\n";
        assert_eq!(of(tcp), Ok((Transport::Tcp, "::1".to_owned(), 9)));
        let error = of(&format!("{tcp}proxy_protocol = ['10.0.0.0/8']")).unwrap_err();
        assert!(error.contains("--url"), "{error}");
    }

    #[test]
    fn a_refusal_has_its_own_help() {
        let of = |code| {
            let refusal = Refusal {
                code,
                reason: String::new(),
                unknown_attributes: Vec::new(),
                alternate_server: None,
                is_authenticated: false,
            };
            Failure::from(Error::Refused(refusal)).help
        };
        assert!(of(StatusCode::UNAUTHENTICATED).contains("password"));
        assert!(of(StatusCode::ALLOCATION_QUOTA_REACHED).contains("[limits]"));
        assert!(of(StatusCode::INSUFFICIENT_CAPACITY).contains("relay.ports"));
        assert!(of(StatusCode::SERVER_ERROR).contains("log"));
        assert!(Failure::from(Error::Timeout).help.contains("firewall"));
    }

    #[test]
    fn a_port_that_nobody_has_is_said_in_time() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let target =
            Target { transport: Transport::Tcp, host: "127.0.0.1".to_owned(), port: free.port() };
        let error = Probe { target, login: None }.run().unwrap_err();
        assert!(error.contains("= help: see whether"), "{error}");
    }
}
