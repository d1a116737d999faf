//! What is logged, and where.

use std::io;
use std::path::Path;

use turn_config::{LogLevel, LogTarget};

use super::draft::Draft;
use crate::note::NoteKind;
use crate::parsed::Setting;

pub(super) fn import(draft: &mut Draft<'_>) {
    target(draft);
    level(draft);
    facility(draft);
}

fn target(draft: &mut Draft<'_>) {
    let syslog = draft.last("syslog").filter(|_| draft.is_on("syslog"));
    if let Some(setting) = syslog {
        to_syslog(draft, setting);
    }
    let Some(setting) = draft.last("log-file") else { return };
    let has_plain_name = draft.is_on("simple-log");
    match setting.value.reveal() {
        "syslog" => to_syslog(draft, setting),
        _ if syslog.is_some() => {
            draft.note(setting, NoteKind::Ignored, "`syslog` wins, as in coturn");
        }
        "stdout" | "-" => {}
        path if path.ends_with('/') || Path::new(path).file_name().is_none() => {
            let message = "it names a directory, so the log goes to standard error";
            draft.note(setting, NoteKind::Ignored, message);
        }
        path => {
            let path = draft.surroundings.directory.join(path);
            draft.config.log.target = LogTarget::File(path);
            if !has_plain_name {
                let message = "the file has just this name; coturn adds the date unless `simple-log` \
                               is written";
                draft.note(setting, NoteKind::Changed, message);
            }
        }
    }
}

/// Where there is no syslog daemon, as in most containers, coturn starts and logs to nobody.
fn to_syslog(draft: &mut Draft<'_>, setting: &Setting) {
    let socket = draft.surroundings.host.read(Path::new("/dev/log"));
    if socket.is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        let message = "there is no syslog daemon (/dev/log), so the log goes to standard error";
        draft.note(setting, NoteKind::Changed, message);
    } else {
        draft.config.log.target = LogTarget::Syslog;
    }
}

fn level(draft: &mut Draft<'_>) {
    if draft.is_on("Verbose") {
        draft.config.log.level = LogLevel::Debug;
    }
    let Some(setting) = draft.last("log-min-level") else { return };
    let least = match setting.value.reveal().to_ascii_lowercase().as_str() {
        "debug" => LogLevel::Debug,
        "info" => LogLevel::Info,
        "warn" | "warning" => LogLevel::Warn,
        "error" | "critical" => LogLevel::Error,
        _ => {
            draft.note(setting, NoteKind::Ignored, "write debug, info, warning or error");
            return;
        }
    };
    // It takes away from what `verbose` and `Verbose` let through, and never adds to it.
    draft.config.log.level = draft.config.log.level.min(least);
}

fn facility(draft: &mut Draft<'_>) {
    let Some(setting) = draft.last("syslog-facility") else { return };
    let word = setting.value.reveal().to_ascii_lowercase();
    let word = word.strip_prefix("log_").unwrap_or(&word);
    if FACILITIES.contains(&word) {
        word.clone_into(&mut draft.config.log.syslog_facility);
    } else {
        let message = "no facility of syslog; write one such as LOG_DAEMON or LOG_LOCAL1";
        draft.note(setting, NoteKind::Ignored, message);
    }
}

/// By the names of `syslog.conf`; that of the kernel is for the kernel.
const FACILITIES: [&str; 19] = [
    "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
    "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
];

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::net::IpAddr;

    use super::super::bench::{config, surroundings, warnings};
    use super::super::{ImportOptions, import};
    use super::*;
    use crate::file::parse_file;
    use crate::surroundings::{Host, Surroundings};

    #[test]
    fn the_log_goes_where_it_is_sent() {
        let target = |text: &str| config(text).log.target;
        assert_eq!(target(""), LogTarget::Stderr);
        assert_eq!(target("log-file=stdout"), LogTarget::Stderr);
        assert_eq!(target("log-file=-"), LogTarget::Stderr);
        assert_eq!(target("log-file=syslog"), LogTarget::Syslog);
        assert_eq!(target("syslog\nlog-file=/var/log/t.log"), LogTarget::Syslog);
        assert_eq!(target("syslog=0"), LogTarget::Stderr);
        assert_eq!(target("log-file=/"), LogTarget::Stderr);
        assert!(warnings("log-file=/var/log/").contains("names a directory"));
        assert_eq!(target("log-file=/var/log/t.log"), LogTarget::File("/var/log/t.log".into()));
        assert_eq!(target("log-file=t.log"), LogTarget::File("/etc/t.log".into()));
        assert!(warnings("log-file=/var/log/t.log").contains("just this name"));
        assert_eq!(warnings("log-file=/var/log/t.log\nsimple-log\nno-stdout-log"), "");
    }

    #[test]
    fn without_a_syslog_daemon_the_log_goes_to_standard_error() {
        let without = Surroundings { host: &Nothing, ..surroundings() };
        let parsed = parse_file("syslog", "t.conf");
        let import = import(&parsed, &without, ImportOptions::default()).unwrap();
        assert_eq!(import.config.log.target, LogTarget::Stderr);
        assert!(import.warnings().any(|note| note.message.contains("/dev/log")));
    }

    struct Nothing;

    impl Host for Nothing {
        fn read(&self, _: &Path) -> io::Result<Vec<u8>> {
            Err(io::ErrorKind::NotFound.into())
        }

        fn addresses_of(&self, _: &str) -> Vec<IpAddr> {
            Vec::new()
        }
    }

    #[test]
    fn verbosity_becomes_a_level() {
        let level = |text: &str| config(text).log.level;
        assert_eq!((level(""), level("verbose")), (LogLevel::Info, LogLevel::Info));
        assert_eq!(level("Verbose"), LogLevel::Debug);
        assert_eq!(level("verbose\nlog-min-level=warning"), LogLevel::Warn);
        assert_eq!(level("log-min-level=debug"), LogLevel::Info);
        assert!(warnings("log-min-level=loud").contains("write debug"));
    }

    #[test]
    fn the_facility_is_one_of_syslog() {
        assert_eq!(config("syslog-facility=\"LOG_LOCAL1\"").log.syslog_facility, "local1");
        assert_eq!(config("syslog-facility=nonsense").log.syslog_facility, "daemon");
        assert!(warnings("syslog-facility=nonsense").contains("LOG_DAEMON"));
        for facility in FACILITIES {
            config(&format!("syslog-facility={facility}"));
        }
    }
}
