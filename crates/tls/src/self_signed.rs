//! A certificate for trials, signed by itself.

use std::time::{Duration, SystemTime};

use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair};
use rustls_pki_types::pem::SectionKind;
use x509_parser::time::ASN1Time;
use zeroize::Zeroizing;

use crate::error::CertificateError;
use crate::identity::Identity;
use crate::key::PrivateKey;
use crate::not_after::unix_seconds;

/// How long it is valid.
const LIFETIME: Duration = Duration::from_secs(30 * 86_400);

/// Clocks of clients may be late.
const SKEW: Duration = Duration::from_secs(3_600);

/// Makes a certificate with an ECDSA P-256 key for names and IP addresses.
pub(crate) fn self_signed(names: &[String], now: SystemTime) -> Result<Identity, CertificateError> {
    let failed = |reason: &str| CertificateError::SelfSigned {
        names: names.join(", "),
        reason: reason.to_owned(),
    };
    let rcgen_failed = |error: rcgen::Error| failed(&error.to_string());
    let time = |time: SystemTime| ASN1Time::from_timestamp(unix_seconds(time));
    let clock = |_| failed("the clock stands wrong");

    let mut params = CertificateParams::new(names).map_err(rcgen_failed)?;
    params.not_before = time(now.checked_sub(SKEW).unwrap_or(now)).map_err(clock)?.to_datetime();
    params.not_after = time(now + LIFETIME).map_err(clock)?.to_datetime();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "turnserver self-signed");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let pair = KeyPair::generate().map_err(rcgen_failed)?;
    let certificate = params.self_signed(&pair).map_err(rcgen_failed)?;
    let pkcs8 = Zeroizing::new(pair.serialize_der());
    let key = PrivateKey::new(SectionKind::PrivateKey, &pkcs8)
        .map_err(|_| failed("its key cannot be used"))?;
    Identity::made(certificate.der().clone(), key).ok_or_else(|| failed("it cannot be read"))
}
