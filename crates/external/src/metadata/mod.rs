//! The metadata service of a cloud, which every instance reaches at one link-local address.
//!
//! All known dialects are asked at a time, since nothing tells beforehand whose cloud this is. On a
//! host in no cloud the connection fails or stays without an answer for a second.

mod dialects;
mod http;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use dialects::Dialect;

/// Where clouds have it.
pub(crate) const SERVICE: SocketAddr =
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)), 80);

/// How long a connection and each answer may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);

/// A public address as the cloud assigned it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Assigned {
    /// The address of the instance that it leads to, where that is said.
    pub(crate) local: Option<IpAddr>,
    /// What the world sees.
    pub(crate) public: IpAddr,
}

/// The public addresses that the service knows.
///
/// # Errors
/// There is no such service, or it says nothing in a dialect that we know.
pub(crate) async fn addresses(service: SocketAddr) -> Result<Vec<Assigned>, String> {
    // One look at the door: without it, every dialect would wait on a host in no cloud.
    match timeout(PATIENCE, TcpStream::connect(service)).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => return Err(format!("no metadata service at {service}: {error}")),
        Err(_) => return Err(format!("no metadata service at {service}")),
    }
    let mut asked: JoinSet<_> = Dialect::ALL
        .into_iter()
        .map(|dialect| async move { (dialect, dialect.ask(service).await) })
        .collect();
    let mut answers = Vec::new();
    while let Some(answer) = asked.join_next().await {
        answers.extend(answer.ok().filter(|(_, assigned)| !assigned.is_empty()));
    }
    // More than one may be spoken; the first one of the list knows most.
    answers.sort_by_key(|(dialect, _)| *dialect);
    let (_, assigned) = answers
        .into_iter()
        .next()
        .ok_or_else(|| format!("the metadata service at {service} names no public address"))?;
    Ok(assigned)
}

/// The public address of `bound`: the one that leads to it, `bound` itself where it is public, or
/// the only one of the family where nothing says where it leads.
pub(crate) fn choose(assigned: &[Assigned], bound: IpAddr) -> Option<IpAddr> {
    let family = assigned.iter().filter(|entry| entry.public.is_ipv4() == bound.is_ipv4());
    let leads = |entry: &&Assigned| entry.local == Some(bound) || entry.public == bound;
    if let Some(entry) = family.clone().find(leads) {
        return Some(entry.public);
    }
    let mut anywhere = family.filter(|entry| entry.local.is_none());
    let only = anywhere.next()?.public;
    anywhere.all(|entry| entry.public == only).then_some(only)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_that_of_the_interface_that_it_leads_to() {
        let to =
            |local: Option<&str>, public| Assigned { local: local.map(ip), public: ip(public) };
        let several = [
            to(Some("10.0.0.5"), "203.0.113.5"),
            to(Some("10.0.0.6"), "203.0.113.6"),
            to(None, "2001:db8::5"),
        ];
        assert_eq!(choose(&several, ip("10.0.0.6")), Some(ip("203.0.113.6")));
        assert_eq!(choose(&several, ip("203.0.113.5")), Some(ip("203.0.113.5")));
        assert_eq!(choose(&several, ip("10.0.0.7")), None, "nobody said so");
        assert_eq!(choose(&several, ip("fd00::5")), Some(ip("2001:db8::5")));
        let vague = [to(None, "203.0.113.5"), to(None, "203.0.113.6")];
        assert_eq!(choose(&vague, ip("10.0.0.5")), None);
        assert_eq!(choose(&vague[..1], ip("10.0.0.5")), Some(ip("203.0.113.5")));
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }
}
