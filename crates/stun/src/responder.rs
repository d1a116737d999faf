//! The responder: one message in, at most one out.
//!
//! Implements RFC 8489 sections 6.3.1 (requests) and 6.3.2 (indications). Integrity in a
//! Binding request is not looked at: the answer is no secret, and no credential is needed.

use std::net::SocketAddr;

use turn_codec::attribute::{ErrorCode, UnknownAttributes, XorMappedAddress};
use turn_codec::{AttributeType, Class, Message, MessageWriter, Method, NoRoom, StatusCode};

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict<'o> {
    /// Its method is not Binding: the TURN engine's.
    NotBinding,
    /// Send this to where the message came from, out of the socket it came in by.
    Reply(&'o [u8]),
    /// Send nothing.
    Silent,
}

/// A buffer of this size holds every reply: a 420 with a full list and FINGERPRINT.
pub const MAX_REPLY_LEN: usize = 20 + 8 + (4 + 2 * MAX_LISTED) + 8;

/// The most types that a 420 lists; an honest client sends no more, and the reply to one that
/// does stays smaller than the request.
const MAX_LISTED: usize = 16;

/// Tells whether the first two bytes are the type of a Binding message of any class.
///
/// For sorting datagrams before anything is parsed; [`respond`] judges the rest.
#[must_use]
pub const fn is_binding(bytes: &[u8]) -> bool {
    match bytes {
        // The method without the class bits of section 5.
        [t0, t1, ..] => u16::from_be_bytes([*t0, *t1]) & !0x0110 == Method::BINDING.bits(),
        _ => false,
    }
}

/// Answers a message from `source`, writing a reply into `out`.
///
/// The caller has asked its rate bucket before. A buffer of less than [`MAX_REPLY_LEN`] bytes
/// may turn a reply into silence.
#[must_use]
pub fn respond<'o>(message: &[u8], source: SocketAddr, out: &'o mut [u8]) -> Verdict<'o> {
    match Message::peek(message) {
        Some((_, method)) if method != Method::BINDING => return Verdict::NotBinding,
        // [S2] Only a request is ever answered: two servers that answer each other's
        // responses would never stop.
        Some((Class::Request, _)) => {}
        Some((Class::Indication | Class::Success | Class::Error, _)) | None => {
            return Verdict::Silent;
        }
    }
    let Ok(request) = Message::parse(message) else {
        return Verdict::Silent;
    };

    let mut unknown = [AttributeType::new(0); MAX_LISTED];
    let mut listed = 0;
    for (slot, kind) in unknown.iter_mut().zip(request.unknown_required()) {
        *slot = kind;
        listed += 1;
    }
    let unknown = unknown.get(..listed).unwrap_or_default();
    let reply = if unknown.is_empty() {
        success(&request, source, out)
    } else {
        unknown_attribute(&request, unknown, out)
    };
    reply.map_or(Verdict::Silent, Verdict::Reply)
}

fn success<'o>(
    request: &Message<'_>,
    source: SocketAddr,
    out: &'o mut [u8],
) -> Result<&'o [u8], NoRoom> {
    let mut reply = start(request, Class::Success, out)?;
    // A dual-stack socket shows an IPv4 client as ::ffff:a.b.c.d, which is not its address.
    let source = SocketAddr::new(source.ip().to_canonical(), source.port());
    // [S15] Nothing else: each byte more could be sent to a victim.
    reply.push(&XorMappedAddress(source))?;
    finish(request, reply)
}

/// "the server MUST reject the request with ... 420 (Unknown Attribute)" (section 6.3.1).
fn unknown_attribute<'o>(
    request: &Message<'_>,
    unknown: &[AttributeType],
    out: &'o mut [u8],
) -> Result<&'o [u8], NoRoom> {
    let mut reply = start(request, Class::Error, out)?;
    // [S4] [H10] The list is capped and the phrase left out.
    reply.push(&ErrorCode::bare(StatusCode::UNKNOWN_ATTRIBUTE))?;
    reply.push(&UnknownAttributes::new(unknown))?;
    finish(request, reply)
}

fn start<'o>(
    request: &Message<'_>,
    class: Class,
    out: &'o mut [u8],
) -> Result<MessageWriter<'o>, NoRoom> {
    MessageWriter::new(out, class, Method::BINDING, request.transaction_id())
}

fn finish<'o>(request: &Message<'_>, mut reply: MessageWriter<'o>) -> Result<&'o [u8], NoRoom> {
    // [S9] "If the request contained a FINGERPRINT attribute ... the response MUST contain" it.
    if request.has_fingerprint() {
        reply.fingerprint()?;
    }
    Ok(reply.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use turn_codec::attribute::{Lifetime, Software, Username};
    use turn_codec::{ParseError, TransactionId};

    const ID: TransactionId = TransactionId::new(*b"abcdefghijkl");
    const V4: &str = "192.0.2.1:32853";
    const V6: &str = "[2001:db8::1]:32853";

    #[test]
    fn s15_success_carries_the_mapped_address_only() {
        for source in [V4, V6] {
            let reply = answer(&request(|_| Ok(())), source).unwrap();
            let reply = Message::parse(&reply).unwrap();
            assert_eq!((reply.class(), reply.method()), (Class::Success, Method::BINDING));
            assert_eq!(reply.transaction_id(), ID);
            let mapped = XorMappedAddress(source.parse().unwrap());
            assert_eq!(reply.get(), Ok(Some(mapped)));
            assert_eq!(reply.attributes().count(), 1);
            assert!(!reply.has_fingerprint() && !reply.has_integrity());
        }
    }

    #[test]
    fn h9_replies_have_32_and_44_bytes() {
        let request = request(|_| Ok(()));
        assert_eq!(answer(&request, V4).unwrap().len(), 32);
        assert_eq!(answer(&request, V6).unwrap().len(), 44);
    }

    #[test]
    fn s9_fingerprint_is_mirrored() {
        let request = request(|w| w.fingerprint());
        for (source, len) in [(V4, 40), (V6, 52)] {
            let reply = answer(&request, source).unwrap();
            assert_eq!(reply.len(), len);
            assert!(Message::parse(&reply).unwrap().has_fingerprint());
        }
    }

    #[test]
    fn s9_wrong_fingerprint_is_silence() {
        let mut request = request(|w| w.fingerprint());
        request[27] ^= 1;
        assert_eq!(Message::parse(&request).err(), Some(ParseError::FingerprintMismatch));
        assert_eq!(answer(&request, V4), None);
    }

    #[test]
    fn s2_indications_and_responses_are_silence() {
        for class in [Class::Indication, Class::Success, Class::Error] {
            let message = message(class, Method::BINDING, |_| Ok(()));
            assert_eq!(respond(&message, source(V4), &mut [0; 128]), Verdict::Silent);
        }
    }

    #[test]
    fn s2_own_replies_are_never_answered() {
        let unknown = request(|w| w.push_raw(AttributeType::new(0x0003), &[0; 4]));
        for request in [request(|_| Ok(())), unknown] {
            let reply = answer(&request, V4).unwrap();
            assert_eq!(respond(&reply, source(V4), &mut [0; 128]), Verdict::Silent);
        }
    }

    #[test]
    fn s5_indication_with_unknown_attribute_is_silence() {
        let message = message(Class::Indication, Method::BINDING, |w| {
            w.push_raw(AttributeType::new(0x0003), &[0; 4])
        });
        assert_eq!(respond(&message, source(V4), &mut [0; 128]), Verdict::Silent);
    }

    #[test]
    fn s1_malformed_requests_are_silence() {
        let good = request(|w| w.push(&Software("x")));
        for len in 0..good.len() {
            assert_eq!(respond(&good[..len], source(V4), &mut [0; 128]), Verdict::Silent);
        }
        let longer = [&good[..], &[0; 4]].concat();
        assert_eq!(answer(&longer, V4), None);
    }

    #[test]
    fn s17_request_without_cookie_is_silence() {
        let mut request = request(|_| Ok(()));
        request[4..8].fill(0);
        assert_eq!(respond(&request, source(V4), &mut [0; 128]), Verdict::Silent);
    }

    #[test]
    fn s4_unknown_required_attributes_are_a_420_that_lists_them() {
        let request = request(|w| {
            w.push_raw(AttributeType::new(0x0003), &[0; 4])?;
            w.push_raw(AttributeType::new(0x0024), &[0; 4])?;
            w.push_raw(AttributeType::new(0x0003), &[0; 4])
        });
        let reply = answer(&request, V4).unwrap();
        assert_eq!(reply.len(), 20 + 8 + 8);
        let reply = Message::parse(&reply).unwrap();
        assert_eq!(reply.class(), Class::Error);
        let expected = ErrorCode::bare(StatusCode::UNKNOWN_ATTRIBUTE);
        assert_eq!(reply.get(), Ok(Some(expected)));
        let types = [0x0003, 0x0024].map(AttributeType::new);
        assert_eq!(reply.get(), Ok(Some(UnknownAttributes::new(&types))));
    }

    #[test]
    fn s4_list_of_unknown_attributes_is_capped() {
        let request = request(|w| {
            (0x6000..0x6018).try_for_each(|code| w.push_raw(AttributeType::new(code), b""))?;
            w.fingerprint()
        });
        let reply = answer(&request, V4).unwrap();
        assert_eq!(reply.len(), MAX_REPLY_LEN);
        assert!(reply.len() < request.len());
        let listed = Message::parse(&reply).unwrap().get::<UnknownAttributes<'_>>();
        assert_eq!(listed.unwrap().unwrap().iter().count(), MAX_LISTED);
    }

    #[test]
    fn h28_change_request_is_a_420() {
        let request = request(|w| w.push_raw(AttributeType::new(0x0003), &[0, 0, 0, 6]));
        let reply = answer(&request, V4).unwrap();
        assert_eq!(Message::parse(&reply).unwrap().class(), Class::Error);
    }

    #[test]
    fn s6_optional_and_unexpected_attributes_are_ignored() {
        let request = request(|w| {
            w.push(&Software("client"))?;
            w.push(&Lifetime(1))?;
            w.push(&Username("ann"))?;
            w.push_raw(AttributeType::new(0xC057), &[1; 7])
        });
        assert_eq!(answer(&request, V4).unwrap().len(), 32);
    }

    #[test]
    fn integrity_of_a_request_is_ignored() {
        let request = request(|w| {
            w.push(&Username("ann"))?;
            w.integrity(b"a key nobody knows")?;
            w.fingerprint()
        });
        assert_eq!(answer(&request, V4).unwrap().len(), 40);
    }

    #[test]
    fn s16_retransmission_gets_the_same_reply() {
        let request = request(|_| Ok(()));
        assert_eq!(answer(&request, V6), answer(&request, V6));
    }

    #[test]
    fn mapped_ipv4_source_is_told_as_ipv4() {
        let reply = answer(&request(|_| Ok(())), "[::ffff:192.0.2.1]:32853").unwrap();
        assert_eq!(reply.len(), 32);
        let mapped = XorMappedAddress(V4.parse().unwrap());
        assert_eq!(Message::parse(&reply).unwrap().get(), Ok(Some(mapped)));
    }

    #[test]
    fn other_methods_are_not_ours() {
        for method in (0..=0x0FFF).filter_map(Method::from_bits) {
            let message = message(Class::Request, method, |_| Ok(()));
            let verdict = respond(&message, source(V4), &mut [0; 0]);
            assert_eq!(verdict == Verdict::NotBinding, method != Method::BINDING);
        }
    }

    #[test]
    fn small_buffer_is_silence() {
        let request = request(|_| Ok(()));
        for len in 0..32 {
            let mut out = [0; 32];
            assert_eq!(respond(&request, source(V4), &mut out[..len]), Verdict::Silent);
        }
    }

    #[test]
    fn stale_bytes_of_the_buffer_never_leave() {
        let unknown = request(|w| w.push_raw(AttributeType::new(0x0003), b""));
        let mut out = [0xEE; 128];
        let Verdict::Reply(reply) = respond(&unknown, source(V4), &mut out) else { panic!() };
        assert!(!reply.contains(&0xEE));
    }

    #[test]
    fn router_agrees_with_the_header() {
        for bits in 0..=u16::MAX {
            let mut bytes = *b"\0\0\0\0\x21\x12\xA4\x42abcdefghijkl";
            bytes[..2].copy_from_slice(&bits.to_be_bytes());
            let binding = Message::peek(&bytes).is_some_and(|(_, m)| m == Method::BINDING);
            assert_eq!(is_binding(&bytes), binding, "type 0x{bits:04x}");
            assert_eq!(is_binding(&bytes[..2]), binding);
        }
        assert!(!is_binding(&[0]) && !is_binding(&[]));
    }

    fn answer(message: &[u8], from: &str) -> Option<Vec<u8>> {
        let mut out = [0xEE; MAX_REPLY_LEN];
        match respond(message, source(from), &mut out) {
            Verdict::Reply(bytes) => Some(bytes.to_vec()),
            Verdict::Silent => None,
            Verdict::NotBinding => panic!("a Binding was taken for something else"),
        }
    }

    fn source(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn request(fill: impl FnOnce(&mut MessageWriter<'_>) -> Result<(), NoRoom>) -> Vec<u8> {
        message(Class::Request, Method::BINDING, fill)
    }

    fn message(
        class: Class,
        method: Method,
        fill: impl FnOnce(&mut MessageWriter<'_>) -> Result<(), NoRoom>,
    ) -> Vec<u8> {
        let mut buffer = [0; 512];
        let mut writer = MessageWriter::new(&mut buffer, class, method, ID).unwrap();
        fill(&mut writer).unwrap();
        writer.finish().to_vec()
    }
}
