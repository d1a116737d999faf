//! `auth.secrets`: shared secrets of time-limited credentials, and the tenants that they name.

use std::ops::Range;

use toml::de::DeValue;

use crate::bit_rate::BitRate;
use crate::complaint::Complaint;
use crate::limit::Limit;
use crate::limits::{self, AllocationsPerUser};
use crate::reader::{Section, Value};
use crate::secret::Secret;
use crate::values;

/// A secret from which an application makes time-limited credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedSecret {
    /// The secret: not empty, no control characters.
    pub secret: Secret,
    /// The tenant of whoever comes with it, 1 to 64 characters. Several secrets may name the same
    /// one, so that one of them can be rotated out. Default: none.
    pub tenant: Option<String>,
    /// What all users of the tenant take together, and each of them; the same in all secrets of a
    /// tenant, and the default where there is none.
    pub limits: TenantLimits,
}

/// How much a tenant may take, and each of its users.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TenantLimits {
    /// Allocations of the tenant, at least 1. Default: off.
    pub allocations: Limit<u32>,
    /// Payload of the tenant, each direction on its own. Default: off.
    pub bandwidth: Limit<BitRate>,
    /// Allocations of each of its users. Default: as the realm has it.
    pub allocations_per_user: Option<AllocationsPerUser>,
    /// Payload of each of its allocations. Default: as the realm has it.
    pub bandwidth_per_allocation: Option<Limit<BitRate>>,
    /// Payload of each of its users. Default: as the realm has it.
    pub bandwidth_per_user: Option<Limit<BitRate>>,
}

impl Default for TenantLimits {
    fn default() -> Self {
        Self {
            allocations: Limit::Off,
            bandwidth: Limit::Off,
            allocations_per_user: None,
            bandwidth_per_allocation: None,
            bandwidth_per_user: None,
        }
    }
}

impl SharedSecret {
    /// A secret of no tenant.
    pub fn new(secret: impl Into<String>) -> Self {
        Self { secret: Secret::new(secret), tenant: None, limits: TenantLimits::default() }
    }

    pub(crate) fn read_all(section: &mut Section<'_, '_>) -> Vec<Self> {
        let Some(value) = section.hidden_but("secrets", &["limits"]) else {
            return Vec::new();
        };
        let Some(items) = value.get_ref().as_array() else {
            let help = "put it in brackets: secrets = [\"...\"]";
            let complaint = Complaint::wrong_type("a list", value.get_ref(), help);
            section.complain("secrets", value.span(), complaint);
            return Vec::new();
        };
        let read: Vec<Entry> = items.iter().filter_map(|item| Entry::read(section, item)).collect();
        judge(section, &read);
        let limits_of = |tenant: &Option<String>| {
            let mut same = read.iter().filter(|other| other.tenant == *tenant);
            same.find_map(|other| other.limits.as_ref().map(|(limits, _)| *limits))
        };
        let shared = read.iter().map(|entry| Self {
            secret: entry.secret.clone(),
            tenant: entry.tenant.clone(),
            limits: entry
                .tenant
                .as_ref()
                .and_then(|_| limits_of(&entry.tenant))
                .unwrap_or_default(),
        });
        shared.collect()
    }
}

/// One secret as the file has it.
struct Entry {
    secret: Secret,
    tenant: Option<String>,
    /// The limits, where they are written, with their place.
    limits: Option<(TenantLimits, Range<usize>)>,
    span: Range<usize>,
}

impl Entry {
    /// Reads `"..."`, `{ secret = "..." }` or `{ secret_file = "..." }`.
    fn read(section: &mut Section<'_, '_>, item: &Value<'_>) -> Option<Self> {
        let span = item.span();
        let Some(table) = item.get_ref().as_table() else {
            let secret = secret_value(item.get_ref())
                .map_err(|complaint| section.complain("secrets", span.clone(), complaint))
                .ok()?;
            return Some(Self { secret, tenant: None, limits: None, span });
        };
        section.item("secrets", table, span.clone()).run(|section| {
            let secret = read_secret(section);
            let tenant = section.value("tenant", tenant);
            let limits = section.has("limits").then(|| {
                let read = section.table("limits", TenantLimits::read);
                (read, section.span_of("limits"))
            });
            if let (false, Some((_, span))) = (section.has("tenant"), &limits) {
                let complaint = Complaint::new(
                    "limits of a secret without a tenant",
                    "add the name of its tenant: tenant = \"app\"",
                );
                section.complain("limits", span.clone(), complaint);
            }
            Some(Self { secret: secret?, tenant, limits, span })
        })
    }
}

fn read_secret(section: &mut Section<'_, '_>) -> Option<Secret> {
    let written = section.value("secret", secret_value);
    let file = section.value("secret_file", |value| {
        values::path(value, "turn.secret", "the file that holds the secret")
    });
    let (has_text, has_file) = (section.has("secret"), section.has("secret_file"));
    if has_text && has_file {
        let complaint =
            Complaint::new("both a secret and a file with one", "remove one of the two");
        section.complain("secret_file", section.span_of("secret_file"), complaint);
    } else if !has_text && !has_file {
        let complaint = Complaint::new(
            "no secret in it",
            "write { secret = \"...\" }, or { secret_file = \"turn.secret\" }",
        );
        section.complain("secret", section.span(), complaint);
    }
    let Some(file) = file else {
        return written;
    };
    let read = section.include(&file).and_then(|text| {
        let text = text.strip_suffix('\n').unwrap_or(&text);
        secret_text(text.strip_suffix('\r').unwrap_or(text), "secret")
    });
    read.map_err(|complaint| {
        section.complain("secret_file", section.span_of("secret_file"), complaint);
    })
    .ok()
}

/// Refuses secrets of two tenants, and tenants of two minds.
fn judge(section: &mut Section<'_, '_>, read: &[Entry]) {
    for (index, entry) in read.iter().enumerate() {
        let earlier = read.get(..index).unwrap_or_default();
        if earlier.iter().any(|other| other.secret == entry.secret && other.tenant != entry.tenant)
        {
            let complaint = Complaint::new(
                "the same secret for two tenants",
                "give each tenant a secret of its own",
            );
            section.complain("secrets", entry.span.clone(), complaint);
        }
        let Some((limits, span)) = &entry.limits else { continue };
        let Some(tenant) = &entry.tenant else { continue };
        let contradicted = earlier
            .iter()
            .filter(|other| other.tenant.as_ref() == Some(tenant))
            .filter_map(|other| other.limits.as_ref())
            .find(|(other, _)| other != limits);
        if let Some((_, first)) = contradicted {
            let complaint = Complaint::new(
                format!("other limits for tenant \"{}\" than", tenant.escape_debug()),
                "write the limits of a tenant once, with one of its secrets",
            );
            section.complain("secrets.limits", span.clone(), complaint.than_at(first.start));
        }
    }
}

impl TenantLimits {
    fn read(section: &mut Section<'_, '_>) -> Self {
        let default = Self::default();
        Self {
            allocations: section.value("allocations", limits::count).unwrap_or(default.allocations),
            bandwidth: section.value("bandwidth", limits::bandwidth).unwrap_or(default.bandwidth),
            allocations_per_user: section.value("allocations_per_user", AllocationsPerUser::read),
            bandwidth_per_allocation: section.value("bandwidth_per_allocation", limits::bandwidth),
            bandwidth_per_user: section.value("bandwidth_per_user", limits::bandwidth),
        }
    }
}

/// The name of a tenant.
pub(crate) fn tenant(value: &DeValue<'_>) -> Result<String, Complaint> {
    let text = values::text(value, "app")?;
    if text.is_empty() || text.chars().count() > 64 || text.contains(char::is_control) {
        return Err(Complaint::new(
            "not a tenant's name",
            "a name has 1 to 64 characters and no control characters, such as \"app\"",
        ));
    }
    Ok(text.to_owned())
}

fn secret_value(value: &DeValue<'_>) -> Result<Secret, Complaint> {
    match value.as_str() {
        Some(text) => secret_text(text, "secret"),
        None => Err(Complaint::wrong_type("a string", value, "write it in quotes")),
    }
}

/// Text that can be a password or secret; `noun` says which.
pub(crate) fn secret_text(text: &str, noun: &str) -> Result<Secret, Complaint> {
    if text.is_empty() {
        return Err(Complaint::new(
            format!("an empty {noun} protects nothing"),
            format!("write a {noun}, such as one that `openssl rand -hex 24` prints"),
        ));
    }
    if text.contains(char::is_control) {
        return Err(Complaint::new(
            format!("a {noun} has no control characters"),
            "remove the tab, line end or other control character from it",
        ));
    }
    Ok(Secret::new(text))
}
