//! The world: a server, its clients and peers, and time.

use std::borrow::Borrow;
use std::cell::RefCell;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use turn_credentials::KeyAlgorithm;
use turn_engine::{
    AllocationId, Counters, Direction, FiveTuple, Now, OpenError, PortCount, Realm, RealmId,
    RelayAddress, Report, Settings, ShardId, Shared, TimeLimitedRules, Transport,
};

use crate::addresses::{SERVER4, SERVER6};
use crate::client::Client;
use crate::emitted::Emitted;
use crate::invariants;
use crate::peer::Peer;
use crate::peer_connection::{PeerAnswer, PeerConnection};
use crate::reference::Reference;
use crate::seen::Seen;
use crate::setup::Setup;
use crate::simulation::Simulation;
use crate::store::StoreMode;

/// A server with everything around it. Clones are the same world.
#[derive(Clone)]
pub struct World {
    simulation: Rc<RefCell<Simulation>>,
}

impl World {
    /// A server of one shard, with an IPv4 and an IPv6 relay address and nobody who may
    /// allocate.
    #[expect(clippy::new_without_default, reason = "a world is made with words")]
    pub fn new() -> Self {
        let simulation = Simulation::default();
        Self { simulation: Rc::new(RefCell::new(simulation)) }
    }

    /// Adds a static user with a password.
    #[must_use]
    pub fn user(self, name: &str, password: &str) -> Self {
        self.setup(|setup| setup.add_user(name, password, None))
    }

    /// Adds a static user of whom the server knows one key only.
    #[must_use]
    pub fn user_with_key(self, name: &str, password: &str, only: KeyAlgorithm) -> Self {
        self.setup(|setup| setup.add_user(name, password, Some(only)))
    }

    /// Has time-limited names under one shared secret.
    #[must_use]
    pub fn secret(self, secret: &str) -> Self {
        self.setup(|setup| setup.set_secrets(&[secret]))
    }

    /// Reads time-limited names so.
    #[must_use]
    pub fn rules(self, rules: TimeLimitedRules) -> Self {
        self.setup(|setup| setup.rules = rules)
    }

    /// Changes settings before the start.
    #[must_use]
    pub fn settings(self, change: impl FnOnce(&mut Settings)) -> Self {
        self.setup(|setup| change(&mut setup.settings))
    }

    /// Changes the default realm before the start.
    #[must_use]
    pub fn realm(self, change: impl FnOnce(&mut Realm)) -> Self {
        self.setup(|setup| change(setup.realm()))
    }

    /// Runs so many shards.
    #[must_use]
    pub fn shards(self, shards: u8) -> Self {
        self.setup(|setup| setup.shards = shards)
    }

    /// Relays at these ports.
    #[must_use]
    pub fn ports(self, ports: RangeInclusive<u16>) -> Self {
        self.setup(|setup| setup.ports = ports)
    }

    /// Relays at these addresses, each advertised as it is bound.
    #[must_use]
    pub fn relays(self, addresses: &[IpAddr]) -> Self {
        let here = |&address: &IpAddr| RelayAddress::new(address, address);
        let addresses = addresses.iter().map(here).collect();
        self.settings(|settings| settings.relay.addresses = addresses)
    }

    /// Relays at one address that is known by another outside.
    #[must_use]
    pub fn external(self, bound: IpAddr, advertised: IpAddr) -> Self {
        let addresses = vec![RelayAddress::new(bound, advertised)];
        self.settings(|settings| settings.relay.addresses = addresses)
    }

    /// Seeds all randomness.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        self.setup(|setup| setup.seed = seed)
    }

    /// Changes the setup before the start.
    #[must_use]
    pub fn setup(self, change: impl FnOnce(&mut Setup)) -> Self {
        change(&mut self.simulation.borrow_mut().setup);
        self
    }

    /// Changes the configuration of the running server.
    pub fn reload(&self, change: impl FnOnce(&mut Setup)) -> Emitted {
        self.run(|simulation| {
            let before = simulation.setup.settings.relay.addresses.clone();
            change(&mut simulation.setup);
            simulation.setup.settings.relay.follow(&before);
            simulation.reload()
        })
    }

    /// An operator ends an allocation; whether it was there.
    pub fn end_allocation(&self, id: AllocationId) -> bool {
        self.run(|simulation| simulation.end_allocation(id))
    }

    /// How the credential store answers from now on.
    pub fn store(&self, mode: StoreMode) {
        self.run(|simulation| simulation.store.mode = mode);
    }

    /// The store answers what it has kept waiting.
    pub fn answer_keys(&self) -> Emitted {
        self.run(Simulation::answer_keys)
    }

    /// The names that the store was asked for since the last call.
    pub fn names_asked(&self) -> Vec<String> {
        let asked = self.run(|simulation| std::mem::take(&mut simulation.store.asked));
        asked.into_iter().map(|(_, name)| name).collect()
    }

    /// Requests that wait for the store, of all shards.
    pub fn waiting_for_keys(&self) -> usize {
        self.run(|simulation| {
            simulation.process().engines.iter().map(|engine| engine.waiting_for_keys()).sum()
        })
    }

    /// A credential is disabled, each shard looked at in steps of `most` places: how many
    /// allocations have ended.
    pub fn end_allocations_of(&self, realm: RealmId, user: &str, most: usize) -> (usize, Emitted) {
        self.run(|simulation| simulation.end_allocations_of(realm, user, most))
    }

    /// From now on nothing new begins, or again.
    pub fn drain(&self, is_draining: bool) {
        self.shared().set_draining(is_draining);
    }

    /// Every live allocation, each shard looked at in steps of `most` places.
    pub fn survey(&self, most: usize) -> Vec<Seen> {
        self.run(|simulation| {
            let now = simulation.clock.now();
            let mut seen = Vec::new();
            for engine in &simulation.process().engines {
                let mut cursor = Some(0);
                while let Some(first) = cursor {
                    cursor = engine.survey(now, first, most, &mut |it| seen.push(Seen::of(it)));
                }
            }
            seen
        })
    }

    /// Moves time; what expires on the way is swept at once.
    pub fn advance(&self, by: Duration) -> Emitted {
        self.run(|simulation| simulation.advance(by))
    }

    /// Moves time without giving the engines a chance to sweep.
    pub fn advance_without_sweep(&self, by: Duration) {
        self.run(|simulation| {
            simulation.clock.advance(by);
            simulation.is_unswept = true;
        });
    }

    /// Moves wall time alone, as an operator or NTP does.
    pub fn jump_wall_clock(&self, seconds: i64) {
        self.run(|simulation| simulation.clock.jump(seconds));
    }

    /// The time.
    pub fn now(&self) -> Now {
        self.look(|simulation| simulation.clock.now())
    }

    /// A new client, at an address of its own, with the password that its name was given.
    pub fn client(&self, name: &str) -> Client {
        let at = self.look(|simulation| simulation.clients.len());
        let number = u16::try_from(at).expect("fewer clients than ports");
        self.client_at(name, SocketAddr::from(([192, 0, 2, 10], 40_000 + number)))
    }

    /// A new client over TCP.
    pub fn tcp_client(&self, name: &str) -> Client {
        self.client(name).over(Transport::Tcp)
    }

    /// A new client over TCP whose connection this shard accepts.
    ///
    /// # Panics
    /// As [`client_on`](Self::client_on).
    pub fn tcp_client_on(&self, shard: u8, name: &str) -> Client {
        self.client_on(shard, name).over(Transport::Tcp)
    }

    /// A new client at this address.
    pub fn client_at(&self, name: &str, client: SocketAddr) -> Client {
        let tuple = FiveTuple { transport: Transport::Udp, client, server: server_of(client) };
        self.run(|simulation| Client::enter(self.clone(), simulation, name, tuple))
    }

    /// A new client whose packets reach this shard.
    ///
    /// # Panics
    /// When there is no such shard.
    pub fn client_on(&self, shard: u8, name: &str) -> Client {
        let number = self.look(|simulation| simulation.clients.len());
        let first = 20_000 + u16::try_from(number).expect("fewer clients than ports") * 64;
        let reaches = |port: &u16| {
            let client = SocketAddr::from(([192, 0, 2, 20], *port));
            self.shard_of(client) == ShardId(shard)
        };
        let port = (first..first + 64).find(reaches).expect("a port for every shard");
        self.client_at(name, SocketAddr::from(([192, 0, 2, 20], port)))
    }

    /// The shard that a UDP client at this address reaches.
    pub fn shard_of(&self, client: SocketAddr) -> ShardId {
        let tuple = FiveTuple { transport: Transport::Udp, client, server: server_of(client) };
        self.run(|simulation| {
            simulation.process();
            simulation.kernel.shard_of(&tuple)
        })
    }

    /// A peer at this address.
    pub fn peer(&self, address: SocketAddr) -> Peer {
        Peer::new(self.clone(), address)
    }

    /// Any bytes from any address, over UDP.
    pub fn from_client(&self, client: SocketAddr, bytes: &[u8]) -> Emitted {
        let tuple = FiveTuple { transport: Transport::Udp, client, server: server_of(client) };
        self.from_tuple(tuple, bytes)
    }

    /// Any bytes on any 5-tuple.
    pub fn from_tuple(&self, tuple: FiveTuple, bytes: &[u8]) -> Emitted {
        self.run(|simulation| simulation.client_sends(tuple, bytes))
    }

    /// Data must reach the peer: by the client's channel for it, else by Send.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn expect_relayed(&self, client: impl Borrow<Client>, peer: SocketAddr, data: &[u8]) {
        let client = client.borrow();
        let now = self.now().mono;
        let channel = self.reference(|book| book.channel_of(&client.tuple(), peer, now));
        let emitted = match channel {
            Some(channel) => client.channel_data(channel, data),
            None => client.send(peer, data),
        };
        emitted.expect_at_peer(peer, data);
    }

    /// A day after everybody has gone, nothing may be left.
    ///
    /// # Panics
    /// When something is.
    pub fn expect_nothing_left_in_the_end(&self) {
        self.advance(Duration::from_secs(86_400));
        self.run(invariants::nothing_is_left);
    }

    /// Another process has this port of a relay address.
    pub fn take_port(&self, address: SocketAddr) {
        self.run(|simulation| simulation.kernel.take_port(address));
    }

    /// Every bind fails so, until it is told otherwise.
    pub fn fail_binds(&self, error: Option<OpenError>) {
        self.run(|simulation| simulation.kernel.failing = error);
    }

    /// The host is slow: completions wait.
    pub fn hold_completions(&self) {
        self.run(|simulation| simulation.is_holding = true);
    }

    /// The host has caught up.
    pub fn release_completions(&self) -> Emitted {
        self.run(Simulation::release)
    }

    /// A client's stream ends.
    pub fn close_link(&self, client: &Client) {
        let tuple = client.tuple();
        self.run(|simulation| simulation.close_link(tuple));
    }

    /// What becomes of connections to peers outside from now on.
    pub fn peers_answer(&self, answer: PeerAnswer) {
        self.run(|simulation| simulation.kernel.peers = answer);
    }

    /// Connections of relay sockets with peers, those that are being made included.
    pub fn peer_connections(&self) -> Vec<PeerConnection> {
        self.look(|simulation| simulation.kernel.connections.values().copied().collect())
    }

    /// The peer ends its connection.
    pub fn close_peer(&self, id: u32) {
        self.run(|simulation| simulation.end_connection(id));
    }

    /// So many bytes wait at a spliced connection: whether they may flow now.
    pub fn flows(&self, id: u32, direction: Direction, bytes: usize) -> bool {
        self.run(|simulation| simulation.flows(id, direction, bytes))
    }

    /// Whether a client's connection is one that its shard needs.
    pub fn serves(&self, client: &Client) -> bool {
        let (tuple, shard) = (client.tuple(), client.shard());
        self.run(|simulation| {
            let now = simulation.clock.now();
            let engine = simulation.process().engines.get(usize::from(shard.0));
            engine.expect("a shard of this process").serves(now, &tuple)
        })
    }

    /// The socket of a relayed transport address fails for good.
    pub fn fail_relay(&self, relayed: SocketAddr) {
        self.run(|simulation| simulation.fail_relay(relayed));
    }

    /// Live allocations of all shards.
    pub fn allocations(&self) -> usize {
        self.run(|simulation| {
            simulation.process().engines.iter().map(|engine| engine.allocations()).sum()
        })
    }

    /// Relayed transport addresses of all shards, reserved ones included.
    pub fn relay_count(&self) -> usize {
        self.run(|simulation| {
            simulation.process().engines.iter().map(|engine| engine.relays()).sum()
        })
    }

    /// Quota units in use.
    pub fn quota_units(&self) -> u32 {
        self.run(|simulation| simulation.process().shared.allocations())
    }

    /// UDP ports of a relay address by state.
    pub fn port_count(&self, relay_address: usize) -> PortCount {
        self.run(|simulation| {
            let now = simulation.clock.now().mono;
            let shared = &simulation.process().shared;
            let ports = shared.ports(relay_address).expect("a relay address");
            ports.count(shared.second(now))
        })
    }

    /// TCP ports of a relay address by state.
    pub fn tcp_port_count(&self, relay_address: usize) -> PortCount {
        self.run(|simulation| {
            let now = simulation.clock.now().mono;
            let shared = &simulation.process().shared;
            let ports = shared.tcp_ports(relay_address).expect("a relay address");
            ports.count(shared.second(now))
        })
    }

    /// What the shards share.
    pub fn shared(&self) -> Arc<Shared> {
        self.run(|simulation| Arc::clone(&simulation.process().shared))
    }

    /// The counters of each shard.
    pub fn counters(&self) -> Vec<Arc<Counters>> {
        self.run(|simulation| {
            simulation.process().engines.iter().map(|engine| engine.counters()).collect()
        })
    }

    /// What was reported since the last call.
    pub fn reports(&self) -> Vec<Report> {
        self.run(|simulation| std::mem::take(&mut simulation.reports))
    }

    /// Asks the reference.
    pub fn reference<T>(&self, ask: impl FnOnce(&Reference) -> T) -> T {
        self.look(|simulation| ask(&simulation.reference))
    }

    /// Every engine as its `Debug` shows it.
    pub fn debug_output(&self) -> String {
        self.run(|simulation| format!("{:?}", simulation.process().engines))
    }

    pub(crate) fn run<T>(&self, act: impl FnOnce(&mut Simulation) -> T) -> T {
        act(&mut self.simulation.borrow_mut())
    }

    pub(crate) fn look<T>(&self, ask: impl FnOnce(&Simulation) -> T) -> T {
        ask(&RefCell::borrow(&self.simulation))
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("World(..)")
    }
}

const fn server_of(client: SocketAddr) -> SocketAddr {
    match client {
        SocketAddr::V4(_) => SERVER4,
        SocketAddr::V6(_) => SERVER6,
    }
}
