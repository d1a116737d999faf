//! The certificate.

use std::io;
use std::path::PathBuf;

use turn_config::CertificatePair;

use super::draft::Draft;
use crate::note::NoteKind;

pub(super) fn import(draft: &mut Draft<'_>) {
    if draft.is_on("no-tls") && (draft.is_on("no-dtls") || draft.flag("dtls") == Some(false)) {
        return;
    }
    let certificate = find(draft, "cert", "turn_server_cert.pem");
    let key = find(draft, "pkey", "turn_server_pkey.pem");
    let (Some(certificate), Some(key)) = (certificate, key) else { return };
    if certificate == key {
        if let Some(setting) = draft.last("pkey") {
            draft.note(
                setting,
                NoteKind::Changed,
                "certificate and key are the same file, so TLS and DTLS stay off; write the key into \
                 a file of its own, of mode 0640",
            );
        }
        return;
    }
    draft.config.tls.certificates = vec![CertificatePair { certificate, key }];
}

/// The path of a file that is there, or that cannot be told to be absent.
fn find(draft: &mut Draft<'_>, name: &str, default: &str) -> Option<PathBuf> {
    let setting = draft.last(name);
    let written = setting.map_or(default, |setting| setting.value.reveal());
    let host = draft.surroundings.host;
    let places = draft.places_of(written);
    let is_there = |path: &PathBuf| match host.read(path) {
        Ok(_) => true,
        // Started as another user, the server may read it; if not, it says so.
        Err(error) => setting.is_some() && error.kind() == io::ErrorKind::PermissionDenied,
    };
    let found = places.iter().find(|path| is_there(path));
    if found.is_none()
        && let Some(setting) = setting
    {
        let tried: Vec<String> = places.iter().map(|path| path.display().to_string()).collect();
        let message = format!(
            "there is no such file, so TLS and DTLS stay off, as in coturn (looked for {})",
            tried.join(", ")
        );
        draft.note(setting, NoteKind::Changed, message);
    }
    found.cloned()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::path::Path;

    use super::super::bench::{config, warnings};

    #[test]
    fn relative_paths_start_from_the_file_and_go_on_where_coturn_looks() {
        let tls = config("cert=cert.pem\npkey=/etc/key.pem").tls;
        let pair = tls.certificates.first().unwrap();
        assert_eq!(
            (pair.certificate.as_path(), pair.key.as_path()),
            (Path::new("/etc/cert.pem"), Path::new("/etc/key.pem"))
        );
        let tls = config("cert=elsewhere.pem\npkey=key.pem").tls;
        assert_eq!(
            tls.certificates.first().unwrap().certificate,
            Path::new("/etc/coturn/elsewhere.pem")
        );
    }

    #[test]
    fn a_certificate_that_is_not_there_turns_tls_off_with_a_warning() {
        let text = "cert=/none.pem\npkey=key.pem";
        assert!(!config(text).tls.has_certificate());
        assert!(warnings(text).contains("t.conf:1: cert: changed: there is no such file"));
        assert!(!config("").tls.has_certificate());
        assert_eq!(warnings(""), "");
    }

    #[test]
    fn a_key_that_this_user_may_not_read_is_kept() {
        assert!(config("cert=cert.pem\npkey=/etc/secret.pem").tls.has_certificate());
    }

    #[test]
    fn without_tls_and_dtls_no_certificate_is_looked_for() {
        assert!(!config("cert=cert.pem\npkey=key.pem\nno-tls\nno-dtls").tls.has_certificate());
        assert!(config("cert=cert.pem\npkey=key.pem\nno-tls").tls.has_certificate());
        assert_eq!(warnings("cert=/none.pem\npkey=/none.pem\nno-tls\nno-dtls"), "");
    }

    #[test]
    fn one_file_for_both_is_warned_of() {
        assert!(warnings("cert=cert.pem\npkey=cert.pem").contains("same file"));
    }
}
