//! Which certificate a client gets (RFC 6066 section 3, RFC 6125 section 6.4).

use std::sync::Arc;

use rustls::SignatureScheme;

use crate::identity::Identity;

/// The certificate for `server_name`: those that have the very name, otherwise those with a
/// wildcard in place of its first label, otherwise all, in the order of the configuration. Among
/// them the first that signs in a way the client knows, so that an RSA certificate can stand beside
/// an ECDSA one of the same name; where none does, the first, and the handshake fails by itself.
pub(crate) fn choose<'a>(
    identities: &'a [Arc<Identity>],
    server_name: Option<&str>,
    schemes: &[SignatureScheme],
) -> Option<&'a Arc<Identity>> {
    server_name
        .and_then(|name| {
            let name = name.strip_suffix('.').unwrap_or(name);
            let exact = |identity: &Identity| has(identity, |known| is_same(known, name));
            let wildcard = |identity: &Identity| has(identity, |known| covers(known, name));
            first(identities, schemes, exact).or_else(|| first(identities, schemes, wildcard))
        })
        .or_else(|| first(identities, schemes, |_| true))
}

fn first<'a>(
    identities: &'a [Arc<Identity>],
    schemes: &[SignatureScheme],
    named: impl Fn(&Identity) -> bool,
) -> Option<&'a Arc<Identity>> {
    let signs = |identity: &Identity| identity.certified().key.choose_scheme(schemes).is_some();
    identities
        .iter()
        .find(|identity| named(identity) && signs(identity))
        .or_else(|| identities.iter().find(|identity| named(identity)))
}

fn has(identity: &Identity, named: impl Fn(&str) -> bool) -> bool {
    identity.names().iter().any(|known| named(known))
}

fn is_same(known: &str, name: &str) -> bool {
    known.eq_ignore_ascii_case(name)
}

/// RFC 6125 section 6.4.3: a wildcard is the whole first label, and stands for one.
fn covers(known: &str, name: &str) -> bool {
    let Some(parent) = known.strip_prefix("*.") else { return false };
    name.split_once('.').is_some_and(|(label, rest)| !label.is_empty() && is_same(parent, rest))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use rcgen::{PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256};

    use super::*;
    use crate::fixtures::{Authority, now};

    const ANY: &[SignatureScheme] =
        &[SignatureScheme::ECDSA_NISTP256_SHA256, SignatureScheme::RSA_PSS_SHA256];

    fn identity(names: &[&str]) -> Arc<Identity> {
        identity_with(names, &PKCS_ECDSA_P256_SHA256)
    }

    fn identity_with(
        names: &[&str],
        algorithm: &'static rcgen::SignatureAlgorithm,
    ) -> Arc<Identity> {
        let issued = Authority::new("CA").issue_with(names, algorithm);
        let directory = tempfile::tempdir().unwrap();
        let files = issued.write(directory.path(), "a");
        Arc::new(Identity::load(&files, now()).unwrap().0)
    }

    #[test]
    fn exact_names_come_before_wildcards_and_the_first_is_the_default() {
        let all =
            [identity(&["a.example"]), identity(&["*.b.example"]), identity(&["x.B.example"])];
        let chosen = |name| {
            let identity = choose(&all, name, ANY).unwrap();
            all.iter().position(|known| Arc::ptr_eq(known, identity)).unwrap()
        };
        assert_eq!(chosen(Some("X.b.Example")), 2);
        assert_eq!(chosen(Some("x.b.example.")), 2);
        assert_eq!(chosen(Some("Y.b.example")), 1);
        assert_eq!(chosen(Some("a.example")), 0);
        assert_eq!(chosen(None), 0);
        for stranger in ["b.example", "z.y.b.example", ".b.example", "c.example", "", "."] {
            assert_eq!(chosen(Some(stranger)), 0, "{stranger}");
        }
        assert!(choose(&[], None, ANY).is_none());
    }

    #[test]
    fn of_one_name_the_client_gets_the_kind_of_key_that_it_knows() {
        let all = [
            identity_with(&["a.example"], &PKCS_ECDSA_P256_SHA256),
            identity_with(&["a.example"], &PKCS_RSA_SHA256),
        ];
        for name in [Some("a.example"), None] {
            let chosen = choose(&all, name, &[SignatureScheme::RSA_PKCS1_SHA256]).unwrap();
            assert!(Arc::ptr_eq(chosen, &all[1]));
            assert!(Arc::ptr_eq(choose(&all, name, ANY).unwrap(), &all[0]));
        }
        let chosen = choose(&all, None, &[SignatureScheme::ED25519]).unwrap();
        assert!(Arc::ptr_eq(chosen, &all[0]));
    }
}
