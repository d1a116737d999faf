//! An engine with a host that has no sockets: every relay opens, replies go to
//! a buffer, time stands still until it is moved.
//!
//! The clients sign and prove as real ones do; only what the engine does is
//! timed.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use turn_client::{AllocateOptions, ChannelBind, Operation, Progress, Refresh, Session};
use turn_codec::{ChannelNumber, TransactionId};
use turn_credentials::UnixSeconds;
use turn_engine::{
    Action, AddressRange, Completion, Engine, FiveTuple, Keyring, Link, LinkId, NonceKey, Now,
    Outcome, PeerPolicy, PeerRule, Random, Realm, RealmId, RelayAddress, RelayId, RelaySettings,
    Settings, ShardId, Shared, TimeLimitedRules, Transport, UserSecret,
};

use crate::Credentials;

/// One shard's engine and the state of its host.
pub struct VirtualHost {
    engine: Engine,
    now: Now,
    /// The last reply, empty if there was none.
    reply: Vec<u8>,
    /// The last relay that was opened.
    opened: Option<RelayId>,
    transactions: u64,
    spent: Duration,
}

/// A client: its 5-tuple, what it knows of the server, what it was given.
pub struct VirtualClient {
    /// Its 5-tuple.
    pub link: Link,
    /// Its relayed transport address as the host names it.
    pub relay: RelayId,
    /// Its relayed transport address as peers see it.
    pub relayed: SocketAddr,
    session: Session,
}

const SERVER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 7);

/// The peers of all clients, opened by an `allow` entry as an operator's own
/// network would be.
const PEERS: [Ipv4Addr; 2] = [Ipv4Addr::new(203, 0, 113, 0), Ipv4Addr::new(203, 0, 113, 255)];

impl VirtualHost {
    /// An engine without allocations, with one user and one relay address.
    ///
    /// # Panics
    /// Never: user, addresses and ports are constants.
    #[expect(clippy::expect_used, reason = "constants")]
    pub fn new() -> Self {
        let mut keyring = Keyring::new(TimeLimitedRules::default());
        let password = UserSecret::Password(Credentials::PASSWORD);
        keyring
            .add_user(Credentials::REALM, Credentials::USERNAME, &password)
            .expect("a plain name");
        let here = IpAddr::V4(SERVER);
        let range = AddressRange::new(PEERS[0].into(), PEERS[1].into()).expect("a range");
        let peers = PeerPolicy {
            allow: vec![PeerRule { range, ports: None }],
            own: vec![here],
            endpoints: vec![server()],
            ..PeerPolicy::default()
        };
        let settings = Settings {
            realms: vec![Realm { keyring, peers, ..Realm::new(Credentials::REALM) }],
            relay: RelaySettings {
                addresses: vec![RelayAddress { bound: here, advertised: here }],
                ..RelaySettings::default()
            },
            ..Settings::default()
        };
        let now = Now { mono: Instant::now(), unix: UnixSeconds(1_800_000_000) };
        let ports = 49_152..=65_535;
        let shared = Arc::new(Shared::new(1, &ports, NonceKey::new([7; 32]), now.mono));
        let engine = Engine::new(ShardId(0), Arc::new(settings), shared, seeded());
        Self {
            engine,
            now,
            reply: Vec::new(),
            opened: None,
            transactions: 0,
            spent: Duration::ZERO,
        }
    }

    /// The same with clients, each with a channel to [`peer`](Self::peer).
    ///
    /// # Panics
    /// When one is refused, which is a mistake of the bench.
    pub fn with_clients(count: u16) -> (Self, Vec<VirtualClient>) {
        let mut host = Self::new();
        let clients = (0..count)
            .map(|number| {
                let mut client = host.allocate(client_address(number));
                host.bind(&mut client, Self::peer());
                client
            })
            .collect();
        (host, clients)
    }

    /// The peer that clients talk to.
    pub fn peer() -> SocketAddr {
        SocketAddr::from((Ipv4Addr::new(203, 0, 113, 5), 40_000))
    }

    /// The one channel of each client.
    pub const fn channel() -> ChannelNumber {
        ChannelNumber::MIN
    }

    /// Allocates, with its challenge.
    ///
    /// # Panics
    /// When the engine refuses, which is a mistake of the bench.
    #[expect(clippy::expect_used, reason = "a bench stops at its first surprise")]
    pub fn allocate(&mut self, client: SocketAddr) -> VirtualClient {
        let tuple = FiveTuple { transport: Transport::Udp, client, server: server() };
        let link = Link { id: LinkId(0), tuple, realm: RealmId(0) };
        let mut session = Session::new(Credentials::of_client()).expect("a plain name");
        self.opened = None;
        let granted = self.transact(link, &mut session, AllocateOptions::default());
        let relay = self.opened.take().expect("a relay was opened");
        VirtualClient { link, relay, relayed: granted.relayed, session }
    }

    /// Binds the one channel.
    ///
    /// # Panics
    /// As [`allocate`](Self::allocate).
    pub fn bind(&mut self, client: &mut VirtualClient, peer: SocketAddr) {
        let bind = ChannelBind { number: Self::channel().into(), peer };
        self.transact(client.link, &mut client.session, bind);
    }

    /// Ends the allocation.
    ///
    /// # Panics
    /// As [`allocate`](Self::allocate).
    pub fn end(&mut self, mut client: VirtualClient) {
        let refresh = Refresh { lifetime: Some(Duration::ZERO), family: None };
        self.transact(client.link, &mut client.session, refresh);
    }

    /// A packet from a client.
    #[inline]
    pub fn from_client(&mut self, client: &VirtualClient, bytes: &[u8]) -> Outcome {
        self.engine.from_client(self.now, client.link, bytes)
    }

    /// A packet from a peer to the relayed transport address of a client.
    #[inline]
    pub fn from_peer(&mut self, client: &VirtualClient, peer: SocketAddr, bytes: &[u8]) -> Outcome {
        self.engine.from_peer(self.now, client.relay, peer, bytes)
    }

    /// Moves both clocks, by whole seconds.
    pub fn advance(&mut self, seconds: u32) {
        self.now.mono += Duration::from_secs(u64::from(seconds));
        self.now.unix.0 += u64::from(seconds);
    }

    /// How long the engine and its host have worked on requests so far.
    pub const fn spent(&self) -> Duration {
        self.spent
    }

    fn transact<O: Operation + Copy>(
        &mut self,
        link: Link,
        session: &mut Session,
        operation: O,
    ) -> O::Response {
        loop {
            self.transactions += 1;
            let mut id = [0; 12];
            id.iter_mut().zip(self.transactions.to_be_bytes()).for_each(|(to, from)| *to = from);
            let transaction = match session.begin(operation, TransactionId::new(id)) {
                Ok(transaction) => transaction,
                Err(error) => panic!("the request does not fit: {error}"),
            };
            let start = Instant::now();
            self.serve(link, transaction.bytes());
            self.spent += start.elapsed();
            match session.receive(&transaction, &self.reply) {
                Progress::Success(response) => return response,
                Progress::Retry(_) => {}
                other @ (Progress::Unrelated | Progress::Distrusted | Progress::Failure(_)) => {
                    panic!("the engine refuses: {}", describe(&other))
                }
            }
        }
    }

    /// What a host does with a request.
    fn serve(&mut self, link: Link, bytes: &[u8]) {
        self.reply.clear();
        self.engine.from_client(self.now, link, bytes);
        loop {
            let opened = match self.engine.poll_action() {
                None => return,
                Some(Action::Reply { bytes, .. }) => {
                    self.reply.clear();
                    self.reply.extend_from_slice(bytes);
                    continue;
                }
                Some(Action::OpenRelay { ticket, relay, .. }) => {
                    self.opened = Some(relay);
                    (ticket, Completion::Opened(relay))
                }
                Some(Action::ClaimReservation { ticket, .. }) => {
                    (ticket, Completion::Claimed(None))
                }
                // Nothing here is asked over TCP.
                Some(
                    Action::CloseRelay(_)
                    | Action::ConnectPeer { .. }
                    | Action::Splice { .. }
                    | Action::ClosePeer(_)
                    | Action::HandOver { .. }
                    | Action::Report(_),
                ) => continue,
            };
            let (ticket, done) = opened;
            self.engine.complete(self.now, ticket, done);
        }
    }
}

impl Default for VirtualHost {
    fn default() -> Self {
        Self::new()
    }
}

/// The transport address of a client; each has a port of its own.
fn client_address(number: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::new(192, 0, 2, 9), 10_000 + number))
}

fn server() -> SocketAddr {
    SocketAddr::from((SERVER, 3_478))
}

/// The same numbers in each run (SplitMix64).
fn seeded() -> Random {
    let mut state = 0_u64;
    Random::new(move |bytes| {
        for chunk in bytes.chunks_mut(8) {
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut word = state;
            word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            word ^= word >> 31;
            chunk.iter_mut().zip(word.to_be_bytes()).for_each(|(to, from)| *to = from);
        }
    })
}

fn describe<R>(progress: &Progress<R>) -> String {
    match progress {
        Progress::Unrelated => "no reply to the request".into(),
        Progress::Distrusted => "a reply that is not proven".into(),
        Progress::Retry(refusal) => format!("{refusal:?}"),
        Progress::Success(_) => "nothing".into(),
        Progress::Failure(error) => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use turn_engine::Route;

    use super::*;

    #[test]
    fn clients_relay_both_ways() {
        let (mut host, clients) = VirtualHost::with_clients(2);
        let peer = VirtualHost::peer();
        for client in &clients {
            let up = host.from_client(client, &[0x40, 0, 0, 2, 1, 2]);
            let via = client.relay;
            assert!(matches!(up, Outcome::Relay(it) if it.route == Route::Peer { via, peer }));
            assert!(matches!(host.from_peer(client, peer, b"x"), Outcome::Relay(_)));
        }
    }

    #[test]
    fn cycles_leave_nothing_behind_and_never_run_dry() {
        let mut host = VirtualHost::new();
        for _ in 0..200 {
            let client = host.allocate(client_address(1));
            host.end(client);
            host.advance(1);
        }
        assert_eq!((host.engine.allocations(), host.engine.relays()), (0, 0));
        assert!(host.spent() > Duration::ZERO);
    }
}
