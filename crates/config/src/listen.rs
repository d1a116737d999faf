//! `[[listen]]`: where clients reach the server.

use std::net::SocketAddr;

use toml::de::DeValue;

use crate::complaint::Complaint;
use crate::reader::Section;
use crate::values;

/// One address that is listened on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// Address and port; `0.0.0.0` and `[::]` are every address of their family.
    /// Never port 0, never an IPv4-mapped or multicast address, no address twice.
    pub address: SocketAddr,
    /// What is spoken there; at least one, none twice. Default: UDP.
    pub transports: Vec<Transport>,
}

/// A transport between client and server (RFC 8656, section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// STUN and ChannelData in UDP datagrams.
    Udp,
}

impl Listen {
    /// Port 3478 on every IPv4 and every IPv6 address.
    pub(crate) fn everywhere() -> Vec<Self> {
        [SocketAddr::from(([0; 4], PORT)), SocketAddr::from(([0_u16; 8], PORT))]
            .map(|address| Self { address, transports: vec![Transport::Udp] })
            .to_vec()
    }

    pub(crate) fn read_all(top: &mut Section<'_, '_>) -> Option<Vec<Self>> {
        let all = top.tables("listen", |section| {
            let read = Self::read(section);
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

    fn read(section: &mut Section<'_, '_>) -> Option<Self> {
        let transports = section.list("transports", transport).map(|listed| {
            let mut kept = Vec::new();
            for (transport, span) in listed {
                if kept.contains(&transport) {
                    let complaint = Complaint::new("listed twice", "name each transport once");
                    section.complain("transports", span, complaint);
                }
                kept.push(transport);
            }
            kept
        });
        if transports.as_ref().is_some_and(Vec::is_empty) {
            let span = section.span_of("transports");
            let complaint = Complaint::new("no transport is left", "write transports = [\"udp\"]");
            section.complain("transports", span, complaint);
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
            transports: transports.unwrap_or_else(|| vec![Transport::Udp]),
        })
    }
}

impl Transport {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
        }
    }
}

fn transport(value: &DeValue<'_>) -> Result<Transport, Complaint> {
    match value.as_str() {
        Some(name @ ("tcp" | "tls" | "dtls")) => {
            Err(Complaint::new(format!("\"{name}\" is not available yet"), "write only \"udp\""))
        }
        _ => values::choice(value, &[("udp", Transport::Udp)]),
    }
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
const PORT: u16 = 3478;
