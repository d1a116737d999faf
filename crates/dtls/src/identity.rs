//! The certificate and key that sessions are made with.
//!
//! The library signs with ECDSA on P-256 and P-384 only, and it sends one certificate: the leaf.
//! A client that verifies a chain must know the leaf's issuer by itself.

use std::sync::Arc;
use std::time::Duration;

use dimpl::crypto::{Dtls12CipherSuite, cert_named_group};
use dimpl::{CertificateError, Config, DtlsCertificate};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::provider;

/// From the verified hello to the end of the handshake.
pub(crate) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// RFC 6347 section 4.2.4.1: an initial timer of 1 s, doubled at each retransmission.
const FIRST_RETRANSMISSION: Duration = Duration::from_secs(1);
/// A handshake's datagrams are no longer than this.
pub(crate) const MTU: usize = 1200;

/// A certificate with its key, ready for sessions. To change it, make a new one: sessions that
/// live go on with theirs.
pub struct DtlsIdentity {
    certificate: DtlsCertificate,
    counted: Arc<Config>,
    any: Arc<Config>,
}

/// Why a certificate or its key will not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DtlsIdentityError {
    /// The chain is empty.
    #[error("there is no certificate")]
    NoCertificate,
    /// The leaf is not an X.509 certificate.
    #[error("the certificate cannot be read")]
    Certificate,
    /// RSA, Ed25519, P-521 and so on.
    #[error(
        "DTLS needs a certificate with an ECDSA key on P-256 or P-384 (certbot: --key-type ecdsa); this one has another kind of key"
    )]
    KeyType,
    /// The private key cannot be read, or is of another kind than the certificate's.
    #[error("the private key is not a readable ECDSA key on P-256 or P-384")]
    Key,
    /// Both are good, but do not belong together.
    #[error("the private key does not belong to the certificate")]
    Mismatch,
    /// The library finds fault with its own cryptography.
    #[error("the DTLS library refused its configuration")]
    Library,
}

impl DtlsIdentity {
    /// Takes the chain, leaf first, and the leaf's key. Costs some milliseconds.
    ///
    /// # Errors
    ///
    /// Where the leaf or the key cannot be used, see [`DtlsIdentityError`].
    pub fn new(
        chain: &[CertificateDer<'_>],
        key: &PrivateKeyDer<'_>,
    ) -> Result<Self, DtlsIdentityError> {
        let leaf = chain.first().ok_or(DtlsIdentityError::NoCertificate)?;
        cert_named_group(leaf).map_err(|error| {
            if error == CertificateError::ParseFailed {
                DtlsIdentityError::Certificate
            } else {
                DtlsIdentityError::KeyType
            }
        })?;
        let key = key.secret_der();
        belong_together(leaf, key)?;
        Ok(Self {
            certificate: DtlsCertificate { certificate: leaf.to_vec(), private_key: key.to_vec() },
            counted: config(Some(&[Dtls12CipherSuite::ECDHE_ECDSA_CHACHA20_POLY1305_SHA256]))?,
            any: config(None)?,
        })
    }

    pub(crate) fn certificate(&self) -> DtlsCertificate {
        self.certificate.clone()
    }

    /// The configuration for sessions.
    ///
    /// The library draws the nonces of AES-GCM at random, 64 bits each, instead of counting them
    /// (RFC 5288 section 3: "MUST be unique"). With ChaCha20-Poly1305 it counts, so a client that
    /// offers that suite gets it.
    pub(crate) fn config(&self, nonces: Nonces) -> Arc<Config> {
        Arc::clone(match nonces {
            Nonces::Counted => &self.counted,
            Nonces::Random => &self.any,
        })
    }
}

/// How the records of a session get their nonces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nonces {
    /// From the sequence number: ChaCha20-Poly1305.
    Counted,
    /// Drawn: AES-GCM.
    Random,
}

impl std::fmt::Debug for DtlsIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DtlsIdentity").finish_non_exhaustive()
    }
}

/// Signs a word and verifies it with the certificate. The library's constructor panics on a key
/// that it cannot read; none gets there without having been read here.
fn belong_together(leaf: &[u8], key: &[u8]) -> Result<(), DtlsIdentityError> {
    const WORD: &[u8] = b"one key and one certificate";
    let provider = provider::crypto();
    let mut signer =
        provider.key_provider.load_private_key(key).map_err(|_| DtlsIdentityError::Key)?;
    let (hash, algorithm) = (signer.hash_algorithm(), signer.algorithm());
    let mut signature = dimpl::crypto::Buf::new();
    signer.sign(WORD, hash, &mut signature).map_err(|_| DtlsIdentityError::Key)?;
    provider
        .signature_verification
        .verify_signature(leaf, WORD, &signature, hash, algorithm)
        .map_err(|_| DtlsIdentityError::Mismatch)
}

fn config(suites: Option<&[Dtls12CipherSuite]>) -> Result<Arc<Config>, DtlsIdentityError> {
    let mut builder = Config::builder()
        .with_crypto_provider(provider::crypto())
        .require_client_certificate(false)
        .use_server_cookie(true)
        .handshake_timeout(HANDSHAKE_TIMEOUT)
        .flight_start_rto(FIRST_RETRANSMISSION)
        .mtu(MTU);
    if let Some(suites) = suites {
        builder = builder.dtls12_cipher_suites(suites);
    }
    builder.build().map(Arc::new).map_err(|_| DtlsIdentityError::Library)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{certificate, rsa_certificate};

    #[test]
    fn p256_and_p384_are_taken() {
        for algorithm in [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384] {
            let (leaf, key) = certificate("turn.example", algorithm);
            DtlsIdentity::new(&[leaf], &key).unwrap();
        }
    }

    #[test]
    fn an_rsa_key_is_refused_with_what_to_do() {
        let (leaf, key) = rsa_certificate();
        let error = DtlsIdentity::new(&[leaf], &key).unwrap_err();
        assert_eq!(error, DtlsIdentityError::KeyType);
        assert!(error.to_string().contains("ECDSA key on P-256 or P-384"));
        assert!(error.to_string().contains("certbot"));
    }

    #[test]
    fn an_ed25519_key_is_refused() {
        let (leaf, key) = certificate("turn.example", &rcgen::PKCS_ED25519);
        assert_eq!(DtlsIdentity::new(&[leaf], &key).unwrap_err(), DtlsIdentityError::KeyType);
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let (leaf, _) = certificate("turn.example", &rcgen::PKCS_ECDSA_P256_SHA256);
        for (algorithm, error) in [
            (&rcgen::PKCS_ECDSA_P256_SHA256, DtlsIdentityError::Mismatch),
            (&rcgen::PKCS_ECDSA_P384_SHA384, DtlsIdentityError::Mismatch),
            (&rcgen::PKCS_ED25519, DtlsIdentityError::Key),
        ] {
            let (_, key) = certificate("turn.example", algorithm);
            assert_eq!(DtlsIdentity::new(std::slice::from_ref(&leaf), &key).unwrap_err(), error);
        }
    }

    #[test]
    fn nonsense_is_refused() {
        let (leaf, key) = certificate("turn.example", &rcgen::PKCS_ECDSA_P256_SHA256);
        assert_eq!(DtlsIdentity::new(&[], &key).unwrap_err(), DtlsIdentityError::NoCertificate);
        let nonsense = CertificateDer::from(vec![1, 2, 3]);
        assert_eq!(
            DtlsIdentity::new(&[nonsense], &key).unwrap_err(),
            DtlsIdentityError::Certificate
        );
        let nonsense = PrivateKeyDer::Pkcs8(vec![1, 2, 3].into());
        assert_eq!(DtlsIdentity::new(&[leaf], &nonsense).unwrap_err(), DtlsIdentityError::Key);
    }
}
