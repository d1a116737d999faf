//! The one TLS configuration of the process.
//!
//! TLS 1.2 and 1.3 (RFC 5246, RFC 8446) with AEAD suites and (EC)DHE only; no renegotiation, no
//! compression, no early data, no client certificates [H16]. RFC 8489 section 6.2.3 asks for
//! TLS_DHE_RSA_WITH_AES_128_GCM_SHA256, which BCP 195 (RFC 9325) has withdrawn since: it is not
//! offered.

use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::server::NoServerSessionStorage;
use rustls::{Error, ServerConfig, version};

use crate::certificates::Certificates;

/// Application protocols that are chosen where a client brings one of them (RFC 7443; `http/1.1` is
/// what coturn's clients add). A client that brings none is served; one that brings only others is
/// refused with `no_application_protocol`, as RFC 7301 section 3.2 asks ("SHALL").
pub const ALPN_PROTOCOLS: [&str; 3] = ["stun.turn", "stun.nat-discovery", "http/1.1"];

/// The configuration of every TLS listener. Certificates are looked up for each handshake, so a
/// reload needs no new one.
///
/// # Errors
/// The operating system gives no randomness for the first ticket key.
pub fn server_config(certificates: &Arc<Certificates>) -> Result<Arc<ServerConfig>, Error> {
    // Named, because a process-wide default could be set by anybody. The feature
    // `prefer-post-quantum` puts X25519MLKEM768 first.
    let provider = Arc::new(aws_lc_rs::default_provider());
    // [H16] Nothing older.
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&version::TLS13, &version::TLS12])?
        .with_no_client_auth()
        .with_cert_resolver(Arc::<Certificates>::clone(certificates));
    config.alpn_protocols = ALPN_PROTOCOLS.iter().map(|name| name.as_bytes().to_vec()).collect();
    // [H16] Tickets of six hours under keys that rotate; nothing is remembered for a client.
    config.ticketer = aws_lc_rs::Ticketer::new()?;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    // [H16] Early data could be replayed, an Allocate included.
    config.max_early_data_size = 0;
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

    use rcgen::{
        PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PKCS_RSA_SHA256,
        SignatureAlgorithm,
    };
    use rustls::client::Resumption;
    use rustls::server::ServerConnection;
    use rustls::time_provider::TimeProvider;
    use rustls::{
        AlertDescription, ClientConfig, ClientConnection, HandshakeKind, NamedGroup,
        PeerIncompatible, ProtocolVersion, RootCertStore, SupportedProtocolVersion,
    };
    use rustls_pki_types::{ServerName, UnixTime};

    use super::*;
    use crate::certificates::ReloadOutcome;
    use crate::fixtures::{Authority, now};
    use crate::identity::CertificateFiles;

    #[test]
    fn h16_tls_1_2_and_1_3_are_served_with_every_kind_of_certificate() {
        for version in [&version::TLS12, &version::TLS13] {
            for algorithm in
                [&PKCS_ECDSA_P256_SHA256, &PKCS_ECDSA_P384_SHA384, &PKCS_RSA_SHA256, &PKCS_ED25519]
            {
                let world = World::new(&[(&["a.example"], algorithm)]);
                let (client, _) = world.connect("a.example", &world.client(&[version])).unwrap();
                assert_eq!(client.protocol_version(), Some(version.version));
            }
        }
    }

    #[test]
    fn h16_a_hello_of_tls_1_1_is_refused() {
        let world = World::ecdsa();
        let answer = |extensions: &[u8]| {
            let mut server = ServerConnection::new(Arc::clone(&world.server)).unwrap();
            server.read_tls(&mut &hello_of_tls_1_1(extensions)[..]).unwrap();
            let error = server.process_new_packets().unwrap_err();
            let mut record = Vec::new();
            server.write_tls(&mut record).unwrap();
            (error, record)
        };
        let (error, record) = answer(&SIGNATURE_ALGORITHMS);
        assert_eq!(error, Error::PeerIncompatible(PeerIncompatible::Tls12NotOffered));
        // A record of type alert whose body is: fatal (2), protocol_version (70).
        assert_eq!((record.first(), &record[5..]), (Some(&21), &[2, 70][..]));
        // A real one of that time has no such extension, and is refused for that already.
        let (error, record) = answer(&[]);
        assert!(matches!(error, Error::PeerIncompatible(_)), "{error}");
        assert_eq!((record.first(), record.get(5)), (Some(&21), Some(&2)));
    }

    #[test]
    fn h16_tickets_resume_sessions_and_their_keys_rotate() {
        let world = World::ecdsa();
        assert!(world.server.ticketer.enabled());
        let hours = world.server.ticketer.lifetime() / 3_600;
        assert!((1..=12).contains(&hours), "{hours}");
        assert!(!world.server.session_storage.can_cache());
        for version in [&version::TLS12, &version::TLS13] {
            let config = world.client(&[version]);
            let (first, _) = world.connect("a.example", &config).unwrap();
            assert_ne!(first.handshake_kind(), Some(HandshakeKind::Resumed));
            let (second, _) = world.connect("a.example", &config).unwrap();
            assert_eq!(second.handshake_kind(), Some(HandshakeKind::Resumed));
        }
    }

    #[test]
    fn h16_early_data_is_never_taken() {
        let world = World::ecdsa();
        let mut config = world.client(&[&version::TLS13]);
        config.enable_early_data = true;
        world.connect("a.example", &config).unwrap();
        let name = ServerName::try_from("a.example").unwrap();
        let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
        assert!(client.early_data().is_none());
        let mut server = ServerConnection::new(Arc::clone(&world.server)).unwrap();
        shake(&mut client, &mut server).unwrap();
        assert_eq!(client.handshake_kind(), Some(HandshakeKind::Resumed));
        assert!(server.early_data().is_none());
    }

    #[test]
    fn h16_nothing_is_compressed_and_no_client_certificate_is_asked_for() {
        let world = World::ecdsa();
        assert!(world.server.cert_compressors.is_empty());
        // A client that could not give one is served, and is not even asked.
        let (_, server) = world.connect("a.example", &world.client(ANY)).unwrap();
        assert!(server.peer_certificates().is_none());
    }

    #[test]
    fn post_quantum_key_exchange_is_preferred_and_not_required() {
        let world = World::ecdsa();
        let (client, _) = world.connect("a.example", &world.client(ANY)).unwrap();
        assert_eq!(group(&client), NamedGroup::X25519MLKEM768);
        let mut provider = aws_lc_rs::default_provider();
        provider.kx_groups = vec![aws_lc_rs::kx_group::SECP256R1];
        let config = world.client_with(provider, ANY);
        let (client, _) = world.connect("a.example", &config).unwrap();
        assert_eq!(group(&client), NamedGroup::secp256r1);
    }

    #[test]
    fn each_server_name_gets_its_certificate() {
        let world = World::new(&[
            (&["a.example"], &PKCS_ECDSA_P256_SHA256),
            (&["*.b.example"], &PKCS_RSA_SHA256),
        ]);
        let served = |name: &str| {
            let (client, _) = world.connect(name, &world.client(ANY)).unwrap();
            let leaf = client.peer_certificates().unwrap()[0].clone();
            let identities = world.certificates.identities();
            identities.iter().position(|known| known.certificate_der()[0] == leaf).unwrap()
        };
        assert_eq!((served("a.example"), served("turn.b.example")), (0, 1));
        // The client judges the name, and refuses the default of another.
        let error = world.connect("c.example", &world.client(ANY)).unwrap_err();
        assert!(matches!(error, Error::InvalidCertificate(_)), "{error}");
    }

    #[test]
    fn a_client_without_a_server_name_gets_the_default() {
        let world = World::new(&[(&["a.example", "203.0.113.7"], &PKCS_ECDSA_P256_SHA256)]);
        // An address is never sent as a server name (RFC 6066 section 3).
        let (_, server) = world.connect("203.0.113.7", &world.client(ANY)).unwrap();
        assert_eq!(server.server_name(), None);
    }

    #[test]
    fn alpn_is_chosen_where_offered_and_never_required() {
        let world = World::ecdsa();
        let chosen = |offered: &[&str]| {
            let mut config = world.client(ANY);
            config.alpn_protocols = offered.iter().map(|name| name.as_bytes().to_vec()).collect();
            let (client, _) = world.connect("a.example", &config)?;
            Ok(client.alpn_protocol().map(|name| String::from_utf8(name.to_vec()).unwrap()))
        };
        assert_eq!(chosen(&[]), Ok(None));
        assert_eq!(chosen(&["stun.turn"]), Ok(Some("stun.turn".to_owned())));
        assert_eq!(chosen(&["stun.nat-discovery"]), Ok(Some("stun.nat-discovery".to_owned())));
        assert_eq!(chosen(&["h2", "http/1.1"]), Ok(Some("http/1.1".to_owned())));
        let all = ["http/1.1", "stun.nat-discovery", "stun.turn"];
        assert_eq!(chosen(&all), Ok(Some("stun.turn".to_owned())));
        // RFC 7301 section 3.2: none in common "SHALL" end so.
        let refused = Err(Error::AlertReceived(AlertDescription::NoApplicationProtocol));
        assert_eq!(chosen(&["h2"]), refused);
    }

    #[test]
    fn a_reload_serves_the_next_handshake_and_leaves_connections_alone() {
        let world = World::ecdsa();
        let (mut client, mut server) = world.connect("a.example", &world.client(ANY)).unwrap();
        let old = client.peer_certificates().unwrap()[0].clone();

        world.authority.issue(&["a.example"]).write(world.directory.path(), "0");
        let [reloaded] = &world.certificates.reload(now())[..] else { panic!("not one pair") };
        assert!(matches!(reloaded.outcome, ReloadOutcome::Replaced { .. }));

        let (next, _) = world.connect("a.example", &world.client(ANY)).unwrap();
        assert_ne!(next.peer_certificates().unwrap()[0], old);
        std::io::Write::write_all(&mut client.writer(), b"still here").unwrap();
        shake(&mut client, &mut server).unwrap();
        let mut read = [0; 10];
        std::io::Read::read_exact(&mut server.reader(), &mut read).unwrap();
        assert_eq!(&read, b"still here");
    }

    const ANY: &[&SupportedProtocolVersion] = &[&version::TLS12, &version::TLS13];

    /// A server with certificates of one authority, and clients that trust it.
    struct World {
        directory: tempfile::TempDir,
        authority: Authority,
        certificates: Arc<Certificates>,
        server: Arc<ServerConfig>,
    }

    impl World {
        fn new(pairs: &[(&[&str], &'static SignatureAlgorithm)]) -> Self {
            let directory = tempfile::tempdir().unwrap();
            let authority = Authority::new("CA");
            let files: Vec<CertificateFiles> = pairs
                .iter()
                .enumerate()
                .map(|(index, (names, algorithm))| {
                    let issued = authority.issue_with(names, algorithm);
                    issued.write(directory.path(), &index.to_string())
                })
                .collect();
            let (certificates, _) = Certificates::load(&files, now()).unwrap();
            let server = server_config(&certificates).unwrap();
            Self { directory, authority, certificates, server }
        }

        fn ecdsa() -> Self {
            Self::new(&[(&["a.example"], &PKCS_ECDSA_P256_SHA256)])
        }

        fn client(&self, versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
            self.client_with(aws_lc_rs::default_provider(), versions)
        }

        fn client_with(
            &self,
            provider: rustls::crypto::CryptoProvider,
            versions: &[&'static SupportedProtocolVersion],
        ) -> ClientConfig {
            let mut roots = RootCertStore::empty();
            roots.add(self.authority.der()).unwrap();
            let mut config =
                ClientConfig::builder_with_details(Arc::new(provider), Arc::new(FixedTime))
                    .with_protocol_versions(versions)
                    .unwrap()
                    .with_root_certificates(roots)
                    .with_no_client_auth();
            config.resumption = Resumption::in_memory_sessions(8);
            config
        }

        fn connect(
            &self,
            name: &str,
            config: &ClientConfig,
        ) -> Result<(ClientConnection, ServerConnection), Error> {
            let name = ServerName::try_from(name.to_owned()).unwrap();
            let mut client = ClientConnection::new(Arc::new(config.clone()), name)?;
            let mut server = ServerConnection::new(Arc::clone(&self.server))?;
            shake(&mut client, &mut server)?;
            assert_ne!(server.protocol_version(), Some(ProtocolVersion::TLSv1_1));
            Ok((client, server))
        }
    }

    /// Carries bytes to and fro until nothing is left to say; the client's view counts.
    fn shake(client: &mut ClientConnection, server: &mut ServerConnection) -> Result<(), Error> {
        while client.wants_write() || server.wants_write() {
            let (mut up, mut down) = (Vec::new(), Vec::new());
            while client.wants_write() {
                client.write_tls(&mut up).unwrap();
            }
            let mut up = &up[..];
            while !up.is_empty() {
                server.read_tls(&mut up).unwrap();
                // Its alert, if there is one, reaches the client below.
                let _ = server.process_new_packets();
            }
            while server.wants_write() {
                server.write_tls(&mut down).unwrap();
            }
            let mut down = &down[..];
            while !down.is_empty() {
                client.read_tls(&mut down).unwrap();
                client.process_new_packets()?;
            }
        }
        assert!(!client.is_handshaking() && !server.is_handshaking());
        Ok(())
    }

    fn group(client: &ClientConnection) -> NamedGroup {
        client.negotiated_key_exchange_group().unwrap().name()
    }

    /// A ClientHello of TLS 1.1 (RFC 4346) with one suite.
    fn hello_of_tls_1_1(extensions: &[u8]) -> Vec<u8> {
        let mut body = vec![3, 2];
        body.extend([7; 32]);
        body.push(0);
        body.extend([0, 2, 0xc0, 0x13]);
        body.extend([1, 0]);
        if !extensions.is_empty() {
            body.extend([0, u8::try_from(extensions.len()).unwrap()]);
            body.extend(extensions);
        }
        let length = u8::try_from(body.len()).unwrap();
        let mut record = vec![22, 3, 1, 0, length + 4, 1, 0, 0, length];
        record.extend(body);
        record
    }

    /// The extension signature_algorithms with ecdsa_secp256r1_sha256.
    const SIGNATURE_ALGORITHMS: [u8; 8] = [0, 13, 0, 4, 0, 2, 4, 3];

    /// The time that the certificates are made around.
    #[derive(Debug)]
    struct FixedTime;

    impl TimeProvider for FixedTime {
        fn current_time(&self) -> Option<UnixTime> {
            let since = now().duration_since(std::time::UNIX_EPOCH).unwrap();
            Some(UnixTime::since_unix_epoch(since))
        }
    }
}
