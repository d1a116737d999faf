//! Which key and which integrity attribute (RFC 8489 sections 9.2.5 and 14.6).

use super::*;

#[test]
fn a9_half_or_changed_password_algorithms_are_a_400() {
    let world = world();
    let ann = world.client("ann").challenged();
    let key = ann.key();
    let offered = PasswordAlgorithms::SHA256_MD5;
    let answer = |list: Option<PasswordAlgorithms<'static>>, choice: Option<u16>| {
        let mut draft = allocation(ann.credentials(Method::ALLOCATE));
        if let Some(list) = list {
            draft = draft.with(list);
        }
        if let Some(choice) = choice {
            draft = draft.with(PasswordAlgorithm::bare(PasswordAlgorithmId(choice)));
        }
        ann.sends(&draft.integrity(&key).bytes(ID)).answer()
    };
    let md5 = Some(1);
    assert_eq!(answer(Some(offered), None).code(), 400);
    assert_eq!(answer(None, md5).code(), 400);
    // Somebody on the way took SHA-256 out, or turned the order.
    let shortened = {
        let draft = allocation(ann.credentials(Method::ALLOCATE))
            .raw(AttributeType::PASSWORD_ALGORITHMS, &[0, 1, 0, 0])
            .with(PasswordAlgorithm::bare(PasswordAlgorithmId::MD5));
        ann.sends(&draft.integrity(&key).bytes(ID)).answer()
    };
    assert_eq!(shortened.code(), 400);
    assert_eq!(answer(Some(PasswordAlgorithms::MD5_SHA256), md5).code(), 400);
    for unoffered in [0, 3, 0xffff] {
        let refused = answer(Some(offered), Some(unoffered));
        assert_eq!((refused.code(), refused.kinds().len()), (400, 1), "{unoffered}");
    }
    assert_eq!(world.allocations(), 0);
    // Neither of the two is MD5, and the choice of MD5 is a choice.
    assert_eq!(answer(None, None).code(), 200);
    let bob = world.client("ann");
    let scheme = Scheme { algorithm: Some(KeyAlgorithm::Md5), ..Scheme::BROWSER };
    assert_eq!(bob.with_scheme(scheme).allocate_request().code(), 200);
}

#[test]
fn a9_reload_that_withdraws_the_offer_does_not_break_who_was_offered() {
    let world = world();
    let ann = world.client("ann").with_scheme(Scheme::rfc8489(KeyAlgorithm::Sha256)).allocate();
    world.reload(|setup| setup.add_user("bob", "other", Some(KeyAlgorithm::Md5)));
    assert_eq!(ann.refresh(600).code(), 200);
}

#[test]
fn a10_key_algorithm_and_integrity_attribute_are_independent() {
    let world = world();
    for algorithm in [KeyAlgorithm::Md5, KeyAlgorithm::Sha256] {
        for (sha1, sha256) in [(true, false), (false, true), (true, true)] {
            let scheme = Scheme { algorithm: Some(algorithm), sha1, sha256, ..Scheme::BROWSER };
            let ann = world.client("ann").with_scheme(scheme).allocate().permit(PEER);
            let key = ann.key();
            assert_eq!(key.as_bytes().len(), algorithm.key_len());
            // Success and error alike, each with the one attribute that decided.
            for answer in [ann.refresh(600), ann.bind_request(1, PEER).exchange()] {
                assert_eq!(answer.is_signed_with_sha256(&key), sha256, "{scheme:?}");
                assert_eq!(answer.is_signed_with_sha1(&key), !sha256, "{scheme:?}");
            }
        }
    }
}

#[test]
fn a10b_sha256_is_offered_only_where_every_credential_yields_it() {
    let offers = |world: World| {
        let answer = world.client("ann").allocate_request().once_unsigned().answer();
        answer.get::<PasswordAlgorithms<'_>>().map(|list| list.as_bytes().to_vec())
    };
    let both = PasswordAlgorithms::SHA256_MD5.as_bytes().to_vec();
    assert_eq!(offers(world()), Some(both.clone()));
    assert_eq!(offers(World::new().secret("shared")), Some(both.clone()));
    assert_eq!(offers(world().user_with_key("bob", "x", KeyAlgorithm::Sha256)), Some(both));
    assert_eq!(offers(world().user_with_key("bob", "x", KeyAlgorithm::Md5)), None);
    assert_eq!(offers(World::new()), None);
}

#[test]
fn a10b_users_with_one_key_are_served_by_its_algorithm_alone() {
    let world = World::new().user_with_key("ann", "secret", KeyAlgorithm::Md5);
    assert_eq!(world.client("ann").allocate_request().code(), 200);
    let world = World::new().user_with_key("ann", "secret", KeyAlgorithm::Sha256);
    assert_eq!(world.client("ann").allocate_request().code(), 401);
    let scheme = Scheme::rfc8489(KeyAlgorithm::Sha256);
    assert_eq!(world.client("ann").with_scheme(scheme).allocate_request().code(), 200);
}

#[test]
fn a11_truncated_sha256_integrity_is_a_400() {
    let world = world();
    let ann = world.client("ann").challenged();
    for len in [0, 12, 15, 16, 17, 20, 24, 28, 31, 33, 36] {
        let draft = allocation(ann.credentials(Method::ALLOCATE))
            .raw(AttributeType::MESSAGE_INTEGRITY_SHA256, &vec![7; len]);
        assert_eq!(ann.sends(&draft.bytes(ID)).code(), 400, "{len} bytes");
    }
    // The right value, cut: the first 16 bytes of a whole one.
    let whole =
        allocation(ann.credentials(Method::ALLOCATE)).integrity_sha256(&ann.key()).bytes(ID);
    let value = whole[whole.len() - 32..].to_vec();
    let cut = allocation(ann.credentials(Method::ALLOCATE))
        .raw(AttributeType::MESSAGE_INTEGRITY_SHA256, &value[..16]);
    assert_eq!(ann.sends(&cut.bytes(ID)).code(), 400);
    assert_eq!(ann.sends(&whole).code(), 200);
}

#[test]
fn a12_of_two_integrity_attributes_sha256_decides() {
    let world = world();
    let ann = world.client("ann").challenged();
    let eve = world.client("ann").with_password("wrong").key();
    let draft = || allocation(ann.credentials(Method::ALLOCATE));
    let bad = draft().integrity(&ann.key()).integrity_sha256(&eve);
    assert_eq!(ann.sends(&bad.bytes(ID)).code(), 401);
    let good = draft().integrity(&eve).integrity_sha256(&ann.key());
    let answer = ann.sends(&good.bytes(ID)).answer();
    assert_eq!(answer.code(), 200);
    assert!(answer.is_signed_with_sha256(&ann.key()) && !answer.message().has_integrity());
}
