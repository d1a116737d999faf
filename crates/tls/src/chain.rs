//! The order of a certificate file: the server's certificate, then those of its issuers
//! (RFC 8446 section 4.4.2).
//!
//! ```text
//! file:   [issuer] [server] [stranger]        served:  [server] <- [issuer]
//!          reordered                           left out: [stranger]
//! ```

use x509_parser::certificate::X509Certificate;
use x509_parser::error::X509Error;

/// Which certificates of a file are served, in which order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Chain {
    /// Places in the file, the server's certificate first.
    pub(crate) places: Vec<usize>,
    /// The file has another order.
    pub(crate) reordered: bool,
    /// How many are no part of the chain.
    pub(crate) unrelated: usize,
    /// Who issued the server's certificate, where nothing in the file tells more of him.
    pub(crate) missing_issuer: Option<String>,
}

impl Chain {
    /// The chain that begins with the certificate at `server`.
    pub(crate) fn of(certificates: &[X509Certificate<'_>], server: usize) -> Self {
        let mut places = vec![server];
        let mut missing_issuer = None;
        let mut last = certificates.get(server);
        while let Some(certificate) = last.filter(|certificate| !is_self_issued(certificate)) {
            let next = certificates.iter().enumerate().find(|(place, candidate)| {
                !places.contains(place) && has_issued(candidate, certificate)
            });
            if next.is_none() && places.len() == 1 {
                missing_issuer = Some(certificate.issuer().to_string());
            }
            places.extend(next.map(|(place, _)| place));
            last = next.map(|(_, certificate)| certificate);
        }
        Self {
            reordered: server != 0 || !places.is_sorted(),
            unrelated: certificates.len() - places.len(),
            missing_issuer,
            places,
        }
    }
}

fn is_self_issued(certificate: &X509Certificate<'_>) -> bool {
    certificate.subject().as_raw() == certificate.issuer().as_raw()
}

/// By name and by signature; a signature that cannot be checked here counts for right, because the
/// client may be able to.
fn has_issued(issuer: &X509Certificate<'_>, certificate: &X509Certificate<'_>) -> bool {
    issuer.subject().as_raw() == certificate.issuer().as_raw()
        && matches!(
            certificate.verify_signature(Some(issuer.public_key())),
            Ok(()) | Err(X509Error::SignatureUnsupportedAlgorithm)
        )
}
