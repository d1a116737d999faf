//! The programs that take part: ours are built with the profile of this one.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context;

/// The server, the load generator and the bare forwarder.
pub(crate) struct Binaries {
    pub(crate) turnserver: PathBuf,
    pub(crate) load: PathBuf,
    pub(crate) floor: PathBuf,
}

/// Their names, in the order of [`Binaries`].
const PROGRAMS: [&str; 3] = ["turnserver", "turnserver-load", "floor"];

/// The workspace's target directory.
pub(crate) fn target() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target")
}

/// Where `cargo xtask tools` puts Debian's coturn.
pub(crate) fn debian_coturn() -> PathBuf {
    target().join("foreign/coturn/usr/bin/turnserver")
}

impl Binaries {
    /// Finds them beside this program; builds them first, unless they shall be taken as they are.
    pub(crate) fn find(build: bool) -> anyhow::Result<Self> {
        let directory = env::current_exe()?.parent().context("a directory")?.to_path_buf();
        if build {
            let profile = directory.file_name().and_then(|name| name.to_str());
            let profile = match profile.context("a profile's directory")? {
                "debug" => "dev",
                profile => profile,
            };
            let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
            let mut command = Command::new(cargo);
            command.args(["build", "--quiet", "--profile", profile]);
            command.args(["--package", "turnserver", "--package", "turn-client"]);
            command.args(["--package", "turn-benches"]);
            command.args(PROGRAMS.map(|program| ["--bin", program]).as_flattened());
            command.current_dir(env!("CARGO_MANIFEST_DIR"));
            anyhow::ensure!(command.status()?.success(), "the programs cannot be built");
        }
        let [turnserver, load, floor] = PROGRAMS.map(|program| directory.join(program));
        for program in [&turnserver, &load, &floor] {
            anyhow::ensure!(program.is_file(), "{} is not there", program.display());
        }
        Ok(Self { turnserver, load, floor })
    }
}
