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

use stun_responder::{MAX_REPLY_LEN, Verdict, respond};
use turn_codec::attribute::{
    ChannelNumberAttribute, Lifetime, RequestedTransport, XorPeerAddress, XorRelayedAddress,
};
use turn_codec::{ChannelNumber, Message, MessageWriter, Method, NoRoom, TransactionId};
use turn_credentials::UnixSeconds;
use turn_engine::{
    Action, AddressRange, Completion, Engine, FiveTuple, Keyring, Link, LinkId, NonceKey, Now,
    Outcome, PeerPolicy, PeerRule, Random, Realm, RealmId, RelayAddress, RelayId, RelaySettings,
    Settings, ShardId, Shared, TimeLimitedRules, Transport, UserSecret,
};

use crate::VirtualClient;
use crate::virtual_client::{PASSWORD, Progress, REALM, Session, USERNAME};

/// One shard's engine and the state of its host.
pub struct VirtualHost {
    engine: Engine,
    settings: Arc<Settings>,
    shared: Arc<Shared>,
    now: Now,
    /// The last reply, empty if there was none.
    reply: Vec<u8>,
    /// The last relay that was opened.
    opened: Option<RelayId>,
    transactions: u64,
    spent: Duration,
    /// Every request so far, where that is wanted.
    asked: Option<Vec<Asked>>,
}

/// A request that a client made.
pub struct Asked {
    /// Its 5-tuple.
    pub link: Link,
    /// The request.
    pub bytes: Vec<u8>,
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
        let password = UserSecret::Password(PASSWORD);
        keyring.add_user(REALM, USERNAME, &password).expect("a plain name");
        let here = IpAddr::V4(SERVER);
        let range = AddressRange::new(PEERS[0].into(), PEERS[1].into()).expect("a range");
        let peers = PeerPolicy {
            allow: vec![PeerRule { range, ports: None }],
            own: vec![here],
            endpoints: vec![server()],
            ..PeerPolicy::default()
        };
        let settings = Settings {
            realms: vec![Realm { keyring, peers, ..Realm::new(REALM) }],
            relay: RelaySettings {
                addresses: vec![RelayAddress::new(here, here)],
                ..RelaySettings::default()
            },
            ..Settings::default()
        };
        let now = Now { mono: Instant::now(), unix: UnixSeconds(1_800_000_000) };
        let ports = 49_152..=65_535;
        let shared = Shared::new(1, &ports, NonceKey::new([7; 32]), now.mono);
        Self::of_shard(ShardId(0), Arc::new(settings), Arc::new(shared), now)
    }

    /// Another shard of the same process, without allocations.
    pub fn beside(&self, shard: ShardId) -> Self {
        Self::of_shard(shard, Arc::clone(&self.settings), Arc::clone(&self.shared), self.now)
    }

    fn of_shard(shard: ShardId, settings: Arc<Settings>, shared: Arc<Shared>, now: Now) -> Self {
        let random = seeded(shard);
        Self {
            engine: Engine::new(shard, Arc::clone(&settings), Arc::clone(&shared), random),
            settings,
            shared,
            now,
            reply: Vec::new(),
            opened: None,
            transactions: 0,
            spent: Duration::ZERO,
            asked: None,
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

    /// The requests of whole lives (Allocate, after the 401 Allocate, Refresh 0),
    /// one life after the other, and an engine that will answer to them as the
    /// one did that they were made for.
    ///
    /// # Panics
    /// As [`with_clients`](Self::with_clients).
    pub fn with_lives(count: u16) -> (Self, Vec<Asked>) {
        let mut host = Self::new();
        host.asked = Some(Vec::new());
        for number in 0..count {
            let client = host.allocate(client_address(number));
            host.end(client);
        }
        (Self::new(), host.asked.unwrap_or_default())
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
        let mut session = Session::new();
        self.opened = None;
        self.transact(link, &mut session, Method::ALLOCATE, |request| {
            request.push(&RequestedTransport::UDP)
        });
        let relay = self.opened.take().expect("a relay was opened");
        let response = Message::parse(&self.reply).expect("it was read before");
        let relayed = response.get::<XorRelayedAddress>().ok().flatten();
        let XorRelayedAddress(relayed) = relayed.expect("an Allocate response names it");
        VirtualClient { link, relay, relayed, session }
    }

    /// Binds the one channel.
    ///
    /// # Panics
    /// As [`allocate`](Self::allocate).
    pub fn bind(&mut self, client: &mut VirtualClient, peer: SocketAddr) {
        self.transact(client.link, &mut client.session, Method::CHANNEL_BIND, |request| {
            request.push(&ChannelNumberAttribute::from(Self::channel()))?;
            request.push(&XorPeerAddress(peer))
        });
    }

    /// Ends the allocation.
    ///
    /// # Panics
    /// As [`allocate`](Self::allocate).
    pub fn end(&mut self, mut client: VirtualClient) {
        self.transact(client.link, &mut client.session, Method::REFRESH, |request| {
            request.push(&Lifetime(0))
        });
    }

    /// A packet from a client.
    #[inline]
    pub fn from_client(&mut self, client: &VirtualClient, bytes: &[u8]) -> Outcome {
        self.engine.from_client(self.now, client.link, bytes)
    }

    /// A packet from a peer to a relayed transport address, or what another
    /// shard has sent to it.
    #[inline]
    pub fn from_peer(&mut self, relay: RelayId, peer: SocketAddr, bytes: &[u8]) -> Outcome {
        self.engine.from_peer(self.now, relay, peer, bytes)
    }

    /// A Binding request, as a host judges and answers it; empty where it stays silent.
    #[inline]
    pub fn answer_binding<'o>(
        &self,
        bytes: &[u8],
        source: SocketAddr,
        reply: &'o mut [u8; MAX_REPLY_LEN],
    ) -> &'o [u8] {
        if !self.shared.admit_binding(&self.settings.limits, source, self.now.mono) {
            return &[];
        }
        match respond(bytes, source, reply) {
            Verdict::Reply(reply) => reply,
            Verdict::NotBinding | Verdict::Silent => &[],
        }
    }

    /// A request, with all that a host does for it: its reply.
    pub fn serve(&mut self, link: Link, bytes: &[u8]) -> &[u8] {
        self.reply.clear();
        self.engine.from_client(self.now, link, bytes);
        loop {
            let opened = match self.engine.poll_action() {
                None => return &self.reply,
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
                    | Action::FindKey { .. }
                    | Action::Report(_),
                ) => continue,
            };
            let (ticket, done) = opened;
            self.engine.complete(self.now, ticket, done);
        }
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

    fn transact(
        &mut self,
        link: Link,
        session: &mut Session,
        method: Method,
        attributes: impl Fn(&mut MessageWriter<'_>) -> Result<(), NoRoom>,
    ) {
        loop {
            self.transactions += 1;
            let mut id = [0; 12];
            id.iter_mut().zip(self.transactions.to_be_bytes()).for_each(|(to, from)| *to = from);
            let bytes = match session.request(method, TransactionId::new(id), &attributes) {
                Ok(bytes) => bytes,
                Err(error) => panic!("the request does not fit: {error}"),
            };
            let start = Instant::now();
            self.serve(link, &bytes);
            self.spent += start.elapsed();
            if let Some(asked) = &mut self.asked {
                asked.push(Asked { link, bytes });
            }
            match session.receive(&self.reply) {
                Some(Progress::Granted) => return,
                Some(Progress::Challenged) => {}
                None => panic!("the engine refuses: {:02x?}", self.reply),
            }
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

/// The same numbers in each run (SplitMix64), others in each shard.
fn seeded(shard: ShardId) -> Random {
    let mut state = u64::from(shard.0) << 32;
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

#[cfg(test)]
mod tests {
    use turn_codec::Class;
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
            assert!(matches!(host.from_peer(client.relay, peer, b"x"), Outcome::Relay(_)));
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

    #[test]
    fn recorded_lives_can_be_lived_again() {
        let (mut host, asked) = VirtualHost::with_lives(20);
        assert_eq!(asked.len(), 60);
        for life in asked.chunks(3) {
            let classes: Vec<_> = life
                .iter()
                .map(|it| Message::parse(host.serve(it.link, &it.bytes)).map(|it| it.class()))
                .collect();
            assert_eq!(classes, [Class::Error, Class::Success, Class::Success].map(Ok));
        }
        assert_eq!((host.engine.allocations(), host.engine.relays()), (0, 0));
    }

    #[test]
    fn shards_of_one_process_hand_over_to_each_other() {
        let mut one = VirtualHost::new();
        let mut other = one.beside(ShardId(1));
        let mut sender = one.allocate(client_address(0));
        let mut receiver = other.allocate(client_address(1));
        one.bind(&mut sender, receiver.relayed);
        other.bind(&mut receiver, sender.relayed);
        let Outcome::Relay(relayed) = one.from_client(&sender, &[0x40, 0, 0, 2, 1, 2]) else {
            panic!("not relayed")
        };
        let Route::Shard { shard, relay, from } = relayed.route else { panic!("not across") };
        assert_eq!((shard, relay, from), (ShardId(1), receiver.relay, sender.relayed));
        assert!(matches!(other.from_peer(relay, from, &[1, 2]), Outcome::Relay(_)));
    }
}
