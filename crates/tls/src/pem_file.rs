//! PEM files (RFC 7468) as certificates and keys come in.
//!
//! What is read is bounded, wiped when dropped, and classified where it is not
//! what was looked for, because swapped and wrong files are the usual mistake.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::{self, PemObject as _, SectionKind};
use zeroize::Zeroizing;

use crate::error::CertificateError;

/// What a file holds that does not hold what was looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// No byte at all.
    Nothing,
    /// A private key.
    Key,
    /// A certificate.
    Certificate,
    /// A certificate signing request.
    Request,
    /// Binary data that may be DER.
    Der,
    /// Something else.
    Other,
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "nothing",
            Self::Key => "a private key",
            Self::Certificate => "a certificate",
            Self::Request => "a certificate request",
            Self::Der => "binary data",
            Self::Other => "something else",
        })
    }
}

/// A PEM file, read once.
pub(crate) struct PemFile {
    path: PathBuf,
    text: Zeroizing<Vec<u8>>,
    mode: u32,
}

/// The longest file that is read: a chain is a few kilobytes.
const LONGEST: u64 = 1 << 20;

impl PemFile {
    pub(crate) fn read(path: &Path) -> Result<Self, CertificateError> {
        let failed = |source| CertificateError::Read { path: path.to_owned(), source };
        let no_file = |found| CertificateError::NoFile { path: path.to_owned(), found };
        // Asked before the file is opened, because opening a pipe waits for its writer.
        let metadata = fs::metadata(path).map_err(failed)?;
        if metadata.is_dir() {
            return Err(no_file("a directory"));
        }
        if !metadata.is_file() {
            return Err(no_file("a device or a pipe"));
        }
        let file = File::open(path).map_err(failed)?;
        let mode = file.metadata().map_err(failed)?.permissions().mode();
        // One piece, so that a growing buffer leaves no copy of a key behind.
        let mut text = Zeroizing::new(Vec::with_capacity(capacity(metadata.len())));
        file.take(LONGEST).read_to_end(&mut text).map_err(failed)?;
        if text.len() as u64 >= LONGEST {
            return Err(no_file("longer than 1 MiB"));
        }
        Ok(Self { path: path.to_owned(), text, mode })
    }

    /// All certificates, in the order of the file; at least one.
    pub(crate) fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
        let mut certificates = Vec::new();
        for section in self.sections() {
            let (kind, der) = section?;
            if kind == SectionKind::Certificate {
                certificates.push(CertificateDer::from(der.to_vec()));
            }
        }
        if certificates.is_empty() {
            return Err(CertificateError::NoCertificate {
                path: self.path.clone(),
                found: self.content(),
            });
        }
        Ok(certificates)
    }

    /// The first private key and the heading it stands under.
    pub(crate) fn key(&self) -> Result<(SectionKind, Zeroizing<Vec<u8>>), CertificateError> {
        if self.has(b"-----BEGIN ENCRYPTED PRIVATE KEY-----") || self.has(b"Proc-Type: 4,ENCRYPTED")
        {
            return Err(CertificateError::EncryptedKey { path: self.path.clone() });
        }
        for section in self.sections() {
            let (kind, der) = section?;
            if is_key(kind) {
                return Ok((kind, der));
            }
        }
        Err(CertificateError::NoKey { path: self.path.clone(), found: self.content() })
    }

    /// Whether everybody on this host can read or change the file. [H35]
    pub(crate) fn is_open_to_others(&self) -> bool {
        self.mode & 0o006 != 0
    }

    /// Says that a section of the file is not what its heading promises.
    pub(crate) fn damaged(&self, reason: String) -> CertificateError {
        CertificateError::Damaged { path: self.path.clone(), reason }
    }

    fn sections(
        &self,
    ) -> impl Iterator<Item = Result<(SectionKind, Zeroizing<Vec<u8>>), CertificateError>> {
        <(SectionKind, Vec<u8>)>::pem_slice_iter(&self.text).map(|section| match section {
            Ok((kind, der)) => Ok((kind, Zeroizing::new(der))),
            Err(error) => Err(self.damaged(reason(&error).to_owned())),
        })
    }

    fn content(&self) -> Content {
        let kinds: Vec<_> = self.sections().flatten().map(|(kind, _)| kind).collect();
        if self.text.iter().all(u8::is_ascii_whitespace) {
            Content::Nothing
        } else if self.has(b"PRIVATE KEY-----") || kinds.iter().any(|kind| is_key(*kind)) {
            Content::Key
        } else if kinds.contains(&SectionKind::Certificate) {
            Content::Certificate
        } else if kinds.contains(&SectionKind::Csr) {
            Content::Request
        } else if self.text.first() == Some(&DER_SEQUENCE) && !self.text.is_ascii() {
            Content::Der
        } else {
            Content::Other
        }
    }

    fn has(&self, words: &[u8]) -> bool {
        self.text.windows(words.len()).any(|window| window == words)
    }
}

const fn is_key(kind: SectionKind) -> bool {
    matches!(kind, SectionKind::PrivateKey | SectionKind::RsaPrivateKey | SectionKind::EcPrivateKey)
}

/// How DER begins: a SEQUENCE.
const DER_SEQUENCE: u8 = 0x30;

fn capacity(length: u64) -> usize {
    usize::try_from(length.min(LONGEST)).map_or(0, |length| length.saturating_add(1))
}

/// The place of a mistake in words; never a piece of the file.
#[expect(clippy::wildcard_enum_match_arm, reason = "the enum is the library's, and open")]
fn reason(error: &pem::Error) -> &'static str {
    match error {
        pem::Error::MissingSectionEnd { .. } => "a section has no -----END line",
        pem::Error::IllegalSectionStart { .. } => "a -----BEGIN line is cut off",
        pem::Error::Base64Decode(_) => "a section is not base64",
        pem::Error::Io(error) if error.kind() == io::ErrorKind::InvalidData => "it is no text",
        _ => "it is not PEM",
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn file(text: &[u8]) -> (tempfile::TempDir, PemFile) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file.pem");
        fs::write(&path, text).unwrap();
        let file = PemFile::read(&path).unwrap();
        (directory, file)
    }

    #[test]
    fn what_is_there_instead_of_a_certificate_is_told() {
        for (text, found) in [
            (&b"\n \n"[..], Content::Nothing),
            (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", Content::Key),
            (
                b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
                Content::Key,
            ),
            (
                b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n",
                Content::Request,
            ),
            (b"\x30\x82\x01\xf0\x00", Content::Der),
            (b"hello", Content::Other),
        ] {
            let (_directory, file) = file(text);
            let error = file.certificates().unwrap_err();
            assert!(
                matches!(error, CertificateError::NoCertificate { found: f, .. } if f == found),
                "{error}"
            );
        }
    }

    #[test]
    fn a_section_that_is_cut_off_is_damaged_and_not_quoted() {
        for text in [
            &b"-----BEGIN CERTIFICATE-----\nAAAA\n"[..],
            b"-----BEGIN CERTIFICATE-----\nhunter2!\n-----END CERTIFICATE-----\n",
            b"-----BEGIN CERT",
        ] {
            let (_directory, file) = file(text);
            let error = file.certificates().unwrap_err();
            assert!(matches!(error, CertificateError::Damaged { .. }), "{error}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn both_forms_of_encryption_are_recognised() {
        for text in [
            &b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"
                [..],
            b"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\
              \nAAAA\n-----END RSA PRIVATE KEY-----\n",
        ] {
            let (_directory, file) = file(text);
            let error = file.key().unwrap_err();
            assert!(matches!(error, CertificateError::EncryptedKey { .. }), "{error}");
            assert!(error.help().contains("openssl pkey -in "), "{}", error.help());
        }
    }

    #[test]
    fn what_is_no_file_is_not_opened() {
        let directory = tempfile::tempdir().unwrap();
        for path in [directory.path(), Path::new("/dev/zero")] {
            let error = PemFile::read(path).map(|_| ()).unwrap_err();
            assert!(matches!(error, CertificateError::NoFile { .. }), "{error}");
        }
        let path = directory.path().join("missing.pem");
        let error = PemFile::read(&path).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains("missing.pem"), "{error}");
        assert!(error.help().contains("correct the path"), "{}", error.help());
    }

    #[test]
    fn a_file_without_end_is_not_read_to_its_end() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("large.pem");
        File::create(&path).unwrap().set_len(LONGEST * 64).unwrap();
        let error = PemFile::read(&path).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains("longer than 1 MiB"), "{error}");
    }
}
