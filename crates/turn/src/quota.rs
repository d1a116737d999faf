//! Which quotas bind an Allocate request, and the unit that it takes of each.
//!
//! RFC 8656 section 7.2, check 10: a quota that is reached is 486. Of process, realm, tenant, user
//! and source each has its own, and the name of the one that refuses goes to the log.

use crate::allocation::Owner;
use crate::ledger::{Permit, Quota, QuotaReached};
use crate::limit_name::LimitName;
use crate::link::{Link, SourcePrefix};
use crate::realm::PerUser;
use crate::reject::Reject;
use crate::workbench::Workbench;

impl Workbench<'_> {
    /// A unit of each quota for an allocation of `owner` by a client on `link`.
    pub(crate) fn admit(&self, link: &Link, owner: &Owner) -> Result<Permit, Reject> {
        let account = &owner.account;
        let limits = &self.settings.limits;
        let source = link.tuple.client.ip();
        let of_source = if limits.exempts(source) { None } else { limits.allocations_per_source };
        let realm = self.settings.realm(account.realm);
        let tenant = realm.tenant(account.tenant).map(|tenant| &tenant.limits);
        let of_tenant = tenant.and_then(|limits| limits.allocations_per_user);
        let user = match of_tenant.unwrap_or(realm.limits.allocations_per_user) {
            PerUser::Auto => account.is_time_limited.then_some(PerUser::AUTO),
            PerUser::Count(count) => Some(count),
            PerUser::Off => None,
        };
        // The smaller of the realm's limit and the user's own.
        let own = owner.limits.as_ref().and_then(|limits| limits.allocations);
        let binds_more = own.filter(|own| user.is_none_or(|of_realm| *own < of_realm));
        // [H18]
        let quota = Quota {
            all: limits.allocations,
            realm: realm.limits.allocations,
            tenant: tenant.and_then(|limits| limits.allocations),
            user: binds_more.or(user),
            source: of_source,
        };
        let prefix = SourcePrefix::of(source).bits();
        let in_realm = |key| LimitName::of_realm(account.realm, key);
        let in_tenant = |key, otherwise| match account.tenant {
            Some(tenant) => LimitName::of_tenant(account.realm, tenant, key),
            None => in_realm(otherwise),
        };
        self.shared.ledger.admit(account, prefix, quota).map_err(|reached| {
            Reject::Quota(match reached {
                QuotaReached::All => LimitName::of_process("allocations"),
                QuotaReached::Source => LimitName::of_process("allocations_per_source"),
                QuotaReached::Realm => in_realm("allocations"),
                QuotaReached::Tenant => in_tenant("auth.secrets.limits.allocations", "allocations"),
                QuotaReached::User if binds_more.is_some() => {
                    in_realm("auth.stores.limits.allocations")
                }
                QuotaReached::User if of_tenant.is_some() => {
                    in_tenant("auth.secrets.limits.allocations_per_user", "allocations_per_user")
                }
                QuotaReached::User => in_realm("allocations_per_user"),
            })
        })
    }
}
