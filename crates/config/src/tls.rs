//! `[tls]`: who the server is to clients that come over TLS or DTLS.

use std::path::{Path, PathBuf};

use toml::de::DeValue;

use crate::complaint::Complaint;
use crate::file::Switches;
use crate::reader::Section;
use crate::values;

/// The certificates of `tls` and `dtls` listeners.
///
/// Where a listener speaks either, there is a certificate or `self_signed`;
/// there are never both.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// Certificates by the name that a client asks for (SNI); the first one serves all other
    /// clients. No certificate file twice. Default: none.
    pub certificates: Vec<CertificatePair>,
    /// Makes a certificate at each start, for trials. Default: false.
    pub self_signed: bool,
}

/// Two PEM files that belong together.
///
/// The reader has taken relative paths as relative to the configuration file's directory.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CertificatePair {
    /// The certificate with its chain, the server's own first.
    pub certificate: PathBuf,
    /// Its private key; another file.
    pub key: PathBuf,
}

impl Tls {
    /// Whether there is a certificate to show.
    pub fn has_certificate(&self) -> bool {
        self.self_signed || !self.certificates.is_empty()
    }

    /// Reads the section, and whether it is meant to bring a certificate, mistakes or not.
    pub(crate) fn read(section: &mut Section<'_, '_>, switches: Switches) -> (Self, bool) {
        let written = section.has("certificates");
        let certificates = CertificatePair::read_all(section);
        let self_signed = section.value("self_signed", values::boolean);
        if written && self_signed == Some(true) {
            let complaint = Complaint::new(
                "a self-signed certificate beside others would never be shown",
                "remove one of the two; self_signed is for trials",
            );
            section.complain("self_signed", section.span_of("self_signed"), complaint);
        } else if written && switches.self_signed {
            let complaint = Complaint::new(
                "--self-signed, and there are certificates already",
                "start without --self-signed",
            );
            section.complain("certificates", section.span_of("certificates"), complaint);
        }
        let meant = written
            || switches.self_signed
            || (section.has("self_signed") && self_signed != Some(false));
        let self_signed = self_signed.unwrap_or_default() || switches.self_signed;
        (Self { certificates, self_signed }, meant)
    }

    /// Makes relative paths start from `directory`.
    pub(crate) fn start_from(&mut self, directory: &Path) {
        for pair in &mut self.certificates {
            // `join` leaves an absolute path as it is.
            pair.certificate = directory.join(&pair.certificate);
            pair.key = directory.join(&pair.key);
        }
    }
}

impl CertificatePair {
    fn read_all(section: &mut Section<'_, '_>) -> Vec<Self> {
        let help = format!("write certificates = [{SAMPLE}]");
        let read = section.tables("certificates", &help, |section| {
            Self::read(section).map(|pair| (pair, section.span_of("certificate")))
        });
        let Some(read) = read else {
            return Vec::new();
        };
        if read.is_empty() {
            let complaint = Complaint::new("an empty list brings no certificate", help);
            section.complain("certificates", section.span_of("certificates"), complaint);
        }
        let mut kept: Vec<Self> = Vec::new();
        for (pair, span) in read.into_iter().flatten() {
            if kept.iter().any(|other| other.certificate == pair.certificate) {
                let complaint = Complaint::new(
                    format!("{} is listed twice", pair.certificate.display()),
                    "name each certificate once, with its own key",
                );
                section.complain("certificates.certificate", span, complaint);
            }
            kept.push(pair);
        }
        kept
    }

    fn read(section: &mut Section<'_, '_>) -> Option<Self> {
        let mut file = |key: &'static str, example: &str, of: &str| {
            if !section.has(key) {
                let complaint = Complaint::new(
                    format!("the {of} is missing"),
                    format!("write {SAMPLE}, each with the path of a PEM file"),
                );
                section.complain(key, section.span(), complaint);
            }
            section.value(key, |value| path(value, example))
        };
        let certificate = file("certificate", "fullchain.pem", "certificate of this key");
        let key = file("key", "privkey.pem", "key of this certificate");
        let pair = Self { certificate: certificate?, key: key? };
        if pair.certificate == pair.key {
            let complaint = Complaint::new(
                "certificate and key are the same file",
                "write the path of the private key, such as \"privkey.pem\"",
            );
            section.complain("key", section.span_of("key"), complaint);
        }
        Some(pair)
    }
}

fn path(value: &DeValue<'_>, example: &str) -> Result<PathBuf, Complaint> {
    let text = values::text(value, example)?;
    if text.contains("-----BEGIN") {
        return Err(Complaint::new(
            "the content of a PEM file instead of its path",
            format!("put it into a file of mode 600 and write its path, such as \"{example}\""),
        ));
    }
    if text.is_empty() || text.contains(char::is_control) {
        return Err(Complaint::new(
            "not a path",
            format!("write the path of a PEM file, such as \"{example}\""),
        ));
    }
    Ok(PathBuf::from(text))
}

/// One entry of `tls.certificates`.
const SAMPLE: &str = "{ certificate = \"fullchain.pem\", key = \"privkey.pem\" }";
