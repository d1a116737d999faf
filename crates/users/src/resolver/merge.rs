//! Several catalogues as one.

use std::collections::btree_map::Entry;

use crate::{Catalog, StoredRealm};

/// What more than this many credentials ended is not carried.
const MOST_ENDED: usize = 10_000;

/// Secrets and ranges are those of all stores; of options and origins the first store's stands.
pub(super) fn merge<'a>(catalogs: impl IntoIterator<Item = &'a Catalog>) -> Catalog {
    let mut all = Catalog::default();
    for catalog in catalogs {
        for (name, realm) in &catalog.realms {
            match all.realms.entry(name.clone()) {
                Entry::Vacant(vacant) => drop(vacant.insert(realm.clone())),
                Entry::Occupied(mut occupied) => add(occupied.get_mut(), realm),
            }
        }
        for (origin, realm) in &catalog.origins {
            all.origins.entry(origin.clone()).or_insert_with(|| realm.clone());
        }
        let left = MOST_ENDED.saturating_sub(all.ended.len());
        all.ended.extend(catalog.ended.iter().take(left).cloned());
    }
    all
}

fn add(realm: &mut StoredRealm, more: &StoredRealm) {
    join(&mut realm.secrets, &more.secrets);
    join(&mut realm.allowed_peers, &more.allowed_peers);
    join(&mut realm.denied_peers, &more.denied_peers);
    realm.max_bps = realm.max_bps.or(more.max_bps);
    realm.total_quota = realm.total_quota.or(more.total_quota);
    realm.user_quota = realm.user_quota.or(more.user_quota);
}

fn join<T: Clone + PartialEq>(all: &mut Vec<T>, more: &[T]) {
    for item in more {
        if !all.contains(item) {
            all.push(item.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zeroize::Zeroizing;

    #[test]
    fn secrets_of_all_stores_count_and_options_of_the_first() {
        let first = realm(&["a", "b"], Some(1), None);
        let second = realm(&["b", "c"], Some(2), Some(3));
        let all = merge([&first, &second]);
        let realm = all.realms.get("example.org").unwrap();
        let secrets: Vec<&str> = realm.secrets.iter().map(|secret| secret.as_str()).collect();
        assert_eq!(secrets, ["a", "b", "c"]);
        assert_eq!((realm.max_bps, realm.total_quota), (Some(1), Some(3)));
    }

    #[test]
    fn an_origin_leads_where_the_first_store_says() {
        let origin = |realm: &str| Catalog {
            origins: [("https://a.example".to_owned(), realm.to_owned())].into(),
            ..Catalog::default()
        };
        let all = merge([&origin("one"), &origin("two")]);
        assert_eq!(all.origins.get("https://a.example").unwrap(), "one");
    }

    #[test]
    fn ended_credentials_stay_bounded() {
        let ended = (0..8_000).map(|number| ("r".to_owned(), number.to_string())).collect();
        let catalog = Catalog { ended, ..Catalog::default() };
        assert_eq!(merge([&catalog, &catalog]).ended.len(), MOST_ENDED);
    }

    fn realm(secrets: &[&str], max_bps: Option<u64>, total_quota: Option<u64>) -> Catalog {
        let secrets = secrets.iter().map(|secret| Zeroizing::new((*secret).to_owned())).collect();
        let realm = StoredRealm { secrets, max_bps, total_quota, ..StoredRealm::default() };
        Catalog { realms: [("example.org".to_owned(), realm)].into(), ..Catalog::default() }
    }
}
