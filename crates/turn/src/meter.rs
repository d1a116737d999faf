//! Bandwidth of an allocation, its user, its tenant, its realm and the process.
//!
//! RFC 8656 section 5 lets a server limit bandwidth by dropping. Payload bytes,
//! each direction on its own; excess is dropped and never queued. The bucket of
//! an allocation is its own; the others are shared, and what is taken out of
//! them is leased 10 ms at a time, so that a packet seldom touches shared memory.

use std::time::{Duration, Instant};

use crate::allocation::Owner;
use crate::buckets::{Buckets, Purpose};
use crate::limit_name::LimitName;
use crate::rate::{Bandwidth, Bucket};
use crate::settings::Settings;

/// Which way payload flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the client to a peer.
    Up,
    /// From a peer to the client.
    Down,
}

const LEASE: Duration = Duration::from_millis(10);

/// What an allocation has left, of its own and of what it shares.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    up: Flow,
    down: Flow,
}

#[derive(Debug, Default)]
struct Flow {
    own: Option<Bucket>,
    user: Lease,
    tenant: Lease,
    realm: Lease,
    process: Lease,
}

/// Bytes taken out of a shared bucket in advance: at most what flowed in the last 10 ms or so, since
/// many who are quiet would otherwise hold all that the few who are not have need of.
#[derive(Debug, Default)]
struct Lease {
    bytes: u64,
    /// What the last refill took, and when.
    refill: Option<(u64, Instant)>,
    empty_until: Option<Instant>,
}

/// The bandwidth limits that bind an account.
#[derive(Debug, Clone, Copy)]
struct Rates {
    allocation: Rate,
    user: Rate,
    tenant: Rate,
    realm: Rate,
    process: Rate,
}

#[derive(Debug, Clone, Copy)]
struct Rate {
    limit: Option<Bandwidth>,
    name: LimitName,
}

impl Meter {
    /// Whether any limit is on, so that an allocation needs a meter at all.
    pub(crate) fn is_needed(settings: &Settings, owner: &Owner) -> bool {
        let Rates { allocation, user, tenant, realm, process } = Rates::of(settings, owner);
        [allocation, user, tenant, realm, process].iter().any(|rate| rate.limit.is_some())
    }

    /// Counts `bytes`, or names the limit that they would exceed and counts nothing.
    pub(crate) fn admit(
        &mut self,
        direction: Direction,
        bytes: usize,
        owner: &Owner,
        settings: &Settings,
        shared: &Buckets,
        now: Instant,
    ) -> Result<(), LimitName> {
        let bytes = bytes as u64;
        let (flow, of_user, of_tenant, of_realm, of_process) = match direction {
            Direction::Up => (
                &mut self.up,
                Purpose::UserUp,
                Purpose::TenantUp,
                Purpose::RealmUp,
                Purpose::ProcessUp,
            ),
            Direction::Down => (
                &mut self.down,
                Purpose::UserDown,
                Purpose::TenantDown,
                Purpose::RealmDown,
                Purpose::ProcessDown,
            ),
        };
        let (rates, account) = (Rates::of(settings, owner), &owner.account);
        if let Some(limit) = rates.allocation.limit {
            let bucket = flow.own.get_or_insert_with(|| Bucket::full(limit.burst(), now));
            if !bucket.take(bytes, limit.bytes_per_second, limit.burst(), now) {
                return Err(rates.allocation.name);
            }
        }
        let realm = u64::from(account.realm.0);
        let tenant = realm << 16 | account.tenant.map_or(0, |tenant| u64::from(tenant.0));
        let mut shares = [
            (rates.user, &mut flow.user, of_user, account.hash),
            (rates.tenant, &mut flow.tenant, of_tenant, tenant),
            (rates.realm, &mut flow.realm, of_realm, realm),
            (rates.process, &mut flow.process, of_process, 0),
        ];
        let refused = shares.iter_mut().position(|(rate, lease, purpose, key)| {
            rate.limit.is_some_and(|limit| {
                !lease.take(bytes, limit, now, |bytes| {
                    shared.take_bytes(*purpose, *key, limit, bytes, now)
                })
            })
        });
        let Some(refused) = refused else { return Ok(()) };
        // A stream asks again for the same bytes: what one limit refuses costs the others nothing.
        for (_, lease, ..) in
            shares.iter_mut().take(refused).filter(|(rate, ..)| rate.limit.is_some())
        {
            lease.bytes += bytes;
        }
        if let (Some(_), Some(own)) = (rates.allocation.limit, &mut flow.own) {
            own.put_back(bytes);
        }
        Err(shares.get(refused).map_or(rates.process.name, |(rate, ..)| rate.name))
    }
}

impl Rates {
    fn of(settings: &Settings, owner: &Owner) -> Self {
        let account = &owner.account;
        let id = account.realm;
        let realm = settings.realm(id);
        let of_realm = |limit, key| Rate { limit, name: LimitName::of_realm(id, key) };
        let limits = &realm.limits;
        let mut rates = Self {
            allocation: of_realm(limits.bandwidth_per_allocation, "bandwidth_per_allocation"),
            user: of_realm(limits.bandwidth_per_user, "bandwidth_per_user"),
            tenant: of_realm(None, "bandwidth"),
            realm: of_realm(limits.bandwidth_per_realm, "bandwidth_per_realm"),
            process: Rate {
                limit: settings.limits.bandwidth,
                name: LimitName::of_process("bandwidth"),
            },
        };
        if let (Some(tenant), Some(place)) = (realm.tenant(account.tenant), account.tenant) {
            let of_tenant = |limit, key| Rate { limit, name: LimitName::of_tenant(id, place, key) };
            let limits = &tenant.limits;
            rates.tenant = of_tenant(limits.bandwidth, "auth.secrets.limits.bandwidth");
            if let Some(limit) = limits.bandwidth_per_allocation {
                let key = "auth.secrets.limits.bandwidth_per_allocation";
                rates.allocation = of_tenant(limit, key);
            }
            if let Some(limit) = limits.bandwidth_per_user {
                rates.user = of_tenant(limit, "auth.secrets.limits.bandwidth_per_user");
            }
        }
        if let Some(limits) = &owner.limits {
            let key = "auth.stores.limits.bandwidth_per_allocation";
            let own = of_realm(limits.bandwidth_per_allocation, key);
            rates.allocation = rates.allocation.or_smaller(own);
            let own = of_realm(limits.bandwidth, "auth.stores.limits.bandwidth");
            rates.user = rates.user.or_smaller(own);
        }
        rates
    }
}

impl Rate {
    fn or_smaller(self, other: Self) -> Self {
        let is_smaller = |other: Bandwidth| {
            self.limit.is_none_or(|limit| other.bytes_per_second < limit.bytes_per_second)
        };
        if other.limit.is_some_and(is_smaller) { other } else { self }
    }
}

impl Lease {
    fn take(
        &mut self,
        bytes: u64,
        limit: Bandwidth,
        now: Instant,
        lease: impl Fn(u64) -> Option<u64>,
    ) -> bool {
        if self.bytes < bytes {
            if self.empty_until.is_some_and(|until| now < until) {
                return false;
            }
            let missing = bytes - self.bytes;
            let share = self.next_share(limit, now).max(missing);
            let granted = [share, missing].into_iter().find_map(lease);
            let Some(granted) = granted else {
                self.refill = None;
                self.empty_until = Some(now + LEASE);
                return false;
            };
            self.bytes += granted;
            self.refill = Some((granted, now));
            self.empty_until = None;
        }
        self.bytes -= bytes;
        true
    }

    /// Twice the last refill if that did not last for 10 ms, half of it if it did; 10 ms of the
    /// limit at most.
    fn next_share(&self, limit: Bandwidth, now: Instant) -> u64 {
        let Some((last, at)) = self.refill else { return 0 };
        let most = u64::try_from(u128::from(limit.bytes_per_second) * LEASE.as_millis() / 1_000);
        let lasted = now.saturating_duration_since(at);
        let next = if lasted < LEASE { last.saturating_mul(2) } else { last / 2 };
        next.min(most.unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test needs some instant to start from")]
mod tests {
    use super::*;
    use crate::allocation::Account;
    use crate::found_user::UserLimits;
    use crate::id::{RealmId, TenantId};
    use crate::realm::RealmLimits;
    use crate::tenant::{Tenant, TenantLimits};

    const ANN: Account =
        Account { hash: 1, realm: RealmId(0), tenant: None, is_time_limited: false };

    fn owner(account: Account) -> Owner {
        let (name, key, expiry) = ("ann".into(), None, None);
        Owner { name, account, key, expiry, limits: None, marks: None }
    }

    /// Settings whose default realm has these limits, and one tenant with those.
    fn settings(limits: RealmLimits, tenant: TenantLimits) -> Settings {
        let mut settings = Settings::default();
        settings.realms[0].limits = limits;
        settings.realms[0].tenants = vec![Tenant { name: "app".into(), limits: tenant }];
        settings
    }

    fn of_realm(limits: RealmLimits) -> Settings {
        settings(limits, TenantLimits::default())
    }

    /// Bytes that pass within `seconds`, when far more is offered.
    fn passed(settings: &Settings, owner: &Owner, meters: &mut [Meter], seconds: u64) -> u64 {
        let start = Instant::now();
        let shared = Buckets::new(start);
        let mut bytes = 0;
        for millisecond in 0..seconds * 1_000 {
            let now = start + Duration::from_millis(millisecond);
            for meter in &mut *meters {
                for _ in 0..10 {
                    if meter.admit(Direction::Up, 1_000, owner, settings, &shared, now).is_ok() {
                        bytes += 1_000;
                    }
                }
            }
        }
        bytes
    }

    fn limit() -> Option<Bandwidth> {
        Some(Bandwidth { bytes_per_second: 1_000_000 })
    }

    #[test]
    fn allocation_gets_its_rate_and_one_burst() {
        let limits = RealmLimits { bandwidth_per_allocation: limit(), ..RealmLimits::default() };
        let bytes = passed(&of_realm(limits), &owner(ANN), &mut [Meter::default()], 10);
        assert!((10_000_000..=10_260_000).contains(&bytes), "{bytes}");
    }

    #[test]
    fn allocations_of_one_user_share_its_rate() {
        let limits = RealmLimits { bandwidth_per_user: limit(), ..RealmLimits::default() };
        let mut meters: Vec<_> = (0..4).map(|_| Meter::default()).collect();
        let bytes = passed(&of_realm(limits), &owner(ANN), &mut meters, 10);
        assert!((9_500_000..=10_400_000).contains(&bytes), "{bytes}");
    }

    #[test]
    fn r18_many_quiet_allocations_hold_nothing_back_from_a_busy_one() {
        let limits = RealmLimits { bandwidth_per_realm: limit(), ..RealmLimits::default() };
        let settings = of_realm(limits);
        let start = Instant::now();
        let shared = Buckets::new(start);
        let ann = owner(ANN);
        let mut meters: Vec<_> = (0..1_000).map(|_| Meter::default()).collect();
        let mut admit = |at: usize, bytes, now| {
            let meter = meters.get_mut(at).expect("one of them");
            meter.admit(Direction::Up, bytes, &ann, &settings, &shared, now)
        };
        // Half of the limit each: 999 in turn, and one.
        for millisecond in 0..5_000_usize {
            let now = start + Duration::from_millis(millisecond as u64);
            assert_eq!(admit(millisecond % 999, 400, now), Ok(()), "at {millisecond} ms");
            assert_eq!(admit(999, 500, now), Ok(()), "at {millisecond} ms");
        }
    }

    #[test]
    fn process_limit_of_many_slow_flows_is_its_limit() {
        let process = Some(Bandwidth { bytes_per_second: 125_000_000 });
        let settings = of_realm(RealmLimits::default());
        let limits = crate::settings::Limits { bandwidth: process, ..settings.limits.clone() };
        let settings = Settings { limits, ..settings };
        let start = Instant::now();
        let shared = Buckets::new(start);
        let ann = owner(ANN);
        let mut meters: Vec<_> = (0..20_000).map(|_| Meter::default()).collect();
        let mut passed = 0;
        // Fifty packets a second each, which is twice the limit.
        for millisecond in 0..600_usize {
            let now = start + Duration::from_millis(millisecond as u64);
            for meter in meters.iter_mut().skip(millisecond % 20).step_by(20) {
                if meter.admit(Direction::Up, 240, &ann, &settings, &shared, now).is_ok() {
                    passed += 240;
                }
            }
        }
        let expected = 125_000_000 * 6 / 10 + 125_000_000 / 4;
        assert!((expected * 9 / 10..=expected * 11 / 10).contains(&passed), "{passed}");
    }

    #[test]
    fn a_steady_flow_seldom_asks_for_more() {
        let start = Instant::now();
        let mut lease = Lease::default();
        let asked = std::cell::Cell::new(0);
        for millisecond in 0..1_000 {
            let now = start + Duration::from_millis(millisecond);
            assert!(lease.take(160, Bandwidth { bytes_per_second: 1_000_000 }, now, |bytes| {
                asked.set(asked.get() + 1);
                Some(bytes)
            }));
        }
        assert!(asked.get() < 200, "{} times for 1,000 packets", asked.get());
    }

    #[test]
    fn tenant_has_its_own_rate_and_its_users_may_have_more_than_the_realms() {
        let limits = RealmLimits {
            bandwidth_per_user: Some(Bandwidth { bytes_per_second: 100_000 }),
            ..RealmLimits::default()
        };
        let of_tenant = TenantLimits {
            bandwidth: limit(),
            bandwidth_per_user: Some(None),
            ..TenantLimits::default()
        };
        let settings = settings(limits, of_tenant);
        let member = Account { tenant: Some(TenantId(0)), ..ANN };
        let mut meters: Vec<_> = (0..4).map(|_| Meter::default()).collect();
        let bytes = passed(&settings, &owner(member), &mut meters, 10);
        assert!((9_500_000..=10_400_000).contains(&bytes), "{bytes}");
        let bytes = passed(&settings, &owner(ANN), &mut [Meter::default()], 10);
        assert!((950_000..=1_100_000).contains(&bytes), "{bytes}");
    }

    #[test]
    fn meter_is_needed_where_a_limit_binds_the_account() {
        let none = of_realm(RealmLimits::default());
        assert!(!Meter::is_needed(&none, &owner(ANN)));
        let process = Settings {
            limits: crate::settings::Limits { bandwidth: limit(), ..none.limits.clone() },
            ..none
        };
        assert!(Meter::is_needed(&process, &owner(ANN)));
        let bandwidth = TenantLimits { bandwidth: limit(), ..TenantLimits::default() };
        let of_tenant = settings(RealmLimits::default(), bandwidth);
        assert!(!Meter::is_needed(&of_tenant, &owner(ANN)));
        let member = owner(Account { tenant: Some(TenantId(0)), ..ANN });
        assert!(Meter::is_needed(&of_tenant, &member));
    }

    #[test]
    fn smaller_of_the_realms_limit_and_the_users_own_binds() {
        let own = |bytes_per_second| {
            let bandwidth = Some(Bandwidth { bytes_per_second });
            let limits = UserLimits { bandwidth, ..UserLimits::default() }.shared();
            Owner { limits, ..owner(ANN) }
        };
        let per_user = RealmLimits { bandwidth_per_user: limit(), ..RealmLimits::default() };
        let bound = of_realm(per_user);
        let free = of_realm(RealmLimits::default());
        for (settings, own, expected) in [
            (&bound, own(100_000), 950_000..=1_100_000),
            (&bound, own(5_000_000), 9_500_000..=10_400_000),
            (&free, own(1_000_000), 9_500_000..=10_400_000),
        ] {
            assert!(Meter::is_needed(settings, &own));
            // All allocations of the user share it.
            let mut meters: Vec<_> = (0..4).map(|_| Meter::default()).collect();
            let bytes = passed(settings, &own, &mut meters, 10);
            assert!(expected.contains(&bytes), "{bytes}");
        }
        let of_one = UserLimits { bandwidth_per_allocation: limit(), ..UserLimits::default() };
        let own = Owner { limits: of_one.shared(), ..owner(ANN) };
        let mut meters: Vec<_> = (0..2).map(|_| Meter::default()).collect();
        let bytes = passed(&free, &own, &mut meters, 10);
        assert!((19_500_000..=20_800_000).contains(&bytes), "{bytes}");
    }

    #[test]
    fn directions_do_not_share() {
        let limits = RealmLimits { bandwidth_per_allocation: limit(), ..RealmLimits::default() };
        let settings = of_realm(limits);
        let start = Instant::now();
        let shared = Buckets::new(start);
        let (mut meter, ann) = (Meter::default(), owner(ANN));
        while meter.admit(Direction::Up, 1_000, &ann, &settings, &shared, start).is_ok() {}
        assert!(meter.admit(Direction::Down, 1_000, &ann, &settings, &shared, start).is_ok());
    }
}
