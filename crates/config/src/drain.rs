//! `[drain]`: how the server stops while calls are live.

use std::time::Duration;

use toml::de::DeValue;

use crate::complaint::Complaint;
use crate::reader::Section;
use crate::values;

/// How long live allocations are waited for before the server stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drain {
    /// How long a stop by SIGTERM or SIGINT waits for them, at most 7 d. Default: 0 s.
    pub on_term: Duration,
    /// How long a drain waits for them, 1 s to 7 d. Default: 10 min.
    pub deadline: Duration,
    /// The number of live allocations at which either ends earlier. Default: 0.
    pub min_allocations: u32,
}

impl Default for Drain {
    fn default() -> Self {
        Self { on_term: Duration::ZERO, deadline: Duration::from_secs(600), min_allocations: 0 }
    }
}

impl Drain {
    pub(crate) fn read(section: &mut Section<'_, '_>) -> Self {
        let default = Self::default();
        Self {
            on_term: section
                .value("on_term", |value| values::duration(value, Duration::ZERO, LONGEST))
                .unwrap_or(default.on_term),
            deadline: section
                .value("deadline", |value| values::duration(value, SHORTEST, LONGEST))
                .unwrap_or(default.deadline),
            min_allocations: section
                .value("min_allocations", min_allocations)
                .unwrap_or(default.min_allocations),
        }
    }
}

fn min_allocations(value: &DeValue<'_>) -> Result<u32, Complaint> {
    values::number(value, 0, u32::MAX)
}

/// Less would be a stop, which needs no key.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(7 * 86_400);
