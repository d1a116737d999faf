//! `[[listen]]`: where clients reach the server.

use std::net::SocketAddr;
use std::ops::Range;

use toml::de::DeValue;

use crate::address_range::AddressRange;
use crate::complaint::Complaint;
use crate::entries::quoted_key;
use crate::reader::Section;
use crate::suggest::nearest;
use crate::values;

/// One address that is listened on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// Address and port; `0.0.0.0` and `[::]` are every address of their family.
    /// Never port 0, never an IPv4-mapped or multicast address, no address twice.
    pub address: SocketAddr,
    /// What is spoken there, told apart by the first bytes; at least one, none twice.
    /// Default: UDP and TCP.
    pub transports: Vec<Transport>,
    /// Upstreams that put a PROXY header before a connection or datagram, and the only ones that
    /// are served here. Default: none, which is no PROXY protocol.
    pub proxy_protocol: Vec<AddressRange>,
    /// The realm that is served here: [`Config::realm`](crate::Config::realm) or the name of one
    /// of [`Config::realms`](crate::Config::realms). Nothing (the default): the realm that a TLS
    /// client's server name says, and [`Config::realm`](crate::Config::realm) for all others.
    pub realm: Option<String>,
}

/// A transport between client and server (RFC 8656, section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// STUN and ChannelData in UDP datagrams.
    Udp,
    /// The same in a TCP connection.
    Tcp,
    /// TCP under TLS.
    Tls,
    /// UDP under DTLS.
    Dtls,
}

impl Listen {
    /// `transports` at `port` of every IPv4 and every IPv6 address.
    pub(crate) fn everywhere(port: u16, transports: &[Transport]) -> [Self; 2] {
        [SocketAddr::from(([0; 4], port)), SocketAddr::from(([0_u16; 8], port))].map(|address| {
            Self {
                address,
                transports: transports.to_vec(),
                proxy_protocol: Vec::new(),
                realm: None,
            }
        })
    }

    /// Reads every `[[listen]]`. `has_certificate`: whether `[tls]` is meant to bring one;
    /// `realms`: the names of all realms.
    pub(crate) fn read_all(
        top: &mut Section<'_, '_>,
        has_certificate: bool,
        realms: &[&str],
    ) -> Option<Vec<Self>> {
        let help = "start each one with a line [[listen]], in double brackets";
        let all = top.tables("listen", help, |section| {
            let read = Self::read(section, has_certificate, realms);
            (read, section.span_of("address"))
        })?;
        let mut kept: Vec<Self> = Vec::new();
        if all.is_empty() {
            let complaint = Complaint::new(
                "an empty list listens nowhere",
                "write at least one [[listen]], or none at all for port 3478 on every address",
            );
            top.complain("listen", top.span_of("listen"), complaint);
        }
        for (read, span) in all {
            let Some(listen) = read else { continue };
            if kept.iter().any(|other| other.shares_a_socket_with(&listen)) {
                let complaint = Complaint::new(
                    format!("{} is listed twice", listen.address),
                    "name \"udp\" and \"dtls\" of an address in one [[listen]], and \"tcp\" and \
                     \"tls\" in one",
                );
                top.complain("listen.address", span, complaint);
            }
            kept.push(listen);
        }
        Some(kept)
    }

    /// UDP and TCP ports have nothing to do with each other.
    fn shares_a_socket_with(&self, other: &Self) -> bool {
        let has = |listen: &Self, of_udp: bool| {
            listen.transports.iter().any(|transport| transport.is_over_udp() == of_udp)
        };
        self.address == other.address
            && [true, false].into_iter().any(|of_udp| has(self, of_udp) && has(other, of_udp))
    }

    fn read(section: &mut Section<'_, '_>, has_certificate: bool, realms: &[&str]) -> Option<Self> {
        let transports = section
            .list("transports", transport)
            .map(|listed| check_transports(section, listed, has_certificate));
        let proxy_protocol = section.list("proxy_protocol", |value| {
            AddressRange::parse(values::text(value, "10.0.0.0/8")?)
        });
        if proxy_protocol.as_ref().is_some_and(Vec::is_empty) {
            let complaint = Complaint::new(
                "an empty list serves nobody",
                "name the upstreams, or leave the key out where there is no PROXY protocol",
            );
            section.complain("proxy_protocol", section.span_of("proxy_protocol"), complaint);
        }
        let realm = section.value("realm", |value| listed_realm(value, realms));
        let missing = !section.has("address");
        let address = section.value("address", address);
        if missing {
            let complaint =
                Complaint::new("the address is missing", "add a line: address = \"0.0.0.0:3478\"");
            section.complain("address", section.span(), complaint);
        }
        Some(Self {
            address: address?,
            transports: transports.unwrap_or_else(|| vec![Transport::Udp, Transport::Tcp]),
            proxy_protocol: proxy_protocol
                .map(|listed| listed.into_iter().map(|(range, _)| range).collect())
                .unwrap_or_default(),
            realm,
        })
    }
}

/// A realm that the file has. [A20]
fn listed_realm(value: &DeValue<'_>, realms: &[&str]) -> Result<String, Complaint> {
    let text = values::text(value, "b.example")?;
    if realms.contains(&text) {
        return Ok(text.to_owned());
    }
    let all = realms.iter().map(|name| format!("\"{}\"", name.escape_debug()));
    let help = match nearest(text, realms.iter().copied()) {
        Some(meant) => format!("did you mean \"{}\"?", meant.escape_debug()),
        None => format!(
            "write one of {}, or add a section [realms.{}]",
            all.collect::<Vec<_>>().join(", "),
            quoted_key(text)
        ),
    };
    Err(Complaint::new("no such realm", help))
}

impl Transport {
    const NAMES: [(&str, Self); 4] =
        [("udp", Self::Udp), ("tcp", Self::Tcp), ("tls", Self::Tls), ("dtls", Self::Dtls)];

    /// The transport as the file spells it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Dtls => "dtls",
        }
    }

    fn is_over_udp(self) -> bool {
        match self {
            Self::Udp | Self::Dtls => true,
            Self::Tcp | Self::Tls => false,
        }
    }

    /// Whether a server without a certificate cannot speak it.
    pub(crate) fn needs_certificate(self) -> bool {
        match self {
            Self::Udp | Self::Tcp => false,
            Self::Tls | Self::Dtls => true,
        }
    }
}

fn transport(value: &DeValue<'_>) -> Result<Transport, Complaint> {
    values::choice(value, &Transport::NAMES)
}

fn check_transports(
    section: &mut Section<'_, '_>,
    listed: Vec<(Transport, Range<usize>)>,
    has_certificate: bool,
) -> Vec<Transport> {
    if listed.is_empty() {
        let help = "write transports = [\"udp\", \"tcp\"]";
        let complaint = Complaint::new("no transport is left", help);
        section.complain("transports", section.span_of("transports"), complaint);
    }
    let mut kept = Vec::new();
    for (transport, span) in listed {
        if kept.contains(&transport) {
            let complaint = Complaint::new("listed twice", "name each transport once");
            section.complain("transports", span, complaint);
        } else if transport.needs_certificate()
            && !has_certificate
            && !kept.iter().any(|other: &Transport| other.needs_certificate())
        {
            let complaint = Complaint::new(
                format!("\"{}\" needs a certificate", transport.name()),
                "add under [tls]: certificates = [{ certificate = \"fullchain.pem\", \
                 key = \"privkey.pem\" }], or self_signed = true for a trial",
            );
            section.complain("transports", span, complaint);
        }
        kept.push(transport);
    }
    kept
}

fn address(value: &DeValue<'_>) -> Result<SocketAddr, Complaint> {
    let example = SocketAddr::from(([0; 4], PORT));
    values::socket_address(value, example).map_err(|complaint| {
        let text = value.as_str().unwrap_or_default();
        // A bare port is what other servers' files have.
        match text.strip_prefix(':').unwrap_or(text).parse::<u16>() {
            Ok(port) => Complaint {
                help: format!(
                    "write \"0.0.0.0:{port}\" and, in another [[listen]], \"[::]:{port}\""
                ),
                ..complaint
            },
            Err(_) => complaint,
        }
    })
}

/// The default port of STUN and TURN over UDP and TCP (RFC 8489, section 18.6; RFC 8656, section 20).
pub(crate) const PORT: u16 = 3478;

/// The default port of STUN and TURN over TLS and DTLS.
pub(crate) const TLS_PORT: u16 = 5349;
