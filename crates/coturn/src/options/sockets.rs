//! Where clients come in, where relayed packets leave, and how long that lasts.

use super::OptionSpec as O;
use super::Value::{Flag, Optional, Required};

pub(super) const LISTENERS: &[O] = &[
    O::applied(
        "listening-ip",
        Required,
        "every address",
        "listen",
        "An address of every listener; may be repeated.",
    )
    .short('L'),
    O::applied(
        "listening-port",
        Required,
        "3478",
        "listen",
        "The port of UDP and TCP; with a certificate it speaks TLS and DTLS as well.",
    )
    .short('p'),
    O::applied(
        "tls-listening-port",
        Required,
        "5349",
        "listen",
        "The port of TLS and DTLS, which speaks UDP and TCP as well; open only with a certificate.",
    ),
    O::applied("no-udp", Flag, "off", "listen", "No listener speaks plain UDP."),
    O::applied("no-tcp", Flag, "off", "listen", "No listener speaks plain TCP."),
    O::applied("no-tls", Flag, "off", "listen", "No listener speaks TLS."),
    O::applied(
        "dtls",
        Flag,
        "on until coturn 4.16",
        "listen",
        "DTLS is on wherever there is a certificate, as it was until 4.16; `dtls=0` turns it off.",
    ),
    O::applied("no-dtls", Flag, "off", "listen", "No listener speaks DTLS."),
    O::ignored(
        "alt-listening-port",
        Required,
        "port + 1",
        "NAT behaviour discovery (RFC 5780) is not available, so nothing listens there.",
    ),
    O::ignored(
        "alt-tls-listening-port",
        Required,
        "TLS port + 1",
        "NAT behaviour discovery (RFC 5780) is not available, so nothing listens there.",
    ),
    O::ignored(
        "listening-device",
        Required,
        "none",
        "Listeners are chosen by address: write `listening-ip` with those of the device.",
    )
    .short('d'),
    O::applied(
        "aux-server",
        Required,
        "none",
        "listen",
        "One more address and port to listen on; may be repeated.",
    ),
    O::applied(
        "tcp-proxy-port",
        Required,
        "off",
        "listen",
        "The port of TCP with the PROXY protocol, instead of all other TCP and TLS; `proxy_protocol` should then name your balancers, as coturn takes everybody's word.",
    ),
];

pub(super) const RELAY: &[O] = &[
    O::applied("relay-ip", Required, "where the client came in", "relay.addresses", "An address of relay sockets; may be repeated; without it they are bound to the listening addresses.")
        .short('E'),
    O::applied("external-ip", Required, "none", "relay.external", "`public`, once a family, or `public/private`, which also opens ports 1024-65535 of the private address to peers, less those of this server.")
        .short('X'),
    O::applied("min-port", Required, "49152", "relay.ports", "The first port of relayed addresses; 1024 at least."),
    O::applied("max-port", Required, "65535", "relay.ports", "The last port of relayed addresses."),
    O::ignored("relay-device", Required, "none", "Relay sockets are chosen by address: write `relay-ip` with those of the device.")
        .short('i'),
    O::refused("no-udp-relay", Flag, "UDP relaying cannot be switched off by itself; `stun-only` switches off all of it."),
    O::applied("no-tcp-relay", Flag, "off", "relay.tcp", "No TCP between clients and peers (RFC 6062), which is on without it."),
    O::applied("allocation-default-address-family", Required, "ipv4", "relay.default_family", "The family when a client names none: `ipv4`, `ipv6` or `keep` (as the client came).")
        .short('A'),
    O::applied("keep-address-family", Flag, "off", "relay.default_family", "The older spelling of `allocation-default-address-family=keep`.")
        .short('K'),
    O::refused("server-relay", Flag, "It lets everybody send to an allocation without a permission, which RFC 8656 forbids."),
    O::ignored("multiplex-peer", Flag, "off", "Every allocation has a port of its own."),
    O::ignored("multiplex-peer-port", Required, "3480", "Every allocation has a port of its own."),
    O::ignored("multiplex-peer-max-peers", Required, "256", "Every allocation has a port of its own."),
];

pub(super) const LIFETIMES: &[O] = &[
    O::applied(
        "max-allocate-lifetime",
        Required,
        "3600",
        "limits.max_lifetime",
        "The longest lifetime that a client can ask for, in seconds; 600 to 86400 here.",
    ),
    O::ignored("channel-lifetime", Required, "600", "RFC 8656 fixes it at 600 seconds."),
    O::ignored("permission-lifetime", Required, "300", "RFC 8656 fixes it at 300 seconds."),
    O::ignored(
        "max-allocate-timeout",
        Required,
        "60",
        "A client costs nothing before it has proven itself, and connections without an allocation have limits of their own.",
    ),
    O::applied(
        "stale-nonce",
        Optional,
        "600",
        "auth.nonce_lifetime",
        "How long a nonce is taken, in seconds; RFC 8656 wants an hour at most, which is also what 0 becomes.",
    ),
    O::always("stateless-nonce", "Nonces are stateless always."),
    O::ignored(
        "stateless-nonce-secret",
        Required,
        "random",
        "Nonces are bound to this process; a client of another one gets a new nonce with its first request.",
    ),
];
