//! Our server in the test's own process, with a journal, and scripted clients of it.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use turn_client::{AllocateOptions, Allocation, Client, Credentials};
use turn_codec::{ChannelNumber, Method};
use turn_config::Config;
use turn_net::Fleet;
use turnserver::plan::Origin;
use turnserver::server::Server;

use super::journal::Journal;

/// A running server; dropped, it is stopped.
#[derive(Debug)]
pub struct Scripted {
    /// There until the drop.
    server: Option<Server>,
    journal: Arc<Journal>,
}

impl Scripted {
    /// Starts a server; when this returns it answers.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start(config: &Config) -> Self {
        let journal = Arc::new(Journal::default());
        let observer = Arc::clone(&journal);
        let server = Server::start(config, Origin::File, None, observer);
        let server = server.unwrap_or_else(|error| panic!("{error}"));
        Self { server: Some(server), journal }
    }

    /// Takes over changed credentials, peers and limits.
    ///
    /// # Panics
    /// When the server refuses them.
    pub fn apply(&self, config: &Config) {
        self.server().apply(config, None).expect("a changed configuration is taken over");
    }

    /// The first address that it listens on.
    ///
    /// # Panics
    /// When it listens nowhere.
    pub fn address(&self) -> SocketAddr {
        self.server().listening().first().expect("it listens somewhere").address
    }

    /// Where it listens on one of its addresses.
    ///
    /// # Panics
    /// When it does not listen there.
    pub fn address_on(&self, address: IpAddr) -> SocketAddr {
        let mut listening = self.server().listening().iter().map(|listening| listening.address);
        listening.find(|listening| listening.ip() == address).expect("it listens there")
    }

    /// What the shards have reported.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// The shards.
    pub fn fleet(&self) -> &Fleet {
        self.server().fleet()
    }

    /// Responses to a method with a code so far, over all shards; 200 is success.
    pub fn responses(&self, method: Method, code: u16) -> u64 {
        self.fleet().counters().map(|shard| shard.responses(method, code)).sum()
    }

    /// A counter by name, over all shards.
    pub fn counter(&self, name: &str) -> u64 {
        self.counters().into_iter().find(|(known, _)| known == name).map_or(0, |(_, value)| value)
    }

    /// All counters that are not zero, to explain a failure.
    pub fn counters(&self) -> Vec<(String, u64)> {
        self.fleet().totals()
    }

    fn server(&self) -> &Server {
        self.server.as_ref().expect("it runs until the drop")
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        let stopped = self.server.take().map_or(Ok(()), |server| server.stop());
        // A second panic would hide the first.
        if !std::thread::panicking() {
            stopped.expect("every shard ends well");
        }
    }
}

/// A configuration as an operator writes it.
///
/// # Panics
/// When it has a mistake.
pub fn configured(toml: &str) -> Config {
    let config = turn_config::from_str(toml, Path::new("test.toml"));
    config.unwrap_or_else(|errors| panic!("{errors}"))
}

/// The static user of [`lab::config_with_user`](crate::lab::config_with_user)`("ann", "secret")`.
pub fn user() -> Credentials {
    Credentials::password("ann", "secret")
}

/// A client of a server on an address of this machine, which sends from that address. Its 5-tuple
/// is one that no client of this process has had: the kernel may give the port of a client that is
/// gone to the next, and the server still holds what the first one allocated.
///
/// # Panics
/// When it cannot be bound.
pub fn connect(server: SocketAddr, credentials: Credentials) -> Client {
    static USED: Mutex<BTreeSet<(SocketAddr, SocketAddr)>> = Mutex::new(BTreeSet::new());
    let local = SocketAddr::new(server.ip(), 0);
    // Held until a new one is found, so that none comes twice.
    let mut passed_over = Vec::new();
    loop {
        let client = Client::connect(local, server, credentials.clone());
        let client = client.expect("a client can be bound");
        let local = client.local_addr().expect("it is bound");
        if USED.lock().unwrap_or_else(PoisonError::into_inner).insert((local, server)) {
            return client;
        }
        passed_over.push(client);
    }
}

/// A client of [`user`] with a plain allocation.
///
/// # Panics
/// When the server grants none.
pub fn allocated(server: SocketAddr) -> (Client, Allocation) {
    let mut client = connect(server, user());
    let allocation = client.allocate(&AllocateOptions::default());
    let allocation = allocation.unwrap_or_else(|error| panic!("no allocation: {error}"));
    (client, allocation)
}

/// The n-th channel number, from 0x4000 on.
///
/// # Panics
/// When there is none.
pub fn channel(n: u16) -> ChannelNumber {
    ChannelNumber::new(ChannelNumber::MIN.get() + n).expect("a channel number")
}
