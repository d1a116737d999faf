//! A fleet on loopback ports that the kernel chooses, for one test.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, StreamOwned};
use tokio::runtime::Builder;
use turn_dtls::DtlsIdentity;
use turn_engine::{
    AddressRange, Limits, PeerPolicy, Realm, RealmId, RelayAddress, RelaySettings, Report,
    Settings, ShardId, Transport,
};
use turn_net::{Fleet, KeyFinder, ListenPlan, Observer, Patience, Plan, RelayPlan};

use crate::client::{Client, Datagrams, dial};

/// A running server; it stops when it is dropped.
pub(crate) struct Server {
    pub(crate) fleet: Fleet,
    pub(crate) address: SocketAddr,
    /// What it started with.
    pub(crate) settings: Settings,
    trust: Arc<ClientConfig>,
}

/// What a test wants of its server; everything else is like this.
pub(crate) struct Setup {
    pub(crate) shards: u8,
    pub(crate) transports: Vec<Transport>,
    pub(crate) limits: Limits,
    pub(crate) realms: Vec<Realm>,
    /// Of the listener.
    pub(crate) realm: Option<RealmId>,
    pub(crate) patience: Patience,
    pub(crate) proxy_upstreams: Vec<AddressRange>,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) keys: Option<Arc<dyn KeyFinder>>,
}

/// A client's TLS over TCP.
pub(crate) type OverTls = StreamOwned<ClientConnection, std::net::TcpStream>;

/// What the certificate is made out to.
const NAMES: [&str; 4] = ["localhost", "127.0.0.1", "b.example", "c.example"];

/// Deadlines that a test can wait for, longer than a busy machine stutters.
pub(crate) const BRISK: Duration = Duration::from_millis(600);

#[derive(Debug)]
struct Silent;

impl Observer for Silent {
    fn report(&self, _: ShardId, _: Report) {}
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            shards: 1,
            transports: vec![Transport::Udp, Transport::Tcp, Transport::Tls],
            limits: Limits::default(),
            realms: vec![open_realm("localhost")],
            realm: None,
            patience: Patience::default(),
            proxy_upstreams: Vec::new(),
            observer: Arc::new(Silent),
            keys: None,
        }
    }
}

impl Setup {
    pub(crate) fn start(self) -> Server {
        let localhost = Ipv4Addr::LOCALHOST.into();
        let (tls, trust, dtls) = certificate();
        let settings = Settings {
            realms: self.realms,
            relay: RelaySettings {
                addresses: vec![RelayAddress::new(localhost, localhost)],
                tcp: true,
                ..RelaySettings::default()
            },
            limits: self.limits,
            ..Settings::default()
        };
        let listen = ListenPlan {
            address: SocketAddr::new(localhost, 0),
            patience: Duration::ZERO,
            optional: false,
            transports: self.transports,
            proxy_upstreams: self.proxy_upstreams,
            realm: self.realm,
        };
        let fleet = Fleet::start(Plan {
            shards: self.shards,
            listen: vec![listen],
            present: vec![localhost],
            relay: RelayPlan { ports: 20_000..=29_999, dscp: 0 },
            latency_budget: Some(Duration::from_micros(200)),
            settings: settings.clone(),
            observer: self.observer,
            keys: self.keys,
            tls: Some(tls),
            dtls: Some(dtls),
            patience: self.patience,
        })
        .unwrap();
        let address = fleet.listening().first().unwrap().address;
        Server { fleet, address, settings, trust }
    }
}

impl Server {
    pub(crate) fn tcp(&self) -> Client {
        Client::new(dial(self.address))
    }

    pub(crate) fn udp(&self) -> Client<Datagrams> {
        Client::new(Datagrams::to(self.address))
    }

    pub(crate) fn tls(&self) -> Client<OverTls> {
        Client::new(self.tls_over(dial(self.address)))
    }

    /// A client that asks for this name, or this address, which is no name.
    pub(crate) fn tls_for(&self, name: &str) -> Client<OverTls> {
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let session = ClientConnection::new(Arc::clone(&self.trust), name).unwrap();
        Client::new(StreamOwned::new(session, dial(self.address)))
    }

    pub(crate) fn tls_over(&self, socket: std::net::TcpStream) -> OverTls {
        let name = "localhost".try_into().unwrap();
        let session = ClientConnection::new(Arc::clone(&self.trust), name).unwrap();
        StreamOwned::new(session, socket)
    }

    /// Waits as the control thread does.
    pub(crate) fn control<T>(&self, ask: impl AsyncFnOnce(&Fleet) -> T) -> T {
        let runtime = Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(ask(&self.fleet))
    }

    pub(crate) fn apply(&self, settings: Settings) {
        self.control(async |fleet| fleet.apply(settings).await).unwrap();
    }

    pub(crate) fn count(&self, name: &str) -> u64 {
        let totals = self.fleet.totals();
        totals.iter().find(|(known, _)| known == name).map_or(0, |(_, value)| *value)
    }

    /// Waits until a counter has at least this value.
    pub(crate) fn wait_for(&self, name: &str, value: u64) {
        let started = Instant::now();
        while self.count(name) < value {
            let totals = self.fleet.totals();
            assert!(started.elapsed() < Duration::from_secs(10), "no {value} {name}: {totals:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Allocations that live at this moment.
    pub(crate) fn allocations(&self) -> u64 {
        self.count("allocations_created") - self.count("allocations_ended")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let stopped = self.fleet.stop();
        if !std::thread::panicking() {
            stopped.unwrap();
        }
    }
}

/// A realm whose clients need no credentials and reach loopback.
pub(crate) fn open_realm(name: &str) -> Realm {
    Realm { anonymous: true, ..closed_realm(name) }
}

/// A realm that challenges everybody.
pub(crate) fn closed_realm(name: &str) -> Realm {
    Realm {
        server_names: vec![name.into()],
        peers: PeerPolicy { loopback: true, ..PeerPolicy::default() },
        ..Realm::new(name)
    }
}

/// A certificate for both sides.
pub(crate) fn certificate() -> (Arc<ServerConfig>, Arc<ClientConfig>, Arc<DtlsIdentity>) {
    let made = rcgen::generate_simple_self_signed(NAMES.map(str::to_owned)).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let chain = vec![made.cert.der().clone()];
    let identity = DtlsIdentity::new(&chain, &key).unwrap();
    let server =
        ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let client = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    (Arc::new(server), Arc::new(client), Arc::new(identity))
}
