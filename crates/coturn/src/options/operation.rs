//! Threads, administration, metrics, logs and the process.

use super::OptionSpec as O;
use super::Value::{Flag, Optional, Required};

const OWN_IO: &str = "How sockets are read and written is chosen here.";

pub(super) const THREADS: &[O] = &[
    O::applied(
        "relay-threads",
        Required,
        "one a core",
        "shards",
        "Threads that serve packets; 0 is one.",
    )
    .short('m'),
    O::applied(
        "cpus",
        Required,
        "those there are",
        "shards",
        "How many cores to count, where `relay-threads` does not say it.",
    ),
    O::ignored("sock-buf-size", Required, "2 MiB", OWN_IO),
    O::ignored("udp-recvmmsg", Flag, "on", OWN_IO),
    O::ignored("udp-recvmmsg-log", Flag, "off", OWN_IO),
    O::ignored("udp-sendmmsg-log", Flag, "off", OWN_IO),
    O::ignored("udp-gso", Flag, "off", OWN_IO),
];

const NO_CLI: &str = "There is no telnet console: `turnserver status`, `allocations` and `drain` speak to a Unix socket that asks for no password.";
const NO_WEB: &str =
    "There is no web console; metrics and the admin listener have their own addresses.";

pub(super) const ADMINISTRATION: &[O] = &[
    O::ignored("cli", Flag, "off", NO_CLI),
    O::ignored("cli-ip", Required, "127.0.0.1", NO_CLI),
    O::ignored("cli-port", Required, "5766", NO_CLI),
    O::ignored("cli-password", Required, "none", NO_CLI),
    O::always("no-cli", "There is no telnet console."),
    O::ignored("cli-max-output-sessions", Required, "256", NO_CLI),
    O::ignored("web-admin", Flag, "off", NO_WEB),
    O::ignored("web-admin-ip", Required, "127.0.0.1", NO_WEB),
    O::ignored("web-admin-port", Required, "8080", NO_WEB),
    O::ignored("web-admin-listen-on-workers", Flag, "off", NO_WEB),
];

const NO_TLS: &str =
    "Metrics are served without TLS: put a proxy in front, or scrape over a private network.";

pub(super) const PROMETHEUS: &[O] = &[
    O::applied(
        "prometheus",
        Flag,
        "off",
        "metrics.coturn_names",
        "Serves coturn's names beside our own; without it there is no metrics listener.",
    ),
    O::applied("prometheus-port", Required, "9641", "metrics.address", "Its port."),
    O::applied("prometheus-address", Required, "every address", "metrics.address", "Its address."),
    O::applied("prometheus-path", Required, "/metrics", "metrics.path", "Its path."),
    O::ignored(
        "prometheus-username-labels",
        Flag,
        "off",
        "A label for each user grows without bound with time-limited credentials; `turnserver allocations` tells users apart.",
    ),
    O::ignored("prometheus-tls", Flag, "off", NO_TLS),
    O::ignored("prometheus-cert", Required, "none", NO_TLS),
    O::ignored("prometheus-key", Required, "none", NO_TLS),
];

pub(super) const LOGGING: &[O] = &[
    O::applied("verbose", Flag, "off", "log.level", "Level `info`, which holds without it as well: one line for each allocation.")
        .short('v'),
    O::applied("Verbose", Flag, "off", "log.level", "Level `debug`.").short('V'),
    O::applied("log-file", Required, "/var/log/turn_PID_DATE.log", "log.target", "A file, `syslog`, or `stdout` and `-`, which are standard error here; without it standard error, which systemd keeps.")
        .short('l'),
    O::always("no-stdout-log", "The log goes to one place only."),
    O::applied("syslog", Flag, "off", "log.target", "The system's log."),
    O::applied("syslog-facility", Required, "daemon", "log.syslog_facility", "As `LOG_LOCAL1` or `local1`."),
    O::always("simple-log", "The log file has the name that is written."),
    O::applied("log-min-level", Required, "debug", "log.level", "`debug`, `info`, `warning` or `error`."),
    O::always("new-log-timestamp", "Every record has a full timestamp."),
    O::ignored("new-log-timestamp-format", Required, "ISO 8601", "Timestamps are of RFC 3339; `log.format = \"json\"` is for machines."),
    O::ignored("log-binding", Flag, "off", "Binding requests are counted and not logged."),
];

const SUPERVISED: &str =
    "The server stays in the foreground, where systemd or a container runtime supervises it.";
const UNIT: &str = "The systemd unit says who runs it: `User=` and `Group=`.";

pub(super) const PROCESS: &[O] = &[
    O::ignored("daemon", Flag, "off", SUPERVISED).short('o'),
    O::ignored(
        "pidfile",
        Required,
        "/var/run/turnserver.pid",
        "The supervisor knows the process; `systemctl show -p MainPID turnserver` prints its number.",
    ),
    O::ignored("proc-user", Required, "none", UNIT),
    O::ignored("proc-group", Required, "none", UNIT),
    O::applied(
        "drain-min-allocations",
        Required,
        "0",
        "drain.min_allocations",
        "A draining server ends when no more allocations than this are left.",
    ),
    O {
        verdict: super::Verdict::Applied(None),
        ..O::ignored("version", Optional, "none", "Prints the version and ends.")
    },
];
