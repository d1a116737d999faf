//! `[[listen]]`: where clients reach the server.

use std::net::SocketAddr;
use std::ops::Range;

use toml::de::DeValue;

use crate::address_range::AddressRange;
use crate::complaint::Complaint;
use crate::reader::Section;
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
            Self { address, transports: transports.to_vec(), proxy_protocol: Vec::new() }
        })
    }

    /// Reads every `[[listen]]`. `has_certificate`: whether `[tls]` is meant to bring one.
    pub(crate) fn read_all(top: &mut Section<'_, '_>, has_certificate: bool) -> Option<Vec<Self>> {
        let help = "start each one with a line [[listen]], in double brackets";
        let all = top.tables("listen", help, |section| {
            let read = Self::read(section, has_certificate);
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
            if kept.iter().any(|other| other.address == listen.address) {
                let complaint = Complaint::new(
                    format!("{} is listed twice", listen.address),
                    "name every transport of an address in one [[listen]]",
                );
                top.complain("listen.address", span, complaint);
            }
            kept.push(listen);
        }
        Some(kept)
    }

    fn read(section: &mut Section<'_, '_>, has_certificate: bool) -> Option<Self> {
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
        })
    }
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
    let text = values::text(value, "0.0.0.0:3478")?;
    let Ok(address) = text.parse::<SocketAddr>() else {
        let help = if let Ok(address) = text.trim_matches(['[', ']']).parse() {
            format!("write it with its port: \"{}\"", SocketAddr::new(address, PORT))
        } else if let Ok(port) = text.strip_prefix(':').unwrap_or(text).parse::<u16>() {
            format!("write \"0.0.0.0:{port}\" and, in another [[listen]], \"[::]:{port}\"")
        } else if text.contains(|c: char| c.is_ascii_alphabetic()) && text.matches(':').count() < 2
        {
            "names are not looked up: write the address itself, such as \"0.0.0.0:3478\"".to_owned()
        } else {
            "write \"0.0.0.0:3478\" or \"[::]:3478\"".to_owned()
        };
        return Err(Complaint::new("not an address and port", help));
    };
    let canonical = address.ip().to_canonical();
    if canonical != address.ip() {
        let help = format!("write it as IPv4: \"{}\"", SocketAddr::new(canonical, address.port()));
        return Err(Complaint::new("an IPv4-mapped IPv6 address", help));
    }
    if address.ip().is_multicast() {
        return Err(Complaint::new(
            "a multicast address cannot be listened on",
            "write an address of this host, or \"0.0.0.0:3478\" for all",
        ));
    }
    if address.port() == 0 {
        let help = format!("write \"{}\"", SocketAddr::new(address.ip(), PORT));
        return Err(Complaint::new("port 0 is none that a client can be told", help));
    }
    Ok(address)
}

/// The default port of STUN and TURN over UDP and TCP (RFC 8489, section 18.6; RFC 8656, section 20).
pub(crate) const PORT: u16 = 3478;

/// The default port of STUN and TURN over TLS and DTLS.
pub(crate) const TLS_PORT: u16 = 5349;
