//! `certutil`: what Chromium trusts, in the NSS database of a home of its own.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::process::Running;

const LIMIT: Duration = Duration::from_secs(20);

/// Makes the browser of this home trust authorities, each a certificate in PEM, for servers.
///
/// # Panics
/// When there is no `certutil` or it refuses.
pub(super) fn trust(home: &Path, authorities: &[String]) {
    let database = home.join(".pki/nssdb");
    fs::create_dir_all(&database).expect("the database's directory can be made");
    let database = format!("sql:{}", database.display());
    certutil(&["-N", "-d", &database, "--empty-password"]);
    for (number, authority) in authorities.iter().enumerate() {
        let file = home.join(format!("authority-{number}.pem"));
        fs::write(&file, authority).expect("a certificate can be written");
        let (name, file) = (format!("authority {number}"), file.display().to_string());
        certutil(&["-A", "-d", &database, "-n", &name, "-t", "C,,", "-i", &file]);
    }
}

fn certutil(arguments: &[&str]) {
    let is_there = Command::new("certutil").arg("-H").output().is_ok();
    assert!(is_there, "certutil is missing; run: cargo xtask tools");
    let finished = Running::start(Command::new("certutil").args(arguments)).finish(LIMIT);
    assert_eq!(finished.exit, Some(0), "certutil {arguments:?}: {}", finished.output);
}
