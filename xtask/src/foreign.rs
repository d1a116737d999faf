//! Debian's coturn in `target/foreign/coturn`: its client tools and, as an oracle, its server.
//!
//! It is taken out of its package and never installed: installed it owns `/usr/bin/turnserver` and
//! starts a service. The libraries that it depends on are installed as usual.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};

use crate::command::{output, program, root, run};
use crate::tools;

const PROGRAMS: [&str; 4] =
    ["turnutils_uclient", "turnutils_peer", "turnutils_stunclient", "turnserver"];

/// Makes coturn's programs runnable from `target/foreign/coturn/usr/bin`.
///
/// # Errors
/// When the package cannot be had or a library is still missing afterwards.
pub(crate) fn install_coturn() -> Result<()> {
    let directory = root().join("target/foreign");
    let tree = directory.join("coturn");
    if missing_libraries(&tree).is_ok_and(|missing| missing.is_empty()) {
        return Ok(());
    }
    fs::create_dir_all(&directory)?;
    let package = download(&directory)?;
    run(program("dpkg").arg("-x").arg(&package).arg(&tree))?;
    if !missing_libraries(&tree)?.is_empty() {
        let depends = output(program("dpkg").arg("-f").arg(&package).arg("Depends"))?;
        tools::install_packages(&library_packages(&depends))?;
    }
    let missing = missing_libraries(&tree)?;
    if !missing.is_empty() {
        bail!("coturn's programs still miss {}", missing.join(", "));
    }
    Ok(())
}

/// Downloads the package, first with the package lists as they are and then with new ones.
fn download(directory: &Path) -> Result<PathBuf> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "deb") {
            fs::remove_file(path)?;
        }
    }
    let fetch = || {
        let mut command = program("apt-get");
        // Root's download would otherwise complain that `_apt` may not write here.
        command.current_dir(directory).args(["-q", "-o", "APT::Sandbox::User=root"]);
        run(command.args(["download", "coturn"]))
    };
    fetch().or_else(|_| tools::install_packages(&["apt"]).and_then(|()| fetch())).map_err(
        |error| anyhow!("coturn's package is missing; run: sudo apt-get update\n{error:#}"),
    )?;
    fs::read_dir(directory)?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .context("apt-get download left no package")
}

fn missing_libraries(tree: &Path) -> Result<Vec<String>> {
    let mut missing = Vec::new();
    for name in PROGRAMS {
        let libraries = output(program("ldd").arg(tree.join("usr/bin").join(name)))?;
        missing.extend(not_found(&libraries).map(str::to_owned));
    }
    missing.sort();
    missing.dedup();
    Ok(missing)
}

/// The names of the libraries that `ldd` did not find.
fn not_found(ldd: &str) -> impl Iterator<Item = &str> {
    ldd.lines()
        .filter(|line| line.contains("not found"))
        .filter_map(|line| line.split_whitespace().next())
}

/// The library packages of a `Depends` field: no alternatives, no versions, no service's needs.
fn library_packages(depends: &str) -> Vec<&str> {
    depends
        .split(',')
        .filter_map(|entry| entry.split_whitespace().next())
        .filter(|name| name.starts_with("lib"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_taken_out_of_a_depends_field() {
        let depends =
            "adduser, telnet | telnet-client, libc6 (>= 2.34), lsb-base (>= 3.0-6), libpq5";
        assert_eq!(library_packages(depends), ["libc6", "libpq5"]);
    }

    #[test]
    fn ldd_lines_without_a_file_are_missing() {
        let ldd = "\tlibpq.so.5 => /lib/libpq.so.5 (0x0)\n\tlibhiredis.so.0.14 => not found\n";
        assert_eq!(not_found(ldd).collect::<Vec<_>>(), ["libhiredis.so.0.14"]);
    }
}
