//! The certificates of `tls` and `dtls` listeners at start, and what is said of them.

use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tracing::{info, warn};
use turn_config::Config;
use turn_tls::{CertificateError, CertificateFiles, Certificates, Identity, ServerConfig, Warning};

/// Why there are no certificates.
#[derive(Debug)]
pub enum CertificatesError {
    /// Pairs of files that are of no use; all of them.
    Files(Vec<CertificateError>),
    /// The TLS library does not start.
    Library(turn_tls::TlsError),
}

/// Certificates, and the TLS configuration that serves them.
#[derive(Debug, Clone)]
pub struct ServerCertificates {
    certificates: Arc<Certificates>,
    config: Arc<ServerConfig>,
}

/// From when on the end of a certificate is warned of.
pub const EXPIRY_NOTICE: Duration = Duration::from_secs(14 * 86_400);

impl ServerCertificates {
    /// Reads what the configuration names, or makes a self-signed certificate for `addresses`, and
    /// logs what is served and what is odd about it. Nothing where neither is asked for.
    ///
    /// # Errors
    /// A pair of files is of no use. An expired certificate is only warned of, because the other
    /// transports must work.
    pub fn load(
        config: &Config,
        addresses: &[IpAddr],
        now: SystemTime,
    ) -> Result<Option<Self>, CertificatesError> {
        let certificates = if config.tls.self_signed {
            let names: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
            Certificates::self_signed(&names, now)
                .map_err(|error| CertificatesError::Files(vec![error]))?
        } else if let Some((certificates, warnings)) = read(config, now)? {
            warnings.iter().for_each(|warning| warn!("{warning}"));
            certificates
        } else {
            return Ok(None);
        };
        for (index, identity) in certificates.identities().iter().enumerate() {
            let file = config.tls.certificates.get(index).map(|pair| pair.certificate.as_path());
            say_served(file, identity, "certificate loaded");
        }
        say_expiring(&certificates, now, Expired::WereToldOf);
        let config = turn_tls::server_config(&certificates).map_err(CertificatesError::Library)?;
        Ok(Some(Self { certificates, config }))
    }

    /// What takes the place of the certificates of `before`: nothing where `config` names the same
    /// files, and inside it nothing where `config` names none. Files that stay are tested all the
    /// same, because a reload changes all or nothing `[R18]`.
    ///
    /// # Errors
    /// A pair of files is of no use.
    pub fn exchanged(
        before: &Config,
        config: &Config,
        addresses: &[IpAddr],
        now: SystemTime,
    ) -> Result<Option<Option<Self>>, CertificatesError> {
        if before.tls == config.tls {
            // [R18]
            return check(config, now).map(|_| None);
        }
        Self::load(config, addresses, now).map(Some)
    }

    /// The configuration of every TLS listener; certificates exchange themselves behind it.
    pub fn tls(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }

    /// The certificates; DTLS takes one of them, and reloads exchange them.
    pub fn certificates(&self) -> &Arc<Certificates> {
        &self.certificates
    }

    /// DNS names of the default certificate, by which clients reach the server.
    pub fn names(&self) -> Vec<String> {
        self.certificates.default_identity().names().to_vec()
    }
}

/// Reads the certificates for `turnserver check`.
///
/// # Errors
/// A pair of files is of no use.
pub fn check(config: &Config, now: SystemTime) -> Result<Vec<Warning>, CertificatesError> {
    Ok(read(config, now)?.map_or_else(Vec::new, |(_, warnings)| warnings))
}

/// Whether expired certificates are mentioned; at a load their own warning does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expired {
    /// Leave them out.
    WereToldOf,
    /// Say it again.
    TellAgain,
}

/// Logs each certificate that expires soon.
pub(crate) fn say_expiring(certificates: &Certificates, now: SystemTime, expired: Expired) {
    for expiring in certificates.expiring(now, EXPIRY_NOTICE) {
        let certificate = named(expiring.certificate.as_deref());
        let (serial, not_after, days) = (expiring.serial, expiring.not_after, expiring.days);
        if days >= 0 {
            warn!(%certificate, serial, %not_after, days, "a certificate expires soon; renew it (certbot: certbot renew)");
        } else if expired == Expired::TellAgain {
            warn!(%certificate, serial, %not_after, "A CERTIFICATE HAS EXPIRED: TLS clients refuse it; renew it (certbot: certbot renew)");
        }
    }
}

/// Logs a certificate that is served from now on.
pub(crate) fn say_served(file: Option<&Path>, identity: &Identity, what: &str) {
    let (serial, not_after, key) = (identity.serial(), identity.not_after(), identity.key_kind());
    let addresses = identity.addresses();
    info!(
        certificate = %named(file), names = ?identity.names(), ?addresses, serial, %not_after, %key,
        "{what}"
    );
}

fn named(file: Option<&Path>) -> impl fmt::Display + use<'_> {
    file.unwrap_or(Path::new("self-signed")).display()
}

type Read = (Arc<Certificates>, Vec<Warning>);

fn read(config: &Config, now: SystemTime) -> Result<Option<Read>, CertificatesError> {
    let files: Vec<CertificateFiles> = config
        .tls
        .certificates
        .iter()
        .map(|pair| CertificateFiles {
            certificate: pair.certificate.clone(),
            key: pair.key.clone(),
        })
        .collect();
    if files.is_empty() {
        return Ok(None);
    }
    Certificates::load(&files, now).map(Some).map_err(CertificatesError::Files)
}

impl fmt::Display for CertificatesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Files(errors) => {
                for (index, error) in errors.iter().enumerate() {
                    let gap = if index > 0 { "\n\nerror: " } else { "" };
                    write!(f, "{gap}{error}\n  = help: {}", error.help())?;
                }
                Ok(())
            }
            Self::Library(error) => {
                write!(f, "cannot start TLS: {error}\n  = help: is the kernel's randomness there?")
            }
        }
    }
}

impl std::error::Error for CertificatesError {}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use turn_config::CertificatePair;

    use super::*;

    #[test]
    fn without_tls_there_is_nothing_to_load() {
        assert!(load(&Config::default()).unwrap().is_none());
        assert_eq!(check(&Config::default(), SystemTime::now()).unwrap(), []);
    }

    #[test]
    fn a_trial_certificate_is_made_for_the_addresses() {
        let mut config = Config::default();
        config.tls.self_signed = true;
        let loaded = load(&config).unwrap().unwrap();
        assert!(loaded.names().is_empty());
        let identity = loaded.certificates().default_identity();
        assert_eq!(identity.addresses(), ["203.0.113.7".parse::<IpAddr>().unwrap()]);
    }

    #[test]
    fn every_broken_pair_is_printed_with_its_help() {
        let mut config = Config::default();
        config.tls.certificates = ["/nonexistent/a", "/nonexistent/b"]
            .map(|name| CertificatePair {
                certificate: format!("{name}.pem").into(),
                key: format!("{name}.key").into(),
            })
            .to_vec();
        let text = load(&config).unwrap_err().to_string();
        assert!(text.starts_with("cannot read /nonexistent/a.pem: "), "{text}");
        assert!(text.contains("\n  = help: "), "{text}");
        assert!(text.contains("\n\nerror: cannot read /nonexistent/b.pem: "), "{text}");
        assert_eq!(check(&config, SystemTime::now()).unwrap_err().to_string(), text);
    }

    fn load(config: &Config) -> Result<Option<ServerCertificates>, CertificatesError> {
        let addresses = ["203.0.113.7".parse().unwrap()];
        ServerCertificates::load(config, &addresses, SystemTime::now())
    }
}
