//! The certificate of the page: the operator's, or one made at start.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow};
use rcgen::{CertificateParams, KeyPair};
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::arguments::Arguments;

/// TLS as the page is served with.
///
/// # Errors
/// When a file cannot be read or key and certificate do not belong together.
pub(crate) fn server_config(arguments: &Arguments, hosts: &[IpAddr]) -> Result<Arc<ServerConfig>> {
    let (chain, key) = match (&arguments.certificate, &arguments.key) {
        (Some(certificate), Some(key)) => read(certificate, key)?,
        _ => made(hosts)?,
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .context("certificate and key do not go together; name those of one certificate")?;
    // A WebSocket begins as a request of HTTP/1.1.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn read(certificate: &Path, key: &Path) -> Result<Identity> {
    let named = |path: &Path| format!("{}: a PEM file is needed", path.display());
    let chain: Vec<_> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .with_context(|| named(certificate))?;
    if chain.is_empty() {
        return Err(anyhow!("{}: there is no certificate in it", certificate.display()));
    }
    Ok((chain, PrivateKeyDer::from_pem_file(key).with_context(|| named(key))?))
}

/// For localhost, and for the addresses that the page is reached at.
fn made(hosts: &[IpAddr]) -> Result<Identity> {
    let names = hosts.iter().map(IpAddr::to_string).chain(["localhost".to_owned()]);
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(names.collect::<Vec<_>>())?.self_signed(&key)?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    Ok((vec![certificate.der().clone()], key))
}
