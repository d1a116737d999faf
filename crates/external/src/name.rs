//! Names: hosts with ports, and the addresses of a name.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::time::timeout;

/// How long a resolver may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// The port of STUN over UDP (RFC 8489 section 18.6).
const STUN_PORT: u16 = 3478;

/// The one address of `name` that stands for `bound`.
///
/// # Errors
/// The name has no address of the family, or several of which none is `bound` itself.
pub(crate) async fn address_of(name: &str, bound: IpAddr) -> Result<IpAddr, String> {
    choose(name, resolve(name, 0).await?.into_iter().map(|address| address.ip()), bound)
}

/// The addresses of a STUN server, `host`, `host:port` or `[address]:port`.
///
/// # Errors
/// It cannot be read or resolved.
pub(crate) async fn server(text: &str) -> Result<Vec<SocketAddr>, String> {
    let (host, port) = host_and_port(text)?;
    resolve(host, port).await
}

async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
    // [R15] No packet and no request waits for it, and its failure leaves what was found before.
    match timeout(PATIENCE, lookup_host((host, port))).await {
        Ok(Ok(found)) => Ok(found.collect()),
        Ok(Err(error)) => Err(format!("{host} is not resolved: {error}")),
        Err(_) => Err(format!("{host} is not resolved within {} s", PATIENCE.as_secs())),
    }
}

fn choose(
    name: &str,
    found: impl Iterator<Item = IpAddr>,
    bound: IpAddr,
) -> Result<IpAddr, String> {
    let mut found: Vec<_> = found.filter(|address| address.is_ipv4() == bound.is_ipv4()).collect();
    found.sort_unstable();
    found.dedup();
    let family = if bound.is_ipv4() { "A" } else { "AAAA" };
    match found.as_slice() {
        [] => Err(format!("{name} has no {family} record")),
        [one] => Ok(*one),
        several if several.contains(&bound) => Ok(bound),
        several => Err(format!(
            "{name} has {} {family} records, and none is {bound} itself; write PUBLIC={bound}",
            several.len()
        )),
    }
}

fn host_and_port(text: &str) -> Result<(&str, u16), String> {
    let wrong = || format!("{text}: not a STUN server; write host, host:port or [address]:port");
    if let Some(rest) = text.strip_prefix('[') {
        let (host, port) = rest.split_once(']').ok_or_else(wrong)?;
        let port = match port.strip_prefix(':') {
            Some(port) => port.parse().map_err(|_| wrong())?,
            None if port.is_empty() => STUN_PORT,
            None => return Err(wrong()),
        };
        return Ok((host, port));
    }
    match text.split_once(':') {
        // An IPv6 address without brackets.
        Some((_, rest)) if rest.contains(':') => Ok((text, STUN_PORT)),
        Some((host, port)) if !host.is_empty() => Ok((host, port.parse().map_err(|_| wrong())?)),
        None if !text.is_empty() => Ok((text, STUN_PORT)),
        Some(_) | None => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_a_host_and_perhaps_a_port() {
        for (text, host, port) in [
            ("stun.example.org", "stun.example.org", 3478),
            ("stun.example.org:19302", "stun.example.org", 19302),
            ("192.0.2.1:1", "192.0.2.1", 1),
            ("2001:db8::1", "2001:db8::1", 3478),
            ("[2001:db8::1]", "2001:db8::1", 3478),
            ("[2001:db8::1]:5349", "2001:db8::1", 5349),
        ] {
            assert_eq!(host_and_port(text), Ok((host, port)), "{text}");
        }
        for wrong in ["", ":3478", "host:", "host:70000", "[::1", "[::1]3478", "[::1]:x"] {
            assert!(host_and_port(wrong).unwrap_err().contains("write host"), "{wrong}");
        }
    }

    #[test]
    fn a_name_stands_for_one_address_of_the_family() {
        let bound = ip("10.0.0.5");
        let of = |texts: &[&str], bound| choose("n", texts.iter().map(|text| ip(text)), bound);
        assert_eq!(of(&["203.0.113.7", "2001:db8::7"], bound), Ok(ip("203.0.113.7")));
        assert_eq!(of(&["203.0.113.7", "203.0.113.7"], bound), Ok(ip("203.0.113.7")));
        assert_eq!(of(&["203.0.113.7", "2001:db8::7"], ip("fd00::5")), Ok(ip("2001:db8::7")));
        let several = ["203.0.113.7", "203.0.113.8"];
        assert_eq!(of(&several, ip("203.0.113.8")), Ok(ip("203.0.113.8")));
        assert!(of(&several, bound).unwrap_err().contains("PUBLIC=10.0.0.5"));
        assert_eq!(of(&["203.0.113.7"], ip("fd00::5")), Err("n has no AAAA record".to_owned()));
    }

    #[tokio::test]
    async fn names_of_this_host_are_resolved() {
        let found = server("localhost:77").await.unwrap();
        assert!(found.iter().all(|address| address.port() == 77 && address.ip().is_loopback()));
        assert!(!found.is_empty());
        let error = server("no-such-host.invalid").await.unwrap_err();
        assert!(error.starts_with("no-such-host.invalid is not resolved"), "{error}");
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }
}
