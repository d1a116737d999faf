//! The certificates of the process, chosen by SNI and exchanged while connections run.
//!
//! ```text
//! files -> Identity -> served: ArcSwap<[Identity]> -> a handshake takes one
//!            ^ reload: a pair is exchanged as a whole, or not at all [R17]
//! ```
//!
//! A handshake loads the list once and keeps what it took, so a reload touches no connection.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::choice::choose;
use crate::error::CertificateError;
use crate::identity::{CertificateFiles, Identity, Validity};
use crate::not_after::NotAfter;
use crate::self_signed::self_signed;
use crate::stamp::Stamp;
use crate::warning::Warning;

/// The certificates that are served.
///
/// Invariant: there is at least one, and the first is the default.
#[derive(Debug)]
pub struct Certificates {
    /// Where the identities come from, in their order; empty where they were made here.
    files: Vec<CertificateFiles>,
    served: ArcSwap<Vec<Arc<Identity>>>,
    /// What the files looked like when they were last read; its lock makes reloads take turns.
    stamps: Mutex<Vec<Stamp>>,
}

/// What became of one pair of files.
#[derive(Debug)]
pub struct Reloaded {
    /// The pair.
    pub files: CertificateFiles,
    /// What became of it.
    pub outcome: ReloadOutcome,
}

/// What a reload does with a pair of files.
#[derive(Debug)]
pub enum ReloadOutcome {
    /// The files hold what is served already.
    Unchanged,
    /// From now on this is served.
    Replaced {
        /// What is served.
        identity: Arc<Identity>,
        /// What is odd about it.
        warnings: Vec<Warning>,
    },
    /// The new files are of no use; what was served before stays.
    Kept {
        /// Why.
        error: CertificateError,
    },
}

/// A certificate that expires soon, or has expired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expiring {
    /// The certificate file; nothing for a self-signed one.
    pub certificate: Option<PathBuf>,
    /// Its serial number.
    pub serial: String,
    /// When.
    pub not_after: NotAfter,
    /// Whole days until then; below zero once it is past.
    pub days: i64,
}

impl Certificates {
    /// Reads every pair. The first is the default.
    ///
    /// # Errors
    /// Every pair that is of no use; `files` must not be empty.
    pub fn load(
        files: &[CertificateFiles],
        now: SystemTime,
    ) -> Result<(Arc<Self>, Vec<Warning>), Vec<CertificateError>> {
        let stamps = files.iter().map(Stamp::of).collect();
        let (mut identities, mut warnings, mut errors) = (Vec::new(), Vec::new(), Vec::new());
        for pair in files {
            match Identity::load(pair, now) {
                Ok((identity, more)) => {
                    identities.push(Arc::new(identity));
                    warnings.extend(more);
                }
                Err(error) => errors.push(error),
            }
        }
        if !errors.is_empty() || identities.is_empty() {
            return Err(errors);
        }
        Ok((Arc::new(Self::new(files.to_vec(), identities, stamps)), warnings))
    }

    /// Makes a certificate for trials: ECDSA P-256, valid for 30 days, for DNS names and IP
    /// addresses.
    ///
    /// # Errors
    /// A name is none.
    pub fn self_signed(names: &[String], now: SystemTime) -> Result<Arc<Self>, CertificateError> {
        let identity = self_signed(names, now)?;
        Ok(Arc::new(Self::new(Vec::new(), vec![Arc::new(identity)], Vec::new())))
    }

    /// Reads every pair again. A pair that is broken, or that would replace a valid certificate by
    /// one that is not valid, is kept as it was; the others are exchanged all the same.
    pub fn reload(&self, now: SystemTime) -> Vec<Reloaded> {
        let mut stamps = self.stamps.lock().unwrap_or_else(PoisonError::into_inner);
        *stamps = self.files.iter().map(Stamp::of).collect();
        let mut served = Vec::clone(&self.served.load());
        let reloaded = self
            .files
            .iter()
            .zip(&mut served)
            .map(|(files, served)| {
                let outcome = replace(files, served, now);
                if let ReloadOutcome::Replaced { identity, .. } = &outcome {
                    *served = Arc::clone(identity);
                }
                Reloaded { files: files.clone(), outcome }
            })
            .collect();
        self.served.store(Arc::new(served));
        reloaded
    }

    /// Whether a file is another than when it was last read; symbolic links are followed. It costs a
    /// `stat` a file.
    pub fn changed_on_disk(&self) -> bool {
        let stamps = self.stamps.lock().unwrap_or_else(PoisonError::into_inner);
        self.files.iter().map(Stamp::of).ne(stamps.iter().copied())
    }

    /// The certificates that expire `within` some time from `now`, and those that have expired.
    pub fn expiring(&self, now: SystemTime, within: Duration) -> Vec<Expiring> {
        let served = self.served.load();
        let horizon = now.checked_add(within).unwrap_or(now);
        served
            .iter()
            .enumerate()
            .filter(|(_, identity)| identity.not_after().is_past(horizon))
            .map(|(index, identity)| Expiring {
                certificate: self.files.get(index).map(|files| files.certificate.clone()),
                serial: identity.serial().to_owned(),
                not_after: identity.not_after(),
                days: identity.not_after().days_from(now),
            })
            .collect()
    }

    /// What is served now; the first is the default.
    pub fn identities(&self) -> Vec<Arc<Identity>> {
        Vec::clone(&self.served.load())
    }

    /// What a client gets that names no server, or one that no certificate has.
    pub fn default_identity(&self) -> Arc<Identity> {
        #[expect(clippy::expect_used, reason = "the list is made with one, and never shortened")]
        self.served.load().first().map(Arc::clone).expect("there is always a certificate")
    }

    fn new(
        files: Vec<CertificateFiles>,
        identities: Vec<Arc<Identity>>,
        stamps: Vec<Stamp>,
    ) -> Self {
        Self { files, served: ArcSwap::from_pointee(identities), stamps: Mutex::new(stamps) }
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let served = self.served.load();
        choose(&served, hello.server_name(), hello.signature_schemes())
            .map(|identity| Arc::clone(identity.certified()))
    }
}

fn replace(files: &CertificateFiles, served: &Identity, now: SystemTime) -> ReloadOutcome {
    // [R17] Nothing that is served changes before the new pair has passed everything.
    match Identity::load(files, now) {
        Err(error) => ReloadOutcome::Kept { error },
        Ok((new, _)) if new.is_same_as(served) => ReloadOutcome::Unchanged,
        Ok((new, warnings)) => match step_back(files, served, &new, now) {
            Some(error) => ReloadOutcome::Kept { error },
            None => ReloadOutcome::Replaced { identity: Arc::new(new), warnings },
        },
    }
}

/// Why clients would be worse off with the new one.
fn step_back(
    files: &CertificateFiles,
    served: &Identity,
    new: &Identity,
    now: SystemTime,
) -> Option<CertificateError> {
    if served.validity(now) != Validity::Valid {
        return None;
    }
    let path = files.certificate.clone();
    match new.validity(now) {
        Validity::Valid => None,
        Validity::Expired { days } => Some(CertificateError::Expired { path, days }),
        Validity::NotYet { days } => Some(CertificateError::NotYetValid { path, days }),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use super::*;
    use crate::fixtures::{Authority, DAY, Issued, now};

    #[test]
    fn every_broken_pair_is_told_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let good = pair(directory.path(), "good");
        let missing = |name: &str| CertificateFiles {
            certificate: directory.path().join(name),
            key: directory.path().join("good.key"),
        };
        let errors = Certificates::load(&[missing("a"), good, missing("b")], now()).unwrap_err();
        let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert!(texts.len() == 2 && texts[0].contains("/a:") && texts[1].contains("/b:"));
    }

    #[test]
    fn unchanged_files_are_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let certificates = load(&[pair(directory.path(), "a")]);
        let before = certificates.default_identity();
        assert!(!certificates.changed_on_disk());
        assert!(matches!(outcomes(&certificates)[..], [ReloadOutcome::Unchanged]));
        assert!(Arc::ptr_eq(&before, &certificates.default_identity()));
    }

    #[test]
    fn a_new_pair_replaces_the_old_one() {
        let directory = tempfile::tempdir().unwrap();
        let certificates = load(&[pair(directory.path(), "a")]);
        let old = certificates.default_identity();
        pair(directory.path(), "a");
        assert!(certificates.changed_on_disk());
        let [ReloadOutcome::Replaced { identity, warnings }] = &outcomes(&certificates)[..] else {
            panic!("kept")
        };
        assert!(warnings.is_empty(), "{warnings:?}");
        assert_ne!(identity.serial(), old.serial());
        assert_eq!(identity.serial(), certificates.default_identity().serial());
        assert!(!certificates.changed_on_disk());
    }

    #[test]
    fn r17_garbage_keeps_the_old_certificate_and_names_the_file() {
        kept_after(|files, _| fs::write(&files.certificate, "garbage").unwrap(), "no certificate");
        kept_after(|files, _| fs::write(&files.key, "garbage").unwrap(), "no private key");
        kept_after(|files, _| fs::write(&files.certificate, "").unwrap(), "holds nothing");
    }

    #[test]
    fn r17_a_file_cut_off_keeps_the_old_certificate() {
        let cut = |files: &CertificateFiles, new: &Issued| {
            let chain = new.chain();
            fs::write(&files.certificate, &chain[..chain.len() / 3]).unwrap();
        };
        kept_after(cut, "is damaged");
    }

    #[test]
    fn r17_a_wrong_key_keeps_the_old_certificate_and_names_both_files() {
        let wrong = |files: &CertificateFiles, new: &Issued| {
            fs::write(&files.certificate, new.chain()).unwrap();
        };
        kept_after(wrong, "is not the key of");
    }

    #[test]
    fn r17_an_unreadable_file_keeps_the_old_certificate() {
        // Root may read everything, so it is missing, or a directory.
        kept_after(|files, _| fs::remove_file(&files.key).unwrap(), "cannot read");
        let directory = |files: &CertificateFiles, _: &Issued| {
            fs::remove_file(&files.certificate).unwrap();
            fs::create_dir(&files.certificate).unwrap();
        };
        kept_after(directory, "is a directory");
    }

    #[test]
    fn r17_an_expired_certificate_and_an_early_one_do_not_replace_a_valid_one() {
        let authority = Authority::new("CA");
        for (from, to, why) in [
            (now() - 90 * DAY, now() - 5 * DAY, "has expired 5 days ago"),
            (now() + 5 * DAY, now() + 90 * DAY, "is not valid before 5 days from now"),
        ] {
            let bad = authority.issue_between(&["a.example"], from, to);
            kept_after(|files, _| drop(bad.write(files.key.parent().unwrap(), "a")), why);
        }
    }

    #[test]
    fn an_expired_certificate_gives_way_even_to_another_expired_one() {
        let directory = tempfile::tempdir().unwrap();
        let expired = |days: u32| {
            let issued = Authority::new("CA").issue_between(
                &["a.example"],
                now() - 90 * DAY,
                now() - days * DAY,
            );
            issued.write(directory.path(), "a")
        };
        let certificates = load(&[expired(9)]);
        expired(1);
        let [ReloadOutcome::Replaced { warnings, .. }] = &outcomes(&certificates)[..] else {
            panic!("kept")
        };
        assert!(matches!(warnings[..], [Warning::Expired { days: 1, .. }]), "{warnings:?}");
    }

    #[test]
    fn r17_beside_a_broken_pair_the_others_reload_and_it_recovers() {
        let directory = tempfile::tempdir().unwrap();
        let files = ["a", "b", "c"].map(|name| pair(directory.path(), name));
        let certificates = load(&files);
        let before = serials(&certificates);
        pair(directory.path(), "a");
        fs::write(&files[1].key, "garbage").unwrap();
        pair(directory.path(), "c");
        assert!(matches!(
            outcomes(&certificates)[..],
            [
                ReloadOutcome::Replaced { .. },
                ReloadOutcome::Kept { .. },
                ReloadOutcome::Replaced { .. }
            ]
        ));
        let after = serials(&certificates);
        assert!(after[0] != before[0] && after[1] == before[1] && after[2] != before[2]);
        assert!(!certificates.changed_on_disk());

        pair(directory.path(), "b");
        assert!(certificates.changed_on_disk());
        assert!(matches!(
            outcomes(&certificates)[..],
            [ReloadOutcome::Unchanged, ReloadOutcome::Replaced { .. }, ReloadOutcome::Unchanged]
        ));
    }

    #[test]
    fn a_swapped_directory_link_is_seen() {
        // As Kubernetes does it: tls.crt -> ..data/tls.crt, and ..data -> a directory.
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let data = root.join("..data");
        for version in ["1", "2"] {
            fs::create_dir(root.join(version)).unwrap();
            pair(&root.join(version), "tls");
        }
        symlink("1", &data).unwrap();
        let files =
            CertificateFiles { certificate: root.join("tls.crt"), key: root.join("tls.key") };
        symlink("..data/tls.pem", &files.certificate).unwrap();
        symlink("..data/tls.key", &files.key).unwrap();
        let certificates = load(&[files]);
        assert!(!certificates.changed_on_disk());

        symlink("2", root.join("..tmp")).unwrap();
        fs::rename(root.join("..tmp"), &data).unwrap();
        assert!(certificates.changed_on_disk());
        assert!(matches!(outcomes(&certificates)[..], [ReloadOutcome::Replaced { .. }]));
    }

    #[test]
    fn a_file_that_vanishes_and_one_that_comes_back_are_seen() {
        let directory = tempfile::tempdir().unwrap();
        let files = pair(directory.path(), "a");
        let certificates = load(std::slice::from_ref(&files));
        let away = directory.path().join("away");
        fs::rename(&files.key, &away).unwrap();
        assert!(certificates.changed_on_disk());
        assert!(matches!(outcomes(&certificates)[..], [ReloadOutcome::Kept { .. }]));
        assert!(!certificates.changed_on_disk());
        fs::rename(&away, &files.key).unwrap();
        assert!(certificates.changed_on_disk());
    }

    #[test]
    fn what_expires_soon_is_listed_with_its_days() {
        let directory = tempfile::tempdir().unwrap();
        let soon = Authority::new("CA").issue_between(&["a.example"], now() - DAY, now() + 3 * DAY);
        let files = [pair(directory.path(), "a"), soon.write(directory.path(), "b")];
        let certificates = load(&files);
        let [expiring] = &certificates.expiring(now(), 14 * DAY)[..] else { panic!("not one") };
        assert_eq!(expiring.certificate.as_ref(), Some(&files[1].certificate));
        assert_eq!(expiring.days, 3);
        assert_eq!(certificates.expiring(now() + 5 * DAY, 14 * DAY)[0].days, -2);
        assert_eq!(certificates.expiring(now(), DAY), []);
    }

    #[test]
    fn a_self_signed_certificate_is_for_its_names_and_a_month() {
        let names = ["turn.example.org", "203.0.113.7"].map(str::to_owned);
        let certificates = Certificates::self_signed(&names, now()).unwrap();
        let identity = certificates.default_identity();
        assert_eq!(identity.names(), ["turn.example.org"]);
        assert_eq!(identity.addresses().len(), 1);
        assert_eq!(identity.not_after().days_from(now()), 30);
        assert_eq!(identity.validity(now()), Validity::Valid);
        assert!(certificates.reload(now()).is_empty() && !certificates.changed_on_disk());
        let error = Certificates::self_signed(&["näme".to_owned()], now()).unwrap_err();
        assert!(error.to_string().contains("näme"), "{error}");
    }

    fn kept_after(damage: impl Fn(&CertificateFiles, &Issued), why: &str) {
        let directory = tempfile::tempdir().unwrap();
        let files = pair(directory.path(), "a");
        let certificates = load(std::slice::from_ref(&files));
        let before = certificates.default_identity();
        damage(&files, &Authority::new("CA").issue(&["a.example"]));
        let [ReloadOutcome::Kept { error }] = &outcomes(&certificates)[..] else {
            panic!("replaced: {why}")
        };
        let text = error.to_string();
        assert!(text.contains(why) && text.contains("/a."), "{text}");
        assert!(Arc::ptr_eq(&before, &certificates.default_identity()));
    }

    fn outcomes(certificates: &Certificates) -> Vec<ReloadOutcome> {
        certificates.reload(now()).into_iter().map(|reloaded| reloaded.outcome).collect()
    }

    fn serials(certificates: &Certificates) -> Vec<String> {
        certificates.identities().iter().map(|identity| identity.serial().to_owned()).collect()
    }

    fn load(files: &[CertificateFiles]) -> Arc<Certificates> {
        Certificates::load(files, now()).unwrap().0
    }

    /// Writes a fresh pair of files.
    fn pair(directory: &Path, name: &str) -> CertificateFiles {
        Authority::new("CA").issue(&["a.example"]).write(directory, name)
    }
}
