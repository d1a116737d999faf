//! The workspace's packages and their direct dependencies, from `cargo metadata`.

use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::command::{cargo, in_ci, output};

/// What `cargo metadata --no-deps` tells.
#[derive(Debug, Deserialize)]
pub(crate) struct Metadata {
    /// The members of the workspace.
    pub(crate) packages: Vec<Package>,
}

/// One member.
#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    /// Its name, as `turn-codec`.
    pub(crate) name: String,
    /// Its `Cargo.toml`.
    pub(crate) manifest_path: PathBuf,
    /// Its direct dependencies of every kind.
    pub(crate) dependencies: Vec<Dependency>,
}

/// A direct dependency.
#[derive(Debug, Deserialize)]
pub(crate) struct Dependency {
    /// The name of the package depended on.
    pub(crate) name: String,
    /// `None` for a normal dependency, else `dev` or `build`.
    pub(crate) kind: Option<String>,
}

impl Metadata {
    /// Asks cargo.
    ///
    /// # Errors
    /// When cargo refuses a manifest.
    pub(crate) fn read() -> Result<Self> {
        let mut command = cargo("metadata");
        command.args(["--format-version", "1", "--no-deps"]);
        if in_ci() {
            command.arg("--locked");
        }
        serde_json::from_str(&output(&mut command)?).context("cargo metadata")
    }
}

impl Package {
    /// The names of the normal dependencies.
    pub(crate) fn normal_dependencies(&self) -> impl Iterator<Item = &str> {
        self.dependencies
            .iter()
            .filter(|dependency| dependency.kind.is_none())
            .map(|dependency| dependency.name.as_str())
    }
}
