//! The public addresses of relay addresses, where `relay.external` leaves it to us to find them.
//!
//! They are asked for before the first packet is served, and followed from then on: new allocations
//! are told the new address, those that live keep theirs.

use std::net::IpAddr;
use std::sync::Arc;

use tracing::{error, info, warn};
use turn_config::{Config, Discover};
use turn_engine::RelayAddress;
use turn_external::{Finder, Found, Source, watch};

use crate::learned::Public;
use crate::plan::is_written;
use crate::running::Running;

/// Where to ask.
pub fn sources(config: &Config) -> Vec<Source> {
    let source = |discover: &Discover| match discover {
        Discover::Stun(None) => Source::Auto,
        Discover::Stun(Some(server)) => Source::Stun(server.clone()),
        Discover::Dns(name) => Source::Dns(name.clone()),
        Discover::Metadata => Source::Metadata,
    };
    config.relay.discover.iter().map(source).collect()
}

/// The relay addresses whose public one is to be found: it is not written, and there is somebody
/// to ask.
pub fn asked_for(config: &Config, relays: &[RelayAddress]) -> Vec<IpAddr> {
    if config.relay.discover.is_empty() {
        return Vec::new();
    }
    let written = |bound| is_written(bound, &config.relay.external);
    relays.iter().map(|relay| relay.bound).filter(|bound| !written(*bound)).collect()
}

/// Asks once, at the start. Nobody who answers is no reason not to serve: the bound address stays.
pub fn find(config: &Config, relays: &[RelayAddress]) -> std::io::Result<Vec<Found>> {
    let (sources, bound) = (sources(config), asked_for(config, relays));
    if bound.is_empty() {
        return Ok(Vec::new());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let discovery = runtime.block_on(Finder::default().discover(&sources, &bound));
    // A look-up of a name that nobody answers is not waited for.
    runtime.shutdown_background();
    for found in &discovery.found {
        info!(bound = %found.bound, public = %found.public, "the public address of this host");
    }
    for bound in bound.iter().filter(|bound| !discovery.found.iter().any(|it| it.bound == **bound))
    {
        let of = discovery.failures.iter().filter(|failure| failure.bound == *bound);
        let reasons: Vec<String> = of.map(ToString::to_string).collect();
        warn!(
            "relay.external: no public address is found for {bound}, so clients are told {bound} itself until one is: {}; \
             write relay.external = [\"PUBLIC={bound}\"] to go without asking",
            reasons.join("; ")
        );
    }
    Ok(discovery.found)
}

/// Bound and public, as [`Learned`](crate::learned::Learned) takes them.
pub fn pairs(found: &[Found]) -> Vec<(IpAddr, IpAddr)> {
    found.iter().map(|found| (found.bound, found.public)).collect()
}

/// What is believed already, as a watch takes it.
fn known(public: &[Public], sources: &[Source]) -> Vec<Found> {
    let Some(by) = sources.first() else { return Vec::new() };
    let found = |it: &Public| Found { bound: it.bound, public: it.advertised, by: by.clone() };
    public.iter().map(found).collect()
}

impl Running {
    /// Follows the public addresses, as the configuration in force has it.
    pub(crate) async fn follow_addresses(self: Arc<Self>) {
        loop {
            let config = self.config();
            let (sources, bound) =
                (sources(&config), asked_for(&config, &self.server.relay().addresses));
            let known = known(&self.server.learned().public, &sources);
            let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
            let following = async {
                if bound.is_empty() {
                    std::future::pending::<()>().await;
                }
                let every = config.relay.external_refresh;
                watch(Finder::default(), sources, bound, every, known, |found| {
                    // Whoever takes it lives as long as this does.
                    let _ = tell.send(found.to_vec());
                })
                .await;
            };
            tokio::pin!(following);
            loop {
                tokio::select! {
                    () = &mut following => {}
                    Some(found) = told.recv() => self.take_addresses(&found).await,
                    // Reloaded: from the beginning, with what it says now.
                    () = self.reloaded.notified() => break,
                }
            }
        }
    }

    async fn take_addresses(&self, found: &[Found]) {
        let _turn = self.certificates.lock().await;
        let config = self.config();
        // What was asked for before a reload may be written by now.
        let asked = asked_for(&config, &self.server.relay().addresses);
        let mut pairs = pairs(found);
        pairs.retain(|(bound, _)| asked.contains(bound));
        let learned = self.server.learn(&config, |learned| learned.set_public(&pairs)).await;
        if let Err(error) = learned {
            error!(%error, "a shard does not take the new public address over");
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::path::Path;

    use super::*;

    #[test]
    fn only_addresses_that_are_not_written_are_asked_for() {
        let relay = |bound: &str| RelayAddress::new(bound.parse().unwrap(), bound.parse().unwrap());
        let relays = [relay("10.0.0.1"), relay("10.0.0.2"), relay("fd00::1")];
        let config = |external: &str| {
            turn_config::from_str(&format!("[relay]\nexternal = {external}"), Path::new("t"))
                .unwrap()
        };
        let asked = |external: &str| asked_for(&config(external), &relays).len();
        assert_eq!(asked("'auto'"), 3);
        assert_eq!(asked("['auto', '203.0.113.1=10.0.0.1']"), 2);
        assert_eq!(asked("['203.0.113.1=10.0.0.1']"), 0, "nobody to ask");
        assert_eq!(sources(&config("['auto:192.0.2.1:3478', 'metadata']")).len(), 2);
    }
}
