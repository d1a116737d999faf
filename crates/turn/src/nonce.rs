//! Stateless nonces, bound to the client's address.
//!
//! RFC 8489 section 9.2 and RFC 8656 section 5. A nonce is a time and a MAC over
//! it, the realm and the client's transport address, so any shard that has
//! the key judges it and nothing is stored for a stranger `[H11]`. The key of
//! an hour is derived from the process's key, so keys rotate by themselves.
//!
//! ```text
//!   [ obMatJos2 + 4 characters ]   when RFC 8489 features are offered
//!   24 characters: base64 of  | seconds, 4 bytes | MAC, 14 bytes |
//!   over a connection         | seconds, 4 bytes | port, 2 bytes | MAC, 12 bytes |
//! ```
//!
//! A connection has proven its address by its handshake, and a data connection
//! (RFC 6062 section 4.3) comes from another port than the control connection
//! whose nonce it uses: there the nonce says for which port it was made, so that
//! no two are alike, and serves every port of that address.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use turn_credentials::UnixSeconds;

use crate::link::FiveTuple;

/// RFC 8489 section 9.2: what a nonce begins with when it carries features.
const COOKIE: &str = "obMatJos2";
const COOKIE_LEN: usize = 13;
const PROOF_LEN: usize = 14;
const BODY_LEN: usize = 4 + PROOF_LEN;
const TEXT_LEN: usize = BODY_LEN / 3 * 4;

/// The process's nonce key: 32 random bytes, the same in every shard.
#[derive(Clone)]
pub struct NonceKey([u8; 32]);

impl NonceKey {
    /// A key from 32 bytes of a cryptographic random source `[A7]`.
    pub const fn new(random: [u8; 32]) -> Self {
        Self(random)
    }
}

impl fmt::Debug for NonceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NonceKey(..)")
    }
}

/// The security features that a nonce announces (RFC 8489 section 18.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Features {
    pub(crate) password_algorithms: bool,
    pub(crate) username_anonymity: bool,
}

/// A nonce as text, at most 37 characters.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NonceText {
    bytes: [u8; COOKIE_LEN + TEXT_LEN],
    len: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NonceVerdict {
    /// Ours, for this address, young enough.
    Fresh,
    /// Ours, for this address, too old: the address is proven all the same.
    Aged,
    /// Not ours, or somebody else's.
    Foreign,
}

/// Whom a nonce is for, or who brings it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bearer {
    pub(crate) client: SocketAddr,
    /// It comes over TCP, TLS or DTLS.
    pub(crate) is_connected: bool,
}

impl Bearer {
    pub(crate) const fn of(tuple: &FiveTuple) -> Self {
        Self { client: tuple.client, is_connected: tuple.transport.is_connection() }
    }
}

/// Makes and judges nonces; one a shard, with the two keys in use at hand.
#[derive(Debug)]
pub(crate) struct Nonces {
    key: NonceKey,
    hours: [Option<(u64, Hmac<Sha256>)>; 2],
}

impl Nonces {
    pub(crate) const fn new(key: NonceKey) -> Self {
        Self { key, hours: [None, None] }
    }

    /// A nonce for this client at this time.
    pub(crate) fn issue(
        &mut self,
        features: Features,
        realm: &str,
        bearer: Bearer,
        now: UnixSeconds,
    ) -> NonceText {
        let mut text = NonceText { bytes: [0; COOKIE_LEN + TEXT_LEN], len: 0 };
        // [A8]
        if features != Features::default() {
            text.append(COOKIE.as_bytes());
            text.append(&features.encode());
        }
        let proof = self.proof(text.as_bytes(), realm, bearer, now.0);
        let mut body = [0; BODY_LEN];
        let (seconds, tail) = body.split_at_mut(4);
        seconds.copy_from_slice(&wire_seconds(now.0));
        tail.copy_from_slice(&proof);
        let mut encoded = [0; TEXT_LEN];
        let written = STANDARD_NO_PAD.encode_slice(body, &mut encoded);
        debug_assert_eq!(written, Ok(TEXT_LEN), "18 bytes are 24 characters");
        text.append(&encoded);
        text
    }

    /// Judges a nonce that came back. `[A2]` `[A6]`
    pub(crate) fn judge(
        &mut self,
        nonce: &str,
        realm: &str,
        bearer: Bearer,
        now: UnixSeconds,
        lifetime: Duration,
    ) -> NonceVerdict {
        let (prefix, text) = match nonce.split_at_checked(COOKIE_LEN) {
            Some((prefix, text)) if prefix.starts_with(COOKIE) => (prefix, text),
            Some(_) | None => ("", nonce),
        };
        let mut body = [0; BODY_LEN];
        if text.len() != TEXT_LEN || STANDARD_NO_PAD.decode_slice(text, &mut body) != Ok(BODY_LEN) {
            return NonceVerdict::Foreign;
        }
        let [a, b, c, d, given @ ..] = body;
        let issued = full_seconds(u32::from_be_bytes([a, b, c, d]), now.0);
        let [p0, p1, ..] = given;
        let mut bearer = bearer;
        if bearer.is_connected {
            bearer.client.set_port(u16::from_be_bytes([p0, p1]));
        }
        let expected = self.proof(prefix.as_bytes(), realm, bearer, issued);
        // [A2, A6, A7, H26]
        if !bool::from(expected.ct_eq(&given)) {
            return NonceVerdict::Foreign;
        }
        // A wall clock that was set back leaves nonces from the future: aged, so
        // that a client gets a new one and nothing waits.
        let age = now.0.checked_sub(issued);
        // [A6, A7]
        if age.is_some_and(|age| age < lifetime.as_secs()) {
            NonceVerdict::Fresh
        } else {
            NonceVerdict::Aged
        }
    }

    /// What stands behind the seconds.
    fn proof(
        &mut self,
        prefix: &[u8],
        realm: &str,
        bearer: Bearer,
        seconds: u64,
    ) -> [u8; PROOF_LEN] {
        let Bearer { client, is_connected } = bearer;
        let port = client.port().to_be_bytes();
        let mut mac = self.hour(seconds / 3_600).clone();
        mac.update(&[u8::try_from(prefix.len()).unwrap_or(u8::MAX), u8::from(is_connected)]);
        mac.update(prefix);
        mac.update(&seconds.to_be_bytes());
        // [A2, H11] Bound to the source, so that nothing need be kept of it.
        match client.ip().to_canonical() {
            IpAddr::V4(v4) => mac.update(&v4.octets()),
            IpAddr::V6(v6) => mac.update(&v6.octets()),
        }
        mac.update(&port);
        mac.update(realm.as_bytes());
        let full: [u8; 32] = mac.finalize().into_bytes().into();
        let shown = if is_connected { port.as_slice() } else { &[] };
        let mut proof = [0; PROOF_LEN];
        proof.iter_mut().zip(shown.iter().chain(&full)).for_each(|(to, from)| *to = *from);
        proof
    }

    fn hour(&mut self, hour: u64) -> &Hmac<Sha256> {
        let place = usize::from(hour % 2 == 1);
        let [even, odd] = &mut self.hours;
        let slot = if place == 0 { even } else { odd };
        let fits = slot.as_ref().is_some_and(|(of, _)| *of == hour);
        let derived = if fits { slot.take() } else { None };
        let (_, mac) = slot.insert(derived.unwrap_or_else(|| (hour, derive(&self.key, hour))));
        mac
    }
}

impl NonceText {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    fn append(&mut self, bytes: &[u8]) {
        if let Some(space) = self.bytes.get_mut(self.len..self.len + bytes.len()) {
            space.copy_from_slice(bytes);
            self.len += bytes.len();
        }
    }
}

impl Features {
    /// The features that a nonce announces; none without the cookie.
    pub(crate) fn of(nonce: &str) -> Self {
        let Some(text) = nonce.strip_prefix(COOKIE).and_then(|rest| rest.get(..4)) else {
            return Self::default();
        };
        let mut bits = [0; 3];
        if STANDARD_NO_PAD.decode_slice(text, &mut bits) != Ok(3) {
            return Self::default();
        }
        let [first, ..] = bits;
        Self { password_algorithms: first & 0x80 != 0, username_anonymity: first & 0x40 != 0 }
    }

    /// Bit 0 of the 24, the most significant, is "password algorithms", bit 1
    /// "username anonymity".
    fn encode(self) -> [u8; 4] {
        let first =
            u8::from(self.password_algorithms) << 7 | u8::from(self.username_anonymity) << 6;
        let mut text = [0; 4];
        let written = STANDARD_NO_PAD.encode_slice([first, 0, 0], &mut text);
        debug_assert_eq!(written, Ok(4), "3 bytes are 4 characters");
        text
    }
}

fn derive(key: &NonceKey, hour: u64) -> Hmac<Sha256> {
    let mut derived = keyed(&key.0);
    derived.update(&hour.to_be_bytes());
    keyed(&derived.finalize().into_bytes())
}

#[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length")
}

#[expect(clippy::cast_possible_truncation, reason = "the low 32 bits; full_seconds finds the rest")]
const fn wire_seconds(seconds: u64) -> [u8; 4] {
    (seconds as u32).to_be_bytes()
}

/// The time nearest to `now` with these low 32 bits.
#[expect(clippy::cast_possible_truncation, reason = "the low 32 bits are meant")]
const fn full_seconds(low: u32, now: u64) -> u64 {
    let ahead = low.wrapping_sub(now as u32).cast_signed();
    now.saturating_add_signed(ahead as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixSeconds = UnixSeconds(1_800_000_000);
    const LIFETIME: Duration = Duration::from_secs(600);

    fn client() -> Bearer {
        bearer("192.0.2.7:40000", false)
    }

    fn bearer(client: &str, is_connected: bool) -> Bearer {
        Bearer { client: client.parse().expect("an address"), is_connected }
    }

    fn nonces() -> Nonces {
        Nonces::new(NonceKey::new([7; 32]))
    }

    fn both() -> Features {
        Features { password_algorithms: true, username_anonymity: true }
    }

    #[test]
    fn a6_nonce_is_fresh_for_its_lifetime_and_aged_after_it() {
        let nonce = nonces().issue(both(), "example.org", client(), NOW);
        let judge = |seconds| {
            nonces().judge(
                nonce.as_str(),
                "example.org",
                client(),
                UnixSeconds(NOW.0 + seconds),
                LIFETIME,
            )
        };
        assert_eq!(judge(0), NonceVerdict::Fresh);
        assert_eq!(judge(599), NonceVerdict::Fresh);
        assert_eq!(judge(600), NonceVerdict::Aged);
        assert_eq!(judge(90_000), NonceVerdict::Aged);
    }

    #[test]
    fn a2_nonce_of_one_source_is_foreign_to_every_other() {
        let nonce = nonces().issue(Features::default(), "example.org", client(), NOW);
        for other in ["192.0.2.7:40001", "192.0.2.8:40000", "[2001:db8::1]:40000"] {
            let other = bearer(other, false);
            let verdict = nonces().judge(nonce.as_str(), "example.org", other, NOW, LIFETIME);
            assert_eq!(verdict, NonceVerdict::Foreign, "{other:?}");
            let theirs = nonces().issue(Features::default(), "example.org", other, NOW);
            assert_ne!(theirs.as_str(), nonce.as_str());
        }
    }

    #[test]
    fn a2_nonce_of_a_connection_is_for_its_host_and_no_two_ports_get_the_same() {
        let issue = |bearer| nonces().issue(both(), "r", bearer, NOW);
        let nonce = issue(bearer("192.0.2.7:40000", true));
        let judge = |other| nonces().judge(nonce.as_str(), "r", other, NOW, LIFETIME);
        for port in [40_000, 40_001, 1] {
            let other = bearer(&format!("192.0.2.7:{port}"), true);
            assert_eq!(judge(other), NonceVerdict::Fresh, "{port}");
        }
        assert_eq!(judge(bearer("192.0.2.8:40000", true)), NonceVerdict::Foreign);
        assert_eq!(judge(client()), NonceVerdict::Foreign, "a datagram");
        // "The server MUST NOT choose the same NONCE for two requests unless they have the same
        // source IP address and port" (RFC 8489 section 9.2.4).
        assert_ne!(issue(bearer("192.0.2.7:40001", true)).as_str(), nonce.as_str());
        let datagram = issue(client());
        let connected = bearer("192.0.2.7:40000", true);
        let verdict = nonces().judge(datagram.as_str(), "r", connected, NOW, LIFETIME);
        assert_eq!(verdict, NonceVerdict::Foreign);
    }

    #[test]
    fn a7_changed_nonce_is_foreign_at_every_character() {
        let nonce = nonces().issue(both(), "example.org", client(), NOW);
        for at in 0..nonce.as_str().len() {
            let mut bytes = nonce.as_str().as_bytes().to_vec();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).expect("ASCII");
            let verdict = nonces().judge(&changed, "example.org", client(), NOW, LIFETIME);
            assert_eq!(verdict, NonceVerdict::Foreign, "character {at}");
        }
    }

    #[test]
    fn a7_keys_differ_from_process_to_process_and_from_hour_to_hour() {
        let nonce = nonces().issue(both(), "r", client(), NOW);
        let mut other = Nonces::new(NonceKey::new([8; 32]));
        assert_eq!(
            other.judge(nonce.as_str(), "r", client(), NOW, LIFETIME),
            NonceVerdict::Foreign
        );
        let key = NonceKey::new([7; 32]);
        let (one, two) = (derive(&key, 1).finalize(), derive(&key, 2).finalize());
        assert!(one != two);
        let mut ours = nonces();
        ours.issue(both(), "r", client(), NOW);
        let hours: Vec<_> = ours.hours.iter().flatten().map(|(hour, _)| *hour).collect();
        assert_eq!(hours, [NOW.0 / 3_600]);
    }

    #[test]
    fn a8_nonce_begins_with_the_cookie_where_features_are_offered() {
        let plain = nonces().issue(Features::default(), "r", client(), NOW);
        assert!(!plain.as_str().starts_with(COOKIE));
        let algorithms = Features { password_algorithms: true, username_anonymity: false };
        let nonce = nonces().issue(algorithms, "r", client(), NOW);
        assert!(nonce.as_str().starts_with("obMatJos2gAAA"));
        assert_eq!(Features::of(nonce.as_str()), algorithms);
        assert_eq!(Features::of(nonces().issue(both(), "r", client(), NOW).as_str()), both());
        assert_eq!(nonce.as_str().len(), 37);
    }

    #[test]
    fn clock_that_was_set_back_costs_one_round_trip_and_no_more() {
        let nonce = nonces().issue(both(), "r", client(), NOW);
        let earlier = UnixSeconds(NOW.0 - 86_400);
        assert_eq!(
            nonces().judge(nonce.as_str(), "r", client(), earlier, LIFETIME),
            NonceVerdict::Aged
        );
        let renewed = nonces().issue(both(), "r", client(), earlier);
        assert_eq!(
            nonces().judge(renewed.as_str(), "r", client(), earlier, LIFETIME),
            NonceVerdict::Fresh
        );
    }
}
