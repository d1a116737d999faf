//! coturn's `redis-statsdb`: what becomes of allocations, published as coturn publishes it.

use turn_config::Config;
use turn_engine::{AllocationId, Report, Traffic, Transport};
use turn_users::{
    StatsChange, StatsDb, StatsEvent, StatsId, StatsStatus, StatsTraffic, StatsTransport,
    StoreError,
};

/// Publishes to one Redis server; an outage of it costs nothing but what is not published.
#[derive(Debug)]
pub struct Statistics(StatsDb);

impl Statistics {
    /// Publishes where `config` wants it; it connects with the first event.
    ///
    /// # Errors
    /// The URL is of no use.
    pub fn start(config: &Config) -> Result<Option<Self>, StoreError> {
        let url = config.metrics.redis_statsdb.as_ref();
        url.map(|url| StatsDb::connect(url.reveal()).map(Self)).transpose()
    }

    /// Something was reported by a shard; `realm` and `user` are who it is about.
    pub fn hear(&self, report: &Report, realm: &str) {
        match report {
            Report::Created { id, user, link, lifetime, .. } => {
                let status = StatsStatus {
                    lifetime: *lifetime,
                    transport: transport(link.tuple.transport),
                    local: link.tuple.server,
                    remote: link.tuple.client,
                    tls: None,
                };
                self.publish(*id, realm, user, StatsChange::New(status));
            }
            Report::Ended { id, user, traffic, .. } => {
                self.publish(*id, realm, user, StatsChange::Deleted(amount(traffic)));
            }
            Report::AuthFailed { .. }
            | Report::Refused { .. }
            | Report::LimitReached { .. }
            | Report::PeerDenied { .. } => {}
        }
    }

    /// A live allocation has relayed so much by now.
    pub fn traffic(&self, id: AllocationId, realm: &str, user: &str, traffic: &Traffic) {
        self.publish(id, realm, user, StatsChange::Traffic(amount(traffic)));
    }

    fn publish(&self, id: AllocationId, realm: &str, user: &str, change: StatsChange) {
        let id = StatsId { shard: id.shard.0, serial: id.serial };
        self.0.publish(StatsEvent { realm: realm.to_owned(), user: user.to_owned(), id, change });
    }
}

fn amount(traffic: &Traffic) -> StatsTraffic {
    StatsTraffic {
        up_packets: traffic.up_packets,
        up_bytes: traffic.up_bytes,
        down_packets: traffic.down_packets,
        down_bytes: traffic.down_bytes,
    }
}

fn transport(transport: Transport) -> StatsTransport {
    match transport {
        Transport::Udp => StatsTransport::Udp,
        Transport::Tcp => StatsTransport::Tcp,
        Transport::Tls => StatsTransport::Tls,
        Transport::Dtls => StatsTransport::Dtls,
    }
}
