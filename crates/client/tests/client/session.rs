//! How requests are signed after a challenge (RFC 8489 sections 9.2.3 and 9.2.5).

use std::time::Duration;

use turn_client::{
    Algorithms, AllocateOptions, Binding, ChannelBind, CreatePermission, Credentials, Error,
    Integrity, Progress, Refresh, Session,
};
use turn_codec::attribute::{
    ChannelNumberAttribute, ErrorCode, Lifetime, Nonce, PasswordAlgorithm, PasswordAlgorithmId,
    PasswordAlgorithms, Realm, Userhash, Username, XorPeerAddress,
};
use turn_codec::{AttributeType, Class, Message, MessageWriter, Method, StatusCode};
use turn_credentials::{KeyAlgorithm, LongTermKey, userhash};

use crate::fake::{
    ALGORITHMS_NONCE, COOKIE_NONCE, NONCE, REALM, challenge, id, md5, respond, session, sha256,
    unauthenticated,
};

const OFFER: PasswordAlgorithms<'static> = PasswordAlgorithms::SHA256_MD5;
const PEER: &str = "192.0.2.9:4000";

#[test]
fn request_is_unsigned_until_the_server_challenges() {
    let mut session = session(Algorithms::Classic);
    let first = session.begin(AllocateOptions::default(), id(1)).unwrap();
    let message = Message::parse(first.bytes()).unwrap();
    assert!(!message.has_integrity() && !message.has(AttributeType::USERNAME));

    let progress = session.receive(&first, &unauthenticated(first.bytes()));
    assert!(matches!(progress, Progress::Retry(_)), "{progress:?}");
    let second = session.begin(first.into_operation(), id(2)).unwrap();
    let message = Message::parse(second.bytes()).unwrap();
    assert_eq!(message.get(), Ok(Some(Username("ann"))));
    assert_eq!(message.get(), Ok(Some(Realm(REALM))));
    assert_eq!(message.get(), Ok(Some(Nonce(NONCE))));
    assert_eq!(message.verify_integrity(md5().as_bytes()), Ok(()));
    assert_eq!((session.realm(), session.nonce()), (Some(REALM), Some(NONCE)));
    assert_eq!((session.challenges(), session.stale_nonces()), (1, 0));
}

#[test]
fn classic_client_ignores_every_offer() {
    let session = challenged(Algorithms::Classic, COOKIE_NONCE, Some(OFFER));
    let request = session.begin(Refresh::default(), id(2)).unwrap();
    let message = Message::parse(request.bytes()).unwrap();
    assert_eq!(message.get(), Ok(Some(Username("ann"))));
    assert!(!message.has(AttributeType::PASSWORD_ALGORITHMS));
    assert!(!message.has_integrity_sha256());
    assert_eq!(message.verify_integrity(md5().as_bytes()), Ok(()));

    // Nor does it miss one: it does not know the cookie.
    challenged(Algorithms::Classic, COOKIE_NONCE, None);
}

#[test]
fn offer_goes_back_unchanged_with_its_first_known_algorithm() {
    // 9 is unknown, and this SHA-256 has parameters that nobody has defined.
    let wire = b"\x00\x09\x00\x01x\0\0\0\x00\x02\x00\x01y\0\0\0\x00\x01\x00\x00\x00\x02\x00\x00";
    let mut session = session(Algorithms::Sha256);
    let first = session.begin(Refresh::default(), id(1)).unwrap();
    let response = respond(first.bytes(), Class::Error, None, |writer| {
        writer.push(&ErrorCode::bare(StatusCode::UNAUTHENTICATED))?;
        writer.push(&Realm(REALM))?;
        writer.push(&Nonce(ALGORITHMS_NONCE))?;
        writer.push_raw(AttributeType::PASSWORD_ALGORITHMS, wire)
    });
    assert!(matches!(session.receive(&first, &response), Progress::Retry(_)));

    let second = session.begin(Refresh::default(), id(2)).unwrap();
    let message = Message::parse(second.bytes()).unwrap();
    let list: PasswordAlgorithms<'_> = message.get().unwrap().unwrap();
    assert_eq!(list.as_bytes(), wire);
    let chosen = PasswordAlgorithm::bare(PasswordAlgorithmId::MD5);
    assert_eq!(message.get(), Ok(Some(chosen)));
    // An MD5 key, yet no SHA-1: key and attribute are independent.
    assert!(!message.has_integrity());
    assert_eq!(message.verify_integrity_sha256(md5().as_bytes()), Ok(()));
}

#[test]
fn sha256_is_used_where_it_is_offered_first() {
    let session = challenged(Algorithms::Sha256, ALGORITHMS_NONCE, Some(OFFER));
    assert_eq!(session.key_algorithm(), Some(KeyAlgorithm::Sha256));
    assert_eq!(session.integrity(), Some(Integrity::Sha256));
    let request = session.begin(Refresh::default(), id(2)).unwrap();
    let message = Message::parse(request.bytes()).unwrap();
    let chosen = PasswordAlgorithm::bare(PasswordAlgorithmId::SHA256);
    assert_eq!(message.get(), Ok(Some(OFFER)));
    assert_eq!(message.get(), Ok(Some(chosen)));
    assert!(!message.has_integrity());
    assert_eq!(message.verify_integrity_sha256(sha256().as_bytes()), Ok(()));
}

#[test]
fn sha256_client_is_classic_where_nothing_is_offered() {
    let session = challenged(Algorithms::Sha256WithUserhash, NONCE, None);
    assert_eq!(session.key_algorithm(), Some(KeyAlgorithm::Md5));
    assert_eq!(session.integrity(), Some(Integrity::Sha1));
    let request = session.begin(Refresh::default(), id(2)).unwrap();
    let message = Message::parse(request.bytes()).unwrap();
    assert_eq!(message.get(), Ok(Some(Username("ann"))));
    assert_eq!(message.verify_integrity(md5().as_bytes()), Ok(()));
}

#[test]
fn userhash_stands_for_the_name_where_offered_and_wanted() {
    let cases = [
        (Algorithms::Sha256WithUserhash, COOKIE_NONCE, true),
        (Algorithms::Sha256WithUserhash, ALGORITHMS_NONCE, false),
        (Algorithms::Sha256, COOKIE_NONCE, false),
    ];
    for (algorithms, nonce, is_hashed) in cases {
        let session = challenged(algorithms, nonce, Some(OFFER));
        let request = session.begin(Refresh::default(), id(2)).unwrap();
        let message = Message::parse(request.bytes()).unwrap();
        let hash = userhash("ann", REALM);
        let (hashed, plain) = (Userhash(&hash), Username("ann"));
        assert_eq!(message.get(), Ok(is_hashed.then_some(hashed)), "{algorithms:?} {nonce}");
        assert_eq!(message.get(), Ok((!is_hashed).then_some(plain)), "{algorithms:?} {nonce}");
    }
}

#[test]
fn announced_algorithms_that_are_missing_end_the_operation() {
    for code in [StatusCode::UNAUTHENTICATED, StatusCode::STALE_NONCE] {
        let mut session = session(Algorithms::Sha256);
        let request = session.begin(Refresh::default(), id(1)).unwrap();
        let response = challenge(request.bytes(), code, ALGORITHMS_NONCE, None);
        let progress = session.receive(&request, &response);
        assert!(matches!(progress, Progress::Failure(Error::BidDown)), "{progress:?}");
    }
}

#[test]
fn offer_that_disappears_is_a_bid_down() {
    let mut session = challenged(Algorithms::Sha256, ALGORITHMS_NONCE, Some(OFFER));
    let request = session.begin(Refresh::default(), id(2)).unwrap();
    let response = challenge(request.bytes(), StatusCode::STALE_NONCE, NONCE, None);
    let progress = session.receive(&request, &response);
    assert!(matches!(progress, Progress::Failure(Error::BidDown)), "{progress:?}");
    assert_eq!(session.integrity(), Some(Integrity::Sha256));
}

#[test]
fn offer_of_unknown_algorithms_ends_the_operation() {
    let mut session = session(Algorithms::Sha256);
    let request = session.begin(Refresh::default(), id(1)).unwrap();
    let response = respond(request.bytes(), Class::Error, None, |writer| {
        writer.push(&ErrorCode::bare(StatusCode::UNAUTHENTICATED))?;
        writer.push(&Realm(REALM))?;
        writer.push(&Nonce(ALGORITHMS_NONCE))?;
        writer.push_raw(AttributeType::PASSWORD_ALGORITHMS, &[0, 9, 0, 0])
    });
    let progress = session.receive(&request, &response);
    assert!(matches!(progress, Progress::Failure(Error::NoCommonAlgorithm)), "{progress:?}");
}

#[test]
fn stale_nonce_is_a_new_try_with_the_new_nonce() {
    let mut session = challenged(Algorithms::Classic, NONCE, None);
    let request = session.begin(Refresh::default(), id(2)).unwrap();
    // The realm may be left out: it has not changed.
    let response = respond(request.bytes(), Class::Error, None, |writer| {
        writer.push(&ErrorCode::bare(StatusCode::STALE_NONCE))?;
        writer.push(&Nonce("second"))
    });
    assert!(matches!(session.receive(&request, &response), Progress::Retry(_)));
    assert_eq!((session.challenges(), session.stale_nonces()), (1, 1));
    let request = session.begin(Refresh::default(), id(3)).unwrap();
    let message = Message::parse(request.bytes()).unwrap();
    assert_eq!(message.get(), Ok(Some(Nonce("second"))));
    assert_eq!(message.get(), Ok(Some(Realm(REALM))));
}

#[test]
fn second_401_is_a_refusal_unless_the_realm_has_changed() {
    let mut session = challenged(Algorithms::Classic, NONCE, None);
    let request = session.begin(Refresh::default(), id(2)).unwrap();
    let progress = session.receive(&request, &unauthenticated(request.bytes()));
    let Progress::Failure(error) = progress else { panic!("{progress:?}") };
    assert_eq!(error.code(), Some(StatusCode::UNAUTHENTICATED));

    let response = respond(request.bytes(), Class::Error, None, |writer| {
        writer.push(&ErrorCode::bare(StatusCode::UNAUTHENTICATED))?;
        writer.push(&Realm("elsewhere.example"))?;
        writer.push(&Nonce(NONCE))
    });
    assert!(matches!(session.receive(&request, &response), Progress::Retry(_)));
    let request = session.begin(Refresh::default(), id(3)).unwrap();
    let message = Message::parse(request.bytes()).unwrap();
    let key = LongTermKey::md5("ann", "elsewhere.example", "secret");
    assert_eq!(message.verify_integrity(key.as_bytes()), Ok(()));
}

#[test]
fn anonymous_client_takes_a_challenge_for_a_refusal() {
    let mut session = Session::new(Credentials::anonymous()).unwrap();
    let request = session.begin(AllocateOptions::default(), id(1)).unwrap();
    let progress = session.receive(&request, &unauthenticated(request.bytes()));
    let Progress::Failure(error) = progress else { panic!("{progress:?}") };
    assert_eq!(error.code(), Some(StatusCode::UNAUTHENTICATED));
}

#[test]
fn challenge_without_realm_or_nonce_is_malformed() {
    let mut session = session(Algorithms::Classic);
    let request = session.begin(Refresh::default(), id(1)).unwrap();
    let bare = ErrorCode::bare(StatusCode::UNAUTHENTICATED);
    let response = respond(request.bytes(), Class::Error, None, |writer| writer.push(&bare));
    let progress = session.receive(&request, &response);
    let missing = AttributeType::NONCE;
    assert!(matches!(progress, Progress::Failure(Error::Malformed(kind)) if kind == missing));
}

#[test]
fn binding_is_never_signed() {
    let session = challenged(Algorithms::Classic, NONCE, None);
    let request = session.begin(Binding, id(2)).unwrap();
    assert_eq!(request.bytes().len(), 20);
}

#[test]
fn requests_carry_what_their_method_asks_for() {
    let session = session(Algorithms::Classic);
    let peers = [PEER.parse().unwrap(), "[2001:db8::9]:1".parse().unwrap()];
    let request = session.begin(CreatePermission { peers: &peers }, id(1)).unwrap();
    let message = Message::parse(request.bytes()).unwrap();
    assert_eq!(message.method(), Method::CREATE_PERMISSION);
    let sent: Vec<_> = message.all::<XorPeerAddress>().map(|peer| peer.unwrap().0).collect();
    assert_eq!(sent, peers);

    let number = ChannelNumberAttribute(0x5000);
    let [peer, _] = peers;
    let request = session.begin(ChannelBind { number, peer }, id(1)).unwrap();
    let message = Message::parse(request.bytes()).unwrap();
    assert_eq!(message.method(), Method::CHANNEL_BIND);
    assert_eq!(message.get(), Ok(Some(number)));
    assert_eq!(message.get(), Ok(Some(XorPeerAddress(peer))));

    let lifetime = Some(Duration::from_secs(77));
    let request = session.begin(Refresh { lifetime, family: None }, id(1)).unwrap();
    let message = Message::parse(request.bytes()).unwrap();
    assert_eq!(message.method(), Method::REFRESH);
    assert_eq!(message.get(), Ok(Some(Lifetime(77))));
}

#[test]
fn request_beyond_its_room_is_refused_here() {
    let peers = [PEER.parse().unwrap(); 400];
    let session = session(Algorithms::Classic);
    assert!(session.begin(CreatePermission { peers: &peers }, id(1)).is_err());
}

#[test]
fn messages_of_other_hands_can_be_signed() {
    let session = challenged(Algorithms::Sha256, ALGORITHMS_NONCE, Some(OFFER));
    let mut buffer = [0; 512];
    let mut writer =
        MessageWriter::new(&mut buffer, Class::Request, Method::CONNECT, id(9)).unwrap();
    session.sign(&mut writer).unwrap();
    let message = Message::parse(writer.finish()).unwrap();
    assert_eq!(message.verify_integrity_sha256(sha256().as_bytes()), Ok(()));
    assert!(session.proves(&message));
}

fn challenged(
    algorithms: Algorithms,
    nonce: &str,
    offer: Option<PasswordAlgorithms<'_>>,
) -> Session {
    let mut session = session(algorithms);
    let request = session.begin(Refresh::default(), id(1)).unwrap();
    let response = challenge(request.bytes(), StatusCode::UNAUTHENTICATED, nonce, offer);
    let progress = session.receive(&request, &response);
    assert!(matches!(progress, Progress::Retry(_)), "{progress:?}");
    session
}
