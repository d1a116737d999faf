//! Why a certificate cannot be used, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use crate::pem_file::Content;

/// A pair of files that cannot be used.
///
/// `Display` says what is wrong and names the file; [`CertificateError::help`] is the fix.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file is none: a directory, a pipe, or far too large.
    #[error("{} is {found}, not a PEM file", path.display())]
    NoFile {
        /// What was named.
        path: PathBuf,
        /// What it is.
        found: &'static str,
    },
    /// The certificate file holds something else.
    #[error("{} holds {found} and no certificate", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
        /// What it holds.
        found: Content,
    },
    /// The key file holds something else.
    #[error("{} holds {found} and no private key", path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
        /// What it holds.
        found: Content,
    },
    /// The file is cut off, or no base64, or not what its headings say.
    #[error("{} is damaged: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where it stops making sense; nothing of its contents.
        reason: String,
    },
    /// The key needs a passphrase, and nobody is there to type it.
    #[error("the private key in {} is encrypted", path.display())]
    EncryptedKey {
        /// The file.
        path: PathBuf,
    },
    /// An RSA key that can be broken.
    #[error("the RSA key in {} is shorter than 2048 bits, and not safe", path.display())]
    ShortKey {
        /// The key file.
        path: PathBuf,
    },
    /// A key of a kind that no client takes.
    #[error(
        "the private key in {} is neither RSA nor ECDSA (P-256, P-384, P-521) nor Ed25519",
        path.display()
    )]
    UnusableKey {
        /// The file.
        path: PathBuf,
    },
    /// Certificate and key do not belong together.
    #[error("{} is not the key of {}", key.display(), certificate.display())]
    OtherKey {
        /// The certificate file.
        certificate: PathBuf,
        /// The key file.
        key: PathBuf,
    },
    /// A new certificate is already past, and the old one is not.
    #[error("{} has expired {days} days ago", path.display())]
    Expired {
        /// The certificate file.
        path: PathBuf,
        /// How long ago.
        days: i64,
    },
    /// A new certificate is not valid yet, and the old one is.
    #[error("{} is not valid before {days} days from now", path.display())]
    NotYetValid {
        /// The certificate file.
        path: PathBuf,
        /// How long to go.
        days: i64,
    },
    /// No certificate can be made for these names.
    #[error("cannot make a self-signed certificate for {names}: {reason}")]
    SelfSigned {
        /// The names.
        names: String,
        /// What the generator says.
        reason: String,
    },
}

impl CertificateError {
    /// What would put it right.
    pub fn help(&self) -> String {
        match self {
            Self::Read { path, source } => unreadable(path, source),
            Self::NoFile { .. } => {
                "name the file itself, such as fullchain.pem or privkey.pem".to_owned()
            }
            Self::NoCertificate { found: Content::Key, .. } => {
                "this is a private key: swap certificate and key".to_owned()
            }
            Self::NoKey { found: Content::Certificate, .. } => {
                "this is a certificate: name its private key, or swap certificate and key"
                    .to_owned()
            }
            Self::NoCertificate { found: Content::Der, path } => format!(
                "this may be DER; openssl x509 -inform der -in {} -out fullchain.pem makes it PEM",
                shell_word(path)
            ),
            Self::NoKey { found: Content::Der, path } => format!(
                "this may be DER; openssl pkey -inform der -in {} -out privkey.pem makes it PEM",
                shell_word(path)
            ),
            Self::NoCertificate { found: Content::Request, .. } => {
                "this is a request: name the certificate that the authority made of it".to_owned()
            }
            Self::NoCertificate { .. } => {
                "it must have a section -----BEGIN CERTIFICATE----- (certbot: fullchain.pem)"
                    .to_owned()
            }
            Self::NoKey { .. } => {
                "it must have a section -----BEGIN PRIVATE KEY----- (certbot: privkey.pem)"
                    .to_owned()
            }
            Self::Damaged { .. } => "copy the file again, whole".to_owned(),
            Self::EncryptedKey { path } => format!(
                "openssl pkey -in {} -out privkey.pem decrypts it; then chmod 600 privkey.pem",
                shell_word(path)
            ),
            Self::ShortKey { .. } | Self::UnusableKey { .. } => {
                "have a new certificate issued for a key of: openssl genpkey -algorithm EC \
                 -pkeyopt ec_paramgen_curve:P-256 -out privkey.pem"
                    .to_owned()
            }
            Self::OtherKey { .. } => {
                "name the two files that were made together (certbot: of one directory under live/)"
                    .to_owned()
            }
            Self::Expired { .. } => "renew it (certbot: certbot renew)".to_owned(),
            Self::NotYetValid { .. } => {
                "set this host's clock, or wait until it is valid".to_owned()
            }
            Self::SelfSigned { .. } => "correct the name, or name certificate files".to_owned(),
        }
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the kinds are the standard library's, and open"
)]
fn unreadable(path: &Path, source: &io::Error) -> String {
    match source.kind() {
        io::ErrorKind::NotFound => {
            "correct the path under [tls] certificates (ls -L follows its symbolic links)"
                .to_owned()
        }
        io::ErrorKind::PermissionDenied => format!(
            "let the server's user read it and enter the directories above it (namei -l {} shows them)",
            shell_word(path)
        ),
        _ => "name a PEM file under [tls] certificates".to_owned(),
    }
}

/// `path` as a shell takes it, quoted only where it must be.
pub(crate) fn shell_word(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_name_the_file_and_end_without_a_full_stop() {
        let path = PathBuf::from("/etc/turn/a b.pem");
        for error in [
            CertificateError::EncryptedKey { path: path.clone() },
            CertificateError::NoKey { path: path.clone(), found: Content::Nothing },
            CertificateError::Expired { path: path.clone(), days: 3 },
            CertificateError::ShortKey { path: path.clone() },
            CertificateError::Read { path, source: io::ErrorKind::NotFound.into() },
        ] {
            let text = error.to_string();
            assert!(text.contains("/etc/turn/a b.pem"), "{text}");
            assert!(!text.ends_with('.') && !error.help().ends_with('.'), "{text}");
        }
    }

    #[test]
    fn a_command_to_copy_quotes_its_path() {
        let error = CertificateError::EncryptedKey { path: "/etc/a b.key".into() };
        assert!(error.help().starts_with("openssl pkey -in '/etc/a b.key' -out "));
    }
}
