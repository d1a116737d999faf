//! A tenant: those users of a realm whose time-limited credentials one shared secret has made.
//!
//! A tenant has a quota and a bandwidth of its own, so that one application of an operator cannot
//! use up what another needs.

use crate::rate::Bandwidth;
use crate::realm::PerUser;

/// One tenant of a realm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    /// Its name in logs and metrics.
    pub name: Box<str>,
    /// What it may use.
    pub limits: TenantLimits,
}

/// Limits of one tenant; `None` is "off" for what all of it shares, and the realm's limit for what
/// each of its users and allocations may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TenantLimits {
    /// Allocations of the tenant.
    pub allocations: Option<u32>,
    /// Payload of the tenant, each direction.
    pub bandwidth: Option<Bandwidth>,
    /// Allocations of one of its users.
    pub allocations_per_user: Option<PerUser>,
    /// Payload of one of its allocations, each direction; `Some(None)` is "off".
    pub bandwidth_per_allocation: Option<Option<Bandwidth>>,
    /// Payload of one of its users, each direction; `Some(None)` is "off".
    pub bandwidth_per_user: Option<Option<Bandwidth>>,
}
