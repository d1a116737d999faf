//! Debian programs in `target/foreign`: coturn's client tools and, as an oracle, its server; nginx
//! with its stream module; promtool, Prometheus' own judge of metrics and rules.
//!
//! They are taken out of their packages and never installed: installed, each starts a service, and
//! coturn owns `/usr/bin/turnserver`. The libraries that they depend on are installed as usual.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};

use crate::command::{output, program, root, run};
use crate::tools;

/// Programs that are taken out of their packages.
#[derive(Debug)]
struct Foreign {
    /// The directory below `target/foreign`.
    name: &'static str,
    /// The Debian packages.
    packages: &'static [&'static str],
    /// Programs and modules that must be there afterwards, with all of their libraries.
    files: &'static [&'static str],
    /// What else must be there.
    others: &'static [&'static str],
}

const FOREIGN: [Foreign; 3] = [
    Foreign {
        name: "coturn",
        packages: &["coturn"],
        files: &[
            "usr/bin/turnutils_uclient",
            "usr/bin/turnutils_peer",
            "usr/bin/turnutils_stunclient",
            "usr/bin/turnserver",
        ],
        others: &[],
    },
    Foreign {
        name: "nginx",
        packages: &["nginx", "nginx-common", "libnginx-mod-stream"],
        files: &["usr/sbin/nginx", "usr/lib/nginx/modules/ngx_stream_module.so"],
        others: &["etc/nginx/mime.types"],
    },
    Foreign {
        name: "prometheus",
        packages: &["prometheus"],
        files: &["usr/bin/promtool"],
        others: &[],
    },
];

/// Makes the programs runnable from `target/foreign/NAME`.
///
/// # Errors
/// When a package cannot be had or a library is still missing afterwards.
pub(crate) fn install() -> Result<()> {
    FOREIGN.iter().try_for_each(Foreign::install)
}

impl Foreign {
    fn install(&self) -> Result<()> {
        let tree = root().join("target/foreign").join(self.name);
        if self.missing_libraries(&tree).is_ok_and(|missing| missing.is_empty()) {
            return Ok(());
        }
        let packages = self.download(&root().join("target/foreign/packages").join(self.name))?;
        fs::create_dir_all(&tree)?;
        for package in &packages {
            run(program("dpkg").arg("-x").arg(package).arg(&tree))?;
        }
        if !self.missing_libraries(&tree)?.is_empty() {
            for package in &packages {
                let depends = output(program("dpkg").arg("-f").arg(package).arg("Depends"))?;
                tools::install_packages(&library_packages(&depends))?;
            }
        }
        let missing = self.missing_libraries(&tree)?;
        if !missing.is_empty() {
            bail!("the programs of {} still miss {}", self.name, missing.join(", "));
        }
        Ok(())
    }

    /// Downloads the packages, first with the package lists as they are and then with new ones.
    fn download(&self, directory: &Path) -> Result<Vec<PathBuf>> {
        if directory.exists() {
            // Of another version, or half of one.
            fs::remove_dir_all(directory)?;
        }
        fs::create_dir_all(directory)?;
        let fetch = || {
            let mut command = program("apt-get");
            // Root's download would otherwise complain that `_apt` may not write here.
            command.current_dir(directory).args(["-q", "-o", "APT::Sandbox::User=root"]);
            run(command.arg("download").args(self.packages))
        };
        let list = self.packages.join(" ");
        fetch().or_else(|_| tools::update_lists().and_then(|()| fetch())).map_err(|error| {
            anyhow!("packages are missing: {list}; run: sudo apt-get update\n{error:#}")
        })?;
        let packages: Vec<PathBuf> = fs::read_dir(directory)?
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .filter(|path| path.extension().is_some_and(|extension| extension == "deb"))
            .collect();
        if packages.len() < self.packages.len() {
            bail!("apt-get download left {} packages of: {list}", packages.len());
        }
        Ok(packages)
    }

    /// The libraries that the files miss; an error when a file itself is not there.
    fn missing_libraries(&self, tree: &Path) -> Result<Vec<String>> {
        let mut missing = Vec::new();
        if let Some(other) = self.others.iter().find(|other| !tree.join(other).is_file()) {
            bail!("{other} is not there");
        }
        for file in self.files {
            let file = tree.join(file);
            let libraries = output(program("ldd").arg(&file))
                .with_context(|| format!("{} is not there", file.display()))?;
            missing.extend(not_found(&libraries).map(str::to_owned));
        }
        missing.sort();
        missing.dedup();
        Ok(missing)
    }
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
