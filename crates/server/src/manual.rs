//! The manual page, made from the definition of the command line.

use std::io;

use clap::{Command, CommandFactory as _};
use clap_mangen::Man;

use crate::cli::Cli;

/// `turnserver.1`: all commands with their flags on one page.
///
/// # Errors
/// None in practice: it is written to memory.
pub fn manual() -> io::Result<Vec<u8>> {
    let command = Cli::command();
    let man = Man::new(command.clone());
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    page.extend_from_slice(b".SH COMMANDS\n");
    for subcommand in command.get_subcommands() {
        add(subcommand, "turnserver", &mut page)?;
    }
    page.extend_from_slice(REST.as_bytes());
    Ok(page)
}

/// A command, then those below it.
fn add(command: &Command, above: &str, page: &mut Vec<u8>) -> io::Result<()> {
    let name = format!("{above} {}", command.get_name());
    page.extend_from_slice(format!(".SS \"{name}\"\n").as_bytes());
    if let Some(about) = command.get_about() {
        let about = about.to_string().replace('\\', "\\e").replace('-', "\\-");
        page.extend_from_slice(format!("{about}\n").as_bytes());
    }
    let mut options = Vec::new();
    Man::new(command.clone()).render_options_section(&mut options)?;
    // Its head is that of a page.
    let options = String::from_utf8_lossy(&options);
    let lines = options.lines().filter(|line| {
        *line != ".SH OPTIONS" && !line.starts_with(".ie") && !line.starts_with(".el")
    });
    lines.for_each(|line| page.extend_from_slice(format!("{line}\n").as_bytes()));
    command.get_subcommands().try_for_each(|below| add(below, &name, page))
}

const REST: &str = r#".SH FILES
.TP
/etc/turnserver.toml, /etc/turnserver.conf, /etc/coturn/turnserver.conf
Configuration without \-\-config: the first that is there and has an active line
.TP
/run/turnserver/admin.sock
Admin socket, unless admin.socket says otherwise
.TP
/var/lib/turnserver
State directory: usage.db, and credentials.json of a trial; $STATE_DIRECTORY goes before it
.SH TURNADMIN
Started under the name turnadmin, it understands the commands of coturn's program of that name, for
users, keys, secrets, origins and options of realms: see turnadmin \-h
.SH SIGNALS
.TP
SIGHUP
Read the configuration and the certificates again, open the log file anew
.TP
SIGUSR1
Drain: no new allocations, end when the live ones have ended
.TP
SIGUSR2
Look at the certificates
.TP
SIGTERM, SIGINT
Stop within drain.on_term; the second one at once
.SH EXIT STATUS
0 after a stop or a drain, and when a command has done its work; 1 when it cannot serve or do that;
2 for a wrong command line
"#;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn flags_of_commands_stand_on_the_page() {
        let page = String::from_utf8(manual().unwrap()).unwrap();
        for part in [
            ".TH turnserver 1",
            "\\-\\-kill",
            "\\-\\-wait",
            "turnserver config example",
            "turnserver users add",
            "turnserver probe",
            ".SH TURNADMIN",
            ".SH SIGNALS",
        ] {
            assert!(page.contains(part), "{part}: {page}");
        }
        assert_eq!(page.matches(".SH OPTIONS").count(), 1);
    }
}
