//! A host for the tests of the import.

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use turn_config::{Config, Listen, Transport};

use super::{Import, ImportOptions, Refused, import};
use crate::file::parse_file;
use crate::surroundings::{Host, Surroundings};

/// A host at 10.20.0.5 that knows one name, and has a certificate and some stores.
pub(super) struct Bench;

impl Host for Bench {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        match path.to_str() {
            Some("/etc/cert.pem" | "/etc/key.pem" | "/etc/coturn/elsewhere.pem") => {
                Ok(b"PEM".to_vec())
            }
            Some("/etc/secret.pem" | "/dev/log") => Err(io::ErrorKind::PermissionDenied.into()),
            Some("/dev/null") => Ok(Vec::new()),
            Some("/etc/empty.db") => {
                Ok(include_bytes!("../../tests/fixtures/empty.turndb").to_vec())
            }
            Some("/etc/my users.db") => {
                Ok(include_bytes!("../../tests/fixtures/user.turndb").to_vec())
            }
            Some("/etc/full.db") => Ok(b"users".to_vec()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn addresses_of(&self, name: &str) -> Vec<IpAddr> {
        let known = name == "media.example.org";
        if known { vec![[192, 0, 2, 80].into(), [192, 0, 2, 81].into()] } else { Vec::new() }
    }
}

pub(super) fn surroundings() -> Surroundings<'static> {
    Surroundings {
        addresses: vec![[127, 0, 0, 1].into(), [10, 20, 0, 5].into()],
        domain: None,
        directory: PathBuf::from("/etc"),
        host: &Bench,
    }
}

pub(super) fn try_import(text: &str) -> Result<Import, Refused> {
    import(&parse_file(text, "t.conf"), &surroundings(), ImportOptions::default())
}

/// What `text` comes to, which its TOML comes to as well.
#[track_caller]
pub(super) fn imported(text: &str) -> Import {
    let import = try_import(text).unwrap_or_else(|refused| panic!("{refused}"));
    let read = turn_config::from_str(&import.config.to_toml(), Path::new("/etc/t.toml"));
    match read {
        Ok(read) => assert_eq!(read, import.config),
        Err(errors) => panic!("{errors}"),
    }
    import
}

#[track_caller]
pub(super) fn config(text: &str) -> Config {
    imported(text).config
}

/// The warnings, a line each, without those about options that are not written.
#[track_caller]
pub(super) fn warnings(text: &str) -> String {
    let import = imported(text);
    let written = import.warnings().filter(|note| note.place.line().is_some());
    written.map(|note| format!("{note}\n")).collect()
}

/// What is said about options that are not written.
#[track_caller]
pub(super) fn absent(text: &str) -> String {
    let import = imported(text);
    let absent = import.warnings().filter(|note| note.place.line().is_none());
    absent.map(|note| format!("{note}\n")).collect()
}

#[track_caller]
pub(super) fn refused(text: &str) -> String {
    match try_import(text) {
        Ok(_) => panic!("taken: {text}"),
        Err(refused) => refused.to_string(),
    }
}

/// Listeners in short: `10.20.0.5:3478 udp tcp`.
pub(super) fn short(listens: &[Listen]) -> Vec<String> {
    let name = |transport: &Transport| match transport {
        Transport::Udp => " udp",
        Transport::Tcp => " tcp",
        Transport::Tls => " tls",
        Transport::Dtls => " dtls",
    };
    let all = |listen: &Listen| listen.transports.iter().map(name).collect::<String>();
    listens.iter().map(|listen| format!("{}{}", listen.address, all(listen))).collect()
}
