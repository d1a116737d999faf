//! What is odd about a certificate that can be used.

use std::fmt;
use std::path::PathBuf;

use crate::error::shell_word;

/// Something that an operator should put right; `Display` names the file and the fix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// The key can be read or changed by everybody on this host.
    KeyOpenToOthers {
        /// The key file.
        key: PathBuf,
    },
    /// The certificates stood in the wrong order; they are served in the right one.
    Reordered {
        /// The certificate file.
        certificate: PathBuf,
    },
    /// Certificates that are not part of the chain; they are not served.
    Unrelated {
        /// The certificate file.
        certificate: PathBuf,
        /// How many.
        count: usize,
    },
    /// The certificate of the issuer is missing.
    NoIssuer {
        /// The certificate file.
        certificate: PathBuf,
        /// Who issued the last certificate of the chain.
        issuer: String,
    },
    /// There is no name in it that a client could compare.
    NoNames {
        /// The certificate file.
        certificate: PathBuf,
    },
    /// It has expired, and is served because there is no other.
    Expired {
        /// The certificate file.
        certificate: PathBuf,
        /// How long ago.
        days: i64,
    },
    /// It is not valid yet, and is served because there is no other.
    NotYetValid {
        /// The certificate file.
        certificate: PathBuf,
        /// How long to go.
        days: i64,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KeyOpenToOthers { key } => write!(
                f,
                "{} is a private key and open to everybody on this host; chmod o-rw {}",
                key.display(),
                shell_word(key)
            ),
            Self::Reordered { certificate } => write!(
                f,
                "{} is in the wrong order, and is served in the right one; put the server's \
                 certificate first and behind each certificate that of its issuer",
                certificate.display()
            ),
            Self::Unrelated { certificate, count } => write!(
                f,
                "{} holds {count} certificates that issued none before them, and are not served; \
                 remove them, or put in those of the issuers",
                certificate.display()
            ),
            Self::NoIssuer { certificate, issuer } => write!(
                f,
                "{} has no certificate of its issuer ({}), so that only clients that have it \
                 installed will connect; name the file with the whole chain (certbot: \
                 fullchain.pem instead of cert.pem)",
                certificate.display(),
                issuer.escape_debug()
            ),
            Self::NoNames { certificate } => write!(
                f,
                "{} has no subjectAltName, so that browsers refuse it; have it issued for the \
                 name that clients connect to",
                certificate.display()
            ),
            Self::Expired { certificate, days } => write!(
                f,
                "{} HAS EXPIRED {days} days ago: TLS clients refuse it; renew it (certbot: \
                 certbot renew)",
                certificate.display()
            ),
            Self::NotYetValid { certificate, days } => write!(
                f,
                "{} IS NOT VALID for another {days} days: TLS clients refuse it; set this host's \
                 clock, or name another certificate",
                certificate.display()
            ),
        }
    }
}
