//! What a server prints once it is ready: the ICE servers to paste into an
//! application, the addresses it listens on, and what to do next.
//!
//! The JSON is the `iceServers` member of `RTCConfiguration` (WebRTC, section
//! 4.2.1); the URLs are those of RFC 7064 and RFC 7065.

use std::fmt::{self, Write as _};
use std::net::{IpAddr, Ipv6Addr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use turn_engine::Transport;

use crate::reach::{Endpoint, Reach};

/// Everything that the banner tells.
#[derive(Debug, Clone)]
pub struct Banner {
    /// The server's version.
    pub version: &'static str,
    /// What is listened on, UDP first.
    pub listening: Vec<Endpoint>,
    /// Where clients reach the server, the preferred transport first.
    pub reach: Vec<Reach>,
    /// Addresses that peers see.
    pub relay: Vec<IpAddr>,
    /// Ports that peers see.
    pub relay_ports: RangeInclusive<u16>,
    /// Whether TCP is relayed too (RFC 6062).
    pub relay_tcp: bool,
    /// What clients need.
    pub access: Access,
}

/// What clients need to be relayed.
#[derive(Clone)]
pub enum Access {
    /// The user that the server made for itself.
    Trial {
        /// Its name.
        username: String,
        /// Its password; the banner is the one place that shows it.
        credential: String,
        /// Where user and shared secret are kept; nothing if for this run only.
        kept: Option<PathBuf>,
        /// A ready time-limited credential, as an application would make one.
        time_limited: Option<TimeLimited>,
    },
    /// Users or secrets of the configuration, which are not shown.
    Configured,
    /// Nothing: everybody is relayed.
    Anonymous,
    /// Nobody is relayed.
    StunOnly,
}

/// A credential made from the shared secret.
#[derive(Clone)]
pub struct TimeLimited {
    /// The name, `expiry:userid`.
    pub username: String,
    /// The password that belongs to it.
    pub credential: String,
    /// How long it is good for.
    pub lifetime: Duration,
}

impl Banner {
    /// The whole text, with a line end behind its last line.
    pub fn render(&self) -> String {
        self.to_string()
    }

    /// The `iceServers` JSON alone, ready to paste.
    pub fn ice_servers(&self) -> String {
        let (username, credential) = match &self.access {
            Access::Trial { username, credential, .. } => (username.as_str(), credential.as_str()),
            Access::Configured => ("USERNAME", "PASSWORD"),
            // A browser refuses a turn: URL without them; the server does not look.
            Access::Anonymous => ("anonymous", "anonymous"),
            Access::StunOnly => return pretty(self.stun().as_slice()),
        };
        let turn = IceServer {
            urls: turn_urls(&self.reach),
            username: Some(username),
            credential: Some(credential),
        };
        let turn = Some(turn).filter(|turn| !turn.urls.is_empty());
        pretty(&self.stun().into_iter().chain(turn).collect::<Vec<_>>())
    }

    fn stun(&self) -> Option<IceServer<'static>> {
        let urls = Some(stun_urls(&self.reach)).filter(|urls| !urls.is_empty())?;
        Some(IceServer { urls, username: None, credential: None })
    }
}

/// The URLs of TURN (RFC 7065), the preferred transport first.
pub fn turn_urls(reach: &[Reach]) -> Vec<String> {
    reach.iter().flat_map(urls_of_turn).collect()
}

/// The URL of STUN (RFC 7064) over UDP: over anything else it tells a browser nothing that it could
/// use.
pub fn stun_urls(reach: &[Reach]) -> Vec<String> {
    let udp = reach.iter().find(|reach| reach.transport == Transport::Udp);
    udp.map_or_else(Vec::new, |udp| urls("stun", udp, ""))
}

fn urls_of_turn(reach: &Reach) -> Vec<String> {
    match reach.transport {
        Transport::Udp => urls("turn", reach, "?transport=udp"),
        Transport::Tcp => urls("turn", reach, "?transport=tcp"),
        Transport::Tls => urls("turns", reach, "?transport=tcp"),
        // RFC 7065 has a URL for it, and no browser takes that.
        Transport::Dtls => Vec::new(),
    }
}

fn urls(scheme: &str, Reach { hosts, port, .. }: &Reach, query: &str) -> Vec<String> {
    let url = |host: &String| match host.parse::<Ipv6Addr>() {
        Ok(address) => format!("{scheme}:[{address}]:{port}{query}"),
        Err(_) => format!("{scheme}:{host}:{port}{query}"),
    };
    hosts.iter().map(url).collect()
}

impl fmt::Display for Banner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "turnserver {} is ready\n", self.version)?;
        for Endpoint { transport, address, .. } in &self.listening {
            writeln!(f, "  listening on  {} {address}", name(*transport))?;
        }
        let (first, last) = (self.relay_ports.start(), self.relay_ports.end());
        match self.access {
            Access::StunOnly => writeln!(f, "  relaying      nothing: no users and no secrets")?,
            Access::Trial { .. } | Access::Configured | Access::Anonymous => {
                let protocols: &[&str] = if self.relay_tcp { &["udp", "tcp"] } else { &["udp"] };
                for (protocol, address) in
                    protocols.iter().flat_map(|p| self.relay.iter().map(move |a| (p, a)))
                {
                    writeln!(f, "  relaying from {protocol} {address} ports {first}-{last}")?;
                }
            }
        }
        writeln!(f, "\nFor new RTCPeerConnection(...):\n\n{}\n", self.ice_servers())?;
        writeln!(f, "Next:")?;
        let mut steps = self.next_steps();
        if self.listening.iter().any(|endpoint| endpoint.proxied) {
            steps.push(
                "clients know the load balancer: put its name and port into URLs for them"
                    .to_owned(),
            );
        }
        if !matches!(self.access, Access::StunOnly) {
            steps.push(format!("let {} through the firewall", self.open_ports().join(", ")));
        }
        steps.iter().try_for_each(|step| writeln!(f, "  - {step}"))
    }
}

impl Banner {
    /// What the world must reach, as `UDP and TCP 3478`.
    fn open_ports(&self) -> Vec<String> {
        let mut ports: Vec<(u16, bool, bool)> = Vec::new();
        for endpoint in self.listening.iter().filter(|endpoint| !endpoint.proxied) {
            let (udp, tcp) = match endpoint.transport {
                Transport::Udp | Transport::Dtls => (true, false),
                Transport::Tcp | Transport::Tls => (false, true),
            };
            let port = endpoint.address.port();
            match ports.iter_mut().find(|(known, ..)| *known == port) {
                Some((_, has_udp, has_tcp)) => {
                    (*has_udp, *has_tcp) = (*has_udp | udp, *has_tcp | tcp)
                }
                None => ports.push((port, udp, tcp)),
            }
        }
        let spell = |udp, tcp, ports: &dyn fmt::Display| match (udp, tcp) {
            (true, true) => format!("UDP and TCP {ports}"),
            (false, true) => format!("TCP {ports}"),
            (_, false) => format!("UDP {ports}"),
        };
        let relay = format!("{}-{}", self.relay_ports.start(), self.relay_ports.end());
        let clients = ports.iter().map(|(port, udp, tcp)| spell(*udp, *tcp, port));
        clients.chain([spell(true, self.relay_tcp, &relay)]).collect()
    }

    fn next_steps(&self) -> Vec<String> {
        let mut steps = Vec::new();
        match &self.access {
            Access::Trial { kept, time_limited, .. } => {
                if let Some(TimeLimited { username, credential, lifetime }) = time_limited {
                    let minutes = lifetime.as_secs() / 60;
                    let mut step = format!("made from the shared secret, for {minutes} minutes: ");
                    // Writing to a String cannot fail.
                    let _ = write!(step, "username {username} credential {credential}");
                    steps.push(step);
                }
                steps.push(match kept {
                    Some(path) => {
                        format!("user and shared secret are kept in {}", path.display())
                    }
                    None => "user and shared secret are for this run only".to_owned(),
                });
                steps.push(
                    "for users, secrets and limits of your own: copy turnserver.toml.example, \
                     then turnserver --config turnserver.toml"
                        .to_owned(),
                );
            }
            Access::Configured => steps.push(
                "put in a user of [auth] users, or a time-limited credential made from one of \
                 [auth] secrets"
                    .to_owned(),
            ),
            Access::Anonymous => steps.push(
                "OPEN RELAY: everybody who reaches this server can relay through it; remove \
                 auth.anonymous unless that is meant"
                    .to_owned(),
            ),
            Access::StunOnly => {
                steps.push("to relay, add users or secrets under [auth]".to_owned());
            }
        }
        steps
    }
}

/// The transport as the configuration spells it.
fn name(transport: Transport) -> &'static str {
    match transport {
        Transport::Udp => "udp",
        Transport::Tcp => "tcp",
        Transport::Tls => "tls",
        Transport::Dtls => "dtls",
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Trial { .. } => "Trial(***)",
            Self::Configured => "Configured",
            Self::Anonymous => "Anonymous",
            Self::StunOnly => "StunOnly",
        })
    }
}

/// One `RTCIceServer`.
#[derive(Serialize)]
struct IceServer<'a> {
    urls: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    credential: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RtcConfiguration<'a> {
    ice_servers: &'a [IceServer<'a>],
}

fn pretty(ice_servers: &[IceServer<'_>]) -> String {
    // Strings and lists always serialise; an empty text would be seen at once.
    serde_json::to_string_pretty(&RtcConfiguration { ice_servers }).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use serde_json::json;

    use super::*;

    #[test]
    fn the_json_is_what_a_browser_takes() {
        let json: serde_json::Value = serde_json::from_str(&trial().ice_servers()).unwrap();
        assert_eq!(
            json,
            json!({"iceServers": [
                {"urls": ["stun:203.0.113.7:3478", "stun:[2001:db8::7]:3478"]},
                {
                    "urls": [
                        "turn:203.0.113.7:3478?transport=udp",
                        "turn:[2001:db8::7]:3478?transport=udp",
                        "turn:203.0.113.7:3478?transport=tcp"
                    ],
                    "username": "user-abc",
                    "credential": "pass\"word"
                }
            ]})
        );
    }

    #[test]
    fn the_whole_banner_reads_like_this() {
        let mut banner = trial();
        banner.reach.iter_mut().for_each(|reach| reach.hosts.truncate(1));
        assert_eq!(
            banner.render(),
            r#"turnserver 0.1.0 is ready

  listening on  udp 0.0.0.0:3478
  listening on  udp [::]:3478
  listening on  tcp 0.0.0.0:3478
  relaying from udp 10.0.0.5 ports 49152-65535

For new RTCPeerConnection(...):

{
  "iceServers": [
    {
      "urls": [
        "stun:203.0.113.7:3478"
      ]
    },
    {
      "urls": [
        "turn:203.0.113.7:3478?transport=udp",
        "turn:203.0.113.7:3478?transport=tcp"
      ],
      "username": "user-abc",
      "credential": "pass\"word"
    }
  ]
}

Next:
  - made from the shared secret, for 60 minutes: username 1700000000:me credential c2lnbg==
  - user and shared secret are kept in /var/lib/turnserver/credentials.json
  - for users, secrets and limits of your own: copy turnserver.toml.example, then turnserver --config turnserver.toml
  - let UDP and TCP 3478, UDP 49152-65535 through the firewall
"#
        );
    }

    #[test]
    fn without_relaying_only_stun_is_offered() {
        let banner = Banner { access: Access::StunOnly, ..trial() };
        assert!(!banner.ice_servers().contains("turn:"));
        let text = banner.render();
        assert!(text.contains("no users and no secrets") && !text.contains("firewall"));
    }

    #[test]
    fn tls_has_urls_of_its_own_and_dtls_has_none() {
        let mut banner = trial();
        let endpoint = |transport, port| Endpoint {
            transport,
            address: ([0; 4], port).into(),
            proxied: false,
        };
        banner.listening = vec![endpoint(Transport::Tls, 443), endpoint(Transport::Dtls, 5349)];
        let hosts = vec!["turn.example.org".to_owned()];
        banner.reach = vec![Reach { transport: Transport::Tls, hosts, port: 443 }];
        banner.relay_tcp = true;
        let json: serde_json::Value = serde_json::from_str(&banner.ice_servers()).unwrap();
        assert_eq!(
            json,
            json!({"iceServers": [{
                "urls": ["turns:turn.example.org:443?transport=tcp"],
                "username": "user-abc",
                "credential": "pass\"word"
            }]})
        );
        let text = banner.render();
        assert!(text.contains("listening on  tls 0.0.0.0:443\n"), "{text}");
        assert!(text.contains("listening on  dtls 0.0.0.0:5349\n"), "{text}");
        assert!(text.contains("relaying from tcp 10.0.0.5 ports 49152-65535\n"), "{text}");
        assert!(text.contains("let TCP 443, UDP 5349, UDP and TCP 49152-65535 through"), "{text}");
    }

    #[test]
    fn what_stands_behind_a_load_balancer_is_said_to() {
        let mut banner = trial();
        let address = "127.0.0.1:5349".parse().unwrap();
        banner.listening = vec![Endpoint { transport: Transport::Tls, address, proxied: true }];
        banner.reach.clear();
        let text = banner.render();
        assert!(text.contains("clients know the load balancer"), "{text}");
        assert!(text.contains("let UDP 49152-65535 through"), "{text}");
        assert!(!text.contains("\"urls\""), "{text}");
    }

    #[test]
    fn configured_credentials_are_not_shown_and_an_open_relay_is_announced() {
        let banner = Banner { access: Access::Configured, ..trial() };
        assert!(banner.ice_servers().contains("\"credential\": \"PASSWORD\""));
        let banner = Banner { access: Access::Anonymous, ..trial() };
        assert!(banner.render().contains("OPEN RELAY"));
    }

    #[test]
    fn debug_output_shows_no_credential() {
        assert!(!format!("{:?}", trial()).contains("pass"));
    }

    fn trial() -> Banner {
        let at = |transport, address: &str| Endpoint {
            transport,
            address: address.parse().unwrap(),
            proxied: false,
        };
        let ipv4 = "203.0.113.7".to_owned();
        Banner {
            version: "0.1.0",
            listening: vec![
                at(Transport::Udp, "0.0.0.0:3478"),
                at(Transport::Udp, "[::]:3478"),
                at(Transport::Tcp, "0.0.0.0:3478"),
            ],
            reach: vec![
                Reach {
                    transport: Transport::Udp,
                    hosts: vec![ipv4.clone(), "2001:db8::7".to_owned()],
                    port: 3478,
                },
                Reach { transport: Transport::Tcp, hosts: vec![ipv4], port: 3478 },
            ],
            relay_tcp: false,
            relay: vec!["10.0.0.5".parse().unwrap()],
            relay_ports: 49152..=65535,
            access: Access::Trial {
                username: "user-abc".to_owned(),
                credential: "pass\"word".to_owned(),
                kept: Some(PathBuf::from("/var/lib/turnserver/credentials.json")),
                time_limited: Some(TimeLimited {
                    username: "1700000000:me".to_owned(),
                    credential: "c2lnbg==".to_owned(),
                    lifetime: Duration::from_secs(3600),
                }),
            },
        }
    }
}
