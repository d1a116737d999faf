//! Files that are read beside the configuration file, and who else can read or change them. [H35]

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::complaint::Complaint;
use crate::warning::Warning;

/// The files that values of one document are read from.
#[derive(Debug, Default)]
pub(crate) struct Includes {
    /// Where relative paths start.
    pub(crate) directory: PathBuf,
    /// What is odd about them.
    pub(crate) warnings: Vec<Warning>,
}

impl Includes {
    /// The content of the secret file at `path`.
    ///
    /// # Errors
    /// It cannot be read, is no UTF-8, or everybody could change it.
    pub(crate) fn read(&mut self, path: &Path) -> Result<Zeroizing<String>, Complaint> {
        let path = self.directory.join(path);
        let opened = Opened::read(&path).map_err(|error| {
            Complaint::new(
                format!("cannot read {}: {error}", path.display()),
                "write the path of a file that the server may read",
            )
        })?;
        if opened.is_writable_by_others() {
            return Err(Complaint::new(
                format!("{} can be written by everybody on this host", path.display()),
                format!("chmod o-w {}", shell_word(&path)),
            ));
        }
        self.warnings.extend(opened.warning(&path));
        Ok(opened.text)
    }
}

/// A file's content, and its mode when it was opened.
pub(crate) struct Opened {
    pub(crate) text: Zeroizing<String>,
    mode: u32,
}

impl Opened {
    pub(crate) fn read(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        // The mode of the opened file, not of the name, which could be exchanged meanwhile.
        let mode = mode_of(&file)?;
        let mut text = Zeroizing::new(String::new());
        file.read_to_string(&mut text)?;
        Ok(Self { text, mode })
    }

    /// Its mode alone: a file of coturn's may hold any bytes.
    pub(crate) fn without_text(path: &Path) -> io::Result<Self> {
        let mode = mode_of(&File::open(path)?)?;
        Ok(Self { text: Zeroizing::new(String::new()), mode })
    }

    /// Whether everybody on this host could change it.
    pub(crate) fn is_writable_by_others(&self) -> bool {
        self.mode & 0o002 != 0
    }

    /// What is to be said of the file if it holds secrets.
    pub(crate) fn warning(&self, path: &Path) -> Option<Warning> {
        (self.mode & 0o004 != 0).then(|| Warning {
            message: format!(
                "{} holds secrets and everybody on this host can read it",
                path.display()
            ),
            help: format!("chmod o-r {}", shell_word(path)),
        })
    }
}

#[cfg(unix)]
fn mode_of(file: &File) -> io::Result<u32> {
    use std::os::unix::fs::PermissionsExt as _;
    Ok(file.metadata()?.permissions().mode())
}

/// Elsewhere files have no such modes; nothing is judged.
#[cfg(not(unix))]
fn mode_of(_: &File) -> io::Result<u32> {
    Ok(0)
}

/// `path` as a shell takes it, quoted only where it must be.
pub(crate) fn shell_word(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chmod_line_survives_a_path_with_spaces_and_quotes() {
        assert_eq!(shell_word(Path::new("/etc/a b's")), r"'/etc/a b'\''s'");
        assert_eq!(shell_word(Path::new("/etc/turnserver.toml")), "/etc/turnserver.toml");
    }
}
