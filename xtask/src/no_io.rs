//! The proof that codec, credentials, stun and turn do no I/O: they build for a target that has
//! none. Where that target cannot be had, `#![no_std]` of the codec and the banned methods serve.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::command::{cargo_build, output, program, root, run};
use crate::metadata::Metadata;
use crate::rust_source::code_only;
use crate::walls::WITHOUT_IO;

const TARGET: &str = "wasm32-unknown-unknown";

/// Methods that every one of the four crates must ban.
const BANNED: &[&str] = &["std::time::Instant::now", "std::time::SystemTime::now", "std::env::var"];

/// Runs the stronger proof that can be had, and says which.
///
/// # Errors
/// When a crate does not build for the target, or a ban is missing.
pub(crate) fn check(metadata: &Metadata) -> Result<()> {
    if target_is_there() {
        println!("proof: {} build for {TARGET}", WITHOUT_IO.join(", "));
        let mut command = cargo_build("build");
        command.args(["--target", TARGET]);
        command.args(WITHOUT_IO.iter().flat_map(|name| ["--package", name]));
        run(&mut command)?;
    } else {
        println!("proof: no_std of the codec, banned methods of the others ({TARGET} is not here)");
        let codec = root().join("crates/codec/src/lib.rs");
        let source = fs::read_to_string(&codec).with_context(|| codec.display().to_string())?;
        if !is_no_std(&source) {
            bail!("crates/codec/src/lib.rs is not #![no_std]");
        }
    }
    bans_stand(metadata)
}

fn target_is_there() -> bool {
    let mut command = program("rustc");
    output(command.args(["--print", "target-libdir", "--target", TARGET]))
        .is_ok_and(|directory| Path::new(directory.trim()).is_dir())
}

/// A crate that is `no_std` only outside its own tests counts.
fn is_no_std(source: &str) -> bool {
    let code = code_only(source);
    let packed: String = code.split_whitespace().collect();
    packed.contains("#![no_std]") || packed.contains("#![cfg_attr(not(test),no_std)]")
}

/// The four `clippy.toml` are alike and hold what must be banned.
fn bans_stand(metadata: &Metadata) -> Result<()> {
    let mut first: Option<String> = None;
    for package in metadata.packages.iter().filter(|one| WITHOUT_IO.contains(&one.name.as_str())) {
        let path = package.manifest_path.with_file_name("clippy.toml");
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        if let Some(missing) = BANNED.iter().find(|method| !text.contains(**method)) {
            bail!("{} does not ban {missing}", path.display());
        }
        if first.get_or_insert_with(|| text.clone()) != &text {
            bail!("{} differs from the others of its kind", path.display());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_std_is_read_from_code_and_not_from_comments() {
        assert!(is_no_std("//! Codec.\n#![no_std]\n"));
        assert!(is_no_std("#![cfg_attr(not(test), no_std)]\n"));
        assert!(!is_no_std("// #![no_std]\n"));
    }
}
