//! TLS, STUN, abuse, balancing.

use super::OptionSpec as O;
use super::Value::{Flag, Required};

const OLD_TLS: &str = "TLS 1.0 and 1.1 are broken, and clients have had 1.2 for a decade.";
const CURVES: &str = "Keys are exchanged over elliptic curves, which need no parameters.";

pub(super) const TLS: &[O] = &[
    O::applied(
        "cert",
        Required,
        "turn_server_cert.pem",
        "tls.certificates",
        "The certificate with its chain; where there is no such file TLS and DTLS stay off, as in coturn.",
    ),
    O::applied(
        "pkey",
        Required,
        "turn_server_pkey.pem",
        "tls.certificates",
        "The private key of the certificate.",
    ),
    O::ignored(
        "cipher-list",
        Required,
        "DEFAULT",
        "The list is fixed: TLS 1.3, and of 1.2 what has forward secrecy and authenticated encryption.",
    ),
    O::ignored("dh-file", Required, "none", CURVES),
    O::refused(
        "CA-file",
        Required,
        "It demands certificates of clients, which is not available, so it would keep nobody out.",
    ),
    O::ignored(
        "pkey-pwd",
        Required,
        "none",
        "Encrypted keys are not read: write one without a password by `openssl pkey`, of mode 0640.",
    ),
    O::ignored(
        "ec-curve-name",
        Required,
        "automatic",
        "The curves are X25519, P-256 and P-384, whichever the client has.",
    ),
    O::ignored("dh566", Flag, "off", CURVES),
    O::ignored("dh1066", Flag, "off", CURVES),
    O::ignored("tlsv1", Flag, "off", OLD_TLS),
    O::ignored("tlsv1_1", Flag, "off", OLD_TLS),
    O::ignored("no-tlsv1_2", Flag, "off", "TLS 1.2 stays on for clients that have nothing newer."),
    O::ignored("raw-public-keys", Flag, "off", "Raw public keys (RFC 7250) are not available."),
    O::ignored(
        "acme-redirect",
        Required,
        "none",
        "TURN ports do not speak HTTP; docs/443-only.md shows how to share port 443.",
    ),
];

pub(super) const STUN: &[O] = &[
    O::applied(
        "stun-only",
        Flag,
        "off",
        "auth",
        "Answers STUN Binding only: users and secrets are left out.",
    )
    .short('S'),
    O::ignored(
        "no-stun",
        Flag,
        "off",
        "STUN Binding is always answered, within limits for each source.",
    ),
    O::always(
        "fingerprint",
        "Every response has FINGERPRINT where the request has it (RFC 8489 section 7).",
    )
    .short('f'),
    O::ignored("rfc5780", Flag, "off", "NAT behaviour discovery (RFC 5780) is not available."),
    O::always("no-rfc5780", "NAT behaviour discovery (RFC 5780) is not available."),
    O::ignored(
        "stun-backward-compatibility",
        Flag,
        "off",
        "Responses have XOR-MAPPED-ADDRESS only, which every client since RFC 5389 reads.",
    ),
    O::ignored(
        "rfc3489-compatibility",
        Flag,
        "off",
        "Requests of RFC 3489, from before 2008, are not answered.",
    ),
    O::applied(
        "rfc5766-channel-numbers",
        Flag,
        "on until coturn 4.15",
        "relay.rfc5766_channel_numbers",
        "Channels 0x4000-0x7FFF, as every coturn until 4.15 takes them; `=0` leaves 0x4000-0x4FFF.",
    ),
    O::always("response-origin-only-with-rfc5780", "Responses never have RESPONSE-ORIGIN."),
    O::ignored("software-attribute", Flag, "off", "No response tells the software or its version."),
    O::always("no-software-attribute", "No response tells the software or its version."),
    O::ignored(
        "include-reason-string",
        Flag,
        "off",
        "Error responses are as short as they can be; the log has the reason.",
    ),
    O::ignored(
        "check-origin-consistency",
        Flag,
        "off",
        "ORIGIN is not read, and no realm hangs on it.",
    ),
];

pub(super) const ABUSE: &[O] = &[
    O::applied(
        "unauthorized-ratelimit",
        Flag,
        "off",
        "limits.challenges",
        "Limits 401 responses to each source; a limit is on without it too.",
    ),
    O::applied(
        "unauthorized-ratelimit-rps",
        Required,
        "10",
        "limits.challenges",
        "How many a second, where `unauthorized-ratelimit` is on.",
    ),
    O::always("drop-invalid-packets", "What is no STUN, ChannelData or DTLS is dropped always."),
    O::ignored(
        "drop-invalid-packets-log",
        Flag,
        "off",
        "Packets are counted and not logged; the metrics have their reasons.",
    ),
    O::ignored(
        "respond-http-unsupported",
        Flag,
        "off",
        "TURN ports do not speak HTTP; load balancers ask `/healthz` of the metrics listener.",
    ),
];

const NO_REDIRECT: &str =
    "Clients are not sent to other servers; give them several in the list of ICE servers.";

pub(super) const BALANCING: &[O] = &[
    O::ignored("alternate-server", Required, "none", NO_REDIRECT),
    O::ignored("tls-alternate-server", Required, "none", NO_REDIRECT),
    O::ignored("udp-alternate-server", Required, "none", NO_REDIRECT),
    O::ignored("tcp-alternate-server", Required, "none", NO_REDIRECT),
    O::ignored(
        "udp-self-balance",
        Flag,
        "off",
        "Every core serves every listener, so there is nothing to balance.",
    ),
    O::ignored(
        "mobility",
        Flag,
        "off",
        "Mobility (RFC 8016) is not available; no browser asks for it.",
    ),
];
