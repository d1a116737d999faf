//! Private keys: of whatever kind and spelling, kept as PKCS#8 (RFC 5958).

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rsa;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING,
    EcdsaKeyPair,
};
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::sign::SigningKey;
use rustls::{SignatureAlgorithm, SignatureScheme};
use rustls_pki_types::pem::SectionKind;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use zeroize::Zeroizing;

/// What a key is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// ECDSA on P-256: what every client takes, DTLS included.
    EcdsaP256,
    /// ECDSA on P-384.
    EcdsaP384,
    /// ECDSA on P-521; browsers do not take it.
    EcdsaP521,
    /// Ed25519; browsers do not take it.
    Ed25519,
    /// RSA of 2048 bits or more.
    Rsa,
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EcdsaP256 => "ECDSA P-256",
            Self::EcdsaP384 => "ECDSA P-384",
            Self::EcdsaP521 => "ECDSA P-521",
            Self::Ed25519 => "Ed25519",
            Self::Rsa => "RSA",
        })
    }
}

/// A key that can sign.
pub(crate) struct PrivateKey {
    pub(crate) kind: KeyKind,
    pub(crate) signing: Arc<dyn SigningKey>,
    pub(crate) pkcs8: Zeroizing<Vec<u8>>,
}

/// Why it cannot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyFault {
    /// RSA of fewer than 2048 bits.
    Short,
    /// Of a kind that is not known, or damaged.
    Unusable,
}

impl PrivateKey {
    /// Takes the key that stood under the heading `heading`.
    pub(crate) fn new(heading: SectionKind, der: &[u8]) -> Result<Self, KeyFault> {
        let pkcs8 = to_pkcs8(heading, der)?;
        let borrowed = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(pkcs8.as_slice()));
        let signing = any_supported_type(&borrowed).map_err(|_| fault_of_rsa(&pkcs8))?;
        let kind = kind(&*signing).ok_or(KeyFault::Unusable)?;
        Ok(Self { kind, signing, pkcs8 })
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the enum is the library's, and open")]
fn to_pkcs8(heading: SectionKind, der: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyFault> {
    let copied = |pkcs8: &[u8]| Zeroizing::new(pkcs8.to_vec());
    match heading {
        SectionKind::RsaPrivateKey => {
            let key = rsa::KeyPair::from_der(der).map_err(rsa_fault)?;
            key.as_der().map(|pkcs8| copied(pkcs8.as_ref())).map_err(|_| KeyFault::Unusable)
        }
        SectionKind::EcPrivateKey => [
            &ECDSA_P256_SHA256_ASN1_SIGNING,
            &ECDSA_P384_SHA384_ASN1_SIGNING,
            &ECDSA_P521_SHA512_ASN1_SIGNING,
        ]
        .into_iter()
        .find_map(|curve| EcdsaKeyPair::from_private_key_der(curve, der).ok())
        .and_then(|key| key.to_pkcs8v1().ok())
        .map(|pkcs8| copied(pkcs8.as_ref()))
        .ok_or(KeyFault::Unusable),
        _ => Ok(copied(der)),
    }
}

/// Why a key that nobody takes is not an RSA key either.
fn fault_of_rsa(pkcs8: &[u8]) -> KeyFault {
    rsa::KeyPair::from_pkcs8(pkcs8).map_or_else(rsa_fault, |_| KeyFault::Unusable)
}

fn rsa_fault(rejected: aws_lc_rs::error::KeyRejected) -> KeyFault {
    if rejected.description_() == "TooSmall" { KeyFault::Short } else { KeyFault::Unusable }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the enum is the library's, and open")]
fn kind(key: &dyn SigningKey) -> Option<KeyKind> {
    let signs = |scheme| key.choose_scheme(&[scheme]).is_some();
    match key.algorithm() {
        SignatureAlgorithm::RSA => Some(KeyKind::Rsa),
        SignatureAlgorithm::ED25519 => Some(KeyKind::Ed25519),
        SignatureAlgorithm::ECDSA if signs(SignatureScheme::ECDSA_NISTP256_SHA256) => {
            Some(KeyKind::EcdsaP256)
        }
        SignatureAlgorithm::ECDSA if signs(SignatureScheme::ECDSA_NISTP384_SHA384) => {
            Some(KeyKind::EcdsaP384)
        }
        SignatureAlgorithm::ECDSA => Some(KeyKind::EcdsaP521),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

    use aws_lc_rs::encoding::EcPrivateKeyRfc5915Der;
    use rcgen::{
        KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ECDSA_P521_SHA512,
        PKCS_ED25519, PKCS_RSA_SHA256,
    };
    use rustls_pki_types::pem::PemObject as _;

    use super::*;

    #[test]
    fn every_kind_of_key_is_told_from_the_others() {
        for (algorithm, kind) in [
            (&PKCS_ECDSA_P256_SHA256, KeyKind::EcdsaP256),
            (&PKCS_ECDSA_P384_SHA384, KeyKind::EcdsaP384),
            (&PKCS_ECDSA_P521_SHA512, KeyKind::EcdsaP521),
            (&PKCS_ED25519, KeyKind::Ed25519),
            (&PKCS_RSA_SHA256, KeyKind::Rsa),
        ] {
            let pair = KeyPair::generate_for(algorithm).unwrap();
            let key = PrivateKey::new(SectionKind::PrivateKey, pair.serialized_der()).unwrap();
            assert_eq!(key.kind, kind);
            assert_eq!(key.pkcs8.as_slice(), pair.serialized_der());
        }
    }

    #[test]
    fn sec1_keys_become_pkcs8() {
        for (curve, kind) in [
            (&ECDSA_P256_SHA256_ASN1_SIGNING, KeyKind::EcdsaP256),
            (&ECDSA_P384_SHA384_ASN1_SIGNING, KeyKind::EcdsaP384),
        ] {
            let pair = EcdsaKeyPair::generate(curve).unwrap();
            let sec1: EcPrivateKeyRfc5915Der<'_> = pair.private_key().as_der().unwrap();
            let key = PrivateKey::new(SectionKind::EcPrivateKey, sec1.as_ref()).unwrap();
            assert_eq!(key.kind, kind);
            let again = PrivateKey::new(SectionKind::PrivateKey, &key.pkcs8).unwrap();
            assert_eq!(again.signing.public_key(), key.signing.public_key());
        }
    }

    #[test]
    fn pkcs1_keys_become_pkcs8() {
        let pair = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
        // The head of PKCS#8 around a key of 2048 bits has 26 octets.
        let pkcs1 = &pair.serialized_der()[26..];
        let key = PrivateKey::new(SectionKind::RsaPrivateKey, pkcs1).unwrap();
        assert_eq!(key.kind, KeyKind::Rsa);
        assert_eq!(key.pkcs8.as_slice(), pair.serialized_der());
    }

    #[test]
    fn a_short_rsa_key_a_foreign_curve_and_garbage_are_told_apart() {
        let der = |base64: &str| {
            let pem = format!("-----BEGIN PRIVATE KEY-----\n{base64}\n-----END PRIVATE KEY-----");
            PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).unwrap()
        };
        let fault = |der: &[u8]| PrivateKey::new(SectionKind::PrivateKey, der).err();
        assert_eq!(fault(der(RSA_1024).secret_pkcs8_der()), Some(KeyFault::Short));
        assert_eq!(fault(der(SECP256K1).secret_pkcs8_der()), Some(KeyFault::Unusable));
        assert_eq!(fault(&[0x30, 0]), Some(KeyFault::Unusable));
        let garbage = PrivateKey::new(SectionKind::EcPrivateKey, &[1, 2]).err();
        assert_eq!(garbage, Some(KeyFault::Unusable));
    }

    /// Made for this test; protects nothing.
    const RSA_1024: &str = "\
MIICdwIBADANBgkqhkiG9w0BAQEFAASCAmEwggJdAgEAAoGBAMnuCkkXGq1AoaJw
xEenAz0nH531XMksRbvQcfv1mfNgM9nyoLVLKYbz1ZCDepPxym1gAJlDkm/9XVOv
kqk2GLptgHT85cDACIlDQXe5wJM/q/+gVuInVDmT49pITFQB2APz3FsL7uyKyx/n
oj89+AIiIwSn12TvTPRL/hmAj455AgMBAAECgYB6//Rj8R7eya+rMuVcf+8JIPux
S/Po1n7jmGTWBRRxmvf6mkAqLk5tVbmQ/YV8+JtFZGT49qAMd1iR0TCUwc7tKylV
Ni6SPXst665vp9SSjbQOvR54/R9Pb68yINNoM2KGoRf7SVSKJ5gZDdZKlQft3l4t
vKYUBU2hDQMvx7sHAQJBAOONcSQb+basMAc6xfypVKNm7T3jWBkvMN/8TXVo8QSo
zSCsxmTeixl5ukAxJn+O7rVgSPrYykck9vn0p6Nt/mUCQQDjLJL79SAfij4aStqj
T02TgYdzF1xSUuusAz3rlKFumNVTqA/5w9CWwSFH66fodmVds/uhyT7AkM+yDFaa
eJSFAkEAo2UGEAqyhbQgjKBsWF/ysZ6Pzje4I+VZ8AwIRr2DC3h2SvclQnr2YOWi
ksN4RHILAFxSKyWOIgXt/k/qLBUobQJAGsjTn69cFTvobJMsyhp8jAq2nKRBd1dd
gA91yoPgsLiGVnG3SHyE6HFm6iLnzim/c9fXsFCY/H1Wb6iywU28PQJBAMR5maaF
ByKGf14dVbSz53dypqFZuQ3yKX2PzyHjupnpc4dlXaUgiTH/dFdb3a5dUjf8Xw12
xZpoajjDGbO1evk=";

    /// Made for this test; protects nothing.
    const SECP256K1: &str = "\
MIGEAgEAMBAGByqGSM49AgEGBSuBBAAKBG0wawIBAQQgvY/rhwrfFoq2Codmigef
OjMptEge6d/bi2iSmKXYPqKhRANCAARcPLyrPw1TTEjFfb/kiqc2PPGFy5ePzqr8
wvfo4pxYWNYj5MIfIoGymr90kw7IMaXMyrLJ09S7VjWK0FQR//DP";
}
