//! `[relay]`: the sockets that peers see.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use toml::de::DeValue;

use crate::address_range::parse_address;
use crate::complaint::Complaint;
use crate::discover::Discover;
use crate::limit::Limit;
use crate::peer_rule::parse_ports;
use crate::reader::Section;
use crate::values;

/// Where and how relayed transport addresses are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relay {
    /// Addresses that relay sockets are bound to, none twice. Empty (the
    /// default): the addresses of the default route.
    pub addresses: Vec<IpAddr>,
    /// Public addresses that clients are told instead. Default: none.
    pub external: Vec<External>,
    /// How further public addresses are found, for those that [`external`](Self::external) does
    /// not name; none twice. Default: not at all.
    pub discover: Vec<Discover>,
    /// How often they are looked for again, 5 s to 1 h. Default: 30 s.
    pub external_refresh: Duration,
    /// Ports of relayed transport addresses, never below 1024 (RFC 8656,
    /// section 7.2). Default: 49152 to 65535.
    pub ports: RangeInclusive<u16>,
    /// The family of an Allocate that names none. Default: not written, which
    /// is IPv4, and IPv6 on a host that has no IPv4 relay address.
    pub default_family: Option<DefaultFamily>,
    /// The longest nap between polls under load, at most 10 ms. Default: 400 µs.
    pub latency_budget: Limit<Duration>,
    /// The DSCP of relayed packets, 0 to 63. Default: 0.
    pub dscp: u8,
    /// Lets clients bind channels 0x4000-0x7FFF as RFC 5766 had it, instead of 0x4000-0x4FFF
    /// (RFC 8656 section 12); coturn's `rfc5766-channel-numbers`. Default: false.
    pub rfc5766_channel_numbers: bool,
    /// Relays from the address that the client sent to, where that is one of `addresses`, instead
    /// of the least used; what coturn does without `relay-ip`. Default: false.
    pub prefer_listener: bool,
    /// Relays TCP connections between clients and peers (RFC 6062). Default: false.
    pub tcp: bool,
}

/// A public address, and the bound one behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct External {
    /// The address that clients are told.
    pub public: IpAddr,
    /// The relay address behind it, of the same family. Nothing: every relay
    /// address of the family; then it is the only entry of its family.
    pub bound: Option<IpAddr>,
}

/// `relay.default_family`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DefaultFamily {
    /// IPv4, as RFC 8656, section 7.2 has it; 440 where there is none.
    Ipv4,
    /// IPv6.
    Ipv6,
    /// The family that the client reached the server by.
    Client,
}

impl Default for Relay {
    fn default() -> Self {
        Self {
            addresses: Vec::new(),
            external: Vec::new(),
            discover: Vec::new(),
            external_refresh: Duration::from_secs(30),
            ports: 49152..=65535,
            default_family: None,
            latency_budget: Limit::At(Duration::from_micros(400)),
            dscp: 0,
            rfc5766_channel_numbers: false,
            prefer_listener: false,
            tcp: false,
        }
    }
}

impl Relay {
    pub(crate) fn read(section: &mut Section<'_, '_>) -> Self {
        let default = Self::default();
        let addresses = Self::read_addresses(section);
        let (external, discover) = Self::read_external(section, &addresses);
        Self {
            external,
            discover,
            external_refresh: section
                .value("external_refresh", |value| {
                    values::duration(value, Duration::from_secs(5), Duration::from_secs(3600))
                })
                .unwrap_or(default.external_refresh),
            addresses,
            ports: section.value("ports", ports).unwrap_or(default.ports),
            default_family: section
                .value("default_family", |value| values::choice(value, &DefaultFamily::NAMES)),
            latency_budget: section
                .value("latency_budget", |value| values::limit(value, nap))
                .unwrap_or(default.latency_budget),
            dscp: section.value("dscp", dscp).unwrap_or(default.dscp),
            rfc5766_channel_numbers: section
                .value("rfc5766_channel_numbers", values::boolean)
                .unwrap_or(default.rfc5766_channel_numbers),
            prefer_listener: section
                .value("prefer_listener", values::boolean)
                .unwrap_or(default.prefer_listener),
            tcp: section.value("tcp", values::boolean).unwrap_or(default.tcp),
        }
    }

    pub(crate) fn read_addresses(section: &mut Section<'_, '_>) -> Vec<IpAddr> {
        let mut kept: Vec<IpAddr> = Vec::new();
        let listed =
            section.list("addresses", |value| own_address(values::text(value, "192.0.2.1")?));
        for (address, span) in listed.unwrap_or_default() {
            if kept.contains(&address) {
                let complaint =
                    Complaint::new(format!("{address} is listed twice"), "name each address once");
                section.complain("addresses", span, complaint);
            }
            kept.push(address);
        }
        kept
    }

    fn read_external(
        section: &mut Section<'_, '_>,
        addresses: &[IpAddr],
    ) -> (Vec<External>, Vec<Discover>) {
        let (mut kept, mut discover): (Vec<External>, Vec<Discover>) = (Vec::new(), Vec::new());
        let listed = section.list_or_one("external", |value| match Discover::read(value) {
            Some(found) => found.map(Public::Discover),
            None => External::read(value).map(Public::External),
        });
        for (public, span) in listed.unwrap_or_default() {
            let external = match public {
                Public::External(external) => external,
                Public::Discover(way) => {
                    if discover.contains(&way) {
                        let complaint = Complaint::new("listed twice", "name each way once");
                        section.complain("external", span, complaint);
                    }
                    discover.push(way);
                    continue;
                }
            };
            let same_family =
                |other: &&External| other.public.is_ipv4() == external.public.is_ipv4();
            let complaint = if kept.iter().any(|other| other.public == external.public) {
                Some(Complaint::new(
                    format!("{} is listed twice", external.public),
                    "a public address stands for one bound address",
                ))
            } else if let Some(bound) = external.bound
                && kept.iter().any(|other| other.bound == Some(bound))
            {
                Some(Complaint::new(
                    format!("{bound} has a public address already"),
                    "a bound address is advertised as one public address",
                ))
            } else if kept
                .iter()
                .filter(same_family)
                .any(|other| other.bound.is_none() || external.bound.is_none())
            {
                Some(Complaint::new(
                    "several public addresses of one family, not all with their bound address",
                    "write each as \"PUBLIC=BOUND\"",
                ))
            } else if let Some(bound) = external.bound
                && !addresses.is_empty()
                && !addresses.contains(&bound)
            {
                Some(Complaint::new(
                    format!("{bound} is not a relay address"),
                    format!("add \"{bound}\" to relay.addresses"),
                ))
            } else {
                None
            };
            if let Some(complaint) = complaint {
                section.complain("external", span, complaint);
            }
            kept.push(external);
        }
        (kept, discover)
    }
}

/// One entry of `relay.external`.
enum Public {
    External(External),
    Discover(Discover),
}

impl External {
    fn read(value: &DeValue<'_>) -> Result<Self, Complaint> {
        let text = values::text(value, "203.0.113.7=198.51.100.7")?;
        if let Some((public, bound)) = text.split_once('/') {
            return Err(Complaint::new(
                "not \"PUBLIC\" or \"PUBLIC=BOUND\"",
                format!("write \"{}={}\"", public.trim(), bound.trim()),
            ));
        }
        let Some((public, bound)) = text.split_once('=') else {
            let public = own_address(text).map_err(|complaint| {
                if text.parse::<IpAddr>().is_err() && values::host_name(text).is_ok() {
                    return Complaint::new(
                        "not an IP address",
                        format!(
                            "write \"dns:{text}\" for the addresses of a DNS name, or \"auto\""
                        ),
                    );
                }
                complaint
            })?;
            return Ok(Self { public, bound: None });
        };
        let (public, bound) = (own_address(public.trim())?, own_address(bound.trim())?);
        if public.is_ipv4() != bound.is_ipv4() {
            return Err(Complaint::new(
                "the two addresses are of different families",
                "a public address stands for a bound address of its own family",
            ));
        }
        Ok(Self { public, bound: Some(bound) })
    }
}

impl DefaultFamily {
    pub(crate) const NAMES: [(&str, Self); 3] =
        [("ipv4", Self::Ipv4), ("ipv6", Self::Ipv6), ("client", Self::Client)];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
            Self::Client => "client",
        }
    }
}

/// An address that a relay socket can have or be shown as.
fn own_address(text: &str) -> Result<IpAddr, Complaint> {
    let address = parse_address(text)?;
    if address.to_canonical() != address {
        let help = format!("write it as IPv4: \"{}\"", address.to_canonical());
        return Err(Complaint::new("an IPv4-mapped IPv6 address", help));
    }
    if address.is_unspecified() || address.is_multicast() || address == IpAddr::from([255; 4]) {
        return Err(Complaint::new(
            format!("{address} is not an address that a peer can answer to"),
            "write an address of this host; without the key it is found by itself",
        ));
    }
    Ok(address)
}

fn ports(value: &DeValue<'_>) -> Result<RangeInclusive<u16>, Complaint> {
    let ports = parse_ports(values::text(value, "49152-65535")?)?;
    if *ports.start() < 1024 {
        // RFC 8656, section 7.2: ports of 0-1023 would pass for well-known services. [T9]
        let last = ports.end().max(&1024);
        return Err(Complaint::new(
            "relay ports below 1024 could pass for well-known services",
            format!("write \"1024-{last}\" or the default, \"49152-65535\""),
        ));
    }
    Ok(ports)
}

fn nap(value: &DeValue<'_>) -> Result<Duration, Complaint> {
    values::duration(value, Duration::from_micros(1), Duration::from_millis(10))
}

fn dscp(value: &DeValue<'_>) -> Result<u8, Complaint> {
    let number = values::number(value, 0, 63)?;
    u8::try_from(number).map_err(|_| Complaint::new("out of range", "write 0 to 63"))
}
