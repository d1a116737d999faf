//! What the tasks of a shard's connections have in common.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use rustls::ServerConfig;
use tokio::net::TcpStream;
use tokio::task::{spawn_local, yield_now};
use turn_engine::{AddressRange, FiveTuple, Limits, Now, RealmId, Report, Transport};

use crate::clock;
use crate::core::Core;
use crate::host::Host;
use crate::stream::admission::{Admission, Permit};
use crate::stream::connection::Connection;
use crate::stream::lane::{Lane, Standing};
use crate::stream::opening::{Opening, Spoken};
use crate::stream::socket::{Socket, reset, tune};
use crate::stream::turns::HandshakeTurns;

/// Bytes that are read at once, for all connections of a shard; none of them
/// has a buffer of its own while it is idle.
const SCRATCH: usize = 128 * 1024;

/// The surroundings of a connection's task.
pub(crate) struct StreamContext {
    pub(crate) core: Rc<RefCell<Core>>,
    /// Never borrowed across an await.
    pub(crate) scratch: RefCell<Box<[u8]>>,
    pub(crate) admission: Arc<Admission>,
    /// For connections that begin; a reload may bring another.
    tls: RefCell<Option<Arc<ServerConfig>>>,
    pub(crate) handshakes: HandshakeTurns,
    /// Shards of the process, which share `unauthenticated_connections`.
    pub(crate) shards: u32,
}

/// What a listener's connections have in common.
#[derive(Debug, Clone)]
pub(crate) struct Entrance {
    pub(crate) spoken: Spoken,
    /// Who must send a PROXY header; empty: nobody does, and any may connect.
    pub(crate) upstreams: Vec<AddressRange>,
    /// Whose clients come here; `None`: TLS clients say so by the name they ask for, and
    /// all others are the default realm's.
    pub(crate) realm: Option<RealmId>,
}

impl StreamContext {
    pub(crate) fn new(
        core: &Rc<RefCell<Core>>,
        admission: Arc<Admission>,
        tls: Option<Arc<ServerConfig>>,
        shards: u32,
    ) -> Rc<Self> {
        let scratch = RefCell::new(vec![0; SCRATCH].into_boxed_slice());
        let (tls, handshakes) = (RefCell::new(tls), HandshakeTurns::new());
        Rc::new(Self { core: Rc::clone(core), scratch, admission, tls, handshakes, shards })
    }

    /// Takes in a connection, or closes it for a limit's sake.
    pub(crate) fn take_in(
        self: &Rc<Self>,
        stream: TcpStream,
        client: SocketAddr,
        entrance: &Entrance,
    ) {
        let now = clock::now();
        let mut core = self.core.borrow_mut();
        let host = &mut core.host;
        host.counters.connections_accepted.add(1);
        let is_proxied = !entrance.upstreams.is_empty();
        // [H31] A listener behind a proxy serves nobody else.
        let is_stranger = is_proxied
            && !entrance.upstreams.iter().any(|range| range.contains(client.ip().to_canonical()));
        let permit = if is_stranger { None } else { self.permit(host, client, is_proxied) };
        let lane = permit.and_then(|permit| {
            let server = stream.local_addr().ok()?;
            let tuple = FiveTuple { transport: Transport::Tcp, client, server };
            // [A20] Before a client has named a realm it is in the listener's, or in the default one.
            let realm = entrance.realm.unwrap_or_default();
            Some((self.room_for_stranger(host, tuple, realm, now)?, permit))
        });
        let Some((lane, permit)) = lane else {
            host.counters.connections_refused.add(1);
            return reset(stream);
        };
        if is_proxied {
            lane.set_standing(Standing::Handshaking);
        }
        tune(&stream);
        let opening = Opening {
            context: Rc::clone(self),
            lane,
            socket: Socket::new(stream),
            permit,
            spoken: entrance.spoken,
            is_proxied,
            has_realm: entrance.realm.is_some(),
        };
        spawn_local(opening.run());
    }

    /// Lets the others have their turn before a connection goes on that has more
    /// to do at once.
    pub(crate) async fn yield_busy(&self) {
        self.core.borrow_mut().host.has_busy_streams = true;
        yield_now().await;
    }

    /// The server's side of connections that begin from now on.
    pub(crate) fn set_tls(&self, config: Arc<ServerConfig>) {
        self.tls.replace(Some(config));
    }

    pub(crate) fn tls(&self) -> Option<Arc<ServerConfig>> {
        self.tls.borrow().clone()
    }

    /// Serves a connection in a task of its own, which has nothing in it of how it was opened: each
    /// cache line of a task is waited for when its client sends.
    pub(crate) fn run(connection: Connection) {
        spawn_local(Box::new(connection).run());
    }

    /// The place of a connection whose client is known by name `[H15]`.
    pub(crate) fn permit_for(&self, host: &mut Host, client: SocketAddr) -> Option<Permit> {
        let settings = Arc::clone(host.engine.settings());
        let permit = self.admission.admit(&settings.limits, client.ip());
        if permit.is_none() {
            host.meet_limit("connections_per_source");
        }
        permit
    }

    /// The lane of a new connection; at the cap another one ends for it.
    pub(crate) fn room_for_stranger(
        &self,
        host: &mut Host,
        tuple: FiveTuple,
        realm: RealmId,
        now: Now,
    ) -> Option<Rc<Lane>> {
        // [H15]
        if let Some(share) = self.share_of_strangers(&host.engine.settings().limits) {
            while host.streams.strangers() >= share {
                host.meet_limit("unauthenticated_connections");
                let oldest = host.streams.next_to_shed()?;
                if !host.serves(now, &oldest) && host.streams.close(&oldest) {
                    host.counters.connections_shed.add(1);
                }
            }
        }
        host.streams.insert(tuple, realm, now.mono)
    }

    /// How many clients of each kind, on streams and with DTLS, a shard keeps that
    /// have no allocation.
    pub(crate) fn share_of_strangers(&self, limits: &Limits) -> Option<usize> {
        let cap = limits.unauthenticated_connections?;
        Some(usize::try_from(cap.div_ceil(self.shards.max(1))).unwrap_or(usize::MAX))
    }

    fn permit(&self, host: &mut Host, client: SocketAddr, is_proxied: bool) -> Option<Permit> {
        if is_proxied {
            // Counted when the header has named the client.
            Some(self.admission.unbound())
        } else {
            self.permit_for(host, client)
        }
    }
}

impl Host {
    /// Whether a lane's client has a live allocation or a data connection.
    pub(crate) fn serves(&mut self, now: Now, lane: &Lane) -> bool {
        let serves = self.engine.serves(now, &lane.tuple());
        if serves && !lane.is_proven() {
            self.streams.proved(lane);
        }
        serves
    }

    /// Ends the older connections of a new one's 5-tuple: a port is used again
    /// before its old connection was seen to end, as behind a proxy that closes
    /// late. What is there belongs to whoever came first, and to nobody else.
    pub(crate) fn end_predecessors(&mut self, now: Now, lane: &Lane) {
        let tuple = lane.tuple();
        if !self.engine.serves(now, &tuple) {
            return;
        }
        let is_older = |other: &&Rc<Lane>| other.id() != lane.id() && other.tuple() == tuple;
        let older: Vec<Rc<Lane>> = self.streams.iter().filter(is_older).cloned().collect();
        for lane in older {
            self.streams.close(&lane);
            // Now, before the new one is served; told once more by its task, to no effect.
            self.engine.link_closed(now, lane.id());
        }
        self.drain_actions(now);
    }

    /// A limit of ours has refused something: whoever logs hears of it once.
    pub(crate) fn meet_limit(&self, key: &'static str) {
        if self.shared.meets_limit(key) {
            let report = Report::LimitReached { key, realm: None, tenant: None };
            self.observer.report(self.shard, report);
        }
    }
}
