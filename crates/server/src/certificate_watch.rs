//! Certificates while the server runs: reloaded on a signal and when their files change, and warned
//! of before they end. `[R17]`
//!
//! ```text
//! every 30 s: files changed? -> reload --broken--> wait 2 s, reload --still broken--> WARN
//! signal:                       reload --broken--> WARN
//! ```
//!
//! A program that renews a certificate writes two files, so a pair that is found broken by chance
//! is looked at again before anybody is told.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;
use tracing::{debug, info, warn};
use turn_tls::{Certificates, ReloadOutcome, Reloaded};

use crate::certificates::{Expired, say_expiring, say_served};
use crate::history::History;

/// How often the files are looked at.
const INTERVAL: Duration = Duration::from_secs(30);

/// How long the second of two files may take to follow the first.
const SETTLING: Duration = Duration::from_secs(2);

/// How often the end of a certificate is warned of.
const DAY: Duration = Duration::from_secs(86_400);

/// Looks after the certificates of a running server.
#[derive(Debug)]
pub struct CertificateWatch {
    certificates: Option<Arc<Certificates>>,
    history: Arc<History>,
    next_look: Instant,
    next_notice: Instant,
    /// The last look found a broken pair and told nobody.
    is_settling: bool,
}

impl CertificateWatch {
    /// Looks after `certificates`, if there are any, from `now` on, and enters reloads into
    /// `history`.
    pub fn new(
        certificates: Option<Arc<Certificates>>,
        history: Arc<History>,
        now: Instant,
    ) -> Self {
        let (next_look, next_notice) = (now + INTERVAL, now + DAY);
        Self { certificates, history, next_look, next_notice, is_settling: false }
    }

    /// Looks after others from now on, which were loaded just now.
    pub fn exchange(&mut self, certificates: Option<Arc<Certificates>>, now: SystemTime) {
        self.history.add(now, true);
        self.certificates = certificates;
        self.is_settling = false;
    }

    /// When [`CertificateWatch::look`] is to be called next.
    pub fn next_look(&self) -> Instant {
        self.next_look
    }

    /// Reloads because a signal asks for it, and says what came of it. True: something was replaced.
    pub fn reload(&mut self, signal: &'static str, now: SystemTime) -> bool {
        let Some(certificates) = &self.certificates else {
            return false;
        };
        self.is_settling = false;
        let reloaded = certificates.reload(now);
        tell(&reloaded, signal);
        self.enter(&reloaded, now);
        if reloaded.is_empty() {
            info!(signal, "a self-signed certificate is made at start only");
        } else {
            info!(signal, "certificates looked at");
        }
        say_expiring(certificates, now, Expired::WereToldOf);
        replaced(&reloaded)
    }

    /// Reloads if files have changed, and warns once a day of what expires. True: something was
    /// replaced.
    pub fn look(&mut self, now: Instant, clock: SystemTime) -> bool {
        let reloaded = self.changes(now, clock);
        tell(&reloaded, "changed files");
        self.enter(&reloaded, clock);
        let Some(certificates) = &self.certificates else { return false };
        if now >= self.next_notice {
            self.next_notice = now + DAY;
            say_expiring(certificates, clock, Expired::TellAgain);
        } else if replaced(&reloaded) {
            say_expiring(certificates, clock, Expired::WereToldOf);
        }
        replaced(&reloaded)
    }

    fn enter(&self, reloaded: &[Reloaded], now: SystemTime) {
        for Reloaded { outcome, .. } in reloaded {
            match outcome {
                ReloadOutcome::Unchanged => {}
                ReloadOutcome::Replaced { .. } => self.history.add(now, true),
                // [R17]
                ReloadOutcome::Kept { .. } => self.history.add(now, false),
            }
        }
    }

    /// What there is to tell of changed files.
    fn changes(&mut self, now: Instant, clock: SystemTime) -> Vec<Reloaded> {
        self.next_look = now + INTERVAL;
        let Some(certificates) = &self.certificates else { return Vec::new() };
        if !self.is_settling && !certificates.changed_on_disk() {
            return Vec::new();
        }
        let was_settling = self.is_settling;
        let mut reloaded = certificates.reload(clock);
        let is_kept = |reloaded: &Reloaded| matches!(reloaded.outcome, ReloadOutcome::Kept { .. });
        self.is_settling = !was_settling && reloaded.iter().any(is_kept);
        if self.is_settling {
            self.next_look = now + SETTLING;
        }
        reloaded.retain(|reloaded| match reloaded.outcome {
            ReloadOutcome::Unchanged => false,
            ReloadOutcome::Replaced { .. } => true,
            ReloadOutcome::Kept { .. } => was_settling,
        });
        reloaded
    }
}

fn replaced(reloaded: &[Reloaded]) -> bool {
    reloaded.iter().any(|reloaded| matches!(reloaded.outcome, ReloadOutcome::Replaced { .. }))
}

fn tell(reloaded: &[Reloaded], cause: &'static str) {
    for Reloaded { files, outcome } in reloaded {
        let certificate = files.certificate.display();
        match outcome {
            ReloadOutcome::Unchanged => debug!(%certificate, cause, "certificate unchanged"),
            ReloadOutcome::Replaced { identity, warnings } => {
                say_served(Some(&files.certificate), identity, "certificate replaced");
                warnings.iter().for_each(|warning| warn!("{warning}"));
            }
            // [R17] The old one stays, and one line says why.
            ReloadOutcome::Kept { error } => {
                let help = error.help();
                warn!(%certificate, %error, help, cause, "certificate not replaced; the old one stays");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::{Path, PathBuf};

    use turn_tls::CertificateFiles;

    use super::*;

    #[test]
    fn without_certificates_a_signal_and_a_look_do_nothing() {
        let now = Instant::now();
        let mut watch = CertificateWatch::new(None, Arc::default(), now);
        assert!(!watch.reload("SIGHUP", SystemTime::now()));
        assert!(!watch.look(now + INTERVAL, SystemTime::now()));
        assert_eq!(watch.next_look(), now + 2 * INTERVAL);
    }

    #[test]
    fn changed_files_are_taken_over_at_the_next_look() {
        let world = World::new();
        let mut watch = world.watch();
        assert!(!watch.look(world.start + INTERVAL, world.clock));
        let old = world.serial();
        write(&world.directory.path().join("other"), &made());
        world.swap();
        assert!(watch.look(world.start + 2 * INTERVAL, world.clock));
        assert_ne!(world.serial(), old);
        assert!(!watch.look(world.start + 3 * INTERVAL, world.clock));
    }

    #[test]
    fn a_signal_reloads_at_once() {
        let world = World::new();
        let mut watch = world.watch();
        assert!(!watch.reload("SIGHUP", world.clock));
        write(&world.files(), &made());
        assert!(watch.reload("SIGUSR2", world.clock));
        assert!(!watch.look(world.start + INTERVAL, world.clock));
    }

    #[test]
    fn r17_a_pair_that_is_half_written_is_looked_at_again_before_anybody_is_told() {
        let world = World::new();
        let mut watch = world.watch();
        let old = world.serial();
        let (certificate, key) = made();
        fs::write(world.files().join("a.pem"), certificate).unwrap();
        let at = world.start + INTERVAL;
        assert!(watch.changes(at, world.clock).is_empty());
        assert_eq!((watch.next_look(), world.serial()), (at + SETTLING, old));

        fs::write(world.files().join("a.key"), key).unwrap();
        let told = watch.changes(at + SETTLING, world.clock);
        assert!(matches!(told[0].outcome, ReloadOutcome::Replaced { .. }));
        assert_eq!(watch.next_look(), at + SETTLING + INTERVAL);
    }

    #[test]
    fn r17_a_pair_that_stays_broken_is_told_once_and_taken_over_when_it_is_whole() {
        let world = World::new();
        let mut watch = world.watch();
        let old = world.serial();
        fs::write(world.files().join("a.key"), "garbage").unwrap();
        let mut at = world.start + INTERVAL;
        assert!(watch.changes(at, world.clock).is_empty());
        at += SETTLING;
        let told = watch.changes(at, world.clock);
        assert!(matches!(told[0].outcome, ReloadOutcome::Kept { .. }));
        for _ in 0..3 {
            at += INTERVAL;
            assert!(watch.changes(at, world.clock).is_empty());
        }
        assert_eq!(world.serial(), old);
        write(&world.files(), &made());
        assert!(watch.look(at + INTERVAL, world.clock));
    }

    #[test]
    fn r17_a_signal_tells_of_a_broken_pair_at_once_and_keeps_the_old_one() {
        let world = World::new();
        let mut watch = world.watch();
        let old = world.serial();
        fs::remove_file(world.files().join("a.pem")).unwrap();
        assert!(!watch.reload("SIGHUP", world.clock));
        assert_eq!(world.serial(), old);
        assert!(watch.changes(world.start + INTERVAL, world.clock).is_empty());
    }

    /// A pair of files below a symbolic link that can be swapped.
    struct World {
        directory: tempfile::TempDir,
        certificates: Arc<Certificates>,
        start: Instant,
        clock: SystemTime,
    }

    impl World {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let (root, clock) = (directory.path(), SystemTime::now());
            write(&root.join("first"), &made());
            symlink("first", root.join("live")).unwrap();
            let files = CertificateFiles {
                certificate: root.join("live/a.pem"),
                key: root.join("live/a.key"),
            };
            let (certificates, _) = Certificates::load(&[files], clock).unwrap();
            Self { certificates, start: Instant::now(), clock, directory }
        }

        fn watch(&self) -> CertificateWatch {
            CertificateWatch::new(Some(Arc::clone(&self.certificates)), Arc::default(), self.start)
        }

        fn serial(&self) -> String {
            self.certificates.default_identity().serial().to_owned()
        }

        fn files(&self) -> PathBuf {
            self.directory.path().join("live")
        }

        fn swap(&self) {
            let new = self.directory.path().join("new");
            symlink("other", &new).unwrap();
            fs::rename(&new, self.files()).unwrap();
        }
    }

    /// A certificate and its key.
    fn made() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(["a.example".to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    fn write(to: &Path, (certificate, key): &(String, String)) {
        fs::create_dir_all(to).unwrap();
        fs::write(to.join("a.pem"), certificate).unwrap();
        fs::write(to.join("a.key"), key).unwrap();
    }
}
