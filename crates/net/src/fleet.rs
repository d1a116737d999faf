//! All shards of a process: started together, told together, stopped together.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, TcpListener};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::thread::JoinHandle;
use std::time::Duration;

use rustls::ServerConfig;
use turn_dtls::{CookieKey, DtlsIdentity};
use turn_engine::{Counters, Engine, NonceKey, Random, RelayAddress, Settings, ShardId, Shared};
use turn_udp::{RelayOptions, descriptor_limit};

use crate::clock;
use crate::dtls::DtlsClients;
use crate::entropy::Entropy;
use crate::keys::KeyFinder;
use crate::listener::{Bound, ListenError, ListenPlan, Listening, bind_all};
use crate::mailbox::{Address, Mailbox, mailbox};
use crate::net_counters::NetCounters;
use crate::observer::Observer;
use crate::shard;
use crate::stream::{Admission, Entrance, Patience};

/// What a fleet of shards is made from.
#[derive(Debug)]
pub struct Plan {
    /// How many shards; 1 to 255.
    pub shards: u8,
    /// Where to listen.
    pub listen: Vec<ListenPlan>,
    /// Addresses of this host, for listeners on a wildcard.
    pub present: Vec<IpAddr>,
    /// Relay sockets.
    pub relay: RelayPlan,
    /// Longest nap of a shard under load.
    pub latency_budget: Option<Duration>,
    /// What the engines go by. Listener addresses are added to the peers that
    /// nobody may name.
    pub settings: Settings,
    /// Who hears of allocations and limits.
    pub observer: Arc<dyn Observer>,
    /// Who looks up users that no keyring knows, for realms that ask stores. `None`: every such
    /// name is unavailable at once.
    pub keys: Option<Arc<dyn KeyFinder>>,
    /// The server's side of TLS, for listeners that speak it.
    pub tls: Option<Arc<ServerConfig>>,
    /// The certificate of DTLS sessions, for listeners that speak it.
    pub dtls: Option<Arc<DtlsIdentity>>,
    /// How long clients on streams are waited for.
    pub patience: Patience,
}

/// How relay sockets are made.
#[derive(Debug, Clone)]
pub struct RelayPlan {
    /// Ports of relayed transport addresses.
    pub ports: RangeInclusive<u16>,
    /// Differentiated services code point of what leaves toward peers, 0 to 63.
    pub dscp: u8,
}

/// The fleet could not be started.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// A listener could not be bound.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// No thread, no runtime, no randomness.
    #[error("cannot start a shard: {0}")]
    Start(#[from] io::Error),
}

/// Running shards; dropped without [`stop`](Self::stop) they run on.
///
/// What is asked of them while they run is in `control.rs`.
#[derive(Debug)]
pub struct Fleet {
    pub(crate) members: Vec<Member>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) listening: Vec<Listening>,
    /// One set of settings after the other, in the same order on every shard; the relay addresses
    /// of the last, and what these were advertised as before.
    pub(crate) applying: tokio::sync::Mutex<Vec<RelayAddress>>,
}

#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) address: Address,
    counters: Arc<Counters>,
    net_counters: Arc<NetCounters>,
    /// Taken by whoever waits for its end.
    thread: Mutex<Option<JoinHandle<io::Result<()>>>>,
}

/// What one shard is made from.
pub(crate) struct ShardPlan {
    pub(crate) shard: ShardId,
    pub(crate) engine: Engine,
    pub(crate) shared: Arc<Shared>,
    pub(crate) listeners: Vec<Bound>,
    pub(crate) stream_listeners: Vec<(TcpListener, Entrance)>,
    pub(crate) admission: Arc<Admission>,
    pub(crate) tls: Option<Arc<ServerConfig>>,
    pub(crate) dtls: DtlsClients,
    pub(crate) patience: Patience,
    /// Shards of the process.
    pub(crate) shards: u32,
    pub(crate) relay_options: RelayOptions,
    /// How many relays of the shard may have a second socket.
    pub(crate) second_sockets: usize,
    pub(crate) latency_budget: Option<Duration>,
    pub(crate) neighbours: Vec<Address>,
    pub(crate) counters: Arc<NetCounters>,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) keys: Option<Arc<dyn KeyFinder>>,
}

impl Fleet {
    /// Binds every listener, then starts every shard: no packet is answered
    /// before the whole reuse-port group stands.
    ///
    /// # Errors
    /// A listener cannot be bound, or a thread cannot be started.
    pub fn start(plan: Plan) -> Result<Self, FleetError> {
        let shards = plan.shards.max(1);
        let (groups, listening) = bind_all(&plan.listen, usize::from(shards), &plan.present)?;
        let settings = Arc::new(with_endpoints(plan.settings, &listening));

        let mut key = [0; 32];
        random(&mut key)?;
        let addresses = settings.relay.addresses.len();
        let shared = Arc::new(Shared::new(
            addresses,
            &plan.relay.ports,
            NonceKey::new(key),
            clock::now().mono,
        ));
        let relay_options =
            RelayOptions { gro: true, dscp: plan.relay.dscp, ..RelayOptions::default() };
        let second_sockets = second_sockets(&plan.relay.ports)? / usize::from(shards).max(1);
        let admission = Arc::new(Admission::new(clock::now().mono));
        let mut secret = [0; 32];
        random(&mut secret)?;
        let cookies = CookieKey::new(secret, clock::now().mono);
        let (neighbours, mailboxes): (Vec<Address>, Vec<Mailbox>) =
            (0..shards).map(|_| mailbox()).unzip();

        let mut members = Vec::new();
        for ((id, group), inbox) in (0..shards).zip(groups).zip(mailboxes) {
            let shard = ShardId(id);
            let mut entropy = Entropy::new();
            let random = Random::new(move |bytes| {
                // The operating system's source was there at start and does not go.
                let _ = entropy.fill(bytes);
            });
            let engine = Engine::new(shard, Arc::clone(&settings), Arc::clone(&shared), random);
            let counters = engine.counters();
            let net_counters = Arc::new(NetCounters::default());
            let address = neighbours
                .get(usize::from(id))
                .cloned()
                .ok_or_else(|| io::Error::other("no mailbox"))?;
            let shard_plan = ShardPlan {
                shard,
                engine,
                shared: Arc::clone(&shared),
                listeners: group.datagrams,
                stream_listeners: group.streams,
                admission: Arc::clone(&admission),
                tls: plan.tls.clone(),
                dtls: DtlsClients::new(cookies.clone(), plan.dtls.clone()),
                patience: plan.patience,
                shards: u32::from(shards),
                relay_options,
                second_sockets,
                latency_budget: plan.latency_budget,
                neighbours: neighbours.clone(),
                counters: Arc::clone(&net_counters),
                observer: Arc::clone(&plan.observer),
                keys: plan.keys.clone(),
            };
            let thread = std::thread::Builder::new()
                .name(format!("shard-{id}"))
                .spawn(move || shard::run(shard_plan, inbox))?;
            let thread = Mutex::new(Some(thread));
            members.push(Member { address, counters, net_counters, thread });
        }
        let applying = tokio::sync::Mutex::new(settings.relay.addresses.clone());
        Ok(Self { members, shared, listening, applying })
    }

    /// The addresses that are listened on, ports chosen by the kernel included.
    pub fn listening(&self) -> &[Listening] {
        &self.listening
    }

    /// Ports, quotas and limits of the process.
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// The engine counters of each shard.
    pub fn counters(&self) -> impl Iterator<Item = &Arc<Counters>> {
        self.members.iter().map(|member| &member.counters)
    }

    /// The socket counters of each shard.
    pub fn net_counters(&self) -> impl Iterator<Item = &Arc<NetCounters>> {
        self.members.iter().map(|member| &member.net_counters)
    }

    /// Live allocations. Reservations of ports, which count toward quotas too, are none.
    pub fn allocations(&self) -> u32 {
        let live = |counters: &Arc<Counters>| {
            // Ended first: one that ends in between is counted once too often and never too seldom.
            let ended = counters.allocations_ended.get();
            counters.allocations_created.get().saturating_sub(ended)
        };
        u32::try_from(self.counters().map(live).sum::<u64>()).unwrap_or(u32::MAX)
    }

    /// Every counter that is not zero, summed over the shards.
    pub fn totals(&self) -> Vec<(String, u64)> {
        let mut totals = std::collections::BTreeMap::new();
        let engine = self.counters().flat_map(|counters| counters.snapshot());
        let net = self
            .net_counters()
            .flat_map(|counters| counters.snapshot())
            .map(|(name, value)| (name.to_owned(), value));
        for (name, value) in engine.chain(net) {
            *totals.entry(name).or_insert(0) += value;
        }
        totals.into_iter().collect()
    }

    /// Whether every shard still runs.
    pub fn is_running(&self) -> bool {
        self.members.iter().all(|member| {
            let thread = member.thread.lock().unwrap_or_else(PoisonError::into_inner);
            thread.as_ref().is_some_and(|thread| !thread.is_finished())
        })
    }

    /// Comes back as soon as a shard has ended, asked or not.
    pub async fn ended(&self) {
        let mut members: Vec<_> =
            self.members.iter().map(|member| Box::pin(member.address.ended())).collect();
        poll_fn(|task| {
            let has_ended = members.iter_mut().any(|member| member.as_mut().poll(task).is_ready());
            if has_ended { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Stops every shard and waits for it, which blocks this thread.
    ///
    /// # Errors
    /// The first error that a shard ended with. The second call finds none.
    pub fn stop(&self) -> io::Result<()> {
        for member in &self.members {
            member.address.stop();
        }
        let mut result = Ok(());
        for member in &self.members {
            let thread = member.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
            let Some(thread) = thread else { continue };
            let ended = thread.join().unwrap_or_else(|_| Err(io::Error::other("a shard panicked")));
            if result.is_ok() {
                result = ended;
            }
        }
        result
    }
}

/// Nobody may name one of our listeners as a peer, in whichever realm `[H6]`.
pub(crate) fn with_endpoints(mut settings: Settings, listening: &[Listening]) -> Settings {
    for realm in &mut settings.realms {
        // [H6]
        realm.peers.endpoints.extend(listening.iter().map(|listening| listening.address));
    }
    settings
}

/// Second sockets of relays get half of the descriptors that are left when every relay port of an
/// address has one.
fn second_sockets(ports: &RangeInclusive<u16>) -> io::Result<usize> {
    let descriptors = usize::try_from(descriptor_limit()?).unwrap_or(usize::MAX);
    Ok(descriptors.saturating_sub(ports.len()) / 2)
}

fn random(bytes: &mut [u8]) -> io::Result<()> {
    getrandom::fill(bytes).map_err(io::Error::other)
}
