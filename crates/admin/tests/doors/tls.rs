//! The credentials door over TLS.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use turn_admin::{CredentialKeys, TlsConfigs, serve_credentials};

use crate::fake_issuer::{BEARER, FakeIssuer, settings, text};
use crate::raw::exchange;

#[tokio::test]
async fn certificates_are_exchanged_between_two_connections() {
    let (first, second) = (Made::new(), Made::new());
    let current = Arc::new(Mutex::new(first.server()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let configs: TlsConfigs = {
        let current = Arc::clone(&current);
        Arc::new(move || Arc::clone(&current.lock().unwrap()))
    };
    let keys = Arc::new(CredentialKeys::new(&settings()).unwrap());
    let (issuer, end) = (Arc::new(FakeIssuer::default()), std::future::pending());
    tokio::spawn(serve_credentials(listener, Some(configs), keys, issuer, end));

    // Somebody who says nothing holds nobody up.
    let _silent = TcpStream::connect(address).await.unwrap();
    let ask = async |made: &Made| {
        let name = ServerName::try_from("turn.example").unwrap();
        let stream = TcpStream::connect(address).await.unwrap();
        let stream = TlsConnector::from(made.client()).connect(name, stream).await.ok()?;
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
        Some(exchange(stream, &text("GET /v1/credentials", &[BEARER], "")).await.status)
    };
    assert_eq!(ask(&first).await, Some(200));
    assert_eq!(ask(&second).await, None);
    *current.lock().unwrap() = second.server();
    assert_eq!(ask(&second).await, Some(200));
    assert_eq!(ask(&first).await, None);

    // Who speaks no TLS gets no answer, and no hint.
    let mut plain = TcpStream::connect(address).await.unwrap();
    plain.write_all(b"GET /v1/credentials HTTP/1.1\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let read = timeout(Duration::from_secs(4), plain.read_to_end(&mut answer)).await;
    assert!(read.is_ok(), "the connection ends");
    assert!(!String::from_utf8_lossy(&answer).contains("HTTP"));
}

/// A certificate that signs itself.
struct Made {
    certificate: CertificateDer<'static>,
    key: KeyPair,
}

impl Made {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["turn.example".to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Self { certificate, key }
    }

    fn server(&self) -> Arc<ServerConfig> {
        let key = PrivateKeyDer::try_from(self.key.serialize_der()).unwrap();
        let mut config =
            ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(vec![self.certificate.clone()], key)
                .unwrap();
        config.alpn_protocols = vec![b"stun.turn".to_vec(), b"http/1.1".to_vec()];
        Arc::new(config)
    }

    fn client(&self) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let mut config =
            ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_root_certificates(roots)
                .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Arc::new(config)
    }
}
