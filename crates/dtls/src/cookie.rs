//! Cookies that prove a client's address without a trace here.
//!
//! RFC 6347 section 4.2.1: `Cookie = HMAC(Secret, Client-IP, Client-Parameters)`. The input also
//! holds the server's address and the number of a period of 30 s; a cookie is good in the period
//! that made it and in the next one. Its first byte names the period, so that one MAC tells.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::hello::ClientHello;
use crate::name::Path;

/// Length of a cookie in bytes. The library takes this length and no other.
pub(crate) const COOKIE_LEN: usize = 32;

const PERIOD: Duration = Duration::from_secs(30);

/// A cookie of ours, made now or returned by a client and found good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cookie(pub(crate) [u8; COOKIE_LEN]);

/// The process's secret for cookies. All shards hold the same one, so that each takes what
/// another has given.
#[derive(Clone)]
pub struct CookieKey {
    keyed: Hmac<Sha256>,
    start: Instant,
}

impl CookieKey {
    /// Takes 32 random bytes and the time from which periods count.
    pub fn new(secret: [u8; 32], start: Instant) -> Self {
        #[expect(clippy::expect_used, reason = "true for any key")]
        let keyed = <Hmac<Sha256> as KeyInit>::new_from_slice(&secret)
            .expect("hmac takes keys of any length");
        Self { keyed, start }
    }

    pub(crate) fn make(&self, now: Instant, path: Path, hello: &ClientHello<'_>) -> Cookie {
        let period = self.period(now);
        let mut bytes: [u8; COOKIE_LEN] =
            self.mac(period, path, hello).finalize().into_bytes().into();
        let [mark, ..] = &mut bytes;
        *mark = low_byte(period);
        Cookie(bytes)
    }

    /// The hello's cookie, where it is ours, recent, and made for this client and this hello.
    pub(crate) fn verify(
        &self,
        now: Instant,
        path: Path,
        hello: &ClientHello<'_>,
    ) -> Option<Cookie> {
        let bytes: [u8; COOKIE_LEN] = hello.cookie.try_into().ok()?;
        let [mark, code @ ..] = &bytes;
        let current = self.period(now);
        let period = [Some(current), current.checked_sub(1)]
            .into_iter()
            .flatten()
            .find(|&period| low_byte(period) == *mark)?;
        // In constant time; the first byte of the MAC gave its place to the mark.
        self.mac(period, path, hello).verify_truncated_right(code).ok()?;
        Some(Cookie(bytes))
    }

    fn period(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.start).as_secs() / PERIOD.as_secs()
    }

    fn mac(&self, period: u64, path: Path, hello: &ClientHello<'_>) -> Hmac<Sha256> {
        let mut mac = self.keyed.clone();
        mac.update(&period.to_be_bytes());
        for address in [path.client, path.server] {
            mac.update(&octets(address));
        }
        // RFC 6347 section 4.2.1: the parameters that a client MUST repeat. Each part holds its own
        // lengths, so that two hellos never make the same input.
        mac.update(hello.before_cookie);
        mac.update(hello.after_cookie);
        mac
    }
}

impl std::fmt::Debug for CookieKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CookieKey").finish_non_exhaustive()
    }
}

fn low_byte(period: u64) -> u8 {
    let [.., low] = period.to_be_bytes();
    low
}

fn octets(address: SocketAddr) -> [u8; 18] {
    let ip = match address {
        SocketAddr::V4(v4) => v4.ip().to_ipv6_mapped(),
        SocketAddr::V6(v6) => *v6.ip(),
    };
    let mut octets = [0; 18];
    let (head, tail) = octets.split_at_mut(16);
    head.copy_from_slice(&ip.octets());
    tail.copy_from_slice(&address.port().to_be_bytes());
    octets
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{HelloBuilder, path};

    fn key(start: Instant) -> CookieKey {
        CookieKey::new([7; 32], start)
    }

    /// What the client sends back, with a cookie made at `made` for `path(1)`.
    fn returned(key: &CookieKey, made: Instant) -> Vec<u8> {
        let first = HelloBuilder::new().build();
        let cookie = key.make(made, path(1), &ClientHello::parse(&first).unwrap());
        HelloBuilder::new().cookie(&cookie.0).sequences(1, 1).build()
    }

    fn verifies(key: &CookieKey, now: Instant, path: Path, datagram: &[u8]) -> bool {
        key.verify(now, path, &ClientHello::parse(datagram).unwrap()).is_some()
    }

    #[test]
    fn h13_a_cookie_is_good_for_its_client_alone() {
        let start = Instant::now();
        let key = key(start);
        let datagram = returned(&key, start);
        assert!(verifies(&key, start, path(1), &datagram));
        assert!(!verifies(&key, start, path(2), &datagram));
        let elsewhere = Path { server: "192.0.2.9:443".parse().unwrap(), ..path(1) };
        assert!(!verifies(&key, start, elsewhere, &datagram));
        let other_port = Path { client: SocketAddr::new(path(1).client.ip(), 9), ..path(1) };
        assert!(!verifies(&key, start, other_port, &datagram));
        assert!(!verifies(&CookieKey::new([8; 32], start), start, path(1), &datagram));
    }

    #[test]
    fn h13_a_cookie_is_good_for_its_hello_alone() {
        let start = Instant::now();
        let key = key(start);
        let datagram = returned(&key, start);
        // Each bit of version, random, cookie, suites and compression methods counts.
        for at in 13 + 12..datagram.len() {
            let mut other = datagram.clone();
            other[at] ^= 0x10;
            let good = ClientHello::parse(&other)
                .is_some_and(|hello| key.verify(start, path(1), &hello).is_some());
            assert!(!good, "byte {at}");
        }
    }

    #[test]
    fn h13_a_cookie_ages() {
        let start = Instant::now();
        let key = key(start);
        for made in [0, 29, 30, 7_679] {
            let made = start + Duration::from_secs(made);
            let datagram = returned(&key, made);
            assert!(verifies(&key, made + Duration::from_secs(30), path(1), &datagram));
            assert!(!verifies(&key, made + Duration::from_secs(61), path(1), &datagram));
            // 256 periods on, the mark is the same again.
            assert!(!verifies(&key, made + Duration::from_secs(7_680), path(1), &datagram));
        }
    }
}
