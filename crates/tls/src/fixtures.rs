//! Certificates for tests: an authority, and what it issues.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair,
    PKCS_ECDSA_P256_SHA256, SignatureAlgorithm,
};
use rustls_pki_types::CertificateDer;
use x509_parser::time::ASN1Time;

use crate::identity::CertificateFiles;

pub(crate) const DAY: Duration = Duration::from_secs(86_400);

/// Noon of a day in 2027: certificates are made around it.
pub(crate) fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_801_396_800)
}

pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate, its issuer's, and its key.
pub(crate) struct Issued {
    pub(crate) certificate: String,
    pub(crate) issuer: String,
    pub(crate) key: KeyPair,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        Self { issuer: CertifiedIssuer::self_signed(authority(name), key).unwrap() }
    }

    pub(crate) fn below(&self, name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        Self { issuer: CertifiedIssuer::signed_by(authority(name), key, &self.issuer).unwrap() }
    }

    pub(crate) fn der(&self) -> CertificateDer<'static> {
        self.issuer.der().clone()
    }

    pub(crate) fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// Valid from yesterday for 90 days.
    pub(crate) fn issue(&self, names: &[&str]) -> Issued {
        self.issue_with(names, &PKCS_ECDSA_P256_SHA256)
    }

    pub(crate) fn issue_with(
        &self,
        names: &[&str],
        algorithm: &'static SignatureAlgorithm,
    ) -> Issued {
        let key = KeyPair::generate_for(algorithm).unwrap();
        self.issue_for(names, key, now() - DAY, now() + 89 * DAY)
    }

    pub(crate) fn issue_between(
        &self,
        names: &[&str],
        not_before: SystemTime,
        not_after: SystemTime,
    ) -> Issued {
        self.issue_for(names, KeyPair::generate().unwrap(), not_before, not_after)
    }

    fn issue_for(
        &self,
        names: &[&str],
        key: KeyPair,
        not_before: SystemTime,
        not_after: SystemTime,
    ) -> Issued {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, "server");
        let time = |time: SystemTime| {
            let seconds = time.duration_since(UNIX_EPOCH).unwrap().as_secs();
            ASN1Time::from_timestamp(i64::try_from(seconds).unwrap()).unwrap().to_datetime()
        };
        params.not_before = time(not_before);
        params.not_after = time(not_after);
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        Issued { certificate, issuer: self.pem(), key }
    }
}

impl Issued {
    pub(crate) fn chain(&self) -> String {
        format!("{}{}", self.certificate, self.issuer)
    }

    /// Writes `<name>.pem` and `<name>.key`.
    pub(crate) fn write(&self, directory: &Path, name: &str) -> CertificateFiles {
        write(directory, name, &self.chain(), &self.key.serialize_pem())
    }
}

pub(crate) fn write(
    directory: &Path,
    name: &str,
    certificate: &str,
    key: &str,
) -> CertificateFiles {
    let files = CertificateFiles {
        certificate: directory.join(format!("{name}.pem")),
        key: directory.join(format!("{name}.key")),
    };
    fs::write(&files.certificate, certificate).unwrap();
    fs::write(&files.key, key).unwrap();
    fs::set_permissions(&files.key, Permissions::from_mode(0o600)).unwrap();
    files
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    params
}
