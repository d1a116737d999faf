//! What was relayed for whom, from what shards report and from a look at what lives.
//!
//! ```text
//!   shard ── Report::Ended ──────────────> UsageFeed ──> Recorder (a thread of its own)
//!   every 5 s: a census of live allocations ──┘     └──> StatsDb (coturn's redis-statsdb)
//! ```

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::time::{MissedTickBehavior, interval};
use tracing::{info, warn};
use turn_config::{Config, Per as ConfiguredPer, Period as ConfiguredPeriod, UsagePath};
use turn_credentials::TimeLimitedName;
use turn_engine::{AllocationId, AllocationView, Marks, RealmId, Report, TenantId, Traffic};
use turn_usage::{AllocationKey, Ended, Live, Options, Party, Per, Period, Recorder, Threshold};
use turn_users::StoreError;

use crate::census::visit;
use crate::clock::unix_seconds;
use crate::issuing::TAG;
use crate::logging::{LogObserver, transport};
use crate::realms::Registry;
use crate::running::Running;
use crate::statistics::Statistics;

/// Who hears of allocations besides the log.
#[derive(Debug)]
pub struct UsageFeed {
    recorder: Option<Recorder>,
    statistics: Option<Arc<Statistics>>,
    /// What may be shown of addresses.
    log: Arc<LogObserver>,
    names: Mutex<Arc<Names>>,
}

/// How users are called.
#[derive(Debug, Default)]
struct Names {
    registry: Registry,
    /// What stands between expiry and userid, by the number of the realm.
    separators: Vec<char>,
}

/// How often live allocations are looked at: what a crash loses at most, together with the
/// recorder's own pause.
const LOOK: Duration = Duration::from_secs(4);

/// A number in front of a name is an expiry from here on (2001-09-09).
pub(crate) const FIRST_EXPIRY: u64 = 1_000_000_000;

impl UsageFeed {
    /// Keeps usage and publishes statistics where `config` wants it.
    ///
    /// # Errors
    /// The URL of `metrics.redis_statsdb` is of no use.
    pub fn start(config: &Config, log: Arc<LogObserver>) -> Result<Arc<Self>, StoreError> {
        let statistics = Statistics::start(config)?.map(Arc::new);
        let recorder = open(config);
        Ok(Arc::new(Self { recorder, statistics, log, names: Mutex::default() }))
    }

    /// What is kept, if anything is.
    pub fn recorder(&self) -> Option<&Recorder> {
        self.recorder.as_ref()
    }

    /// Goes by the names and options of `config` from now on.
    pub fn apply(&self, config: &Config, registry: &Registry) {
        let separator = |(name, _): (&str, &[String])| {
            let named = config.realms.iter().find(|realm| realm.name == name);
            named.map_or(config.auth.separator, |realm| realm.auth.separator)
        };
        let separators = registry.realms().map(separator).collect();
        *lock(&self.names) = Arc::new(Names { registry: registry.clone(), separators });
        if let Some(recorder) = &self.recorder {
            recorder.replace(options(config));
        }
    }

    /// Something was reported by a shard.
    pub fn hear(&self, report: &Report) {
        if let Some(statistics) = &self.statistics
            && let Report::Created { realm, .. } | Report::Ended { realm, .. } = report
        {
            statistics.hear(report, self.names().registry.realm_name(*realm));
        }
        let Some(recorder) = &self.recorder else { return };
        let Report::Ended {
            id,
            user,
            realm,
            tenant,
            link,
            relayed,
            peers,
            reason,
            traffic,
            age,
            marks,
        } = report
        else {
            return;
        };
        let now = unix_seconds(SystemTime::now());
        let redaction = self.log.redaction();
        let ended = Ended {
            id: key(*id),
            party: self.names().party(*realm, *tenant, user, marks.as_deref()),
            traffic: amount(traffic),
            age: *age,
            started_at: now.saturating_sub(age.as_secs()),
            ended_at: now,
            reason: reason.as_str(),
            client: redaction.client(link.tuple.client).to_string(),
            transport: transport(link.tuple.transport),
            relayed: relayed.iter().flatten().copied().collect(),
            peers: peers.iter().map(|peer| redaction.peer(*peer).to_string()).collect(),
        };
        recorder.ended(ended, now);
    }

    fn names(&self) -> Arc<Names> {
        Arc::clone(&lock(&self.names))
    }
}

impl Names {
    fn party(
        &self,
        realm: RealmId,
        tenant: Option<TenantId>,
        user: &str,
        marks: Option<&Marks>,
    ) -> Party {
        let separator = self.separators.get(usize::from(realm.0)).copied().unwrap_or(':');
        let credential = marks.and_then(|marks| marks.credential.as_deref());
        let of_store = marks.and_then(|marks| marks.label.as_deref());
        let (userid, tag) = match credential {
            Some(name) => (name, None),
            None => userid(user, separator),
        };
        Party {
            realm: self.registry.realm_name(realm).to_owned(),
            tenant: tenant
                .and_then(|tenant| self.registry.tenant_name(realm, tenant))
                .map(ToOwned::to_owned),
            user: userid.to_owned(),
            label: of_store.or(tag).map(ToOwned::to_owned),
            credential: credential.map(ToOwned::to_owned),
        }
    }
}

/// The user behind a name, and the tag that its maker has given it.
fn userid(name: &str, separator: char) -> (&str, Option<&str>) {
    let parsed = TimeLimitedName::parse(name, separator);
    let Some(parsed) = parsed.filter(|parsed| parsed.expiry.0 >= FIRST_EXPIRY) else {
        return (name, None);
    };
    let userid = parsed.userid.unwrap_or_default();
    match userid.rsplit_once(TAG) {
        Some((user, tag)) if !tag.is_empty() => (user, Some(tag)),
        Some(_) | None => (userid, None),
    }
}

/// A place that cannot be written costs nobody a call: usage is then kept in memory.
fn open(config: &Config) -> Option<Recorder> {
    let usage = &config.usage;
    let path = usage.path.path()?;
    let error = match Recorder::open(Some(path), options(config)) {
        Ok(recorder) => {
            info!(path = %path.display(), "usage is kept");
            return Some(recorder);
        }
        Err(error) => error,
    };
    match usage.path {
        UsagePath::At(_) => warn!(
            "usage.path = {:?}: {error}; usage is kept in memory until the server ends: make the directory writable for the server's user, or write \"off\"",
            path.display().to_string()
        ),
        // Whoever tries it out has no such directory.
        UsagePath::Default(_) => {
            info!(path = %path.display(), %error, "usage is kept in memory only")
        }
        UsagePath::Off => {}
    }
    Recorder::open(None, options(config))
        .inspect_err(|error| warn!(%error, "usage is not counted"))
        .ok()
}

fn options(config: &Config) -> Options {
    let threshold = |threshold: &turn_config::Threshold| Threshold {
        bytes: threshold.bytes,
        per: match threshold.per {
            ConfiguredPer::User => Per::User,
            ConfiguredPer::Credential => Per::Credential,
            ConfiguredPer::Label => Per::Label,
            ConfiguredPer::Tenant => Per::Tenant,
            ConfiguredPer::Realm => Per::Realm,
        },
        name: threshold.name.clone(),
        period: match threshold.period {
            ConfiguredPeriod::Day => Period::Day,
            ConfiguredPeriod::Month => Period::Month,
        },
        webhook: threshold.webhook.reveal().to_owned(),
        token: threshold.token.as_ref().map(|token| token.reveal().to_owned()),
    };
    let usage = &config.usage;
    let thresholds = usage.thresholds.iter().map(threshold).collect();
    Options { keep: usage.keep, keep_log: usage.keep_log, thresholds }
}

fn key(id: AllocationId) -> AllocationKey {
    AllocationKey { shard: u32::from(id.shard.0), serial: id.serial }
}

fn amount(traffic: &Traffic) -> turn_usage::Traffic {
    turn_usage::Traffic {
        up_packets: traffic.up_packets,
        up_bytes: traffic.up_bytes,
        down_packets: traffic.down_packets,
        down_bytes: traffic.down_bytes,
    }
}

impl Running {
    /// Looks at what lives, again and again.
    pub(crate) async fn follow_usage(self: Arc<Self>) {
        let statistics = self.usage.statistics.clone();
        if self.usage.recorder().is_none() && statistics.is_none() {
            return;
        }
        let is_counted = self.usage.recorder().is_some();
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            let names = self.usage.names();
            let statistics = statistics.clone();
            let row = move |rows: &mut Vec<Live>, view: &AllocationView<'_>| {
                if let Some(statistics) = &statistics {
                    let realm = names.registry.realm_name(view.realm);
                    statistics.traffic(view.id, realm, view.user, &view.traffic);
                }
                if !is_counted {
                    return;
                }
                rows.push(Live {
                    id: key(view.id),
                    party: names.party(
                        view.realm,
                        view.tenant,
                        view.user,
                        view.marks.map(|marks| &**marks),
                    ),
                    traffic: amount(&view.traffic),
                    age: view.age,
                });
            };
            let mut live = Vec::new();
            // A shard that has ended is about to end the server.
            let _ = visit(self.server.fleet(), Vec::new, row, |rows| live.extend(rows)).await;
            if let Some(recorder) = self.usage.recorder() {
                recorder.observe(live, unix_seconds(SystemTime::now()));
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_limited_name_counts_for_its_user_and_its_tag() {
        for (name, user, tag) in [
            ("1800000000:ann", "ann", None),
            ("1800000000:ann#web", "ann", Some("web")),
            ("ann:1800000000", "ann", None),
            ("1800000000", "", None),
            ("ann#web", "ann#web", None),
            ("42:ann", "42:ann", None),
            ("1800000000:ann#", "ann#", None),
        ] {
            assert_eq!(userid(name, ':'), (user, tag), "{name}");
        }
    }

    #[test]
    fn a_managed_credential_counts_under_its_name_and_its_label() {
        let names = Names::default();
        let marks = Marks { label: Some("shop".into()), credential: Some("c1".into()) };
        let party = names.party(RealmId(0), None, "c1", Some(&marks));
        assert_eq!((party.user.as_str(), party.credential.as_deref()), ("c1", Some("c1")));
        assert_eq!(party.label.as_deref(), Some("shop"));
    }
}
