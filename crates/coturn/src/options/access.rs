//! Who gets in, how much each may take, and whom clients may reach.

use super::OptionSpec as O;
use super::Value::{Flag, Required};

pub(super) const CREDENTIALS: &[O] = &[
    O::applied("use-auth-secret", Flag, "off", "auth.secrets", "Time-limited credentials; static users do not count beside them."),
    O::applied("static-auth-secret", Required, "none", "auth.secrets", "A shared secret; may be repeated, which is how one is rotated."),
    O::applied("realm", Required, "the domain name", "realm", "The realm of all credentials; without it the NIS domain name of the host, as coturn has it, and `localhost` where there is none.")
        .short('r'),
    O::applied("lt-cred-mech", Flag, "off", "auth.users", "Static users; on by itself where there is one.")
        .short('a'),
    O::applied("user", Required, "none", "auth.users", "`name:password` or `name:0xkey`; may be repeated.")
        .short('u'),
    O::applied("rest-api-separator", Required, ":", "auth.separator", "What stands between expiry and userid: one character, no digit.")
        .short('C'),
    O::applied("no-auth", Flag, "on without users", "auth.anonymous", "Relays for everybody, but only where it is written: without users and secrets the server answers STUN only.")
        .short('z'),
    O::refused("secure-stun", Flag, "STUN Binding is answered without credentials, within limits for each source."),
    O::ignored("server-name", Required, "the realm", "It names the server to OAuth clients, and there are none."),
    O::refused("oauth", Flag, "OAuth (RFC 7635) is not available, so its clients could not get in."),
];

const STORE: &str = "auth.stores";
const SQLITE: &str = "An SQLite database with coturn's tables; a file that is absent or has no tables is no store, with a warning.";
const CONNECTION: &str = "The connection string becomes a URL; tables and keys are coturn's, realms, origins and peer rules included; of several stores the last counts.";

pub(super) const STORES: &[O] = &[
    O::applied("userdb", Required, "/var/lib/turn/turndb, where somebody is in it", STORE, SQLITE).short('b'),
    O::applied("db", Required, "as `userdb`", STORE, SQLITE),
    O::applied("psql-userdb", Required, "none", STORE, CONNECTION).short('e'),
    O::applied("sql-userdb", Required, "none", STORE, CONNECTION),
    O::applied("mysql-userdb", Required, "none", STORE, CONNECTION).short('M'),
    O::applied("redis-userdb", Required, "none", STORE, CONNECTION).short('N'),
    O::refused("mongo-userdb", Required, "MongoDB is none of the stores, and whoever is in it could not get in; let an application of yours answer for it, as an https store of `auth.stores`.").short('J'),
    O::ignored(
        "secret-key-file",
        Required,
        "none",
        "It decrypts the password of `mysql-userdb`, beside which it is refused: the password is written as it is.",
    ),
    O::applied(
        "redis-statsdb",
        Required,
        "none",
        "metrics.redis_statsdb",
        "Allocations and their traffic are published under coturn's keys and channels.",
    )
    .short('O'),
    O::always("no-auth-pings", "A store that does not answer is noticed by its look-ups."),
    O::ignored("no-dynamic-ip-list", Flag, "off", "Peer rules of a store are read with all else that is in it."),
    O::ignored("no-dynamic-realms", Flag, "off", "Realms of a store are read with all else that is in it."),
];

pub(super) const QUOTAS: &[O] = &[
    O::applied("user-quota", Required, "0", "limits.allocations_per_user", "Allocations of a user; 0 is unlimited.")
        .short('q'),
    O::applied("total-quota", Required, "0", "limits.allocations", "Allocations of the server; 0 is unlimited.")
        .short('Q'),
    O::applied("max-bps", Required, "0", "limits.bandwidth_per_allocation", "Bytes a second of an allocation, each direction; 0 is unlimited.")
        .short('s'),
    O::applied("bps-capacity", Required, "0", "limits.bandwidth", "Bytes a second of the server, each direction; 0 is unlimited; shared by all allocations, where coturn refuses new ones.")
        .short('B'),
];

pub(super) const PEERS: &[O] = &[
    O::applied(
        "denied-peer-ip",
        Required,
        "none",
        "peers.deny",
        "An address, `a-b` or a name that is looked up once; may be repeated; what is allowed is taken out of it, because in coturn allowing wins.",
    ),
    O::applied(
        "allowed-peer-ip",
        Required,
        "none",
        "peers.allow",
        "The same, allowed; of an address of this host it opens ports 1024-65535, less those of this server.",
    ),
    O::always("no-multicast-peers", "Multicast peers are always closed."),
    O::applied(
        "allow-loopback-peers",
        Flag,
        "off",
        "lab.loopback_peers",
        "Clients reach 127.0.0.0/8 and ::1 of this host: for trials only.",
    ),
];
