//! What the configuration leaves open and the server learns while it runs: what credential stores
//! say of realms, and the public addresses of this host.
//!
//! A configuration becomes [`Settings`] first; what was learned is laid over them, at the start, at
//! every reload and whenever something new is learned.

use std::net::IpAddr;
use std::sync::Arc;

use turn_coturn::stored_peers;
use turn_engine::{Bandwidth, PeerPolicy, PeerRule, PerUser, RealmLimits, RelayAddress, Settings};
use turn_users::{Catalog, StoredRealm};

use crate::settings::peer_rule;

/// Everything learned so far.
#[derive(Debug, Clone, Default)]
pub struct Learned {
    /// What the stores say.
    pub catalog: Arc<Catalog>,
    /// Relay addresses and what the world calls them.
    pub public: Vec<Public>,
}

/// A relay address behind a public one that nobody has written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Public {
    /// Where sockets are bound.
    pub bound: IpAddr,
    /// What clients are told.
    pub advertised: IpAddr,
    /// What they were told before, the latest first; peers may still be known by these.
    pub former: Vec<IpAddr>,
}

/// Former public addresses of one relay address that are remembered.
const FORMER: usize = 4;

impl Learned {
    /// Lays what was learned over `settings`.
    pub fn teach(&self, settings: &mut Settings) {
        settings.relay.addresses = self.relay(&settings.relay.addresses);
        for public in &self.public {
            for realm in &mut settings.realms {
                let all = std::iter::once(&public.advertised).chain(&public.former);
                let new = all.filter(|address| !realm.peers.own.contains(address)).copied();
                let new: Vec<IpAddr> = new.collect();
                realm.peers.own.extend(new);
            }
        }
        // coturn's rows without a realm: peers of all realms, options of the default one.
        let of_nobody = self.catalog.realms.get("");
        if let Some((default, stored)) = settings.realms.first_mut().zip(of_nobody) {
            set_limits(&mut default.limits, stored);
        }
        for realm in settings.realms.iter_mut().filter(|realm| !realm.is_removed) {
            if let Some(stored) = of_nobody {
                add_peers(&mut realm.peers, stored);
            }
            let stored = Some(&*realm.name).filter(|name| !name.is_empty());
            let Some(stored) = stored.and_then(|name| self.catalog.realms.get(name)) else {
                continue;
            };
            for secret in &stored.secrets {
                realm.keyring.add_secret(secret.as_bytes(), None);
            }
            add_peers(&mut realm.peers, stored);
            set_limits(&mut realm.limits, stored);
        }
    }

    /// Relay addresses as they are advertised now.
    fn relay(&self, configured: &[RelayAddress]) -> Vec<RelayAddress> {
        let mut relays = configured.to_vec();
        for public in &self.public {
            for relay in relays.iter_mut().filter(|relay| relay.bound == public.bound) {
                relay.advertised = public.advertised;
                relay.former.clone_from(&public.former);
            }
        }
        relays
    }

    /// `found` are the public addresses of relay addresses now; says whether that is news.
    pub fn set_public(&mut self, found: &[(IpAddr, IpAddr)]) -> bool {
        let mut is_news = false;
        for &(bound, advertised) in found {
            match self.public.iter_mut().find(|public| public.bound == bound) {
                Some(public) if public.advertised == advertised => {}
                Some(public) => {
                    let before = std::mem::replace(&mut public.advertised, advertised);
                    public.former.retain(|former| *former != advertised && *former != before);
                    public.former.insert(0, before);
                    public.former.truncate(FORMER);
                    is_news = true;
                }
                None => {
                    self.public.push(Public { bound, advertised, former: Vec::new() });
                    is_news = true;
                }
            }
        }
        is_news
    }

    /// Forgets the public addresses of relay addresses that are not asked for any more: what is
    /// written about them holds.
    pub fn keep_public(&mut self, asked: &[IpAddr]) {
        self.public.retain(|public| asked.contains(&public.bound));
    }

    /// What to say of the stores' peer rules that do not mean what they seem to.
    pub fn remarks(&self, own: &[IpAddr]) -> Vec<String> {
        let mut remarks = Vec::new();
        for (name, stored) in &self.catalog.realms {
            let peers = stored_peers(&stored.allowed_peers, &stored.denied_peers, own);
            let of_realm = peers.remarks.iter();
            remarks.extend(
                of_realm.map(|remark| format!("a credential store, realm {name:?}: {remark}")),
            );
        }
        remarks
    }
}

/// In coturn's tables allowing beats denying; what the configuration denies stays denied.
fn add_peers(policy: &mut PeerPolicy, stored: &StoredRealm) {
    let peers = stored_peers(&stored.allowed_peers, &stored.denied_peers, &policy.own);
    let add = |rules: &mut Vec<PeerRule>, more: &[turn_config::PeerRule]| {
        rules.extend(more.iter().filter_map(peer_rule));
    };
    add(&mut policy.allow, &peers.allow);
    add(&mut policy.deny, &peers.deny);
}

/// What a store says of a realm takes the place of what the configuration says.
fn set_limits(limits: &mut RealmLimits, stored: &StoredRealm) {
    let count = |quota: u64| (quota > 0).then(|| u32::try_from(quota).unwrap_or(u32::MAX));
    if let Some(quota) = stored.total_quota {
        limits.allocations = count(quota);
    }
    if let Some(quota) = stored.user_quota {
        limits.allocations_per_user = count(quota).map_or(PerUser::Off, PerUser::Count);
    }
    if let Some(bytes_per_second) = stored.max_bps {
        limits.bandwidth_per_allocation =
            (bytes_per_second > 0).then_some(Bandwidth { bytes_per_second });
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::indexing_slicing, reason = "a test fails by panicking")]

    use turn_engine::Realm;

    use super::*;

    #[test]
    fn an_address_that_changed_is_remembered() {
        let mut learned = Learned::default();
        let bound: IpAddr = [10, 0, 0, 7].into();
        let public = |last| IpAddr::from([203, 0, 113, last]);
        assert!(learned.set_public(&[(bound, public(1))]));
        assert!(!learned.set_public(&[(bound, public(1))]));
        assert!(learned.set_public(&[(bound, public(2))]));
        let mut settings = Settings::default();
        settings.relay.addresses = vec![RelayAddress::new(bound, bound)];
        learned.teach(&mut settings);
        assert_eq!(settings.relay.addresses[0].advertised, public(2));
        assert_eq!(settings.relay.addresses[0].former, [public(1)]);
        let own = &settings.realms[0].peers.own;
        assert!(own.contains(&public(1)) && own.contains(&public(2)));
        // Back to the first one.
        assert!(learned.set_public(&[(bound, public(1))]));
        assert_eq!(learned.public[0].former, [public(2)]);
        // What is written from now on holds.
        learned.keep_public(&[]);
        settings.relay.addresses = vec![RelayAddress::new(bound, public(9))];
        learned.teach(&mut settings);
        assert_eq!(settings.relay.addresses[0].advertised, public(9));
    }

    #[test]
    fn a_stores_realm_is_laid_over_the_configured_one_and_over_no_other() {
        let stored = StoredRealm {
            secrets: vec!["a secret".to_owned().into()],
            denied_peers: vec!["9.0.0.0-9.255.255.255".to_owned()],
            allowed_peers: vec!["9.1.0.0-9.1.255.255".to_owned()],
            max_bps: Some(64_000),
            user_quota: Some(0),
            total_quota: Some(7),
        };
        let realms = [("a".to_owned(), stored)].into();
        let catalog = Arc::new(Catalog { realms, ..Catalog::default() });
        let mut settings =
            Settings { realms: vec![Realm::new("a"), Realm::new("b")], ..Settings::default() };
        Learned { catalog, ..Learned::default() }.teach(&mut settings);
        let [a, b] = &settings.realms[..] else { panic!("two realms") };
        assert!(!a.keyring.is_empty() && b.keyring.is_empty());
        assert_eq!((a.limits.allocations, a.limits.allocations_per_user), (Some(7), PerUser::Off));
        let bandwidth = Some(Bandwidth { bytes_per_second: 64_000 });
        assert_eq!(
            (a.limits.bandwidth_per_allocation, b.limits.bandwidth_per_allocation),
            (bandwidth, None)
        );
        let denies =
            |address: [u8; 4]| a.peers.deny.iter().any(|rule| rule.range.contains(address.into()));
        assert!(denies([9, 0, 0, 1]) && !denies([9, 1, 2, 3]) && denies([9, 2, 0, 0]));
        assert!(b.peers.deny.is_empty());
    }
}
