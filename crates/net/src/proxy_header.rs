//! The PROXY protocol header that a load balancer puts in front of a client's
//! bytes: version 1 (text) and 2 (binary) on streams, version 2 on datagrams.
//!
//! Whoever may send one names any client it likes, so this is asked for
//! configured upstreams only, and there a header is not optional `[H31]`.

use std::net::{IpAddr, SocketAddr};

use ppp::v2::{self, Protocol};
use ppp::{PartialResult as _, v1};

/// The longest header: that of version 2 with the longest addresses.
const LONGEST: usize = 232;

/// The longest header of version 1 with its end of line.
const LONGEST_LINE: usize = 107;

const V1_PREFIX: &[u8] = b"PROXY ";

/// Bytes of version 2 in front of its addresses.
const V2_FIXED: usize = 16;

/// What stands at the start of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProxyHeader {
    /// More bytes are needed.
    Incomplete,
    /// No header, or none that is to be trusted: close.
    Invalid,
    /// A header of `len` bytes.
    Complete {
        /// Bytes of the header.
        len: usize,
        /// Client and server as the client sees them; `None` where the upstream
        /// speaks for itself (LOCAL, UNKNOWN), as in a health check.
        addresses: Option<Addresses>,
    },
}

/// Both ends of the client's connection with the upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Addresses {
    pub(crate) client: SocketAddr,
    pub(crate) server: SocketAddr,
}

impl ProxyHeader {
    /// Reads the start of a stream.
    pub(crate) fn of_stream(bytes: &[u8]) -> Self {
        if starts_alike(bytes, V1_PREFIX) {
            Self::of_line(bytes)
        } else if starts_alike(bytes, v2::PROTOCOL_PREFIX) {
            // [H31] Nobody makes us wait for more than the longest header.
            let capped = bytes.get(..LONGEST).unwrap_or(bytes);
            match v2::Header::try_from(capped) {
                Ok(header) => Self::of_v2(&header, Protocol::Stream),
                Err(error) if error.is_incomplete() && is_short_enough(capped) => Self::Incomplete,
                Err(_) => Self::Invalid,
            }
        } else {
            Self::Invalid
        }
    }

    /// Reads the start of a datagram; a header lies in it whole or not at all.
    pub(crate) fn of_datagram(bytes: &[u8]) -> Self {
        // [H31]
        let capped = bytes.get(..LONGEST).unwrap_or(bytes);
        v2::Header::try_from(capped)
            .map_or(Self::Invalid, |header| Self::of_v2(&header, Protocol::Datagram))
    }

    fn of_line(bytes: &[u8]) -> Self {
        // [H31]
        let capped = bytes.get(..LONGEST_LINE).unwrap_or(bytes);
        let Some(end) = capped.iter().position(|byte| *byte == b'\n') else {
            return if capped.len() < LONGEST_LINE { Self::Incomplete } else { Self::Invalid };
        };
        let line = capped.get(..=end).unwrap_or(capped);
        v1::Header::try_from(line).map_or(Self::Invalid, |header| Self::of_v1(&header))
    }

    fn of_v1(header: &v1::Header<'_>) -> Self {
        let addresses = match header.addresses {
            v1::Addresses::Unknown => None,
            v1::Addresses::Tcp4(v4) => Some((
                v4.source_address.into(),
                v4.source_port,
                v4.destination_address.into(),
                v4.destination_port,
            )),
            v1::Addresses::Tcp6(v6) => Some((
                v6.source_address.into(),
                v6.source_port,
                v6.destination_address.into(),
                v6.destination_port,
            )),
        };
        Self::complete(header.header.len(), addresses)
    }

    fn of_v2(header: &v2::Header<'_>, protocol: Protocol) -> Self {
        if header.command == v2::Command::Local {
            return Self::Complete { len: header.len(), addresses: None };
        }
        let addresses = match header.addresses {
            v2::Addresses::IPv4(v4) if header.protocol == protocol => Some((
                v4.source_address.into(),
                v4.source_port,
                v4.destination_address.into(),
                v4.destination_port,
            )),
            v2::Addresses::IPv6(v6) if header.protocol == protocol => Some((
                v6.source_address.into(),
                v6.source_port,
                v6.destination_address.into(),
                v6.destination_port,
            )),
            v2::Addresses::Unspecified => None,
            // The client of another protocol, or of a Unix socket, is no client of ours.
            v2::Addresses::IPv4(_) | v2::Addresses::IPv6(_) | v2::Addresses::Unix(_) => {
                return Self::Invalid;
            }
        };
        Self::complete(header.len(), addresses)
    }

    fn complete(len: usize, addresses: Option<(IpAddr, u16, IpAddr, u16)>) -> Self {
        let addresses = addresses.map(|(client, client_port, server, server_port)| Addresses {
            client: SocketAddr::new(client.to_canonical(), client_port),
            server: SocketAddr::new(server.to_canonical(), server_port),
        });
        Self::Complete { len, addresses }
    }
}

/// Whether `bytes` begin with `prefix`, or may once there are more of them.
fn starts_alike(bytes: &[u8], prefix: &[u8]) -> bool {
    bytes.iter().zip(prefix).all(|(a, b)| a == b)
}

/// A header of version 2 says how long it is before it is all there.
fn is_short_enough(start: &[u8]) -> bool {
    match start.get(14..V2_FIXED) {
        Some(&[l0, l1]) => V2_FIXED + usize::from(u16::from_be_bytes([l0, l1])) <= LONGEST,
        Some(_) | None => true,
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]
mod tests {
    use ppp::v2::{Builder, Command, Version};

    use super::*;

    const V1: &[u8] = b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n";

    #[test]
    fn h31_text_header_names_the_client() {
        let stream = [V1, b"\x16\x03\x01"].concat();
        assert_eq!(ProxyHeader::of_stream(&stream), complete(V1.len()));
        let v6 = b"PROXY TCP6 2001:db8::7 2001:db8::1 1 443\r\n";
        let ProxyHeader::Complete { len, addresses: Some(addresses) } = ProxyHeader::of_stream(v6)
        else {
            panic!("a header");
        };
        assert_eq!((len, addresses.client), (v6.len(), "[2001:db8::7]:1".parse().unwrap()));
    }

    #[test]
    fn h31_binary_header_names_the_client() {
        let header = binary(Protocol::Stream);
        let stream = [&header[..], b"\x00\x01"].concat();
        assert_eq!(ProxyHeader::of_stream(&stream), complete(header.len()));
        let header = binary(Protocol::Datagram);
        let datagram = [&header[..], b"\x00\x01"].concat();
        assert_eq!(ProxyHeader::of_datagram(&datagram), complete(header.len()));
    }

    #[test]
    fn h31_headers_byte_by_byte_are_incomplete_until_the_last() {
        for header in [V1.to_vec(), binary(Protocol::Stream)] {
            for len in 0..header.len() {
                let start = ProxyHeader::of_stream(&header[..len]);
                assert_eq!(start, ProxyHeader::Incomplete, "{len} of {header:?}");
            }
            assert_eq!(ProxyHeader::of_stream(&header), complete(header.len()));
        }
    }

    #[test]
    fn h31_local_and_unknown_leave_the_addresses_of_the_socket() {
        let mut header = binary(Protocol::Stream);
        header[12] = 0x20;
        let expected = ProxyHeader::Complete { len: header.len(), addresses: None };
        assert_eq!(ProxyHeader::of_stream(&header), expected);
        let text = b"PROXY UNKNOWN\r\n";
        let expected = ProxyHeader::Complete { len: text.len(), addresses: None };
        assert_eq!(ProxyHeader::of_stream(text), expected);
    }

    #[test]
    fn h31_anything_else_is_invalid_at_once() {
        for bytes in [
            &b"\x16\x03\x01\x02\x00\x01"[..],
            b"GET / HTTP/1.1\r\n",
            b"PROXY TCP4 not an address\r\n",
            b"\x00\x01\x00\x00\x21\x12\xa4\x42",
        ] {
            assert_eq!(ProxyHeader::of_stream(bytes), ProxyHeader::Invalid, "{bytes:?}");
        }
        assert_eq!(ProxyHeader::of_datagram(b"\x00\x01\x00\x00"), ProxyHeader::Invalid);
        assert_eq!(ProxyHeader::of_datagram(V1), ProxyHeader::Invalid);
        let half = &binary(Protocol::Datagram)[..20];
        assert_eq!(ProxyHeader::of_datagram(half), ProxyHeader::Invalid);
        // A datagram's header on a stream and the other way round.
        let wrong = binary(Protocol::Datagram);
        assert_eq!(ProxyHeader::of_stream(&wrong), ProxyHeader::Invalid);
        let wrong = binary(Protocol::Stream);
        assert_eq!(ProxyHeader::of_datagram(&wrong), ProxyHeader::Invalid);
    }

    #[test]
    fn h31_nobody_waits_for_more_than_the_longest_header() {
        let mut header = binary(Protocol::Stream);
        header[14..16].copy_from_slice(&60_000_u16.to_be_bytes());
        assert_eq!(ProxyHeader::of_stream(&header), ProxyHeader::Invalid);
        let endless = [b"PROXY ".as_slice(), &[b'A'; 300]].concat();
        for len in 6..endless.len() {
            let start = ProxyHeader::of_stream(&endless[..len]);
            assert!(start == ProxyHeader::Invalid || len < LONGEST, "{len}");
        }
    }

    fn binary(protocol: Protocol) -> Vec<u8> {
        let addresses: (SocketAddr, SocketAddr) =
            ("192.0.2.7:56324".parse().unwrap(), "198.51.100.1:443".parse().unwrap());
        Builder::with_addresses(Version::Two | Command::Proxy, protocol, addresses).build().unwrap()
    }

    fn complete(len: usize) -> ProxyHeader {
        let addresses = Some(Addresses {
            client: "192.0.2.7:56324".parse().unwrap(),
            server: "198.51.100.1:443".parse().unwrap(),
        });
        ProxyHeader::Complete { len, addresses }
    }
}
