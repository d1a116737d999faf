//! A certificate chain and its key, read from two files and judged.

use std::fmt;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use rustls::sign::CertifiedKey;
use rustls_pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::parse_x509_certificate;

use crate::chain::Chain;
use crate::error::CertificateError;
use crate::key::{KeyFault, KeyKind, PrivateKey};
use crate::not_after::{NotAfter, SECONDS_OF_A_DAY, unix_seconds};
use crate::pem_file::PemFile;
use crate::warning::Warning;

/// The two files of a certificate, both PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The server's certificate, then those of its issuers.
    pub certificate: PathBuf,
    /// The private key of the server's certificate, not encrypted.
    pub key: PathBuf,
}

/// A certificate chain and its key.
///
/// Its `Debug` form shows no key.
pub struct Identity {
    certified: Arc<CertifiedKey>,
    key: PrivateKey,
    names: Vec<String>,
    addresses: Vec<IpAddr>,
    serial: String,
    not_before: i64,
    not_after: NotAfter,
}

/// Whether a certificate is good at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Validity {
    Valid,
    Expired { days: i64 },
    NotYet { days: i64 },
}

impl Identity {
    /// Reads a pair of files. An expired certificate is a warning here.
    ///
    /// # Errors
    /// A file cannot be read or does not hold what it should, the key cannot be used, or it belongs
    /// to none of the certificates.
    pub fn load(
        files: &CertificateFiles,
        now: SystemTime,
    ) -> Result<(Self, Vec<Warning>), CertificateError> {
        let path = || files.certificate.clone();
        let file = PemFile::read(&files.certificate)?;
        let ders = file.certificates()?;
        let parsed = parse(&file, &ders)?;
        let key_file = PemFile::read(&files.key)?;
        let (heading, der) = key_file.key()?;
        let key = PrivateKey::new(heading, &der).map_err(|fault| match fault {
            KeyFault::Short => CertificateError::ShortKey { path: files.key.clone() },
            KeyFault::Unusable => CertificateError::UnusableKey { path: files.key.clone() },
        })?;
        let server = place_of(&key, &parsed).ok_or_else(|| CertificateError::OtherKey {
            certificate: path(),
            key: files.key.clone(),
        })?;
        let chain = Chain::of(&parsed, server);
        let identity = Self::new(&chain, &ders, &parsed, key)
            .ok_or_else(|| file.damaged("it has no certificate of the server".to_owned()))?;

        let mut warnings = Vec::new();
        if key_file.is_open_to_others() {
            warnings.push(Warning::KeyOpenToOthers { key: files.key.clone() });
        }
        if chain.reordered {
            warnings.push(Warning::Reordered { certificate: path() });
        }
        if chain.unrelated > 0 {
            warnings.push(Warning::Unrelated { certificate: path(), count: chain.unrelated });
        }
        if let Some(issuer) = chain.missing_issuer {
            warnings.push(Warning::NoIssuer { certificate: path(), issuer });
        }
        if identity.names.is_empty() && identity.addresses.is_empty() {
            warnings.push(Warning::NoNames { certificate: path() });
        }
        match identity.validity(now) {
            Validity::Valid => {}
            Validity::Expired { days } => {
                warnings.push(Warning::Expired { certificate: path(), days });
            }
            Validity::NotYet { days } => {
                warnings.push(Warning::NotYetValid { certificate: path(), days });
            }
        }
        Ok((identity, warnings))
    }

    /// Of a certificate that was made here.
    pub(crate) fn made(der: CertificateDer<'static>, key: PrivateKey) -> Option<Self> {
        let ders = [der];
        let [der] = &ders;
        let parsed = [parse_x509_certificate(der).ok()?.1];
        Self::new(&Chain::of(&parsed, 0), &ders, &parsed, key)
    }

    /// DNS names of the certificate (subjectAltName), in lower case, wildcards as `*.example.org`.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// IP addresses of the certificate (subjectAltName).
    pub fn addresses(&self) -> &[IpAddr] {
        &self.addresses
    }

    /// Serial number in upper-case hexadecimal digits, as openssl prints it.
    pub fn serial(&self) -> &str {
        &self.serial
    }

    /// When it expires.
    pub fn not_after(&self) -> NotAfter {
        self.not_after
    }

    /// What its key is made of.
    pub fn key_kind(&self) -> KeyKind {
        self.key.kind
    }

    /// The chain as DER, the server's certificate first; for DTLS.
    pub fn certificate_der(&self) -> &[CertificateDer<'static>] {
        &self.certified.cert
    }

    /// The private key as PKCS#8 DER; for DTLS, never for a log.
    pub fn key_der(&self) -> &[u8] {
        &self.key.pkcs8
    }

    pub(crate) fn certified(&self) -> &Arc<CertifiedKey> {
        &self.certified
    }

    /// Whether chain and key are those of `other`.
    pub(crate) fn is_same_as(&self, other: &Self) -> bool {
        // The certificate holds the public key, and the private one belongs to it.
        self.certified.cert == other.certified.cert
    }

    pub(crate) fn validity(&self, now: SystemTime) -> Validity {
        if self.not_after.is_past(now) {
            return Validity::Expired { days: self.not_after.days_past(now) };
        }
        match self.not_before.saturating_sub(unix_seconds(now)) {
            wait if wait > 0 => Validity::NotYet { days: (wait - 1) / SECONDS_OF_A_DAY + 1 },
            _ => Validity::Valid,
        }
    }

    fn new(
        chain: &Chain,
        ders: &[CertificateDer<'static>],
        parsed: &[X509Certificate<'_>],
        key: PrivateKey,
    ) -> Option<Self> {
        let server = parsed.get(*chain.places.first()?)?;
        let ders = chain.places.iter().filter_map(|place| ders.get(*place)).cloned().collect();
        let (names, addresses) = names_of(server);
        let validity = server.validity();
        Some(Self {
            certified: Arc::new(CertifiedKey::new(ders, Arc::clone(&key.signing))),
            key,
            names,
            addresses,
            serial: hexadecimal(server.raw_serial()),
            not_before: validity.not_before.timestamp(),
            not_after: NotAfter::of(validity.not_after),
        })
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("serial", &self.serial)
            .field("names", &self.names)
            .field("addresses", &self.addresses)
            .field("key_kind", &self.key.kind)
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}

fn parse<'a>(
    file: &PemFile,
    ders: &'a [CertificateDer<'static>],
) -> Result<Vec<X509Certificate<'a>>, CertificateError> {
    let mut parsed = Vec::with_capacity(ders.len());
    for (index, der) in ders.iter().enumerate() {
        match parse_x509_certificate(der) {
            Ok(([], certificate)) => parsed.push(certificate),
            Ok(_) | Err(_) => {
                return Err(file.damaged(format!("certificate {} in it is none", index + 1)));
            }
        }
    }
    Ok(parsed)
}

/// Which certificate belongs to the key.
fn place_of(key: &PrivateKey, certificates: &[X509Certificate<'_>]) -> Option<usize> {
    let public = key.signing.public_key()?;
    certificates.iter().position(|certificate| certificate.public_key().raw == public.as_ref())
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the enum is the library's, and open")]
fn names_of(certificate: &X509Certificate<'_>) -> (Vec<String>, Vec<IpAddr>) {
    let (mut names, mut addresses) = (Vec::new(), Vec::new());
    let Ok(Some(alternatives)) = certificate.subject_alternative_name() else {
        return (names, addresses);
    };
    for alternative in &alternatives.value.general_names {
        match alternative {
            GeneralName::DNSName(name) => names.push(name.to_ascii_lowercase()),
            GeneralName::IPAddress(bytes) => addresses.extend(address(bytes)),
            _ => {}
        }
    }
    (names, addresses)
}

/// RFC 5280 section 4.2.1.6: four octets for IPv4, sixteen for IPv6.
fn address(bytes: &[u8]) -> Option<IpAddr> {
    <[u8; 4]>::try_from(bytes)
        .map(IpAddr::from)
        .or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from))
        .ok()
}

fn hexadecimal(bytes: &[u8]) -> String {
    // DER puts a zero before a number whose first bit is set.
    let digits = match bytes {
        [0, rest @ ..] if !rest.is_empty() => rest,
        all => all,
    };
    digits.iter().fold(String::with_capacity(2 * digits.len()), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02X}");
        text
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::Duration;

    use super::*;
    use crate::fixtures::{Authority, DAY, now, write};

    #[test]
    fn a_chain_is_read_with_its_names_serial_and_end() {
        let issued =
            Authority::new("CA").issue(&["TURN.example.org", "203.0.113.7", "2001:db8::7"]);
        let (identity, warnings) = load(&issued.chain(), &issued.key.serialize_pem()).unwrap();
        assert_eq!(warnings, []);
        assert_eq!(identity.names(), ["turn.example.org"]);
        let addresses: [IpAddr; 2] =
            ["203.0.113.7".parse().unwrap(), "2001:db8::7".parse().unwrap()];
        assert_eq!(identity.addresses(), addresses);
        assert_eq!(identity.not_after().days_from(now()), 89);
        assert_eq!(identity.key_kind(), KeyKind::EcdsaP256);
        assert_eq!(identity.certificate_der().len(), 2);
        assert_eq!(identity.key_der(), issued.key.serialized_der());
        assert!(identity.serial().len() >= 16, "{}", identity.serial());
    }

    #[test]
    fn debug_output_shows_no_key() {
        let issued = Authority::new("CA").issue(&["a.example"]);
        let (identity, _) = load(&issued.chain(), &issued.key.serialize_pem()).unwrap();
        let text = format!("{identity:?}");
        assert!(text.contains("a.example") && text.len() < 300, "{text}");
    }

    #[test]
    fn a_serial_is_written_as_openssl_does() {
        assert_eq!(hexadecimal(&[0, 0xab, 1]), "AB01");
        assert_eq!(hexadecimal(&[0]), "00");
    }

    #[test]
    fn a_chain_in_the_wrong_order_is_put_in_order_and_told() {
        let root = Authority::new("root");
        let middle = root.below("middle");
        let issued = middle.issue(&["a.example"]);
        let key = issued.key.serialize_pem();
        let server = issued.certificate;
        let (middle_pem, root_pem) = (middle.pem(), root.pem());
        for wrong in [
            format!("{middle_pem}{server}"),
            format!("{root_pem}{middle_pem}{server}"),
            format!("{server}{root_pem}{middle_pem}"),
        ] {
            let (identity, warnings) = load(&wrong, &key).unwrap();
            assert!(matches!(warnings[..], [Warning::Reordered { .. }]), "{warnings:?}");
            assert_eq!(identity.names(), ["a.example"]);
            assert_eq!(identity.certificate_der()[1], middle.der());
        }
    }

    #[test]
    fn what_issued_nothing_is_not_served_and_told() {
        let authority = Authority::new("CA");
        let issued = authority.issue(&["a.example"]);
        // Of the same name and another key: only the signature tells them apart.
        let stranger = Authority::new("CA").pem();
        let text = format!("{}{stranger}{}", issued.certificate, issued.issuer);
        let (identity, warnings) = load(&text, &issued.key.serialize_pem()).unwrap();
        assert!(matches!(warnings[..], [Warning::Unrelated { count: 1, .. }]), "{warnings:?}");
        assert_eq!(identity.certificate_der().len(), 2);
        assert_eq!(identity.certificate_der()[1], authority.der());
    }

    #[test]
    fn a_lonely_certificate_of_an_authority_is_warned_of() {
        let issued = Authority::new("Fine Authority").issue(&["a.example"]);
        let (_, warnings) = load(&issued.certificate, &issued.key.serialize_pem()).unwrap();
        let [warning @ Warning::NoIssuer { .. }] = &warnings[..] else { panic!("{warnings:?}") };
        let text = warning.to_string();
        assert!(text.contains("Fine Authority") && text.contains("fullchain.pem"), "{text}");
    }

    #[test]
    fn a_certificate_without_names_is_warned_of() {
        let issued = Authority::new("CA").issue(&[]);
        let (_, warnings) = load(&issued.chain(), &issued.key.serialize_pem()).unwrap();
        assert!(matches!(warnings[..], [Warning::NoNames { .. }]), "{warnings:?}");
    }

    #[test]
    fn h35_a_key_that_others_can_read_is_warned_of_with_the_chmod_line() {
        let issued = Authority::new("CA").issue(&["a.example"]);
        let directory = tempfile::tempdir().unwrap();
        let files = issued.write(directory.path(), "a");
        fs::set_permissions(&files.key, Permissions::from_mode(0o644)).unwrap();
        let (_, warnings) = Identity::load(&files, now()).unwrap();
        let [warning] = &warnings[..] else { panic!("{warnings:?}") };
        assert!(
            warning.to_string().ends_with(&format!("chmod o-rw {}", files.key.display())),
            "{warning}"
        );
    }

    #[test]
    fn an_expired_certificate_and_an_early_one_are_loaded_with_a_loud_warning() {
        let authority = Authority::new("CA");
        for (from, to, wanted) in [
            (now() - 90 * DAY, now() - 3 * DAY, "HAS EXPIRED 3 days ago"),
            (now() - 90 * DAY, now() - Duration::from_secs(60), "HAS EXPIRED 0 days ago"),
            (now() + 2 * DAY, now() + 90 * DAY, "IS NOT VALID for another 2 days"),
        ] {
            let issued = authority.issue_between(&["a.example"], from, to);
            let (_, warnings) = load(&issued.chain(), &issued.key.serialize_pem()).unwrap();
            let [warning] = &warnings[..] else { panic!("{warnings:?}") };
            assert!(warning.to_string().contains(wanted), "{warning}");
        }
    }

    #[test]
    fn the_key_of_another_certificate_is_refused_and_both_files_named() {
        let authority = Authority::new("CA");
        let (one, other) = (authority.issue(&["a.example"]), authority.issue(&["a.example"]));
        let error = load(&one.chain(), &other.key.serialize_pem()).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("a.key is not the key of ") && text.ends_with("a.pem"), "{text}");
    }

    #[test]
    fn swapped_files_are_recognised() {
        let issued = Authority::new("CA").issue(&["a.example"]);
        let key = issued.key.serialize_pem();
        let error = load(&key, &issued.chain()).unwrap_err();
        assert!(error.to_string().contains("holds a private key and no certificate"), "{error}");
        assert!(error.help().contains("swap certificate and key"), "{}", error.help());
        let error = load(&issued.chain(), &issued.chain()).unwrap_err();
        assert!(error.to_string().contains("holds a certificate and no private key"), "{error}");
    }

    #[test]
    fn what_is_no_certificate_under_its_heading_is_named_by_its_place() {
        let issued = Authority::new("CA").issue(&["a.example"]);
        let none = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let text = format!("{}{none}", issued.certificate);
        let error = load(&text, &issued.key.serialize_pem()).unwrap_err();
        assert!(error.to_string().contains("certificate 2 in it is none"), "{error}");
    }

    fn load(certificate: &str, key: &str) -> Result<(Identity, Vec<Warning>), CertificateError> {
        let directory = tempfile::tempdir().unwrap();
        Identity::load(&write(directory.path(), "a", certificate, key), now())
    }
}
