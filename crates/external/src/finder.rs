//! Asks the sources, in their order, for every relay address.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use tokio::task::JoinSet;

use crate::metadata::{self, Assigned};
use crate::{PUBLIC_STUN_SERVERS, Source, name, public, stun};

/// Finds public addresses.
#[derive(Debug, Clone)]
pub struct Finder {
    /// Where the metadata service is.
    metadata: SocketAddr,
    /// STUN servers of [`Source::Auto`].
    public_stun: Vec<String>,
}

/// What was found, and what was not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Discovery {
    /// One for each relay address that somebody knows the public address of, in their order.
    pub found: Vec<Found>,
    /// Why there is nothing for the others.
    pub failures: Vec<Failure>,
}

/// The public address of a relay address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Where relay sockets are bound.
    pub bound: IpAddr,
    /// What peers see.
    pub public: IpAddr,
    /// Who said so.
    pub by: Source,
}

/// A source that did not know the public address of a relay address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Where relay sockets are bound.
    pub bound: IpAddr,
    /// Who was asked.
    pub source: Source,
    /// Why nothing came of it.
    pub reason: String,
}

impl Default for Finder {
    fn default() -> Self {
        Self::new(metadata::SERVICE, PUBLIC_STUN_SERVERS.map(str::to_owned).to_vec())
    }
}

impl Finder {
    /// Another metadata service and other public STUN servers than the usual ones.
    pub const fn new(metadata: SocketAddr, public_stun: Vec<String>) -> Self {
        Self { metadata, public_stun }
    }

    /// Asks for each of the `bound` addresses until somebody knows; about 5 s for each source at
    /// most, all addresses at a time.
    pub async fn discover(&self, sources: &[Source], bound: &[IpAddr]) -> Discovery {
        let assigned = if sources.iter().any(Source::asks_metadata) {
            metadata::addresses(self.metadata).await
        } else {
            Err("not asked".to_owned())
        };
        let mut tasks = JoinSet::new();
        for (place, bound) in bound.iter().copied().enumerate() {
            let (finder, sources) = (self.clone(), sources.to_vec());
            let assigned = assigned.clone();
            tasks.spawn(async move { (place, finder.find(&sources, bound, &assigned).await) });
        }
        let mut answers = tasks.join_all().await;
        answers.sort_by_key(|(place, _)| *place);
        let mut discovery = Discovery::default();
        for (_, answer) in answers {
            match answer {
                Ok(found) => discovery.found.push(found),
                Err(failures) => discovery.failures.extend(failures),
            }
        }
        discovery
    }

    /// The first source that knows.
    async fn find(
        &self,
        sources: &[Source],
        bound: IpAddr,
        assigned: &Result<Vec<Assigned>, String>,
    ) -> Result<Found, Vec<Failure>> {
        let mut failures = Vec::new();
        for source in sources {
            let answer = match source {
                Source::Auto => match of_metadata(assigned, bound) {
                    Ok(public) => Ok(public),
                    // Most hosts are in no cloud: nothing that anybody needs to hear of.
                    Err(_) => stun::mapped_by_any(&self.public_stun, bound).await,
                },
                Source::Stun(server) => stun::mapped(server, bound).await,
                Source::Dns(name) => name::address_of(name, bound).await,
                Source::Metadata => of_metadata(assigned, bound),
            };
            let answer = answer.and_then(|public| match public::objection(public, bound) {
                Some(objection) => Err(format!("{source} says {public}, which is {objection}")),
                None => Ok(public),
            });
            match answer {
                Ok(public) => return Ok(Found { bound, public, by: source.clone() }),
                Err(reason) => failures.push(Failure { bound, source: source.clone(), reason }),
            }
        }
        Err(failures)
    }
}

impl Source {
    const fn asks_metadata(&self) -> bool {
        match self {
            Self::Auto | Self::Metadata => true,
            Self::Stun(_) | Self::Dns(_) => false,
        }
    }
}

fn of_metadata(assigned: &Result<Vec<Assigned>, String>, bound: IpAddr) -> Result<IpAddr, String> {
    let assigned = assigned.as_ref().map_err(Clone::clone)?;
    metadata::choose(assigned, bound)
        .ok_or_else(|| format!("the metadata service knows no public address of {bound}"))
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "relay.external = [\"{}\"]: nothing for {}: {}",
            self.source, self.bound, self.reason
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake_http::FakeHttp;
    use crate::fake_stun::{FakeStun, Say};

    #[tokio::test]
    async fn the_first_source_that_knows_counts() {
        let stun = FakeStun::start(&[Say::Mapped(ip("203.0.113.7"))]);
        let finder = Finder::new(nowhere(), Vec::new());
        let sources = [Source::Metadata, Source::Stun(stun.name())];
        let discovery = finder.discover(&sources, &[LOCAL]).await;
        let by = Source::Stun(stun.name());
        assert_eq!(discovery.found, [Found { bound: LOCAL, public: ip("203.0.113.7"), by }]);
        assert_eq!(discovery.failures, []);
    }

    #[tokio::test]
    async fn every_relay_address_gets_its_own() {
        let stun = FakeStun::start(&[Say::Mapped(ip("203.0.113.7"))]);
        let finder = Finder::new(nowhere(), Vec::new());
        let bound = [LOCAL, ip("127.0.0.2"), ip("::1")];
        let discovery = finder.discover(&[Source::Stun(stun.name())], &bound).await;
        let found: Vec<_> = discovery.found.iter().map(|found| found.bound).collect();
        assert_eq!(found, bound[..2]);
        let [failure] = discovery.failures.as_slice() else { panic!("{discovery:?}") };
        assert_eq!(failure.bound, ip("::1"));
        let line = failure.to_string();
        assert!(line.starts_with("relay.external = [\"auto:127.0.0.1:"), "{line}");
        assert!(line.ends_with("has no address of the family"), "{line}");
    }

    #[tokio::test]
    async fn auto_asks_the_cloud_first_and_nobody_else_then() {
        let cloud = FakeHttp::start(&[
            ("GET /hetzner/v1/metadata/public-ipv4", 200, "203.0.113.9"),
            ("GET /hetzner/v1/metadata/local-ipv4", 404, ""),
        ]);
        let stun = FakeStun::start(&[Say::Mapped(ip("203.0.113.7"))]);
        let finder = Finder::new(cloud.address(), vec![stun.name()]);
        let discovery = finder.discover(&[Source::Auto], &[LOCAL]).await;
        assert_eq!(discovery.found[0].public, ip("203.0.113.9"));
        assert_eq!(stun.asked(), 0);
    }

    #[tokio::test]
    async fn auto_asks_public_servers_where_there_is_no_cloud() {
        let stun = FakeStun::start(&[Say::Mapped(ip("203.0.113.7"))]);
        let finder = Finder::new(nowhere(), vec![stun.name()]);
        let discovery = finder.discover(&[Source::Auto], &[LOCAL]).await;
        let expected = Found { bound: LOCAL, public: ip("203.0.113.7"), by: Source::Auto };
        assert_eq!(discovery.found, [expected]);
    }

    #[tokio::test]
    async fn a_name_that_leads_to_this_host_only_is_refused() {
        let finder = Finder::new(nowhere(), Vec::new());
        let discovery = finder.discover(&[Source::Dns("localhost".to_owned())], &[LOCAL]).await;
        let [failure] = discovery.failures.as_slice() else { panic!("{discovery:?}") };
        assert!(failure.reason.contains("which is of this host"), "{failure}");
    }

    /// A port where nobody listens.
    fn nowhere() -> SocketAddr {
        std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    const LOCAL: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
}
