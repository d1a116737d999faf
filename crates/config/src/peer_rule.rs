//! One entry of `peers.allow` or `peers.deny`: addresses, and ports if named.

use std::fmt;
use std::ops::RangeInclusive;

use crate::address_range::AddressRange;
use crate::complaint::Complaint;

/// Peers that a rule speaks of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PeerRule {
    /// Their addresses.
    pub range: AddressRange,
    /// Their ports, 1 to 65535; nothing where the rule binds every port.
    pub ports: Option<RangeInclusive<u16>>,
}

impl PeerRule {
    /// Reads `ADDRESSES`, `ADDRESSES:PORTS` or, for IPv6, `[ADDRESSES]:PORTS`.
    pub(crate) fn parse(text: &str) -> Result<Self, Complaint> {
        let text = text.trim();
        let (addresses, ports) = if let Some(rest) = text.strip_prefix('[') {
            let Some((addresses, behind)) = rest.split_once(']') else {
                return Err(Complaint::new(
                    "the bracket does not close",
                    "write \"[2001:db8::/32]:1000-2000\"",
                ));
            };
            match behind.strip_prefix(':') {
                Some(ports) => (addresses, Some(ports)),
                None if behind.is_empty() => (addresses, None),
                None => {
                    return Err(Complaint::new(
                        "only a colon and ports can follow the bracket",
                        format!("write \"[{addresses}]:1000-2000\""),
                    ));
                }
            }
        } else if text.matches(':').count() == 1 {
            text.split_once(':').map_or((text, None), |(left, right)| (left, Some(right)))
        } else {
            if let Some((_, behind)) = text.split_once('/')
                && let Some((length, ports)) = behind.split_once(':')
            {
                let addresses = text.strip_suffix(&format!("/{length}:{ports}")).unwrap_or(text);
                return Err(Complaint::new(
                    "IPv6 addresses with ports stand in brackets",
                    format!("write \"[{addresses}/{length}]:{ports}\""),
                ));
            }
            (text, None)
        };
        Ok(Self {
            range: AddressRange::parse(addresses)?,
            ports: ports.map(parse_ports).transpose()?,
        })
    }
}

impl fmt::Display for PeerRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(ports) = &self.ports else {
            return write!(f, "{}", self.range);
        };
        if self.range.first.is_ipv4() {
            write!(f, "{}:", self.range)?;
        } else {
            write!(f, "[{}]:", self.range)?;
        }
        f.write_str(&spell_ports(ports))
    }
}

/// Reads `"1000"` or `"1000-2000"`, 1 to 65535.
pub(crate) fn parse_ports(text: &str) -> Result<RangeInclusive<u16>, Complaint> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let number = |port: &str| {
        port.trim().parse().ok().filter(|port| *port != 0_u16).ok_or_else(|| {
            Complaint::new(
                "not a range of ports",
                "write two ports of 1 to 65535, such as \"49152-65535\"",
            )
        })
    };
    let (first, last) = (number(first)?, number(last)?);
    if first > last {
        return Err(Complaint::new(
            "the first port is above the last",
            format!("write \"{last}-{first}\""),
        ));
    }
    Ok(first..=last)
}

/// The inverse of [`parse_ports`].
pub(crate) fn spell_ports(ports: &RangeInclusive<u16>) -> String {
    if ports.start() == ports.end() {
        ports.start().to_string()
    } else {
        format!("{}-{}", ports.start(), ports.end())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> String {
        PeerRule::parse(text)
            .map_or_else(|c| format!("{}; {}", c.message, c.help), |r| r.to_string())
    }

    #[test]
    fn every_form_prints_back() {
        for text in [
            "10.20.0.0/16",
            "203.0.113.5:10000-20000",
            "203.0.113.5:80",
            "10.0.0.0/8:80",
            "192.0.2.1-192.0.2.9:5000",
            "2001:db8::/32",
            "2001:db8::1",
            "[2001:db8::/32]:1000-2000",
            "[2001:db8::1]:80",
            "[2001:db8::1-2001:db8::9]:80",
        ] {
            assert_eq!(message(text), text);
        }
        assert_eq!(message("[2001:db8::1]"), "2001:db8::1");
    }

    #[test]
    fn mistakes_say_what_would_be_right() {
        assert_eq!(
            message("2001:db8::/32:1000-2000"),
            "IPv6 addresses with ports stand in brackets; write \"[2001:db8::/32]:1000-2000\""
        );
        assert!(message("[2001:db8::1:80").contains("does not close"));
        assert!(message("[2001:db8::1]80").contains("only a colon"));
        assert!(message("10.0.0.1:2000-1000").contains("write \"1000-2000\""));
        assert!(message("10.0.0.1:0").contains("not a range of ports"));
        assert!(message("10.0.0.1:").contains("not a range of ports"));
        assert!(message("10.0.0.1:70000").contains("not a range of ports"));
    }
}
