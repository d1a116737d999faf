//! Passwords and secrets as commands get them: from a file, a pipe or a prompt, never from the
//! command line, which everybody on a host can read.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use zeroize::Zeroizing;

/// The first line of `file`, or of standard input; a terminal is asked for `what`, without showing
/// what is typed.
///
/// # Errors
/// It cannot be read, is empty or has control characters.
pub fn read(file: Option<&Path>, what: &str) -> Result<Zeroizing<String>, String> {
    let text = match file {
        Some(path) => {
            let open = std::fs::File::open(path);
            let read = open.and_then(|file| first_line(&mut io::BufReader::new(file)));
            read.map_err(|error| format!("error: cannot read {}: {error}", path.display()))?
        }
        None if io::stdin().is_terminal() => ask(what)?,
        None => first_line(&mut io::stdin().lock()).map_err(|error| {
            format!("error: cannot read the {what} from standard input: {error}")
        })?,
    };
    if text.is_empty() || text.contains(char::is_control) {
        return Err(format!(
            "error: a {what} is not empty and has no control characters\n  = help: pipe it in, type it, or write it \
             into a file, on its first line"
        ));
    }
    Ok(text)
}

fn first_line(from: &mut dyn io::BufRead) -> io::Result<Zeroizing<String>> {
    let mut line = Zeroizing::new(String::new());
    from.take(MOST).read_line(&mut line)?;
    let end = line.trim_end_matches(['\n', '\r']).len();
    line.truncate(end);
    Ok(line)
}

fn ask(what: &str) -> Result<Zeroizing<String>, String> {
    let quiet = Quiet::new().ok_or_else(|| {
        format!("error: this terminal shows what is typed\n  = help: pipe the {what} in, or name a file with it")
    })?;
    let mut lines = Vec::new();
    for line in [format!("{what}: "), format!("{what} again: ")] {
        // Nobody reads the prompt: what is typed counts all the same.
        let _ = io::stderr().write_all(line.as_bytes());
        let read = first_line(&mut io::stdin().lock());
        let _ = io::stderr().write_all(b"\n");
        lines.push(read.map_err(|error| format!("error: cannot read the {what}: {error}"))?);
    }
    drop(quiet);
    match lines.as_slice() {
        [one, other] if one == other => Ok(one.clone()),
        _ => Err(format!("error: the two are not the same, so no {what} was set")),
    }
}

/// A terminal that does not show what is typed, until it is dropped.
struct Quiet;

impl Quiet {
    fn new() -> Option<Self> {
        stty("-echo").then_some(Self)
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        stty("echo");
    }
}

fn stty(word: &str) -> bool {
    let status = Command::new("stty").arg(word).stdin(Stdio::inherit()).status();
    status.is_ok_and(|status| status.success())
}

/// More than any password has.
const MOST: u64 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_counts_without_its_end() {
        let read = |text: &[u8]| first_line(&mut &*text.to_vec()).map(|it| it.to_string()).ok();
        assert_eq!(read(b"north wind\r\nsun\n").as_deref(), Some("north wind"));
        assert_eq!(read(b"north").as_deref(), Some("north"));
        assert_eq!(read(b"").as_deref(), Some(""));
        assert_eq!(read(&[b'a'; 9000]).map(|it| it.len()), Some(4096));
    }
}
