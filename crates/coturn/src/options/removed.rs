//! Names that coturn once had, and guides still have.

/// An option that newer versions of coturn do not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Removed {
    /// The long name.
    pub name: &'static str,
    /// Why it has no effect.
    pub reason: &'static str,
}

/// Those that are accepted with a warning.
pub const REMOVED: &[Removed] = &[
    Removed { name: "no-tlsv1", reason: OLD_TLS },
    Removed { name: "no-tlsv1_1", reason: OLD_TLS },
    Removed { name: "no-sslv2", reason: OLD_TLS },
    Removed { name: "no-sslv3", reason: OLD_TLS },
    Removed {
        name: "no-loopback-peers",
        reason: "loopback peers are always closed; the line can go",
    },
    Removed {
        name: "no-stun-backward-compatibility",
        reason: "responses never have MAPPED-ADDRESS; the line can go",
    },
    Removed { name: "prod", reason: "no response tells the software; the line can go" },
    Removed { name: "ne", reason: "there is one network engine; the line can go" },
    Removed { name: "dh2066", reason: "keys are exchanged over elliptic curves; the line can go" },
    Removed { name: "secret-ts-exp-time", reason: "it had no effect in coturn either" },
];

const OLD_TLS: &str = "TLS begins with 1.2 here; the line can go";
