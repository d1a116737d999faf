//! The blocking client over TLS, against a server that rustls makes.

use std::io::ErrorKind;
use std::net::Shutdown;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use rcgen::{CertificateParams, CertifiedKey, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey as ServedKey;
use turn_client::{AllocateOptions, Client, TlsOptions, TlsVersion, Wire};

use crate::fake::{ann, here, turn};
use crate::fake_stream::{FakeStreamServer, assert_io};

const NAME: &str = "turn.example";
const SECOND: Duration = Duration::from_secs(1);

#[test]
fn allocate_passes_over_both_versions_of_tls() {
    let identity = Identity::new();
    let (config, options) = (identity.config(&[]), identity.options());
    let server = serve_turn(move || Arc::clone(&config));
    for version in [TlsVersion::Tls12, TlsVersion::Tls13] {
        let mut client = server.tls_client(&options.clone().only(version));
        client.allocate(&AllocateOptions::default()).unwrap();
        let details = client.raw().tls().unwrap();
        assert_eq!((details.version, details.alpn), (version, None));
        assert_eq!(details.certificate, identity.certificate);
        assert!(!details.is_resumed);
    }
    let details = server.tls_client(&options).raw().tls().unwrap();
    assert_eq!(details.version, TlsVersion::Tls13);
    assert_eq!(details.key_exchange.as_deref(), Some("X25519MLKEM768"));
}

#[test]
fn alpn_is_offered_and_told() {
    let identity = Identity::new();
    let config = identity.config(&[b"stun.turn", b"http/1.1"]);
    let server = serve_turn(move || Arc::clone(&config));
    let options = identity.options().with_alpn(&[b"stun.nat-discovery", b"stun.turn"]);
    let details = server.tls_client(&options).raw().tls().unwrap();
    assert_eq!(details.alpn.as_deref(), Some(&b"stun.turn"[..]));
    let details = server.tls_client(&identity.options()).raw().tls().unwrap();
    assert_eq!(details.alpn, None);
}

#[test]
fn certificate_of_a_stranger_is_refused() {
    let identity = Identity::new();
    let config = identity.config(&[]);
    let server = serve_turn(move || Arc::clone(&config));
    let stranger = Identity::new();
    let wrong_root = TlsOptions::new(NAME, vec![stranger.root]);
    let wrong_name = TlsOptions::new("other.example", vec![identity.root]);
    let no_root = TlsOptions::new(NAME, Vec::new());
    for options in [wrong_root, wrong_name, no_root] {
        let error = Client::connect_tls(here(), server.address, &options, ann()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        let cause = error.get_ref().unwrap().downcast_ref::<rustls::Error>().unwrap();
        assert!(matches!(cause, rustls::Error::InvalidCertificate(_)), "{cause}");
    }
    server.tls_client(&TlsOptions::trusting_anybody("other.example"));
}

#[test]
fn self_signed_certificate_can_be_its_own_root() {
    let CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let config = config(vec![cert.der().clone()], &signing_key, &[]);
    let server = serve_turn(move || Arc::clone(&config));
    let options = TlsOptions::new("127.0.0.1", vec![cert.der().to_vec()]);
    server.tls_client(&options).allocate(&AllocateOptions::default()).unwrap();
}

#[test]
fn sni_is_sent_unless_told_otherwise() {
    let identity = Identity::new();
    let names = Arc::new(Mutex::new(Vec::new()));
    let resolver = NameKeeper { served: identity.served(), names: Arc::clone(&names) };
    let config = Arc::new(builder().with_cert_resolver(Arc::new(resolver)));
    let server = serve_turn(move || Arc::clone(&config));
    server.tls_client(&identity.options());
    server.tls_client(&identity.options().without_sni());
    drop(server);
    assert_eq!(*names.lock().unwrap(), [Some(NAME.to_owned()), None]);
}

#[test]
fn new_connection_sees_the_new_certificate() {
    let (old, new) = (Identity::new(), Identity::new());
    let roots = vec![old.root.clone(), new.root.clone()];
    let configs = Mutex::new([new.config(&[]), old.config(&[])].to_vec());
    let server = serve_turn(move || configs.lock().unwrap().pop().unwrap());
    let options = TlsOptions::new(NAME, roots);
    let first = server.tls_client(&options);
    let second = server.tls_client(&options);
    assert_eq!(first.raw().tls().unwrap().certificate, old.certificate);
    assert_eq!(second.raw().tls().unwrap().certificate, new.certificate);
}

#[test]
fn session_is_resumed_only_where_that_was_asked_for() {
    let identity = Identity::new();
    let config = identity.config(&[]);
    let server = serve_turn(move || Arc::clone(&config));
    for (options, expected) in [(identity.options(), false), (identity.options().resuming(), true)]
    {
        // The tickets come behind the handshake, and are read with the first response.
        server.tls_client(&options).allocate(&AllocateOptions::default()).unwrap();
        let second = server.tls_client(&options).raw().tls().unwrap();
        assert_eq!(second.is_resumed, expected);
        assert_eq!(second.certificate, identity.certificate);
    }
}

#[test]
fn shutdown_says_close_notify() {
    let identity = Identity::new();
    let config = identity.config(&[]);
    let (seen, ends) = mpsc::channel();
    let server = FakeStreamServer::start_tls(
        move || Arc::clone(&config),
        move |mut it| {
            it.send(b"hello");
            seen.send(it.bytes()).unwrap();
        },
    );
    let client = server.tls_client(&identity.options());
    assert_eq!(client.raw().read_some(SECOND).unwrap().as_deref(), Some(&b"hello"[..]));
    client.raw().shutdown(Shutdown::Write).unwrap();
    assert!(ends.recv().unwrap().is_empty());
    // The server drops its socket without close_notify.
    let error = client.raw().read_some(SECOND).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
}

#[test]
fn tls_can_begin_behind_a_preface() {
    let identity = Identity::new();
    let config = identity.config(&[]);
    let server = FakeStreamServer::start(|mut it| it.echo());
    let socket = std::net::TcpStream::connect(server.address).unwrap();
    // An echo of its own hello is no handshake.
    let error = Wire::over_tls(socket, &identity.options()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);

    let server = serve_turn(move || Arc::clone(&config));
    let socket = std::net::TcpStream::connect(server.address).unwrap();
    let wire = Wire::over_tls(socket, &identity.options()).unwrap();
    Client::over(wire, ann()).unwrap().allocate(&AllocateOptions::default()).unwrap();
}

#[test]
fn server_that_closes_during_the_handshake_is_an_end() {
    let server = FakeStreamServer::start(|mut it| drop(it.bytes()));
    let options = Identity::new().options();
    let result = Client::connect_tls(here(), server.address, &options, ann());
    assert_io(result.map_err(Into::into), ErrorKind::UnexpectedEof);
}

/// A certificate for [`NAME`], and the authority that has signed it.
pub(crate) struct Identity {
    root: Vec<u8>,
    certificate: Vec<u8>,
    key: KeyPair,
}

impl Identity {
    pub(crate) fn new() -> Self {
        let mut authority = CertificateParams::default();
        authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let authority_key = KeyPair::generate().unwrap();
        let root = authority.self_signed(&authority_key).unwrap().der().to_vec();
        let issuer = Issuer::new(authority, authority_key);
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec![NAME.to_owned()]).unwrap();
        let certificate = leaf.signed_by(&key, &issuer).unwrap().der().to_vec();
        Self { root, certificate, key }
    }

    pub(crate) fn options(&self) -> TlsOptions {
        TlsOptions::new(NAME, vec![self.root.clone()])
    }

    pub(crate) fn config(&self, protocols: &[&[u8]]) -> Arc<ServerConfig> {
        config(vec![self.certificate.clone().into()], &self.key, protocols)
    }

    fn served(&self) -> Arc<ServedKey> {
        let key = PrivatePkcs8KeyDer::from(self.key.serialize_der()).into();
        let key = aws_lc_rs::sign::any_supported_type(&key).unwrap();
        Arc::new(ServedKey::new(vec![self.certificate.clone().into()], key))
    }
}

fn config(
    chain: Vec<CertificateDer<'static>>,
    key: &KeyPair,
    protocols: &[&[u8]],
) -> Arc<ServerConfig> {
    let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
    let mut config = builder().with_single_cert(chain, key).unwrap();
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    Arc::new(config)
}

fn builder() -> rustls::ConfigBuilder<ServerConfig, rustls::server::WantsServerCert> {
    ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
}

fn serve_turn(config: impl Fn() -> Arc<ServerConfig> + Send + Sync + 'static) -> FakeStreamServer {
    FakeStreamServer::start_tls(config, |mut it| it.answer(|bytes| turn(bytes, "second")))
}

/// Serves one certificate, and writes down which names were asked for.
#[derive(Debug)]
struct NameKeeper {
    served: Arc<ServedKey>,
    names: Arc<Mutex<Vec<Option<String>>>>,
}

impl ResolvesServerCert for NameKeeper {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<ServedKey>> {
        self.names.lock().unwrap().push(hello.server_name().map(str::to_owned));
        Some(Arc::clone(&self.served))
    }
}
