//! Properties of names and texts over generated input.

#![expect(clippy::unwrap_used, reason = "a panic is a failed test")]

use proptest::prelude::*;
use turn_credentials::{TimeLimitedName, UnixSeconds, mint, parse_static, prepare};

proptest! {
    #[test]
    fn minted_names_are_read_back(
        expiry in any::<u64>(),
        userid in proptest::option::of("[^:]{1,20}|.{1,20}"),
        separator in prop::sample::select(vec![':', '#', '_', '\u{2022}']),
    ) {
        let (username, _) = mint(b"secret", userid.as_deref(), UnixSeconds(expiry), separator);
        let name = TimeLimitedName::parse(&username, separator).unwrap();
        prop_assert_eq!(name.expiry, UnixSeconds(expiry));
        prop_assert_eq!(name.userid, userid.as_deref());
    }

    #[test]
    fn arbitrary_names_never_panic(name in any::<String>(), separator in any::<char>()) {
        let _ = TimeLimitedName::parse(&name, separator);
        let _ = parse_static(&name);
    }

    #[test]
    fn a14_prepared_texts_are_stable_and_free_of_control_characters(text in any::<String>()) {
        if let Ok(prepared) = prepare(&text) {
            prop_assert!(!prepared.chars().any(char::is_control));
            prop_assert_eq!(prepare(&prepared).unwrap(), prepared.clone());
        }
    }
}
