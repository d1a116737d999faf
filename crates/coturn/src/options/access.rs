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

const NO_STORE: &str = "Stores are not available yet, and whoever is in it could not get in; move the users and secrets to `user` and `static-auth-secret`.";
const NO_FILE: &str = "Refused where the file holds users, secrets or rules, because stores are not available yet; ignored where there is no such file or it holds none.";

pub(super) const STORES: &[O] = &[
    O::refused("userdb", Required, NO_FILE).short('b'),
    O::refused("db", Required, NO_FILE),
    O::refused("psql-userdb", Required, NO_STORE).short('e'),
    O::refused("sql-userdb", Required, NO_STORE),
    O::refused("mysql-userdb", Required, NO_STORE).short('M'),
    O::refused("redis-userdb", Required, NO_STORE).short('N'),
    O::refused("mongo-userdb", Required, NO_STORE).short('J'),
    O::ignored(
        "secret-key-file",
        Required,
        "none",
        "It decrypts the password of a MySQL store, and stores are not available yet.",
    ),
    O::ignored(
        "redis-statsdb",
        Required,
        "none",
        "Allocations are told by the log, the metrics and `turnserver allocations`.",
    )
    .short('O'),
    O::always("no-auth-pings", "There is no store to be asked."),
    O::always("no-dynamic-ip-list", "There is no store to be asked."),
    O::always("no-dynamic-realms", "There is no store to be asked."),
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
