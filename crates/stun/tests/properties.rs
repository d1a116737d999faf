//! Properties of the responder over generated input.

#![expect(clippy::indexing_slicing, reason = "a panic is a failed test")]

use proptest::collection::vec;
use proptest::prelude::*;
use stun_responder::{MAX_REPLY_LEN, Verdict, respond};

proptest! {
    #[test]
    fn s2_only_requests_are_answered_and_only_shortly(
        kind in prop_oneof![Just(0x0001_u16), any::<u16>()],
        body in vec(any::<u8>(), 0..120),
        source in any::<std::net::SocketAddr>(),
    ) {
        let body = &body[..body.len() & !3];
        let [t0, t1] = kind.to_be_bytes();
        let length = u8::try_from(body.len()).unwrap_or(0);
        let mut message = vec![t0, t1, 0, length, 0x21, 0x12, 0xA4, 0x42];
        message.extend(b"abcdefghijkl");
        message.extend(body);

        let mut out = [0; MAX_REPLY_LEN];
        if let Verdict::Reply(reply) = respond(&message, source, &mut out) {
            prop_assert_eq!(kind, 0x0001);
            prop_assert!(reply.len() <= message.len() + 24);
            prop_assert_eq!(&reply[8..20], b"abcdefghijkl");
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..200)) {
        let _ = respond(&bytes, std::net::SocketAddr::from(([192, 0, 2, 1], 1)), &mut [0; 64]);
    }
}
