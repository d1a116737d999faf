//! `openssl s_client`: a TLS and DTLS client that nobody here wrote, with one Binding exchange
//! inside the session.

use std::ffi::OsString;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use turn_codec::attribute::XorMappedAddress;
use turn_codec::{Class, Message};

use super::process::{Running, until};
use crate::system::binding_request;

/// A run of `openssl s_client`, to be put together and then run.
#[derive(Debug, Clone)]
pub struct SClient {
    arguments: Vec<OsString>,
}

/// What `openssl s_client` said of a session.
#[derive(Debug, Clone)]
pub struct SClientReport {
    /// The reflexive address in the Binding response that came through the session.
    pub reflexive: Option<SocketAddr>,
    /// As `TLSv1.3`; `None` when there was no session.
    pub version: Option<String>,
    /// The protocol that was agreed on.
    pub alpn: Option<String>,
    /// The common name of the server's certificate.
    pub subject: Option<String>,
    /// How the server signed, as `RSA-PSS` or `ECDSA`.
    pub signature: Option<String>,
    /// Whether the chain was verified.
    pub verified: bool,
    /// All that it wrote, without the response.
    pub output: String,
}

impl SClient {
    /// A run over TCP.
    pub fn tls(server: SocketAddr) -> Self {
        Self { arguments: Vec::new() }.option("-connect", server.to_string())
    }

    /// A run over UDP, with DTLS 1.2.
    pub fn dtls(server: SocketAddr) -> Self {
        Self::tls(server).flag("-dtls1_2")
    }

    /// Offers protocols (ALPN), as `stun.turn,http/1.1`.
    #[must_use]
    pub fn alpn(self, protocols: &str) -> Self {
        self.option("-alpn", protocols)
    }

    /// Names the server (SNI).
    #[must_use]
    pub fn name(self, name: &str) -> Self {
        self.option("-servername", name)
    }

    /// Trusts an authority, and ends the session where the server's chain does not lead to it.
    #[must_use]
    pub fn trusting(self, authority: &Path) -> Self {
        self.option("-CAfile", authority).flag("-verify_return_error")
    }

    /// Any other option that takes no value, as `-tls1_2`.
    #[must_use]
    pub fn flag(mut self, flag: &str) -> Self {
        self.arguments.push(flag.into());
        self
    }

    /// Any other option with its value.
    #[must_use]
    pub fn option(mut self, option: &str, value: impl Into<OsString>) -> Self {
        self.arguments.push(option.into());
        self.arguments.push(value.into());
        self
    }

    /// Makes the session, asks for the reflexive address in it and waits for the answer, at most
    /// this long.
    ///
    /// # Panics
    /// When there is no `openssl`.
    pub fn run(&self, limit: Duration) -> SClientReport {
        let mut process = self.start(&["-nocommands"]);
        // It reads once the session is there. If it has ended before, its output tells why.
        let request = binding_request(7);
        let _ = process.input().write_all(&request);
        let _ = until(limit, || {
            !process.is_running() || response_in(&process.output_bytes(), &request).is_some()
        });
        SClientReport::new(&process.output_bytes(), &request)
    }

    /// Makes the session, asks for another handshake in it, and waits for the end, at most this
    /// long.
    ///
    /// # Panics
    /// When there is no `openssl`.
    pub fn renegotiate(&self, limit: Duration) -> SClientReport {
        let mut process = self.start(&[]);
        // A line that begins with this letter is its command for it.
        let _ = process.input().write_all(b"R\n");
        let _ = until(limit, || !process.is_running());
        SClientReport::new(&process.output_bytes(), &[])
    }

    fn start(&self, flags: &[&str]) -> Running {
        let mut command = Command::new("openssl");
        command.arg("s_client").args(flags).args(&self.arguments);
        Running::with_input(&mut command)
    }
}

impl SClientReport {
    fn new(output: &[u8], request: &[u8]) -> Self {
        let response = response_in(output, request);
        let text = response.map_or(output, |(at, _)| output.get(..at).unwrap_or_default());
        let text = String::from_utf8_lossy(text).into_owned();
        let value = |label: &str| {
            let (_, rest) = text.split_once(label)?;
            let word = rest.lines().next()?.split(',').next()?.trim();
            Some(word.to_owned())
        };
        Self {
            reflexive: response.map(|(_, address)| address),
            version: value("\nNew, ").filter(|version| version != "(NONE)"),
            alpn: value("\nALPN protocol: "),
            subject: value("\nsubject=CN = "),
            signature: value("\nPeer signature type: "),
            verified: text.contains("\nVerification: OK"),
            output: text,
        }
    }
}

/// Where in the output the success response to a request begins, and its reflexive address.
fn response_in(output: &[u8], request: &[u8]) -> Option<(usize, SocketAddr)> {
    // Magic cookie and transaction id come back as they were.
    let echoed = request.get(4..20)?;
    let at = output.windows(echoed.len()).position(|window| window == echoed)?.checked_sub(4)?;
    let bytes = output.get(at..)?;
    let &[_, _, high, low, ..] = bytes else { return None };
    let length = 20 + usize::from(u16::from_be_bytes([high, low]));
    let message = Message::parse(bytes.get(..length)?).ok()?;
    if message.class() != Class::Success {
        return None;
    }
    let XorMappedAddress(address) = message.get().ok()??;
    Some((at, address))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read_up_to_the_response() {
        let request = binding_request(7);
        let mut output = b"CONNECTED(3)\n---\nServer certificate\nsubject=CN = a.example\n\n\
            Peer signature type: ECDSA\nVerification: OK\n---\n\
            New, TLSv1.3, Cipher is TLS_AES_256_GCM_SHA384\nALPN protocol: stun.turn\n---\n"
            .to_vec();
        output.extend([1, 1, 0, 12]);
        output.extend(request.get(4..).unwrap());
        output.extend([0, 0x20, 0, 8, 0, 1, 0x21 ^ 0x30, 0x12 ^ 0x39]);
        output.extend([127 ^ 0x21, 0x12, 0xa4, 1 ^ 0x42]);
        let report = SClientReport::new(&output, &request);
        assert_eq!(report.reflexive, Some("127.0.0.1:12345".parse().unwrap()));
        assert_eq!(report.version.as_deref(), Some("TLSv1.3"));
        assert_eq!(report.alpn.as_deref(), Some("stun.turn"));
        assert_eq!(report.subject.as_deref(), Some("a.example"));
        assert_eq!(report.signature.as_deref(), Some("ECDSA"));
        assert!(report.verified && report.output.ends_with("---\n"), "{report:#?}");
    }

    #[test]
    fn no_session_is_no_version() {
        let report = SClientReport::new(b"x\nNew, (NONE), Cipher is (NONE)\n", &binding_request(7));
        assert_eq!((report.version, report.reflexive), (None, None));
    }
}
