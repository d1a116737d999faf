//! Python programs from PyPI, each in an environment of its own below `target/tools`.
//!
//! What goes into one stands in `xtask/python/NAME.txt`, every version pinned; only wheels are taken,
//! so that nothing is compiled and no package's own script runs.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};

use crate::command::{program, root, run, succeeds};
use crate::tools;

/// The environments, by the names of their lists.
const ENVIRONMENTS: [&str; 2] = ["kubernetes", "synapse"];

/// Makes every environment, where it is not there as its list says.
///
/// # Errors
/// When Python is missing or a package cannot be had.
pub(crate) fn install() -> Result<()> {
    ENVIRONMENTS.into_iter().try_for_each(install_environment)
}

fn install_environment(name: &str) -> Result<()> {
    let list = root().join("xtask/python").join(format!("{name}.txt"));
    let wanted = fs::read_to_string(&list).with_context(|| list.display().to_string())?;
    let tree = root().join("target/tools").join(name);
    if is_made_of(&tree, &wanted) {
        return Ok(());
    }
    install_python()?;
    let made = make(&tree, &list);
    made.and_then(|()| Ok(fs::write(stamp(&tree), &wanted)?)).map_err(|error| {
        let list = list.display();
        anyhow!("packages of {list} are missing; pip needs a package index\n{error:#}")
    })
}

/// Whether an environment was made of this list, and its Python still starts.
fn is_made_of(tree: &Path, wanted: &str) -> bool {
    fs::read_to_string(stamp(tree)).is_ok_and(|made_of| made_of == wanted)
        && succeeds(program(tree.join("bin/python")).arg("--version"))
}

fn make(tree: &Path, list: &Path) -> Result<()> {
    run(program("python3").args(["-m", "venv", "--clear"]).arg(tree))?;
    let mut install = program(tree.join("bin/python"));
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]);
    run(install.args(["--only-binary", ":all:", "--requirement"]).arg(list))
}

/// Debian splits what makes environments from Python.
fn install_python() -> Result<()> {
    if succeeds(program("python3").args(["-c", "import ensurepip, venv"])) {
        return Ok(());
    }
    tools::install_packages(&["python3-venv"])
}

/// The list that an environment was made of; written last.
fn stamp(tree: &Path) -> PathBuf {
    tree.join("made-of.txt")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_list_pins_every_package() -> Result<()> {
        for name in ENVIRONMENTS {
            let list = fs::read_to_string(root().join(format!("xtask/python/{name}.txt")))?;
            let packages: Vec<&str> = list.lines().filter(|line| !line.starts_with('#')).collect();
            assert!(packages.len() > 2, "{name}");
            assert!(packages.iter().all(|line| line.contains("==")), "{name}: {packages:?}");
        }
        Ok(())
    }
}
