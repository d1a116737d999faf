//! `[peers]`: whom clients may reach, besides the public Internet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use toml::de::DeValue;

use crate::address_range::AddressRange;
use crate::complaint::Complaint;
use crate::peer_rule::PeerRule;
use crate::reader::Section;
use crate::values;

/// Changes to the built-in peer policy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Peers {
    /// Holes in the built-in list of denied peers. Default: none.
    pub allow: Vec<PeerRule>,
    /// Further denied peers; wins over [`allow`](Self::allow). Default: none.
    pub deny: Vec<PeerRule>,
}

impl Peers {
    pub(crate) fn read(section: &mut Section<'_, '_>) -> Self {
        let rules = |listed: Option<Vec<(PeerRule, _)>>| {
            listed.unwrap_or_default().into_iter().map(|(rule, _)| rule).collect()
        };
        Self {
            allow: rules(section.list("allow", |value| refuse_never(rule(value)?))),
            deny: rules(section.list("deny", rule)),
        }
    }
}

fn rule(value: &DeValue<'_>) -> Result<PeerRule, Complaint> {
    PeerRule::parse(values::text(value, "10.20.0.0/16")?)
}

/// Refuses what no `allow` can open, so that the file never promises what is not so.
fn refuse_never(rule: PeerRule) -> Result<PeerRule, Complaint> {
    let within = |first: IpAddr, last: IpAddr| {
        let never = AddressRange { first, last };
        never.contains(rule.range.first) && never.contains(rule.range.last)
    };
    let loopback = within([127, 0, 0, 0].into(), [127, 255, 255, 255].into())
        || within(Ipv6Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into());
    if loopback {
        return Err(Complaint::new(
            "loopback peers cannot be allowed",
            "for trials on one machine: [lab] loopback_peers = true",
        ));
    }
    let multicast = within([224, 0, 0, 0].into(), [239, 255, 255, 255].into())
        || (rule.range.first.is_multicast() && rule.range.last.is_multicast());
    if multicast {
        return Err(Complaint::new("multicast peers cannot be allowed", "remove the entry"));
    }
    let unspecified = within(Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::UNSPECIFIED.into())
        || within(Ipv6Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into());
    if unspecified {
        return Err(Complaint::new(
            "the unspecified address is no peer",
            "write a prefix; \"0.0.0.0/0\" and \"::/0\" are all addresses",
        ));
    }
    Ok(rule)
}
