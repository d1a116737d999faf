//! The configuration read again: all of it applied, or nothing `[R18]`.
//!
//! ```text
//! read -> keep what needs a restart -> test everything -> take over -> say what changed
//!   \________ a mistake: said, and everything stays as it was _______/
//! ```

use std::sync::Arc;
use std::time::SystemTime;

use tracing::{error, info, warn};
use turn_admin::ReloadReport;
use turn_config::{Config, Credential, Credentials, Transport, User, changes};

use crate::certificate_watch::CertificateWatch;
use crate::running::{Running, lock};
use crate::surroundings::Surroundings;
use crate::systemd;

impl Running {
    /// Reads the configuration again and applies it; `cause` is who asked.
    ///
    /// # Errors
    /// Everything that is wrong with it; nothing has changed then.
    pub async fn reload_for(&self, cause: &'static str) -> Result<ReloadReport, Vec<String>> {
        // One after the other.
        let mut certificates = self.certificates.lock().await;
        systemd::reloading();
        if let Err(error) = self.logger.reopen() {
            warn!("{error}");
        }
        let reloaded = self.exchange(cause, &mut certificates).await;
        self.reloads.add(SystemTime::now(), reloaded.is_ok());
        if let Err(errors) = &reloaded {
            // [R18]
            for record in errors.iter().flat_map(|error| records(error)) {
                warn!(cause, "the configuration stays as it was: {record}");
            }
        }
        systemd::ready(&self.status_line());
        reloaded
    }

    async fn exchange(
        &self,
        cause: &'static str,
        certificates: &mut CertificateWatch,
    ) -> Result<ReloadReport, Vec<String>> {
        let surroundings = Surroundings::find().unwrap_or_default();
        let configured =
            self.source.load(&surroundings).map_err(|unreadable| vec![unreadable.to_string()])?;
        let before = self.config();
        let new = configured.config;
        let config = kept(&before, new.clone());
        let report = report(&before, &config, &new);
        // [R18] Everything that can fail, before anything changes.
        let prepared = self.server.prepare(&before, &config).map_err(|errors| {
            errors.iter().map(|error| format!("error: {error}")).collect::<Vec<_>>()
        })?;
        self.say_new(configured.warnings, &config);
        say_withdrawn_offers(&before, &config);
        *lock(&self.config) = Arc::new(config.clone());
        // What a shard reports of a new realm has a name then.
        self.set_names(prepared.registry());
        let taken = self.server.take_over(prepared).await.map_err(|error| {
            // It has ended, and the server is about to.
            error!(%error, "a shard does not take the configuration over");
            vec![format!("error: a shard does not answer: {error}")]
        })?;
        self.logger.apply(&config.log);
        self.observer.redaction().apply(&config.log);
        self.keys.exchange(&config);
        let now = SystemTime::now();
        if taken {
            let new = self.server.certificates().map(|new| Arc::clone(new.certificates()));
            certificates.exchange(new, now);
        } else if certificates.reload(cause, now) {
            self.certificates_replaced().await;
        }
        self.reloaded.notify_one();
        say(cause, &report);
        Ok(report)
    }
}

impl Running {
    /// Warns of what was not warned of before.
    fn say_new(&self, of_file: Vec<String>, config: &Config) {
        let of_config = config.warnings();
        let warnings: Vec<String> =
            of_file.into_iter().chain(of_config.iter().map(ToString::to_string)).collect();
        let mut said = lock(&self.warnings);
        for warning in warnings.iter().filter(|warning| !said.contains(warning)) {
            warn!("{warning}");
        }
        *said = warnings;
    }
}

/// Messages that are made for a terminal, each on one line; the lines of the file that they show
/// stand in quotes.
fn records(message: &str) -> Vec<String> {
    let part = |line: &str| {
        let line = line.trim();
        match line.split_once('|') {
            // A number in front: a line of the file. None: the margin, or the caret below it.
            Some((margin, shown)) if margin.trim().chars().all(|digit| digit.is_ascii_digit()) => {
                (!margin.is_empty()).then(|| format!("`{}`", shown.trim()))
            }
            Some(_) | None => match (line.strip_prefix("--> "), line.strip_prefix("= help: ")) {
                (Some(place), _) => Some(format!("at {place}:")),
                (None, Some(help)) => Some(format!("({help})")),
                (None, None) => Some(line.to_owned()),
            },
        }
    };
    let one_line = |message: &str| message.lines().filter_map(part).collect::<Vec<_>>().join(" ");
    message.split("\n\n").map(one_line).filter(|record| !record.is_empty()).collect()
}

/// What changes from `before` to `config`, and what is still missing from there to `new`.
fn report(before: &Config, config: &Config, new: &Config) -> ReloadReport {
    let keys = |old, new| changes(old, new).into_iter().map(|change| change.key).collect();
    ReloadReport { changed: keys(before, config), needs_restart: keys(config, new) }
}

/// Says what changed.
fn say(cause: &'static str, report: &ReloadReport) {
    if report.changed.is_empty() && report.needs_restart.is_empty() {
        info!(cause, "configuration reloaded, nothing in it has changed");
    } else {
        info!(cause, changed = report.changed.join(", "), "configuration reloaded");
    }
    if !report.needs_restart.is_empty() {
        warn!(
            keys = report.needs_restart.join(", "),
            "these keys changed and wait for a restart; until then they are as they were"
        );
    }
}

/// `new`, but for what can only change with a restart: that stays as it is in `old`.
fn kept(old: &Config, new: Config) -> Config {
    let mut kept = new;
    kept.shards = old.shards;
    kept.listen.clone_from(&old.listen);
    kept.relay.addresses.clone_from(&old.relay.addresses);
    kept.relay.ports.clone_from(&old.relay.ports);
    kept.relay.latency_budget = old.relay.latency_budget;
    kept.relay.dscp = old.relay.dscp;
    kept.admin.socket.clone_from(&old.admin.socket);
    kept.admin.address = old.admin.address;
    kept.metrics.address = old.metrics.address;
    kept.log.target.clone_from(&old.log.target);
    kept.usage.path.clone_from(&old.usage.path);
    kept.metrics.redis_statsdb.clone_from(&old.metrics.redis_statsdb);
    let certified = has_certificates(&kept);
    // The listener stays as it is, with or without one in the new file; its keys do not.
    match (&old.credentials, &mut kept.credentials) {
        (Some(credentials), Some(new)) => {
            new.address = credentials.address;
            // Nothing written is "where there are certificates", which a reload may have brought.
            let speaks_tls = credentials.tls.unwrap_or(has_certificates(old));
            if new.tls.unwrap_or(certified) != speaks_tls {
                new.tls = Some(speaks_tls);
            }
        }
        (None, new) => *new = None,
        (Some(old), new @ None) => {
            *new = Some(Credentials {
                server_keys: Vec::new(),
                browser_keys: Vec::new(),
                ..old.clone()
            });
        }
    }
    // A listener for TLS that stays needs its certificates, whatever becomes of it after a restart.
    let mut transports = kept.listen.iter().flat_map(|listen| &listen.transports);
    let has_tls = transports.any(|transport| matches!(transport, Transport::Tls | Transport::Dtls));
    if has_tls && kept.tls.certificates.is_empty() && !kept.tls.self_signed {
        kept.tls.clone_from(&old.tls);
    }
    kept
}

fn has_certificates(config: &Config) -> bool {
    !config.tls.certificates.is_empty() || config.tls.self_signed
}

/// A realm offers SHA-256 keys while each of its users has one (RFC 8489 section 9.2.4). When a
/// reload brings a user without, the offer has to go: the new user could not come in otherwise. A
/// client that keeps strictly to the RFC and was offered it takes the next 438 for a bid-down
/// attack and gives up; browsers do not look.
fn say_withdrawn_offers(old: &Config, new: &Config) {
    for realm in withdrawn_offers(old, new) {
        warn!(
            realm,
            "a user without a SHA-256 key is new in this realm, so it offers SHA-256 no longer; strict RFC 8489 clients that \
             were offered it have to connect anew when their nonce ages. Write the user's password, or its sha256: key, to \
             keep the offer"
        );
    }
}

/// Names of realms that offered SHA-256 keys in `old` and do not in `new`.
fn withdrawn_offers<'c>(old: &Config, new: &'c Config) -> Vec<&'c str> {
    let offers = |users: &[User], has_secrets: bool| {
        let all = users.iter().all(|user| match user.credential {
            Credential::Password(_) | Credential::Sha256Key(_) => true,
            Credential::Md5Key(_) => false,
        });
        all && (has_secrets || !users.is_empty())
    };
    let of = |config: &Config, name: Option<&str>| match name {
        None => offers(&config.auth.users, !config.auth.secrets.is_empty()),
        Some(name) => config
            .realms
            .iter()
            .find(|realm| realm.name == name)
            .is_some_and(|realm| offers(&realm.auth.users, !realm.auth.secrets.is_empty())),
    };
    // A realm that nobody may use any more withdraws more than an offer.
    let has_users = |users: &[User]| !users.is_empty();
    let default = (of(old, None) && !of(new, None) && has_users(&new.auth.users))
        .then_some(new.realm.as_str());
    let named = new.realms.iter().filter(|realm| {
        let name = Some(realm.name.as_str());
        of(old, name) && !of(new, name) && has_users(&realm.auth.users)
    });
    default.into_iter().chain(named.map(|realm| realm.name.as_str())).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::path::Path;

    use turn_config::Effect;

    use super::*;

    #[test]
    fn what_needs_a_restart_stays_and_the_rest_is_new() {
        let old = config("shards = 2\n[relay]\nports = '50000-50999'\n[limits]\nallocations = 5");
        let new = config(
            "shards = 1\n[[listen]]\naddress = '127.0.0.1:3479'\n[relay]\nports = '60000-60999'\ntcp = true\n\
             [limits]\nallocations = 6\n[log]\ntarget = 'syslog'\nlevel = 'debug'",
        );
        let kept = kept(&old, new.clone());
        assert_eq!((kept.shards, &kept.listen), (old.shards, &old.listen));
        assert_eq!(kept.relay.ports, old.relay.ports);
        assert_eq!(kept.log.target, old.log.target);
        assert_eq!(kept.limits, new.limits);
        assert!(kept.relay.tcp && kept.log.level == turn_config::LogLevel::Debug);
        // Nothing but these keys was kept: what is left of the difference needs a restart.
        let left = changes(&kept, &new);
        assert!(!left.is_empty());
        assert!(left.iter().all(|change| change.effect == Effect::NeedsRestart), "{left:?}");
    }

    #[test]
    fn certificates_that_a_listener_still_needs_are_kept_and_not_called_changed() {
        let with = |transports: &str, tls: &str| {
            config(&format!(
                "[[listen]]\naddress = '127.0.0.1:3478'\ntransports = [{transports}]\n[tls]\n{tls}"
            ))
        };
        let pair = "certificates = [{ certificate = 'a.pem', key = 'a.key' }]";
        let (tls, plain) = (with("'udp', 'tls'", pair), with("'udp'", ""));
        let still = kept(&tls, plain.clone());
        assert_eq!((&still.tls, &still.listen), (&tls.tls, &tls.listen));
        let report = report(&tls, &still, &plain);
        assert_eq!(report.changed, [""; 0]);
        assert_eq!(report.needs_restart, ["listen", "tls.certificates"]);
        // Nobody needs them where no listener speaks TLS.
        let spare = with("'udp'", pair);
        assert!(kept(&spare, plain).tls.certificates.is_empty());
    }

    #[test]
    fn a_message_for_a_terminal_is_one_line_each_in_the_log() {
        let error = turn_config::from_str("shards = 0\nrelm = 'x'", Path::new("t.toml"));
        let records = records(&error.unwrap_err().to_string());
        let of_relm = records.iter().find(|record| record.contains("relm: unknown key")).unwrap();
        assert!(of_relm.contains("at t.toml:2:1: `relm = \"***\"` (did you mean"), "{of_relm}");
        assert!(records.iter().all(|record| !record.contains(['\n', '|', '^'])), "{records:?}");
    }

    #[test]
    fn a_withdrawn_offer_of_sha256_is_found_in_its_realm() {
        let both = |hex: &str| {
            let users = format!("users = {{ ann = 'secret'{hex} }}");
            config(&format!("realm = 'a'\n[auth]\n{users}\n[realms.b.auth]\n{users}"))
        };
        let key = ", bob = '0xffeeddccbbaa99887766554433221100'";
        assert_eq!(withdrawn_offers(&both(""), &both(key)), ["a", "b"]);
        assert!(withdrawn_offers(&both(key), &both("")).is_empty());
        assert!(withdrawn_offers(&both(key), &both(key)).is_empty());
        assert!(withdrawn_offers(&both(""), &config("realm = 'a'")).is_empty());
    }

    fn config(text: &str) -> Config {
        turn_config::from_str(text, Path::new("t")).unwrap()
    }
}
