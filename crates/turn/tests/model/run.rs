//! One run: the engine and the reference side by side, step by step.

use super::*;

pub(super) struct Run {
    pub(super) world: World,
    shape: Shape,
    clients: Vec<Client>,
    accounts: Vec<Account>,
    is_draining: bool,
    store: StoreMode,
    tokens: Vec<[u8; 8]>,
    /// What each client asked last, when, and which code it got.
    last: Vec<Option<(Request, Now, u16)>>,
    /// What this run has come across.
    pub(super) seen: BTreeSet<String>,
}

/// A request with its peers resolved.
#[derive(Debug, Clone)]
enum Request {
    Allocate { kind: AllocateKind, token: [u8; 8], lifetime: Option<u32> },
    Refresh { lifetime: Option<u32>, family: Option<AddressFamily> },
    Permit { peers: Vec<SocketAddr> },
    Bind { channel: u16, peer: SocketAddr },
}

impl Run {
    pub(super) fn new(shape: Shape) -> Self {
        let advertised = |bound: IpAddr| match (bound, shape.is_external) {
            (IpAddr::V4(_), true) => IpAddr::from([203, 0, 113, 7]),
            (bound, _) => bound,
        };
        let relay = |bound| RelayAddress::new(bound, advertised(bound));
        let world = World::new()
            .shards(shape.shards)
            .ports(FIRST_PORT..=FIRST_PORT + shape.ports - 1)
            .user("ann", "secret")
            .user("bob", "other")
            .secret("shared")
            .setup(|setup| {
                let other = setup.add_realm("b.example");
                assert_eq!(other, OTHER_REALM);
                setup.add_user_in(other, "ann", "secret", None);
                setup.ask_stores(RealmId(0), false);
                let limits = UserLimits { allocations: Some(1), ..UserLimits::default() };
                let terms = FoundUser { limits, ..FoundUser::default() };
                setup.add_stored(RealmId(0), STORED, "of the store", terms);
                setup.realm_of(other).limits.allocations = Some(PER_REALM);
                setup.realm_of(other).relay_addresses = vec![0];
                let allowed = AddressRange::new(DENIED_PEER.ip(), DENIED_PEER.ip());
                let allow = PeerRule { range: allowed.expect("one address"), ports: None };
                setup.realm_of(other).peers.allow.push(allow);
                let limits = TenantLimits {
                    allocations: Some(PER_TENANT),
                    allocations_per_user: Some(PerUser::Count(PER_TENANTS_USER)),
                    ..TenantLimits::default()
                };
                let tenant = Tenant { name: "app".into(), limits };
                assert_eq!(setup.add_tenant(RealmId(0), "of the app", tenant), TENANT);
            })
            .settings(|settings| {
                settings.relay.addresses = vec![relay(RELAY4), relay(RELAY6)];
                settings.nonce_lifetime = secs(60);
                for Realm { limits, .. } in &mut settings.realms {
                    limits.allocations_per_user = PerUser::Count(PER_USER);
                    limits.permissions_per_allocation = Some(4);
                    limits.channels_per_allocation = Some(3);
                    limits.peers_per_allocation = None;
                    limits.new_peers = None;
                }
                let limits = &mut settings.limits;
                limits.challenges = None;
                limits.allocations_per_source = None;
                // Nor does the throttle on guessing hide what a request would have got.
                let everywhere = IpAddr::from([192, 0, 2, 0])..=IpAddr::from([192, 0, 2, 255]);
                let (first, last) = everywhere.into_inner();
                limits.exempt_sources.extend(AddressRange::new(first, last));
            });
        let limited = format!("{}:cid", START.0 + CREDENTIAL);
        let [dan, eve] = ["dan", "eve"].map(|user| format!("{}:{user}", START.0 + FOR_EVER));
        let here = |name, user| (name, RealmId(0), None, user);
        let there = ("ann", OTHER_REALM, None, "ann");

        let who = [
            (here("ann", "ann"), Transport::Udp),
            (here("ann", "ann"), Transport::Tcp),
            (here("bob", "bob"), Transport::Tls),
            (here(&limited, "limited cid"), Transport::Dtls),
            (there, Transport::Udp),
            ((&*dan, RealmId(0), Some(TENANT), "limited dan"), Transport::Udp),
            ((&*eve, RealmId(0), Some(TENANT), "limited eve"), Transport::Udp),
            (here(STORED, STORED), Transport::Udp),
            (here(STORED, STORED), Transport::Tcp),
            (here("nobody", NOBODY), Transport::Udp),
        ];
        let mut clients = Vec::new();
        let mut accounts = Vec::new();
        for (((name, realm, tenant, user), transport), number) in who.into_iter().zip(0_u8..) {
            let client = world.client_on(number % shape.shards, name).over(transport);
            let client = client.in_realm(realm);
            clients.push(match tenant {
                Some(tenant) => client.of_tenant(tenant),
                None => client,
            });
            accounts.push(Account { realm, tenant, user: user.into() });
        }
        Self {
            last: vec![None; clients.len()],
            clients,
            accounts,
            tokens: vec![[0; 8]],
            is_draining: false,
            store: StoreMode::Answers,
            seen: BTreeSet::new(),
            world,
            shape,
        }
    }

    pub(super) fn step(&mut self, operation: &Operation) {
        match *operation {
            Operation::Allocate { client, kind, lifetime } => {
                // Ports of what has expired come back with the sweep.
                self.world.advance(secs(0));
                let pick = if let AllocateKind::Token(pick) = kind { pick } else { 0 };
                let token = self.tokens[usize::from(pick) % self.tokens.len()];
                self.ask(client, Request::Allocate { kind, token, lifetime });
            }
            Operation::Refresh { client, lifetime, family } => {
                self.ask(client, Request::Refresh { lifetime, family });
            }
            Operation::Permit { client, ref peers } => {
                let peers = peers.iter().map(|peer| self.peer(*peer)).collect();
                self.ask(client, Request::Permit { peers });
            }
            Operation::Bind { client, channel, peer } => {
                let peer = self.peer(peer);
                self.ask(client, Request::Bind { channel, peer });
            }
            Operation::Send { client, peer, len } => {
                let (client, peer, data) = (self.client(client), self.peer(peer), data(len));
                let expected = self.reference(|book, now| book.send(&client.tuple(), peer, now));
                self.note("Send", expected);
                expect_delivery(&client.send(peer, &data), expected, &data);
            }
            Operation::ChannelData { client, channel, len } => {
                let (client, data) = (self.client(client), data(len));
                let tuple = client.tuple();
                let expected = self.reference(|book, now| book.channel_data(&tuple, channel, now));
                self.note("ChannelData", expected);
                expect_delivery(&client.channel_data(channel, &data), expected, &data);
            }
            Operation::PeerData { client, family, peer, len } => {
                let relayed = self.relayed(client, family);
                let (peer, data) = (self.peer(peer), data(len));
                let expected = self.reference(|book, now| book.inbound(relayed, peer, now));
                self.note("peer data", expected);
                let emitted = self.world.peer(peer).sends(relayed, &data);
                expect_delivery(&emitted, expected, &data);
            }
            Operation::Retransmit { client } => self.retransmit(client),
            Operation::Tamper { client, bit } => self.tamper(client, bit),
            Operation::Garbage { client, ref bytes } => {
                let client = self.client(client);
                let before = self.world.quota_units();
                expect_no_success(&client.sends(bytes));
                // As the body of a request it fares no better.
                let request = Draft::request(Method::REFRESH).bytes([9; 12]);
                let mut request = [&request, &bytes[..bytes.len() & !3]].concat();
                request[3] = u8::try_from(bytes.len() & !3).unwrap_or(0);
                expect_no_success(&client.sends(&request));
                assert_eq!(self.world.quota_units(), before);
            }
            // Correctness never waits for a sweep: half of the time there is none.
            Operation::Advance { seconds } if seconds % 2 == 0 => {
                self.world.advance(secs(seconds.into()));
            }
            Operation::Advance { seconds } => {
                self.world.advance_without_sweep(secs(seconds.into()));
            }
            Operation::Drain { is_on } => {
                self.is_draining = is_on;
                self.world.drain(is_on);
            }
            Operation::Store { mode } => {
                self.store = mode;
                self.world.store(mode);
            }
            Operation::Jump { seconds } => self.world.jump_wall_clock(seconds.into()),
        }
    }

    fn note(&mut self, what: &str, delivery: Delivery) {
        let to = match delivery {
            Delivery::Peer { .. } => "a peer",
            Delivery::Client { framing: Framing::Channel(_), .. } => "a client by channel",
            Delivery::Client { framing: Framing::Indication(_), .. } => "a client by indication",
            Delivery::Nowhere => "nowhere",
        };
        self.seen.insert(format!("{what} to {to}"));
    }

    fn ask(&mut self, client: u8, request: Request) {
        let at = self.index(client);
        let expected = self.expected(at, &request);
        let before = self.lacking(at, &request);
        let answer = self.draft(at, &request).exchange();
        assert_eq!(answer.code(), expected, "{request:?} of client {at}");
        self.seen.insert(format!("{:?} {expected}", answer.message().method()));
        if expected == 200 {
            self.check_success(&request, &answer, &before);
        }
        self.tokens.extend(answer.token());
        self.last[at] = Some((request, self.world.now(), expected));
    }

    fn retransmit(&mut self, client: u8) {
        let at = self.index(client);
        let Some((request, asked_at, code)) = self.last[at].clone() else { return };
        // Later its nonce may have aged, which is another story.
        if asked_at != self.world.now() {
            return;
        }
        let expected = match request {
            // The transaction that made the allocation gets its success again.
            Request::Allocate { .. } if code == 200 => 200,
            Request::Allocate { .. }
            | Request::Refresh { .. }
            | Request::Permit { .. }
            | Request::Bind { .. } => self.expected(at, &request),
        };
        let answer = self.clients[at].retransmit_and_wait();
        // Its nonce may have aged while it waited for the store.
        let has_waited = asked_at != self.world.now();
        if has_waited && answer.code() == 438 {
            return;
        }
        assert_eq!(answer.code(), expected, "{request:?} of client {at} once more");
        // What was refused before may have been granted now.
        self.last[at] = Some((request, asked_at, expected));
    }

    fn tamper(&self, client: u8, bit: u16) {
        let client = self.client(client);
        let mut bytes = client.ask(Method::REFRESH).with(Lifetime(0)).signed();
        let before = self.world.quota_units();
        let at = usize::from(bit) / 8 % bytes.len();
        bytes[at] ^= 1 << (bit % 8);
        expect_no_success(&client.sends(&bytes));
        // The change may be one of the name, which the store is asked for.
        expect_no_success(&self.world.answer_keys());
        if self.world.waiting_for_keys() > 0 {
            expect_no_success(&self.world.advance(secs(5)));
            return;
        }
        assert_eq!(self.world.quota_units(), before);
    }

    /// The code that the RFC and the limits ask for, 200 for success.
    fn expected(&self, at: usize, request: &Request) -> u16 {
        let tuple = self.clients[at].tuple();
        let is_live = self.reference(|book, now| book.is_live(&tuple, now));
        let is_over = self.world.now().unix.0 > START.0 + CREDENTIAL + GRACE;
        if self.accounts[at].user == "limited cid" && is_over && !is_live {
            return 401;
        }
        let user = &*self.accounts[at].user;
        if [STORED, NOBODY].contains(&user) && !is_live {
            let has_answer = matches!(self.store, StoreMode::Answers | StoreMode::IsLate);
            if !has_answer {
                return 500;
            }
            if user == NOBODY {
                return 401;
            }
        }
        match request {
            Request::Allocate { .. } if is_live => 437,
            Request::Allocate { .. } if self.is_draining => 508,
            Request::Allocate { kind: AllocateKind::Token(_), token, .. } => {
                let account = &self.accounts[at];
                let reserved = self.reference(|book, now| book.reserved(*token, account, now));
                if reserved.is_some() { 200 } else { 508 }
            }
            Request::Allocate { kind: AllocateKind::Ipv6, .. }
                if self.accounts[at].realm == OTHER_REALM =>
            {
                440
            }
            Request::Allocate { kind, .. } => {
                let needed = if *kind == AllocateKind::EvenPair { 2 } else { 1 };
                if self.exceeds_a_quota(at, needed) {
                    486
                } else if self.lacking(at, request).len() == families(*kind).len() {
                    508
                } else {
                    200
                }
            }
            Request::Refresh { .. } | Request::Permit { .. } | Request::Bind { .. } if !is_live => {
                437
            }
            Request::Refresh { family, .. } => match family {
                Some(family) if !self.has(at, *family) => 443,
                Some(_) | None => 200,
            },
            Request::Permit { peers } => self.peers_code(at, peers).unwrap_or_else(|| {
                let all = peers.iter().map(|peer| peer.ip());
                if self.permissions_with(at, all) > PERMISSIONS { 508 } else { 200 }
            }),
            Request::Bind { channel, peer } => self.bind_code(at, *channel, *peer),
        }
    }

    fn exceeds_a_quota(&self, at: usize, needed: usize) -> bool {
        let account = &self.accounts[at];
        let units = |is_meant: &dyn Fn(&Account) -> bool| {
            self.reference(|book, now| book.units_of(is_meant, now)) + needed
        };
        let per_user = match (account.tenant, &*account.user) {
            (Some(_), _) => PER_TENANTS_USER,
            (None, STORED) => PER_STORED_USER,
            (None, _) => PER_USER,
        };
        let in_realm = account.realm == OTHER_REALM;
        units(&|it| it == account) > per_user as usize
            || account.tenant.is_some()
                && units(&|it| it.tenant == account.tenant) > PER_TENANT as usize
            || in_realm && units(&|it| it.realm == account.realm) > PER_REALM as usize
    }

    fn bind_code(&self, at: usize, channel: u16, peer: SocketAddr) -> u16 {
        if ChannelNumber::new(channel).is_none() {
            return 400;
        }
        if let Some(code) = self.peers_code(at, &[peer]) {
            return code;
        }
        let tuple = self.clients[at].tuple();
        let channels = self.reference(|book, now| book.channels(&tuple, now));
        let is_bound = channels.contains(&(channel, peer));
        let is_taken = channels.iter().any(|(number, bound)| *number == channel || *bound == peer);
        if is_taken && !is_bound {
            400
        } else if !is_bound && channels.len() >= CHANNELS
            || self.permissions_with(at, std::iter::once(peer.ip())) > PERMISSIONS
        {
            508
        } else {
            200
        }
    }

    /// The first peer that is of no family of the allocation, or denied.
    fn peers_code(&self, at: usize, peers: &[SocketAddr]) -> Option<u16> {
        peers.iter().find_map(|peer| {
            if !self.has(at, AddressFamily::of(peer)) {
                Some(443)
            } else if peer.ip() == DENIED_PEER.ip() && self.accounts[at].realm != OTHER_REALM {
                Some(403)
            } else {
                None
            }
        })
    }

    fn permissions_with(&self, at: usize, more: impl Iterator<Item = IpAddr>) -> usize {
        let tuple = self.clients[at].tuple();
        let live = self.reference(|book, now| book.permissions(&tuple, now));
        live.into_iter().chain(more).collect::<HashSet<_>>().len()
    }

    /// The families of an Allocate request that its realm has no port for.
    fn lacking(&self, at: usize, request: &Request) -> Vec<AddressFamily> {
        let Request::Allocate { kind, .. } = request else { return Vec::new() };
        let used = self.reference(|book, now| book.addresses(RelayProtocol::Udp, now));
        let last = FIRST_PORT + self.shape.ports - 1;
        let lacks = |family: &AddressFamily| {
            let is_free = |port: u16| {
                port <= last
                    && !used.iter().any(|at| at.port() == port && AddressFamily::of(at) == *family)
            };
            !(FIRST_PORT..=last).any(|port| match kind {
                AllocateKind::Even => port % 2 == 0 && is_free(port),
                AllocateKind::EvenPair => port % 2 == 0 && is_free(port) && is_free(port + 1),
                AllocateKind::Plain
                | AllocateKind::Ipv6
                | AllocateKind::Dual
                | AllocateKind::Token(_) => is_free(port),
            })
        };
        let is_nowhere = |family: &AddressFamily| {
            *family == AddressFamily::Ipv6 && self.accounts[at].realm == OTHER_REALM
        };
        let families = families(*kind).into_iter();
        families.filter(|family| is_nowhere(family) || lacks(family)).collect()
    }

    fn check_success(&self, request: &Request, answer: &Answer, lacking: &[AddressFamily]) {
        let granted = |lifetime: Option<u32>| Some(lifetime.unwrap_or(600).clamp(600, 3_600));
        match request {
            Request::Allocate { kind, lifetime, .. } => {
                assert_eq!(answer.lifetime(), granted(*lifetime));
                let relayed = answer.relayed();
                if let AllocateKind::Token(_) = kind {
                    return;
                }
                let expected: Vec<_> = families(*kind)
                    .into_iter()
                    .filter(|family| !lacking.contains(family))
                    .collect();
                assert_eq!(relayed.iter().map(AddressFamily::of).collect::<Vec<_>>(), expected);
                let error = answer.get::<AddressErrorCode<'_>>();
                assert_eq!(error.map(|error| error.family), lacking.first().copied());
                assert_eq!(answer.token().is_some(), *kind == AllocateKind::EvenPair);
                if matches!(kind, AllocateKind::Even | AllocateKind::EvenPair) {
                    assert_eq!(relayed[0].port() % 2, 0);
                }
            }
            Request::Refresh { lifetime: Some(0), .. } => assert_eq!(answer.lifetime(), Some(0)),
            Request::Refresh { lifetime, .. } => assert_eq!(answer.lifetime(), granted(*lifetime)),
            Request::Permit { .. } | Request::Bind { .. } => assert!(answer.kinds().is_empty()),
        }
    }

    fn draft(&self, at: usize, request: &Request) -> Ask {
        let client = &self.clients[at];
        match request {
            Request::Allocate { kind, token, lifetime } => {
                let ask = with_lifetime(client.allocate_request(), *lifetime);
                match kind {
                    AllocateKind::Plain => ask,
                    AllocateKind::Ipv6 => ask.with(RequestedAddressFamily(AddressFamily::Ipv6)),
                    AllocateKind::Dual => ask.with(AdditionalAddressFamily(AddressFamily::Ipv6)),
                    AllocateKind::Even => ask.with(EvenPort { reserve: false }),
                    AllocateKind::EvenPair => ask.with(EvenPort { reserve: true }),
                    AllocateKind::Token(_) => ask.with(ReservationToken(*token)),
                }
            }
            Request::Refresh { lifetime, family } => {
                let ask = with_lifetime(client.ask(Method::REFRESH), *lifetime);
                match family {
                    Some(family) => ask.with(RequestedAddressFamily(*family)),
                    None => ask,
                }
            }
            Request::Permit { peers } => client.permit_request(peers),
            Request::Bind { channel, peer } => client.bind_request(*channel, *peer),
        }
    }

    fn has(&self, at: usize, family: AddressFamily) -> bool {
        let tuple = self.clients[at].tuple();
        let relayed = self.reference(|book, now| book.relayed(&tuple, now));
        relayed.iter().any(|address| AddressFamily::of(address) == family)
    }

    fn peer(&self, pick: PeerPick) -> SocketAddr {
        match pick {
            PeerPick::Outside(number) => match number % 7 {
                0 => SocketAddr::from(([11, 22, 33, 1], 1_000)),
                1 => SocketAddr::from(([11, 22, 33, 1], 2_000)),
                2 => SocketAddr::from(([0x2a00, 0, 0, 0, 0, 0, 0, 1], 1_000)),
                last => SocketAddr::from(([11, 22, 33, last], 1_000)),
            },
            PeerPick::Denied => DENIED_PEER,
            PeerPick::Relayed(client, family) => self.relayed(client, family),
        }
    }

    /// The last relayed transport address that a client was given, or some port.
    fn relayed(&self, client: u8, family: AddressFamily) -> SocketAddr {
        let some = match (family, self.shape.is_external) {
            (AddressFamily::Ipv4, true) => IpAddr::from([203, 0, 113, 7]),
            (AddressFamily::Ipv4, false) => RELAY4,
            (AddressFamily::Ipv6, _) => RELAY6,
        };
        let known = self.client(client).relayed_of(family);
        known.unwrap_or(SocketAddr::new(some, FIRST_PORT + 2))
    }

    fn client(&self, client: u8) -> Client {
        self.clients[self.index(client)].clone()
    }

    fn index(&self, client: u8) -> usize {
        usize::from(client) % self.clients.len()
    }

    fn reference<T>(&self, ask: impl FnOnce(&Reference, std::time::Instant) -> T) -> T {
        let now = self.world.now().mono;
        self.world.reference(|book| ask(book, now))
    }
}

fn families(kind: AllocateKind) -> Vec<AddressFamily> {
    match kind {
        AllocateKind::Ipv6 => vec![AddressFamily::Ipv6],
        AllocateKind::Dual => vec![AddressFamily::Ipv4, AddressFamily::Ipv6],
        AllocateKind::Plain | AllocateKind::Even | AllocateKind::EvenPair => {
            vec![AddressFamily::Ipv4]
        }
        AllocateKind::Token(_) => Vec::new(),
    }
}

fn with_lifetime(ask: Ask, lifetime: Option<u32>) -> Ask {
    match lifetime {
        Some(lifetime) => ask.with(Lifetime(lifetime)),
        None => ask,
    }
}

fn data(len: u8) -> Vec<u8> {
    vec![len ^ 0x5a; len.into()]
}

#[track_caller]
fn expect_delivery(emitted: &Emitted, expected: Delivery, data: &[u8]) {
    match (expected, emitted.events.as_slice()) {
        (Delivery::Nowhere, []) => {}
        (Delivery::Peer { from, to }, [Event::ToPeer { from: bound, to: peer, bytes, .. }]) => {
            assert_eq!((bound.port(), *peer, bytes.as_slice()), (from.port(), to, data));
        }
        (Delivery::Client { tuple, framing }, [Event::ToClient { tuple: at, bytes }]) => {
            assert_eq!(*at, tuple);
            assert_eq!(Data::read(bytes), Some(Data { framing, payload: data.to_vec() }));
        }
        (expected, events) => {
            panic!("expected {expected:?}, not {events:?} ({:?})", emitted.dropped)
        }
    }
}

/// Nothing succeeds; data may pass, for a flipped bit can make ChannelData of a request.
#[track_caller]
fn expect_no_success(emitted: &Emitted) {
    for event in &emitted.events {
        if let Event::ToClient { tuple, bytes } = event
            && Data::read(bytes).is_none()
        {
            let answer = Answer::new(bytes.clone(), tuple.server);
            assert_ne!(answer.code(), 200);
        }
    }
}
