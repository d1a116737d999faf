//! Configurations of our server for tests on one machine: on loopback, with the lab switch, on a
//! port that the kernel chooses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use serde_json::json;
use turn_config::{
    Config, Credential, Lab, Listen, Relay, Secret, Shards, SharedSecret, Transport, User,
};

/// Where clients and peers of the lab are.
pub const IPV4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// The same, over IPv6.
pub const IPV6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

/// A configuration for the lab: one shard, both loopback addresses, nobody who may relay yet.
pub fn config() -> Config {
    Config {
        shards: Shards::Count(1),
        listen: [IPV4, IPV6].map(listen).to_vec(),
        relay: Relay { addresses: vec![IPV4, IPV6], ..Relay::default() },
        lab: Lab { loopback_peers: true },
        ..Config::default()
    }
}

/// [`config`] with a static user.
pub fn config_with_user(name: &str, password: &str) -> Config {
    let credential = Credential::Password(Secret::new(password));
    let mut config = config();
    config.auth.users = vec![User { name: name.to_owned(), credential }];
    config
}

/// [`config`] with a shared secret for time-limited credentials.
pub fn config_with_secret(secret: &str) -> Config {
    let mut config = config();
    config.auth.secrets = vec![SharedSecret::new(secret)];
    config
}

/// The `iceServers` JSON of a user of a server.
pub fn ice_servers(server: SocketAddr, username: &str, credential: &str) -> String {
    ice_servers_at(&format!("turn:{server}?transport=udp"), username, credential)
}

/// The `iceServers` JSON of a user of a server by its URL, as `turns:127.0.0.1:5349?transport=tcp`.
pub fn ice_servers_at(url: &str, username: &str, credential: &str) -> String {
    json!([{ "urls": url, "username": username, "credential": credential }]).to_string()
}

fn listen(address: IpAddr) -> Listen {
    // Port 0: tests that run at the same time do not meet.
    Listen {
        address: SocketAddr::new(address, 0),
        transports: vec![Transport::Udp],
        proxy_protocol: Vec::new(),
        realm: None,
    }
}
