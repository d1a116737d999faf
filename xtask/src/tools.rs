//! What the tests need beside a Rust toolchain and `cc`, and how it gets onto the machine.

use std::path::PathBuf;

use anyhow::{Result, anyhow, bail};

use crate::command::{cargo, find, output, program, root, run, succeeds};
use crate::{foreign, instructions, python};

/// Debian packages by the program that proves them.
const PACKAGES: &[(&str, &str)] = &[
    ("ip", "iproute2"),
    ("chromium", "chromium"),
    ("certutil", "libnss3-tools"),
    ("openssl", "openssl"),
    // Judges the unit and knows its system-call filter; nothing of it is started.
    ("systemd-analyze", "systemd"),
    // Makes one thread hang.
    ("strace", "strace"),
    // Counts instructions.
    ("valgrind", "valgrind"),
    // Run the image where there is no container engine.
    ("umoci", "umoci"),
    ("crun", "crun"),
    // Judges the package's scripts.
    ("shellcheck", "shellcheck"),
    // Runs the guides' examples.
    ("node", "nodejs"),
    ("python3", "python3-venv"),
];

/// Parts of the Rust toolchain by the cargo command that proves them.
const COMPONENTS: &[(&str, &str)] = &[("fmt", "rustfmt"), ("clippy", "clippy")];

/// Makes the Debian package. Pinned, as every tool.
const CARGO_DEB: &str = "3.8.0";

/// Installs whatever is missing. Does nothing, and asks no network, where all is there.
///
/// # Errors
/// Names what is missing and the line that installs it.
pub(crate) fn install() -> Result<()> {
    for &(subcommand, component) in COMPONENTS {
        if succeeds(cargo(subcommand).arg("--version")) {
            continue;
        }
        run(program("rustup").args(["component", "add", component])).map_err(|error| {
            anyhow!("{component} is missing; run: rustup component add {component}\n{error:#}")
        })?;
    }
    let programs: Vec<&str> = PACKAGES.iter().map(|&(program, _)| program).collect();
    install_packages_of(&programs)?;
    instructions::install_runner()?;
    cargo_tool("cargo-deb", CARGO_DEB)?;
    python::install()?;
    foreign::install()
}

/// Installs the packages of those programs that are not there.
///
/// # Errors
/// As [`install_packages`].
pub(crate) fn install_packages_of(programs: &[&str]) -> Result<()> {
    let missing: Vec<&str> = PACKAGES
        .iter()
        .filter(|(program, _)| programs.contains(program) && find(program).is_none())
        .map(|&(_, package)| package)
        .collect();
    install_packages(&missing)
}

/// Installs Debian packages by name; an empty list is nothing to do.
///
/// # Errors
/// When this is not Debian, the right to install is missing, or the installation fails.
pub(crate) fn install_packages(packages: &[&str]) -> Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    let list = packages.join(" ");
    let fix = format!(
        "missing: {list}; run: sudo apt-get update && \
         sudo apt-get install -y --no-install-recommends {list}"
    );
    if find("apt-get").is_none() {
        bail!(
            "missing: {list} (names of Debian packages); this is no Debian, install them by hand"
        );
    }
    update_lists()
        .and_then(|()| apt(&[&["install", "-y", "--no-install-recommends"], packages].concat()))
        .map_err(|error| anyhow!("{fix}\n{error:#}"))
}

/// Fetches the package lists anew.
///
/// # Errors
/// When the right is missing or the lists cannot be had.
pub(crate) fn update_lists() -> Result<()> {
    apt(&["update"])
}

/// Runs apt-get as root.
fn apt(arguments: &[&str]) -> Result<()> {
    let Some(privilege) = privilege() else { bail!("only root may run apt-get") };
    let mut command = program(privilege.first().copied().unwrap_or("env"));
    command
        .args(privilege.iter().skip(1))
        .args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "-q"])
        .args(arguments);
    run(&mut command)
}

/// A tool of cargo of a known version, built into `target/tools` when it is not there yet.
///
/// It is built without optimisation: CI starts from nothing, and the build costs more than the runs.
///
/// # Errors
/// When the build fails.
pub(crate) fn cargo_tool(name: &str, version: &str) -> Result<PathBuf> {
    let directory = root().join("target/tools");
    let binary = directory.join("bin").join(name);
    let current = binary.is_file()
        && output(program(&binary).arg("--version"))
            .is_ok_and(|text| text.split_whitespace().any(|word| word == version));
    if !current {
        let mut command = cargo("install");
        command.args([name, "--version", version, "--locked", "--debug", "--force", "--root"]);
        run(command.arg(&directory))?;
    }
    Ok(binary)
}

/// The words that turn a command into one of root; `None` where that cannot be had unasked.
fn privilege() -> Option<&'static [&'static str]> {
    if output(program("id").arg("-u")).is_ok_and(|id| id.trim() == "0") {
        return Some(&["env"]);
    }
    succeeds(program("sudo").args(["-n", "true"])).then_some(&["sudo", "-n", "env"])
}
