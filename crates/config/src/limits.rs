//! `[limits]`: how much each may take.

use std::time::Duration;

use toml::de::DeValue;

use crate::address_range::AddressRange;
use crate::bit_rate::BitRate;
use crate::complaint::Complaint;
use crate::limit::Limit;
use crate::rate::Rate;
use crate::reader::Section;
use crate::size::Size;
use crate::values;

/// The limits of the process, and those of the realm at the top of the file, from which the other
/// realms inherit what they do not write. A *source* is an IPv4 address or an IPv6 /64.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Allocations of the whole process, at least 1. Default: off.
    pub allocations: Limit<u32>,
    /// Allocations of each user. Default: auto.
    pub allocations_per_user: AllocationsPerUser,
    /// Allocations of each source, at least 1. Default: 4096.
    pub allocations_per_source: Limit<u32>,
    /// Binding responses to each source. Default: 1000/s burst 2000.
    pub binding_replies: Limit<Rate>,
    /// 401, 438 and 400 over UDP to each source that has not proven itself.
    /// Default: 1000/s burst 2000.
    pub challenges: Limit<Rate>,
    /// Connections (TCP, TLS) of each source, at least 1. Default: 1024.
    pub connections_per_source: Limit<u32>,
    /// Sources that the four above do not bind. Default: none.
    pub exempt_sources: Vec<AddressRange>,
    /// Permissions of an allocation, at least 1. Default: 64.
    pub permissions_per_allocation: Limit<u32>,
    /// Channels of an allocation, 1 to 4096, of which there are no more. Default: 64.
    pub channels_per_allocation: Limit<u32>,
    /// Peer transport addresses of an allocation, at least 1. Default: 256.
    pub peers_per_allocation: Limit<u32>,
    /// Peers that an allocation has not reached before. Default: 10/s burst 64.
    pub new_peers: Limit<Rate>,
    /// Connections to peers of an allocation (RFC 6062), at least 1. Default: 64.
    pub peer_connections_per_allocation: Limit<u32>,
    /// Payload of an allocation, each direction on its own. Default: off.
    pub bandwidth_per_allocation: Limit<BitRate>,
    /// Payload of a user, each direction on its own. Default: off.
    pub bandwidth_per_user: Limit<BitRate>,
    /// Payload of a realm, each direction on its own. Default: off.
    pub bandwidth_per_realm: Limit<BitRate>,
    /// Payload of the whole process, each direction on its own. Default: off.
    pub bandwidth: Limit<BitRate>,
    /// Connections without an allocation of the whole process, at least 1, and as many DTLS
    /// sessions; the oldest gives way. Default: 4096.
    pub unauthenticated_connections: Limit<u32>,
    /// Connections that the whole process accepts, and as many DTLS handshakes. Default: 1000/s.
    pub accepts: Limit<Rate>,
    /// What waits for a slow client of a connection, 16 KiB to 16 MiB; beyond it the oldest
    /// relayed data is dropped. Default: 256 KiB.
    pub queue_per_connection: Size,
    /// The longest lifetime that a client can ask for, 10 min to 1 d
    /// (RFC 8656, section 7.2). Default: 1 h.
    pub max_lifetime: Duration,
    /// The age at which an allocation ends, refreshed or not, at least 10 min. Default: off.
    pub max_allocation_age: Limit<Duration>,
}

/// `limits.allocations_per_user`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AllocationsPerUser {
    /// 32 for each userid of time-limited credentials; off for static users,
    /// of whom one often serves a whole site, and for bare expiries.
    Auto,
    /// The same for every user; at least 1.
    Each(Limit<u32>),
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            allocations: Limit::Off,
            allocations_per_user: AllocationsPerUser::Auto,
            allocations_per_source: Limit::At(4096),
            binding_replies: Limit::At(Rate::per_second(1000, 2000)),
            challenges: Limit::At(Rate::per_second(1000, 2000)),
            connections_per_source: Limit::At(1024),
            exempt_sources: Vec::new(),
            permissions_per_allocation: Limit::At(64),
            channels_per_allocation: Limit::At(64),
            peers_per_allocation: Limit::At(256),
            new_peers: Limit::At(Rate::per_second(10, 64)),
            peer_connections_per_allocation: Limit::At(64),
            bandwidth_per_allocation: Limit::Off,
            bandwidth_per_user: Limit::Off,
            bandwidth_per_realm: Limit::Off,
            bandwidth: Limit::Off,
            unauthenticated_connections: Limit::At(4096),
            accepts: Limit::At(Rate::per_second(1000, 1000)),
            queue_per_connection: Size::from_bytes(256 << 10),
            max_lifetime: Duration::from_secs(3600),
            max_allocation_age: Limit::Off,
        }
    }
}

impl Limits {
    pub(crate) fn read(section: &mut Section<'_, '_>) -> Self {
        let default = Self::default();
        let mut count = |key, default| section.value(key, count).unwrap_or(default);
        let allocations = count("allocations", default.allocations);
        let allocations_per_source =
            count("allocations_per_source", default.allocations_per_source);
        let connections_per_source =
            count("connections_per_source", default.connections_per_source);
        let permissions_per_allocation =
            count("permissions_per_allocation", default.permissions_per_allocation);
        let peers_per_allocation = count("peers_per_allocation", default.peers_per_allocation);
        let peer_connections_per_allocation =
            count("peer_connections_per_allocation", default.peer_connections_per_allocation);
        let unauthenticated_connections =
            count("unauthenticated_connections", default.unauthenticated_connections);

        let mut rate = |key, default| section.value(key, rate).unwrap_or(default);
        let binding_replies = rate("binding_replies", default.binding_replies);
        let challenges = rate("challenges", default.challenges);
        let new_peers = rate("new_peers", default.new_peers);
        let accepts = rate("accepts", default.accepts);

        let mut bandwidth = |key, default| section.value(key, bandwidth).unwrap_or(default);
        Self {
            bandwidth_per_allocation: bandwidth(
                "bandwidth_per_allocation",
                default.bandwidth_per_allocation,
            ),
            bandwidth_per_user: bandwidth("bandwidth_per_user", default.bandwidth_per_user),
            bandwidth_per_realm: bandwidth("bandwidth_per_realm", default.bandwidth_per_realm),
            bandwidth: bandwidth("bandwidth", default.bandwidth),
            allocations,
            allocations_per_user: section
                .value("allocations_per_user", AllocationsPerUser::read)
                .unwrap_or(default.allocations_per_user),
            allocations_per_source,
            binding_replies,
            challenges,
            connections_per_source,
            exempt_sources: section
                .list("exempt_sources", |value| {
                    AddressRange::parse(values::text(value, "192.0.2.0/24")?)
                })
                .map(|listed| listed.into_iter().map(|(range, _)| range).collect())
                .unwrap_or(default.exempt_sources),
            permissions_per_allocation,
            channels_per_allocation: section
                .value("channels_per_allocation", channels)
                .unwrap_or(default.channels_per_allocation),
            peers_per_allocation,
            new_peers,
            peer_connections_per_allocation,
            unauthenticated_connections,
            accepts,
            queue_per_connection: section
                .value("queue_per_connection", Size::read)
                .unwrap_or(default.queue_per_connection),
            max_lifetime: section.value("max_lifetime", lifetime).unwrap_or(default.max_lifetime),
            max_allocation_age: section
                .value("max_allocation_age", |value| values::limit(value, age))
                .unwrap_or(default.max_allocation_age),
        }
    }
}

impl AllocationsPerUser {
    pub(crate) fn read(value: &DeValue<'_>) -> Result<Self, Complaint> {
        if value.as_str() == Some("auto") {
            return Ok(Self::Auto);
        }
        count(value).map(Self::Each).map_err(|complaint| Complaint {
            help: format!("{}, or \"auto\"", complaint.help),
            ..complaint
        })
    }
}

pub(crate) fn count(value: &DeValue<'_>) -> Result<Limit<u32>, Complaint> {
    values::limit(value, |value| values::number(value, 1, u32::MAX))
}

pub(crate) fn channels(value: &DeValue<'_>) -> Result<Limit<u32>, Complaint> {
    // RFC 8656, section 12: channel numbers are 0x4000 to 0x4FFF.
    values::limit(value, |value| values::number(value, 1, 4096))
}

pub(crate) fn rate(value: &DeValue<'_>) -> Result<Limit<Rate>, Complaint> {
    values::limit(value, |value| {
        if let Some(number) = value.as_integer() {
            let help = format!("write how often, in quotes: \"{number}/s\"");
            return Err(Complaint::wrong_type("a rate", value, help));
        }
        Rate::parse(values::text(value, "1000/s burst 2000")?)
    })
}

pub(crate) fn bandwidth(value: &DeValue<'_>) -> Result<Limit<BitRate>, Complaint> {
    values::limit(value, |value| {
        if let Some(number) = value.as_integer() {
            // A small number was surely not meant in bits.
            let unit = if number.as_str().len() < 5 { "Mbit/s" } else { "bit/s" };
            let help = format!("write it with its unit, in quotes: \"{number} {unit}\"");
            return Err(Complaint::wrong_type("a bandwidth", value, help));
        }
        BitRate::parse(values::text(value, "20 Mbit/s")?)
    })
}

pub(crate) fn lifetime(value: &DeValue<'_>) -> Result<Duration, Complaint> {
    // RFC 8656, section 7.2: the default lifetime of 600 s must remain possible. [T10]
    values::duration(value, Duration::from_secs(600), Duration::from_secs(86_400))
}

pub(crate) fn age(value: &DeValue<'_>) -> Result<Duration, Complaint> {
    values::duration(value, Duration::from_secs(600), Duration::from_secs(365 * 86_400))
}
