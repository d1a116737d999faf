//! How a TLS connection to the server is made, and what became of it.
//!
//! Implements the client's side of RFC 8489 section 6.2.3 (TLS over TCP) and RFC 7443 (ALPN).

use std::io::{self, ErrorKind};
use std::sync::{Arc, OnceLock};

use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ClientConnection, HandshakeKind, RootCertStore, SupportedProtocolVersion,
};

use crate::any_certificate::AnyCertificate;

/// Whom to believe and what to offer. Without more it is TLS 1.2 and 1.3 with SNI, no ALPN, and
/// a full handshake each time.
#[derive(Debug, Clone)]
pub struct TlsOptions {
    server_name: String,
    trust: Trust,
    sends_server_name: bool,
    protocols: Vec<Vec<u8>>,
    versions: Vec<TlsVersion>,
    resumes: bool,
    /// Made with the first connection and shared among clones: a session is only resumed under
    /// the configuration that it began with.
    config: Arc<OnceLock<Arc<ClientConfig>>>,
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TlsVersion {
    /// TLS 1.2 (RFC 5246).
    Tls12,
    /// TLS 1.3 (RFC 8446).
    Tls13,
}

/// What a handshake has settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsDetails {
    /// The version.
    pub version: TlsVersion,
    /// The protocol that the server chose by ALPN.
    pub alpn: Option<Vec<u8>>,
    /// The server's end-entity certificate, in DER; that of the first handshake where this one
    /// resumed it.
    pub certificate: Vec<u8>,
    /// The key exchange by its name in the IANA registry, such as `X25519MLKEM768`.
    pub key_exchange: Option<String>,
    /// Whether an earlier session was resumed.
    pub is_resumed: bool,
}

impl TlsOptions {
    /// Believes certificates for this name (or IP address) that these roots have signed; each
    /// root is a certificate in DER. A self-signed certificate can be its own root.
    #[must_use]
    pub fn new(server_name: impl Into<String>, roots: Vec<Vec<u8>>) -> Self {
        Self::with_trust(server_name.into(), Trust::Roots(roots))
    }

    /// Believes any certificate, as a test of a self-signed one needs it: nothing tells who
    /// answers.
    #[must_use]
    pub fn trusting_anybody(server_name: impl Into<String>) -> Self {
        Self::with_trust(server_name.into(), Trust::Anybody)
    }

    /// Sends no SNI; the name is checked all the same.
    #[must_use]
    pub fn without_sni(self) -> Self {
        Self { sends_server_name: false, ..self.changed() }
    }

    /// Offers these protocols by ALPN.
    #[must_use]
    pub fn with_alpn(self, protocols: &[&[u8]]) -> Self {
        Self { protocols: protocols.iter().map(|name| name.to_vec()).collect(), ..self.changed() }
    }

    /// Offers one version only.
    #[must_use]
    pub fn only(self, version: TlsVersion) -> Self {
        Self { versions: vec![version], ..self.changed() }
    }

    /// Resumes sessions where the server lets it, among all connections that are made with this
    /// value and its clones. By default none is: a resumed session shows the certificate of its
    /// first handshake, so whoever wants to see what is served now must not resume.
    #[must_use]
    pub fn resuming(self) -> Self {
        Self { resumes: true, ..self.changed() }
    }

    /// Starts a connection; nothing is sent yet.
    pub(crate) fn connection(&self) -> io::Result<ClientConnection> {
        let name = ServerName::try_from(self.server_name.clone())
            .map_err(|error| io::Error::new(ErrorKind::InvalidInput, error))?;
        let config = match self.config.get() {
            Some(config) => config,
            None => {
                let config = Arc::new(self.build().map_err(invalid)?);
                self.config.get_or_init(|| config)
            }
        };
        ClientConnection::new(Arc::clone(config), name).map_err(invalid)
    }

    fn build(&self) -> Result<ClientConfig, rustls::Error> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let versions: Vec<_> = self.versions.iter().map(|version| version.supported()).collect();
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&versions)?;
        let builder = match &self.trust {
            Trust::Roots(roots) => {
                let mut store = RootCertStore::empty();
                for root in roots {
                    store.add(CertificateDer::from(root.as_slice()))?;
                }
                builder.with_root_certificates(store)
            }
            Trust::Anybody => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(AnyCertificate::new(provider))),
        };
        let mut config = builder.with_no_client_auth();
        config.enable_sni = self.sends_server_name;
        config.alpn_protocols.clone_from(&self.protocols);
        if !self.resumes {
            config.resumption = Resumption::disabled();
        }
        Ok(config)
    }

    /// What was built before does not hold any more.
    fn changed(self) -> Self {
        Self { config: Arc::default(), ..self }
    }

    fn with_trust(server_name: String, trust: Trust) -> Self {
        Self {
            server_name,
            trust,
            sends_server_name: true,
            protocols: Vec::new(),
            versions: vec![TlsVersion::Tls13, TlsVersion::Tls12],
            resumes: false,
            config: Arc::default(),
        }
    }
}

impl TlsVersion {
    const fn supported(self) -> &'static SupportedProtocolVersion {
        match self {
            Self::Tls12 => &TLS12,
            Self::Tls13 => &TLS13,
        }
    }
}

impl TlsDetails {
    /// Reads them off a connection whose handshake is over.
    pub(crate) fn of(connection: &ClientConnection) -> Option<Self> {
        let negotiated = connection.protocol_version()?;
        let versions = [TlsVersion::Tls12, TlsVersion::Tls13];
        let group = connection.negotiated_key_exchange_group();
        Some(Self {
            version: versions.into_iter().find(|it| it.supported().version == negotiated)?,
            alpn: connection.alpn_protocol().map(<[u8]>::to_vec),
            certificate: connection.peer_certificates()?.first()?.to_vec(),
            key_exchange: group.map(|group| format!("{:?}", group.name())),
            is_resumed: connection.handshake_kind() == Some(HandshakeKind::Resumed),
        })
    }
}

/// Who may answer.
#[derive(Debug, Clone)]
enum Trust {
    Roots(Vec<Vec<u8>>),
    Anybody,
}

fn invalid(error: rustls::Error) -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_roots_that_cannot_be_are_invalid_input() {
        let nameless = TlsOptions::new("not a name", Vec::new());
        let rootless = TlsOptions::new("turn.example", vec![b"no certificate".to_vec()]);
        for options in [nameless, rootless] {
            assert_eq!(options.connection().unwrap_err().kind(), ErrorKind::InvalidInput);
        }
        TlsOptions::trusting_anybody("127.0.0.1").connection().unwrap();
    }
}
