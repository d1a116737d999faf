//! A ClientHello, as far as the cookie exchange must read it.
//!
//! RFC 6347 sections 4.2.1 and 4.2.2. Read from one datagram, without reassembly: of a hello in
//! fragments the first one must carry everything up to the compression methods, which holds for
//! any client that fragments at the path's MTU.

use crate::record::{HANDSHAKE, HANDSHAKE_HEADER_LEN, MAX_HANDSHAKE_LEN, Record};

/// DTLS 1.2 on the wire.
pub(crate) const DTLS12: [u8; 2] = [254, 253];
/// TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 (RFC 7905).
const ECDHE_ECDSA_CHACHA20: [u8; 2] = [0xCC, 0xA9];

const CLIENT_HELLO: u8 = 1;
const RANDOM_LEN: usize = 32;
const SUPPORTED_VERSIONS: u16 = 43;

/// A ClientHello or its first fragment, borrowed from a datagram.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClientHello<'a> {
    /// The whole datagram, which holds this one record.
    pub(crate) datagram: &'a [u8],
    /// The version in the record's header.
    pub(crate) record_version: [u8; 2],
    /// The record's sequence number.
    pub(crate) record_sequence: u64,
    /// The number of the handshake message.
    pub(crate) message_sequence: u16,
    /// Version, random and session id.
    pub(crate) before_cookie: &'a [u8],
    /// The cookie; empty in a first hello.
    pub(crate) cookie: &'a [u8],
    /// Cipher suites and compression methods.
    pub(crate) after_cookie: &'a [u8],
    /// Whether there are no further fragments.
    pub(crate) is_whole: bool,
    /// Whether the client may settle on DTLS 1.2.
    pub(crate) speaks_dtls12: bool,
    /// Whether the client offers a suite whose nonces are counted.
    pub(crate) offers_chacha20: bool,
}

impl<'a> ClientHello<'a> {
    /// Reads a datagram that is one record with a ClientHello or the first fragment of one.
    pub(crate) fn parse(datagram: &'a [u8]) -> Option<Self> {
        let (record, rest) = Record::first(datagram)?;
        if record.content_type != HANDSHAKE || record.epoch != 0 || !rest.is_empty() {
            return None;
        }
        let (header, body) = record.fragment.split_first_chunk::<HANDSHAKE_HEADER_LEN>()?;
        let &[kind, l0, l1, l2, s0, s1, o0, o1, o2, f0, f1, f2] = header;
        let len = u32::from_be_bytes([0, l0, l1, l2]);
        let fragment_len = u32::from_be_bytes([0, f0, f1, f2]);
        // [H14] a later fragment is nobody's before the first one has brought a cookie
        if kind != CLIENT_HELLO
            || [o0, o1, o2] != [0; 3]
            || len > MAX_HANDSHAKE_LEN
            || fragment_len > len
            || usize::try_from(fragment_len) != Ok(body.len())
        {
            return None;
        }

        let mut reader = Reader(body);
        let version = *reader.array::<2>()?;
        reader.take(RANDOM_LEN)?;
        reader.vector8()?;
        let before_cookie = body.get(..body.len() - reader.0.len())?;
        let cookie = reader.vector8()?;
        let rest = reader.0;
        let suites = reader.vector16()?;
        reader.vector8()?;
        let after_cookie = rest.get(..rest.len() - reader.0.len())?;
        let is_whole = fragment_len == len;
        let versions = if is_whole { supported_versions(reader)? } else { None };
        Some(Self {
            datagram,
            record_version: record.version,
            record_sequence: record.sequence,
            message_sequence: u16::from_be_bytes([s0, s1]),
            before_cookie,
            cookie,
            after_cookie,
            is_whole,
            // RFC 9147 section 5.3: who speaks DTLS 1.3 says 1.2 here and lists what is true.
            speaks_dtls12: version == DTLS12
                && versions.is_none_or(|list| list.chunks_exact(2).any(|each| each == DTLS12)),
            offers_chacha20: suites.chunks_exact(2).any(|each| each == ECDHE_ECDSA_CHACHA20),
        })
    }
}

/// The list of the extension `supported_versions`; `None` within where there is no such extension,
/// `None` around it where the extensions cannot be read.
fn supported_versions(mut reader: Reader<'_>) -> Option<Option<&[u8]>> {
    if reader.0.is_empty() {
        return Some(None);
    }
    let mut extensions = Reader(reader.vector16()?);
    while !extensions.0.is_empty() {
        let kind = u16::from_be_bytes(*extensions.array::<2>()?);
        let data = extensions.vector16()?;
        if kind == SUPPORTED_VERSIONS {
            return Reader(data).vector8().map(Some);
        }
    }
    Some(None)
}

/// The rest of what is being read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(taken)
    }

    fn vector8(&mut self) -> Option<&'a [u8]> {
        let [len] = *self.array::<1>()?;
        self.take(usize::from(len))
    }

    fn vector16(&mut self) -> Option<&'a [u8]> {
        let len = u16::from_be_bytes(*self.array::<2>()?);
        self.take(usize::from(len))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::HelloBuilder;

    #[test]
    fn a_hello_is_read() {
        let datagram = HelloBuilder::new().cookie(&[9; 32]).sequences(3, 1).build();
        let hello = ClientHello::parse(&datagram).unwrap();
        assert_eq!((hello.record_sequence, hello.message_sequence), (3, 1));
        assert_eq!(hello.cookie, [9; 32]);
        assert_eq!(hello.before_cookie.len(), 2 + 32 + 1);
        assert_eq!(hello.after_cookie, [0, 2, 0xC0, 0x2B, 1, 0]);
        assert!(hello.is_whole && hello.speaks_dtls12 && !hello.offers_chacha20);
    }

    #[test]
    fn every_truncation_is_none() {
        let datagram = HelloBuilder::new().versions(&[DTLS12]).build();
        for len in 0..datagram.len() {
            assert!(ClientHello::parse(&datagram[..len]).is_none());
        }
    }

    #[test]
    fn a_second_record_is_none() {
        let datagram = HelloBuilder::new().build();
        assert!(ClientHello::parse(&[datagram.clone(), datagram].concat()).is_none());
    }

    #[test]
    fn versions_are_told_apart() {
        let speaks = |builder: HelloBuilder| {
            ClientHello::parse(&builder.build()).map(|hello| hello.speaks_dtls12)
        };
        let dtls13 = [254, 252];
        assert_eq!(speaks(HelloBuilder::new()), Some(true));
        assert_eq!(speaks(HelloBuilder::new().versions(&[dtls13, DTLS12])), Some(true));
        assert_eq!(speaks(HelloBuilder::new().versions(&[dtls13])), Some(false));
        assert_eq!(speaks(HelloBuilder::new().version([254, 255])), Some(false));
    }

    #[test]
    fn a_first_fragment_is_read_as_far_as_it_goes() {
        let datagram = HelloBuilder::new().versions(&[[254, 252]]).first_fragment(44).build();
        let hello = ClientHello::parse(&datagram).unwrap();
        assert!(!hello.is_whole && hello.speaks_dtls12);
        let short = HelloBuilder::new().first_fragment(30).build();
        assert!(ClientHello::parse(&short).is_none());
    }

    #[test]
    fn h14_a_later_fragment_is_no_hello() {
        let mut datagram = HelloBuilder::new().build();
        datagram[13 + 8] = 1;
        assert!(ClientHello::parse(&datagram).is_none());
    }

    #[test]
    fn h14_a_35_byte_fragment_that_claims_650_kb_is_no_hello() {
        let mut datagram = vec![22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 22];
        datagram.extend_from_slice(&[1, 0x09, 0xEB, 0x10, 0, 0, 0, 0, 0, 0, 0, 10]);
        datagram.extend_from_slice(&[254, 253, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(datagram.len(), 35);
        assert!(ClientHello::parse(&datagram).is_none());
    }
}
