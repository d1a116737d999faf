//! The certificate of DTLS listeners: the first one with a key that DTLS can
//! use. Where there is none at start, DTLS stays off and everything else runs; where
//! there is none after a reload, DTLS goes on with the one it has `[R17]`.

use std::sync::Arc;

use rustls_pki_types::PrivateKeyDer;
use tracing::info;
use turn_config::{Config, Transport};
use turn_dtls::{DtlsIdentity, DtlsIdentityError};
use turn_tls::{Certificates, Identity, KeyKind};

/// None of the certificates can be used for DTLS.
#[derive(Debug, thiserror::Error)]
pub enum UnusableForDtls {
    /// The keys are of other kinds, which are these.
    #[error(
        "it needs a certificate with an ECDSA key on P-256 or P-384, and here are only {0}; add one to \
         tls.certificates (certbot: --key-type ecdsa), or remove \"dtls\" from [[listen]]"
    )]
    Keys(String),
    /// The DTLS library does not take it.
    #[error("certificate {serial}: {source}")]
    Library {
        /// The certificate.
        serial: String,
        /// Why not.
        source: DtlsIdentityError,
    },
}

/// Whether some listener is to speak DTLS.
pub fn is_wanted(config: &Config) -> bool {
    config.listen.iter().any(|listen| listen.transports.contains(&Transport::Dtls))
}

/// The identity of DTLS sessions.
///
/// # Errors
/// There is no certificate for it.
pub fn identity(certificates: &Certificates) -> Result<Arc<DtlsIdentity>, UnusableForDtls> {
    let identities = certificates.identities();
    let Some(usable) = identities.iter().find(|identity| is_usable(identity)) else {
        let keys: Vec<String> =
            identities.iter().map(|identity| identity.key_kind().to_string()).collect();
        return Err(UnusableForDtls::Keys(keys.join(", ")));
    };
    let key = PrivateKeyDer::Pkcs8(usable.key_der().to_vec().into());
    let identity = DtlsIdentity::new(usable.certificate_der(), &key).map_err(|source| {
        UnusableForDtls::Library { serial: usable.serial().to_owned(), source }
    })?;
    if usable.certificate_der().len() > 1 {
        info!(
            serial = usable.serial(),
            "DTLS sends its certificate without the intermediate ones; clients that verify it must know its issuer"
        );
    }
    Ok(Arc::new(identity))
}

fn is_usable(identity: &Identity) -> bool {
    match identity.key_kind() {
        KeyKind::EcdsaP256 | KeyKind::EcdsaP384 => true,
        KeyKind::EcdsaP521 | KeyKind::Ed25519 | KeyKind::Rsa => false,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::time::SystemTime;

    use rcgen::{
        CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, SignatureAlgorithm,
    };
    use turn_tls::CertificateFiles;

    use super::*;

    #[test]
    fn first_certificate_that_dtls_can_use_is_taken() {
        let directory = tempfile::tempdir().unwrap();
        let pairs = [
            pair(directory.path(), "ed25519", &PKCS_ED25519),
            pair(directory.path(), "p256", &PKCS_ECDSA_P256_SHA256),
        ];
        let load =
            |pairs: &[CertificateFiles]| Certificates::load(pairs, SystemTime::now()).unwrap().0;
        assert!(identity(&load(&pairs)).is_ok());
        let [other, _] = pairs;
        let error = identity(&load(&[other])).unwrap_err().to_string();
        assert!(
            error.contains("ECDSA key on P-256 or P-384, and here are only Ed25519;"),
            "{error}"
        );
    }

    fn pair(
        directory: &std::path::Path,
        name: &str,
        algorithm: &'static SignatureAlgorithm,
    ) -> CertificateFiles {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let params = CertificateParams::new(vec!["turn.example.org".to_owned()]).unwrap();
        let files = CertificateFiles {
            certificate: directory.join(format!("{name}.pem")),
            key: directory.join(format!("{name}.key")),
        };
        std::fs::write(&files.certificate, params.self_signed(&key).unwrap().pem()).unwrap();
        std::fs::write(&files.key, key.serialize_pem()).unwrap();
        files
    }
}
