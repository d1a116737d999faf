//! Debian programs in `target/foreign`: coturn's client tools and, as an oracle, its server; the
//! databases that it keeps users in; nginx, promtool and whatever else stands beside a TURN server
//! ([`PROGRAMS`]).
//!
//! They are taken out of their packages and never installed: installed, most of them start a service,
//! and coturn owns `/usr/bin/turnserver`. The libraries that they depend on are installed as usual.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};

use crate::command::{output, program, root, run};
use crate::foreign_programs::{PROGRAMS, Program, Release};
use crate::tools;

/// Makes the programs runnable from `target/foreign/NAME`.
///
/// # Errors
/// When a package cannot be had or a library is still missing afterwards.
pub(crate) fn install() -> Result<()> {
    let missing: Vec<&Program> = PROGRAMS.iter().filter(|program| !program.is_complete()).collect();
    let mut libraries = Vec::new();
    for program in &missing {
        libraries.extend(program.extract()?);
    }
    libraries.sort();
    libraries.dedup();
    // All at once: each installation first asks for new package lists.
    tools::install_packages(&libraries.iter().map(String::as_str).collect::<Vec<_>>())?;
    for program in missing {
        let libraries = program.missing_libraries()?;
        if !libraries.is_empty() {
            bail!("the programs of {} still miss {}", program.name, libraries.join(", "));
        }
    }
    Ok(())
}

impl Program {
    /// Takes the programs out of their packages, and names the packages of the libraries that they
    /// may miss.
    fn extract(&self) -> Result<Vec<String>> {
        let release = self.release.map(Release::find).transpose()?.unwrap_or_default();
        let packages: Vec<String> =
            self.packages.iter().map(|package| package.replace("{}", &release)).collect();
        let packages =
            download(&packages, &root().join("target/foreign/packages").join(self.name))?;
        let tree = self.tree();
        if tree.exists() {
            // Of another version, or half of one.
            fs::remove_dir_all(&tree)?;
        }
        fs::create_dir_all(&tree)?;
        for package in &packages {
            run(program("dpkg").arg("-x").arg(package).arg(&tree))?;
        }
        self.link(&release)?;
        if self.missing_libraries()?.is_empty() {
            return Ok(Vec::new());
        }
        let mut libraries = Vec::new();
        for package in &packages {
            let depends = output(program("dpkg").arg("-f").arg(package).arg("Depends"))?;
            libraries.extend(library_packages(&depends).into_iter().map(str::to_owned));
        }
        Ok(libraries)
    }

    fn link(&self, release: &str) -> Result<()> {
        for (name, target) in self.links {
            let architecture = library_directory(&self.tree()).unwrap_or_default();
            let target = target.replace("{}", release).replace("{arch}", &architecture);
            symlink(self.tree().join(target), self.tree().join(name))?;
        }
        Ok(())
    }

    fn is_complete(&self) -> bool {
        let has_packages =
            || debian_packages(&self.package_directory()).len() >= self.packages.len();
        self.missing_libraries().is_ok_and(|missing| missing.is_empty())
            && (!self.are_packages_wanted || has_packages())
    }

    /// The libraries that the files miss; an error when a file itself is not there.
    fn missing_libraries(&self) -> Result<Vec<String>> {
        let tree = self.tree();
        let mut missing = Vec::new();
        if let Some(other) = self.others.iter().find(|other| !tree.join(other).is_file()) {
            bail!("{other} is not there");
        }
        // Modules look for libraries of their own package.
        let own = tree.join("usr/lib").join(library_directory(&tree).unwrap_or_default());
        for file in self.files {
            let file = tree.join(file);
            let libraries = output(program("ldd").arg(&file).env("LD_LIBRARY_PATH", &own))
                .with_context(|| format!("{} is not there", file.display()))?;
            missing.extend(not_found(&libraries).map(str::to_owned));
        }
        missing.sort();
        missing.dedup();
        Ok(missing)
    }

    fn package_directory(&self) -> PathBuf {
        root().join("target/foreign/packages").join(self.name)
    }

    fn tree(&self) -> PathBuf {
        root().join("target/foreign").join(self.name)
    }
}

impl Release {
    /// The release that this Debian has.
    fn find(self) -> Result<String> {
        let ask = || output(program("apt-cache").args(["depends", self.package]));
        let found = |text: String| self.read(&text).map(str::to_owned);
        let lists = ask().ok().and_then(found);
        let release = match lists {
            Some(release) => Some(release),
            None => tools::update_lists().and_then(|()| ask()).ok().and_then(found),
        };
        release.with_context(|| {
            format!("package {} is unknown; run: sudo apt-get update", self.package)
        })
    }

    /// The release in what `apt-cache depends` prints.
    fn read(self, depends: &str) -> Option<&str> {
        let names = depends.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
        names
            .filter_map(|name| name.strip_prefix(self.before)?.strip_suffix(self.after))
            .find(|release| release.starts_with(|first: char| first.is_ascii_digit()))
    }
}

/// Downloads packages, first with the package lists as they are and then with new ones.
fn download(names: &[String], directory: &Path) -> Result<Vec<PathBuf>> {
    if directory.exists() {
        // Of another version, or half of one.
        fs::remove_dir_all(directory)?;
    }
    fs::create_dir_all(directory)?;
    let fetch = || {
        let mut command = program("apt-get");
        // Root's download would otherwise complain that `_apt` may not write here.
        command.current_dir(directory).args(["-q", "-o", "APT::Sandbox::User=root"]);
        run(command.arg("download").args(names))
    };
    let list = names.join(" ");
    fetch().or_else(|_| tools::update_lists().and_then(|()| fetch())).map_err(|error| {
        anyhow!("packages are missing: {list}; run: sudo apt-get update\n{error:#}")
    })?;
    let packages = debian_packages(directory);
    if packages.len() < names.len() {
        bail!("apt-get download left {} packages of: {list}", packages.len());
    }
    Ok(packages)
}

/// The packages in a directory; none where there is no such directory.
fn debian_packages(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten();
    entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .collect()
}

/// What Debian calls the directory of an architecture's libraries, as `x86_64-linux-gnu`.
fn library_directory(tree: &Path) -> Option<String> {
    let entries = fs::read_dir(tree.join("usr/lib")).ok()?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.filter(|name| name.contains("-linux-gnu")).min()
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
    fn the_release_is_read_from_what_depends_on_it() {
        let php = Release { package: "php-cli", before: "php", after: "-cli" };
        assert_eq!(
            php.read("php-cli\n  Depends: php-common\n  Depends: php8.2-cli\n"),
            Some("8.2")
        );
        let postgresql = Release { package: "postgresql", before: "postgresql-", after: "" };
        let depends = "postgresql\n  Depends: postgresql-common\n  Depends: postgresql-15\n";
        assert_eq!(postgresql.read(depends), Some("15"));
        assert_eq!(postgresql.read("postgresql\n"), None);
    }

    #[test]
    fn ldd_lines_without_a_file_are_missing() {
        let ldd = "\tlibpq.so.5 => /lib/libpq.so.5 (0x0)\n\tlibhiredis.so.0.14 => not found\n";
        assert_eq!(not_found(ldd).collect::<Vec<_>>(), ["libhiredis.so.0.14"]);
    }
}
