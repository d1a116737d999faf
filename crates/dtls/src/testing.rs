//! What the unit tests share: hellos byte by byte, and certificates.

use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::name::Path;

/// The path of the `n`th client.
pub(crate) fn path(n: u16) -> Path {
    let [high, low] = n.to_be_bytes();
    Path { client: ([10, 0, high, low], 5000).into(), server: ([192, 0, 2, 1], 3478).into() }
}

/// The cookie in a HelloVerifyRequest.
pub(crate) fn cookie_of(request: &[u8]) -> [u8; 32] {
    request[28..].try_into().unwrap()
}

/// A self-signed certificate and its key.
pub(crate) fn certificate(
    name: &str,
    algorithm: &'static rcgen::SignatureAlgorithm,
) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
    let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
    let params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    (certificate.der().clone(), PrivateKeyDer::Pkcs8(key.serialize_der().into()))
}

pub(crate) fn rsa_certificate() -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
    certificate("turn.example", &rcgen::PKCS_RSA_SHA256)
}

/// A ClientHello, the smallest one unless told otherwise.
#[derive(Clone)]
pub(crate) struct HelloBuilder {
    version: [u8; 2],
    cookie: Vec<u8>,
    suites: Vec<[u8; 2]>,
    versions: Vec<[u8; 2]>,
    record_sequence: u64,
    message_sequence: u16,
    fragment: Option<usize>,
}

impl HelloBuilder {
    pub(crate) fn new() -> Self {
        Self {
            version: [254, 253],
            cookie: Vec::new(),
            suites: vec![[0xC0, 0x2B]],
            versions: Vec::new(),
            record_sequence: 0,
            message_sequence: 0,
            fragment: None,
        }
    }

    pub(crate) fn version(self, version: [u8; 2]) -> Self {
        Self { version, ..self }
    }

    pub(crate) fn cookie(self, cookie: &[u8]) -> Self {
        Self { cookie: cookie.to_vec(), ..self }
    }

    pub(crate) fn suites(self, suites: &[[u8; 2]]) -> Self {
        Self { suites: suites.to_vec(), ..self }
    }

    pub(crate) fn versions(self, versions: &[[u8; 2]]) -> Self {
        Self { versions: versions.to_vec(), ..self }
    }

    pub(crate) fn sequences(self, record_sequence: u64, message_sequence: u16) -> Self {
        Self { record_sequence, message_sequence, ..self }
    }

    pub(crate) fn first_fragment(self, len: usize) -> Self {
        Self { fragment: Some(len), ..self }
    }

    pub(crate) fn build(&self) -> Vec<u8> {
        let mut body = [self.version.as_slice(), &[0xAA; 32], &[0]].concat();
        body.push(self.cookie.len() as u8);
        body.extend(&self.cookie);
        body.extend((2 * self.suites.len() as u16).to_be_bytes());
        body.extend(self.suites.concat());
        body.extend([1, 0]);
        if !self.versions.is_empty() {
            let list = self.versions.concat();
            let len = list.len() as u8;
            body.extend([0, len + 5, 0, 43, 0, len + 1, len]);
            body.extend(list);
        }
        let fragment = &body[..self.fragment.unwrap_or(body.len())];
        let len24 = |len: usize| [0, (len >> 8) as u8, len as u8];
        let mut message = vec![1];
        message.extend(len24(body.len()));
        message.extend(self.message_sequence.to_be_bytes());
        message.extend([0, 0, 0]);
        message.extend(len24(fragment.len()));
        message.extend(fragment);
        let mut datagram = vec![22, 254, 253, 0, 0];
        datagram.extend(&self.record_sequence.to_be_bytes()[2..]);
        datagram.extend((message.len() as u16).to_be_bytes());
        datagram.extend(message);
        datagram
    }
}
