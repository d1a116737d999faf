//! A certificate authority for tests, with leaf certificates of either kind of key, as PEM files.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, SerialNumber, date_time_ymd,
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Serial numbers and the names of authorities, unlike in a process.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// What a key is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// RSA with 2048 bits.
    Rsa,
    /// ECDSA on P-256.
    Ecdsa,
}

/// An authority that nobody trusts unless a test says so.
#[derive(Debug)]
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    /// Its leaves have keys of its own kind: a chain of two kinds breaks some DTLS clients.
    kind: KeyKind,
}

/// A certificate to be made.
#[derive(Debug)]
pub struct Order<'a> {
    authority: &'a Authority,
    names: Vec<String>,
    valid_from: SystemTime,
    valid_until: SystemTime,
}

/// A certificate with its key.
#[derive(Debug, Clone)]
pub struct Leaf {
    /// The certificate.
    pub certificate: String,
    /// Its private key.
    pub key: String,
    /// Its DER form.
    pub der: Vec<u8>,
    /// Its serial number, without leading zeros.
    pub serial: u64,
}

/// Where a [`Leaf`] has been written to.
#[derive(Debug, Clone)]
pub struct PemFiles {
    /// The chain.
    pub certificate: PathBuf,
    /// The key.
    pub key: PathBuf,
}

impl Authority {
    /// Makes one.
    ///
    /// # Panics
    /// When no key can be made.
    pub fn new(kind: KeyKind) -> Self {
        let mut parameters = CertificateParams::default();
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        // Two authorities of one name would be taken for one another.
        let name = format!("test authority {}.{number}", std::process::id());
        parameters.distinguished_name.push(DnType::CommonName, name);
        parameters.not_before = date_time_ymd(2020, 1, 1);
        parameters.not_after = date_time_ymd(2080, 1, 1);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages =
            vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let issuer = CertifiedIssuer::self_signed(parameters, kind.generate());
        Self { issuer: issuer.expect("an authority can be signed"), kind }
    }

    /// A certificate for DNS names and IP addresses, the first of which is its subject; good from
    /// yesterday for 90 days.
    pub fn order(&self, names: &[&str]) -> Order<'_> {
        let now = SystemTime::now();
        Order {
            authority: self,
            names: names.iter().map(|&name| name.to_owned()).collect(),
            valid_from: now - DAY,
            valid_until: now + 90 * DAY,
        }
    }

    /// [`order`](Self::order), as it is.
    ///
    /// # Panics
    /// As [`Order::make`].
    pub fn leaf(&self, names: &[&str]) -> Leaf {
        self.order(names).make()
    }

    /// Its own certificate.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// The DER form of its own certificate.
    pub fn der(&self) -> Vec<u8> {
        self.issuer.der().to_vec()
    }

    /// Writes its own certificate into a directory.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write_to(&self, directory: &Path) -> PathBuf {
        write(directory.join("authority.pem"), &self.pem())
    }
}

impl Order<'_> {
    /// Good until so many days from now; fewer than zero: no longer.
    #[must_use]
    pub fn for_days(mut self, days: i32) -> Self {
        let time = days.unsigned_abs() * DAY;
        let now = SystemTime::now();
        self.valid_until = if days < 0 { now - time } else { now + time };
        self.valid_from = self.valid_from.min(self.valid_until - DAY);
        self
    }

    /// Makes the certificate and its key.
    ///
    /// # Panics
    /// When a name is none.
    pub fn make(self) -> Leaf {
        let subject = self.names.first().cloned().unwrap_or_default();
        let parameters = CertificateParams::new(self.names);
        let mut parameters = parameters.expect("names of a certificate");
        let serial = NEXT.fetch_add(1, Ordering::Relaxed);
        parameters.serial_number = Some(SerialNumber::from(serial));
        parameters.distinguished_name.push(DnType::CommonName, subject);
        let [from, until] = [self.valid_from, self.valid_until]
            .map(|time| time.duration_since(UNIX_EPOCH).expect("a time after 1970"));
        parameters.not_before = date_time_ymd(1970, 1, 1) + from;
        parameters.not_after = date_time_ymd(1970, 1, 1) + until;
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        parameters.use_authority_key_identifier_extension = true;
        let key = self.authority.kind.generate();
        let certificate = parameters.signed_by(&key, &self.authority.issuer);
        let certificate = certificate.expect("a certificate can be signed");
        Leaf {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
            der: certificate.der().to_vec(),
            serial,
        }
    }
}

impl Leaf {
    /// Writes certificate and key into a directory, as `NAME.pem` and `NAME.key`.
    ///
    /// # Panics
    /// When they cannot be written.
    pub fn write_to(&self, directory: &Path, name: &str) -> PemFiles {
        PemFiles {
            certificate: write(directory.join(format!("{name}.pem")), &self.certificate),
            key: write(directory.join(format!("{name}.key")), &self.key),
        }
    }
}

impl PemFiles {
    /// The `[tls]` table of a configuration with these pairs, the first being the default.
    pub fn table(pairs: &[Self]) -> String {
        let pair = |files: &Self| {
            let (certificate, key) = (files.certificate.display(), files.key.display());
            format!("{{ certificate = \"{certificate}\", key = \"{key}\" }}")
        };
        let pairs: Vec<_> = pairs.iter().map(pair).collect();
        format!("[tls]\ncertificates = [{}]\n", pairs.join(", "))
    }
}

impl KeyKind {
    fn generate(self) -> KeyPair {
        let algorithm = match self {
            Self::Rsa => &PKCS_RSA_SHA256,
            Self::Ecdsa => &PKCS_ECDSA_P256_SHA256,
        };
        KeyPair::generate_for(algorithm).expect("a key can be made")
    }
}

fn write(path: PathBuf, text: &str) -> PathBuf {
    let written = fs::write(&path, text);
    written.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    path
}
