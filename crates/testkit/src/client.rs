//! A client: a 5-tuple, a name, a password, and what it has learned from the server.

use std::net::SocketAddr;

use turn_codec::attribute::{
    ChannelNumberAttribute, ConnectionId, Lifetime, PasswordAlgorithm, RequestedTransport,
    XorPeerAddress,
};
use turn_codec::{AddressFamily, AttributeType, ChannelData, ChannelNumber, Class, Method};
use turn_credentials::{LongTermKey, prepare, userhash};
use turn_engine::{FiveTuple, RealmId, ShardId, TenantId, Transport};

use crate::addresses::secs;
use crate::answer::Answer;
use crate::ask::Ask;
use crate::draft::Draft;
use crate::emitted::Emitted;
use crate::scheme::Scheme;
use crate::simulation::Simulation;
use crate::world::World;

/// A client of a world. Clones are the same client.
#[derive(Debug, Clone)]
pub struct Client {
    pub(crate) world: World,
    at: usize,
}

/// What a client knows.
#[derive(Debug)]
pub(crate) struct ClientState {
    pub(crate) tuple: FiveTuple,
    /// What its listener or server name stands for.
    pub(crate) realm: RealmId,
    /// Whose shared secret has made its credential.
    pub(crate) tenant: Option<TenantId>,
    pub(crate) name: String,
    password: String,
    pub(crate) scheme: Scheme,
    pub(crate) challenge: Option<Challenge>,
    relayed: Vec<SocketAddr>,
    token: Option<[u8; 8]>,
    last: Option<Vec<u8>>,
}

/// What the last 401 or 438 said.
#[derive(Debug, Clone)]
pub(crate) struct Challenge {
    pub(crate) realm: String,
    pub(crate) nonce: String,
    pub(crate) algorithms: Option<Vec<u8>>,
}

impl Client {
    pub(crate) fn enter(
        world: World,
        simulation: &mut Simulation,
        name: &str,
        tuple: FiveTuple,
    ) -> Self {
        simulation.clients.push(ClientState {
            tuple,
            realm: RealmId::default(),
            tenant: None,
            name: name.into(),
            password: simulation.setup.password_of(RealmId::default(), None, name),
            scheme: Scheme::BROWSER,
            challenge: None,
            relayed: Vec::new(),
            token: None,
            last: None,
        });
        Self { world, at: simulation.clients.len() - 1 }
    }

    /// Has another password.
    #[must_use]
    pub fn with_password(self, password: &str) -> Self {
        self.change(|state| state.password = password.into());
        self
    }

    /// Speaks to this realm, with the password that it has given to the client's name.
    #[must_use]
    pub fn in_realm(self, realm: RealmId) -> Self {
        self.change(|state| state.realm = realm);
        self.with_its_password()
    }

    /// Has a credential that the secret of this tenant has made.
    #[must_use]
    pub fn of_tenant(self, tenant: TenantId) -> Self {
        self.change(|state| state.tenant = Some(tenant));
        self.with_its_password()
    }

    fn with_its_password(self) -> Self {
        let (realm, tenant, name) =
            self.look(|state| (state.realm, state.tenant, state.name.clone()));
        let password = |simulation: &Simulation| simulation.setup.password_of(realm, tenant, &name);
        let password = self.world.look(password);
        self.with_password(&password)
    }

    /// Proves itself so.
    #[must_use]
    pub fn with_scheme(self, scheme: Scheme) -> Self {
        self.change(|state| state.scheme = scheme);
        self
    }

    /// Comes by this transport.
    #[must_use]
    pub fn over(self, transport: Transport) -> Self {
        self.change(|state| state.tuple.transport = transport);
        self
    }

    /// Comes to this address of the server.
    #[must_use]
    pub fn to_server(self, server: SocketAddr) -> Self {
        self.change(|state| state.tuple.server = server);
        self
    }

    /// Goes by another name from now on, with the password of that.
    #[must_use]
    pub fn renamed(self, name: &str) -> Self {
        self.change(|state| state.name = name.into());
        self.with_its_password()
    }

    /// Makes an allocation.
    ///
    /// # Panics
    /// When it is refused.
    #[track_caller]
    #[expect(clippy::must_use_candidate, reason = "what it does is what counts")]
    pub fn allocate(&self) -> Self {
        assert_eq!(self.allocate_request().code(), 200, "Allocate");
        self.clone()
    }

    /// An Allocate request for UDP, to add to.
    pub fn allocate_request(&self) -> Ask {
        self.ask(Method::ALLOCATE).with(RequestedTransport::UDP)
    }

    /// Makes a TCP allocation.
    ///
    /// # Panics
    /// When it is refused.
    #[track_caller]
    #[expect(clippy::must_use_candidate, reason = "what it does is what counts")]
    pub fn tcp_allocate(&self) -> Self {
        assert_eq!(self.tcp_allocate_request().code(), 200, "Allocate");
        self.clone()
    }

    /// An Allocate request for TCP, to add to.
    pub fn tcp_allocate_request(&self) -> Ask {
        self.ask(Method::ALLOCATE).with(RequestedTransport::TCP)
    }

    /// Connects to a peer, and gives back the CONNECTION-ID.
    ///
    /// # Panics
    /// When it is refused.
    #[track_caller]
    pub fn connect(&self, peer: SocketAddr) -> u32 {
        let answer = self.connect_request(peer).exchange();
        assert_eq!(answer.code(), 200, "Connect");
        answer.connection().expect("CONNECTION-ID")
    }

    /// A Connect request.
    pub fn connect_request(&self, peer: SocketAddr) -> Ask {
        self.ask(Method::CONNECT).with(XorPeerAddress(peer))
    }

    /// Becomes the client data connection of a connection to a peer.
    ///
    /// # Panics
    /// When it is refused.
    #[track_caller]
    #[expect(clippy::must_use_candidate, reason = "what it does is what counts")]
    pub fn bind_connection(&self, id: u32) -> Self {
        assert_eq!(self.bind_connection_request(id).code(), 200, "ConnectionBind");
        self.clone()
    }

    /// A ConnectionBind request.
    pub fn bind_connection_request(&self, id: u32) -> Ask {
        self.ask(Method::CONNECTION_BIND).with(ConnectionId(id))
    }

    /// Installs the permission of a peer.
    ///
    /// # Panics
    /// When it is refused.
    #[track_caller]
    #[expect(clippy::must_use_candidate, reason = "what it does is what counts")]
    pub fn permit(&self, peer: SocketAddr) -> Self {
        assert_eq!(self.permit_request(&[peer]).code(), 200, "CreatePermission");
        self.clone()
    }

    /// A CreatePermission request for these peers.
    pub fn permit_request(&self, peers: &[SocketAddr]) -> Ask {
        let ask = self.ask(Method::CREATE_PERMISSION);
        peers.iter().fold(ask, |ask, peer| ask.with(XorPeerAddress(*peer)))
    }

    /// Binds a channel.
    ///
    /// # Panics
    /// When it is refused.
    #[track_caller]
    #[expect(clippy::must_use_candidate, reason = "what it does is what counts")]
    pub fn bind(&self, channel: u16, peer: SocketAddr) -> Self {
        assert_eq!(self.bind_request(channel, peer).code(), 200, "ChannelBind");
        self.clone()
    }

    /// A ChannelBind request.
    pub fn bind_request(&self, channel: u16, peer: SocketAddr) -> Ask {
        self.ask(Method::CHANNEL_BIND)
            .with(ChannelNumberAttribute(channel))
            .with(XorPeerAddress(peer))
    }

    /// Refreshes the allocation.
    #[track_caller]
    #[expect(clippy::must_use_candidate, reason = "what it does is what counts")]
    pub fn refresh(&self, seconds: u32) -> Answer {
        self.ask(Method::REFRESH).with(Lifetime(seconds)).exchange()
    }

    /// A request of this method, to add to.
    pub fn ask(&self, method: Method) -> Ask {
        Ask::new(self.clone(), Draft::request(method))
    }

    /// Sends data in a Send indication.
    pub fn send(&self, peer: SocketAddr, data: &[u8]) -> Emitted {
        let indication = Self::send_indication().with(XorPeerAddress(peer));
        self.indicate(indication.raw(AttributeType::DATA, data))
    }

    /// An empty Send indication, to add to.
    pub const fn send_indication() -> Draft {
        Draft::new(Class::Indication, Method::SEND)
    }

    /// Sends an indication.
    #[expect(clippy::needless_pass_by_value, reason = "it is made for this call")]
    pub fn indicate(&self, indication: Draft) -> Emitted {
        let id = self.world.run(next_id);
        self.sends(&indication.bytes(id))
    }

    /// Sends ChannelData, padded where the transport is a stream.
    ///
    /// # Panics
    /// When the number is no channel number, or there is too much data.
    pub fn channel_data(&self, channel: u16, data: &[u8]) -> Emitted {
        let number = ChannelNumber::new(channel).expect("a channel number");
        let message = ChannelData::new(number, data);
        let mut buffer = vec![0; data.len() + 8];
        let bytes = if self.tuple().transport.is_stream() {
            message.encode_for_stream(&mut buffer)
        } else {
            message.encode(&mut buffer)
        };
        let bytes = bytes.expect("it fits").to_vec();
        self.sends(&bytes)
    }

    /// Sends any bytes.
    pub fn sends(&self, bytes: &[u8]) -> Emitted {
        self.world.from_tuple(self.tuple(), bytes)
    }

    /// The credentials of a request, integrity included: what stands at the end of each
    /// request that it signs. Behind it a test may put what does not belong there.
    ///
    /// # Panics
    /// When it has not been challenged.
    #[track_caller]
    pub fn proof(&self, method: Method) -> Draft {
        let credentials = self.credentials(method);
        let key = self.key();
        let scheme = self.look(|state| state.scheme);
        let mut proof = credentials;
        if scheme.sha1 {
            proof = proof.integrity(&key);
        }
        if scheme.sha256 {
            proof = proof.integrity_sha256(&key);
        }
        if scheme.fingerprint {
            proof = proof.fingerprint();
        }
        proof
    }

    /// USERNAME or USERHASH, REALM, NONCE and what RFC 8489 adds, without integrity.
    ///
    /// # Panics
    /// As [`proof`](Self::proof).
    #[track_caller]
    pub fn credentials(&self, method: Method) -> Draft {
        let (name, scheme, challenge) =
            self.look(|state| (state.name.clone(), state.scheme, state.challenge.clone()));
        let Challenge { realm, nonce, algorithms } = challenge.expect("it was challenged");
        let draft = Draft::request(method);
        let draft = if scheme.userhash {
            draft.raw(AttributeType::USERHASH, &userhash(&name, &realm))
        } else {
            draft.raw(AttributeType::USERNAME, name.as_bytes())
        };
        let draft = draft
            .raw(AttributeType::REALM, realm.as_bytes())
            .raw(AttributeType::NONCE, nonce.as_bytes());
        match scheme.algorithm {
            None => draft,
            Some(algorithm) => draft
                .raw(AttributeType::PASSWORD_ALGORITHMS, &algorithms.unwrap_or_default())
                .with(PasswordAlgorithm::bare(algorithm.id())),
        }
    }

    /// Asks for a challenge, as a client that has none yet.
    ///
    /// # Panics
    /// When there is none.
    #[track_caller]
    #[expect(clippy::must_use_candidate, reason = "what it does is what counts")]
    pub fn challenged(&self) -> Self {
        let answer = self.allocate_request().once_unsigned().answer();
        assert_eq!(answer.code(), 401, "a challenge");
        self.learn(&answer);
        self.clone()
    }

    /// Its 5-tuple.
    pub fn tuple(&self) -> FiveTuple {
        self.look(|state| state.tuple)
    }

    /// Its transport address.
    pub fn address(&self) -> SocketAddr {
        self.tuple().client
    }

    /// The shard that its packets reach.
    pub fn shard(&self) -> ShardId {
        let tuple = self.tuple();
        self.world.run(|simulation| {
            simulation.process();
            simulation.kernel.shard_of(&tuple)
        })
    }

    /// Its first relayed transport address.
    ///
    /// # Panics
    /// When it has none.
    #[track_caller]
    pub fn relayed(&self) -> SocketAddr {
        *self.look(|state| state.relayed.clone()).first().expect("it has allocated")
    }

    /// Its relayed transport address of a family, if it was given one.
    pub fn relayed_of(&self, family: AddressFamily) -> Option<SocketAddr> {
        let relayed = self.look(|state| state.relayed.clone());
        relayed.into_iter().find(|address| AddressFamily::of(address) == family)
    }

    /// The last RESERVATION-TOKEN that it was given.
    ///
    /// # Panics
    /// When it was given none.
    #[track_caller]
    pub fn token(&self) -> [u8; 8] {
        self.look(|state| state.token).expect("it has reserved")
    }

    /// The key that it signs with.
    pub fn key(&self) -> LongTermKey {
        let id = self.look(|state| state.realm);
        let realm = self.world.look(|simulation| simulation.setup.settings.realm(id).name.clone());
        self.look(|state| {
            let realm = state.challenge.as_ref().map_or(&*realm, |challenge| &challenge.realm);
            let prepared = |text: &str| prepare(text).map_or_else(|_| text.into(), String::from);
            let (name, password) = (prepared(&state.name), prepared(&state.password));
            LongTermKey::derive(state.scheme.key_algorithm(), &name, realm, &password)
        })
    }

    /// The nonce that it holds.
    ///
    /// # Panics
    /// When it holds none.
    #[track_caller]
    pub fn nonce(&self) -> String {
        self.look(|state| state.challenge.clone()).expect("it was challenged").nonce
    }

    /// Forgets its nonce, as a client that starts anew.
    pub fn forget_nonce(&self) {
        self.change(|state| state.challenge = None);
    }

    /// Sends its last request once more, byte for byte.
    ///
    /// # Panics
    /// When it has sent none.
    #[track_caller]
    pub fn retransmit(&self) -> Emitted {
        let last = self.look(|state| state.last.clone()).expect("a request before");
        self.sends(&last)
    }

    /// [`retransmit`](Self::retransmit), and the answer to it, as in
    /// [`exchange`](Ask::exchange).
    ///
    /// # Panics
    /// When it has sent none, or nothing comes back.
    #[track_caller]
    pub fn retransmit_and_wait(&self) -> Answer {
        let last = self.look(|state| state.last.clone()).expect("a request before");
        self.sends_and_waits(&last)
    }

    /// Sends a request and has the answer, for which the credential store may take its time. The
    /// retransmit of what waits there changes nothing.
    #[track_caller]
    pub(crate) fn sends_and_waits(&self, request: &[u8]) -> Answer {
        let emitted = self.sends(request);
        if !emitted.is_silent() || emitted.dropped.is_some() {
            return emitted.answer();
        }
        let waiting = self.world.waiting_for_keys();
        self.sends(request).expect_silence();
        assert_eq!(self.world.waiting_for_keys(), waiting, "a retransmit waits with its request");
        let answered = self.world.answer_keys();
        if answered.is_silent() { self.world.advance(secs(5)).answer() } else { answered.answer() }
    }

    pub(crate) fn remember(&self, request: &[u8]) {
        self.change(|state| state.last = Some(request.to_vec()));
    }

    pub(crate) fn learn(&self, answer: &Answer) {
        self.change(|state| {
            if let (Some(realm), Some(nonce)) = (answer.realm(), answer.nonce()) {
                let (realm, nonce) = (realm.to_owned(), nonce.to_owned());
                let algorithms = answer.get::<turn_codec::attribute::PasswordAlgorithms<'_>>();
                let algorithms = algorithms.map(|list| list.as_bytes().to_vec());
                state.challenge = Some(Challenge { realm, nonce, algorithms });
            }
            if answer.message().method() == Method::ALLOCATE && answer.code() == 200 {
                state.relayed = answer.relayed();
                state.token = answer.token().or(state.token);
            }
        });
    }

    pub(crate) fn next_id(&self) -> [u8; 12] {
        self.world.run(next_id)
    }

    pub(crate) fn look<T>(&self, ask: impl FnOnce(&ClientState) -> T) -> T {
        self.world.look(|simulation| {
            ask(simulation.clients.get(self.at).expect("a client of this world"))
        })
    }

    fn change(&self, change: impl FnOnce(&mut ClientState)) {
        self.world.run(|simulation| {
            change(simulation.clients.get_mut(self.at).expect("a client of this world"));
        });
    }
}

fn next_id(simulation: &mut Simulation) -> [u8; 12] {
    simulation.ids += 1;
    let mut id = *b"test........";
    let [_, _, _, _, tail @ ..] = &mut id;
    *tail = simulation.ids.to_be_bytes();
    id
}
