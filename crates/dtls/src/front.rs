//! The cookie exchange: what a ClientHello gets, by arithmetic alone.
//!
//! RFC 6347 section 4.2.1. A HelloVerifyRequest echoes the hello's record and message sequence
//! numbers and its record version, so that any number of rounds stay in step:
//!
//! ```text
//! ClientHello (message 0, record r)            ->
//!                                              <-  HelloVerifyRequest (message 0, record r)
//! ClientHello (message 1, record s) + cookie   ->
//!                                              <-  ServerHello (message 1, record s)
//! ```
//!
//! Only DTLS 1.2 is spoken. A client that offers 1.3 and 1.2 is brought to 1.2 by the
//! HelloVerifyRequest (RFC 9147 section 5.1); one that speaks only another version gets an alert,
//! `protocol_version`, of 15 bytes.

use std::time::Instant;

use crate::cookie::{COOKIE_LEN, Cookie, CookieKey};
use crate::hello::ClientHello;
use crate::name::Path;
use crate::record::{self, HANDSHAKE, HANDSHAKE_HEADER_LEN, HEADER_LEN, PROTOCOL_VERSION, Record};

/// A client that has not returned a good cookie by its fourth hello is not answered.
const MAX_ROUNDS: u16 = 3;

/// The type of that handshake message.
pub(crate) const HELLO_VERIFY_REQUEST: u8 = 3;
/// RFC 6347 section 4.2.1: servers SHOULD say DTLS 1.0 here whatever will be negotiated.
const SERVER_VERSION: [u8; 2] = [254, 255];
/// Version, the cookie's length and the cookie.
const BODY_LEN: u8 = 2 + 1 + 32;
const RECORD_LEN: u16 = 12 + 35;
const VERIFY_LEN: usize = HEADER_LEN + HANDSHAKE_HEADER_LEN + 3 + COOKIE_LEN;

/// What becomes of a ClientHello.
#[derive(Debug)]
pub(crate) enum Verdict<'a> {
    /// The client shall come again with this cookie.
    Verify(HelloVerifyRequest),
    /// The client speaks no version of ours.
    Refuse([u8; record::ALERT_LEN]),
    /// The client receives at its address: a session may be made.
    Accept(VerifiedHello<'a>),
    /// No answer.
    Drop,
}

/// A HelloVerifyRequest on the wire.
type HelloVerifyRequest = [u8; VERIFY_LEN];

/// A ClientHello with a cookie of ours; only [`judge`] makes one.
#[derive(Debug)]
pub(crate) struct VerifiedHello<'a> {
    hello: ClientHello<'a>,
    cookie: Cookie,
}

impl<'a> VerifiedHello<'a> {
    pub(crate) fn hello(&self) -> &ClientHello<'a> {
        &self.hello
    }

    pub(crate) fn cookie(&self) -> Cookie {
        self.cookie
    }
}

/// Decides on a ClientHello without looking at or leaving any state.
pub(crate) fn judge<'a>(
    key: &CookieKey,
    now: Instant,
    path: Path,
    hello: ClientHello<'a>,
) -> Verdict<'a> {
    // [H13]
    if hello.message_sequence > MAX_ROUNDS {
        return Verdict::Drop;
    }
    if !hello.speaks_dtls12 {
        let alert = record::alert(hello.record_version, hello.record_sequence, PROTOCOL_VERSION);
        return Verdict::Refuse(alert);
    }
    if let Some(cookie) = key.verify(now, path, &hello) {
        return Verdict::Accept(VerifiedHello { hello, cookie });
    }
    let request = hello_verify_request(&hello, key.make(now, path, &hello));
    // A hello is 64 bytes at least and this is 60; nothing may ever turn that around.
    if request.len() > hello.datagram.len() { Verdict::Drop } else { Verdict::Verify(request) }
}

fn hello_verify_request(hello: &ClientHello<'_>, Cookie(cookie): Cookie) -> HelloVerifyRequest {
    let mut request = [0; VERIFY_LEN];
    let (header, rest) = request.split_at_mut(HEADER_LEN);
    let (message, body) = rest.split_at_mut(HANDSHAKE_HEADER_LEN);
    header.copy_from_slice(&Record::header(
        HANDSHAKE,
        hello.record_version,
        hello.record_sequence,
        RECORD_LEN,
    ));
    let [s0, s1] = hello.message_sequence.to_be_bytes();
    message.copy_from_slice(&[
        HELLO_VERIFY_REQUEST,
        0,
        0,
        BODY_LEN,
        s0,
        s1,
        0,
        0,
        0,
        0,
        0,
        BODY_LEN,
    ]);
    let (fields, place) = body.split_at_mut(3);
    let [major, minor] = SERVER_VERSION;
    fields.copy_from_slice(&[major, minor, BODY_LEN - 3]);
    place.copy_from_slice(&cookie);
    request
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::testing::{HelloBuilder, cookie_of, path};

    fn verdict(key: &CookieKey, now: Instant, datagram: &[u8]) -> String {
        match judge(key, now, path(1), ClientHello::parse(datagram).unwrap()) {
            Verdict::Verify(request) => {
                assert!(request.len() <= datagram.len());
                "verify".into()
            }
            Verdict::Refuse(alert) => {
                assert!(alert.len() <= datagram.len());
                "refuse".into()
            }
            Verdict::Accept(_) => "accept".into(),
            Verdict::Drop => "drop".into(),
        }
    }

    fn request(key: &CookieKey, now: Instant, datagram: &[u8]) -> HelloVerifyRequest {
        let verdict = judge(key, now, path(1), ClientHello::parse(datagram).unwrap());
        let Verdict::Verify(request) = verdict else { panic!("{verdict:?}") };
        request
    }

    #[test]
    fn a_request_echoes_the_sequence_numbers() {
        let now = Instant::now();
        let key = CookieKey::new([1; 32], now);
        let datagram = HelloBuilder::new().sequences(0x0102_0304_0506, 2).build();
        let request = request(&key, now, &datagram);
        let (record, rest) = Record::first(&request).unwrap();
        assert!(rest.is_empty());
        assert_eq!((record.sequence, record.epoch), (0x0102_0304_0506, 0));
        assert_eq!(record.fragment[..12], [3, 0, 0, 35, 0, 2, 0, 0, 0, 0, 0, 35]);
        assert_eq!(record.fragment[12..15], [254, 255, 32]);
    }

    #[test]
    fn h13_only_a_returned_cookie_is_accepted() {
        let now = Instant::now();
        let key = CookieKey::new([1; 32], now);
        let first = HelloBuilder::new().build();
        assert_eq!(verdict(&key, now, &first), "verify");
        let cookie = cookie_of(&request(&key, now, &first));
        let second = HelloBuilder::new().cookie(&cookie).sequences(1, 1).build();
        assert_eq!(verdict(&key, now, &second), "accept");
        // Too old, and a fresh one is offered.
        assert_eq!(verdict(&key, now + Duration::from_secs(61), &second), "verify");
        let forged = HelloBuilder::new().cookie(&[0; 32]).sequences(1, 1).build();
        assert_eq!(verdict(&key, now, &forged), "verify");
        let short = HelloBuilder::new().cookie(&cookie[..20]).sequences(1, 1).build();
        assert_eq!(verdict(&key, now, &short), "verify");
        let fourth = HelloBuilder::new().cookie(&cookie).sequences(8, 3).build();
        assert_eq!(verdict(&key, now, &fourth), "accept");
        let fifth = HelloBuilder::new().cookie(&cookie).sequences(9, 4).build();
        assert_eq!(verdict(&key, now, &fifth), "drop");
    }

    #[test]
    fn another_version_gets_a_small_alert() {
        let now = Instant::now();
        let key = CookieKey::new([1; 32], now);
        let dtls10 = HelloBuilder::new().version([254, 255]).build();
        assert_eq!(verdict(&key, now, &dtls10), "refuse");
        let dtls13 = HelloBuilder::new().versions(&[[254, 252]]).build();
        assert_eq!(verdict(&key, now, &dtls13), "refuse");
    }

    #[test]
    fn h13_the_smallest_hello_is_larger_than_its_answer() {
        let smallest = HelloBuilder::new().build();
        assert_eq!((smallest.len(), VERIFY_LEN), (67, 60));
        // No suites, no compression methods: nothing shorter is read as a hello.
        assert!(ClientHello::parse(&HelloBuilder::new().suites(&[]).build()).is_some());
    }
}
