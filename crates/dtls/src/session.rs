//! One client's DTLS session: the library's handshake object, started behind the cookie.
//!
//! RFC 6347 sections 4.2.1 to 4.2.4. The library's server expects to have answered a first hello.
//! It is shown one of ours for each round that the client has had, its HelloVerifyRequests go
//! nowhere, and then it gets the client's hello with the cookie in it:
//!
//! ```text
//! our hello (message 0)               -> library -> HelloVerifyRequest (message 0), swallowed
//! client's hello (message 1), cookie  -> library -> ServerHello (message 1) ... -> client
//! ```
//!
//! The records of that flight are numbered on from the client's hello, as section 4.2.1 asks, so
//! that a client which had several HelloVerifyRequests does not take them for replays.

use std::time::Instant;

use dimpl::Dtls;

use crate::cookie::Cookie;
use crate::front::{HELLO_VERIFY_REQUEST, VerifiedHello};
use crate::identity::{DtlsIdentity, HANDSHAKE_TIMEOUT, Nonces};
use crate::provider::with_cookie;
use crate::record::{self, HANDSHAKE, Record};

/// RFC 5246 section 6.2.1: no record holds more plaintext.
pub(crate) const MAX_MESSAGE_LEN: usize = 1 << 14;
/// With nonces of 64 random bits, the chance that two were alike is then 1 in 2^13.
const MAX_RANDOM_NONCES: u64 = 1 << 26;
/// Enough for what usually comes out; the library says when it is not.
const SCRATCH_LEN: usize = 2048;

/// What comes out of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Emitted<'a> {
    /// For the client.
    Datagram(&'a [u8]),
    /// The handshake is done.
    Connected,
    /// From the client.
    Message(&'a [u8]),
}

/// The session has failed and is to be forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Failed;

/// Where a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Further fragments of the hello are awaited.
    Hello,
    /// The server's flight is out.
    Handshake,
    /// Messages go both ways.
    Connected,
    /// Either side has closed.
    Closed,
}

/// A session with one client.
pub(crate) struct Session {
    dtls: Dtls,
    cookie: Cookie,
    state: State,
    deadline: Instant,
    /// Added to the numbers of plain records.
    shift: u64,
    nonces: Nonces,
    sealed: u64,
}

impl Session {
    /// Starts a handshake.
    ///
    /// # Errors
    ///
    /// Where the client's hello leaves nothing to agree on.
    pub(crate) fn accept(
        identity: &DtlsIdentity,
        now: Instant,
        verified: &VerifiedHello<'_>,
        scratch: &mut Vec<u8>,
        emit: &mut dyn FnMut(Emitted<'_>),
    ) -> Result<Self, Failed> {
        let hello = verified.hello();
        let nonces = if hello.offers_chacha20 { Nonces::Counted } else { Nonces::Random };
        let mut session = Self {
            dtls: Dtls::new_12(identity.config(nonces), identity.certificate(), now),
            cookie: verified.cookie(),
            state: State::Hello,
            deadline: now + HANDSHAKE_TIMEOUT,
            // Each swallowed request took a number.
            shift: hello.record_sequence.wrapping_sub(u64::from(hello.message_sequence)),
            nonces,
            sealed: 0,
        };
        session.dtls.handle_timeout(now)?;
        for sequence in 0..hello.message_sequence {
            with_cookie(session.cookie, || session.dtls.handle_packet(&first_hello(sequence)))?;
            session.drain(scratch, emit);
        }
        session.receive(now, hello.datagram, scratch, emit)?;
        // The library passes over a hello in silence where it knows none of the suites.
        if hello.is_whole && session.state == State::Hello { Err(Failed) } else { Ok(session) }
    }

    /// Takes a datagram from the client.
    pub(crate) fn receive(
        &mut self,
        now: Instant,
        datagram: &[u8],
        scratch: &mut Vec<u8>,
        emit: &mut dyn FnMut(Emitted<'_>),
    ) -> Result<(), Failed> {
        if !record::is_sound(datagram) {
            return Ok(());
        }
        self.dtls.handle_timeout(now)?;
        if self.state == State::Hello {
            with_cookie(self.cookie, || self.dtls.handle_packet(datagram))?;
        } else {
            self.dtls.handle_packet(datagram)?;
        }
        self.drain(scratch, emit);
        Ok(())
    }

    /// Sends a message of at most [`MAX_MESSAGE_LEN`] bytes on a connected session.
    ///
    /// # Errors
    ///
    /// Where the library fails, and where nonces are used up: then goodbye has been said.
    pub(crate) fn send(
        &mut self,
        message: &[u8],
        scratch: &mut Vec<u8>,
        emit: &mut dyn FnMut(Emitted<'_>),
    ) -> Result<(), Failed> {
        self.sealed += 1;
        if self.nonces == Nonces::Random && self.sealed >= MAX_RANDOM_NONCES {
            // The last one tells the client, which begins anew instead of speaking to nobody.
            self.close(scratch, emit);
            return Err(Failed);
        }
        self.dtls.send_application_data(message)?;
        self.drain(scratch, emit);
        Ok(())
    }

    /// Sends again what is due, or gives up.
    pub(crate) fn timeout(
        &mut self,
        now: Instant,
        scratch: &mut Vec<u8>,
        emit: &mut dyn FnMut(Emitted<'_>),
    ) -> Result<(), Failed> {
        self.dtls.handle_timeout(now)?;
        self.drain(scratch, emit);
        Ok(())
    }

    /// Says goodbye (`close_notify`) where the session is connected.
    pub(crate) fn close(&mut self, scratch: &mut Vec<u8>, emit: &mut dyn FnMut(Emitted<'_>)) {
        if self.dtls.close().is_ok() {
            self.drain(scratch, emit);
        }
        self.state = State::Closed;
    }

    /// When [`Session::timeout`] is due, while the handshake lasts.
    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
    }

    pub(crate) fn state(&self) -> State {
        self.state
    }

    /// The cookie that the session began with.
    pub(crate) fn cookie(&self) -> Cookie {
        self.cookie
    }

    /// Takes everything out of the library, so that nothing is left there between two calls.
    fn drain(&mut self, scratch: &mut Vec<u8>, emit: &mut dyn FnMut(Emitted<'_>)) {
        if scratch.len() < SCRATCH_LEN {
            scratch.resize(SCRATCH_LEN, 0);
        }
        loop {
            let output = self.dtls.poll_output(scratch);
            let sent = match output {
                dimpl::Output::Packet(packet) => packet.len(),
                dimpl::Output::BufferTooSmall { needed } => {
                    scratch.resize(needed, 0);
                    continue;
                }
                dimpl::Output::Timeout(at) => {
                    self.deadline = at;
                    return;
                }
                dimpl::Output::Connected => {
                    self.state = State::Connected;
                    emit(Emitted::Connected);
                    continue;
                }
                dimpl::Output::ApplicationData(message) => {
                    emit(Emitted::Message(message));
                    continue;
                }
                dimpl::Output::CloseNotify => {
                    self.state = State::Closed;
                    continue;
                }
                // We ask for no certificate and export no keys.
                dimpl::Output::PeerCert(_) | dimpl::Output::KeyingMaterial(..) => continue,
                _ => continue,
            };
            let Some(datagram) = scratch.get_mut(..sent) else { continue };
            if self.state == State::Hello {
                // The front has sent these, and the library sends them again while it waits for
                // the fragments of a hello.
                if is_hello_verify_request(datagram) {
                    continue;
                }
                self.state = State::Handshake;
            }
            record::shift_plain_records(datagram, self.shift);
            emit(Emitted::Datagram(datagram));
        }
    }
}

impl From<dimpl::Error> for Failed {
    /// Every error of the library's is final, and none is for us to answer.
    fn from(_: dimpl::Error) -> Self {
        Self
    }
}

fn is_hello_verify_request(datagram: &[u8]) -> bool {
    Record::first(datagram).is_some_and(|(record, _)| {
        record.content_type == HANDSHAKE && record.fragment.first() == Some(&HELLO_VERIFY_REQUEST)
    })
}

/// A hello without a cookie, only so that the library counts a round. It is in no transcript.
fn first_hello(message_sequence: u16) -> [u8; FIRST_HELLO.len()] {
    let mut hello = FIRST_HELLO;
    let [s0, s1] = message_sequence.to_be_bytes();
    let [_, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, m0, m1, ..] = &mut hello;
    (*m0, *m1) = (s0, s1);
    hello
}

#[rustfmt::skip]
const FIRST_HELLO: [u8; 67] = [
    // record: handshake, DTLS 1.2, epoch 0, sequence 0, 54 bytes
    22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 54,
    // message: ClientHello, 42 bytes, its number, whole
    1, 0, 0, 42, 0, 0, 0, 0, 0, 0, 0, 42,
    // version, random, no session id, no cookie
    254, 253,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0,
    // one suite, one compression method
    0, 2, 0xC0, 0x2B, 1, 0,
];

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use dimpl::crypto::Dtls12CipherSuite;
    use dimpl::{Config, DtlsCertificate};
    use rcgen::PKCS_ECDSA_P256_SHA256;

    use super::*;
    use crate::cookie::CookieKey;
    use crate::front::{Verdict, judge};
    use crate::hello::ClientHello;
    use crate::testing::{certificate, path};

    #[test]
    fn our_first_hello_reads_as_one() {
        for sequence in 0..3 {
            let datagram = first_hello(sequence);
            let hello = ClientHello::parse(&datagram).unwrap();
            assert_eq!(hello.message_sequence, sequence);
            assert!(hello.is_whole && hello.cookie.is_empty());
        }
    }

    #[test]
    fn session_whose_random_nonces_are_used_up_says_goodbye() {
        let (mut session, mut client) = connected(Dtls12CipherSuite::ECDHE_ECDSA_AES128_GCM_SHA256);
        assert_eq!(session.nonces, Nonces::Random);
        session.sealed = MAX_RANDOM_NONCES - 2;
        let mut sent = Vec::new();
        let mut send = || {
            sent.clear();
            let outcome = session.send(b"word", &mut Vec::new(), &mut |out| {
                if let Emitted::Datagram(datagram) = out {
                    sent.push(datagram.to_vec());
                }
            });
            (outcome, sent.clone(), session.state())
        };
        let (outcome, datagrams, state) = send();
        assert_eq!((outcome, datagrams.len(), state), (Ok(()), 1, State::Connected));
        let (outcome, datagrams, state) = send();
        assert_eq!((outcome, datagrams.len(), state), (Err(Failed), 1, State::Closed));
        client.handle_packet(&datagrams[0]).unwrap();
        let mut buffer = vec![0; SCRATCH_LEN];
        let mut told =
            (0..4).map(|_| matches!(client.poll_output(&mut buffer), dimpl::Output::CloseNotify));
        assert!(told.any(|is_told| is_told), "the client knows");
    }

    #[test]
    fn session_with_counted_nonces_goes_on() {
        let suite = Dtls12CipherSuite::ECDHE_ECDSA_CHACHA20_POLY1305_SHA256;
        let (mut session, _) = connected(suite);
        assert_eq!(session.nonces, Nonces::Counted);
        session.sealed = MAX_RANDOM_NONCES;
        assert_eq!(session.send(b"word", &mut Vec::new(), &mut |_| {}), Ok(()));
    }

    /// A session and its client, which offers one suite.
    fn connected(suite: Dtls12CipherSuite) -> (Session, Dtls) {
        let now = Instant::now();
        let (leaf, key) = certificate("turn.example", &PKCS_ECDSA_P256_SHA256);
        let identity = DtlsIdentity::new(std::slice::from_ref(&leaf), &key).unwrap();
        let own =
            DtlsCertificate { certificate: leaf.to_vec(), private_key: key.secret_der().to_vec() };
        let config = Config::builder().dtls12_cipher_suites(&[suite]).build().unwrap();
        let mut client = Dtls::new_12(Arc::new(config), own, now);
        client.set_active(true);
        client.handle_timeout(now).unwrap();

        let cookies = CookieKey::new([1; 32], now);
        let mut session: Option<Session> = None;
        for _ in 0..8 {
            let mut replies = Vec::new();
            for datagram in outgoing(&mut client) {
                let mut emit = |out: Emitted<'_>| {
                    if let Emitted::Datagram(datagram) = out {
                        replies.push(datagram.to_vec());
                    }
                };
                if let Some(session) = &mut session {
                    session.receive(now, &datagram, &mut Vec::new(), &mut emit).unwrap();
                    continue;
                }
                let hello = ClientHello::parse(&datagram).unwrap();
                match judge(&cookies, now, path(1), hello) {
                    Verdict::Verify(request) => replies.push(request.to_vec()),
                    Verdict::Accept(verified) => {
                        let scratch = &mut Vec::new();
                        session =
                            Session::accept(&identity, now, &verified, scratch, &mut emit).ok();
                    }
                    verdict @ (Verdict::Refuse(_) | Verdict::Drop) => panic!("{verdict:?}"),
                }
            }
            for reply in replies {
                client.handle_packet(&reply).unwrap();
            }
        }
        let session = session.unwrap();
        assert_eq!(session.state(), State::Connected);
        outgoing(&mut client);
        (session, client)
    }

    fn outgoing(client: &mut Dtls) -> Vec<Vec<u8>> {
        let (mut buffer, mut datagrams) = (vec![0; 4 * SCRATCH_LEN], Vec::new());
        loop {
            let output = client.poll_output(&mut buffer);
            if let dimpl::Output::Packet(packet) = output {
                datagrams.push(packet.to_vec());
            } else if let dimpl::Output::Timeout(_) = output {
                return datagrams;
            }
        }
    }
}
