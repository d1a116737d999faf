//! Which responses count (RFC 8489 sections 6.3.3, 6.3.4 and 9.2.5).

use turn_client::{
    Algorithms, AllocateOptions, Binding, Error, Integrity, Progress, Refresh, Session, Transaction,
};
use turn_codec::attribute::{
    AlternateServer, ErrorCode, Lifetime, Nonce, PasswordAlgorithms, UnknownAttributes,
    XorMappedAddress,
};
use turn_codec::{AttributeType, Class, StatusCode};
use turn_credentials::LongTermKey;

use crate::fake::{
    ALGORITHMS_NONCE, MAPPED, NONCE, RELAYED, allocated, challenge, error, id, md5, respond,
    session, sha256,
};

const UNKNOWN: AttributeType = AttributeType::new(0x7FFF);

#[test]
fn proven_success_counts() {
    let (mut session, request) = signed(Algorithms::Classic);
    let response = allocated(request.bytes(), Some((&md5(), Integrity::Sha1)));
    let progress = session.receive(&request, &response);
    let Progress::Success(allocation) = progress else { panic!("{progress:?}") };
    assert_eq!(allocation.relayed, RELAYED.parse().unwrap());
}

#[test]
fn success_that_is_not_proven_is_discarded() {
    let (mut session, request) = signed(Algorithms::Classic);
    let stranger = LongTermKey::md5("ann", "example.org", "guess");
    for key in [None, Some((&stranger, Integrity::Sha1)), Some((&md5(), Integrity::Sha256))] {
        let progress = session.receive(&request, &allocated(request.bytes(), key));
        assert!(matches!(progress, Progress::Distrusted), "{progress:?}");
    }
}

#[test]
fn sha1_proves_nothing_to_a_sha256_request() {
    let (mut session, request) = signed(Algorithms::Sha256);
    let response = allocated(request.bytes(), Some((&sha256(), Integrity::Sha1)));
    assert!(matches!(session.receive(&request, &response), Progress::Distrusted));
    let response = allocated(request.bytes(), Some((&sha256(), Integrity::Sha256)));
    assert!(matches!(session.receive(&request, &response), Progress::Success(_)));
}

#[test]
fn any_flipped_bit_of_a_success_takes_its_proof() {
    let (mut session, request) = signed(Algorithms::Classic);
    let response = allocated(request.bytes(), Some((&md5(), Integrity::Sha1)));
    for at in 0..response.len() * 8 {
        let mut flipped = response.clone();
        *flipped.get_mut(at / 8).unwrap() ^= 1 << (at % 8);
        let progress = session.receive(&request, &flipped);
        let is_success = matches!(progress, Progress::Success(_));
        assert!(!is_success, "bit {at}");
    }
}

#[test]
fn error_that_is_not_proven_is_discarded() {
    let (mut session, request) = signed(Algorithms::Classic);
    for code in
        [StatusCode::TRY_ALTERNATE, StatusCode::BAD_REQUEST, StatusCode::ALLOCATION_MISMATCH]
    {
        let progress = session.receive(&request, &error(request.bytes(), code, None));
        assert!(matches!(progress, Progress::Distrusted), "{progress:?}");
        let proven = error(request.bytes(), code, Some((&md5(), Integrity::Sha1)));
        let Progress::Failure(Error::Refused(refusal)) = session.receive(&request, &proven) else {
            panic!("{code:?} is a refusal");
        };
        assert_eq!((refusal.code, refusal.is_authenticated), (code, true));
    }
}

#[test]
fn error_to_an_unsigned_request_counts_with_all_it_tells() {
    let mut session = session(Algorithms::Classic);
    let request = session.begin(AllocateOptions::default(), id(1)).unwrap();
    let alternate = "192.0.2.77:3478".parse().unwrap();
    let response = respond(request.bytes(), Class::Error, None, |writer| {
        let (code, reason) = (StatusCode::UNKNOWN_ATTRIBUTE, "what is this");
        writer.push(&ErrorCode { code, reason })?;
        writer.push(&UnknownAttributes::new(&[UNKNOWN]))?;
        writer.push(&AlternateServer(alternate))
    });
    let Progress::Failure(Error::Refused(refusal)) = session.receive(&request, &response) else {
        panic!("a refusal");
    };
    assert_eq!(refusal.code, StatusCode::UNKNOWN_ATTRIBUTE);
    assert_eq!(refusal.reason, "what is this");
    assert_eq!(refusal.unknown_attributes, [UNKNOWN]);
    assert_eq!(refusal.alternate_server, Some(alternate));
    assert!(!refusal.is_authenticated);
}

#[test]
fn response_to_another_request_is_unrelated() {
    let (mut session, request) = signed(Algorithms::Classic);
    let key = md5();
    let key = Some((&key, Integrity::Sha1));
    let other = session.begin(AllocateOptions::default(), id(3)).unwrap();
    let refresh = session.begin(Refresh::default(), id(2)).unwrap();
    let unrelated = [
        allocated(other.bytes(), key),
        allocated(refresh.bytes(), key),
        respond(request.bytes(), Class::Indication, key, |_| Ok(())),
        request.bytes().to_vec(),
        b"\x40\x00\x00\x03abc".to_vec(),
        Vec::new(),
    ];
    for bytes in unrelated {
        let progress = session.receive(&request, &bytes);
        assert!(matches!(progress, Progress::Unrelated), "{progress:?}");
    }
}

#[test]
fn success_with_an_unknown_required_attribute_fails() {
    let (mut session, request) = signed(Algorithms::Classic);
    let response =
        respond(request.bytes(), Class::Success, Some((&md5(), Integrity::Sha1)), |writer| {
            writer.push_raw(UNKNOWN, b"x")
        });
    let progress = session.receive(&request, &response);
    assert!(matches!(progress, Progress::Failure(Error::Malformed(UNKNOWN))), "{progress:?}");
}

#[test]
fn success_that_lacks_its_lifetime_is_malformed() {
    let mut session = session(Algorithms::Classic);
    let request = session.begin(Refresh::default(), id(1)).unwrap();
    let response = respond(request.bytes(), Class::Success, None, |_| Ok(()));
    let progress = session.receive(&request, &response);
    let missing = AttributeType::LIFETIME;
    assert!(matches!(progress, Progress::Failure(Error::Malformed(kind)) if kind == missing));
}

#[test]
fn response_that_announces_an_offer_without_one_is_ignored() {
    let (mut session, request) = signed(Algorithms::Sha256);
    let key = sha256();
    let response =
        respond(request.bytes(), Class::Success, Some((&key, Integrity::Sha256)), |writer| {
            writer.push(&Lifetime(600))?;
            writer.push(&Nonce(ALGORITHMS_NONCE))
        });
    assert!(matches!(session.receive(&request, &response), Progress::Distrusted));
}

#[test]
fn binding_needs_no_proof() {
    let mut session = session(Algorithms::Classic);
    let request = session.begin(Binding, id(1)).unwrap();
    let response = respond(request.bytes(), Class::Success, None, |writer| {
        writer.push(&XorMappedAddress(MAPPED.parse().unwrap()))
    });
    let progress = session.receive(&request, &response);
    let Progress::Success(mapped) = progress else { panic!("{progress:?}") };
    assert_eq!(mapped, MAPPED.parse().unwrap());
}

/// A session that was challenged, and a signed Allocate.
fn signed(algorithms: Algorithms) -> (Session, Transaction<AllocateOptions>) {
    let mut session = session(algorithms);
    let request = session.begin(AllocateOptions::default(), id(1)).unwrap();
    let (nonce, offer) = match algorithms {
        Algorithms::Classic => (NONCE, None),
        Algorithms::Sha256 | Algorithms::Sha256WithUserhash => {
            (ALGORITHMS_NONCE, Some(PasswordAlgorithms::SHA256_MD5))
        }
    };
    let response = challenge(request.bytes(), StatusCode::UNAUTHENTICATED, nonce, offer);
    assert!(matches!(session.receive(&request, &response), Progress::Retry(_)));
    let request = session.begin(request.into_operation(), id(2)).unwrap();
    (session, request)
}
